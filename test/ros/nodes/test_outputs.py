# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""What is published where vision_msgs is installed, and where it is not."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import pytest

from geo_pose_ros.errors import ConfigError
from geo_pose_ros.pipeline import PipelineResult
from geo_pose_ros.ros.io.message_factory import installed_class
from geo_pose_ros.ros.nodes import outputs
from geo_pose_ros.ros.nodes.outputs import CameraOutputs, Outputs
from geo_pose_ros.ros.settings import NodeConfig
from geo_pose_ros.scene.scene import SceneResult
from test.messages.test_detections3d import MAKE
from test.ros.harness import RIG
from test.ros.nodes.test_humans import FakeNode, bodies

TOPIC = '~/detections3d'


def test_boxes_are_published_for_who_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outputs, 'RclpyFactory', lambda: MAKE)
    monkeypatch.setattr(outputs, 'installed_class', lambda kind: kind)
    node = FakeNode()
    made = Outputs(node, NodeConfig())
    result = PipelineResult(SceneResult(bodies(4, 9)))
    with monkeypatch.context() as patched:
        patched.setattr(outputs, 'bodies_to_detections3d', lambda *args: 1 / 0)
        made.publish(result, RIG)
    assert node.sent[TOPIC] == []
    node.listened.add(TOPIC)
    made.publish(result, RIG)
    assert [found.id for found in node.sent[TOPIC][0].detections] == ['4', '9']
    made.close()
    assert node.topics == {}


def test_a_class_is_there_if_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    package = ModuleType('some_msgs.msg')
    package.Some = int  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, 'some_msgs', ModuleType('some_msgs'))
    monkeypatch.setitem(sys.modules, 'some_msgs.msg', package)
    assert installed_class('some_msgs/msg/Some') is int
    assert installed_class('some_msgs/msg/Other') is None
    assert installed_class('no_such_msgs/msg/Some') is None


def test_body_frames_are_published_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    node = FakeNode()
    monkeypatch.setitem(sys.modules, 'tf2_msgs.msg', None)
    with pytest.raises(ConfigError, match='publish_body_frames needs the ROS package tf2_msgs'):
        Outputs(node, NodeConfig(publish_body_frames=True))
    monkeypatch.setattr(outputs, 'transform_message', lambda what, otherwise: SimpleNamespace)
    monkeypatch.setattr(outputs, 'installed_class', lambda kind: None)
    made = Outputs(node, NodeConfig(publish_body_frames=True))
    made.cameras |= {name: CameraOutputs(node, name, active=False) for name in RIG.names}
    made.publish(PipelineResult(SceneResult(bodies(4))), RIG)
    (frame,) = node.sent['/tf'][0].transforms
    assert (frame.header.frame_id, frame.child_frame_id) == ('world', 'body_4')
    made.close()
    assert node.topics == {}
    # What is not asked for, or not installed, is not created.
    Outputs(node, NodeConfig())
    assert '~/bodies' in node.topics and not {'/tf', TOPIC, '/humans/bodies/tracked'} & set(node.topics)
