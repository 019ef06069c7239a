"""Which detections of the cameras are one person.

Distances are metric, so that no threshold depends on image size or zoom: between a predicted joint and a ray, or
between two rays (Hartley & Zisserman 12.1). A detection is first offered to the tracked bodies, by one optimal
assignment per camera; what is left is grouped by average-linkage clustering of the ray distances, which with many
cameras averages out the accidents of a single pair's epipolar geometry; the groups are then triangulated and every
detection is assigned once more to the body it fits best.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from ..errors import ShapeError
from ..geometry.triangulation import triangulate_dlt
from ..skeleton import FloatArray
from ..types import IntArray

# Larger distances count as this much: a joint gone astray must not decide about a person.
_CAP_M = 0.4
# Mean capped distance up to which rays, and a ray and a tracked body's joint, may belong to one person.
_RAY_GATE_M = 0.12
_BODY_GATE_M = 0.25
# Fewer common joints than this say nothing about identity.
_MIN_COMMON_JOINTS = 4


@dataclass(frozen=True, slots=True, eq=False)
class Association:
    """B people, each as one detection at most per camera.

    Attributes:
        views: (B, C) index of the person's detection among the camera's, -1 where the camera has none.
        tracks: (B,) index of the tracked body that it continues, -1 for a new one.
    """

    views: IntArray
    tracks: IntArray

    @property
    def num_views(self) -> IntArray:
        """(B,) cameras that see the person."""
        return np.asarray((self.views >= 0).sum(1), np.int64)

    def __len__(self) -> int:
        return len(self.tracks)

    def select(self, kept: NDArray[np.bool_]) -> Association:
        """Return the people of the mask (B,)."""
        if kept.all():
            return self
        return Association(self.views[kept], self.tracks[kept])

    def gather(self, by_camera: Sequence[FloatArray], missing: float) -> FloatArray:
        """Return (C, B, ...): every person's row of each camera's array (P_c, ...), ``missing`` where unseen."""
        missed = np.full((1, *by_camera[0].shape[1:]), missing)
        # Index -1, unseen, is the row that is appended.
        return np.stack([
            np.concatenate((rows, missed))[views] for rows, views in zip(by_camera, self.views.T, strict=True)
        ])


def associate(
    cam_from_world: FloatArray,
    xn_by_camera: Sequence[FloatArray],
    weights_by_camera: Sequence[FloatArray],
    predicted: FloatArray | None = None,
) -> Association:
    """Group the detections of C cameras into people.

    Args:
        cam_from_world: (C, 3, 4).
        xn_by_camera: per camera (P_c, J, 2) undistorted normalised keypoints, NaN = not seen.
        weights_by_camera: per camera (P_c, J) >= 0, 0 = not used.
        predicted: (T, J, 3) m, where the tracked bodies are expected now, NaN = unknown.

    Returns:
        The people, those tracked first; a detection that fits no other is a person seen by one camera.

    Raises:
        ShapeError: if the arrays do not agree.
    """
    cameras = len(cam_from_world)
    shapes = [x.shape for x in xn_by_camera]
    joints = shapes[0][1] if shapes and len(shapes[0]) == 3 else -1
    if len(shapes) != cameras or len(weights_by_camera) != cameras or any(s[1:] != (joints, 2) for s in shapes) or any(
        w.shape != s[:2] for w, s in zip(weights_by_camera, shapes, strict=True)
    ):
        raise ShapeError(
            f'associate: received {cameras} cameras, keypoints {shapes} and weights '
            f'{[w.shape for w in weights_by_camera]}; expected one (P, J, 2) and one (P, J) per camera.'
        )
    counts = [len(x) for x in xn_by_camera]
    camera = np.repeat(np.arange(cameras), counts)
    rays = _Rays.of(cam_from_world, camera, np.concatenate(xn_by_camera), np.concatenate(weights_by_camera))
    offsets = np.cumsum([0, *counts])

    bodies = predicted if predicted is not None else np.zeros((0, joints, 3))
    distance = _body_distance(bodies, rays)
    tracked = _join_lonely(_assign(distance, camera, cameras), distance)
    tracks = np.flatnonzero((tracked >= 0).any(1))
    detections = tracked[tracks]
    free = np.ones(len(camera), bool)
    free[detections[detections >= 0]] = False
    if free.any():
        left = np.flatnonzero(free)
        groups = _cluster(rays.select(left), left, camera)
        new = np.full((len(groups), cameras), -1)
        for row, group in zip(new, groups, strict=True):
            row[camera[group]] = group
        detections = np.concatenate([detections, new])
        tracks = np.concatenate([tracks, np.full(len(new), -1)])
        detections = _reassign_new(detections, tracks, rays, camera, cam_from_world)
    views = np.where(detections >= 0, detections - offsets[:-1], -1)
    return Association(views, tracks).select(np.asarray((views >= 0).any(1)))


@dataclass(frozen=True, slots=True, eq=False)
class _Rays:
    """The rays of D detections: ``centre`` (D, 3) m, ``direction`` (D, J, 3) unit, ``seen`` (D, J)."""

    xn: FloatArray
    centre: FloatArray
    direction: FloatArray
    seen: NDArray[np.bool_]

    @classmethod
    def of(cls, cam_from_world: FloatArray, camera: IntArray, xn: FloatArray, weights: FloatArray) -> _Rays:
        R = cam_from_world[:, :, :3]
        centre = -np.squeeze(np.swapaxes(R, -1, -2) @ cam_from_world[:, :, 3:], -1)
        # A sum is finite only if all its terms are.
        seen = np.isfinite(xn.sum(-1)) & (weights > 0.0)
        bearing = np.ones((*xn.shape[:2], 3))
        bearing[..., :2] = np.where(seen[..., None], xn, 0.0)
        bearing /= np.sqrt((bearing * bearing).sum(-1, keepdims=True))
        direction = bearing @ R[camera]
        return cls(xn, centre[camera], direction, seen)

    def select(self, index: IntArray) -> _Rays:
        return _Rays(self.xn[index], self.centre[index], self.direction[index], self.seen[index])


def _mean_capped(distance: FloatArray, valid: NDArray[np.bool_]) -> FloatArray:
    """Return the mean over the last axis of ``distance`` capped at _CAP_M; inf with too few ``valid`` joints."""
    count = valid.sum(-1)
    total = np.where(valid, np.minimum(distance, _CAP_M), 0.0).sum(-1)
    return np.where(count >= _MIN_COMMON_JOINTS, total / np.maximum(count, 1), np.inf)


def _body_distance(bodies: FloatArray, rays: _Rays) -> FloatArray:
    """Return (T, D) m: the mean distance of a body's joints from the rays of a detection; inf if behind it."""
    to_joint = bodies[:, None] - rays.centre[:, None]
    along = (to_joint * rays.direction).sum(-1)
    across2 = (to_joint * to_joint).sum(-1) - along * along
    known = np.isfinite(along) & rays.seen
    with np.errstate(invalid='ignore'):
        distance = np.where(along > 0.0, np.sqrt(np.maximum(across2, 0.0)), _CAP_M)
    return _mean_capped(distance, known)


