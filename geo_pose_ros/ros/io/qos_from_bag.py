"""Quality of service between bags (rosbags) and rclpy."""

from __future__ import annotations

from collections.abc import Sequence

from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rosbags.interfaces import Qos, QosDurability, QosReliability

from ...bags.write import DEFAULT_QOS, LATCHED_QOS
from .qos import profile


def publisher_qos(recorded: Sequence[Qos], depth: int = 50) -> QoSProfile:
    """Return the profile to publish a recorded topic with: the least that its recorded publishers offered."""
    reliable = all(q.reliability != QosReliability.BEST_EFFORT for q in recorded)
    latched = bool(recorded) and all(q.durability == QosDurability.TRANSIENT_LOCAL for q in recorded)
    return profile(max([depth, *(q.depth for q in recorded)]), reliable=reliable, latched=latched)


def subscription_qos(offered: Sequence[QoSProfile], depth: int = 1000) -> QoSProfile:
    """Return the strictest profile that is compatible with every publisher's (`ros2 bag record` does the same)."""
    reliable = bool(offered) and all(q.reliability == ReliabilityPolicy.RELIABLE for q in offered)
    latched = bool(offered) and all(q.durability == DurabilityPolicy.TRANSIENT_LOCAL for q in offered)
    return profile(depth, reliable=reliable, latched=latched)


def bag_qos(used: QoSProfile) -> Qos:
    """Return what a bag's metadata says of a topic recorded with ``used``."""
    return LATCHED_QOS if used.durability == DurabilityPolicy.TRANSIENT_LOCAL else DEFAULT_QOS
