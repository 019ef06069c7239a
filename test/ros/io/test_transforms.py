"""QoS profiles and their mismatches in words; /tf_static where tf2_msgs is installed, and where it is not."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSPolicyKind, ReliabilityPolicy

from geo_pose_ros.errors import ConfigError
from geo_pose_ros.ros.io.qos import explain_incompatible, profile
from geo_pose_ros.ros.io.transforms import CameraFrames, subscribe_static_transforms
from test.ros.harness import MAKE, RIG

S = 1_000_000_000


def test_profiles() -> None:
    latched = profile(3, latched=True)
    assert (latched.depth, latched.history) == (3, HistoryPolicy.KEEP_LAST)
    assert (latched.durability, latched.reliability) == (DurabilityPolicy.TRANSIENT_LOCAL, ReliabilityPolicy.RELIABLE)
    assert profile(1, reliable=False).reliability == ReliabilityPolicy.BEST_EFFORT


def test_incompatible_qos_in_words() -> None:
    def said(kind: Any) -> str:
        return explain_incompatible('left/image_raw', SimpleNamespace(last_policy_kind=kind))

    assert 'set reliability:=best_effort' in said(QoSPolicyKind.RELIABILITY)
    assert 'change deadline of the publisher' in said(QoSPolicyKind.DEADLINE)


def test_tf_static_is_subscribed_late(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Any, ...]] = []
    node = SimpleNamespace(create_subscription=lambda *a: asked.append(a))
    monkeypatch.setitem(sys.modules, 'tf2_msgs', None)
    with pytest.raises(ConfigError, match=r'Install ros-.*-tf2-msgs, or give a rig file'):
        subscribe_static_transforms(node, print)
    module = SimpleNamespace(TFMessage=int)
    monkeypatch.setitem(sys.modules, 'tf2_msgs', SimpleNamespace(msg=module))
    monkeypatch.setitem(sys.modules, 'tf2_msgs.msg', module)
    subscribe_static_transforms(node, print)
    kind, topic, callback, qos = asked[0]
    assert (kind, topic, callback) == (int, '/tf_static', print)
    assert qos.durability == DurabilityPolicy.TRANSIENT_LOCAL


def test_camera_frames_are_published_latched(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Any] = []
    asked: list[tuple[Any, ...]] = []

    def create_publisher(*arguments: Any) -> Any:
        asked.append(arguments)
        made.append(SimpleNamespace(publish=sent.append))
        return made[-1]

    made: list[Any] = []
    clock = SimpleNamespace(now=lambda: SimpleNamespace(nanoseconds=S))
    node = SimpleNamespace(
        create_publisher=create_publisher, destroy_publisher=made.remove, get_clock=lambda: clock
    )
    monkeypatch.setitem(sys.modules, 'tf2_msgs', None)
    with pytest.raises(ConfigError, match='publish_camera_frames needs the ROS package tf2_msgs'):
        CameraFrames(node, MAKE)
    module = SimpleNamespace(TFMessage=lambda transforms: SimpleNamespace(transforms=transforms))
    monkeypatch.setitem(sys.modules, 'tf2_msgs', SimpleNamespace(msg=module))
    monkeypatch.setitem(sys.modules, 'tf2_msgs.msg', module)
    frames = CameraFrames(node, MAKE)
    frames.publish(RIG)
    assert asked[0][1] == '/tf_static' and asked[0][2].durability == DurabilityPolicy.TRANSIENT_LOCAL
    assert [t.child_frame_id for t in sent[0].transforms] == [camera.frame_id for camera in RIG.cameras]
    # Another rig stands instead of the one before.
    frames.publish(RIG.subset(['cam1']))
    assert len(made) == 1
    assert [t.child_frame_id for t in sent[1].transforms] == [RIG['cam1'].frame_id]
    frames.close()
    frames.close()
    assert made == []
