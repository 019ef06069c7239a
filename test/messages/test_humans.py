# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""What REP-155 says of bodies: values by exact truth, over the wire.

test/interfaces has hri_msgs as upstream defines it: ros4hri/hri_msgs, msg/*.msg at
4e7c1765216e7a60638a1f90fc85392688785e9a (humble-devel).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from geo_pose_ros.geometry.joint_angles import JOINT_NAMES, joint_angles
from geo_pose_ros.geometry.projection import project_world
from geo_pose_ros.messages.humans import (
    camera_that_shows,
    human_id,
    ids_to_message,
    joint_states_to_message,
    position_to_message,
    roi_to_message,
    skeleton2d_to_message,
    velocity_to_message,
)
from geo_pose_ros.messages.stamps import stamp_of
from geo_pose_ros.simulation.walks import STANDING
from geo_pose_ros.skeleton import BODY17
from geo_pose_ros.types import Bodies3D
from test.messages.conftest import Library, rosbags_library
from test.scenes import person, ring_rig

# The constants of Skeleton2D.msg, in their order.
POINTS = (
    'NOSE', 'NECK', 'RIGHT_SHOULDER', 'RIGHT_ELBOW', 'RIGHT_WRIST', 'LEFT_SHOULDER', 'LEFT_ELBOW', 'LEFT_WRIST',
    'RIGHT_HIP', 'RIGHT_KNEE', 'RIGHT_ANKLE', 'LEFT_HIP', 'LEFT_KNEE', 'LEFT_ANKLE', 'LEFT_EYE', 'RIGHT_EYE',
    'LEFT_EAR', 'RIGHT_EAR',
)
RIG = ring_rig(4)
S = 1_000_000_000


LIBRARY = rosbags_library('hri_msgs')
MAKE, wire = LIBRARY.make, LIBRARY.wire


def bodies(*xyz: Any, **fields: Any) -> Bodies3D:
    shape = (len(xyz), 17)
    of_all = {
        'body_ids': np.arange(len(xyz)) + 7, 'confidence': np.tile(np.linspace(0.2, 1.0, 17), (len(xyz), 1)),
        'velocity': np.full((*shape, 3), (0.5, -0.25, 0.0)), 'views': np.full(shape, 0b1111), **fields,
    }  # fmt: skip
    return Bodies3D(
        5 * S, 'odom', BODY17, np.stack(xyz), np.zeros((*shape, 3, 3)), num_views=np.full(shape, 4),
        reprojection_error=np.zeros(shape), **of_all,
    )


def test_ids_are_words_that_topics_may_have() -> None:
    assert human_id(12) == 'b12'
    sent = wire(ids_to_message(MAKE, bodies(STANDING, person(1))), 'hri_msgs/msg/IdsList')
    assert sent.ids == ['b7', 'b8']
    assert (stamp_of(sent), sent.header.frame_id) == (5 * S, 'odom')
    assert wire(ids_to_message(MAKE, Bodies3D.empty(0, 'odom', BODY17)), 'hri_msgs/msg/IdsList').ids == []


def test_joint_states_name_the_joints_that_are_known(library: Library) -> None:
    xyz = person(2)
    xyz[BODY17.index('left_wrist')] = np.nan
    found = bodies(STANDING, xyz)
    angles = joint_angles(found.xyz)[1]
    sent = library.wire(joint_states_to_message(library.make, found, 1, angles), 'sensor_msgs/msg/JointState')
    lost = {'l_r_shoulder', 'l_elbow'}
    assert list(sent.name) == [f'{name}_b8' for name in JOINT_NAMES if name not in lost]
    np.testing.assert_array_equal(sent.position, [a for n, a in zip(JOINT_NAMES, angles, strict=True) if n not in lost])
    assert len(sent.velocity) == len(sent.effort) == 0 and stamp_of(sent) == 5 * S


def test_position_and_velocity_are_the_pelvis(library: Library) -> None:
    # It looks along the world's y.
    xyz = STANDING[:, [1, 0, 2]] * (-1.0, 1.0, 1.0)
    found = bodies(xyz)
    point = library.wire(position_to_message(library.make, found, 0), 'geometry_msgs/msg/PointStamped')
    assert [point.point.x, point.point.y, point.point.z] == xyz[0].tolist()
    assert point.header.frame_id == 'odom' and stamp_of(point) == 5 * S
    sent = library.wire(velocity_to_message(library.make, found, 0, 'left_'), 'geometry_msgs/msg/TwistStamped')
    twist = sent.twist
    assert [twist.linear.x, twist.linear.y, twist.linear.z] == [-0.25, -0.5, 0.0]
    assert sent.header.frame_id == 'body_left_b7'
    assert [twist.angular.x, twist.angular.y, twist.angular.z] == [0.0, 0.0, 0.0]
    lost = STANDING.copy()
    lost[0] = np.nan
    assert position_to_message(library.make, bodies(lost), 0) is None
    assert velocity_to_message(library.make, bodies(STANDING, velocity=None), 0) is None


def test_the_skeleton_is_where_the_picture_shows_it() -> None:
    camera = RIG.cameras[1]
    found = bodies(STANDING)
    sent = wire(skeleton2d_to_message(MAKE, found, 0, camera), 'hri_msgs/msg/Skeleton2D')
    assert sent.header.frame_id == camera.frame_id and stamp_of(sent) == 5 * S
    size = np.array([camera.intrinsics.width, camera.intrinsics.height])
    expected = (project_world(camera, STANDING) + 0.5) / size
    assert len(sent.skeleton) == len(POINTS) == 18
    for name, point in zip(POINTS, sent.skeleton, strict=True):
        if 'EYE' in name or 'EAR' in name:
            assert (point.x, point.y, point.c) == (0.0, 0.0, 0.0)
            continue
        joint = BODY17.index({'NECK': 'thorax'}.get(name, name.lower()))
        np.testing.assert_allclose((point.x, point.y), expected[joint], atol=1e-6)
        assert point.c == pytest.approx(found.confidence[0, joint])


def test_what_is_outside_of_the_picture_or_unknown_has_no_place() -> None:
    camera = RIG.cameras[0]
    xyz = STANDING.copy()
    xyz[BODY17.index('left_wrist')] = np.nan
    xyz[BODY17.index('right_wrist')] += (0.0, 0.0, 30.0)
    # Behind the camera.
    centre = -camera.cam_from_world[:, :3].T @ camera.cam_from_world[:, 3]
    xyz[BODY17.index('nose')] = 2.0 * centre - STANDING[0]
    points = dict(zip(POINTS, skeleton2d_to_message(MAKE, bodies(xyz), 0, camera).skeleton, strict=True))
    for name in ('LEFT_WRIST', 'RIGHT_WRIST', 'NOSE'):
        assert (points[name].x, points[name].y, points[name].c) == (0.0, 0.0, 0.0)
    assert points['LEFT_ELBOW'].c > 0.0


def test_the_region_is_round_the_joints_and_within_the_picture() -> None:
    camera = RIG.cameras[2]
    size = np.array([camera.intrinsics.width, camera.intrinsics.height])
    xyz = STANDING.copy()
    xyz[3] = np.nan
    where = np.delete((project_world(camera, STANDING) + 0.5) / size, 3, axis=0)
    roi = wire(roi_to_message(MAKE, bodies(xyz), 0, camera), 'hri_msgs/msg/NormalizedRegionOfInterest2D')
    np.testing.assert_allclose([roi.xmin, roi.ymin, roi.xmax, roi.ymax], [*where.min(0), *where.max(0)], atol=1e-6)
    assert roi.c == pytest.approx(np.delete(np.linspace(0.2, 1.0, 17), 3).mean())
    assert roi.header.frame_id == camera.frame_id
    # Nearer to the camera than its picture is wide.
    centre = -camera.cam_from_world[:, :3].T @ camera.cam_from_world[:, 3]
    near = STANDING + 0.7 * (centre - STANDING[0])
    roi = roi_to_message(MAKE, bodies(near), 0, camera)
    highest = ((project_world(camera, near) + 0.5) / size)[:, 1].min()
    assert highest < 0.0 and roi.ymin == 0.0 and max(roi.xmax, roi.ymax) <= 1.0
    assert roi_to_message(MAKE, bodies(2.0 * centre - STANDING), 0, camera) is None
    assert roi_to_message(MAKE, bodies(np.full((17, 3), np.nan)), 0, camera) is None
    beside = np.cross(centre - STANDING[0], (0.0, 0.0, 1.0))
    assert roi_to_message(MAKE, bodies(STANDING + 1.5 * beside), 0, camera) is None


def test_a_body_is_shown_by_the_camera_that_supports_most_and_stays_with_it() -> None:
    def seen(*joints: int) -> Any:
        """Views of a body whose first so many joints are supported, by camera."""
        return sum(((np.arange(17) < n).astype(int) << c for c, n in enumerate(joints)), np.zeros(17, int))

    assert camera_that_shows(seen(5, 17, 17), 3, None) == 1
    assert camera_that_shows(seen(9, 17, 17), 3, 0) == 0
    assert camera_that_shows(seen(8, 17, 17), 3, 0) == 1
    assert camera_that_shows(seen(9, 17), 2, 5) == 1
    assert camera_that_shows(seen(0, 0), 2, 1) is None
