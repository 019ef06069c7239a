"""FrameSynchronizer: stamped payloads of several cameras in, sets of one instant out.

A set is what arrived. It grows while its cameras differ and its stamps span less than the fastest camera's period, so
that one trigger, free-running cameras and mixed rates all give sets of everybody. It is closed as soon as nobody else
can join it: every camera that is alive is in, has already sent something newer (a camera's frames come in order, so
its frame of this instant was lost), or has nothing due; and at the latest at a deadline. A lost frame thus costs
itself. Closed sets are handed out in order while the consumer keeps up; for one that does not, the newest wins. Every
frame that does not end up in a set that was taken is counted with its cause. Payloads are not looked into, so they may
be undecoded. The same class serves the node, `geo_pose process` (its arrival clock is then the bag's) and tests.

Clocks: `use_clocks` takes the cameras' clock offsets where somebody knows them. Beyond that, the clock error of a
camera is estimated as the largest of its last differences stamp - arrival against the others': delays only ever make it
smaller (the minimum filter of NTP, RFC 5905 section 10). Where it is larger than what a set waits for, frames are
grouped by when they arrived; where no set could hold both, the camera is refused. A camera costs only itself.
"""

from __future__ import annotations

import itertools
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import Generic, TypeVar

from ..errors import ConfigError
from ..types import ClockModel
from .settings import SyncConfig

T = TypeVar('T')

_MS = 1_000_000
# Clock offsets that are told are news when one has changed by more than this.
_CLOCK_NEWS_NS = 200_000
# Frames the clock offset and the period of a camera are estimated over.
_CLOCK_WINDOW = 16
_PERIOD_WINDOW = 9
# A set spans less than one period, or a camera could be in it twice; the rest is for jitter.
_SPAN_PERIODS = 0.9
# ... and as long as no period is known, what a shaky trigger needs.
_FIRST_SPAN_NS = 10 * _MS
# A frame is due this part of its period before it is expected.
_EARLY_PERIODS = 0.25
# Sets are begun anew at the largest gap between the cameras' phases, if it is larger than the one there by this part
# of the period.
_GAP_GAIN_PERIODS = 0.2
# Closed sets that wait for the consumer.
_MOST_READY = 4
# A camera that missed so many sets in a row is no longer waited for, but for every _RETRY-th set.
_PATIENCE = 5
_RETRY = 50


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


def _check_names(cameras: Sequence[str]) -> None:
    if not cameras or len(set(cameras)) != len(cameras):
        raise ConfigError(f'FrameSynchronizer: received cameras {list(cameras)}, expected one or more unique ones.')


@dataclass(frozen=True, slots=True, eq=False)
class StampedSet(Generic[T]):
    """Payloads of one instant.

    Attributes:
        payloads, stamps_ns: by camera; the stamps as they came.
        stamp_ns: the lower median of the stamps, their clocks' known errors taken off.
        span_ns: newest minus oldest of these.
        opened_ns: when its first frame arrived.
    """

    payloads: Mapping[str, T]
    stamps_ns: Mapping[str, int]
    stamp_ns: int
    span_ns: int
    opened_ns: int


