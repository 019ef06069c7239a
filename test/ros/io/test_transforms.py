# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""QoS profiles and their mismatches in words; /tf_static where tf2_msgs is installed, and where it is not."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSPolicyKind, ReliabilityPolicy

from geo_pose_ros.errors import ConfigError
from geo_pose_ros.ros.io import transforms
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


@pytest.fixture(autouse=True)
def no_tf2_msgs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, 'tf2_msgs.msg', None)


def test_tf_static_is_subscribed_late(monkeypatch: pytest.MonkeyPatch) -> None:
    node = Mock()
    with pytest.raises(ConfigError, match=r'Install ros-.*-tf2-msgs, or give a rig file'):
        subscribe_static_transforms(node, print)
    monkeypatch.setattr(transforms, 'transform_message', lambda what, otherwise: int)
    subscribe_static_transforms(node, print)
    kind, topic, callback, qos = node.create_subscription.call_args.args
    assert (kind, topic, callback) == (int, '/tf_static', print)
    assert qos.durability == DurabilityPolicy.TRANSIENT_LOCAL


def test_camera_frames_are_published_latched(monkeypatch: pytest.MonkeyPatch) -> None:
    publishers = [Mock(), Mock()]
    node = Mock(**{'create_publisher.side_effect': publishers})
    node.get_clock().now().nanoseconds = S
    with pytest.raises(ConfigError, match='publish_camera_frames needs the ROS package tf2_msgs'):
        CameraFrames(node, MAKE)
    monkeypatch.setattr(transforms, 'transform_message', lambda what, otherwise: SimpleNamespace)
    frames = CameraFrames(node, MAKE)

    def published(publisher: Mock) -> list[str]:
        return [t.child_frame_id for t in publisher.publish.call_args.args[0].transforms]

    frames.publish(RIG)
    _, topic, qos = node.create_publisher.call_args.args
    assert topic == '/tf_static' and qos.durability == DurabilityPolicy.TRANSIENT_LOCAL
    assert published(publishers[0]) == [camera.frame_id for camera in RIG.cameras]
    # Another rig stands instead of the one before.
    frames.publish(RIG.subset(['cam1']))
    node.destroy_publisher.assert_called_once_with(publishers[0])
    assert published(publishers[1]) == [RIG['cam1'].frame_id]
    frames.close()
    frames.close()
    assert [call.args for call in node.destroy_publisher.call_args_list] == [(one,) for one in publishers]
