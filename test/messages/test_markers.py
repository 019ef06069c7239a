# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""~/markers for RViz."""

from dataclasses import replace

import numpy as np
import pytest

from geo_pose_ros.errors import ShapeError
from geo_pose_ros.messages.markers import bodies_to_markers
from geo_pose_ros.messages.stamps import from_time
from geo_pose_ros.skeleton import BODY17
from geo_pose_ros.types import Bodies3D

from ..scenes import person

ARRAY = 'visualization_msgs/msg/MarkerArray'


def two_bodies() -> Bodies3D:
    xyz = np.stack([person(0), person(1, (2.0, 0.0))])
    xyz[1, 16] = np.nan  # right wrist
    confidence = np.full((2, 17), 0.8)
    confidence[0, 13] = 0.01  # left wrist
    return Bodies3D(
        1_500_000_000, 'world', BODY17, xyz, np.zeros((2, 17, 3, 3)), confidence, np.full((2, 17), 4),
        np.zeros((2, 17)), np.array([3, 5]),
    )


def test_markers(library):
    bodies = two_bodies()
    message = library.wire(bodies_to_markers(library.make, bodies, {3, 5}, lifetime_s=1.25), ARRAY)
    assert [(m.ns, m.id, m.type, m.action) for m in message.markers] == [
        ('joints', 3, 7, 0), ('bones', 3, 5, 0), ('joints', 5, 7, 0), ('bones', 5, 5, 0),
    ]  # fmt: skip
    joints, bones = message.markers[:2]
    assert joints.header.frame_id == 'world' and from_time(joints.header.stamp) == 1_500_000_000
    assert from_time(joints.lifetime) == 1_250_000_000 and joints.pose.orientation.w == 1.0
    np.testing.assert_array_equal([(p.x, p.y, p.z) for p in joints.points], bodies.xyz[0])
    assert (len(joints.colors), len(bones.points), len(bones.colors)) == (17, 32, 32)
    first = [(p.x, p.y, p.z) for p in bones.points[:2]]
    np.testing.assert_array_equal(first, bodies.xyz[0, [0, 1]])


def test_colours_tell_left_from_right_and_unknown_joints_are_left_out(library):
    markers = bodies_to_markers(library.make, two_bodies()).markers
    colours = markers[0].colors
    left, right, middle = (colours[BODY17.index(name)] for name in ('left_knee', 'right_knee', 'pelvis'))
    assert left.b > middle.b > right.b and left.r > middle.r > right.r
    # The confidence is seen; that of a joint hardly seen is raised.
    assert left.a == pytest.approx(0.8) and colours[13].a == pytest.approx(0.25)
    joints, bones = markers[2:]
    assert (len(joints.points), len(joints.colors), len(bones.points), len(bones.colors)) == (16, 16, 30, 30)
    assert np.isfinite([(p.x, p.y, p.z) for p in [*joints.points, *bones.points]]).all()


def test_vanished_bodies_are_deleted(library):
    bodies = two_bodies()
    nowhere = replace(bodies, xyz=np.where(np.array([True, False])[:, None, None], bodies.xyz, np.nan))
    message = library.wire(bodies_to_markers(library.make, nowhere, previous_ids=[1, 3]), ARRAY)
    assert [(m.ns, m.id, m.action) for m in message.markers] == [
        ('joints', 3, 0), ('bones', 3, 0), ('joints', 1, 2), ('bones', 1, 2), ('joints', 5, 2), ('bones', 5, 2),
    ]  # fmt: skip
    message = bodies_to_markers(library.make, Bodies3D.empty(0, 'world', BODY17), previous_ids={3})
    assert [(m.ns, m.id, m.action) for m in message.markers] == [('joints', 3, 2), ('bones', 3, 2)]
    with pytest.raises(ShapeError, match='Body ids'):
        bodies_to_markers(library.make, replace(bodies, body_ids=np.array([3, 2**31])))
