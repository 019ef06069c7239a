"""FrameSynchronizer: stamped payloads of several cameras in, sets of one instant out.

Sets are made by acquisition stamp and closed by arrival time: as soon as every camera that can be expected is in, or
at a deadline after the first frame with those that came. The newest closed set wins; every frame that does not end
up in a set that was taken is counted with its cause. Payloads are not looked into, so they may be undecoded.

A camera costs only itself. One that does not keep up with the others is not waited for; one whose clock disagrees
with the others' by more than the deadline is refused, because no set could hold both. The clock offset of a camera is
estimated as the largest of its last differences stamp - arrival: delays only ever make it smaller (the minimum filter
of NTP, RFC 5905 section 10).
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import Generic, TypeVar

from ..config import SyncConfig
from ..errors import ConfigError

T = TypeVar('T')

_MS = 1_000_000
# Frames the clock offset of a camera is estimated over.
_CLOCK_WINDOW = 16
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


@dataclass(frozen=True, slots=True, eq=False)
class StampedSet(Generic[T]):
    """Payloads of one instant.

    Attributes:
        payloads, stamps_ns: by camera.
        stamp_ns: the lower median of the stamps, as of a FrameSet.
        span_ns: newest minus oldest stamp.
        opened_ns: when its first frame arrived.
    """

    payloads: Mapping[str, T]
    stamps_ns: Mapping[str, int]
    stamp_ns: int
    span_ns: int
    opened_ns: int


@dataclass(slots=True)
class _Open(Generic[T]):
    """A set that may still grow."""

    opened_ns: int
    payloads: dict[str, T] = field(default_factory=dict)
    stamps: dict[str, int] = field(default_factory=dict)

    @property
    def stamp_ns(self) -> int:
        stamps = sorted(self.stamps.values())
        return stamps[(len(stamps) - 1) // 2]

    def span_with(self, stamp_ns: int) -> int:
        return max(stamp_ns, *self.stamps.values()) - min(stamp_ns, *self.stamps.values())

    def freeze(self) -> StampedSet[T]:
        stamps = MappingProxyType(self.stamps)
        span = max(stamps.values()) - min(stamps.values())
        return StampedSet(MappingProxyType(self.payloads), stamps, self.stamp_ns, span, self.opened_ns)


@dataclass(slots=True)
class _Camera:
    """What is known of one camera."""

    arrived_ns: int | None = None
    # Last stamp that came, and last stamp that was accepted.
    seen_ns: int | None = None
    stamp_ns: int | None = None
    clock_agrees: bool = True
    misses: int = 0
    offsets: deque[int] = field(default_factory=lambda: deque(maxlen=_CLOCK_WINDOW))
    gaps: deque[int] = field(default_factory=lambda: deque(maxlen=5))

    def accept(self, stamp_ns: int) -> None:
        if self.stamp_ns is not None:
            self.gaps.append(stamp_ns - self.stamp_ns)
        self.stamp_ns = stamp_ns

    @property
    def offset_ns(self) -> int:
        return max(self.offsets)


class FrameSynchronizer(Generic[T]):
    """Makes sets; see the module. Not thread-safe: the caller holds a lock.

    ``now_ns`` is the arrival clock: monotonic, of any origin.
    """

    def __init__(self, cameras: Sequence[str], config: SyncConfig | None = None) -> None:
        """Start with no frame.

        Raises:
            ConfigError: if there is no camera, or two have one name.
        """
        if not cameras or len(set(cameras)) != len(cameras):
            raise ConfigError(f'FrameSynchronizer: received cameras {list(cameras)}, expected one or more unique ones.')
        config = config or SyncConfig()
        self._tolerance_ns = round(config.tolerance_ms * _MS)
        self._deadline_ns = round(config.deadline_ms * _MS)
        self._silent_ns = round(config.silent_ms * _MS)
        self._min_cameras = min(config.min_cameras, len(cameras))
        self._cameras = {name: _Camera() for name in cameras}
        self._clock_ns = 0
        self._open: list[_Open[T]] = []
        self._ready: _Open[T] | None = None
        # Outputs are later than this one.
        self._last: _Open[T] | None = None
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
        waiting = [*self._open, *([self._ready] if self._ready else [])]
        return sum(len(s.stamps) for s in waiting)

    @property
    def is_ready(self) -> bool:
        """Whether a closed set waits to be taken."""
        return self._ready is not None

    def clock_error_ns(self, camera: str) -> int | None:
        """Return how far the stamps of ``camera`` are ahead of the others', ns; None before its first frame."""
        known = self._cameras[camera]
        return known.offset_ns - self._clock_ns if known.offsets else None

    def next_deadline_ns(self) -> int | None:
        """Return when the next open set closes by itself; None if there is none."""
        return min(s.opened_ns for s in self._open) + self._deadline_ns if self._open else None

    def add(self, camera: str, stamp_ns: int, payload: T, now_ns: int) -> None:
        """Add a frame.

        Raises:
            ConfigError: if ``camera`` is not one of those given at the start.
        """
        if camera not in self._cameras:
            raise ConfigError(f"FrameSynchronizer: unknown camera '{camera}'; known: {', '.join(self._cameras)}.")
        self._received[camera] += 1
        self._close(now_ns)
        cause = self._refuse(self._cameras[camera], camera, stamp_ns, now_ns)
        if cause is not None:
            self._drops[camera][cause] += 1
            return
        self._cameras[camera].accept(stamp_ns)
        self._place(camera, stamp_ns, payload, now_ns)
        self._close(now_ns)

    def take(self, now_ns: int) -> StampedSet[T] | None:
        """Return the newest closed set that was not taken yet, or None."""
        self._close(now_ns)
        ready, self._ready = self._ready, None
        if ready is None:
            return None
        self._used.update(ready.stamps.keys())
        self._sets['taken'] += 1
        return ready.freeze()

    def clear(self) -> None:
        """Drop what is pending, and forget the clocks."""
        self._restart(DropCause.SHUTDOWN)
        self._cameras = {name: _Camera() for name in self._cameras}

    def _refuse(self, known: _Camera, camera: str, stamp_ns: int, now_ns: int) -> DropCause | None:
        was_silent = known.arrived_ns is None or now_ns - known.arrived_ns > self._silent_ns
        jumped_back = known.seen_ns is not None and stamp_ns < known.seen_ns - self._deadline_ns
        known.arrived_ns, known.seen_ns = now_ns, stamp_ns
        if was_silent:
            known.misses = 0
        if was_silent or jumped_back:
            known.offsets.clear()
            if known.stamp_ns is not None and stamp_ns < known.stamp_ns - self._deadline_ns:
                known.stamp_ns = None
        known.offsets.append(stamp_ns - now_ns)
        known.clock_agrees = self._clock_agrees(known, now_ns)
        if not known.clock_agrees:
            return DropCause.CLOCK
        if known.stamp_ns is not None and stamp_ns <= known.stamp_ns:
            return DropCause.DUPLICATE if stamp_ns == known.stamp_ns else DropCause.OLD
        last = self._last
        if last is not None:
            belonged = camera not in last.stamps and last.span_with(stamp_ns) <= self._tolerance_ns
            if belonged or stamp_ns <= last.stamp_ns:
                return DropCause.LATE
        return None

    def _clock_agrees(self, known: _Camera, now_ns: int) -> bool:
        """Whether the camera's clock is the majority's; the majority may change, then everything starts anew."""
        own = known.offset_ns
        live = [c for c in self._cameras.values() if c is not known and self._is_live(c, now_ns)]
        here = [c for c in live if abs(c.offset_ns - self._clock_ns) <= self._deadline_ns]
        if abs(own - self._clock_ns) > self._deadline_ns and not self._stamp_continues(known, here):
            mine = [c for c in live if abs(c.offset_ns - own) <= self._deadline_ns]
            if 1 + len(mine) <= len(here):
                return False
            self._restart(DropCause.CLOCK)
            here = mine
        # Follows slow drift.
        self._clock_ns = sorted([own, *(c.offset_ns for c in here)])[len(here) // 2]
        return True

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

    def _place(self, camera: str, stamp_ns: int, payload: T, now_ns: int) -> None:
        fitting = [
            s for s in self._open if camera not in s.stamps and s.span_with(stamp_ns) <= self._tolerance_ns
        ]
        if fitting:
            chosen = min(fitting, key=lambda s: abs(s.stamp_ns - stamp_ns))
        else:
            chosen = _Open(now_ns)
            self._open.append(chosen)
        chosen.payloads[camera] = payload
        chosen.stamps[camera] = stamp_ns

    def _close(self, now_ns: int) -> None:
        """Close the sets that are complete or due, and keep the newest."""
        expected = [name for name, known in self._cameras.items() if self._is_expected(known, now_ns)]
        alive = sum(known.clock_agrees and self._is_live(known, now_ns) for known in self._cameras.values())
        # One camera whose stamps match nobody's must not take the turn of the others.
        needed = max(self._min_cameras, (alive + 1) // 2)
        for candidate in sorted(self._open, key=lambda s: s.stamp_ns):
            enough = len(candidate.stamps) >= needed
            complete = enough and all(name in candidate.stamps for name in expected)
            if not complete and now_ns < candidate.opened_ns + self._deadline_ns:
                continue
            if len(candidate.stamps) > 1 or len(self._cameras) == 1:
                for name, known in self._cameras.items():
                    known.misses = 0 if name in candidate.stamps else known.misses + 1
            self._open.remove(candidate)
            if not enough:
                self._drop(candidate, DropCause.INCOMPLETE)
                continue
            if self._ready is not None:
                self._drop(self._ready, DropCause.SUPERSEDED)
            self._ready = self._last = candidate
        if self._ready is not None:
            newest = self._ready.stamp_ns
            for old in [s for s in self._open if s.stamp_ns <= newest]:
                self._open.remove(old)
                self._drop(old, DropCause.SUPERSEDED)

    def _drop(self, dropped: _Open[T], cause: DropCause) -> None:
        for name in dropped.stamps:
            self._drops[name][cause] += 1
        self._sets[cause.value] += 1

    def _restart(self, cause: DropCause) -> None:
        for dropped in [*self._open, *([self._ready] if self._ready else [])]:
            self._drop(dropped, cause)
        self._open.clear()
        self._ready = self._last = None
        for known in self._cameras.values():
            known.stamp_ns = None
