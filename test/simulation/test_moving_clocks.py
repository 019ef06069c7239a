"""Clocks of cameras that are carried through the room: what the rig's own motion does to their offsets."""

from __future__ import annotations

import numpy as np
import pytest

from geo_pose_ros.simulation.carried import base_from_odom, carry_rig
from geo_pose_ros.simulation.scenario import Scenario, build
from geo_pose_ros.simulation.simulate import run


@pytest.mark.parametrize(('off_ms', 'most_wrong_ms'), [(0.0, 4.0), (100.0, 10.0)])
def test_clocks_of_a_rig_that_drives_and_turns(off_ms: float, most_wrong_ms: float) -> None:
    """1 m/s, 60 degrees/s. Clocks that are right are not blamed, those that are wrong are found."""
    scenario = Scenario(phase='random', duration_s=6.0, clock_offset_ms=off_ms, recorded=False)
    world = build(scenario, base_from_odom)
    cameras, mounts = carry_rig(world.rig, scenario.duration_s)
    played = run(world, camera_poses=lambda stamps_ns: cameras.poses_at(mounts, stamps_ns).cam_from_tracking)
    last = played.sets[-1].cameras
    found_ms = 1e3 * np.array([last[name].clock_offset_s for name in world.rig.names])
    true_ms = 1e3 * world.clock_offset_s
    assert (np.abs(true_ms).max() > 30.0) == (off_ms > 0.0)
    np.testing.assert_allclose(found_ms - found_ms.mean(), true_ms - true_ms.mean(), atol=most_wrong_ms)
