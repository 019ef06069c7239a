# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Steady time for whatever judges, and what is wrong with the clock of a simulation."""

from __future__ import annotations

from collections.abc import Callable

from rclpy.callback_groups import CallbackGroup
from rclpy.clock import Clock, ROSClock
from rclpy.clock_type import ClockType
from rclpy.node import Node
from rclpy.timer import Timer

from ...findings import Finding, Severity


def steady_timer(
    node: Node, period_s: float, callback: Callable[[], None], group: CallbackGroup | None = None
) -> Timer:
    """Return a timer that runs on, whether simulated time does or not."""
    return node.create_timer(period_s, callback, callback_group=group, clock=Clock(clock_type=ClockType.STEADY_TIME))


def clock_fault(node: Node, where: str) -> Finding | None:
    """Return why the clock of a node that uses simulated time stands at 0; None where it runs, or time is real.

    Args:
        node: an rclpy node.
        where: the part that the finding is of.
    """
    clock = node.get_clock()
    if not (isinstance(clock, ROSClock) and clock.ros_time_is_active) or clock.now().nanoseconds:
        return None
    why = '/clock stands at 0' if node.count_publishers('/clock') else 'nobody publishes /clock'
    return Finding(
        Severity.ERROR, f'use_sim_time is set, and {why}: latencies are not known, and transforms are not found',
        'Start the simulator or `ros2 bag play --clock`, or set use_sim_time:=false.', where, 'clock',
    )
