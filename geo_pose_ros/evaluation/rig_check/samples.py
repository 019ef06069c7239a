# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""A few of many items, spread evenly over all that came."""

from __future__ import annotations

from typing import Generic, TypeVar

T = TypeVar('T')


class SpreadSample(Generic[T]):
    """Keeps at least ``least`` and at most twice as many of the items added, each as far from the next.

    Attributes:
        items: those kept, in order.
    """

    def __init__(self, least: int) -> None:
        """Begin with nothing."""
        self._least, self._step, self._count = least, 1, 0
        self.items: list[T] = []

    def add(self, item: T) -> None:
        """Take an item, and keep it if its turn has come."""
        if self._count % self._step == 0:
            if len(self.items) == 2 * self._least:
                self.items = self.items[::2]
                self._step *= 2
            if self._count % self._step == 0:
                self.items.append(item)
        self._count += 1
