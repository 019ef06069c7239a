# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Identities of the measured people: duplicates, people who come back, and people that only prompts show."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from ..arrays import NS_PER_S, BoolArray, FloatArray, IntArray
from ..fusion.merging import find_duplicate_bodies, find_duplicate_views
from ..fusion.prior import BonePrior
from ..fusion.table import gather
from ..geometry.stats import nan_mean
from .bones import BoneLengths
from .kernels.reidentification import match_people
from .measurement import Measured
from .observation import Observation
from .settings import TrackingConfig
from .tracks import Tracks

# Views that somebody loses at once, and that somebody new has, where the scene jumps.
_VANISHED_VIEWS = 2
# Who was in so few sets before is new.
_NEW_SETS = 2
# Standard deviation, from one visit to the next, of what ``detection.appearance`` describes (of each part of the body
# blue, red and intensity), and of the logarithm of a bone's length.
_COLOUR_SIGMA, _BONE_SIGMA = np.tile((0.1, 0.1, 0.3), 3), 0.06
# Two are one person if the mean square of what they differ by, in these units, is below the first, and everybody else's
# is above that by the second; of so many features, and after so many sets.
_SAME, _OTHERS_ABOVE, _LEAST_FEATURES, _LEAST_SETS = 2.0, 1.0, 6, 5
# An id is decided within this time, s. An appearance is a mean over some fifty sets.
_DECIDED_S, _MOST_SETS = 2.0, 50.0
# Larger than all ids.
_YOUNGEST = np.iinfo(np.int64).max


def merge_duplicates(measured: Measured, tracks: Tracks, config: TrackingConfig) -> Measured:
    """Return the people without those who repeat a senior one."""
    if len(measured) < 2:
        return measured
    confirmed = gather(tracks.confirmed, measured.tracks, False)
    order = np.lexsort((_ids(measured, tracks), ~confirmed))
    kept = np.zeros(len(measured), bool)
    xyz = measured.estimate.solution.xyz[order]
    kept[order] = ~find_duplicate_bodies(xyz, measured.views[order], config.same_body_m)
    return measured.select(kept)


def reidentify(
    measured: Measured, tracks: Tracks, bones: BoneLengths | None, config: TrackingConfig
) -> tuple[Measured, IntArray]:
    """Return the people, new ones as the lost tracks that they continue, and the tracks (K,) found again.

    A track may have been missed if it has no view, or a lone one beside a person that several cameras see.
    """
    nobody = measured.tracks[:0]
    if (measured.tracks >= 0).all():
        return measured, nobody
    cameras = measured.views.shape[1]
    views = (measured.views >= 0).sum(1)
    new = np.flatnonzero((measured.tracks < 0) & (views >= min(2, cameras)))
    known = measured.tracks >= 0
    missed = np.setdiff1d(np.arange(len(tracks)), measured.tracks[known & (views > 1)])
    if not (len(new) and len(missed)):
        return measured, nobody
    again = match_lost(
        measured.estimate.solution.xyz[new], tracks.filter.position[missed], tracks.unseen_s[missed],
        None if bones is None else bones.prior(tracks.ids[missed]), config,
    )
    found = missed[again[again >= 0]]
    replaced = np.isin(measured.tracks, found)
    continued = measured.tracks.copy()
    continued[new] = gather(missed, again, -1)
    return replace(measured, tracks=continued).select(~replaced), found


