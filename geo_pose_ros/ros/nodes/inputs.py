"""Subscriptions that are polled by a thread of their own instead of waited for by the executor.

An rclpy executor builds its wait set anew for every message, over all services, timers and events of the node; with
four cameras at 60 Hz that is the better part of what receiving them costs, with the GIL held. A poll that finds
nothing takes microseconds.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from rclpy.callback_groups import CallbackGroup
from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription

from ..io.qos import SubscriptionEventCallbacks, UnsupportedEventTypeError

# Short against a frame period, long against a poll.
_PERIOD_S = 0.004
# How often, and how long, the executor looks for events.
_EVENT_PERIOD_S, _EVENT_WINDOW_S = 0.5, 0.02


class _SeldomByExecutor(CallbackGroup):
    """Keeps subscriptions out of the executor's wait set, and lets their events in for moments only.

    Fast DDS wakes who waits for an event of a subscription with every message of it.
    """

    def __init__(self) -> None:
        super().__init__()
        self._opens = self._closes = 0.0

    def can_execute(self, entity: Any) -> bool:
        now = time.monotonic()
        if now >= self._opens:
            self._opens, self._closes = now + _EVENT_PERIOD_S, now + _EVENT_WINDOW_S
        return now < self._closes and not isinstance(entity, Subscription)

    def beginning_execution(self, entity: Any) -> bool:
        return True

    def ending_execution(self, entity: Any) -> None:
        return


class PolledInputs:
    """Undecoded messages of any number of topics, handed to callbacks from one thread."""

    def __init__(self, node: Any, on_crash: Callable[[BaseException], None]) -> None:
        """Start the thread.

        Args:
            node: an rclpy node.
            on_crash: gets whatever a callback raises; the thread has ended then.
        """
        self._node, self._on_crash = node, on_crash
        self._group = _SeldomByExecutor()
        # By topic; the lock is held while they are polled.
        self._subscriptions: dict[str, tuple[Any, Callable[[bytes], None]]] = {}
        self._lock = threading.Lock()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name='camera topics', daemon=True)

    def subscribe(
        self, message_class: Any, topic: str, callback: Callable[[bytes], None], qos: QoSProfile,
        events: SubscriptionEventCallbacks,
    ) -> None:
        """Subscribe to ``topic``; ``callback`` gets each message as CDR."""
        create = partial(
            self._node.create_subscription, message_class, topic, callback, qos, raw=True, callback_group=self._group
        )
        try:
            subscription = create(event_callbacks=events)
        except UnsupportedEventTypeError:
            # Not every middleware counts what it lost.
            events.message_lost = None
            subscription = create(event_callbacks=events)
        with self._lock:
            self._subscriptions[topic] = subscription, callback

    def unsubscribe(self, topic: str) -> None:
        """Unsubscribe from ``topic``; nothing of it is handed on any more when this returns."""
        with self._lock:
            subscription, _ = self._subscriptions.pop(topic)
        self._node.destroy_subscription(subscription)

    def start(self) -> None:
        """Start to poll."""
        self._thread.start()

    def close(self) -> None:
        """Stop polling and unsubscribe."""
        self._stopped = True
        if self._thread.ident is not None:
            self._thread.join()
        for subscription, _ in self._subscriptions.values():
            self._node.destroy_subscription(subscription)

    def _run(self) -> None:
        try:
            while not self._stopped:
                time.sleep(_PERIOD_S)
                with self._lock:
                    for subscription, callback in self._subscriptions.values():
                        self._drain(subscription, callback)
        except Exception as error:  # noqa: BLE001 - handed on, the thread ends
            if self._node.context.ok():
                self._on_crash(error)

    @staticmethod
    def _drain(subscription: Any, callback: Callable[[bytes], None]) -> None:
        with subscription.handle:
            # Bounded: a flood must not keep the other topics waiting.
            for _ in range(subscription.qos_profile.depth):
                taken = subscription.handle.take_message(subscription.msg_type, True)
                if taken is None:
                    return
                callback(taken[0])
