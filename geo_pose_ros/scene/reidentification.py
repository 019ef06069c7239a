# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Identities of the measured people: duplicates, people who come back, and people that only prompts show."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..arrays import BoolArray, FloatArray, IntArray
from ..fusion.merging import find_duplicate_bodies, find_duplicate_views
from ..fusion.prior import BonePrior
from ..fusion.table import gather
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
