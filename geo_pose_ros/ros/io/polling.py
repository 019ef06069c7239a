"""Messages of subscriptions that are polled: no executor serves them."""

from __future__ import annotations

from collections.abc import Iterator

from rclpy.subscription import Subscription

from ...messages.factory import Message


def ignore(_message: Message) -> None:
    """Do nothing: the callback of a subscription that is polled."""


def waiting_messages(subscription: Subscription[Message], *, raw: bool = False) -> Iterator[Message]:
    """Yield the messages that wait, the oldest first and as many as the queue holds; ``raw``: as CDR."""
    with subscription.handle:
        # Bounded: a flood must not keep other topics waiting.
        for _ in range(max(1, subscription.qos_profile.depth)):
            taken: Message = subscription.handle.take_message(subscription.msg_type, raw)
            if taken is None:
                return
            yield taken[0]
