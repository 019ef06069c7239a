# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
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
from ..skeleton import BODY17, map_to_body17
from ..types import Frame, Keypoints2D, PredictedPeople
from .checks import keypoints_in_image
from .matching import (
    LEAST_JOINTS,
    LEAST_SEEN,
    SEEN,
    distinct,
    extent,
    find_witnesses,
    prediction_errors,
    predictions_in_image,
)
from .networks import FoundPeople, KeypointReader, PersonFinder, RegionKeypoints
from .regions import Regions, are_near, full_image_square, tiles, turned
from .searches import Searches
from .settings import DetectorConfig

# After a longer gap people are no longer where the last image had them.
_LONGEST_GAP_NS = NS_PER_S
# Quarters by which the image is turned to search for people who do not stand in it.
_TURNED = (1, 2, 3)
# Side of a person's region by the extent of the joints.
_REGION_SIDE = 1.5
_NO_JOINTS: FloatArray = np.zeros((0, len(BODY17), 2))


@dataclass(slots=True)
class _Memory:
    """What is kept of one camera from image to image.

    Attributes:
        regions: by body id, where each person that was found as predicted is read next.
        followed: the same for people without a prediction.
        turn: the finder that searched last.
        has_small: nobody was found, or somebody small: search a tile too.
        upright: by how many quarters (1) people who stand are turned in the image.
        quarters: by how many quarters from that the image is turned to search for people, if not all stand.
        witnesses: (F, 17, 2) px of the image, of people that a finder has read too and that are seen since.
    """

    searches: Searches
    regions: dict[int, Regions] = field(default_factory=dict)
    followed: Regions = field(default_factory=Regions.none)
    stamp_ns: int | None = None
    tile: int = 0
    turn: int = 0
    has_small: bool = False
    upright: tuple[int, ...] = (0,)
    quarters: tuple[int, ...] = ()
    witnesses: FloatArray = field(default_factory=lambda: _NO_JOINTS)


@dataclass(slots=True)
class _Attempt:
    """What is tried on one image: E predicted people, some of them in two regions, then F followed, then those found.

    Attributes:
        xy, sigma_px: (E, 17, 2), (E, 17) of the predicted people, px of the image.
        body_ids: (E,) theirs.
        targets: (R,) the predicted person that each of the first regions is for.
        regions: of all.
        squares: to search for more people.
        first: of the first image of a camera, what is searched: 1 all as it is, 2 all turned, 3 tiles; 0 for others.
        finder: which one searches; None: all.
        witnesses: (F, 17, 2) see _Memory.
    """

    frame: Frame
    memory: _Memory
    xy: FloatArray
    sigma_px: FloatArray
    body_ids: IntArray
    targets: IntArray
    regions: Regions
    squares: Regions
    first: int
    finder: int | None
    witnesses: FloatArray

    @property
    def size(self) -> tuple[int, int]:
        height, width = self.frame.image.shape[:2]
        return width, height

    def goes_on(self) -> bool:
        """Return whether there is more to search in the first image of a camera; plan it.

        Where nobody stands, people lie, or the image is turned and nobody knows by how much. Then tiles show small
        people and those who overlap: nobody new where one large person is alone.
        """
        if not self.first:
            return False
        upright, quarters = self.memory.upright, self.memory.quarters
        if self.first == 1 and quarters:
            self.first, self.squares = 2, turned(turned(full_image_square(*self.size), upright), quarters)
        elif self.first in (1, 2) and len(self.regions) > int(not self.memory.has_small):
            self.first, self.squares = 3, turned(turned(tiles(*self.size), upright), quarters or (0,))
        else:
            return False
        return True


