"""Which tracklets of several cameras are of one person, under a calibration that may be off by decimetres."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..arrays import BoolArray, FloatArray
from ..geometry.projection import normalize
from ..geometry.rays import bearings, closest_points
from .tracklets import Tracklet, merged, sample
from .views import LEAST_JOINTS, Person, RigState

# Few instants decide who is who; more cost time.
_MATCH_INSTANTS = 100
_LEAST_COMMON = 5
# More tracklets than this are noise; the longest are taken.
_MOST_TRACKLETS = 150
# Rays that meet behind a camera count as so far apart.
_BEHIND_M = 10.0
# Rays whose angle has a smaller sine are nearly parallel and say nothing.
_LEAST_SINE = 0.02


def match_people(
    tracklets: Mapping[str, Sequence[Tracklet]], state: RigState, gate_m: float, time_s: FloatArray
) -> list[Person]:
    """Group tracklets into people, those seen longest first; each is seen by at least two cameras.

    The cost of two tracklets is the median distance between the rays to the same joint, over joints and instants:
    two cameras cannot tell people apart who stand on one epipolar line, but people move. Clusters grow by average
    linkage; tracklets of one camera that overlap in time are never of one person.

    Args:
        tracklets: by camera, all of them cameras of the rig.
        state: cameras and clocks.
        gate_m: largest cost of one person.
        time_s: (T,) instants to compare at.
    """
    flat = sorted(
        ((name, t) for name, ts in tracklets.items() for t in ts), key=lambda item: -len(item[1])
    )[:_MOST_TRACKLETS]
    if not flat:
        return []
    chosen = time_s[np.linspace(0, len(time_s) - 1, min(len(time_s), _MATCH_INSTANTS)).round().astype(int)]
    rays = [_rays(t, state, name, chosen) for name, t in flat]
    count = len(flat)
    cost, apart = np.full((count, count), np.nan), np.zeros((count, count), bool)
    for i in range(count):
        for j in range(i + 1, count):
            if flat[i][0] == flat[j][0]:
                apart[i, j] = apart[j, i] = _overlap(flat[i][1], flat[j][1])
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


def _overlap(a: Tracklet, b: Tracklet) -> bool:
    return bool(a.time_s[0] <= b.time_s[-1] and b.time_s[0] <= a.time_s[-1])


def _rays(tracklet: Tracklet, state: RigState, name: str, time_s: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return a camera's centre (3,) and its unit rays (T, J, 3) in the world, NaN where nothing is seen."""
    index = state.rig.names.index(name)
    camera = state.rig.cameras[index]
    xy, _, _ = sample(tracklet, time_s * (1.0 + state.drift[index]) + state.offset_s[index])
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