def find_left_behind(measured: Measured, tracks: Tracks, in_sight: IntArray, dt_s: float) -> BoolArray:
    """Return which tracks (T,) a jump of the scene leaves behind: a bag that loops begins again, a stream was cut.

    Nobody vanishes from several cameras at once between two sets while somebody new comes. An occluded
    person loses one view after the other.

    Args:
        measured: the people of the set.
        tracks: predicted to its instant.
        in_sight: (T,) cameras that delivered and have the track in their image.
        dt_s: since the last set.
    """
    views = (measured.views >= 0).sum(1)
    known = measured.tracks >= 0
    now = np.zeros(len(tracks), np.int64)
    now[measured.tracks[known]] = views[known]
    seen_last = tracks.confirmed & (tracks.unseen_s <= dt_s)
    vanished: BoolArray = np.asarray(
        seen_last & (now <= 1) & (tracks.views - now >= _VANISHED_VIEWS) & (in_sight - now >= _VANISHED_VIEWS)
    )
    # A set of images from before and after a jump shows both.
    new = int((find_newcomers(measured, tracks) & (views >= _VANISHED_VIEWS)).sum())
    return np.asarray(vanished & (vanished.sum() <= new))


def find_newcomers(measured: Measured, tracks: Tracks) -> BoolArray:
    """Return which people (B,) were not there a few sets ago."""
    return np.asarray(gather(tracks.sets, measured.tracks, 0) <= _NEW_SETS)


def match_lost(
    xyz: FloatArray, lost: FloatArray, unseen_s: FloatArray, lengths: BonePrior | None, config: TrackingConfig
) -> IntArray:
    """Return (N,) which of the lost bodies each new one is, by distance and by bone lengths; -1 for none.

    Args:
        xyz: (N, J, 3) m, new bodies, NaN = unknown.
        lost: (L, J, 3) m, where the lost ones are predicted.
        unseen_s: (L,) since they were seen.
        lengths: what is known of the bone lengths of the lost ones, or None.
        config: settings.
    """
    found = np.empty(len(xyz), np.int64)
    length = np.empty((len(lost), 0)) if lengths is None else lengths.length
    reach_m = config.reidentify_m + config.hidden_speed_m_s * unseen_s
    xyz, lost, length = (np.ascontiguousarray(array) for array in (xyz, lost, length))
    match_people(xyz, lost, reach_m, length, found)
    return found


def find_only_prompted(
    measured: Measured, observation: Observation, tracks: Tracks, visible: BoolArray, config: TrackingConfig
) -> BoolArray:
    """Return which people (B,) are seen only because a detector was prompted to search for them.

    A keypoint network finds a person in whatever region it is given: somebody nearby, once more, or nobody. Such views
    do not count where they may be duplicates of somebody nearby. A single one does not outweigh two cameras that should
    see the person, ``visible`` (B, C), and do not, occluded or not: the ghost of somebody stands behind that person in
    most of them.
    """
    if not (observation.hints >= 0).any():
        return np.zeros(len(measured), bool)
    seen = measured.views >= 0
    prompted = seen & (gather(observation.hints, measured.views.ravel(), -1).reshape(seen.shape) >= 0)
    only: BoolArray = (prompted == seen).all(1) & seen.any(1)
    if not only.any():
        return only
    # Those with more inlier keypoints rank higher; of two alike the senior.
    solution = measured.estimate.solution
    rank = np.empty(len(measured), np.int64)
    rank[np.lexsort((-_ids(measured, tracks), solution.num_views.sum(1)))] = np.arange(len(measured))
    own = seen & ~find_duplicate_views(
        solution.xyz, measured.views, rank, observation.detections, config.second_detection_m
    )
    missing = (visible & ~own).sum(1)
    return np.asarray(only & ((own.sum(1) == 0) | (own.sum(1) == 1) & (missing >= 2)))


def _ids(measured: Measured, tracks: Tracks) -> IntArray:
    """Return (B,) the ids of the people, of new ones one that is younger than all."""
    return gather(tracks.ids, measured.tracks, _YOUNGEST)


@dataclass(slots=True)
class _Person:
    """What is remembered of a person.

    Attributes:
        seen_ns: when the person was seen last.
        mean: (A,) the mean appearance, NaN = not seen.
        sets: (A,) that it is a mean of, at most.
        is_new: whether the id may still be changed.
    """

    seen_ns: int
    mean: FloatArray
    sets: FloatArray
    is_new: bool = True


