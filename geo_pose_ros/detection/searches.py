# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""When a detector searches the full image of a camera for people that nobody predicts."""

from __future__ import annotations

from zlib import crc32

from ..arrays import NS_PER_S

# Images between two searches at least, so that a slow machine does not get slower: with nothing unassigned, and at
# first with something unassigned.
_SELDOM, _AGAIN = 6, 2
_MOST_REPEATED = 10


class Searches:
    """The full-image searches of one camera: periodic, at other times than other cameras', and sooner with a reason."""

    def __init__(self, camera: str, period_s: float, again_s: float) -> None:
        """Begin with a search of the first image.

        Args:
            camera: its name staggers the searches, alike in every process.
            period_s: between searches.
            again_s: until the next search where something is unassigned; doubles while it stays so.
        """
        self._period_ns = max(round(period_s * NS_PER_S), 1)
        self._again_ns = max(round(again_s * NS_PER_S), 1)
        self._phase_ns = crc32(camera.encode()) % self._period_ns
        self._turn: int | None = None
        self._images = 0
        # How often another search has not helped.
        self._repeated = 0
        self._searched_ns = 0
        self._unassigned: tuple[int, ...] = ()

    @property
    def is_first(self) -> bool:
        """Whether no image was searched yet."""
        return self._turn is None

    @property
    def has_unassigned(self) -> bool:
        """Whether the last image had a detection without a prediction, or a prediction without a detection."""
        return any(self._unassigned)

    def is_due(self, stamp_ns: int) -> bool:
        """Return whether to search the next image, of ``stamp_ns``, whoever is known in it; counts the images."""
        self._images += 1
        if self._turn is None:
            return True
        if self._images >= _SELDOM and self._turn_of(stamp_ns) != self._turn:
            return True
        if not self.has_unassigned:
            return False
        wait_ns = min(self._again_ns << self._repeated, self._period_ns)
        wait = min(_AGAIN << self._repeated, _SELDOM)
        return self._images >= wait and stamp_ns - self._searched_ns >= wait_ns

    def note_search(self, stamp_ns: int) -> None:
        """Take note of a search."""
        self._turn, self._searched_ns, self._images = self._turn_of(stamp_ns), stamp_ns, 0

    def note_unassigned(self, unassigned: tuple[int, ...]) -> None:
        """Take note of the counts of what the last image, searched or not, left unassigned."""
        if unassigned != self._unassigned:
            self._repeated = 0
        elif self._images == 0 and any(unassigned):
            # A bystander that no other camera sees, or somebody hidden.
            self._repeated = min(self._repeated + 1, _MOST_REPEATED)
        self._unassigned = unassigned

    def _turn_of(self, stamp_ns: int) -> int:
        return (stamp_ns + self._phase_ns) // self._period_ns
