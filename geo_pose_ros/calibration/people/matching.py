# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Which tracklets of several cameras are of one person, under a calibration that may be off by decimetres."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ...arrays import BoolArray, FloatArray, IntArray
from ...geometry.projection import normalize
from ...geometry.rays import bearings, closest_points
from ...types import Camera, CameraRig
from ..clocks import common_instants
from ..settings import CalibrateConfig
from ..task import RefusalError
from .tracklets import Tracklet, evenly, kept_aside, merged, sample
from .views import LEAST_JOINTS, Person, PoseViews, view_people, view_person

# More poses than this cost time and say little.
_MOST_POSES = 1600
# Few instants decide who is who; more cost time.
_MATCH_INSTANTS = 100
_LEAST_COMMON = 5
# More tracklets than this are noise; the longest are taken.
_MOST_TRACKLETS = 150
# Rays that meet behind a camera count as so far apart.
_BEHIND_M = 10.0
# Rays whose angle has a smaller sine are nearly parallel and say nothing.
_LEAST_SINE = 0.02


@dataclass(frozen=True, slots=True, eq=False)
class Sightings:
    """People, and M poses (one person at one instant) at which they are looked at.

    Attributes:
        people: those seen longest first.
        time_s: (M,) on the common clock.
        person: (M,) whose.
        is_kept: (M,) whether the pose is kept aside, to judge.
    """

    people: Sequence[Person]
    time_s: FloatArray
    person: IntArray
    is_kept: BoolArray

    def views(self, rig: CameraRig, chosen: BoolArray | None = None) -> PoseViews:
        """Return what the cameras see of the poses ``chosen`` (M,), None: all, sampled under their clocks."""
        chosen = np.ones(len(self.time_s), bool) if chosen is None else chosen
        return PoseViews.joined([
            view_person(person, rig, self.time_s[chosen & (self.person == number)])
            for number, person in enumerate(self.people)
        ])


def sight_people(
    tracklets: Mapping[str, Sequence[Tracklet]], rig: CameraRig, config: CalibrateConfig
) -> Sightings:
    """Return the people that the tracklets show, and the poses at the instants chosen.

    Raises:
        CalibrationError: if no person is seen by two cameras.
    """
    time_s = common_instants(tracklets, rig, config.instants)
    matched = match_people(tracklets, rig, config.same_person_m, time_s)
    least = min(config.least_person_instants, len(time_s))
    people = [person for person in matched if len(view_person(person, rig, time_s)) >= least]
    if not people:
        raise RefusalError(
            'No person is seen by two cameras together: either the cameras do not overlap, or the calibration given '
            'is off by more than half a metre.',
            'Record people where two cameras see them, or use --from-scratch.',
        )
    if len(people) * len(time_s) > _MOST_POSES:
        time_s = common_instants(tracklets, rig, max(_MOST_POSES // len(people), 20))
    views = view_people(people, rig, time_s)
    return Sightings(people, views.time_s, views.person, kept_aside(views.time_s, config.kept_aside))


def match_people(
    tracklets: Mapping[str, Sequence[Tracklet]], rig: CameraRig, gate_m: float, time_s: FloatArray
) -> list[Person]:
    """Group tracklets into people, those seen longest first; each is seen by at least two cameras.

    The cost of two tracklets is the median distance between the rays to the same joint, over joints and instants:
    two cameras cannot tell people apart who stand on one epipolar line, but people move. Clusters grow by average
    linkage; tracklets of one camera that overlap in time are never of one person.

    Args:
        tracklets: by camera, all of them cameras of ``rig``.
        rig: cameras and clocks.
        gate_m: largest cost of one person.
        time_s: (T,) instants to compare at.
    """
    flat = sorted(
        ((name, t) for name, ts in tracklets.items() for t in ts), key=lambda item: -len(item[1])
    )[:_MOST_TRACKLETS]
    if not flat:
        return []
    chosen = time_s[evenly(len(time_s), _MATCH_INSTANTS)]
    rays = [_rays(t, rig[name], chosen) for name, t in flat]
    count = len(flat)
    cost, apart = np.full((count, count), np.nan), np.zeros((count, count), bool)
    for i in range(count):
        for j in range(i + 1, count):
            if flat[i][0] == flat[j][0]:
                begin_s, end_s = zip(*((t.time_s[0], t.time_s[-1]) for _, t in (flat[i], flat[j])), strict=True)
                apart[i, j] = apart[j, i] = max(begin_s) <= min(end_s)
            else:
                cost[i, j] = cost[j, i] = _ray_distance_m(rays[i], rays[j])
    people = []
    for members in _cluster(cost, apart, gate_m):
        by_camera: dict[str, list[Tracklet]] = {}
        for member in members:
            by_camera.setdefault(flat[member][0], []).append(flat[member][1])
        if len(by_camera) >= 2:
            people.append({name: merged(parts) for name, parts in by_camera.items()})
    return sorted(people, key=lambda person: -sum(len(t) for t in person.values()))


def _rays(tracklet: Tracklet, camera: Camera, time_s: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return a camera's centre (3,) and its unit rays (T, J, 3) in the world, NaN where nothing is seen."""
    xy, _, _ = sample(tracklet, camera.clock.stamp_s(time_s))
    return camera.position_m, bearings(normalize(camera.intrinsics, xy)) @ camera.cam_from_world[:, :3]


def _ray_distance_m(first: tuple[FloatArray, FloatArray], second: tuple[FloatArray, FloatArray]) -> float:
    """Return the median distance between two cameras' rays (T, J, 3); NaN with too little in common."""
    distance, s, t = closest_points(second[0] - first[0], first[1], second[1], _LEAST_SINE)
    distance = np.where((s > 0.0) & (t > 0.0) | np.isnan(distance), distance, _BEHIND_M)
    common = np.isfinite(distance).sum(-1) >= LEAST_JOINTS
    if common.sum() < _LEAST_COMMON:
        return float('nan')
    return float(np.nanmedian(distance[common]))


def _cluster(cost: FloatArray, apart: BoolArray, gate: float) -> list[list[int]]:
    """Return clusters of average linkage over the costs that are known, none holding two that are apart."""
    clusters = [[i] for i in range(len(cost))]
    known = np.isfinite(cost)
    total, number, apart = np.where(known, cost, 0.0), known.astype(float), apart.copy()
    alive = np.ones(len(cost), bool)
    while True:
        with np.errstate(invalid='ignore', divide='ignore'):
            linkage = np.where((number > 0) & ~apart, total / number, np.inf)
        linkage[~alive] = linkage[:, ~alive] = np.inf
        np.fill_diagonal(linkage, np.inf)
        i, j = divmod(int(linkage.argmin()), len(cost))
        if not linkage[i, j] <= gate:
            return [c for c, here in zip(clusters, alive, strict=True) if here]
        clusters[i] += clusters[j]
        alive[j] = False
        for table in (total, number):
            table[i] += table[j]
            table[:, i] += table[:, j]
        apart[i] |= apart[j]
        apart[:, i] |= apart[:, j]
