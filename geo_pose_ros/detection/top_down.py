"""The top-down detector: a network that finds people, and one that reads the keypoints of one person.

Where the scene expects people, only the second runs, on the region that their projected bodies take up. The first runs
now and then on the whole picture (``Looks``), and always where nobody is known. Whom it finds and the scene does not
know, yet or at all, is followed from picture to picture, so that several cameras see a new person at the same time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ..arrays import FloatArray, IntArray
from ..skeleton import Skeleton, map_to_body17
from ..types import Frame, Keypoints2D, PredictedPeople
from .agreement import distinct, fits
from .expectation import LEAST_JOINTS, in_picture, seen_in_picture
from .looks import Looks
from .readings import KeypointNetwork, PersonNetwork, Reading
from .regions import Regions, squares_of
from .settings import DetectorConfig

_NS_PER_S = 1_000_000_000
# Who was not looked at for so long is not where he was.
_LONGEST_GAP_NS = _NS_PER_S
# Regions whose centres are nearer than this, in units of the smaller one, and whose sizes differ by less than this
# factor, are of one person.
_NEAR, _ALIKE = 0.16, 2.0
# Side of a tile by the picture's longer side, and how much of it two neighbours share at least.
_TILE, _SHARED = 0.5, 0.35


@dataclass(slots=True)
class _Memory:
    """What is kept of one camera from picture to picture: who was where, and when to look.

    Attributes:
        regions: where each body that was found as expected is to be read next.
        followed: where those are whom the scene does not know.
    """

    looks: Looks
    regions: dict[int, Regions] = field(default_factory=dict)
    followed: Regions = field(default_factory=Regions.none)
    stamp_ns: int | None = None
    tile: int = 0
    # Nobody was found, or somebody small: look at a tile too.
    small: bool = False


@dataclass(slots=True)
class _Attempt:
    """What is tried on one picture: E expected people, some of them in two places, then F followed, then those found.

    Attributes:
        xy, sigma_px: (E, 17, 2), (E, 17) where people are expected, px of the image.
        body_ids: (E,) theirs.
        targets: (R,) which of the expected people each of the first regions is read for.
        regions: of all.
        squares: to look at for more.
    """

    frame: Frame
    memory: _Memory
    xy: FloatArray
    sigma_px: FloatArray
    body_ids: IntArray
    targets: IntArray
    regions: Regions
    squares: Regions

    @property
    def size(self) -> tuple[int, int]:
        height, width = self.frame.image.shape[:2]
        return width, height


class TopDownDetector:
    """Two networks, for any number of cameras; see Detector."""

    def __init__(self, persons: PersonNetwork, keypoints: KeypointNetwork, config: DetectorConfig) -> None:
        """Take over both networks."""
        self._persons, self._keypoints, self._config = persons, keypoints, config
        self._to_body17 = map_to_body17(keypoints.skeleton)
        self._memories: dict[str, _Memory] = {}

    @property
    def skeleton(self) -> Skeleton:
        """The keypoint network's."""
        return self._keypoints.skeleton

    @property
    def together(self) -> bool:
        """Whether the networks run on a GPU."""
        return self._persons.on_gpu or self._keypoints.on_gpu

    def detect(
        self, frames: Mapping[str, Frame], expected: Mapping[str, PredictedPeople]
    ) -> dict[str, Keypoints2D]:
        """Return the keypoints of everybody; see Detector."""
        attempts = {name: self._plan(frame, expected.get(name)) for name, frame in frames.items()}
        looked_at = [attempt for attempt in attempts.values() if len(attempt.squares)]
        found = self._persons.find([(attempt.frame.image, attempt.squares) for attempt in looked_at])
        for attempt, (regions, _) in zip(looked_at, found, strict=True):
            self._add_found(attempt, regions)
        read = self._keypoints.read([(attempt.frame.image, attempt.regions) for attempt in attempts.values()])
        return {
            name: self._settle(attempt, reading)
            for (name, attempt), reading in zip(attempts.items(), read, strict=True)
        }

    def use_min_confidence(self, min_confidence: float) -> None:
        """See Adjustable."""
        self._config = replace(self._config, min_confidence=min_confidence)

    def close(self) -> None:
        """Free both networks."""
        self._persons.close()
        self._keypoints.close()

    def _plan(self, frame: Frame, expected: PredictedPeople | None) -> _Attempt:
        memory = self._memory(frame)
        height, width = frame.image.shape[:2]
        xy, sigma_px, body_ids = in_picture(frame, expected)
        around = self._keypoints.around(xy, sigma_px)
        worth = around.usable(width, height)
        xy, sigma_px, body_ids, around = xy[worth], sigma_px[worth], body_ids[worth], around.select(worth)
        wanted, targets = _where_to_read(around, [memory.regions.get(int(body)) for body in body_ids])
        followed = memory.followed.select(np.asarray(~_near(memory.followed, wanted).any(1)))
        known = Regions.concatenate([wanted, followed])
        squares = Regions.none()
        # Asked in any case: it counts the pictures.
        if memory.looks.due(frame.stamp_ns) or not len(known):
            memory.looks.looked(frame.stamp_ns)
            squares = squares_of(width, height)
            if memory.small:
                # One at a time: a look costs at most twice as much.
                tiles = tiles_of(width, height)
                memory.tile = (memory.tile + 1) % len(tiles)
                squares = Regions.concatenate([squares, tiles.select(np.array([memory.tile]))])
        return _Attempt(frame, memory, xy, sigma_px, body_ids, targets, known, squares)

    def _memory(self, frame: Frame) -> _Memory:
        """Return what is known from the last picture of the same camera, if that was just before."""
        memory = self._memories.get(frame.camera)
        if memory is None or memory.stamp_ns is None or not 0 <= frame.stamp_ns - memory.stamp_ns <= _LONGEST_GAP_NS:
            looks = Looks(frame.camera, self._config.look_period_s, self._config.look_again_s)
            memory = self._memories[frame.camera] = _Memory(looks)
        memory.stamp_ns = frame.stamp_ns
        return memory

    def _add_found(self, attempt: _Attempt, found: Regions) -> None:
        """Add whom a look found; followed people that it did not find are given up."""
        expected = len(attempt.targets)
        width, height = attempt.size
        found = found.select(found.usable(width, height))
        longer = float(max(width, height))
        near = _near(found, attempt.regions)
        # A look sees everybody who is large; of small ones a tile sees only its own.
        confirmed = near.any(0) | (attempt.regions.size.max(1) < self._config.small_person * longer)
        confirmed[:expected] = True
        known = attempt.regions.select(confirmed)
        new = found.select(np.asarray(~near.any(1)))
        room = max(self._config.max_people - len(known), 0)
        attempt.regions = Regions.concatenate([known, new.select(np.arange(min(room, len(new))))])
        sizes = attempt.regions.size.max(1)
        attempt.memory.small = not len(sizes) or bool(sizes.min() < self._config.small_person * longer)

    def _settle(self, attempt: _Attempt, reading: Reading) -> Keypoints2D:
        """Return who is there: seen at all, where expected, and once."""
        frame, targets = attempt.frame, attempt.targets
        width, height = attempt.size
        xy, confidence = seen_in_picture(reading.xy, reading.confidence, width, height)
        body17_xy, body17_confidence = self._to_body17.apply(xy, confidence)
        body17_xy = np.where((body17_confidence >= self._config.min_confidence)[..., None], body17_xy, np.nan)
        misfit = np.full(len(xy), np.inf)
        misfit[: len(targets)] = fits(
            body17_xy[: len(targets)], attempt.xy[targets], attempt.sigma_px[targets], self._config.astray
        )
        there = reading.presence >= self._config.min_presence
        there &= np.isfinite(body17_xy).all(-1).sum(1) >= LEAST_JOINTS
        # Those who are where they were expected first, then the surest.
        worth = reading.presence * confidence.mean(1)
        order = np.lexsort((-worth, np.where(misfit <= 1.0, misfit, np.inf)))
        hints = np.full(len(xy), -1)
        for row in order[there[order] & (misfit[order] <= 1.0)].tolist():
            body = int(attempt.body_ids[targets[row]])
            if body not in hints:
                hints[row] = body
        kept = np.sort(distinct(body17_xy, order[there[order]], self._config.same_person))[: self._config.max_people]
        alone = kept[hints[kept] < 0]
        attempt.memory.followed = reading.next_regions.select(alone)
        attempt.memory.regions = {
            int(hints[row]): reading.next_regions.select(np.array([row])) for row in kept.tolist() if hints[row] >= 0
        }
        missing = len(attempt.body_ids) - len(attempt.memory.regions)
        attempt.memory.looks.explain((len(alone), missing))
        return Keypoints2D(
            frame.camera, frame.stamp_ns, self.skeleton, frame.to_raw(xy[kept]), confidence[kept], hints[kept]
        )


