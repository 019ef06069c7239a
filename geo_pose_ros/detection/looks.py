"""When the whole picture of a camera is looked at, for people that nobody expects there."""

from __future__ import annotations

from zlib import crc32

_NS_PER_S = 1_000_000_000
_MOST_VAIN = 10


# Pictures from one look to the next at least, so that a machine that is too slow does not get slower by looking: where
# nothing is unexplained, and at first where something is.
_SELDOM, _AGAIN = 6, 2


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
        self._pictures = 0
        # How often looking again has not helped.
        self._vain = 0
        self._looked_ns = 0
        self._unexplained: tuple[int, ...] = ()

    def due(self, stamp_ns: int) -> bool:
        """Return whether the picture of ``stamp_ns``, the next one, is to be looked at, whoever is known in it."""
        self._pictures += 1
        if self._turn is None:
            return True
        if self._pictures >= _SELDOM and self._turn_of(stamp_ns) != self._turn:
            return True
        if not any(self._unexplained):
            return False
        wait_ns = min(self._again_ns << self._vain, self._period_ns)
        wait = min(_AGAIN << self._vain, _SELDOM)
        return self._pictures >= wait and stamp_ns - self._looked_ns >= wait_ns

    def looked(self, stamp_ns: int) -> None:
        """Take note of a look."""
        self._turn, self._looked_ns, self._pictures = self._turn_of(stamp_ns), stamp_ns, 0

    def explain(self, unexplained: tuple[int, ...]) -> None:
        """Take note of what the picture just looked at, or not, left open: counts, all zero if nothing."""
        if unexplained != self._unexplained:
            self._vain = 0
        elif self._pictures == 0 and any(unexplained):
            # A bystander that no other camera sees, or somebody hidden.
            self._vain = min(self._vain + 1, _MOST_VAIN)
        self._unexplained = unexplained

    def _turn_of(self, stamp_ns: int) -> int:
        return (stamp_ns + self._phase_ns) // self._period_ns
