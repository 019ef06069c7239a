# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""`geo_pose record`: record topics into a bag, without `ros2 bag`."""

from __future__ import annotations

import logging
import re
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription

from ...bags.write import BagWriter
from ...errors import BagError, ConfigError
from ...messages.factory import Message
from ..io.clocks import steady_timer
from ..io.message_factory import definitions_of, message_class
from ..io.qos import profile
from .standalone import spinning, standalone_node, stop_at_signals

_LOG = logging.getLogger(__name__)
_DISCOVERY_PERIOD_S = 0.25
# How long the writing waits before it looks whether it is to end.
_WRITE_PERIOD_S = 0.1
# Four cameras' raw images of 6 MB at 15 Hz for half a second; a disk that is behind by more stays behind.
_ROOM_BYTES = 256 * 2**20
_Queued = Callable[[], None]


class Recorder:
    """Subscribes to topics as they appear and queues what comes, serialised as it came; ``write`` writes it.

    The executor's thread queues, and the thread that opened the bag writes: SQLite takes no other. A slow disk delays
    no message. What does not fit into ``room_bytes`` any more is lost, and counted.

    Attributes:
        subscriptions: by the topics found so far.
        recorded, lost: messages written, and messages that came faster than the disk wrote, by topic.
        failure: what ended the writing (a full disk), or None.
    """

    def __init__(
        self, node: Node, writer: BagWriter, topics: Collection[str] = (), pattern: str = '', *,
        room_bytes: int = _ROOM_BYTES,
    ) -> None:
        """Start to subscribe.

        Args:
            node: whose executor is spun by the caller.
            writer: an open bag.
            topics: to record; empty: all that match ``pattern``.
            pattern: regular expression a topic's whole name must match; '' matches all.
            room_bytes: bound of what waits to be written.

        Raises:
            ConfigError: if the pattern is no regular expression.
        """
        try:
            self._pattern = re.compile(pattern or '.*')
        except re.error as error:
            raise ConfigError(f"--regex: '{pattern}' is no regular expression: {error}.") from error
        self._node = node
        self._writer = writer
        self._topics = set(topics)
        self.subscriptions: dict[str, Subscription[Message]] = {}
        self._unusable: set[str] = set()
        # Topics come first without a message, so that they are listed even if they stay empty.
        self._queue: SimpleQueue[_Queued] = SimpleQueue()
        # Each counts in one thread only.
        self._queued_bytes = self._written_bytes = 0
        self._room_bytes = room_bytes
        self.failure: BagError | None = None
        self.recorded: Counter[str] = Counter()
        self.lost: Counter[str] = Counter()
        # One callback at a time.
        self._group = MutuallyExclusiveCallbackGroup()
        self.discover()
        self._timer = steady_timer(node, _DISCOVERY_PERIOD_S, self.discover, self._group)

    def discover(self) -> None:
        """Subscribe to wanted topics that appeared since."""
        for topic, kinds in self._node.get_topic_names_and_types():
            wanted = topic in self._topics if self._topics else bool(self._pattern.fullmatch(topic))
            if wanted and topic not in self.subscriptions and topic not in self._unusable:
                self._subscribe(topic, kinds[0])

    def _subscribe(self, topic: str, message_type: str) -> None:
        publishers = self._node.get_publishers_info_by_topic(topic)
        if not publishers:
            return
        if len({info.topic_type for info in publishers}) > 1:
            _LOG.warning("Topic '%s' has publishers of several types; only %s is recorded.", topic, message_type)
        try:
            kind, typestore = message_class(message_type), definitions_of(message_type)
        except ConfigError as error:
            _LOG.warning("Topic '%s' is not recorded. %s", topic, error)
            self._unusable.add(topic)
            return
        qos = subscription_qos([info.qos_profile for info in publishers])
        latched = qos.durability == DurabilityPolicy.TRANSIENT_LOCAL
        self._queue.put(lambda: self._writer.add_topic(topic, message_type, latched=latched, typestore=typestore))

        def take(raw: bytes) -> None:
            if self._queued_bytes - self._written_bytes + len(raw) > self._room_bytes:
                self.lost[topic] += 1
                return
            self._queued_bytes += len(raw)
            self._queue.put(partial(self._write, topic, message_type, raw, time.time_ns()))

        self.subscriptions[topic] = self._node.create_subscription(
            kind, topic, take, qos, raw=True, callback_group=self._group
        )

    def _write(self, topic: str, message_type: str, raw: bytes, time_ns: int) -> None:
        self._writer.write_raw(topic, message_type, raw, time_ns)
        self._written_bytes += len(raw)
        self.recorded[topic] += 1

    def write(self, wait_s: float = 0.0) -> None:
        """Write what is queued; wait so long for the first. In the thread that opened the bag, while it is open."""
        try:
            self._queue.get(timeout=wait_s or None, block=bool(wait_s))()
            while True:
                self._queue.get_nowait()()
        except Empty:
            return
        except BagError as error:
            self.failure = error

    def close(self) -> None:
        """Stop to subscribe; the executor is shut down."""
        self._node.destroy_timer(self._timer)
        for subscription in self.subscriptions.values():
            self._node.destroy_subscription(subscription)


def subscription_qos(offered: Sequence[QoSProfile], depth: int = 1000) -> QoSProfile:
    """Return the strictest profile that is compatible with every publisher's (`ros2 bag record` does the same)."""
    reliable = bool(offered) and all(q.reliability == ReliabilityPolicy.RELIABLE for q in offered)
    latched = bool(offered) and all(q.durability == DurabilityPolicy.TRANSIENT_LOCAL for q in offered)
    return profile(depth, reliable=reliable, latched=latched)


def record(
    out: Path, storage: str = 'mcap', *, topics: Collection[str] = (), pattern: str = '', overwrite: bool = False
) -> Recorder:
    """Record until Ctrl-C or a failure; return the recorder, closed.

    Raises:
        BagError: if the bag cannot be created or finished.
        ConfigError: if the pattern is no regular expression.
    """
    with BagWriter(out, storage, overwrite=overwrite, keep_partial=True) as writer:
        stop = stop_at_signals()
        with standalone_node('geo_pose_record', sends_images=True) as node:
            recorder = Recorder(node, writer, topics, pattern)
            with spinning(node):
                while not stop.is_set() and recorder.failure is None:
                    recorder.write(_WRITE_PERIOD_S)
            recorder.close()
            if recorder.failure is None:
                recorder.write()
    return recorder
