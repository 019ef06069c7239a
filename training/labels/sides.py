# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Left and right: where views exchanged the sides of a person's legs or arms, and what is seen without the exchange.

Detectors do this for seconds on end when they see somebody from behind. As a residual it is a joint that lies a whole
body's width off; as what it is, a view in which two limbs have each other's names. One instant often leaves open which
view is wrong: seen from the side left and right are one. Motion does not: limbs do not jump from one frame to the next.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import numpy as np

from geo_pose_ros.arrays import BoolArray, FloatArray, IntArray
from geo_pose_ros.fusion.left_right import LIMB_PAIRS, LIMBS, Sides
from geo_pose_ros.fusion.solver import keypoints_table
from geo_pose_ros.geometry.stats import geman_mcclure_cost, nan_median
from geo_pose_ros.geometry.triangulation import reprojection_residuals
from geo_pose_ros.skeleton import BODY17

from .views import SeenJoints, triangulated

# Legs and arms: (2, 6) joints.
# Of the person's extent: the distance from the labels that, of half a limb's joints, makes an instant doubtful, and the
# one that counts half.
_DOUBTFUL, _FAR = 0.03, 0.04
# The same of a bone's length, relative, and of a joint's way from one frame to the next.
_OTHER_LENGTH, _WANDERED_M, _SPEED_M_S = 0.15, 0.05, 2.5
# In joints that lie far off: a view's limb exchanged, and one that is from now on, or no longer.
_EXCHANGE, _CHANGE = 0.5, 1.0
# A joint's jump costs as much as an outlier in this number of views.
_JUMP = 2.0
# With more cameras at most two views exchange sides at the same time.
_MANY_CAMERAS = 4


def confused_sides(cam_from_world: FloatArray, rays: FloatArray, labels: FloatArray) -> BoolArray:
    """Return (F, C, 2) the views in which the sides of legs, and of arms, are not those of the ``labels``.

    Only where these views are no majority.

    Args:
        cam_from_world: (C, 3, 4).
        rays: (F, C, J, 2) normalised body17 keypoints, NaN = not seen.
        labels: (F, J, 3) m, NaN = unknown.
    """
    seen = np.moveaxis(rays, 1, 0)
    weights = np.ones(seen.shape[:-1])
    given = keypoints_table(cam_from_world, np.ones(len(cam_from_world)), seen, weights, None)
    return Sides(given, weights).against(labels).transpose(2, 1, 0)


def exchange_sides(points: FloatArray, confidence: FloatArray, confused: BoolArray) -> tuple[FloatArray, FloatArray]:
    """Return body17 ``points`` (F, C, J, 2) and ``confidence`` (F, C, J), sides exchanged where ``confused``.

    Args:
        points: in any unit.
        confidence: of the points.
        confused: (F, C, 2), of legs and arms.
    """
    points, confidence = points.copy(), confidence.copy()
    for group, pairs in enumerate(LIMB_PAIRS):
        frame, view = np.nonzero(confused[..., group])
        to, source = pairs.T.ravel(), pairs[:, ::-1].T.ravel()
        for values in (points, confidence):
            values[frame[:, None], view[:, None], to] = values[frame[:, None], view[:, None], source]
    return points, confidence


def find_exchanges(views: SeenJoints, labels: FloatArray) -> BoolArray:
    """Return (F, C, 2) where views exchanged the sides of legs, and of arms, as all views and instants say together.

    The cheapest series of exchanges (Viterbi): joints should lie where the views see them, bones have their usual
    lengths, and limbs stay where they were. Exchanges are sought only where a limb lies off the labels.

    Args:
        views: as they were seen.
        labels: (F, J, 3) m, made from the views as they are.
    """
    found = np.zeros((*views.confidence.shape[:2], len(LIMBS)), bool)
    off = _distances(views.cam_from_world, views.rays, labels) / views.extent()[..., None]
    for group, joints in enumerate(LIMBS):
        # NaN, what is not seen, is neither.
        far, near = (off[..., joints] > _DOUBTFUL).sum(-1), (off[..., joints] <= _DOUBTFUL).sum(-1)
        doubtful: BoolArray = np.asarray(((far >= near) & (far > 0)).any(1))
        if doubtful.any():
            found[..., group] = _cheapest(views, labels, group, doubtful)
    return found


