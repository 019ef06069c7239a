"""Group recorded frames of several cameras by their stamps, offline: nothing is late, so nothing is dropped."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar('T')


@dataclass(frozen=True, slots=True)
class Stamped(Generic[T]):
    """Something of one camera at one instant."""

    stamp_ns: int
    camera: str
    item: T


def median_ns(stamps_ns: Iterable[int]) -> int:
    """Return the lower median, as ``FrameSet.stamp_ns``."""
    ordered = sorted(stamps_ns)
    return ordered[(len(ordered) - 1) // 2]


def group_by_stamp(
    frames: Iterable[Stamped[T]], tolerance_ns: int, reorder_ns: int = 1_000_000_000
) -> Iterator[tuple[int, Mapping[str, T]]]:
    """Yield (stamp_ns, items by camera) of each set, in time order; every frame is in exactly one set.

    A set grows while its cameras differ and its stamps span at most ``tolerance_ns``.

    Args:
        frames: in the order received; stamps may be out of order by less than ``reorder_ns``.
        tolerance_ns: as SyncConfig.tolerance_ms.
    """
    group: list[Stamped[T]] = []
    for frame in _by_stamp(frames, reorder_ns):
        repeated = any(member.camera == frame.camera for member in group)
        if group and (repeated or frame.stamp_ns - group[0].stamp_ns > tolerance_ns):
            yield _as_set(group)
            group = []
        group.append(frame)
    if group:
        yield _as_set(group)


def _as_set(group: list[Stamped[T]]) -> tuple[int, Mapping[str, T]]:
    return median_ns(member.stamp_ns for member in group), {member.camera: member.item for member in group}


def _by_stamp(frames: Iterable[Stamped[T]], reorder_ns: int) -> Iterator[Stamped[T]]:
    """Sort a stream whose stamps are out of order by less than ``reorder_ns``."""
    waiting: list[tuple[int, int, Stamped[T]]] = []
    newest = None
    for number, frame in enumerate(frames):
        newest = frame.stamp_ns if newest is None else max(newest, frame.stamp_ns)
        heapq.heappush(waiting, (frame.stamp_ns, number, frame))
        while waiting[0][0] < newest - reorder_ns:
            yield heapq.heappop(waiting)[2]
    while waiting:
        yield heapq.heappop(waiting)[2]
