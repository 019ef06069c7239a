# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The stream of frames of one camera: its order, its period, its clock, and what may still come of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from .sets import OpenSet, T

# Frames that the clock offset and the period of a camera are estimated over.
CLOCK_WINDOW = 16
_PERIOD_WINDOW = 9
# A frame is due by this part of its period before it is predicted.
EARLY_PERIODS = 0.25
# What is known of a clock falls by this, ns per ns: as fast as a clock may drift. What falls faster is delayed.
_FALL = 0.002
# The least delay so far confirms what the last frames say of a clock if it says this part of it.
_CONFIRMED = 0.5
# Silent for longer, a camera may have been started anew; for less, the machine may be busy.
_RESTART_NS = 2_000_000_000
# A set spans less than one period, or a camera could be in it twice; the rest is for jitter.
_SPAN_PERIODS = 0.9
# ... and as long as no period is known, what a shaky trigger needs.
_FIRST_SPAN_NS = 10_000_000
# Sets are begun anew at the largest gap between the cameras' phases, if it is larger than the one there by this part
# of the period.
_GAP_GAIN_PERIODS = 0.2
# A camera that missed so many sets in a row is no longer waited for, but for every _RETRY-th set.
_PATIENCE = 5
_RETRY = 50


@dataclass(slots=True)
class CameraStream:
    """What is known of one camera.

    Attributes:
        arrived_ns: when its last frame arrived.
        seen_ns: its last stamp.
        stamp_ns, key: its last stamp that was in order, and this with the clock's error taken off.
        clock_agrees: whether its clock is that of the majority.
        clock_ns: error of its clock as given by ``use_clocks``.
        coarse_ns: what its arrivals add to that.
        misses: sets in a row that it was not in.
        offsets: last differences stamp - arrival.
        held_ns: the largest of such differences so far, less what a clock may have drifted since.
        gaps: last differences of successive stamps.
    """

    arrived_ns: int | None = None
    seen_ns: int | None = None
    stamp_ns: int | None = None
    key: int | None = None
    clock_agrees: bool = True
    clock_ns: int = 0
    coarse_ns: int = 0
    misses: int = 0
    offsets: deque[int] = field(default_factory=lambda: deque(maxlen=CLOCK_WINDOW))
    held_ns: int = 0
    gaps: deque[int] = field(default_factory=lambda: deque(maxlen=_PERIOD_WINDOW))

    def arrive(self, stamp_ns: int, now_ns: int, lag_ns: int, *, anew: bool) -> None:
        """Take in a frame, ``lag_ns`` after it arrived; ``anew``: its clock was set, or is judged by what follows."""
        offset_ns = stamp_ns - (now_ns - lag_ns)
        silent_ns = 0 if self.arrived_ns is None else now_ns - self.arrived_ns
        was_set = self.seen_ns is None or (anew and (stamp_ns < self.seen_ns or silent_ns > _RESTART_NS))
        self.held_ns = offset_ns if was_set else max(offset_ns, self.held_ns - round(_FALL * silent_ns))
        if anew:
            self.offsets.clear()
        self.offsets.append(offset_ns)
        self.arrived_ns, self.seen_ns = now_ns, stamp_ns

    def accept(self, stamp_ns: int) -> None:
        """Take in a stamp that is in order."""
        if self.stamp_ns is not None:
            self.gaps.append(stamp_ns - self.stamp_ns)
        self.stamp_ns, self.key = stamp_ns, self.key_of(stamp_ns)

    def key_of(self, stamp_ns: int) -> int:
        """Return the stamp with the clock's error taken off."""
        return stamp_ns - self.clock_ns - self.coarse_ns

    def correct(self, clock_ns: int, coarse_ns: int) -> None:
        """Take another error of the clock."""
        self.clock_ns, self.coarse_ns = clock_ns, coarse_ns
        if self.stamp_ns is not None:
            self.key = self.key_of(self.stamp_ns)

    def forget_stamps(self) -> None:
        """Forget which stamps were in order."""
        self.stamp_ns = self.key = None

    @property
    def offset_ns(self) -> int:
        """Largest of the last differences stamp - arrival, the known error of the clock taken off."""
        return max(self.offsets) - self.clock_ns

    def ahead_ns(self, clock_ns: int, held_ns: int) -> int:
        """Return how far its clock is surely ahead of another, ns.

        Args:
            clock_ns: of the other, by the last frames.
            held_ns: of the other, by the least delay so far: frames that are late together leave that as it was.
        """
        recent_ns, least_ns = self.offset_ns - clock_ns, self.held_ns - self.clock_ns - held_ns
        return recent_ns if abs(least_ns) > _CONFIRMED * abs(recent_ns) else least_ns

    @property
    def period_ns(self) -> int | None:
        """Median of its last gaps; None before the first."""
        return sorted(self.gaps)[len(self.gaps) // 2] if self.gaps else None

    def is_alive(self, now_ns: int, silent_ns: int) -> bool:
        """Whether a frame arrived within ``silent_ns``."""
        return self.arrived_ns is not None and now_ns - self.arrived_ns <= silent_ns

    def is_awaited(self, now_ns: int, silent_ns: int) -> bool:
        """Whether sets wait for it."""
        patient = self.misses < _PATIENCE or self.misses % _RETRY == 0
        return patient and self.clock_agrees and self.is_alive(now_ns, silent_ns)

    def may_join(self, candidate: OpenSet[T], camera: str) -> bool:
        """Whether a frame of it can still come that belongs to ``candidate``."""
        if camera in candidate.keys:
            return False
        if self.key is None:
            return True
        if self.key > candidate.key:
            return False
        period_ns = self.period_ns
        due = self.key if period_ns is None else self.key + round((1.0 - EARLY_PERIODS) * period_ns)
        return due <= candidate.first_key + candidate.most_span_ns


def most_span_ns(period_ns: int | None) -> int:
    """Return how far the stamps of a set may lie apart, ns; ``period_ns`` is the fastest camera's, None: unknown."""
    return _FIRST_SPAN_NS if period_ns is None else round(_SPAN_PERIODS * period_ns)


def span_to_the_largest_gap(closed: OpenSet[T], periods_ns: Sequence[int | None]) -> int | None:
    """Return the span at which the next set should end, so that later ones lie around the largest gap; or None.

    Free-running cameras of one rate keep the order of their phases; a set that begins right after their largest gap
    spans the least.

    Args:
        closed: the set before.
        periods_ns: of its cameras.
    """
    known = [period for period in periods_ns if period]
    if len(known) < 2 or len(known) < len(periods_ns) or max(known) > 1.2 * min(known):
        return None
    keys = sorted(closed.keys.values())
    gap_ns, before = max((later - earlier, earlier) for earlier, later in pairwise(keys))
    around_ns = min(known) - closed.span_ns
    if gap_ns < around_ns + _GAP_GAIN_PERIODS * min(known):
        return None
    return before - keys[0] + gap_ns // 2