def _where_to_read(around: Regions, last: Sequence[Regions | None]) -> tuple[Regions, IntArray]:
    """Return the regions (R) to read E expected people in, and whom each is for (R,).

    That is where the last picture's own keypoints say, which knows the person's pose better than a prediction does; and
    where the projected body is, if there was no last picture or the two are not at one place.

    Args:
        around: (E) the projected bodies.
        last: by person, where the last picture says; None if he was not found as expected.
    """
    own = [row for row, region in enumerate(last) if region is not None]
    remembered = Regions.concatenate([region for region in last if region is not None])
    near = _near(remembered, around.select(np.array(own, np.int64))).diagonal()
    projected = np.setdiff1d(np.arange(len(around)), np.array(own, np.int64)[near])
    targets = np.array([*own, *projected.tolist()], np.int64)
    return Regions.concatenate([remembered, around.select(projected)]), targets


def tiles_of(width: int, height: int) -> Regions:
    """Return squares of half the picture's longer side that overlap and cover it."""
    side = _TILE * max(width, height)

    def centres(length: int) -> Sequence[float]:
        spare = max(length - side, 0.0)
        count = 1 + int(np.ceil(spare / (side * (1.0 - _SHARED))))
        start = 0.5 * min(side, length) - 0.5
        return [float(c) for c in start + np.linspace(0.0, spare, count)] if count > 1 else [0.5 * length - 0.5]

    grid = np.array([(x, y) for y in centres(height) for x in centres(width)])
    return Regions(grid, np.full(grid.shape, side), np.zeros(len(grid)))


def _near(a: Regions, b: Regions) -> NDArray[np.bool_]:
    """Return (A, B) whether regions are of one person."""
    size_a, size_b = a.size.max(1)[:, None], b.size.max(1)[None]
    apart = np.linalg.norm(a.centre[:, None] - b.centre[None], axis=-1)
    alike = np.maximum(size_a, size_b) < _ALIKE * np.minimum(size_a, size_b)
    near: NDArray[np.bool_] = (apart < _NEAR * np.minimum(size_a, size_b)) & alike
    return near
