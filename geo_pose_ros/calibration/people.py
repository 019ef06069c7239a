"""Which tracklets of several cameras are of one person, under a calibration that may be off by decimetres."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..arrays import FloatArray
from ..geometry.projection import normalize
from ..skeleton import BODY17
from .bundle.adjustment import PoseViews, RigState
from .tracklets import Tracklet, extent_px, merged, sample

# One person's tracklets by camera.
Person = Mapping[str, Tracklet]

# Few instants decide who is who; more cost time.
_MATCH_INSTANTS = 100
_LEAST_COMMON = 5
# More tracklets than this are noise; the longest are taken.
_MOST_TRACKLETS = 150
_LEAST_EXTENT_PX = 60.0
_LEAST_JOINTS = 4


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
                cost[i, j] = cost[j, i] = _ray_distance_m(*rays[i], *rays[j])
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


def _rays(
    tracklet: Tracklet, state: RigState, name: str, time_s: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return a camera's centre (3,) and its unit rays (T, J, 3) in the world, NaN where nothing is seen."""
    index = state.rig.names.index(name)
    camera = state.rig.cameras[index]
    xy, _, _ = sample(tracklet, time_s * (1.0 + state.drift[index]) + state.offset_s[index])
    xn = normalize(camera.intrinsics, xy)
    rays = np.concatenate([xn, np.ones((*xn.shape[:-1], 1))], -1) @ camera.cam_from_world[:, :3]
    return camera.position_m, rays / np.linalg.norm(rays, axis=-1, keepdims=True)


def _ray_distance_m(c1: FloatArray, u: FloatArray, c2: FloatArray, v: FloatArray) -> float:
    """Return the median distance between rays (T, J, 3); NaN with too little in common.

    Rays that meet behind a camera count as far apart.
    """
    base = c2 - c1
    normal = np.cross(u, v)
    length = np.linalg.norm(normal, axis=-1)
    with np.errstate(invalid='ignore', divide='ignore'):
        distance = np.abs(normal @ base) / length
        s = (np.cross(base, v) * normal).sum(-1) / length**2
        t = (np.cross(base, u) * normal).sum(-1) / length**2
    distance = np.where((s > 0.0) & (t > 0.0) | ~np.isfinite(distance), distance, 10.0)
    # Nearly parallel rays say nothing.
    distance[length < 0.02] = np.nan
    common = np.isfinite(distance).sum(-1) >= _LEAST_JOINTS
    if common.sum() < _LEAST_COMMON:
        return float('nan')
    return float(np.nanmedian(distance[common]))


def _cluster(cost: FloatArray, apart: np.ndarray, gate: float) -> list[list[int]]:
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


def pose_views(people: Sequence[Person], state: RigState, time_s: FloatArray) -> PoseViews:
    """Return what the cameras see of the people at instants (T,); poses that fewer than two cameras see are left out.

    Sampled at the times that the clocks of ``state`` say. The weight is the confidence over the size in the picture,
    as detectors look at a crop of the person.
    """
    cameras, times, joints = len(state.rig), len(time_s), len(BODY17)
    parts = []
    for number, person in enumerate(people):
        xy, velocity = np.full((2, cameras, times, joints, 2), np.nan)
        weight = np.zeros((cameras, times, joints))
        for c, name in enumerate(state.rig.names):
            if name not in person:
                continue
            xy[c], velocity[c], confidence = sample(person[name], time_s * (1.0 + state.drift[c]) + state.offset_s[c])
            size = np.fmax(np.nan_to_num(extent_px(xy[c])), _LEAST_EXTENT_PX)
            weight[c] = 75.0 * confidence / size[:, None]
        seen = ((weight > 0.0).sum(-1) >= _LEAST_JOINTS).sum(0) >= 2
        parts.append((time_s[seen], np.full(int(seen.sum()), number), xy[:, seen], velocity[:, seen], weight[:, seen]))
    if not parts:
        empty = np.zeros((cameras, 0, joints, 2))
        return PoseViews(np.zeros(0), np.zeros(0, np.int64), empty, empty, empty[..., 0])
    return PoseViews(
        np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts]),
        *(np.concatenate([p[i] for p in parts], 1) for i in (2, 3, 4)),
    )


def shared_instants(views: PoseViews) -> FloatArray:
    """Return (C, C): how many poses each two cameras see together; the diagonal, each with any other."""
    seen = ((views.weight > 0.0).sum(-1) >= _LEAST_JOINTS).astype(float)
    shared = seen @ seen.T
    together = seen.sum(0) >= 2
    shared[np.diag_indices(len(shared))] = (seen * together).sum(1)
    return np.asarray(shared)
