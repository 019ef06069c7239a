# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Steady time for whatever judges, and what is wrong with the clock of a simulation."""

from __future__ import annotations

from collections.abc import Callable

from rclpy.callback_groups import CallbackGroup
from rclpy.clock import Clock, ROSClock
from rclpy.clock_type import ClockType
from rclpy.node import Node
from rclpy.timer import Timer

from ...arrays import NS_PER_S
from ...findings import Finding, Severity


def steady_timer(
    node: Node, period_s: float, callback: Callable[[], None], group: CallbackGroup | None = None
) -> Timer:
    """Return a timer that runs on, whether simulated time does or not."""
    return node.create_timer(period_s, callback, callback_group=group, clock=Clock(clock_type=ClockType.STEADY_TIME))


class ClockWatch:
    """Judges the clock of a node that uses simulated time, by steady time.

    Attributes:
        stood_ns: when it was last seen to stand, monotonic; None: never.
    """

    def __init__(self, node: Node) -> None:
        """Watch the clock of ``node``."""
        self._node = node
        self.stood_ns: int | None = None
        # What it said, since when, and how often it was looked at since then without a change.
        self._said_ns, self._since_ns, self._unchanged = -1, 0, 0

    def fault(self, where: str, now_ns: int, stands_ns: float) -> Finding | None:
        """Return why it does not run; None where it does, or time is real. To be called at every look.

        Args:
            where: the part that the finding is of.
            now_ns: a monotonic clock.
            stands_ns: what says the same for so long stands still.
        """
        clock = self._node.get_clock()
        if not (isinstance(clock, ROSClock) and clock.ros_time_is_active):
            return None
        said_ns = clock.now().nanoseconds
        if said_ns == 0:
            why = '/clock stands at 0' if self._node.count_publishers('/clock') else 'nobody publishes /clock'
            return Finding(
                Severity.ERROR,
                f'use_sim_time is set, and {why}: latencies are not known, and transforms are not found',
                'Start the simulator or `ros2 bag play --clock`, or set use_sim_time:=false.', where, 'clock',
            )
        # Two looks: one may come before the messages that wait behind a callback that took long.
        self._unchanged += 1
        if said_ns != self._said_ns:
            self._said_ns, self._since_ns, self._unchanged = said_ns, now_ns, 0
        if self._unchanged < 2 or now_ns - self._since_ns < stands_ns:
            return None
        self.stood_ns = now_ns
        return Finding(
            Severity.WARNING, f'simulated time stands still at {said_ns / NS_PER_S:.3f} s: /clock says nothing new',
            'Let the simulator or the player go on.', where, 'clock stands',
        )