@dataclass(slots=True)
class Recognition:
    """Who comes back after minutes: by the colours of what people wear, and by their bones; in memory only.

    Attributes:
        config: settings.
    """

    config: TrackingConfig
    _people: dict[int, _Person] = field(default_factory=dict)

    def reset(self) -> None:
        """Forget everybody."""
        self._people.clear()

    def known(self, tracked: IntArray) -> IntArray:
        """Return the ids of the tracked and of those who may come back."""
        return np.union1d(tracked, np.array([*self._people], np.int64)) if self._people else tracked

    def recognise(
        self, observation: Observation, views: IntArray, tracks: Tracks, bones: BoneLengths | None
    ) -> None:
        """Learn what the people of a set wear, and give new ones the id that they had when they left.

        Args:
            observation: of the set.
            views: (B, C) the detection of each person in each camera, -1 for none.
            tracks: the first B are these people; their ids are changed.
            bones: what is known of their bones; follows the ids.
        """
        appearance, now_ns = observation.appearance, observation.stamp_ns
        if appearance is None or self.config.recognise_s <= 0.0:
            return
        current = nan_mean(gather(appearance, views.ravel(), np.nan).reshape(*views.shape, appearance.shape[-1]), 1)
        for body, seen in zip(tracks.ids.tolist(), current, strict=False):
            person = self._people.setdefault(body, _Person(now_ns, np.full(len(seen), np.nan), np.zeros(len(seen))))
            known, person.seen_ns = np.isfinite(seen), now_ns
            person.sets = np.minimum(person.sets + known, _MOST_SETS)
            before = np.where(person.sets > 1.0, person.mean, seen)
            person.mean = np.where(known, before + (seen - before) / np.maximum(person.sets, 1.0), person.mean)
        present = set(tracks.ids.tolist())
        for body, person in list(self._people.items()):
            # Whoever was never a person for long is not remembered.
            brief = body not in present and person.sets.max() < _LEAST_SETS
            if brief or not 0 <= now_ns - person.seen_ns <= self.config.recognise_s * NS_PER_S:
                del self._people[body]
        self._rename(tracks, present, len(views), bones)

    def _rename(self, tracks: Tracks, present: set[int], measured: int, bones: BoneLengths | None) -> None:
        """Give the new ones among the first ``measured`` tracks the ids of those who left, most alike first."""
        new = [
            row for row in np.flatnonzero(tracks.confirmed[:measured]).tolist()
            if (person := self._people[int(tracks.ids[row])]).is_new and person.sets.max() >= _LEAST_SETS
        ]
        left = [body for body in self._people if body not in present]
        for row in new:
            body = int(tracks.ids[row])
            person = self._people[body]
            if left:
                differences = [self._difference(body, other, bones) for other in left]
                order = np.argsort(differences)
                best = differences[order[0]]
                if best < _SAME and (len(left) == 1 or differences[order[1]] > best + _OTHERS_ABOVE):
                    other = left.pop(int(order[0]))
                    del self._people[body]
                    self._people[other].is_new, self._people[other].seen_ns = False, person.seen_ns
                    tracks.ids[row] = other
                    if bones is not None:
                        bones.rename(body, other)
                    continue
            person.is_new = bool(tracks.age_s[row] < _DECIDED_S)

    def _difference(self, body: int, other: int, bones: BoneLengths | None) -> float:
        """Return the mean square of what two people differ by, in standard deviations; inf where little is known."""
        off = (self._people[body].mean - self._people[other].mean) / _COLOUR_SIGMA
        if np.isfinite(off).sum() < _LEAST_FEATURES:
            return float('inf')
        prior = None if bones is None else bones.prior(np.array((body, other)), learned=True)
        if prior is not None and (known := (prior.length > 0.0).all(0)).any():
            # Bones err together: they count as one more feature of each part of the body.
            squares = (np.log(prior.length[0, known] / prior.length[1, known]) / _BONE_SIGMA) ** 2
            off = np.append(off, np.full(3, np.sqrt(squares.mean())))
        return float(np.nanmean(off * off))
