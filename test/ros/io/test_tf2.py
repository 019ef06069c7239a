# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Transforms of a live node: tf2's buffer where it is installed, the package's own reader where it is not."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
from rclpy.clock import ClockType
from rclpy.node import Node
from rclpy.time import Time

from geo_pose_ros.errors import ConfigError, TransformError
from geo_pose_ros.ros.io import transforms
from geo_pose_ros.ros.io.transforms import OwnTransforms, Tf2Transforms, listen_to_transforms
from test.ros.nodes.test_moving import IDENTITY, S, along_x, told

# tf2_ros, as far as it is used: geometry2 0.39.1 (1b005c65), tf2_ros_py/tf2_ros/{buffer,transform_listener}.py and
# tf2_py/src/tf2_py.cpp: Buffer().lookup_transform(target_frame, source_frame, time, timeout=0), time an rclpy Time, 0
# the newest; clear(); TransformListener(buffer, node, *, spin_thread, qos, static_qos, ...) with unregister();
# LookupException, ConnectivityException, InvalidArgumentException and ExtrapolationException below
# TransformException; the words from tf2/src/{cache,buffer_core}.cpp.
# By frame: the exception, its words, and the kind of our error.
ERRORS = {
    '/base': ('InvalidArgumentException', 'Invalid argument "/base" passed to lookupTransform argument ...', 'missing'),
    'apart': ('ConnectivityException', "Could not find a connection between 'odom' and 'apart'", 'missing'),
    'nowhere': ('LookupException', '"nowhere" passed to lookupTransform ... source_frame does not exist. ', 'missing'),
    'once': ('ExtrapolationException', 'Lookup would require extrapolation at time 1.0, but only time 2.0 ...', 'late'),
    'future': ('ExtrapolationException', 'Lookup would require extrapolation into the future.  Requested ...', 'late'),
    'past': ('ExtrapolationException', 'Lookup would require extrapolation into the past.  Requested ...', 'old'),
}


class FakeTf2(ModuleType):
    def __init__(self) -> None:
        super().__init__('tf2_ros')
        self.TransformException = type('TransformException', (Exception,), {})
        for name, *_ in ERRORS.values():
            setattr(self, name, type(name, (self.TransformException,), {}))
        self.closed, self.cleared = False, 0

        class Buffer:
            def clear(inner) -> None:
                self.cleared += 1

            def lookup_transform(inner, target_frame: str, source_frame: str, time: Time) -> Any:
                if source_frame in ERRORS:
                    name, words, _ = ERRORS[source_frame]
                    raise getattr(self, name)(words)
                at_ns = time.nanoseconds or 2 * S
                return told(target_frame, source_frame, at_ns, along_x(at_ns / S)).transforms[0]

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
    for frame, (*_, kind) in ERRORS.items():
        with pytest.raises(TransformError, match=f"'{frame}' in 'odom': ") as caught:
            source.lookup('odom', frame, S)
        assert caught.value.kind == kind
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
    monkeypatch.setitem(sys.modules, 'tf2_msgs.msg', None)
    callbacks: dict[str, Callable[[Any], None]] = {}
    node, said = Mock(), []

    def subscribe(kind: Any, topic: str, callback: Callable[[Any], None], qos: Any) -> str:
        callbacks[topic] = callback
        return topic

    node.create_subscription, node.destroy_subscription = subscribe, callbacks.pop
    with pytest.raises(ConfigError, match=r'Cameras that move needs the ROS package tf2_msgs .* set no tracking_frame'):
        listen_to_transforms(node, said.append)
    monkeypatch.setattr(transforms, 'transform_message', lambda what, otherwise: int)
    source = listen_to_transforms(node, said.append)
    assert isinstance(source, OwnTransforms)
    callbacks['/tf_static'](told('base', 'eye', 0, IDENTITY))
    callbacks['/tf'](told('odom', 'base', S, IDENTITY))
    np.testing.assert_array_equal(source.lookup('odom', 'eye', S), IDENTITY)
    broken = told('odom', 'base', S, IDENTITY)
    broken.transforms[0].transform.rotation.w = 0.0
    callbacks['/tf'](broken)
    assert len(said) == 1 and 'expected a unit quaternion' in said[0]
    source.close()
    assert not callbacks