def _ray_distance(rays: _Rays, camera: IntArray) -> FloatArray:
    """Return (D, D) m: the mean distance of the rays of two detections; inf within one camera.

    Rays that come closest behind a camera count as far apart.
    """
    detections = len(rays.centre)
    first, second = np.triu_indices(detections, 1)
    apart = camera[first] != camera[second]
    first, second = first[apart], second[apart]
    u, v = rays.direction[first], rays.direction[second]
    base = (rays.centre[second] - rays.centre[first])[:, None]
    uv, ub, vb = (u * v).sum(-1), (u * base).sum(-1), (v * base).sum(-1)
    denominator = np.maximum(1.0 - uv**2, 1e-6)
    s, t = (ub - uv * vb) / denominator, (uv * ub - vb) / denominator
    # |base - s u + t v|^2 with s and t at the closest points
    closest2 = (base**2).sum(-1) + s * (s - 2.0 * ub) + t * (t + 2.0 * vb) - 2.0 * s * t * uv
    distance = np.where((s > 0.0) & (t > 0.0), np.sqrt(np.maximum(closest2, 0.0)), _CAP_M)
    distances = np.full((detections, detections), np.inf)
    distances[first, second] = distances[second, first] = _mean_capped(distance, rays.seen[first] & rays.seen[second])
    return distances


