# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
import pytest

from geo_pose_ros.calibration.calibrate import calibrate
from geo_pose_ros.calibration.settings import CalibrateConfig
from geo_pose_ros.calibration.task import CalibrateTask

from ..scenes import ring_rig
from .walking import images, perturbed, walk


@pytest.fixture(scope='session')
def refined():
    """The true rig, and what calibrate makes of one that errs by 2 degrees and 50 mm."""
    truth = ring_rig(4)
    seen = images(truth, [walk(14.0)], noise_px=2.0, outliers=0.03)
    return truth, calibrate(seen, perturbed(truth, 2.0, 0.05), CalibrateTask(CalibrateConfig(instants=100)))
