# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""People's size under a rig, and the scale that holds it."""

import numpy as np
import pytest

from geo_pose_ros.calibration.settings import CalibrateConfig
from geo_pose_ros.calibration.sizes import PersonSize, hold_sizes, size_ratios
from geo_pose_ros.calibration.verdict import size_refusal
from geo_pose_ros.calibration.world import Similarity

CHANGE = Similarity(1.2, np.eye(3), np.array((1.0, 2.0, 0.0)))
XYZ = np.full((5, 17, 3), 0.5)


def person(factor):
    parts = {'thigh': 0.42, 'shank': 0.4, 'upper arm': 0.3, 'forearm': float('nan'), 'trunk': 0.5}
    return PersonSize(1.75 * factor, {part: m * factor for part, m in parts.items()})


@pytest.mark.parametrize(
    ('now', 'then'), [([1.005], 1.005), ([0.9], 0.992), ([1.1, 1.1], 1.008)], ids=['stays', 'smaller', 'larger']
)
def test_size_is_held_where_people_stand(now, then):
    before, after = [person(1.0)] * len(now), [person(factor) for factor in now]
    held, report = hold_sizes(before, after, CHANGE, XYZ, 0.008)
    assert now[0] * held.scale / CHANGE.scale == pytest.approx(then)
    np.testing.assert_allclose(held.points(XYZ), CHANGE.points(XYZ))
    assert (report is None) == (now[0] == then)
    assert report is None or f'they would be {now[0] - 1.0:+.1%} in size; --stature' in report.scale


def test_who_alone_changed_is_refused():
    ratios = size_ratios([person(1.0)] * 2, [person(1.001), person(0.9)])
    np.testing.assert_allclose(ratios, (1.001, 0.9))
    refusal = size_refusal(ratios, CalibrateConfig())
    assert 'person 2 would be -10.0% in size, expected at most 1%' in refusal.what
    assert '--distance' in refusal.remedy
    assert size_refusal(ratios[:1], CalibrateConfig()) is None
    assert size_refusal(np.array([np.nan]), CalibrateConfig()) is None
