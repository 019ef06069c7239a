# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Subscriptions that are polled by a thread of their own instead of waited for by the executor.

An rclpy executor builds its wait set anew for every message, over all services, timers and events of the node; with
four cameras at 60 Hz that is the better part of what receiving them costs, with the GIL held. A poll that finds
nothing takes microseconds.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from rclpy.qos import QoSCompatibility, QoSProfile, qos_check_compatible
from rclpy.subscription import Subscription

from ...arrays import NS_PER_S
from ...errors import FrameError
from ...messages.cdr import header_stamp_ns, with_header_stamp
from ...messages.stamps import NO_STAMP, stamp_or_arrival
from ..health.statistics import NodeStatistics
from ..io.message_factory import message_class
from ..io.qos import (
    NO_SUBSCRIPTION_EVENTS,
    SubscriptionEventCallbacks,
    UnsupportedEventTypeError,
    explain_incompatible,
    ignore,
    waiting_messages,
)
from ..io.topics import MESSAGE_TYPES, InputTopics

if TYPE_CHECKING:
    from rclpy.event_handler import QoSMessageLostInfo, QoSRequestedIncompatibleQoSInfo

# Short against a frame period, long against a poll.
_PERIOD_S = 0.004
# How often, and how long, the executor looks for events.
_EVENT_PERIOD_S, _EVENT_WINDOW_S = 0.5, 0.02
# A poll is late that comes so long after the one before; how far back late ones count, and how many of them.
_LATE_NS, _LATE_WINDOW_NS, _MOST_LATE = 50_000_000, 5 * NS_PER_S, 200


class _SeldomByExecutor(CallbackGroup):
    """Keeps subscriptions out of the executor's wait set, and lets their events in for moments only.

    Fast DDS wakes who waits for an event of a subscription with every message of it.
    """

    def __init__(self) -> None:
        super().__init__()
        self._opens = self._closes = 0.0

    def can_execute(self, entity: object) -> bool:
        now = time.monotonic()
        if now >= self._opens:
            self._opens, self._closes = now + _EVENT_PERIOD_S, now + _EVENT_WINDOW_S
        return now < self._closes and not isinstance(entity, Subscription)

    def beginning_execution(self, entity: object) -> bool:
        return True

    def ending_execution(self, entity: object) -> None:
        return


@dataclass(slots=True)
class _Polled:
    """A subscription, what takes its messages, how long it rests between two polls, and when it is due, ns."""

    subscription: Subscription[Any]
    callback: Callable[[bytes, int], None]
    rests_ns: int
    due_ns: int = 0


class PolledInputs:
    """Undecoded messages of any number of topics, handed to callbacks from one thread."""

    def __init__(self, node: Node, on_crash: Callable[[BaseException], None]) -> None:
        """Start the thread.

        Args:
            node: an rclpy node.
            on_crash: gets whatever a callback raises; the thread has ended then.
        """
        self._node, self._on_crash = node, on_crash
        self._group = _SeldomByExecutor()
        # By topic; the lock is held while they are polled.
        self._polled: dict[str, list[_Polled]] = {}
        self._lock = threading.Lock()
        self._stopped = False
        # Of the polls that came late lately: when, and by how much, ns; and when the last one was.
        self._late: deque[tuple[int, int]] = deque(maxlen=_MOST_LATE)
        self._last_ns = time.monotonic_ns()
        self._thread = threading.Thread(target=self._run, name='camera topics', daemon=True)

    def subscribe(
        self, message_type: type, topic: str, callback: Callable[[bytes, int], None], qos: QoSProfile,
        events: SubscriptionEventCallbacks = NO_SUBSCRIPTION_EVENTS, *, rests_ns: int = 0,
    ) -> None:
        """Subscribe to ``topic``, once more if it is already; ``callback`` gets CDR and its age, ns, of each message.

        What ``rests_ns`` between two polls may lose messages that newer ones follow.
        """
        create = partial(
            self._node.create_subscription, message_type, topic, ignore, qos, raw=True, callback_group=self._group
        )
        try:
            subscription = create(event_callbacks=events)
        except UnsupportedEventTypeError:
            # Not every middleware counts what it lost.
            events.message_lost = None
            subscription = create(event_callbacks=events)
        with self._lock:
            self._polled.setdefault(topic, []).append(_Polled(subscription, callback, rests_ns))

    def unsubscribe(self, topic: str) -> None:
        """Unsubscribe from ``topic``; nothing of it is handed on any more when this returns."""
        with self._lock:
            gone = self._polled.pop(topic)
        for polled in gone:
            self._node.destroy_subscription(polled.subscription)

    def start(self) -> None:
        """Start to poll."""
        self._last_ns = time.monotonic_ns()
        self._thread.start()

    def close(self) -> None:
        """Stop polling and unsubscribe."""
        self._stopped = True
        if self._thread.ident is not None:
            self._thread.join()
        for topic in list(self._polled):
            self.unsubscribe(topic)

    @property
    def looked_ns(self) -> int:
        """When the topics were polled last, monotonic ns: what came since is not known."""
        return self._last_ns

    def late_share(self, now_ns: int) -> float:
        """Return for how much of the last seconds the topics waited to be polled, in [0, 1]: the machine is busy."""
        late = [*self._late, (now_ns, now_ns - self._last_ns - _LATE_NS)]
        late_ns = sum(max(by_ns, 0) for at_ns, by_ns in late if now_ns - at_ns < _LATE_WINDOW_NS)
        return min(late_ns / _LATE_WINDOW_NS, 1.0)

    def _run(self) -> None:
        try:
            while not self._stopped:
                time.sleep(_PERIOD_S)
                before_ns, self._last_ns = self._last_ns, time.monotonic_ns()
                if self._last_ns - before_ns > _LATE_NS:
                    self._late.append((self._last_ns, self._last_ns - before_ns - _LATE_NS))
                with self._lock:
                    for polled in chain.from_iterable(self._polled.values()):
                        if self._last_ns >= polled.due_ns:
                            polled.due_ns = self._last_ns + polled.rests_ns
                            for cdr, lag_ns in waiting_messages(polled.subscription, raw=True):
                                polled.callback(cdr, lag_ns)
        except Exception as error:  # noqa: BLE001 - handed on, the thread ends
            if self._node.context.ok():
                self._on_crash(error)


