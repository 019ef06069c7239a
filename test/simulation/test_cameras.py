# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Simulated cameras."""

from __future__ import annotations

import numpy as np

from geo_pose_ros.simulation.cameras import ceiling_rig, distant_rig


def test_a_ceiling_rig_is_one() -> None:
    rig = ceiling_rig(3)
    for camera in rig.cameras:
        axis = camera.cam_from_world[2, :3]
        assert 2.5 <= camera.position_m[2] <= 4.5
        assert 30.0 <= np.degrees(np.arcsin(-axis[2])) <= 60.0
    np.testing.assert_array_equal(ceiling_rig(3).cameras[1].cam_from_world, rig.cameras[1].cam_from_world)
    assert not np.allclose(ceiling_rig(4).cameras[1].cam_from_world, rig.cameras[1].cam_from_world)


def test_a_distant_rig_is_so_far_away_with_such_a_lens() -> None:
    rig = distant_rig(5, 15.0, 40.0)
    for camera in rig.cameras:
        assert 0.3 <= camera.position_m[2] <= 4.0
        assert np.isclose(np.linalg.norm(camera.position_m - (0.0, 0.0, 0.9)), 15.0)
        assert np.isclose(2.0 * np.degrees(np.arctan(640.0 / camera.intrinsics.K[0, 0])), 40.0)
