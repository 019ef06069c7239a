"""Bodies that are one person: what a lone view holds is part of a body that others see, or of another lone view's."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..arrays import FloatArray, IntArray
from .grouping import Rays, ray_distance
from .views import Cameras, Detections, lateral_distance

# A second reading lies on the person that it is of, this share of its joints at least: arms reach out of the box.
_ON_PERSON = 0.6


def merge_lone_views(
    cameras: Cameras, local: FloatArray, detections: Detections, views: IntArray, gate_m: float, new_gate_m: float
) -> IntArray:
    """Give, in place, the detection of a body that one camera sees to the body that it is part of.

    What one camera alone sees is uncertain in depth and follows that camera's errors, so that beside a body that lacks
    a view there it is more likely a part of that one than a second person behind it.

    Args:
        cameras: C cameras.
        local: (C, T, J, 3) the bodies as expected, senior ones first, from ``Cameras.see``.
        detections: D detections.
        views: (T, C) the detection of each body in each camera, -1 for none; changed.
        gate_m: largest distance of a body from its detection.
        new_gate_m: largest distance between the rays of two detections of one person.

    Returns:
        (T,) the body that each became part of, itself for most.
    """
    whose = np.arange(len(views))
    counts = (views >= 0).sum(1)
    for lone in np.flatnonzero(counts == 1)[::-1].tolist():
        camera = int((views[lone] >= 0).argmax())
        detection = int(views[lone, camera])
        others = np.flatnonzero((counts > 0) & (views[:, camera] < 0))
        # Of two lone views the senior one stays.
        others = others[(counts[others] > 1) | (others < lone)]
        if not len(others):
            continue
        fit = lateral_distance(local, detections, others, np.full(len(others), detection)) / gate_m
        both_lone = counts[others] == 1
        if both_lone.any():
            # Two lone views say where a person is only together.
            theirs = views[others[both_lone]].max(1)
            rays = Rays.of(cameras.cam_from_world, detections, np.append(theirs, detection))
            apart = ray_distance(rays, np.arange(len(theirs)), np.full(len(theirs), len(theirs)))
            fit[both_lone] = apart / new_gate_m
        best = int(fit.argmin())
        if fit[best] < 1.0:
            into = int(others[best])
            views[into, camera], views[lone] = detection, -1
            counts[into], counts[lone] = counts[into] + 1, 0
            whose[lone] = into
    return whose


def same_bodies(xyz: FloatArray, views: IntArray, gate_m: float) -> IntArray:
    """Return (B,) for each body the senior one that it repeats, itself if none.

    Two bodies in one place that no camera sees both of are one person.

    Args:
        xyz: (B, J, 3) m, senior ones first, NaN = unknown.
        views: (B, C) the detection of each in each camera, -1 for none.
        gate_m: largest mean distance of their joints.
    """
    bodies = len(xyz)
    whose = np.arange(bodies)
    if bodies < 2:
        return whose
    root = np.nanmean(xyz, 1)
    first, second = np.nonzero(np.triu(np.linalg.norm(root[:, None] - root, axis=-1) < 2.0 * gate_m, 1))
    for senior, junior in zip(first.tolist(), second.tolist(), strict=True):
        together = (views[senior] >= 0) & (views[junior] >= 0)
        apart = np.nanmean(np.linalg.norm(xyz[senior] - xyz[junior], axis=-1))
        if not together.any() and apart < gate_m and whose[senior] == senior:
            whose[junior] = senior
    return whose


def second_readings(
    xyz: FloatArray, views: IntArray, rank: IntArray, detections: Detections, reach_m: float
) -> NDArray[np.bool_]:
    """Return (B, C) which views may be second readings of somebody near who is better established.

    Most joints of such a detection lie within the box around the other body's detection in the same picture.

    Args:
        xyz: (B, J, 3) m, NaN = unknown.
        views: (B, C) the detection of each body in each camera, -1 for none.
        rank: (B,) the better established the larger.
        detections: D detections.
        reach_m: largest distance of two bodies' middles at which one's region may show the other.
    """
    found = np.zeros(views.shape, bool)
    if len(xyz) < 2:
        return found
    centre = np.nanmean(xyz, 1)
    near = np.linalg.norm(centre[:, None] - centre, axis=-1) < reach_m
    for body, other in zip(*np.nonzero(near & (rank[:, None] < rank)), strict=True):
        for camera in np.flatnonzero((views[body] >= 0) & (views[other] >= 0)).tolist():
            mine, theirs = views[body, camera], views[other, camera]
            box = detections.xn[theirs][detections.seen[theirs]]
            joints = detections.xn[mine][detections.seen[mine]]
            inside = ((joints >= box.min(0)) & (joints <= box.max(0))).all(-1)
            found[body, camera] |= bool(inside.mean() >= _ON_PERSON)
    return found


def adrift(
    local: FloatArray, detections: Detections, views: IntArray, expected: NDArray[np.bool_], gate_m: float, reach: float
) -> FloatArray:
    """Return (C, 2) the shift, at focal length 1, of cameras in which people are seen, but not where they should be.

    A camera that was turned sees everybody beside their place, all by the same shift. The shift that explains most of
    its unclaimed detections by bodies that lack a view there is returned, NaN for cameras where none is or where more
    bodies are in their place than not.

    Args:
        local: (C, T, J, 3) the bodies, from ``Cameras.see``.
        detections: D detections.
        views: (T, C) the detection of each body in each camera, -1 for none.
        expected: (T, C) whether the camera should see the body.
        gate_m: largest distance of a shifted body from its detection.
        reach: largest shift, at focal length 1.
    """
    shift = np.full((local.shape[0], 2), np.nan)
    taken = np.zeros(len(detections), bool)
    taken[views[views >= 0]] = True
    # Of two cameras nobody can say which was turned.
    certain = (views >= 0).sum(1) >= 2
    for camera in range(len(shift)):
        missing = np.flatnonzero(certain & expected[:, camera] & (views[:, camera] < 0))
        mine = np.arange(detections.starts[camera], detections.starts[camera + 1])
        free = mine[~taken[mine]]
        if not len(missing) or not len(free) or len(missing) <= (views[:, camera] >= 0).sum():
            continue
        shift[camera] = _common_shift(local[camera, missing], detections, free, gate_m, reach)
    return shift


def _common_shift(local: FloatArray, detections: Detections, free: IntArray, gate_m: float, reach: float) -> FloatArray:
    """Return the shift (2,) that brings most bodies (M, J, 3) to the detections ``free`` (F,); NaN if none does."""
    depth = np.maximum(local[..., 2:], 1e-3)
    image = local[..., :2] / depth
    seen = detections.seen[free][None] & np.isfinite(image[..., 0])[:, None]
    off = np.where(seen[..., None], detections.xn[free][None] - image[:, None], np.nan)
    enough = seen.sum(-1) >= 6
    best, best_fit = np.full(2, np.nan), 0.5
    for body, detection in zip(*np.nonzero(enough), strict=True):
        candidate = np.nanmedian(off[body, detection], axis=0)
        if not np.hypot(*candidate) <= reach:
            continue
        apart = np.linalg.norm(off - candidate, axis=-1) * depth[:, None, :, 0]
        fit = np.nanmean(np.where(enough[..., None], np.minimum(apart, 1.0), 1.0), axis=-1)
        matched = float(np.clip(1.0 - fit.min(1) / gate_m, 0.0, 1.0).sum())
        if matched > best_fit:
            best, best_fit = candidate, matched
    return best
