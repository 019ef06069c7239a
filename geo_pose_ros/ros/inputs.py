"""Subscriptions that are polled by a thread of their own instead of waited for by the executor.

An rclpy executor builds its wait set anew for every message, over all services, timers and events of the node; with
four cameras at 60 Hz that takes a quarter of a core, most of it with the GIL held. A poll that finds nothing takes
microseconds.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription

from .qos import SubscriptionEventCallbacks, UnsupportedEventTypeError

# Short against a frame period, long against a poll.
_PERIOD_S = 0.003


class _NotByExecutor(ReentrantCallbackGroup):
    """Keeps its subscriptions out of the executor's wait set, but not their events."""

    def can_execute(self, entity: Any) -> bool:
        return not isinstance(entity, Subscription)


class PolledInputs:
    """Undecoded messages of any number of topics, handed to callbacks from one thread."""

    def __init__(self, node: Any, on_crash: Callable[[BaseException], None]) -> None:
        """Start the thread.

        Args:
            node: an rclpy node.
            on_crash: gets whatever a callback raises; the thread has ended then.
        """
        self._node, self._on_crash = node, on_crash
        self._group = _NotByExecutor()
        self._subscriptions: list[tuple[Any, Callable[[bytes], None]]] = []
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name='camera topics', daemon=True)

    def subscribe(
        self, message_class: Any, topic: str, callback: Callable[[bytes], None], qos: QoSProfile,
        events: SubscriptionEventCallbacks,
    ) -> None:
        """Subscribe to ``topic``; ``callback`` gets each message as CDR. To be called before ``start``."""
        create = partial(
            self._node.create_subscription, message_class, topic, callback, qos, raw=True, callback_group=self._group
        )
        try:
            subscription = create(event_callbacks=events)
        except UnsupportedEventTypeError:
            # Not every middleware counts what it lost.
            events.message_lost = None
            subscription = create(event_callbacks=events)
        self._subscriptions.append((subscription, callback))

    def start(self) -> None:
        """Start to poll."""
        self._thread.start()

    def close(self) -> None:
        """Stop polling and unsubscribe."""
        self._stopped.set()
        if self._thread.ident is not None:
            self._thread.join()
        for subscription, _ in self._subscriptions:
            self._node.destroy_subscription(subscription)

    def _run(self) -> None:
        try:
            while not self._stopped.wait(_PERIOD_S):
                for subscription, callback in self._subscriptions:
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
