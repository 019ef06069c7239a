# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Frames of bodies: of a known heading and lean, and none where the trunk is not known."""

import math

import numpy as np
import pytest

from geo_pose_ros.bags.message_factory import RosbagsFactory
from geo_pose_ros.geometry.body_frame import world_from_body
from geo_pose_ros.geometry.rigid import from_rotation_vector, transform_points
from geo_pose_ros.messages.transforms import bodies_to_transforms
from geo_pose_ros.rigs.transform_buffer import TransformBuffer
from geo_pose_ros.simulation.walks import STANDING
from geo_pose_ros.skeleton import BODY17
from geo_pose_ros.types import Bodies3D


@pytest.mark.parametrize('turn_rad', [(0.0, 0.0, 0.0), (0.0, 0.0, 2.0), (0.3, -0.4, 1.0), (math.pi, 0.0, 0.0)])
def test_a_body_turned_is_a_frame_turned(turn_rad):
    """STANDING faces +x with its trunk upright."""
    moved = from_rotation_vector(np.array(turn_rad), np.array([1.0, -2.0, 0.3]))
    xyz = transform_points(moved, STANDING)
    frame = world_from_body(xyz)
    np.testing.assert_allclose(frame[:, :3], moved[:, :3], atol=1e-12)
    np.testing.assert_allclose(frame[:, 3], xyz[BODY17.index('pelvis')], atol=1e-12)


def test_bodies_without_a_trunk_have_no_frame():
    for joint in ('pelvis', 'thorax', 'left_hip', 'right_shoulder'):
        xyz = STANDING.copy()
        xyz[BODY17.index(joint)] = np.nan
        assert np.isnan(world_from_body(xyz)).all()
    flat = STANDING.copy()
    flat[BODY17.index('thorax')] = flat[BODY17.index('pelvis')]
    assert np.isnan(world_from_body(flat)).all()
    narrow = STANDING * (1.0, 0.0, 1.0)
    assert np.isnan(world_from_body(narrow)).all()


def test_transforms_name_the_body():
    lost = np.full((17, 3), np.nan)
    ones = np.ones((2, 17))
    bodies = Bodies3D(
        5, 'odom', BODY17, np.stack([lost, STANDING]), np.zeros((2, 17, 3, 3)), ones, ones.astype(int), ones,
        np.array([3, 8]),
    )
    make = RosbagsFactory()
    sent = make('tf2_msgs/msg/TFMessage', transforms=bodies_to_transforms(make, bodies))
    assert sent.transforms[0].header.stamp.nanosec == 5
    assert [t.child_frame_id for t in sent.transforms] == ['body_8']
    buffer = TransformBuffer()
    buffer.add(sent.transforms, static=False)
    pose = buffer.lookup('odom', 'body_8', 5)
    np.testing.assert_allclose(pose, world_from_body(STANDING), atol=1e-12)
