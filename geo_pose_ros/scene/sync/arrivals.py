# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Clock errors from arrivals: which cameras' clocks agree, and how far the others are off.

The clock error of a camera is estimated as the largest of its last differences stamp - arrival against the others':
delays only ever make it smaller (the minimum filter of NTP, RFC 5905 section 10). Where the error is larger than what a
set waits for, frames are grouped by when they arrived; where no set could hold both, the camera is refused. A camera
costs only itself.

On a busy machine many frames in a row are late, of some cameras more than of others. Delays leave the least delay so
far as it was, which a clock that was set does not: an error by the last frames counts as far as that confirms it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto

from .streams import CLOCK_WINDOW, CameraStream


class ClockVerdict(Enum):
    """Whether a camera's clock is that of most cameras."""

    AGREES = auto()
    REFUSED = auto()
    # It is that of a new majority: everything starts anew.
    NEW_MAJORITY = auto()


class ArrivalClocks:
    """The majority's clock, ns from the arrival clock."""

    def __init__(self, limit_ns: int, deadline_ns: int, silent_ns: int) -> None:
        """Start with the arrival clock.

        Args:
            limit_ns: a clock that is off by more is refused.
            deadline_ns: what a set waits for.
            silent_ns: a camera that is silent for longer does not count.
        """
        self._limit_ns, self._deadline_ns, self._silent_ns = limit_ns, deadline_ns, silent_ns
        # By the last frames, and by the least delays so far.
        self._clock_ns = self._held_ns = 0

    def error_ns(self, stream: CameraStream) -> int | None:
        """Return how far the stamps of a camera are ahead of the others', ns; None before its first frame."""
        return stream.ahead_ns(self._clock_ns, self._held_ns) if stream.offsets else None

    def judge(self, stream: CameraStream, others: Mapping[str, CameraStream], now_ns: int) -> ClockVerdict:
        """Judge the clock of a camera whose frame has just arrived; ``others`` may hold it too."""
        verdict = ClockVerdict.AGREES
        live = [c for c in others.values() if c is not stream and c.offsets and c.is_alive(now_ns, self._silent_ns)]
        here = [c for c in live if self._agrees(c)]
        if not self._agrees(stream) and not self._continues(stream, here):
            own = stream.offset_ns, stream.held_ns - stream.clock_ns
            mine = [c for c in live if abs(c.ahead_ns(*own)) <= self._limit_ns]
            if 1 + len(mine) <= len(here):
                return ClockVerdict.REFUSED
            here, verdict = mine, ClockVerdict.NEW_MAJORITY
        # Follows slow drift.
        self._clock_ns = sorted(c.offset_ns for c in (stream, *here))[len(here) // 2]
        self._held_ns = sorted(c.held_ns - c.clock_ns for c in (stream, *here))[len(here) // 2]
        self._group_by_arrival(stream, stream.ahead_ns(self._clock_ns, self._held_ns))
        return verdict

    def _agrees(self, stream: CameraStream) -> bool:
        return abs(stream.ahead_ns(self._clock_ns, self._held_ns)) <= self._limit_ns

    def _group_by_arrival(self, stream: CameraStream, error_ns: int) -> None:
        """Take off a clock error that is larger than what a set waits for; keep it until it has clearly changed."""
        if len(stream.offsets) < CLOCK_WINDOW // 2:
            return
        wanted_ns = error_ns if abs(error_ns) > self._deadline_ns // 2 else 0
        if abs(wanted_ns - stream.coarse_ns) > self._deadline_ns // 4:
            stream.correct(stream.clock_ns, wanted_ns)

    def _continues(self, stream: CameraStream, here: list[CameraStream]) -> bool:
        """Whether the stamp follows the others' or its own; true of a bag played slowly or fast, whose offsets run."""
        before = sorted(c.stamp_ns for c in here or [stream] if c.stamp_ns is not None)
        if stream.seen_ns is None or not before:
            return False
        step_ns = abs(stream.seen_ns - before[(len(before) - 1) // 2])
        return step_ns <= self._deadline_ns + min(stream.gaps, default=0)
