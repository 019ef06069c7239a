# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Both message libraries, each with a trip over the wire (CDR)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from geo_pose_ros.bags.message_factory import RosbagsFactory
from geo_pose_ros.messages.factory import MessageFactory


@dataclass
class Library:
    """A message library: its factory and its serialisation."""

    make: MessageFactory
    dump: Callable[[Any, str], bytes]
    load: Callable[[bytes, str], Any]

    def wire(self, message: Any, message_type: str) -> Any:
        """Return the message as a subscriber gets it."""
        return self.load(self.dump(message, message_type), message_type)


def rosbags_library(definitions: Mapping[str, str] | None = None) -> Library:
    """Return rosbags' messages, and those that ``definitions`` give by name."""
    store = get_typestore(Stores.ROS2_HUMBLE)
    for name, definition in (definitions or {}).items():
        store.register(get_types_from_msg(definition, name))
    return Library(RosbagsFactory(store), store.serialize_cdr, store.deserialize_cdr)


def rclpy_library() -> Library:
    serialization = pytest.importorskip('rclpy.serialization')
    from geo_pose_ros.ros.io.message_factory import RclpyFactory

    make = RclpyFactory()
    return Library(
        make, lambda message, _: serialization.serialize_message(message),
        lambda raw, message_type: serialization.deserialize_message(bytes(raw), type(make(message_type))),
    )


@pytest.fixture(params=[rosbags_library, rclpy_library], ids=['rosbags', 'rclpy'])
def library(request: pytest.FixtureRequest) -> Library:
    return request.param()
