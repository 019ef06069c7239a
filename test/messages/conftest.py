# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Both message libraries, each with a trip over the wire (CDR)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from geo_pose_ros.bags.message_factory import RosbagsFactory
from geo_pose_ros.messages.factory import MessageFactory

INTERFACES = Path(__file__).parents[1] / 'interfaces'


@dataclass
class Library:
    """A message library: its factory and its serialisation."""

    make: MessageFactory
    dump: Callable[[Any, str], bytes]
    load: Callable[[bytes, str], Any]

    def wire(self, message: Any, message_type: str) -> Any:
        """Return the message as a subscriber gets it."""
        return self.load(self.dump(message, message_type), message_type)


def rosbags_library(package: str = '') -> Library:
    """Return rosbags' messages, and those of a package of test/interfaces."""
    store = get_typestore(Stores.ROS2_HUMBLE)
    for path in (INTERFACES / package / 'msg').glob('*.msg') if package else ():
        store.register(get_types_from_msg(path.read_text(encoding='utf-8'), f'{package}/msg/{path.stem}'))
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
