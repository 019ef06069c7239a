# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""What a node says of itself: /diagnostics, and on the console one line when a fault begins and one when it is over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from time import monotonic_ns, time_ns

from rclpy.impl.rcutils_logger import RcutilsLogger
from rclpy.node import Node

from ...arrays import NS_PER_S
from ...findings import Finding, Severity, Verdict, worst
from ...messages.diagnostics import Level, Status, diagnostics_to_message, verdict_to_status
from ..io.message_factory import RclpyFactory, message_class
from ..io.qos import profile


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a node, as /diagnostics shows it.

    Attributes:
        name: 'pipeline', 'rig', or 'camera NAME'.
        faults: what is wrong with it, each with its place and kind.
        values: its numbers, by key.
        summary: its message while nothing is wrong.
    """

    name: str
    faults: Sequence[Finding]
    values: Mapping[str, str]
    summary: str = 'ok'

    def status(self) -> Status:
        """Return the part as a status; the worst fault comes first in its message."""
        ranked = [fault.text for fault in sorted(self.faults, key=lambda fault: -fault.severity)]
        return Status(self.name, Level(worst(self.faults)), '; '.join(ranked) or self.summary, self.values)

    def without(self, *kinds: str) -> Part:
        """Return the part without its faults of ``kinds``."""
        return replace(self, faults=[fault for fault in self.faults if fault.kind not in kinds])

    def judged(self, verdict: Verdict) -> Part:
        """Return the part with what a verdict says of it."""
        known = {(fault.where, fault.kind) for fault in self.faults}
        more = [found for found in verdict.about(self.name) if (found.where, found.kind) not in known]
        return replace(self, faults=[*self.faults, *more])


# That a machine is busy flickers with its load: it is over when it is away for so long.
_BUSY_RESTS_NS = 20 * NS_PER_S


class FaultLog:
    """Compares the faults there are now with those there were."""

    def __init__(self, logger: RcutilsLogger) -> None:
        """Begin without a fault."""
        self._logger = logger
        # The fault, since when, and since when it is away: None while it is there.
        self._begun: dict[tuple[str, str], tuple[Finding, int, int | None]] = {}

    def update(self, faults: Iterable[Finding], now_ns: int, rest_ns: float = 0.0) -> None:
        """Log those of ``faults`` that are new or worse, and those that have been away for ``rest_ns``.

        What flickers is one fault.

        ``now_ns`` is a monotonic clock.
        """
        current = {(fault.where, fault.kind): fault for fault in sorted(faults, key=lambda fault: fault.severity)}
        for key, fault in current.items():
            before, since_ns, _ = self._begun.get(key, (None, now_ns, None))
            if before is not None and fault.severity <= before.severity:
                self._begun[key] = (before, since_ns, None)
            else:
                self._begun[key] = (fault, since_ns, None)
                # Not one call: rclpy refuses two severities from one line of source.
                if fault.severity == Severity.ERROR:
                    self._logger.error(fault.in_words)
                else:
                    self._logger.warning(fault.in_words)
        for key, (fault, since_ns, away_ns) in list(self._begun.items()):
            if key not in current:
                ended_ns = now_ns if away_ns is None else away_ns
                self._begun[key] = (fault, since_ns, ended_ns)
                if now_ns - ended_ns >= (_BUSY_RESTS_NS if key[1] == 'busy' else rest_ns):
                    del self._begun[key]
                    self._logger.info(f'over after {(ended_ns - since_ns) / NS_PER_S:.1f} s: {fault.in_words}')


class HealthLog:
    """Publishes /diagnostics and keeps the console's faults."""

    def __init__(self, node: Node, name: str, hardware_id: str = '') -> None:
        """Create the publisher.

        Args:
            node: an rclpy node.
            name: of the status of an inactive node.
            hardware_id: of all statuses; '': the node's full name.
        """
        self._node, self._name = node, name
        self._full_name = node.get_fully_qualified_name().lstrip('/')
        self._hardware_id = hardware_id or self._full_name
        self._make = RclpyFactory()
        self._log = FaultLog(node.get_logger())
        self._active_ns: int | None = None
        self._publisher = node.create_publisher(
            message_class('diagnostic_msgs/msg/DiagnosticArray'), '/diagnostics', profile(10)
        )

    def activated(self) -> None:
        """Begin to judge; what has not come by now is not a fault yet."""
        self._active_ns = monotonic_ns()

    def deactivated(self) -> None:
        """Stop to judge."""
        self._active_ns = None
        self._log = FaultLog(self._node.get_logger())

    def publish(self, parts: Sequence[Part], verdict: Verdict, grace_s: float) -> None:
        """Publish how the node is, the verdict last; tell the console its faults from ``grace_s`` after activation."""
        now_ns = monotonic_ns()
        if self._active_ns is None:
            statuses = [Part(self._name, (), {}, 'not active').status()]
        else:
            statuses = [*(part.judged(verdict).status() for part in parts), verdict_to_status(verdict)]
            if now_ns - self._active_ns > grace_s * NS_PER_S:
                faults = (found for found in verdict.findings if found.severity)
                self._log.update(faults, now_ns, grace_s * NS_PER_S)
        # Where simulated time stands at 0, whoever shows it would take it for old.
        stamp_ns = self._node.get_clock().now().nanoseconds or time_ns()
        self._publisher.publish(diagnostics_to_message(
            self._make, self._full_name, statuses, stamp_ns, self._hardware_id
        ))

    def close(self) -> None:
        """Destroy the publisher."""
        self._node.destroy_publisher(self._publisher)