class TopDownDetector:
    """A keypoint network and finders of people, for any number of cameras; see Detector.

    Finders miss different people. All of them search while nobody is known or something is unassigned, and else one
    after the other: a person that one of them misses is found a search later.
    """

    def __init__(
        self, finders: Sequence[PersonFinder], keypoints: KeypointReader, config: DetectorConfig
    ) -> None:
        """Take over all networks; there is at least one of ``finders``."""
        self._finders, self._keypoints, self._config = finders, keypoints, config
        self.skeleton = keypoints.skeleton
        self.is_batched = keypoints.on_gpu or any(finder.on_gpu for finder in finders)
        self._to_body17 = map_to_body17(self.skeleton)
        self._memories: dict[str, _Memory] = {}

    def detect(
        self, frames: Mapping[str, Frame], predicted: Mapping[str, PredictedPeople]
    ) -> dict[str, Keypoints2D]:
        """Return the keypoints of all people; see Detector."""
        attempts = {name: self._plan(frame, predicted.get(name)) for name, frame in frames.items()}
        found = self._run(attempts)
        again = attempts
        while again := {name: attempt for name, attempt in again.items() if attempt.goes_on()}:
            found |= self._run(again)
        for attempt in attempts.values():
            missing = len(attempt.body_ids) - len(attempt.memory.regions)
            attempt.memory.searches.note_unassigned((len(attempt.memory.followed), missing))
        return found

    def _run(self, attempts: Mapping[str, _Attempt]) -> dict[str, Keypoints2D]:
        """Return the people that ``attempts`` find, by camera; each network is called once for all."""
        found: dict[str, list[FoundPeople]] = {name: [] for name, one in attempts.items() if len(one.squares)}
        for index, finder in enumerate(self._finders):
            searched = [name for name in found if attempts[name].finder in (index, None)]
            people = finder.find_people([(attempts[name].frame.image, attempts[name].squares) for name in searched])
            for name, of_image in zip(searched, people, strict=True):
                found[name].append(of_image)
        for name, parts in found.items():
            # Several regions of one person stay: the readings tell which is better.
            self._add_found(attempts[name], Regions.concatenate([part.regions for part in parts]))
            self._add_witnesses(attempts[name], [part.joints for part in parts if part.joints is not None])
        estimated = self._keypoints.estimate_keypoints([(a.frame.image, a.regions) for a in attempts.values()])
        return {
            name: self._settle(attempt, people)
            for (name, attempt), people in zip(attempts.items(), estimated, strict=True)
        }

    def use_min_confidence(self, min_confidence: float) -> None:
        """See Adjustable."""
        self._config = replace(self._config, min_confidence=min_confidence)

    def close(self) -> None:
        """Free the networks."""
        for network in (*self._finders, self._keypoints):
            network.close()

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
        squares, first, finder = Regions.none(), 0, None
        # Asked in any case: it counts the images.
        if memory.searches.is_due(frame.stamp_ns) or not len(known):
            first = int(memory.searches.is_first and not len(known))
            if len(known) and not memory.searches.has_unassigned:
                finder = memory.turn = (memory.turn + 1) % len(self._finders)
            memory.searches.note_search(frame.stamp_ns)
            if predicted is not None:
                memory.upright = (int(np.rint(predicted.roll_rad / (0.5 * np.pi))) % 4,)
            squares = turned(full_image_square(width, height), memory.upright)
            if memory.has_small or memory.quarters:
                # One at a time: a search costs at most twice as much.
                of_image = Regions.concatenate([
                    turned(tiles(width, height), memory.upright), turned(squares, memory.quarters)
                ])
                memory.tile = (memory.tile + 1) % len(of_image)
                squares = Regions.concatenate([squares, of_image.select(np.array([memory.tile]))])
        return _Attempt(
            frame, memory, xy, sigma_px, body_ids, targets, known, squares, first, finder, memory.witnesses
        )

    def _memory(self, frame: Frame) -> _Memory:
        """Return what is kept from the last image of the same camera, if that was shortly before."""
        memory = self._memories.get(frame.camera)
        if memory is None or memory.stamp_ns is None or not 0 <= frame.stamp_ns - memory.stamp_ns <= _LONGEST_GAP_NS:
            searches = Searches(frame.camera, self._config.search_period_s, self._config.search_again_s)
            memory = self._memories[frame.camera] = _Memory(searches)
        memory.stamp_ns = frame.stamp_ns
        return memory

    def _add_found(self, attempt: _Attempt, found: Regions) -> None:
        """Add the people that a search found; give up followed people that it did not find.

        Who is followed is read where the search found the person too: keypoints may have slid to a neighbour.
        """
        found = found.select(found.usable(*attempt.size))
        small = self._small_px(attempt)
        near = are_near(found, attempt.regions)
        # The first finder sees everybody who is large and stands; of small people a tile sees only its own.
        confirmed = near.any(0) | (attempt.regions.size.max(1) < small)
        confirmed[: len(attempt.targets)] = True
        confirmed |= attempt.first > 1 or bool(np.ptp(attempt.squares.angle)) or attempt.finder not in (None, 0)
        known = attempt.regions.select(confirmed)
        new = found.select(np.logical_not(near[:, : len(attempt.targets)].any(1)))
        room = max(self._config.max_people - len(known), 0)
        attempt.regions = Regions.concatenate([known, new.select(np.arange(min(room, len(new))))])
        sizes = attempt.regions.size.max(1)
        attempt.memory.has_small = not len(sizes) or bool(sizes.min() < small)

    def _small_px(self, attempt: _Attempt) -> float:
        """Return the side of a region, px, below which a person may be too small to be found in the full image."""
        return self._config.tile_below * float(max(attempt.size))

    def _add_witnesses(self, attempt: _Attempt, joints: list[FloatArray]) -> None:
        """Take the people that finders read as witnesses; keep those before that are too small for this search."""
        if joints:
            before = attempt.witnesses
            if attempt.first < 2:
                before = before[_REGION_SIDE * extent(before) < self._small_px(attempt)]
            every = np.concatenate([*joints, before])
            every = every[np.isfinite(every).any((1, 2))]
            attempt.witnesses = every[distinct(every, np.arange(len(every)), self._config.same_person)]

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
        predicted = error <= 1.0
        seen = np.where((~predicted[:, None] & (body17_confidence >= SEEN))[..., None], body17_xy, np.nan)
        witness = find_witnesses(body17_xy, attempt.witnesses)
        present = (people.presence >= self._config.min_presence) | (witness >= 0)
        present &= np.where(
            predicted, np.isfinite(body17_xy).all(-1).sum(1) >= LEAST_JOINTS,
            np.isfinite(seen).all(-1).sum(1) >= LEAST_SEEN,
        )
        # Those found as predicted first, then those with a witness, then the surest.
        worth = people.presence * confidence.mean(1)
        order = np.lexsort((-worth, witness < 0, np.where(predicted, error, np.inf)))
        order = order[present[order]]
        hints = np.full(len(xy), -1)
        for row in order[predicted[order]].tolist():
            body = int(attempt.body_ids[targets[row]])
            if body not in hints:
                hints[row] = body
        kept = np.sort(distinct(body17_xy, order, self._config.same_person, seen, witness))[: self._config.max_people]
        attempt.regions, attempt.memory.witnesses = attempt.regions.select(kept), body17_xy[kept[witness[kept] >= 0]]
        alone = kept[hints[kept] < 0]
        attempt.memory.followed = people.next_regions.select(alone)
        attempt.memory.regions = {
            int(hints[row]): people.next_regions.select(np.array([row])) for row in kept.tolist() if hints[row] >= 0
        }
        if len(attempt.squares):
            upright_rad = 0.5 * np.pi * attempt.memory.upright[0]
            attempt.memory.quarters = _quarters(people.next_regions.angle[kept] - upright_rad)
        return Keypoints2D(
            frame.camera, frame.stamp_ns, self.skeleton, frame.to_raw(xy[kept]), confidence[kept], hints[kept]
        )


def _quarters(angle: FloatArray) -> tuple[int, ...]:
    """Return by how many quarters to turn the image to search for more people.

    They lie as those known do, who are ``angle`` (P,) rad from upright: () if somebody stands; all if nobody is known.
    """
    quarters = np.mod(np.rint(angle / (0.5 * np.pi)), 4).astype(int)
    if not len(quarters):
        return _TURNED
    return () if (quarters == 0).any() else tuple(np.unique(quarters).tolist())


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