@dataclass(slots=True)
class _Open(Generic[T]):
    """A set that may still grow; ``keys`` are the stamps, their clocks' known errors taken off."""

    opened_ns: int
    most_span_ns: int
    payloads: dict[str, T] = field(default_factory=dict)
    stamps: dict[str, int] = field(default_factory=dict)
    keys: dict[str, int] = field(default_factory=dict)
    ready_ns: int = 0

    @property
    def key(self) -> int:
        keys = sorted(self.keys.values())
        return keys[(len(keys) - 1) // 2]

    def takes(self, camera: str, key: int) -> bool:
        return camera not in self.keys and max(key, *self.keys.values()) - min(key, *self.keys.values()) <= (
            self.most_span_ns
        )

    def put(self, camera: str, stamp_ns: int, key: int, payload: T) -> None:
        self.payloads[camera], self.stamps[camera], self.keys[camera] = payload, stamp_ns, key

    def freeze(self) -> StampedSet[T]:
        span = max(self.keys.values()) - min(self.keys.values())
        return StampedSet(
            MappingProxyType(self.payloads), MappingProxyType(self.stamps), self.key, span, self.opened_ns
        )


@dataclass(slots=True)
class _Camera:
    """What is known of one camera."""

    arrived_ns: int | None = None
    # Last stamp that came, last that was in order, and its key.
    seen_ns: int | None = None
    stamp_ns: int | None = None
    key: int | None = None
    clock_agrees: bool = True
    # Error of its clock as told by `use_clocks`, and what its arrivals add to that, ns.
    told_ns: int = 0
    coarse_ns: int = 0
    misses: int = 0
    offsets: deque[int] = field(default_factory=lambda: deque(maxlen=_CLOCK_WINDOW))
    gaps: deque[int] = field(default_factory=lambda: deque(maxlen=_PERIOD_WINDOW))

    def accept(self, stamp_ns: int) -> None:
        if self.stamp_ns is not None:
            self.gaps.append(stamp_ns - self.stamp_ns)
        self.stamp_ns, self.key = stamp_ns, self.key_of(stamp_ns)

    def key_of(self, stamp_ns: int) -> int:
        return stamp_ns - self.told_ns - self.coarse_ns

    def correct(self, told_ns: int, coarse_ns: int) -> None:
        self.told_ns, self.coarse_ns = told_ns, coarse_ns
        if self.stamp_ns is not None:
            self.key = self.key_of(self.stamp_ns)

    def forget_stamps(self) -> None:
        self.stamp_ns = self.key = None

    @property
    def offset_ns(self) -> int:
        return max(self.offsets) - self.told_ns

    @property
    def period_ns(self) -> int | None:
        """Median of its last gaps; None before the first."""
        return sorted(self.gaps)[len(self.gaps) // 2] if self.gaps else None

    def may_join(self, candidate: _Open[T], camera: str) -> bool:
        """Whether a frame of it can still come that belongs to ``candidate``."""
        if camera in candidate.keys:
            return False
        if self.key is None:
            return True
        if self.key > candidate.key:
            return False
        period_ns = self.period_ns
        due = self.key if period_ns is None else self.key + round((1.0 - _EARLY_PERIODS) * period_ns)
        return due <= min(candidate.keys.values()) + candidate.most_span_ns


class FrameSynchronizer(Generic[T]):
    """Makes sets; see the module. Not thread-safe: the caller holds a lock.

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
        self._clock_limit_ns = round(config.clock_limit_ms * _MS)
        self._wanted_cameras = config.min_cameras
        self._cameras = {name: _Camera() for name in cameras}
        self._clock_ns = 0
        # In the order they were begun.
        self._open: list[_Open[T]] = []
        self._newest_wins = newest_wins
        self._ready: deque[_Open[T]] = deque()
        # Outputs are later than this one.
        self._last: _Open[T] | None = None
        # Span that the next set may have, so that the one after begins at the largest gap.
        self._shorten_ns: int | None = None
        self._received: Counter[str] = Counter()
        self._used: Counter[str] = Counter()
        self._drops: dict[str, Counter[DropCause]] = {name: Counter() for name in cameras}
        self._sets: Counter[str] = Counter()

    @property
    def received(self) -> Mapping[str, int]:
        """Frames added, by camera."""
        return dict(self._received)

    @property
    def used(self) -> Mapping[str, int]:
        """Frames in sets that were taken, by camera."""
        return dict(self._used)

    @property
    def drops(self) -> Mapping[str, Mapping[DropCause, int]]:
        """Frames not used, by camera and cause."""
        return {name: dict(counter) for name, counter in self._drops.items()}

    @property
    def sets(self) -> Mapping[str, int]:
        """Sets closed: ``taken``, ``superseded``, ``incomplete``, ``clock`` or ``shutdown``."""
        return dict(self._sets)

    @property
    def pending(self) -> int:
        """Frames whose fate is open."""
        return sum(len(s.stamps) for s in (*self._open, *self._ready))

    @property
    def is_ready(self) -> bool:
        """Whether a closed set waits to be taken."""
        return bool(self._ready)

    def clock_error_ns(self, camera: str) -> int | None:
        """Return how far the stamps of ``camera`` are ahead of the others', ns; None before its first frame."""
        known = self._cameras[camera]
        return known.offset_ns - self._clock_ns if known.offsets else None

    def period_ns(self) -> int | None:
        """Return the period of the fastest camera that is alive, ns; None before it is known."""
        known = [c.period_ns for c in self._cameras.values() if c.clock_agrees]
        return min((period for period in known if period), default=None)

    def use_clocks(self, clocks: Mapping[str, ClockModel]) -> None:
        """Take the clocks of cameras; cameras not named keep theirs.

        May be called with every set: where none is off by more than 0.2 ms from what was told before, nothing changes.

        Raises:
            ConfigError: if a camera is not one of those given at the start.
        """
        told = [(self._known(camera), clock.offset_ns) for camera, clock in clocks.items()]
        if any(abs(offset_ns - known.told_ns) > _CLOCK_NEWS_NS for known, offset_ns in told):
            for known, offset_ns in told:
                known.correct(offset_ns, known.coarse_ns)

    def use_cameras(self, cameras: Sequence[str]) -> None:
        """Go on with other cameras; those that stay keep their clocks and counters. What is pending is dropped.

        Raises:
            ConfigError: if there is no camera, or two have one name.
        """
        _check_names(cameras)
        self._drop_pending(DropCause.SHUTDOWN)
        self._cameras = {name: self._cameras.get(name, _Camera()) for name in cameras}
        self._drops = {name: self._drops.get(name, Counter()) for name in cameras}
        for counter in (self._received, self._used):
            for name in counter.keys() - set(cameras):
                del counter[name]

    @property
    def _min_cameras(self) -> int:
        return min(self._wanted_cameras, len(self._cameras))

    def expect(self, camera: str, now_ns: int) -> None:
        """Wait for ``camera``, of which nothing has come yet, as for one that has just sent something.

        Raises:
            ConfigError: if ``camera`` is not one of those given at the start.
        """
        known = self._known(camera)
        if known.arrived_ns is None:
            known.arrived_ns = now_ns

    def _known(self, camera: str) -> _Camera:
        if camera not in self._cameras:
            raise ConfigError(f"FrameSynchronizer: unknown camera '{camera}'; known: {', '.join(self._cameras)}.")
        return self._cameras[camera]

    def next_deadline_ns(self) -> int | None:
        """Return when the next open set closes by itself; None if there is none."""
        return min((self._deadline_of(candidate) for candidate in self._open), default=None)

    def _deadline_of(self, candidate: _Open[T]) -> int:
        """Return when ``candidate`` is closed by itself: deadline_ms after the last frame due should be in."""
        first = min(candidate.keys.values())
        due = [known.key + (known.period_ns or 0) for name, known in self._cameras.items()
               if known.key is not None and known.may_join(candidate, name)]
        wait_ns = min(max([0, *(key - first for key in due)]), candidate.most_span_ns)
        return candidate.opened_ns + wait_ns + self._deadline_ns

    def add(self, camera: str, stamp_ns: int, payload: T, now_ns: int) -> None:
        """Add a frame.

        Raises:
            ConfigError: if ``camera`` is not one of those given at the start.
        """
        known = self._known(camera)
        self._received[camera] += 1
        self._close(now_ns)
        cause = self._refuse(known, camera, stamp_ns, now_ns)
        if cause in (None, DropCause.LATE):
            known.accept(stamp_ns)
        if cause is not None:
            self._drops[camera][cause] += 1
            return
        self._place(camera, stamp_ns, known.key_of(stamp_ns), payload, now_ns)
        self._close(now_ns)

    def take(self, now_ns: int) -> StampedSet[T] | None:
        """Return the next closed set, or None.

        Sets that have waited for longer than a period are passed over while there is a newer one: the consumer does not
        keep up, and the newest wins.
        """
        self._close(now_ns)
        patience_ns = self.period_ns() or 0
        while self._newest_wins and len(self._ready) > 1 and now_ns - self._ready[0].ready_ns > patience_ns:
            self._drop(self._ready.popleft(), DropCause.SUPERSEDED)
        if not self._ready:
            return None
        ready = self._ready.popleft()
        self._used.update(ready.stamps.keys())
        self._sets['taken'] += 1
        return ready.freeze()

    def flush(self, now_ns: int) -> None:
        """Close what is open: nothing more will come."""
        for candidate in list(self._open):
            self._finish(candidate, now_ns)

    def clear(self) -> None:
        """Drop what is pending, and forget the clocks but for what `use_clocks` told."""
        self._restart(DropCause.SHUTDOWN)
        self._cameras = {name: _Camera(told_ns=known.told_ns) for name, known in self._cameras.items()}

    def _refuse(self, known: _Camera, camera: str, stamp_ns: int, now_ns: int) -> DropCause | None:
        was_silent = known.arrived_ns is None or now_ns - known.arrived_ns > self._silent_ns
        jumped_back = known.seen_ns is not None and stamp_ns < known.seen_ns - self._deadline_ns
        known.arrived_ns, known.seen_ns = now_ns, stamp_ns
        if was_silent:
            known.misses = 0
        if was_silent or jumped_back:
            known.offsets.clear()
            if known.stamp_ns is not None and stamp_ns < known.stamp_ns - self._deadline_ns:
                known.forget_stamps()
        known.offsets.append(stamp_ns - now_ns)
        known.clock_agrees = self._clock_agrees(known, now_ns)
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

    def _is_late(self, last: _Open[T], camera: str, key: int) -> bool:
        """Whether the frame belongs to or before ``last``, which is closed, and not to the instant after it."""
        margin_ns = round(_EARLY_PERIODS * last.most_span_ns) if camera not in last.keys else 0
        return key <= last.key + margin_ns

    def _clock_agrees(self, known: _Camera, now_ns: int) -> bool:
        """Whether the camera's clock is the majority's; the majority may change, then everything starts anew."""
        own = known.offset_ns
        live = [c for c in self._cameras.values() if c is not known and c.offsets and self._is_live(c, now_ns)]
        here = [c for c in live if abs(c.offset_ns - self._clock_ns) <= self._clock_limit_ns]
        if abs(own - self._clock_ns) > self._clock_limit_ns and not self._stamp_continues(known, here):
            mine = [c for c in live if abs(c.offset_ns - own) <= self._clock_limit_ns]
            if 1 + len(mine) <= len(here):
                return False
            self._restart(DropCause.CLOCK)
            here = mine
        # Follows slow drift.
        self._clock_ns = sorted([own, *(c.offset_ns for c in here)])[len(here) // 2]
        self._group_by_arrival(known, own - self._clock_ns)
        return True

    def _group_by_arrival(self, known: _Camera, error_ns: int) -> None:
        """Take off a clock error that is larger than what a set waits for; keep it until it has clearly changed."""
        if len(known.offsets) < _CLOCK_WINDOW // 2:
            return
        wanted_ns = error_ns if abs(error_ns) > self._deadline_ns // 2 else 0
        if abs(wanted_ns - known.coarse_ns) > self._deadline_ns // 4:
            known.correct(known.told_ns, wanted_ns)

    def _stamp_continues(self, known: _Camera, here: list[_Camera]) -> bool:
        """Whether the stamp follows the others' or its own; true of a bag played slowly or fast, whose offsets run."""
        before = sorted(c.stamp_ns for c in here or [known] if c.stamp_ns is not None)
        if known.seen_ns is None or not before:
            return False
        step_ns = abs(known.seen_ns - before[(len(before) - 1) // 2])
        return step_ns <= self._deadline_ns + min(known.gaps, default=0)

    def _is_live(self, known: _Camera, now_ns: int) -> bool:
        return known.arrived_ns is not None and now_ns - known.arrived_ns <= self._silent_ns

    def _is_expected(self, known: _Camera, now_ns: int) -> bool:
        patient = known.misses < _PATIENCE or known.misses % _RETRY == 0
        return patient and known.clock_agrees and self._is_live(known, now_ns)

    def _most_span_ns(self) -> int:
        """Return how far the stamps of a set that begins now may lie apart, ns."""
        if self._tolerance_ns:
            return self._tolerance_ns
        period_ns = self.period_ns()
        return _FIRST_SPAN_NS if period_ns is None else round(_SPAN_PERIODS * period_ns)

    def _place(self, camera: str, stamp_ns: int, key: int, payload: T, now_ns: int) -> None:
        fitting = [s for s in self._open if s.takes(camera, key)]
        if fitting:
            chosen = min(fitting, key=lambda s: abs(s.key - key))
        else:
            span_ns, self._shorten_ns = self._shorten_ns, None
            chosen = _Open(now_ns, self._most_span_ns() if span_ns is None else span_ns)
            self._open.append(chosen)
        chosen.put(camera, stamp_ns, key, payload)

    def _close(self, now_ns: int) -> None:
        """Close the sets that are complete or due, in the order of their stamps."""
        if not self._open:
            return
        expected = [name for name, known in self._cameras.items() if self._is_expected(known, now_ns)]
        self._open.sort(key=lambda s: s.key)
        closed = 0
        for number, candidate in enumerate(self._open, 1):
            complete = not any(self._cameras[name].may_join(candidate, name) for name in expected)
            if (complete and len(candidate.keys) >= self._min_cameras) or (
                now_ns >= self._deadline_of(candidate)
            ):
                # What is older is closed with it, or it could not be handed out any more.
                closed = number
        for candidate in self._open[:closed]:
            self._finish(candidate, now_ns)

    def _finish(self, candidate: _Open[T], now_ns: int) -> None:
        """Close one set: the oldest that is open."""
        for name, known in self._cameras.items():
            if name in candidate.keys:
                known.misses = 0
            elif known.may_join(candidate, name) and (len(candidate.keys) > 1 or len(self._cameras) == 1):
                known.misses += 1
        self._open.remove(candidate)
        if len(candidate.keys) < self._min_cameras:
            self._drop(candidate, DropCause.INCOMPLETE)
            return
        if self._last is not None and candidate.key <= self._last.key:
            self._drop(candidate, DropCause.LATE)
            return
        self._shorten_ns = self._span_to_the_largest_gap(candidate)
        candidate.ready_ns = now_ns
        self._ready.append(candidate)
        self._last = candidate
        if self._newest_wins and len(self._ready) > _MOST_READY:
            self._drop(self._ready.popleft(), DropCause.SUPERSEDED)

    def _span_to_the_largest_gap(self, closed: _Open[T]) -> int | None:
        """Return the span at which the next set should end, so that later ones lie around the largest gap; or None.

        Free-running cameras of one rate keep the order of their phases; a set that begins right after their largest gap
        spans the least.
        """
        periods = [self._cameras[name].period_ns for name in closed.keys]
        known = [period for period in periods if period]
        if self._tolerance_ns or len(known) < 2 or len(known) < len(periods) or max(known) > 1.2 * min(known):
            return None
        keys = sorted(closed.keys.values())
        gap_ns, before = max((later - earlier, earlier) for earlier, later in itertools.pairwise(keys))
        around_ns = min(known) - (keys[-1] - keys[0])
        if gap_ns < around_ns + _GAP_GAIN_PERIODS * min(known):
            return None
        return before - keys[0] + gap_ns // 2

    def _drop(self, dropped: _Open[T], cause: DropCause) -> None:
        for name in dropped.stamps:
            self._drops[name][cause] += 1
        self._sets[cause.value] += 1

    def _drop_pending(self, cause: DropCause) -> None:
        for dropped in (*self._open, *self._ready):
            self._drop(dropped, cause)
        self._open.clear()
        self._ready.clear()

    def _restart(self, cause: DropCause) -> None:
        self._drop_pending(cause)
        self._last = self._shorten_ns = None
        for known in self._cameras.values():
            known.forget_stamps()
