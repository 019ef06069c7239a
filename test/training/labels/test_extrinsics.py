# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Extrinsics from joints and one known baseline."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from geo_pose_training.labels.extrinsics import extrinsics_from_joints, relative_pose

from geo_pose_ros.errors import CalibrationError
from test.calibration.walking import errors_as_is
from test.training.people import recorded_person


def test_extrinsics_from_joints_and_one_baseline() -> None:
    seen = recorded_person(frames=90, noise_px=1.0)
    degrees, mm = errors_as_is(extrinsics_from_joints([seen]), seen.rig)
    assert degrees[1:].mean() < 0.5
    assert mm[1:].mean() < 60.0


def test_extrinsics_use_only_the_first_camera_and_the_baseline() -> None:
    seen = recorded_person(frames=90)
    cameras = list(seen.rig.cameras)
    wrong = np.concatenate((cameras[2].cam_from_world[:, :3], cameras[3].cam_from_world[:, 3:]), 1)
    misled = replace(
        seen, rig=replace(seen.rig, cameras=(*cameras[:2], replace(cameras[2], cam_from_world=wrong), cameras[3]))
    )
    _, mm = errors_as_is(extrinsics_from_joints([misled]), seen.rig)
    assert mm[1:].mean() < 20.0


def test_extrinsics_need_enough_and_consistent_joints() -> None:
    with pytest.raises(CalibrationError, match='at least 50'):
        extrinsics_from_joints([recorded_person(frames=2)])
    rng = np.random.default_rng(1)
    with pytest.raises(CalibrationError, match='fit one pose'):
        relative_pose(rng.random((200, 2)), rng.random((200, 2)), 900.0)


def test_a_camera_without_common_joints_cannot_be_placed() -> None:
    seen = recorded_person(frames=90)
    xy = seen.xy.copy()
    # The third camera shares joints with the first only where the second sees nothing.
    xy[:45, 1], xy[45:, 2] = np.nan, np.nan
    with pytest.raises(CalibrationError, match='shares no joint'):
        extrinsics_from_joints([replace(seen, xy=xy)])
