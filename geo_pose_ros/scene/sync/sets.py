# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Sets of one instant, open and closed, and what became of the frames."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import Generic, TypeVar

T = TypeVar('T')


class DropCause(str, Enum):
    """Why a frame was not used."""

    LATE = 'late'
    SUPERSEDED = 'superseded'
    INCOMPLETE = 'incomplete'
    OLD = 'old'
    DUPLICATE = 'duplicate'
    CLOCK = 'clock'
    SHUTDOWN = 'shutdown'


# In words, for people who read a report.
DROP_CAUSES: Mapping[DropCause, str] = MappingProxyType({
    DropCause.LATE: 'its set was already closed',
    DropCause.SUPERSEDED: 'a newer set was ready before this one was taken',
    DropCause.INCOMPLETE: 'too few cameras had a frame of that instant',
    DropCause.OLD: 'its stamp is before the last one of the same camera',
    DropCause.DUPLICATE: 'its stamp is the last one of the same camera',
    DropCause.CLOCK: "its camera's clock disagrees with the others', or jumped",
    DropCause.SHUTDOWN: 'synchronisation was stopped',
})


@dataclass(frozen=True, slots=True, eq=False)
class StampedSet(Generic[T]):
    """Payloads of one instant.

    Attributes:
        payloads, stamps_ns: by camera; the stamps as they came.
        stamp_ns: the lower median of the stamps, corrected by their clocks' known errors.
        span_ns: newest minus oldest corrected stamp.
        opened_ns, ready_ns: when its first frame arrived, and when it was closed.
    """

    payloads: Mapping[str, T]
    stamps_ns: Mapping[str, int]
    stamp_ns: int
    span_ns: int
    opened_ns: int
    ready_ns: int


@dataclass(slots=True)
class OpenSet(Generic[T]):
    """A set that may still grow; ``keys`` are the stamps, their clocks' known errors taken off."""

    opened_ns: int
    most_span_ns: int
    payloads: dict[str, T] = field(default_factory=dict)
    stamps: dict[str, int] = field(default_factory=dict)
    keys: dict[str, int] = field(default_factory=dict)
    ready_ns: int = 0

    @property
    def key(self) -> int:
        """Lower median of the keys."""
        keys = sorted(self.keys.values())
        return keys[(len(keys) - 1) // 2]

    @property
    def first_key(self) -> int:
        """Least of the keys."""
        return min(self.keys.values())

    @property
    def span_ns(self) -> int:
        """Largest less least of the keys."""
        return max(self.keys.values()) - self.first_key

    def takes(self, camera: str, key: int) -> bool:
        """Whether a frame of ``camera`` fits in."""
        span_ns = max(key, *self.keys.values()) - min(key, *self.keys.values())
        return camera not in self.keys and span_ns <= self.most_span_ns

    def put(self, camera: str, stamp_ns: int, key: int, payload: T) -> None:
        """Add a frame."""
        self.payloads[camera], self.stamps[camera], self.keys[camera] = payload, stamp_ns, key

    def freeze(self) -> StampedSet[T]:
        """Return the set for its consumer."""
        return StampedSet(
            MappingProxyType(self.payloads), MappingProxyType(self.stamps), self.key, self.span_ns, self.opened_ns,
            self.ready_ns,
        )


class FrameCounts:
    """What became of the frames and sets.

    Attributes:
        received: frames added, by camera.
        used: frames in sets that were taken, by camera.
        drops: frames not used, by camera and cause.
        sets: sets closed: ``taken``, ``superseded``, ``incomplete``, ``clock`` or ``shutdown``.
    """

    def __init__(self, cameras: Sequence[str]) -> None:
        """Start with no frame of ``cameras``."""
        self.received: Counter[str] = Counter()
        self.used: Counter[str] = Counter()
        self.drops: dict[str, Counter[DropCause]] = {name: Counter() for name in cameras}
        self.sets: Counter[str] = Counter()

    def copy(self) -> FrameCounts:
        """Return the counts as they are now."""
        return deepcopy(self)

    def use_cameras(self, cameras: Sequence[str]) -> None:
        """Go on with other cameras; those that stay keep their counts."""
        self.drops = {name: self.drops.get(name, Counter()) for name in cameras}
        for counter in (self.received, self.used):
            for name in counter.keys() - set(cameras):
                del counter[name]

    def drop(self, cameras: Iterable[str], cause: DropCause) -> None:
        """Count a set of ``cameras`` that is not used."""
        for name in cameras:
            self.drops[name][cause] += 1
        self.sets[cause.value] += 1

    def take(self, cameras: Iterable[str]) -> None:
        """Count a set of ``cameras`` that was taken."""
        # Of a mapping its values would be added.
        self.used.update(list(cameras))
        self.sets['taken'] += 1
