# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Cameras that move: transforms that are late, and a live node that drives."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from rclpy.node import Node

from geo_pose_ros.arrays import FloatArray
from geo_pose_ros.errors import TransformError
from geo_pose_ros.geometry.projection import project_world
from geo_pose_ros.geometry.rigid import compose, from_rotation_vector, invert, transform_points
from geo_pose_ros.messages.clouds.keypoints import keypoints_to_cloud
from geo_pose_ros.messages.transforms import to_transform
from geo_pose_ros.rigs.moving import Mount
from geo_pose_ros.ros.io.qos import profile
from geo_pose_ros.ros.nodes import rig_source
from geo_pose_ros.ros.nodes.rig_source import MovingRig
from geo_pose_ros.ros.settings import NodeConfig
from geo_pose_ros.skeleton import BODY17
from geo_pose_ros.types import Keypoints2D
from test.ros.harness import MAKE, PERSON, RIG, Cameras, World, until, world

S = 1_000_000_000
IDENTITY = np.eye(3, 4)


def told(parent: str, child: str, stamp_ns: int, pose: FloatArray) -> Any:
    """A TFMessage by duck, of one transform."""
    return SimpleNamespace(transforms=[to_transform(MAKE, parent, child, pose, stamp_ns)])


def along_x(x_m: float) -> FloatArray:
    return from_rotation_vector(np.zeros(3), np.array([x_m, 0.0, 0.0]))


class LateSource:
    """Knows a frame only after having been asked ``refusals`` times."""

    def __init__(self, refusals: int) -> None:
        self.refusals, self.asked = refusals, 0

    def lookup(self, target: str, source: str, stamp_ns: int | None) -> FloatArray:
        self.asked += 1
        if self.asked <= self.refusals:
            raise TransformError('late', 'not yet')
        return IDENTITY

    def close(self) -> None:
        pass


def moving(monkeypatch: pytest.MonkeyPatch, source: LateSource, wait_ms: float) -> MovingRig:
    monkeypatch.setattr(rig_source, 'listen_to_transforms', lambda node, complain: source)
    mounts = {'cam': Mount('base', np.eye(3, 4))}
    return MovingRig(None, NodeConfig(tracking_frame='odom', transform_wait_ms=wait_ms), print, lambda: mounts)


def test_a_late_transform_is_waited_for_but_not_again_in_vain(monkeypatch: pytest.MonkeyPatch) -> None:
    prompt = moving(monkeypatch, LateSource(3), 10_000.0)
    assert set(prompt.poses_at({'cam': S}).cam_from_tracking) == {'cam'}
    never = LateSource(10**9)
    given_up = moving(monkeypatch, never, 200.0)
    assert given_up.poses_at({'cam': S}).faults['cam'].kind == 'late'
    asked = never.asked
    assert asked > 1
    given_up.poses_at({'cam': S})
    assert never.asked == asked + 1
    # In time once, waited for again.
    never.asked, never.refusals = 0, 0
    assert not given_up.poses_at({'cam': S}).faults
    never.asked, never.refusals = 0, 3
    assert not given_up.poses_at({'cam': S}).faults


# A live node on a robot that drives to and fro and turns; one person stands in odom.


def drive(stamp_ns: int) -> FloatArray:
    """odom_from_base (3, 4): up to 0.5 m/s and 30 deg/s."""
    there = 0.5 * math.sin((stamp_ns % (1000 * S)) / S)
    return from_rotation_vector(np.array([0.0, 0.0, there]), np.array([there, 0.2, 0.0]))


class Robot:
    """Tells the node where it is, and its cameras what they see."""

    def __init__(self, send: Callable[[Any], None]) -> None:
        self._send = send
        self.tells = True
        self.jump_m = 0.0

    def tell(self, stamp_ns: int) -> None:
        if self.tells:
            self._send(told('odom', 'world', stamp_ns, compose(along_x(self.jump_m), drive(stamp_ns))))

    def start(self, cameras: Cameras) -> None:
        for name in RIG.names:
            cameras.behaviour[name] = lambda stamp_ns, name=name: self.see(name, stamp_ns)

    def see(self, name: str, stamp_ns: int) -> Any:
        self.tell(stamp_ns)
        pose = compose(RIG[name].cam_from_world, invert(drive(stamp_ns)))
        xy = project_world(replace(RIG[name], cam_from_world=pose), PERSON)
        found = Keypoints2D(name, stamp_ns, BODY17, xy[None], np.ones((1, 17)))
        return keypoints_to_cloud(MAKE, found, RIG[name].frame_id)


@pytest.fixture
def robot(node: Node) -> Robot:
    kind = pytest.importorskip('tf2_msgs.msg').TFMessage
    publisher = node.create_publisher(kind, '/tf', profile(100))
    return Robot(lambda message: publisher.publish(kind(transforms=message.transforms)))


@contextmanager
def driving(robot: Robot, rig_path: str, **parameters: Any) -> Iterator[World]:
    given = {'tracking_frame': 'odom', **parameters}
    with world('keypoints', rig_path=rig_path, before_start=robot.start, **given) as w:
        yield w


@pytest.mark.parametrize('frame', ['odom', 'world'])
def test_a_person_who_stands_stays_where_they_are_while_the_robot_drives(
    robot: Robot, rig_path: str, frame: str
) -> None:
    with driving(robot, rig_path, output_in='tracking_frame' if frame == 'odom' else 'world_frame') as w:
        bodies = w.new_bodies(20, views=4)
        for found in bodies:
            assert found.frame_id == frame
            there = PERSON if frame == 'odom' else transform_points(invert(drive(found.stamp_ns)), PERSON)
            np.testing.assert_allclose(found.xyz[0], there, atol=0.005)
        assert {int(b.body_ids[0]) for b in bodies} == {0}
        until(lambda: 'stage_ms transforms' in w.values('pipeline'), 'the cost of transforms is told')


def test_a_frame_of_the_output_that_nothing_joins(robot: Robot, rig_path: str) -> None:
    with driving(robot, rig_path, output_in='world_frame', world_frame='map') as w:
        w.reported('pipeline', "No transform joins 'map' and 'odom'")
        assert w.bodies == []
