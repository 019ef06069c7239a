# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Recorded frames of several cameras as sets: the node's synchroniser, in the time of the recording."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from ..scene.sync import FrameSynchronizer, StampedSet

T = TypeVar('T')


@dataclass(frozen=True, slots=True)
class Stamped(Generic[T]):
    """Something of one camera at one instant, and when it was received."""

    camera: str
    stamp_ns: int
    arrived_ns: int
    item: T


def synchronised(
    frames: Iterable[Stamped[T]], synchronizer: FrameSynchronizer[T], cameras: Iterable[str] = ()
) -> Iterator[StampedSet[T]]:
    """Yield the sets that ``synchronizer`` makes of frames in the order received.

    Every set is taken as soon as it is closed: a recording waits for its reader. Frames that are in no set are counted
    by the synchroniser.

    Args:
        frames: in the order received.
        synchronizer: a new one, in which the newest set does not win if the reader takes time.
        cameras: those that are known to come: the first sets wait for them.

    Raises:
        ConfigError: if a camera is not one of the synchroniser's.
    """
    now_ns: int | None = None
    for frame in frames:
        # An arrival clock does not go back.
        if now_ns is None:
            now_ns = frame.arrived_ns
            for camera in cameras:
                synchronizer.wait_for(camera, now_ns)
        now_ns = max(now_ns, frame.arrived_ns)
        yield from _due(synchronizer, now_ns)
        synchronizer.add(frame.camera, frame.stamp_ns, frame.item, now_ns)
        yield from _taken(synchronizer, now_ns)
    yield from _due(synchronizer, None)


def _due(synchronizer: FrameSynchronizer[T], until_ns: int | None) -> Iterator[StampedSet[T]]:
    """Yield the sets whose deadline is not after ``until_ns``, each at its own; None: all."""
    while (due_ns := synchronizer.next_deadline_ns()) is not None and (until_ns is None or due_ns <= until_ns):
        yield from _taken(synchronizer, due_ns)


def _taken(synchronizer: FrameSynchronizer[T], now_ns: int) -> Iterator[StampedSet[T]]:
    while (found := synchronizer.take(now_ns)) is not None:
        yield found
