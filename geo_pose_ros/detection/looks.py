"""When the whole picture of a camera is looked at, for people that nobody expects there."""

from __future__ import annotations

from zlib import crc32

_NS_PER_S = 1_000_000_000


class Looks:
    """The looks of one camera: now and then, at other times than other cameras, and sooner where there is a reason."""

    def __init__(self, camera: str, period_s: float, again_s: float) -> None:
        """Start with a look at the first picture.

        Args:
            camera: its name staggers the looks, alike in every process.
            period_s: between looks.
            again_s: until the next one where something is unexplained; doubles while it stays unexplained.
        """
        self._period_ns = max(round(period_s * _NS_PER_S), 1)
        self._again_ns = max(round(again_s * _NS_PER_S), 1)
        self._phase_ns = crc32(camera.encode()) % self._period_ns
        self._turn: int | None = None
        self._wait_ns = self._again_ns
        self._again_at_ns: int | None = None
        self._unexplained: tuple[int, ...] = ()

    def due(self, stamp_ns: int) -> bool:
        """Return whether the picture of ``stamp_ns`` is to be looked at, whoever is known in it."""
        turn = (stamp_ns + self._phase_ns) // self._period_ns
        return turn != self._turn or (self._again_at_ns is not None and stamp_ns >= self._again_at_ns)

    def looked(self, stamp_ns: int) -> None:
        """Take note of a look."""
        self._turn = (stamp_ns + self._phase_ns) // self._period_ns
        self._again_at_ns = None

    def explain(self, stamp_ns: int, unexplained: tuple[int, ...]) -> None:
        """Take note of what the picture of ``stamp_ns`` left open: counts, all zero if nothing."""
        if not any(unexplained):
            self._again_at_ns = None
        elif unexplained != self._unexplained:
            self._wait_ns = self._again_ns
            self._again_at_ns = stamp_ns + self._wait_ns
        elif self._again_at_ns is None:
            # Looking did not help: a bystander that no other camera sees, or somebody hidden.
            self._wait_ns = min(2 * self._wait_ns, self._period_ns)
            self._again_at_ns = stamp_ns + self._wait_ns
        self._unexplained = unexplained
