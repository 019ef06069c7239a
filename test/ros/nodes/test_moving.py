"""Cameras that move: tf2's buffer and our reader, and a live node that drives."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from rclpy.clock import ClockType
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.time import Time
from std_msgs.msg import String

from geo_pose_ros.arrays import FloatArray
from geo_pose_ros.errors import ConfigError, TransformError
from geo_pose_ros.geometry.projection import project_world
from geo_pose_ros.geometry.rigid import compose, from_rotation_vector, invert, transform_points
from geo_pose_ros.messages.clouds.keypoints import keypoints_to_cloud
from geo_pose_ros.messages.transforms import to_transform
from geo_pose_ros.pipeline import PipelineResult
from geo_pose_ros.rigs.moving import Mount
from geo_pose_ros.ros.health import statistics
from geo_pose_ros.ros.io import transforms
from geo_pose_ros.ros.io.transforms import OwnTransforms, Tf2Transforms, listen_to_transforms
from geo_pose_ros.ros.nodes import outputs, rig_source
from geo_pose_ros.ros.nodes.outputs import CameraOutputs, Outputs
from geo_pose_ros.ros.nodes.rig_source import MovingRig
from geo_pose_ros.ros.nodes.settings import NodeConfig
from geo_pose_ros.scene.scene import SceneResult
from geo_pose_ros.skeleton import BODY17
from geo_pose_ros.types import Bodies3D, Keypoints2D
from test.ros.harness import MAKE, PERSON, RIG, Cameras, Console, World, until, world

S = 1_000_000_000
NO_WAIT = Duration()
IDENTITY = np.eye(3, 4)


def told(parent: str, child: str, stamp_ns: int, pose: FloatArray) -> Any:
    """A TFMessage by duck, of one transform."""
    return SimpleNamespace(transforms=[to_transform(MAKE, parent, child, pose, stamp_ns)])


def along_x(x_m: float) -> FloatArray:
    return from_rotation_vector(np.zeros(3), np.array([x_m, 0.0, 0.0]))


# tf2_ros, as far as it is used: geometry2 0.39.1 (1b005c65), tf2_ros_py/tf2_ros/{buffer,transform_listener}.py and
# tf2_py/src/tf2_py.cpp: Buffer().lookup_transform(target_frame, source_frame, time, timeout=0), time an rclpy Time, 0
# the newest; clear(); TransformListener(buffer, node, *, spin_thread, qos, static_qos, ...) with unregister();
# LookupException, ConnectivityException, InvalidArgumentException and ExtrapolationException below
# TransformException; the words from tf2/src/{cache,buffer_core}.cpp.


class FakeTf2(ModuleType):
    def __init__(self) -> None:
        super().__init__('tf2_ros')

        class TransformException(Exception):
            pass

        class LookupException(TransformException):
            pass

        class ConnectivityException(TransformException):
            pass

        class InvalidArgumentException(TransformException):
            pass

        class ExtrapolationException(TransformException):
            pass

        self.TransformException, self.ExtrapolationException = TransformException, ExtrapolationException
        self.closed, self.cleared = False, 0

        class Buffer:
            def clear(inner) -> None:
                self.cleared += 1

            def lookup_transform(
                inner, target_frame: str, source_frame: str, time: Time, timeout: Duration = NO_WAIT
            ) -> Any:
                if source_frame.startswith('/'):
                    raise InvalidArgumentException(
                        f'Invalid argument "{source_frame}" passed to lookupTransform argument source_frame - in tf2 '
                        "frame_ids cannot start with a '/'"
                    )
                if source_frame == 'apart':
                    raise ConnectivityException(
                        "Could not find a connection between 'odom' and 'apart' because they are not part of the same "
                        'tree. Tf has two or more unconnected trees.'
                    )
                if source_frame == 'once' and time.nanoseconds:
                    raise ExtrapolationException(
                        'Lookup would require extrapolation at time 1.0, but only time 2.0 is in the buffer'
                    )
                if source_frame == 'nowhere':
                    raise LookupException('"nowhere" passed to lookupTransform argument source_frame does not exist. ')
                if time.nanoseconds > 2 * S:
                    raise ExtrapolationException('Lookup would require extrapolation into the future.  Requested ...')
                if 0 < time.nanoseconds < S:
                    raise ExtrapolationException('Lookup would require extrapolation into the past.  Requested ...')
                at = time.nanoseconds or 2 * S
                return told(target_frame, source_frame, at, along_x(at / S)).transforms[0]

        class TransformListener:
            def __init__(inner, buffer: Any, node: Any) -> None:
                assert isinstance(buffer, Buffer) and isinstance(node, Node)

            def unregister(inner) -> None:
                self.closed = True

        self.Buffer, self.TransformListener = Buffer, TransformListener


def test_tf2_answers_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeTf2()
    monkeypatch.setitem(sys.modules, 'tf2_ros', fake)
    monkeypatch.setattr(transforms, 'find_spec', lambda name: name)
    node = Node('simulated')
    source = listen_to_transforms(node, print)
    assert isinstance(source, Tf2Transforms)
    np.testing.assert_array_equal(source.lookup('odom', 'base', S), along_x(1.0))
    np.testing.assert_array_equal(source.lookup('odom', 'base', None), along_x(2.0))
    kinds = {}
    for stamp, frame in (
        (3 * S, 'base'), (-7, 'base'), (S, 'nowhere'), (S + 1, 'apart'), (S + 2, '/base'), (S + 3, 'once')
    ):
        with pytest.raises(TransformError, match=f"'{frame}' in 'odom': ") as caught:
            source.lookup('odom', frame, stamp)
        kinds[stamp] = caught.value.kind
    assert kinds == {
        3 * S: 'late', -7: 'old', S: 'missing', S + 1: 'missing', S + 2: 'missing', S + 3: 'late'
    }
    # What was told before simulated time began anew is of a time to come.
    clock = node.get_clock()
    clock._set_ros_time_is_active(True)
    begun = fake.cleared
    for now_s, cleared in ((100, 0), (160, 0), (159.5, 0), (3, 1)):
        clock.set_ros_time_override(Time(nanoseconds=round(now_s * S), clock_type=ClockType.ROS_TIME))
        assert fake.cleared - begun == cleared
    source.close()
    assert fake.closed
    clock.set_ros_time_override(Time(nanoseconds=S, clock_type=ClockType.ROS_TIME))
    assert fake.cleared - begun == 1
    node.destroy_node()


def test_without_tf2_our_reader_listens_to_both_topics(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transforms, 'find_spec', lambda name: None)
    monkeypatch.setitem(sys.modules, 'tf2_msgs', None)
    node, said = FakeNode(), []
    with pytest.raises(ConfigError, match=r'Cameras that move needs the ROS package tf2_msgs .* set no tracking_frame'):
        listen_to_transforms(node, said.append)
    monkeypatch.setattr(transforms, 'transform_message', lambda what, otherwise: int)
    source = listen_to_transforms(node, said.append)
    assert isinstance(source, OwnTransforms)
    node.callbacks['/tf_static'](told('base', 'eye', 0, IDENTITY))
    node.callbacks['/tf'](told('odom', 'base', S, IDENTITY))
    np.testing.assert_array_equal(source.lookup('odom', 'eye', S), IDENTITY)
    broken = told('odom', 'base', S, IDENTITY)
    broken.transforms[0].transform.rotation.w = 0.0
    node.callbacks['/tf'](broken)
    assert len(said) == 1 and 'expected a unit quaternion' in said[0]
    source.close()
    assert not node.callbacks


class FakeNode:
    """Remembers who subscribed to what."""

    def __init__(self) -> None:
        self.callbacks: dict[str, Callable[[Any], None]] = {}

    def create_subscription(self, kind: Any, topic: str, callback: Callable[[Any], None], qos: Any) -> str:
        self.callbacks[topic] = callback
        return topic

    def destroy_subscription(self, topic: str) -> None:
        del self.callbacks[topic]


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
    given_up = moving(monkeypatch, never, 20.0)
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

    def __init__(self) -> None:
        self.sources: list[OwnTransforms] = []
        self.tells = True
        self.jump_m = 0.0

    def tell(self, stamp_ns: int) -> None:
        pose = compose(along_x(self.jump_m), drive(stamp_ns))
        if self.tells:
            for source in self.sources:
                source.add(told('odom', 'world', stamp_ns, pose), static=False)

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
def robot(monkeypatch: pytest.MonkeyPatch) -> Robot:
    """The ROS wheels lack tf2_msgs: subscriptions are of another type, and transforms are handed to the reader."""
    told_of = Robot()

    def listen(node: Any, complain: Callable[[str], None]) -> OwnTransforms:
        told_of.sources.append(OwnTransforms(node, complain))
        return told_of.sources[-1]

    monkeypatch.setattr(transforms, 'transform_message', lambda what, otherwise: String)
    monkeypatch.setattr(rig_source, 'listen_to_transforms', listen)
    return told_of


@contextmanager
def driving(robot: Robot, rig_path: str, **parameters: Any) -> Iterator[World]:
    given = {'tracking_frame': 'odom', **parameters}
    with world('keypoints', rig_path=rig_path, before_start=robot.start, **given) as w:
        yield w


def test_a_person_who_stands_stays_where_they_are_while_the_robot_drives(robot: Robot, rig_path: str) -> None:
    with driving(robot, rig_path) as w:
        bodies = w.new_bodies(20, views=4)
        for found in bodies:
            assert found.frame_id == 'odom'
            np.testing.assert_allclose(found.xyz[0], PERSON, atol=0.005)
        assert {int(b.body_ids[0]) for b in bodies} == {0}
        until(lambda: 'stage_ms transforms' in w.values('pipeline'), 'the cost of transforms is told')


def test_bodies_are_published_in_the_frame_asked_for(robot: Robot, rig_path: str) -> None:
    with driving(robot, rig_path, output_in='world_frame') as w:
        for found in w.new_bodies(5, views=4):
            assert found.frame_id == 'world'
            in_base = transform_points(invert(drive(found.stamp_ns)), PERSON)
            np.testing.assert_allclose(found.xyz[0], in_base, atol=0.005)
    with driving(robot, rig_path, output_in='world_frame', world_frame='map') as w:
        w.reported('pipeline', "No transform joins 'map' and 'odom'")
        assert w.bodies == []


def test_transforms_that_stop_or_jump_are_told_and_cost_their_sets_only(
    robot: Robot, rig_path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statistics, '_RECENT_NS', S // 2)
    with driving(robot, rig_path, transform_wait_ms=5.0) as w:
        before = w.new_bodies(3, views=4)
        robot.tells = False
        console = Console(w)
        w.reported(
            'rig', "no pose of cam0, cam1, cam2, cam3: the newest transform 'odom' -> 'world' is",
            'older than the image',
        )
        until(lambda: int(w.values('camera cam0').get('unusable: transform late', '0')) > 3, 'it is counted')
        robot.tells = True
        after = w.new_bodies(3, views=4)
        assert {int(b.body_ids[0]) for b in before + after} == {0}
        robot.jump_m = 3.0
        w.reported('rig', "frame 'world' jumped by", 'Track in a frame that does not jump')
        until(lambda: 'unusable: transform jump' in w.values('camera cam0'), 'it is counted')
        np.testing.assert_allclose(w.new_bodies(3, views=4)[-1].xyz[0], PERSON + (3.0, 0.0, 0.0), atol=0.005)
        console.says('over after', "the newest transform 'odom' -> 'world'")
        assert sum(line.startswith('rig: no pose of') and 'newest' in line for line in console.lines) == 1


def test_body_frames_are_published_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: dict[str, list[Any]] = {}

    def create(kind: Any, topic: str, qos: Any) -> Any:
        return SimpleNamespace(publish=sent.setdefault(topic, []).append, get_subscription_count=lambda: 0)

    gone: list[Any] = []
    node = SimpleNamespace(create_lifecycle_publisher=create, destroy_lifecycle_publisher=gone.append)
    monkeypatch.setitem(sys.modules, 'tf2_msgs', None)
    with pytest.raises(ConfigError, match='publish_body_frames needs the ROS package tf2_msgs'):
        Outputs(node, NodeConfig(publish_body_frames=True))
    monkeypatch.setattr(outputs, 'transform_message', lambda what, otherwise: SimpleNamespace)
    monkeypatch.setattr(outputs, 'installed_class', lambda kind: None)
    made = Outputs(node, NodeConfig(publish_body_frames=True))
    ones = np.ones((1, 17))
    bodies = Bodies3D(
        S, 'odom', BODY17, PERSON[None], np.zeros((1, 17, 3, 3)), ones, ones.astype(int), ones, np.array([4])
    )
    made.cameras |= {name: CameraOutputs(node, name, active=False) for name in RIG.names}
    made.publish(PipelineResult(SceneResult(bodies)), RIG)
    (told_frame,) = sent['/tf'][0].transforms
    assert (told_frame.header.frame_id, told_frame.child_frame_id) == ('odom', 'body_4')
    made.close()
    # ~/bodies, details, markers, skeleton, /tf; keypoints, expected and annotated of each camera.
    assert len(gone) == 5 + 3 * len(RIG)
    # Not asked for, nothing is created.
    sent.clear()
    Outputs(node, NodeConfig())
    assert '/tf' not in sent
