# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Boxes of bodies: values by exact truth, over the wire.

test/interfaces has vision_msgs as upstream defines it: ros-perception/vision_msgs, vision_msgs/msg/*.msg at
e77fa2d97d69abaaa546592892d2d5d16cec9977 (4.1.1; 4.0.0 has the same fields).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from geo_pose_ros.geometry.body_frame import frame_covariance
from geo_pose_ros.geometry.rigid import from_quaternion, from_rotation_vector, transform_points
from geo_pose_ros.messages.detections3d import bodies_to_detections3d
from geo_pose_ros.messages.stamps import stamp_of
from geo_pose_ros.simulation.walks import STANDING
from geo_pose_ros.skeleton import BODY17
from geo_pose_ros.types import Bodies3D
from test.messages.conftest import rosbags_library

TYPE = 'vision_msgs/msg/Detection3DArray'
LIBRARY = rosbags_library('vision_msgs')
MAKE = LIBRARY.make
PELVIS, THORAX = BODY17.index('pelvis'), BODY17.index('thorax')


def bodies(*xyz: Any) -> Bodies3D:
    shape = (len(xyz), 17)
    return Bodies3D(
        3, 'map', BODY17, np.stack(xyz), np.tile(1e-4 * np.eye(3), (*shape, 1, 1)),
        np.tile(np.linspace(0.2, 1.0, 17), (len(xyz), 1)), np.full(shape, 4), np.zeros(shape), np.arange(len(xyz)) + 6,
    )


def sent(found: Bodies3D) -> Any:
    message = LIBRARY.wire(bodies_to_detections3d(MAKE, found), TYPE)
    assert message.header.frame_id == 'map' and stamp_of(message) == 3
    return message.detections


def frame(pose: Any) -> Any:
    p, q = pose.position, pose.orientation
    return from_quaternion(np.array([q.x, q.y, q.z, q.w]), np.array([p.x, p.y, p.z]))


def test_a_body_turned_is_a_box_turned() -> None:
    moved = from_rotation_vector(np.array([0.2, -0.4, 2.0]), np.array([1.0, -2.0, 0.5]))
    as_it_is, turned = sent(bodies(STANDING, transform_points(moved, STANDING)))
    assert (as_it_is.id, turned.id) == ('6', '7')
    for found in (as_it_is, turned):
        (result,) = found.results
        assert result.hypothesis.class_id == 'person' and result.hypothesis.score == pytest.approx(0.6)
        size = [found.bbox.size.x, found.bbox.size.y, found.bbox.size.z]
        np.testing.assert_allclose(size, STANDING.max(0) - STANDING.min(0), atol=1e-9)
        assert found.header.frame_id == 'map'
    # STANDING faces +x with its trunk upright.
    middle = (STANDING.min(0) + STANDING.max(0)) / 2.0
    np.testing.assert_allclose(frame(as_it_is.bbox.center), np.column_stack([np.eye(3), middle]), atol=1e-9)
    np.testing.assert_allclose(
        frame(turned.bbox.center), np.column_stack([moved[:, :3], transform_points(moved, middle[None])[0]]), atol=1e-9
    )
    pelvis = transform_points(moved, STANDING[PELVIS][None])[0]
    np.testing.assert_allclose(frame(turned.results[0].pose.pose), np.column_stack([moved[:, :3], pelvis]), atol=1e-9)
    np.testing.assert_allclose(
        turned.results[0].pose.covariance.reshape(6, 6),
        frame_covariance(bodies(transform_points(moved, STANDING)).xyz, bodies(STANDING).covariance)[0], atol=1e-12,
    )


def test_a_body_without_a_trunk_is_there_all_the_same() -> None:
    xyz = STANDING.copy()
    xyz[[THORAX, 3]] = np.nan
    (found,) = sent(bodies(xyz, np.full((17, 3), np.nan)))
    low, high = np.nanmin(xyz, 0), np.nanmax(xyz, 0)
    expected = np.column_stack([np.eye(3), (low + high) / 2.0])
    np.testing.assert_allclose(frame(found.results[0].pose.pose), expected, atol=1e-9)
    np.testing.assert_allclose(frame(found.bbox.center), expected, atol=1e-9)
    assert found.bbox.size.z == pytest.approx(high[2] - low[2])
    assert np.isnan(found.results[0].pose.covariance).all()
    assert found.results[0].hypothesis.score == pytest.approx(np.delete(np.linspace(0.2, 1.0, 17), [THORAX, 3]).mean())
    assert sent(Bodies3D.empty(3, 'map', BODY17)) == []


def test_how_certain_a_frame_is() -> None:
    """A trunk of 0.5 m: a thorax that errs to the front leans it about y; to the side, about x, upwards not at all."""
    def of(joint: int, variance: tuple[float, float, float], R: Any = None) -> Any:
        covariance = np.zeros((1, 17, 3, 3))
        covariance[0, joint] = np.diag(variance)
        R = np.eye(3) if R is None else R
        return frame_covariance(STANDING[None] @ R.T, R @ covariance @ R.T)[0]

    leaned = of(THORAX, (1e-4, 4e-4, 9e-4))
    np.testing.assert_allclose(leaned, np.diag([0.0, 0.0, 0.0, 16e-4, 4e-4, 0.0]), atol=1e-8)
    # The pelvis is where the frame is; forwards of the thorax it leans the other way.
    both = of(PELVIS, (1e-4, 0.0, 0.0))
    assert both[0, 0] == pytest.approx(1e-4) and both[4, 4] == pytest.approx(4e-4)
    assert both[0, 4] == pytest.approx(-2e-4)
    # A left shoulder forwards turns the breadth of 0.24 + 0.34 m to the right, about -z.
    assert of(BODY17.index('left_shoulder'), (1e-4, 0.0, 0.0))[5, 5] == pytest.approx(1e-4 / 0.58**2, rel=1e-4)
    # Turned with the body.
    quarter = from_rotation_vector(np.array([0.0, 0.0, np.pi / 2.0]), np.zeros(3))[:, :3]
    turned = of(THORAX, (1e-4, 4e-4, 9e-4), quarter)
    np.testing.assert_allclose(turned, np.diag([0.0, 0.0, 0.0, 4e-4, 16e-4, 0.0]), atol=1e-8)
    unknown = bodies(STANDING)
    unknown = replace(unknown, covariance=np.full_like(unknown.covariance, np.nan))
    assert np.isnan(frame_covariance(unknown.xyz, unknown.covariance)).all()
