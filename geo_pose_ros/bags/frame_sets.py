"""Group recorded frames of several cameras by their stamps, offline."""

from __future__ import annotations

import heapq
from collections import Counter
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
    frames: Iterable[Stamped[T]], tolerance_ns: int, *, late: Counter[str], reorder_ns: int = 1_000_000_000
) -> Iterator[tuple[int, Mapping[str, T]]]:
    """Yield (stamp_ns, items by camera) of each set, in time order; every frame is in one set or counted as late.

    A set grows while its cameras differ and its stamps span at most ``tolerance_ns``.

    Args:
        frames: in the order received.
        tolerance_ns: as SyncConfig.tolerance_ms.
        late: counts, by camera, the frames received more than ``reorder_ns`` after newer ones of other cameras.
        reorder_ns: frames are kept for so long to put them in order. If a camera's own stamps go back by more (its
            clock was set, the bag was looped), time starts anew.
    """
    group: list[Stamped[T]] = []
    for frame in _by_stamp(frames, reorder_ns, late):
        repeated = any(member.camera == frame.camera for member in group)
        if group and (repeated or abs(frame.stamp_ns - group[0].stamp_ns) > tolerance_ns):
            yield _as_set(group)
            group = []
        group.append(frame)
    if group:
        yield _as_set(group)


def _as_set(group: list[Stamped[T]]) -> tuple[int, Mapping[str, T]]:
    return median_ns(member.stamp_ns for member in group), {member.camera: member.item for member in group}


def _by_stamp(frames: Iterable[Stamped[T]], reorder_ns: int, late: Counter[str]) -> Iterator[Stamped[T]]:
    """Sort a stream whose stamps are out of order by at most ``reorder_ns``."""
    waiting: list[tuple[int, int, Stamped[T]]] = []
    last: dict[str, int] = {}
    for number, frame in enumerate(frames):
        if frame.stamp_ns < last.get(frame.camera, frame.stamp_ns) - reorder_ns:
            while waiting:
                yield heapq.heappop(waiting)[2]
            last.clear()
        last[frame.camera] = frame.stamp_ns
        settled_ns = max(last.values()) - reorder_ns
        if frame.stamp_ns < settled_ns:
            late[frame.camera] += 1
            continue
        heapq.heappush(waiting, (frame.stamp_ns, number, frame))
        while waiting[0][0] < settled_ns:
            yield heapq.heappop(waiting)[2]
    while waiting:
        yield heapq.heappop(waiting)[2]
