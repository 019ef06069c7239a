"""The top-down detector: one network finds people, another estimates the keypoints of one person.

Where the scene predicts people, only the second runs, on the regions of their projected bodies. The first runs now and
then on the full image (``Searches``), and always where nobody is known. A detection without a prediction is followed
from image to image, so that several cameras see a new person at the same time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ..arrays import NS_PER_S, FloatArray, IntArray
from ..skeleton import map_to_body17
from ..types import Frame, Keypoints2D, PredictedPeople
from .checks import keypoints_in_image
from .matching import LEAST_JOINTS, distinct, prediction_errors, predictions_in_image
from .networks import KeypointNetwork, PersonNetwork, RegionKeypoints
from .regions import Regions, are_near, full_image_square, tiles
from .searches import Searches
from .settings import DetectorConfig

# After a longer gap people are no longer where the last image had them.
_LONGEST_GAP_NS = NS_PER_S


@dataclass(slots=True)
class _Memory:
    """What is kept of one camera from image to image.

    Attributes:
        regions: by body id, where each person that was found as predicted is read next.
        followed: the same for people without a prediction.
        has_small: nobody was found, or somebody small: search a tile too.
    """

    searches: Searches
    regions: dict[int, Regions] = field(default_factory=dict)
    followed: Regions = field(default_factory=Regions.none)
    stamp_ns: int | None = None
    tile: int = 0
    has_small: bool = False


@dataclass(slots=True)
class _Attempt:
    """What is tried on one image: E predicted people, some of them in two regions, then F followed, then those found.

    Attributes:
        xy, sigma_px: (E, 17, 2), (E, 17) of the predicted people, px of the image.
        body_ids: (E,) theirs.
        targets: (R,) the predicted person that each of the first regions is for.
        regions: of all.
        squares: to search for more people.
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
        self.skeleton, self.is_batched = keypoints.skeleton, persons.on_gpu or keypoints.on_gpu
        self._to_body17 = map_to_body17(self.skeleton)
        self._memories: dict[str, _Memory] = {}

    def detect(
        self, frames: Mapping[str, Frame], predicted: Mapping[str, PredictedPeople]
    ) -> dict[str, Keypoints2D]:
        """Return the keypoints of all people; see Detector."""
        attempts = {name: self._plan(frame, predicted.get(name)) for name, frame in frames.items()}
        searched = [attempt for attempt in attempts.values() if len(attempt.squares)]
        found = self._persons.find_people([(attempt.frame.image, attempt.squares) for attempt in searched])
        for attempt, (regions, _) in zip(searched, found, strict=True):
            self._add_found(attempt, regions)
        estimated = self._keypoints.estimate_keypoints([(a.frame.image, a.regions) for a in attempts.values()])
        return {
            name: self._settle(attempt, people)
            for (name, attempt), people in zip(attempts.items(), estimated, strict=True)
        }

    def use_min_confidence(self, min_confidence: float) -> None:
        """See Adjustable."""
        self._config = replace(self._config, min_confidence=min_confidence)

    def close(self) -> None:
        """Free both networks."""
        self._persons.close()
        self._keypoints.close()

    def _plan(self, frame: Frame, predicted: PredictedPeople | None) -> _Attempt:
        memory = self._memory(frame)
        height, width = frame.image.shape[:2]
        xy, sigma_px, body_ids = predictions_in_image(frame, predicted)
        proposed = self._keypoints.propose_regions(xy, sigma_px)
        usable = proposed.usable(width, height)
        xy, sigma_px, body_ids, proposed = xy[usable], sigma_px[usable], body_ids[usable], proposed.select(usable)
        wanted, targets = _regions_to_read(proposed, [memory.regions.get(int(body)) for body in body_ids])
        followed = memory.followed.select(np.logical_not(are_near(memory.followed, wanted).any(1)))
        known = Regions.concatenate([wanted, followed])
        squares = Regions.none()
        # Asked in any case: it counts the images.
        if memory.searches.is_due(frame.stamp_ns) or not len(known):
            memory.searches.note_search(frame.stamp_ns)
            squares = full_image_square(width, height)
            if memory.has_small:
                # One tile at a time: a search costs at most twice as much.
                of_image = tiles(width, height)
                memory.tile = (memory.tile + 1) % len(of_image)
                squares = Regions.concatenate([squares, of_image.select(np.array([memory.tile]))])
        return _Attempt(frame, memory, xy, sigma_px, body_ids, targets, known, squares)

    def _memory(self, frame: Frame) -> _Memory:
        """Return what is kept from the last image of the same camera, if that was shortly before."""
        memory = self._memories.get(frame.camera)
        if memory is None or memory.stamp_ns is None or not 0 <= frame.stamp_ns - memory.stamp_ns <= _LONGEST_GAP_NS:
            searches = Searches(frame.camera, self._config.search_period_s, self._config.search_again_s)
            memory = self._memories[frame.camera] = _Memory(searches)
        memory.stamp_ns = frame.stamp_ns
        return memory

    def _add_found(self, attempt: _Attempt, found: Regions) -> None:
        """Add the people that a search found; give up followed people that it did not find."""
        width, height = attempt.size
        found = found.select(found.usable(width, height))
        small = self._config.tile_below * float(max(width, height))
        near = are_near(found, attempt.regions)
        # A search sees everybody who is large; of small people a tile sees only its own.
        confirmed = near.any(0) | (attempt.regions.size.max(1) < small)
        confirmed[: len(attempt.targets)] = True
        known = attempt.regions.select(confirmed)
        new = found.select(np.logical_not(near.any(1)))
        room = max(self._config.max_people - len(known), 0)
        attempt.regions = Regions.concatenate([known, new.select(np.arange(min(room, len(new))))])
        sizes = attempt.regions.size.max(1)
        attempt.memory.has_small = not len(sizes) or bool(sizes.min() < small)

    def _settle(self, attempt: _Attempt, people: RegionKeypoints) -> Keypoints2D:
        """Return the people of ``people`` that are visible at all, each once, with hints for those predicted."""
        frame, targets = attempt.frame, attempt.targets
        xy, confidence = keypoints_in_image(people.xy, people.confidence, *attempt.size)
        body17_xy, body17_confidence = self._to_body17.apply(xy, confidence)
        body17_xy = np.where((body17_confidence >= self._config.min_confidence)[..., None], body17_xy, np.nan)
        error = np.full(len(xy), np.inf)
        error[: len(targets)] = prediction_errors(
            body17_xy[: len(targets)], attempt.xy[targets], attempt.sigma_px[targets], self._config.max_prediction_error
        )
        present = people.presence >= self._config.min_presence
        present &= np.isfinite(body17_xy).all(-1).sum(1) >= LEAST_JOINTS
        # Those found as predicted first, then the surest.
        worth = people.presence * confidence.mean(1)
        order = np.lexsort((-worth, np.where(error <= 1.0, error, np.inf)))
        order = order[present[order]]
        hints = np.full(len(xy), -1)
        for row in order[error[order] <= 1.0].tolist():
            body = int(attempt.body_ids[targets[row]])
            if body not in hints:
                hints[row] = body
        kept = np.sort(distinct(body17_xy, order, self._config.same_person))[: self._config.max_people]
        alone = kept[hints[kept] < 0]
        attempt.memory.followed = people.next_regions.select(alone)
        attempt.memory.regions = {
            int(hints[row]): people.next_regions.select(np.array([row])) for row in kept.tolist() if hints[row] >= 0
        }
        missing = len(attempt.body_ids) - len(attempt.memory.regions)
        attempt.memory.searches.note_unassigned((len(alone), missing))
        return Keypoints2D(
            frame.camera, frame.stamp_ns, self.skeleton, frame.to_raw(xy[kept]), confidence[kept], hints[kept]
        )


def _regions_to_read(proposed: Regions, last: Sequence[Regions | None]) -> tuple[Regions, IntArray]:
    """Return the regions (R) in which to look for E predicted people, and the person (R,) that each is for.

    The last image's own keypoints give the better region, as they know the person's pose. The projected body is read
    if there was no last image, or too if the two regions are not near each other.

    Args:
        proposed: (E) of the projected bodies.
        last: by person, the region that the last image gave; None if the person was not found as predicted.
    """
    own = [row for row, region in enumerate(last) if region is not None]
    remembered = Regions.concatenate([region for region in last if region is not None])
    near = are_near(remembered, proposed.select(np.array(own, np.int64))).diagonal()
    projected = np.setdiff1d(np.arange(len(proposed)), np.array(own, np.int64)[near])
    targets = np.array([*own, *projected.tolist()], np.int64)
    return Regions.concatenate([remembered, proposed.select(projected)]), targets
