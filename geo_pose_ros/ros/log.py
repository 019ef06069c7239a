"""Log lines that may come with every set, and must not."""

from __future__ import annotations

from time import monotonic_ns
from typing import Any

# The same complaint is logged once in this time.
_PERIOD_NS = 5_000_000_000


class ThrottledLog:
    """Warnings of a node, each kind at most once in five seconds."""

    def __init__(self, logger: Any) -> None:
        """Use an rclpy logger."""
        self._logger = logger
        self._logged_ns: dict[str, int] = {}

    def warn(self, text: str, key: str = '') -> None:
        """Log ``text`` unless its kind ``key`` ('': the text) was logged just now."""
        now_ns = monotonic_ns()
        if now_ns - self._logged_ns.get(key or text, -_PERIOD_NS) >= _PERIOD_NS:
            self._logged_ns[key or text] = now_ns
            self._logger.warning(text)
