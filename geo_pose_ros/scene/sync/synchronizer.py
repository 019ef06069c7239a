# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""FrameSynchronizer: opens, closes and hands out sets; see the package."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Generic

from ...errors import ConfigError
from ...types import ClockModel
from ..settings import SyncConfig
from .arrivals import ArrivalClocks, ClockVerdict
from .sets import DropCause, FrameCounts, OpenSet, StampedSet, T
from .streams import EARLY_PERIODS, CameraStream, most_span_ns, span_to_the_largest_gap

_MS = 1_000_000
# Given clocks are news when one has changed by more than this.
_CLOCK_NEWS_NS = 200_000
# Closed sets that wait for the consumer.
_MOST_READY = 4


class FrameSynchronizer(Generic[T]):
    """Makes sets; see the package. Not thread-safe: the caller holds a lock.

    ``now_ns`` is the arrival clock: monotonic, of any origin.
    """

    def __init__(
        self, cameras: Sequence[str], config: SyncConfig | None = None, *, newest_wins: bool = True
    ) -> None:
        """Start with no frame.

        Args:
            cameras: their names.
            config: settings; None for the defaults.
            newest_wins: whether sets are passed over for a consumer that does not keep up; a recording's time waits.

        Raises:
            ConfigError: if there is no camera, or two have one name.
        """
        _check_names(cameras)
        config = config or SyncConfig()
        self._tolerance_ns = round(config.tolerance_ms * _MS)
        self._deadline_ns = round(config.deadline_ms * _MS)
        self._silent_ns = round(config.silent_ms * _MS)
        self._wanted_cameras = config.min_cameras
        self._newest_wins = newest_wins
        self._cameras = {name: CameraStream() for name in cameras}
        self._clocks = ArrivalClocks(round(config.clock_limit_ms * _MS), self._deadline_ns, self._silent_ns)
        # In the order they were begun.
        self._open: list[OpenSet[T]] = []
        self._ready: deque[OpenSet[T]] = deque()
        # Outputs are later than this one.
        self._last: OpenSet[T] | None = None
        # Span that the next set may have, so that the one after begins at the largest gap.
        self._shorten_ns: int | None = None
        self._counts = FrameCounts(cameras)

    @property
    def counts(self) -> FrameCounts:
        """What became of the frames and sets: a copy."""
        return self._counts.copy()

    @property
    def pending(self) -> int:
        """Frames that are not yet used or dropped."""
        return sum(len(s.stamps) for s in (*self._open, *self._ready))

    @property
    def is_ready(self) -> bool:
        """Whether a closed set waits to be taken."""
        return bool(self._ready)

    def clock_error_ns(self, camera: str) -> int | None:
        """Return how far the stamps of ``camera`` are ahead of the others', ns; None before its first frame."""
        return self._clocks.error_ns(self._cameras[camera])

    def period_ns(self) -> int | None:
        """Return the period of the fastest camera whose clock agrees, ns; None before it is known."""
        known = [c.period_ns for c in self._cameras.values() if c.clock_agrees]
        return min((period for period in known if period), default=None)

    def use_clocks(self, clocks: Mapping[str, ClockModel]) -> None:
        """Take the clocks of cameras; cameras not named keep theirs.

        May be called with every set: where none is off by more than 0.2 ms from what was given before, nothing changes.

        Raises:
            ConfigError: if a camera is not one of those given at the start.
        """
        given = [(self._known(camera), clock.offset_ns) for camera, clock in clocks.items()]
        if any(abs(offset_ns - known.clock_ns) > _CLOCK_NEWS_NS for known, offset_ns in given):
            for known, offset_ns in given:
                known.correct(offset_ns, known.coarse_ns)

    def use_cameras(self, cameras: Sequence[str]) -> None:
        """Go on with other cameras; those that stay keep their clocks and counters. What is pending is dropped.

        Raises:
            ConfigError: if there is no camera, or two have one name.
        """
        _check_names(cameras)
        self._drop_pending(DropCause.SHUTDOWN)
        self._cameras = {name: self._cameras.get(name, CameraStream()) for name in cameras}
        self._counts.use_cameras(cameras)

    def wait_for(self, camera: str, now_ns: int) -> None:
        """Wait for ``camera``, from which nothing has come yet, as for one that has just sent something.

        Raises:
            ConfigError: if ``camera`` is not one of those given at the start.
        """
        known = self._known(camera)
        if known.arrived_ns is None:
            known.arrived_ns = now_ns

    def next_deadline_ns(self) -> int | None:
        """Return when the next open set closes by itself; None if there is none."""
        return min((self._deadline_of(candidate) for candidate in self._open), default=None)

    def add(self, camera: str, stamp_ns: int, payload: T, now_ns: int, lag_ns: int = 0) -> None:
        """Add a frame that arrived ``lag_ns`` ago; so long it waited for a process that was busy.

        Raises:
            ConfigError: if ``camera`` is not one of those given at the start.
        """
        known = self._known(camera)
        self._counts.received[camera] += 1
        self._close(now_ns)
        cause = self._refuse(known, camera, stamp_ns, now_ns, lag_ns)
        if cause in (None, DropCause.LATE):
            known.accept(stamp_ns)
        if cause is not None:
            self._counts.drops[camera][cause] += 1
            return
        key = known.key_of(stamp_ns)
        fitting = [s for s in self._open if s.takes(camera, key)]
        if fitting:
            chosen = min(fitting, key=lambda s: abs(s.key - key))
        else:
            span_ns, self._shorten_ns = self._shorten_ns, None
            if span_ns is None:
                span_ns = self._tolerance_ns or most_span_ns(self.period_ns())
            chosen = OpenSet(now_ns, span_ns)
            self._open.append(chosen)
        chosen.put(camera, stamp_ns, key, payload)
        self._close(now_ns)

    def take(self, now_ns: int) -> StampedSet[T] | None:
        """Return the next closed set, or None.

        Sets that have waited for longer than a period are passed over while there is a newer one: the consumer does not
        keep up, and the newest wins.
        """
        self._close(now_ns)
        patience_ns = self.period_ns() or 0
        while self._newest_wins and len(self._ready) > 1 and now_ns - self._ready[0].ready_ns > patience_ns:
            self._counts.drop(self._ready.popleft().stamps, DropCause.SUPERSEDED)
        if not self._ready:
            return None
        ready = self._ready.popleft()
        self._counts.take(ready.stamps)
        return ready.freeze()

    def flush(self, now_ns: int) -> None:
        """Close what is open: nothing more will come."""
        for candidate in list(self._open):
            self._finish(candidate, now_ns)

    def clear(self) -> None:
        """Drop what is pending, and forget the clocks but for what `use_clocks` gave."""
        self._restart(DropCause.SHUTDOWN)
        self._cameras = {name: CameraStream(clock_ns=known.clock_ns) for name, known in self._cameras.items()}

    @property
    def _min_cameras(self) -> int:
        return min(self._wanted_cameras, len(self._cameras))

    def _known(self, camera: str) -> CameraStream:
        if camera not in self._cameras:
            raise ConfigError(f"FrameSynchronizer: unknown camera '{camera}'; known: {', '.join(self._cameras)}.")
        return self._cameras[camera]

    def _deadline_of(self, candidate: OpenSet[T]) -> int:
        """Return when ``candidate`` is closed by itself: deadline_ms after the last frame due should be in."""
        due = [known.key + (known.period_ns or 0) for name, known in self._cameras.items()
               if known.key is not None and known.may_join(candidate, name)]
        wait_ns = min(max([0, *(key - candidate.first_key for key in due)]), candidate.most_span_ns)
        return candidate.opened_ns + wait_ns + self._deadline_ns

    def _refuse(
        self, known: CameraStream, camera: str, stamp_ns: int, now_ns: int, lag_ns: int
    ) -> DropCause | None:
        """Return why a frame cannot be used, None if it can."""
        was_silent = not known.is_alive(now_ns, self._silent_ns)
        jumped_back = known.seen_ns is not None and stamp_ns < known.seen_ns - self._deadline_ns
        anew = was_silent or jumped_back
        known.arrive(stamp_ns, now_ns, lag_ns, anew=anew)
        if was_silent:
            known.misses = 0
        if anew and known.stamp_ns is not None and stamp_ns < known.stamp_ns - self._deadline_ns:
            known.forget_stamps()
        verdict = self._clocks.judge(known, self._cameras, now_ns)
        known.clock_agrees = verdict is not ClockVerdict.REFUSED
        if verdict is ClockVerdict.NEW_MAJORITY:
            self._restart(DropCause.CLOCK)
        if not known.clock_agrees:
            return DropCause.CLOCK
        if known.stamp_ns is not None and stamp_ns <= known.stamp_ns:
            return DropCause.DUPLICATE if stamp_ns == known.stamp_ns else DropCause.OLD
        if self._last is not None and self._is_late(self._last, camera, known.key_of(stamp_ns)):
            if now_ns < self._last.opened_ns + self._deadline_ns:
                # It would have been in time, had the set waited for it.
                known.misses = 0
            return DropCause.LATE
        return None

    def _is_late(self, last: OpenSet[T], camera: str, key: int) -> bool:
        """Whether the frame belongs to or before ``last``, which is closed, and not to the instant after it."""
        margin_ns = round(EARLY_PERIODS * last.most_span_ns) if camera not in last.keys else 0
        return key <= last.key + margin_ns

    def _close(self, now_ns: int) -> None:
        """Close the sets that are complete or due, in the order of their stamps."""
        if not self._open:
            return
        awaited = [name for name, known in self._cameras.items() if known.is_awaited(now_ns, self._silent_ns)]
        self._open.sort(key=lambda s: s.key)
        closed = 0
        for number, candidate in enumerate(self._open, 1):
            complete = not any(self._cameras[name].may_join(candidate, name) for name in awaited)
            if (complete and len(candidate.keys) >= self._min_cameras) or now_ns >= self._deadline_of(candidate):
                # What is older is closed with it, or it could not be handed out any more.
                closed = number
        for candidate in self._open[:closed]:
            self._finish(candidate, now_ns)

    def _finish(self, candidate: OpenSet[T], now_ns: int) -> None:
        """Close one set: the oldest that is open."""
        for name, known in self._cameras.items():
            if name in candidate.keys:
                known.misses = 0
            elif known.may_join(candidate, name) and (len(candidate.keys) > 1 or len(self._cameras) == 1):
                known.misses += 1
        self._open.remove(candidate)
        if len(candidate.keys) < self._min_cameras:
            self._counts.drop(candidate.stamps, DropCause.INCOMPLETE)
            return
        if self._last is not None and candidate.key <= self._last.key:
            self._counts.drop(candidate.stamps, DropCause.LATE)
            return
        if not self._tolerance_ns:
            periods_ns = [self._cameras[name].period_ns for name in candidate.keys]
            self._shorten_ns = span_to_the_largest_gap(candidate, periods_ns)
        candidate.ready_ns = now_ns
        self._ready.append(candidate)
        self._last = candidate
        if self._newest_wins and len(self._ready) > _MOST_READY:
            self._counts.drop(self._ready.popleft().stamps, DropCause.SUPERSEDED)

    def _drop_pending(self, cause: DropCause) -> None:
        for dropped in (*self._open, *self._ready):
            self._counts.drop(dropped.stamps, cause)
        self._open.clear()
        self._ready.clear()

    def _restart(self, cause: DropCause) -> None:
        self._drop_pending(cause)
        self._last = self._shorten_ns = None
        for known in self._cameras.values():
            known.forget_stamps()


def _check_names(cameras: Sequence[str]) -> None:
    if not cameras or len(set(cameras)) != len(cameras):
        raise ConfigError(f'FrameSynchronizer: received cameras {list(cameras)}, expected one or more unique ones.')
