# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Halves of a recording: deviations grow until they agree, and one that says nothing is no confirmation."""

import numpy as np
import pytest

from geo_pose_ros.calibration.bundle.residuals import LOG_FOCAL, ROTATION, TRANSLATION
from geo_pose_ros.calibration.bundle.solver import Adjustment
from geo_pose_ros.calibration.halves import Halves, deviation_growth, fit_halves
from geo_pose_ros.calibration.people.views import PoseViews
from geo_pose_ros.calibration.settings import AdjustConfig, CalibrateConfig
from geo_pose_ros.calibration.verdict import agreement_refusal
from geo_pose_ros.simulation.cameras import turn_camera
from geo_pose_ros.types import CameraRig

from ..scenes import ring_rig

RIG = ring_rig(4)
NOBODY = PoseViews(
    np.zeros(0), np.zeros(0, int), np.zeros((4, 0, 17, 2)), np.zeros((4, 0, 17, 2)), np.zeros((4, 0, 17))
)


def fitted(rig):
    """An adjustment that is sure to 1 mrad, 5 mm (each along every axis) and 1 % of the focal length."""
    sigma = np.zeros((len(rig), 11))
    sigma[:, ROTATION], sigma[:, TRANSLATION], sigma[:, LOG_FOCAL] = 1e-3, 5e-3, 0.01
    people = np.zeros((1, 17, 3)), np.zeros((1, 17, 3, 3)), np.ones((1, 16))
    return Adjustment(rig, *people, 1.0, sigma, np.ones((len(rig), 1, 17)))


def turned(mrad):
    second = turn_camera(RIG.cameras[1], np.array((0.0, 1.0, 0.0)), 1e-3 * mrad)
    return CameraRig((RIG.cameras[0], second, *RIG.cameras[2:]))


@pytest.mark.parametrize(('mrad', 'grown'), [(1.0, 1.0), (20.0, 5.06)], ids=['within the deviations', 'far beyond'])
def test_deviations_grow_until_the_halves_agree(mrad, grown):
    growth = deviation_growth(Halves((NOBODY, NOBODY), (fitted(RIG), fitted(turned(mrad)))), len(RIG))
    # Of sqrt(3 + 3) mrad for the difference, 95 % are within 1.61 times as much.
    assert growth.pose[1] == pytest.approx(grown, rel=0.01)
    assert (growth.pose >= 1.0).all()
    assert (growth.focal >= growth.pose).all()


def test_without_a_second_half_nothing_confirms():
    assert fit_halves(NOBODY, RIG, AdjustConfig(), None) is None
    assert deviation_growth(None, 4).pose.tolist() == [1.0] * 4
    assert 'nothing confirms' in agreement_refusal(None, (), CalibrateConfig()).what