def _cheapest(views: SeenJoints, labels: FloatArray, group: int, doubtful: BoolArray) -> BoolArray:
    """Return (F, C) where the cheapest series has a limb group exchanged; nowhere but in ``doubtful`` (F,)."""
    states, joints = _states(len(views.cam_from_world)), LIMBS[group]
    frames, extent = len(views.rays), views.extent()
    cost = np.full((frames, len(states)), np.inf)
    xyz = np.full((frames, len(states), len(joints), 3), np.nan)
    for number, state in enumerate(states):
        chosen = doubtful if state.any() else np.ones(frames, bool)
        confused = np.zeros((int(chosen.sum()), len(state), len(LIMBS)), bool)
        confused[..., group] = state
        seen, confidence = exchange_sides(views.rays[chosen], views.confidence[chosen], confused)
        seen, confidence = seen[:, :, joints], confidence[:, :, joints]
        points = triangulated(views.cam_from_world, seen, confidence)
        xyz[chosen, number] = points
        far = _distances(views.cam_from_world, seen, points) / (_FAR * extent[chosen, :, None])
        cost[chosen, number] = (
            _saturated(far).sum((1, 2)) + _saturated(_misfits(points, labels, group)).sum(1) + _EXCHANGE * state.sum()
        )
    change = _CHANGE * (states[:, None] != states).sum(-1)
    reach = _WANDERED_M + _SPEED_M_S / views.fps

    def change_and_jump(frame: int) -> FloatArray:
        jump = np.linalg.norm(xyz[frame - 1, :, None] - xyz[frame, None], axis=-1)
        return np.asarray(change + _JUMP * _saturated(jump / reach).sum(-1))

    return states[_cheapest_path(cost, change_and_jump)]


def _cheapest_path(cost: FloatArray, change: Callable[[int], FloatArray]) -> IntArray:
    """Return the states (F,) of least sum (Viterbi) of ``cost`` (F, S) and of the changes (S, S) into each frame."""
    frames = len(cost)
    total, before = cost[0], np.zeros(cost.shape, np.int64)
    for frame in range(1, frames):
        arrive = total[:, None] + change(frame)
        before[frame] = arrive.argmin(0)
        total = arrive.min(0) + cost[frame]
    best = np.empty(frames, np.int64)
    best[-1] = total.argmin()
    for frame in range(frames - 1, 0, -1):
        best[frame - 1] = before[frame, best[frame]]
    return best


def _states(cameras: int) -> BoolArray:
    """Return (S, C) which views may be exchanged at once, none first; never all, which no view would contradict."""
    most = cameras - 1 if cameras <= _MANY_CAMERAS else 2
    chosen = [views for count in range(most + 1) for views in combinations(range(cameras), count)]
    states = np.zeros((len(chosen), cameras), bool)
    for state, views in zip(states, chosen, strict=True):
        state[list(views)] = True
    return states


def _distances(cam_from_world: FloatArray, rays: FloatArray, xyz: FloatArray) -> FloatArray:
    """Return (F, C, J) how far rays (F, C, J, 2) are from joints (F, J, 3), normalised.

    NaN where the view does not see the joint; infinite where the joint is unknown or behind the camera.
    """
    distances = reprojection_residuals(cam_from_world, np.ones(len(cam_from_world)), rays, xyz)
    return np.where(np.isnan(xyz[..., :1]).swapaxes(1, 2) & np.isfinite(rays[..., 0]), np.inf, distances)


def _misfits(points: FloatArray, labels: FloatArray, group: int) -> FloatArray:
    """Return (F, B) how far the bones within a limb group (F, 6, 3) are from the labels' median lengths."""
    row = {int(joint): index for index, joint in enumerate(LIMBS[group])}
    ends = np.array([(a, b) for a, b in BODY17.edges if a in row and b in row])
    usual = nan_median(np.linalg.norm(labels[:, ends[:, 0]] - labels[:, ends[:, 1]], axis=-1).T)
    parent, child = np.vectorize(row.__getitem__)(ends).T
    lengths = np.linalg.norm(points[:, parent] - points[:, child], axis=-1)
    return np.asarray((lengths / usual - 1.0) / _OTHER_LENGTH)


def _saturated(ratio: FloatArray) -> FloatArray:
    """Return Geman and McClure's cost, in [0, 1]; 0 for NaN."""
    return geman_mcclure_cost(np.square(np.where(np.isnan(ratio), 0.0, ratio)))