class CameraInput:
    """What one camera sends: its subscription, its numbers, and why nothing may come of its topic.

    Attributes:
        clock_limit_ns: stamps that differ by more from the clock of the node are noted; None: by whatever.
    """

    def __init__(
        self, node: Node, name: str, topics: InputTopics, qos: QoSProfile, statistics: NodeStatistics,
        take: Callable[[str, int, bytes, int], None],
    ) -> None:
        """Prepare; ``subscribe`` begins to listen.

        Args:
            node: an rclpy node.
            name, topics: the camera's.
            qos: of the subscription.
            statistics: counts the camera's frames, and notes what is wrong with them.
            take: gets name, stamp (ns) and CDR of each frame, and how long ago it arrived, ns.
        """
        self.name, self.topics = name, topics
        self.clock_limit_ns: int | None = None
        self._node, self._qos, self._statistics, self._take = node, qos, statistics, take
        self._incompatible = ''

    def subscribe(self, polled: PolledInputs) -> None:
        """Let ``polled`` listen to the camera."""
        events = SubscriptionEventCallbacks(incompatible_qos=self._on_incompatible, message_lost=self._on_lost)
        kind = message_class(MESSAGE_TYPES[self.topics.transport])
        polled.subscribe(kind, self.topics.frames, self.on_frame, self._qos, events)

    def on_frame(self, cdr: bytes, lag_ns: int) -> None:
        """Take a frame, ``lag_ns`` after it arrived; one without a stamp gets the time of arrival."""
        now_ns = time.monotonic_ns()
        self._statistics.arrived(self.name, now_ns)
        try:
            stamp_ns = header_stamp_ns(cdr)
        except FrameError as error:
            self._statistics.problem(self.name, 'no header', str(error), now_ns)
            return
        if stamp_ns == 0:
            # A simulation's clock that nobody publishes stands at 0.
            stamp_ns = stamp_or_arrival(stamp_ns, (self._node.get_clock().now().nanoseconds or time.time_ns()) - lag_ns)
            cdr = with_header_stamp(cdr, stamp_ns)
            self._statistics.happened(f'camera {self.name}', 'no stamp', NO_STAMP, now_ns)
        elif self.clock_limit_ns is not None:
            self._check_clock(stamp_ns, now_ns)
        self._take(self.name, stamp_ns, cdr, lag_ns)

    def _check_clock(self, stamp_ns: int, now_ns: int) -> None:
        ahead_ns = stamp_ns - self._node.get_clock().now().nanoseconds
        if abs(ahead_ns) > (self.clock_limit_ns or 0):
            self._statistics.happened(
                f'camera {self.name}', 'clock', f'its stamps are {abs(ahead_ns) / NS_PER_S:.0f} s '
                f'{"ahead of" if ahead_ns > 0 else "behind"} the clock of this machine. Synchronise the clocks (PTP, '
                'chrony); a recording is played with --restamp, or with --clock and use_sim_time', now_ns,
            )

    def notes(self, is_away: bool) -> dict[str, str]:
        """Return what is wrong with the topic, by kind; of a camera that is not away only the QoS."""
        found = {'qos': self._qos_note(), 'topic': self._topic_note() if is_away else ''}
        return {kind: text for kind, text in found.items() if text}

    def _on_lost(self, event: QoSMessageLostInfo) -> None:
        self._statistics.lost(self.name, event.total_count, time.monotonic_ns())

    def _on_incompatible(self, event: QoSRequestedIncompatibleQoSInfo) -> None:
        self._incompatible = explain_incompatible(self.topics.frames, event)

    def _qos_note(self) -> str:
        """Return the last event in words, until no incompatible publisher is left."""
        if self._incompatible:
            offered = self._node.get_publishers_info_by_topic(self.topics.frames)
            verdicts = [qos_check_compatible(info.qos_profile, self._qos)[0] for info in offered]
            if QoSCompatibility.ERROR not in verdicts:
                self._incompatible = ''
        return self._incompatible

    def _topic_note(self) -> str:
        wanted = MESSAGE_TYPES[self.topics.transport]
        types = self._types(self.topics.frames)
        if not types:
            return f'nobody publishes it{self._elsewhere()}'
        return '' if wanted in types else f'it holds {", ".join(sorted(types))}, expected {wanted}'

    def _elsewhere(self) -> str:
        """Return a hint if the camera publishes by another transport."""
        for transport, topic in self.topics.by_transport.items():
            if transport != self.topics.transport and MESSAGE_TYPES[transport] in self._types(topic):
                return f", but '{topic}' is there: set transport:={transport}"
        return '; check the topic names and that the driver runs'

    def _types(self, topic: str) -> set[str]:
        return {info.topic_type for info in self._node.get_publishers_info_by_topic(topic)}
