# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Results are what they were when the golden outputs were recorded; see record.py."""

import pytest

from .record import CASES, compare


@pytest.mark.parametrize('name', CASES)
def test_golden(name):
    if name == 'training':
        pytest.importorskip('torch')
    found = compare(name)
    assert not found, f'{len(found)} differences, the largest at {found[0][1]}'
