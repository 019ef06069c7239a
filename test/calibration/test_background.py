# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""A refinement in a process of its own gives what it gives here, and says so where it cannot."""

import io
import pickle

import numpy as np
import pytest

from geo_pose_ros.calibration import background
from geo_pose_ros.calibration.background import BackgroundCalibration, answer, pack_task
from geo_pose_ros.calibration.calibrate import calibrate
from geo_pose_ros.calibration.settings import CalibrateConfig
from geo_pose_ros.calibration.task import CalibrateTask
from geo_pose_ros.errors import CalibrationError

from ..scenes import ring_rig
from .walking import images, perturbed, walk

TASK = CalibrateTask(CalibrateConfig(instants=40))


def test_the_answer_is_that_of_calibrate():
    rig = ring_rig(3)
    seen, given = images(rig, [walk(8.0)], noise_px=1.0), perturbed(rig, 1.0, 0.02)
    reply = io.BytesIO()
    answer(io.BytesIO(pack_task(seen, given, TASK)), reply)
    there, here = pickle.loads(reply.getvalue()), calibrate(seen, given, TASK)
    for a, b in zip(there.rig.cameras, here.rig.cameras, strict=True):
        assert np.array_equal(a.cam_from_world, b.cam_from_world)
    assert there.refusal is here.refusal is None


def test_an_error_comes_back_as_it_was():
    rig = ring_rig(3)
    with pytest.raises(CalibrationError, match='holds no keypoints'):
        BackgroundCalibration().run({name: [] for name in rig.names}, rig, TASK)


def test_a_process_that_dies_is_said_to_have_died(monkeypatch):
    monkeypatch.setattr(background, '__name__', 'no_such_module')
    with pytest.raises(CalibrationError, match=r'ended with status 1; .* lower calibration'):
        BackgroundCalibration().run({}, ring_rig(3), TASK)


def test_one_that_was_stopped_does_not_begin():
    process = BackgroundCalibration()
    process.stop()
    with pytest.raises(CalibrationError, match='stopped'):
        process.run({}, ring_rig(3), TASK)