def _assign(cost: FloatArray, camera: IntArray, cameras: int) -> IntArray:
    """Return (T, C): the detection assigned to each body in each camera within the gate, -1 for none."""
    assigned = np.full((len(cost), cameras), -1)
    if not len(cost):
        return assigned
    # A price above any sum of real costs keeps gated pairs out unless nothing else is left; they are dropped below.
    priced = np.where(cost <= _BODY_GATE_M, cost, 1e3)
    ends = np.searchsorted(camera, np.arange(cameras + 1)).tolist()
    for c, (first, end) in enumerate(itertools.pairwise(ends)):
        if len(cost) == 1 and end == first + 1:
            assigned[0, c] = first if priced[0, first] < 1e3 else -1
            continue
        body, column = linear_sum_assignment(priced[:, first:end])
        good = priced[body, first + column] < 1e3
        assigned[body[good], c] = first + column[good]
    return assigned


def _join_lonely(assigned: IntArray, cost: FloatArray) -> IntArray:
    """Give the detection of a body seen by one camera to a body of several that lacks one there and fits; (T, C).

    What one camera alone sees is uncertain in depth and follows that camera's errors, so that beside a body that
    several cameras agree on it is more likely a part of that one than a second person behind it.
    """
    views = (assigned >= 0).sum(1)
    joined = assigned.copy()
    for lonely in np.flatnonzero(views == 1):
        c = int((assigned[lonely] >= 0).argmax())
        detection = assigned[lonely, c]
        fit = np.where((views >= 2) & (joined[:, c] < 0), cost[:, detection], np.inf)
        best = int(fit.argmin())
        if fit[best] <= _BODY_GATE_M:
            joined[best, c], joined[lonely, c] = detection, -1
    return joined


def _cluster(rays: _Rays, names: IntArray, camera: IntArray) -> list[IntArray]:
    """Group detections by average linkage, never two of one camera; return each group's ``names``."""
    distance = _ray_distance(rays, camera[names])
    members = [[name] for name in names]
    size = np.ones(len(names))
    while len(names) > 1:
        flat = int(distance.argmin())
        a, b = divmod(flat, len(names))
        if distance[a, b] > _RAY_GATE_M:
            break
        # inf (same camera) stays inf: no group gets two detections of one camera
        distance[a] = (size[a] * distance[a] + size[b] * distance[b]) / (size[a] + size[b])
        distance[:, a] = distance[a]
        distance[b], distance[:, b], distance[a, a] = np.inf, np.inf, np.inf
        members[a] += members[b]
        members[b] = []
        size[a] += size[b]
    return [np.array(group, np.int64) for group in members if group]


def _reassign_new(
    detections: IntArray, tracks: IntArray, rays: _Rays, camera: IntArray, cam_from_world: FloatArray
) -> IntArray:
    """Triangulate the new groups and assign their detections anew to the best fitting of them; (B, C) as given.

    Repairs what the greedy clustering got wrong early. Groups of one detection keep it unless another takes it.
    """
    cameras = len(cam_from_world)
    new = np.flatnonzero((tracks < 0) & ((detections >= 0).sum(1) >= 2))
    if not len(new):
        return detections
    index = detections[new].T
    seen = (index >= 0)[..., None] & rays.seen[index]
    joints = seen.shape[-1]
    xn = np.where(seen[..., None], rays.xn[index], np.nan).reshape(cameras, -1, 2)
    xyz = triangulate_dlt(cam_from_world, xn, seen.reshape(cameras, -1).astype(float)).reshape(len(new), joints, 3)
    cost = _body_distance(xyz, rays)
    cost[:, detections[tracks >= 0][detections[tracks >= 0] >= 0]] = np.inf
    assigned = _assign(cost, camera, cameras)
    # A group keeps a detection that nobody else wants: its joints were triangulated from it.
    wanted = np.isin(detections[new], assigned)
    result = detections.copy()
    result[new] = np.where(assigned >= 0, assigned, np.where(wanted, -1, detections[new]))
    single = np.flatnonzero((tracks < 0) & ((detections >= 0).sum(1) == 1))
    result[single] = np.where(np.isin(detections[single], assigned), -1, detections[single])
    return result
