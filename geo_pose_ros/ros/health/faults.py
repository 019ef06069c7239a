"""Faults on the console: one line when each begins, one when it is over; in between it is on /diagnostics."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ...messages.diagnostics import Level


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that is wrong now.

    Attributes:
        subject: what has it, as /diagnostics names it ('camera left', 'pipeline', 'rig').
        kind: tells faults of one subject apart; the words may change while it lasts.
        level: how bad.
        text: what, received, expected, remedy.
    """

    subject: str
    kind: str
    level: Level
    text: str

    def __str__(self) -> str:
        # Errors of this package name their camera themselves.
        return self.text if self.text.startswith('Camera ') else f'{self.subject}: {self.text}'


class FaultLog:
    """Compares the faults there are now with those there were."""

    def __init__(self, logger: Any) -> None:
        """Use an rclpy logger; begin without a fault."""
        self._logger = logger
        self._begun: dict[tuple[str, str], tuple[str, int]] = {}

    def update(self, faults: Iterable[Fault], now_ns: int) -> None:
        """Log those of ``faults`` that are new, and those that are gone (``now_ns``: a monotonic clock)."""
        current = {(fault.subject, fault.kind): fault for fault in faults}
        for key, fault in current.items():
            if key not in self._begun:
                self._begun[key] = (str(fault), now_ns)
                # Not one call: rclpy refuses two severities from one line of source.
                if fault.level == Level.ERROR:
                    self._logger.error(str(fault))
                else:
                    self._logger.warning(str(fault))
        for key in [key for key in self._begun if key not in current]:
            text, since_ns = self._begun.pop(key)
            self._logger.info(f'over after {(now_ns - since_ns) / 1e9:.1f} s: {text}')
