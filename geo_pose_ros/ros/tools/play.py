# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""`geo_pose play`: publish a bag in real time, without `ros2 bag`."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from rclpy.time import Time
from rosbags.interfaces import Qos, QosDurability, QosReliability

from ...arrays import NS_PER_S
from ...bags.read import BagMessage, BagReader
from ...errors import BagError, ConfigError
from ...messages.cdr import header_stamp_ns, with_header_stamp
from ...messages.factory import Message
from ..io.message_factory import message_class
from ..io.qos import profile

T = TypeVar('T')

_LOG = logging.getLogger(__name__)
# Messages that are read before their time, so that the disk does not delay them.
_READ_AHEAD = 256
_LAST_DELIVERY = Duration(seconds=2)
# Of /clock while no message is due, as of `ros2 bag play --clock`: 40 Hz.
_CLOCK_PERIOD_NS = NS_PER_S // 40
# A node that has not subscribed so long after another did will not.
_SETTLE_S = 1.0
_HEADER = 'std_msgs/msg/Header'
_NAMESPACE = re.compile(r'(/?[A-Za-z_]\w*(/[A-Za-z_]\w*)*)?/?', re.ASCII)
# Topics that all nodes of a system share, whatever their namespaces.
_OF_ALL = frozenset({'/tf', '/tf_static', '/clock', '/rosout', '/diagnostics'})


@dataclass
class PlayReport:
    """What was played.

    Attributes:
        published: messages by topic.
        latest_ms: how late the latest message was.
        skipped: why a topic could not be published.
        origin_ns: wall time at which the first message was due; restamped stamps count from here.
        loop_ns: length of one loop at the playing rate.
    """

    published: Counter[str] = field(default_factory=Counter)
    latest_ms: float = 0.0
    skipped: dict[str, str] = field(default_factory=dict)
    origin_ns: int = 0
    loop_ns: int = 0

    def __str__(self) -> str:
        counts = ', '.join(f'{topic} {count}' for topic, count in sorted(self.published.items()))
        return f'published {sum(self.published.values())} messages, at most {self.latest_ms:.0f} ms late: {counts}'


class Player:
    """Publishes one bag; each message is due at its own time, so that delays do not add up."""

    def __init__(self, node: Node, bag: Path, topics: Collection[str] = (), namespace: str = '') -> None:
        """Open the bag and advertise its topics (``topics``: only these) in ``namespace``; /tf and the like stay.

        Raises:
            BagError: if the bag cannot be read, lacks a topic, or none of its types is installed.
            ConfigError: if nothing can be called as ``namespace``.
        """
        if not _NAMESPACE.fullmatch(namespace):
            raise ConfigError(f"--namespace: received '{namespace}', expected letters, digits and _, as robot1.")
        prefix = f'/{namespace.strip("/")}' if namespace.strip('/') else ''
        self._bag = bag
        self._node = node
        self.report = PlayReport()
        with BagReader(bag) as reader:
            for name in topics:
                if name not in reader.topics:
                    raise BagError(f"Bag '{bag}' has no topic '{name}'; it has: {reader.topic_names}.")
            self._start_ns, self._end_ns = reader.start_ns, reader.end_ns
            wanted = [topic for name, topic in reader.topics.items() if not topics or name in topics]
            # Messages whose first field is a header can be restamped.
            first_fields = {t.name: reader.typestore.fielddefs[t.message_type][1][:1] for t in wanted}
            self._stamped = {name for name, fields in first_fields.items() if fields and fields[0][1][1] == _HEADER}
            # The next loop follows where one more message of the busiest topic would.
            most = max((topic.count for topic in wanted), default=0)
            self._gap_ns = (self._end_ns - self._start_ns) // max(1, most - 1)
            self._publishers: dict[str, Publisher[Message]] = {}
            for topic in wanted:
                try:
                    kind = message_class(topic.message_type)
                except ConfigError as error:
                    self.report.skipped[topic.name] = str(error)
                    continue
                qos = publisher_qos(reader.offered_qos[topic.name])
                self._publishers[topic.name] = node.create_publisher(
                    kind, topic.name if topic.name in _OF_ALL else prefix + topic.name, qos
                )
        if not self._publishers:
            raise BagError(f"Nothing of '{bag}' can be published: {'; '.join(self.report.skipped.values())}")
        for name, reason in self.report.skipped.items():
            _LOG.warning("Topic '%s' is not played. %s", name, reason)

    def wait_for_subscribers(self, timeout_s: float, stop: threading.Event | None = None) -> list[str]:
        """Wait until every topic has a subscriber, or some have and no other came for a second.

        A node subscribes to what it needs, at once; not every topic of a bag is needed. Return the topics that have
        none, after ``timeout_s`` at most.
        """
        stop = stop or threading.Event()
        deadline = time.monotonic() + timeout_s
        heard, changed = -1, 0.0
        while True:
            alone = [name for name, p in self._publishers.items() if not p.get_subscription_count()]
            now = time.monotonic()
            if len(self._publishers) - len(alone) != heard:
                heard, changed = len(self._publishers) - len(alone), now
            settled = heard > 0 and now - changed > _SETTLE_S
            if not alone or settled or now >= deadline or stop.wait(0.02):
                return alone

    def play(self, *, rate: float = 1.0, loops: int = 1, restamp: bool = False, clock: bool = False,
             stop: threading.Event | None = None) -> PlayReport:
        """Publish the bag.

        Args:
            rate: 2 is twice as fast.
            loops: how often; 0: until ``stop``.
            restamp: move header stamps so that the time of publication is the time of acquisition; further loops
                go on in time. Without, loops repeat the same stamps.
            clock: publish the time of the bag on /clock, for nodes with use_sim_time; it begins again with every loop,
                as the stamps do.
            stop: ends the playing when set.

        Raises:
            BagError: if the bag is damaged, after what could be read was published.
            ConfigError: if the rate is not positive, or stamps are to be those of the playing and those of /clock.
        """
        if not rate > 0.0:
            raise ConfigError(f'--rate: received {rate}, expected more than 0.')
        if clock and restamp:
            raise ConfigError('--clock is the time of the bag, --restamp that of playing it: give one of them.')
        stop = stop or threading.Event()
        first_ns, period_ns = self._start_ns, self._end_ns - self._start_ns + self._gap_ns
        self.report.loop_ns = round(period_ns / rate)
        tick = _clock_ticker(self._node) if clock else None
        began_ns = wall_ns = 0
        for loop_ns, message in _read_ahead(self._messages(period_ns, loops)):
            # The clock starts with the first message, not with opening the bag.
            if not began_ns:
                began_ns, wall_ns = time.monotonic_ns(), time.time_ns()
                self.report.origin_ns = wall_ns
            due_ns = round((message.time_ns - first_ns + loop_ns) / rate)
            wait_ns = due_ns - (time.monotonic_ns() - began_ns)
            if _wait(wait_ns, stop, None if tick is None else partial(tick, first_ns, period_ns, began_ns, rate)):
                break
            self.report.latest_ms = max(self.report.latest_ms, -wait_ns / 1e6)
            raw = message.raw
            if restamp and message.topic in self._stamped:
                # Time of acquisition relative to the start of the bag, stretched as the schedule is.
                at_ns = round((header_stamp_ns(raw) - first_ns + loop_ns) / rate)
                raw = with_header_stamp(raw, wall_ns + at_ns)
            self._publishers[message.topic].publish(raw)
            self.report.published[message.topic] += 1
        # Reliable subscribers must get the last messages before the publishers vanish.
        for publisher in self._publishers.values():
            publisher.wait_for_all_acked(_LAST_DELIVERY)
        return self.report

    def _messages(self, period_ns: int, loops: int) -> Generator[tuple[int, BagMessage], None, None]:
        """Yield when its loop begins, ns after the first, and the message."""
        done = 0
        with BagReader(self._bag) as reader:
            while loops == 0 or done < loops:
                for message in reader.messages(set(self._publishers)):
                    yield done * period_ns, message
                done += 1


