# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""What is wrong around a live node is named, survived, and told when it is over, one after the other."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from geo_pose_ros.arrays import NS_PER_S
from geo_pose_ros.ros.health import statistics
from test.ros.harness import PERSON, until
from test.ros.troubles import drills, happening


@pytest.mark.parametrize('is_carried', [False, True], ids=['standing', 'carried'])
def test_each_fault_is_named_survived_and_told_when_it_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_carried: bool
) -> None:
    pytest.importorskip('tf2_msgs.msg')
    monkeypatch.setattr(statistics, '_RECENT_NS', NS_PER_S // 2)
    with drills(tmp_path, is_carried=is_carried) as (w, console, of_any, of_its_own):
        for trouble in of_its_own if is_carried else (*of_any, *of_its_own):
            w.new_bodies(3, views=4)
            began = time.monotonic()
            with happening(w, 'cam1', trouble):
                until(lambda t=trouble, at=began: console.first_s(t.words, at) is not None or not t.words, trouble.name)
                if trouble.views:
                    w.new_bodies(3, views=trouble.views)
                over = time.monotonic()
            until(
                lambda t=trouble, at=over: not t.words or console.first_s(t.words, at, t.end_begins) is not None,
                f'{trouble.name} is over, among {console.lines[-5:]}',
            )
            found = w.new_bodies(5, views=4)[-1]
            np.testing.assert_allclose(found.xyz[0], PERSON, atol=0.02, err_msg=trouble.name)
