# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Several recordings of one rig as one."""

from dataclasses import replace

import pytest

from geo_pose_ros.calibration.joined import calibrate_together
from geo_pose_ros.calibration.settings import CalibrateConfig
from geo_pose_ros.calibration.task import CalibrateTask
from geo_pose_ros.errors import CalibrationError

from ..scenes import ring_rig
from .walking import images, perturbed, pose_errors, walk

TRUTH = ring_rig(3)
START = perturbed(TRUTH, 1.5, 0.03)
FEW = CalibrateTask(CalibrateConfig(instants=60, least_shared=15))


def test_what_one_recording_cannot_say_two_together_do():
    parts = [images(TRUTH, [walk(4.5, seed=seed)], noise_px=1.0, seed=seed) for seed in (1, 2)]
    assert 's of people seen by two cameras' in calibrate_together(parts[:1], START, FEW).refusal.what
    found = calibrate_together(parts, START, FEW)
    assert found.refusal is None
    turns, moves, _ = pose_errors(found.rig, TRUTH)
    assert turns.max() < 0.15
    assert moves.max() < 15.0


@pytest.mark.slow
def test_each_recording_has_clocks_of_its_own():
    offsets = (0.0, 1.4, -2.2), (0.0, -0.7, 2.9)
    parts = [
        images(TRUTH, [walk(20.0, seed=seed)], noise_px=1.0, seed=seed, offsets_s=late)
        for seed, late in enumerate(offsets)
    ]
    found = calibrate_together(parts, START, replace(FEW, sync=True))
    assert found.refusal is None
    turns, moves, _ = pose_errors(found.rig, TRUTH)
    assert turns.max() < 0.1
    assert moves.max() < 10.0
    assert abs(found.offset_s).max() < 5e-3


def test_a_recording_that_says_nothing_is_named():
    seen = images(TRUTH, [walk(6.0)], noise_px=1.0)
    with pytest.raises(CalibrationError, match='Recording 2 holds no keypoints'):
        calibrate_together([seen, {}], START, FEW)
    with pytest.raises(CalibrationError, match='Recording 1: The recording holds no keypoints'):
        calibrate_together([{}, seen], START, replace(FEW, sync=True))
