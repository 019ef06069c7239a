# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""QoS profiles, what to do when they do not match, publishing for who listens, and subscriptions that are polled."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from time import time_ns
from typing import Any

from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy, qos_policy_name_from_kind
from rclpy.subscription import Subscription

from ...messages.factory import Message

try:
    from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks, UnsupportedEventTypeError
except ImportError:  # Humble
    from rclpy.qos_event import PublisherEventCallbacks, SubscriptionEventCallbacks, UnsupportedEventTypeError

__all__ = [
    'NO_PUBLISHER_EVENTS', 'NO_SUBSCRIPTION_EVENTS', 'SubscriptionEventCallbacks', 'UnsupportedEventTypeError',
    'explain_incompatible', 'ignore', 'offer', 'profile', 'waiting_messages',
]

NO_PUBLISHER_EVENTS = PublisherEventCallbacks(use_default_callbacks=False)
NO_SUBSCRIPTION_EVENTS = SubscriptionEventCallbacks(use_default_callbacks=False)


def profile(depth: int, *, reliable: bool = True, latched: bool = False) -> QoSProfile:
    """Return keep-last ``depth``; latched is transient local: late subscribers get the last message too."""
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )


def explain_incompatible(topic: str, event: Any) -> str:
    """Return what an incompatible-QoS event of a subscription to ``topic`` means and what to do."""
    policy = qos_policy_name_from_kind(event.last_policy_kind)
    remedy = (
        'set reliability:=best_effort' if policy == 'RELIABILITY' else f'change {policy.lower()} of the publisher'
    )
    return f"A publisher on '{topic}' offers an incompatible {policy.lower()}; nothing is received from it: {remedy}."


def ignore(_message: Message) -> None:
    """Do nothing: the callback of a subscription that is polled."""


def waiting_messages(subscription: Subscription[Message], *, raw: bool = False) -> Iterator[tuple[Message, int]]:
    """Yield the messages that wait, the oldest first and as many as the queue holds, and how long each has waited, ns.

    ``raw``: as CDR. A middleware that does not tell when it received a message has them wait for 0 ns.
    """
    with subscription.handle:
        # Bounded: a flood must not keep other topics waiting.
        for _ in range(max(1, subscription.qos_profile.depth)):
            taken: Message = subscription.handle.take_message(subscription.msg_type, raw)
            if taken is None:
                return
            received_ns = taken[1]['received_timestamp']
            yield taken[0], max(0, time_ns() - received_ns) if received_ns > 0 else 0


def offer(publisher: Publisher[Any], message: Callable[[], object]) -> None:
    """Publish ``message``, which is made only if somebody subscribes; nothing if it is None: unknown."""
    if publisher.get_subscription_count() and (made := message()) is not None:
        publisher.publish(made)
