"""`geo_pose record`: record topics into a bag, without `ros2 bag`."""

from __future__ import annotations

import logging
import math
import re
import threading
import time
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from queue import SimpleQueue

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription

from ...bags.message_factory import TYPESTORE
from ...bags.write import BagWriter
from ...errors import ConfigError
from ...messages.factory import Message
from ..io.clocks import steady_timer
from ..io.message_factory import message_class
from ..io.qos import profile
from .standalone import standalone_node, stop_at_signals

_LOG = logging.getLogger(__name__)
_DISCOVERY_PERIOD_S = 0.25


class Recorder:
    """Subscribes to topics as they appear and writes what comes, serialised as it came.

    Messages are queued without bound and written by a thread of its own, so that a slow disk delays nothing and
    loses nothing; ``close`` writes what is queued.

    Attributes:
        subscriptions: by the topics found so far.
        recorded: messages written, by topic.
        failure: what ended the writing (a full disk), or None.
    """

    def __init__(self, node: Node, writer: BagWriter, topics: Collection[str] = (), pattern: str = '') -> None:
        """Start.

        Args:
            node: whose executor is spun by the caller.
            writer: an open bag.
            topics: to record; empty: all that match ``pattern``.
            pattern: regular expression a topic's whole name must match; '' matches all.

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
        self._queue: SimpleQueue[tuple[str, str, bytes, int] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._write, name='write bag', daemon=True)
        self.failure: Exception | None = None
        self.recorded: Counter[str] = Counter()
        self._group = ReentrantCallbackGroup()
        self._thread.start()
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
            kind = message_class(message_type)
            if message_type not in TYPESTORE.fielddefs:
                raise ConfigError(f'The definition of {message_type} is not known; use ros2 bag record for it.')
        except ConfigError as error:
            _LOG.warning("Topic '%s' is not recorded. %s", topic, error)
            self._unusable.add(topic)
            return
        qos = subscription_qos([info.qos_profile for info in publishers])
        self._writer.add_topic(topic, message_type, latched=qos.durability == DurabilityPolicy.TRANSIENT_LOCAL)

        def take(raw: bytes) -> None:
            self._queue.put((topic, message_type, raw, time.time_ns()))

        self.subscriptions[topic] = self._node.create_subscription(
            kind, topic, take, qos, raw=True, callback_group=self._group
        )

    def _write(self) -> None:
        while (item := self._queue.get()) is not None:
            topic, message_type, raw, time_ns = item
            try:
                self._writer.write_raw(topic, message_type, raw, time_ns)
            except OSError as error:
                self.failure = error
                return
            self.recorded[topic] += 1

    def close(self) -> None:
        """Stop subscribing and write what is queued."""
        self._node.destroy_timer(self._timer)
        for subscription in self.subscriptions.values():
            self._node.destroy_subscription(subscription)
        self._queue.put(None)
        self._thread.join()


def subscription_qos(offered: Sequence[QoSProfile], depth: int = 1000) -> QoSProfile:
    """Return the strictest profile that is compatible with every publisher's (`ros2 bag record` does the same)."""
    reliable = bool(offered) and all(q.reliability == ReliabilityPolicy.RELIABLE for q in offered)
    latched = bool(offered) and all(q.durability == DurabilityPolicy.TRANSIENT_LOCAL for q in offered)
    return profile(depth, reliable=reliable, latched=latched)


def record(
    out: Path, storage: str = 'mcap', *, topics: Collection[str] = (), pattern: str = '', overwrite: bool = False,
    duration_s: float = math.inf,
) -> Recorder:
    """Record until Ctrl-C, a failure or ``duration_s``; return the recorder, closed.

    Raises:
        BagError: if the bag cannot be created.
        ConfigError: if the pattern is no regular expression.
    """
    with BagWriter(out, storage, overwrite=overwrite, keep_partial=True) as writer:
        stop = stop_at_signals()
        with standalone_node('geo_pose_record', sends_images=True) as node:
            executor = SingleThreadedExecutor()
            executor.add_node(node)
            recorder = Recorder(node, writer, topics, pattern)
            ends_s = time.monotonic() + duration_s
            try:
                while not stop.is_set() and recorder.failure is None and time.monotonic() < ends_s:
                    executor.spin_once(timeout_sec=0.1)
            finally:
                recorder.close()
                executor.shutdown()
    return recorder