def _clock_ticker(node: Node) -> Callable[[int, int, int, float], None]:
    """Return what publishes the time of a bag on /clock: of its first message, of a loop, of the begin, and rate."""
    kind = message_class('rosgraph_msgs/msg/Clock')
    publisher = node.create_publisher(kind, '/clock', profile(1, reliable=False))

    def tick(first_ns: int, period_ns: int, began_ns: int, rate: float) -> None:
        now_ns = first_ns + round((time.monotonic_ns() - began_ns) * rate) % max(1, period_ns)
        publisher.publish(kind(clock=Time(nanoseconds=now_ns).to_msg()))

    return tick


def _wait(wait_ns: int, stop: threading.Event, tick: Callable[[], None] | None) -> bool:
    """Wait so long, with ``tick`` at the rate of /clock, and return whether ``stop`` was set."""
    end_ns = time.monotonic_ns() + wait_ns
    while tick is not None:
        tick()
        left_ns = end_ns - time.monotonic_ns()
        if left_ns <= _CLOCK_PERIOD_NS:
            break
        if stop.wait(_CLOCK_PERIOD_NS / NS_PER_S):
            return True
    return stop.wait(max(0, end_ns - time.monotonic_ns()) / NS_PER_S)


def _read_ahead(items: Generator[T, None, None]) -> Iterator[T]:
    """Yield ``items``, which a thread of its own reads before their time; raise what the reading raises."""
    with ThreadPoolExecutor(1, 'read bag') as reader:
        waiting = deque(reader.submit(next, items, None) for _ in range(_READ_AHEAD))
        try:
            while (item := waiting.popleft().result()) is not None:
                waiting.append(reader.submit(next, items, None))
                yield item
        finally:
            for future in waiting:
                future.cancel()
            # SQLite refuses to close a file in another thread than its own.
            reader.submit(items.close)


def publisher_qos(recorded: Sequence[Qos], depth: int = 50) -> QoSProfile:
    """Return the profile to publish a recorded topic with: the least that its recorded publishers offered."""
    reliable = all(q.reliability != QosReliability.BEST_EFFORT for q in recorded)
    latched = bool(recorded) and all(q.durability == QosDurability.TRANSIENT_LOCAL for q in recorded)
    return profile(max([depth, *(q.depth for q in recorded)]), reliable=reliable, latched=latched)
