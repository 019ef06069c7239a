# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""`/humans/bodies/...`: what is created, published and destroyed when, and a live node.

hri_msgs cannot be had from PyPI. Against fakes it is the definitions in test/interfaces; over the middleware, what
tools/messages.sh builds of them.
"""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from geometry_msgs.msg import PointStamped
from lifecycle_msgs.msg import Transition
from sensor_msgs.msg import JointState
from std_msgs.msg import String

from geo_pose_ros.errors import ConfigError
from geo_pose_ros.geometry.joint_angles import JOINT_NAMES, joint_angles, within_limits
from geo_pose_ros.messages.urdf import segment_lengths, urdf_of
from geo_pose_ros.pipeline import PipelineResult
from geo_pose_ros.ros.io.qos import profile
from geo_pose_ros.ros.nodes import humans, outputs
from geo_pose_ros.ros.nodes.humans import Humans
from geo_pose_ros.ros.nodes.outputs import Outputs
from geo_pose_ros.ros.settings import HumansConfig, NodeConfig
from geo_pose_ros.scene.scene import SceneResult
from geo_pose_ros.skeleton import BODY17
from geo_pose_ros.types import Bodies3D, Frame
from test.messages.test_humans import MAKE as HRI_MAKE
from test.ros.harness import HEIGHT, PERSON, RIG, WIDTH, until, world
from test.ros.nodes.test_lifecycle import change

S = 1_000_000_000
TOPICS = ('joint_states', 'position', 'velocity', 'skeleton2d', 'roi', 'cropped', 'urdf')


class FakeNode:
    """Publishers by topic, what they sent, and who listens."""

    def __init__(self) -> None:
        self.topics: dict[str, Any] = {}
        self.sent: dict[str, list[Any]] = {}
        self.listened: set[str] = set()
        self.context = SimpleNamespace(ok=lambda: True)
        self.get_clock = lambda: SimpleNamespace(now=lambda: SimpleNamespace(nanoseconds=7 * S))

    def create_publisher(self, kind: Any, topic: str, qos: Any, event_callbacks: Any = None) -> Any:
        assert topic not in self.topics
        self.topics[topic] = SimpleNamespace(
            topic=topic, publish=self.sent.setdefault(topic, []).append,
            get_subscription_count=lambda: int(topic in self.listened),
        )
        return self.topics[topic]

    def create_lifecycle_publisher(self, kind: Any, topic: str, qos: Any) -> Any:
        return self.create_publisher(kind, topic, qos)

    def destroy_publisher(self, publisher: Any) -> None:
        del self.topics[publisher.topic]

    destroy_lifecycle_publisher = destroy_publisher


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """hri_msgs and tf2_msgs, as names."""
    monkeypatch.setattr(humans, 'message_class', lambda kind: kind)
    monkeypatch.setattr(humans, 'transform_message', lambda what, otherwise: SimpleNamespace)


def bodies(*ids: int, **fields: Any) -> Bodies3D:
    xyz = np.stack([PERSON] * len(ids)) if ids else np.zeros((0, 17, 3))
    ones = np.ones((len(ids), 17))
    given = {'views': np.full((len(ids), 17), 0b0110), 'velocity': np.zeros((len(ids), 17, 3)), **fields}
    return Bodies3D(
        S, 'world', BODY17, xyz, np.zeros((len(ids), 17, 3, 3)), ones, ones.astype(int), ones, np.array(ids, int),
        **given,
    )


def of(*ids: int) -> set[str]:
    return {f'/humans/bodies/b{i}/{topic}' for i in ids for topic in TOPICS}


def test_topics_come_and_go_with_the_bodies(installed: None) -> None:
    node = FakeNode()
    made = Humans(node, HRI_MAKE)
    always = {'/humans/bodies/tracked', '/tf'}
    assert set(node.topics) == always
    node.listened.add('/humans/bodies/tracked')
    for ids in ((), (3,), (3, 5), (5,), ()):
        made.publish(bodies(*ids), RIG)
        assert set(node.topics) == always | of(*ids)
        assert node.sent['/humans/bodies/tracked'][-1].ids == [f'b{i}' for i in ids]
    made.publish(bodies(8), RIG)
    made.publish_nobody()
    assert set(node.topics) == always
    last = node.sent['/humans/bodies/tracked'][-1]
    assert last.ids == [] and last.header.stamp.sec == 7
    made.publish(bodies(8), RIG)
    # Ctrl-C has ended all topics before the node is closed.
    node.context = SimpleNamespace(ok=lambda: False)
    sent = len(node.sent['/humans/bodies/tracked'])
    made.publish_nobody()
    assert len(node.sent['/humans/bodies/tracked']) == sent
    made.close()
    assert node.topics == {}


def test_bodies_of_several_nodes_are_told_apart_by_a_prefix(installed: None, monkeypatch: pytest.MonkeyPatch) -> None:
    node = FakeNode()
    node.listened |= {'/humans/bodies/tracked', '/tf', '/humans/bodies/left_b4/joint_states'}
    Humans(node, HRI_MAKE, 'left_').publish(bodies(4), RIG)
    assert node.sent['/humans/bodies/tracked'][0].ids == ['left_b4']
    assert [frame.child_frame_id for frame in node.sent['/tf'][0].transforms] == ['body_left_b4']
    assert all(name.endswith('_left_b4') for name in node.sent['/humans/bodies/left_b4/joint_states'][0].name)
    # Without REP-155 too.
    monkeypatch.setattr(outputs, 'transform_message', lambda what, otherwise: SimpleNamespace)
    plain = FakeNode()
    made = Outputs(plain, NodeConfig(publish_body_frames=True, humans=HumansConfig('left_')))
    made.publish(PipelineResult(SceneResult(bodies(4))), RIG)
    assert [frame.child_frame_id for frame in plain.sent['/tf'][0].transforms] == ['body_left_4']
    with pytest.raises(ConfigError, match=r"humans.id_prefix': received '1-a', expected letters, digits and _"):
        HumansConfig('1-a')


def test_nothing_is_computed_for_nobody(installed: None, monkeypatch: pytest.MonkeyPatch) -> None:
    node = FakeNode()
    made = Humans(node, HRI_MAKE)
    for name in (
        'joint_angles', 'ids_to_message', 'bodies_to_transforms', 'joint_states_to_message', 'position_to_message',
        'velocity_to_message', 'skeleton2d_to_message', 'roi_to_message',
    ):
        monkeypatch.setattr(humans, name, lambda *args: 1 / 0)
    made.publish(bodies(1, 2), RIG)
    made.publish_nobody()
    # It would be, for somebody.
    node.listened = {'/humans/bodies/b1/roi'}
    with pytest.raises(ZeroDivisionError):
        made.publish(bodies(1), RIG)


def test_every_topic_gets_its_own(installed: None) -> None:
    node = FakeNode()
    node.listened = {'/tf', *of(4)}
    made = Humans(node, HRI_MAKE)
    image = np.arange(HEIGHT * WIDTH * 3, dtype=np.uint8).reshape(HEIGHT, WIDTH, 3)
    frame = Frame('cam1', S, image)
    made.publish(bodies(2, 4), RIG, {'cam1': frame})
    sent = {
        topic.removeprefix('/humans/bodies/b4/'): messages
        for topic, messages in node.sent.items() if messages and 'b2' not in topic
    }
    assert set(sent) == {'/tf', *TOPICS}
    assert [t.child_frame_id for t in sent['/tf'][0].transforms] == ['body_b2', 'body_b4']
    assert sent['joint_states'][0].name[0] == 'waist_b4'
    # Its left hip is turned beyond the limit.
    np.testing.assert_array_equal(sent['joint_states'][0].position, within_limits(joint_angles(PERSON)))
    assert sent['position'][0].point.z == PERSON[0, 2]
    assert sent['velocity'][0].twist.linear.x == 0.0
    # Cameras 1 and 2 see all joints.
    assert sent['skeleton2d'][0].header.frame_id == sent['roi'][0].header.frame_id == RIG.cameras[1].frame_id
    roi, cut = sent['roi'][0], sent['cropped'][0]
    rows, columns = (np.array(((roi.ymin, roi.ymax), (roi.xmin, roi.xmax))) * ((HEIGHT,), (WIDTH,))).tolist()
    assert abs(cut.height - (rows[1] - rows[0])) < 2 and abs(cut.width - (columns[1] - columns[0])) < 2
    np.testing.assert_array_equal(
        np.reshape(cut.data, (cut.height, cut.width, 3)),
        image[int(rows[0]) :, int(columns[0]) :][: cut.height, : cut.width],
    )
    assert (cut.encoding, cut.step, cut.header.frame_id) == ('bgr8', 3 * cut.width, RIG.cameras[1].frame_id)
    assert sent['urdf'][0].data == urdf_of(segment_lengths(PERSON), 'b4')
    # What is not known is not sent: no velocity; no camera; cameras that move.
    made.publish(bodies(4, velocity=None, views=np.zeros((1, 17), int)), RIG)
    made.publish(bodies(4), None)
    assert {name: len(messages) for name, messages in sent.items()} == {
        '/tf': 3, 'joint_states': 3, 'position': 3, 'velocity': 2, 'skeleton2d': 1, 'roi': 1, 'cropped': 1, 'urdf': 1,
    }  # fmt: skip
    # Its URDF is sent again once its segments are better known: the mean of ten sets.
    for _ in range(7):
        made.publish(bodies(4), None)
    assert len(sent['urdf']) == 2


def test_asked_for_without_its_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    config, node = NodeConfig(publish_humans=True), FakeNode()
    monkeypatch.setitem(sys.modules, 'tf2_msgs.msg', None)
    with pytest.raises(ConfigError, match='publish_humans needs the ROS package tf2_msgs'):
        Outputs(node, config)
    monkeypatch.setattr(humans, 'transform_message', lambda what, otherwise: SimpleNamespace)
    monkeypatch.setitem(sys.modules, 'hri_msgs.msg', None)
    with pytest.raises(ConfigError) as told:
        Outputs(node, config)
    for words in ('publish_humans', 'Install ros-$ROS_DISTRO-hri-msgs', 'Or set it to false'):
        assert words in str(told.value)
    assert '\n' not in str(told.value)
    # Nothing is left of the attempt.
    assert node.topics == {}


@pytest.mark.parametrize(('tracking_frame', 'images'), [('', 1), ('odom', 0)])
def test_outputs_have_humans_on_request(
    installed: None, monkeypatch: pytest.MonkeyPatch, tracking_frame: str, images: int
) -> None:
    monkeypatch.setattr(outputs, 'RclpyFactory', lambda: HRI_MAKE)
    node = FakeNode()
    made = Outputs(node, NodeConfig(publish_humans=True, tracking_frame=tracking_frame))
    node.listened = {'/humans/bodies/b4/roi'}
    made.publish(PipelineResult(SceneResult(bodies(4))), RIG)
    assert len(node.sent['/humans/bodies/b4/roi']) == images
    made.publish_nobody()
    assert '/humans/bodies/b4/roi' not in node.topics
    made.close()
    assert node.topics == {}


def test_a_listener_follows_a_live_node(rig_path: str) -> None:
    """As libhri does: subscribe to the list, to the topics of who is on it, and forget who is not."""
    hri, tf2 = pytest.importorskip('hri_msgs.msg'), pytest.importorskip('tf2_msgs.msg')
    lists: list[list[str]] = []
    angles: list[JointState] = []
    positions: list[PointStamped] = []
    urdfs: list[String] = []
    points: list[Any] = []
    frames: list[Any] = []
    with world('keypoints', rig_path=rig_path, publish_humans=True) as w:
        w.listen(hri.IdsList, '/humans/bodies/tracked', lambda m: lists.append(list(m.ids)))
        until(lambda: lists and lists[-1], 'somebody is tracked')
        assert change(w, Transition.TRANSITION_DEACTIVATE)
        until(lambda: lists[-1] == [], 'the node that stops says that nobody is tracked')
        assert change(w, Transition.TRANSITION_ACTIVATE)
        (who,) = until(lambda: lists[-1], 'somebody is tracked again')
        topic = f'/humans/bodies/{who}'
        w.listen(JointState, f'{topic}/joint_states', angles.append)
        w.listen(PointStamped, f'{topic}/position', positions.append)
        w.listen(String, f'{topic}/urdf', urdfs.append, profile(1, latched=True))
        w.listen(hri.Skeleton2D, f'{topic}/skeleton2d', points.append)
        w.listen(tf2.TFMessage, '/tf', lambda m: frames.extend(m.transforms))
        until(lambda: angles and positions and points and frames and urdfs, 'what is known of them')
        assert list(angles[-1].name) == [f'{name}_{who}' for name in JOINT_NAMES]
        np.testing.assert_allclose(angles[-1].position, within_limits(joint_angles(PERSON)), atol=0.05)
        robot = ElementTree.fromstring(urdfs[0].data)
        assert {j.get('name') for j in robot.iter('joint') if j.get('type') == 'revolute'} == set(angles[-1].name)
        point = positions[-1].point
        np.testing.assert_allclose([point.x, point.y, point.z], PERSON[0], atol=0.005)
        assert frames[-1].child_frame_id == f'body_{who}'
        assert points[-1].header.frame_id in {camera.frame_id for camera in RIG.cameras}
        assert len(points[-1].skeleton) == 18
        # All cameras fall silent, nothing more is published, and yet it is told.
        w.cameras.silence_all()
        until(lambda: lists[-1] == [], 'nobody is tracked')
        until(lambda: not w.node.get_publishers_info_by_topic(f'{topic}/position'), 'their topics are gone')
