# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The joints of bodies: maximum a-posteriori over reprojections, lifted poses and bones; docs/fusion.md derives it."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ...compiled import Float1D, Float2D, Int1D, helper, kernel
from .algebra import fill_square, times
from .covariance import (
    INLIER_WEIGHT,
    UNKNOWN_DEPTH_M,
    contradicted_variance,
    count_inliers,
    count_shared,
    keypoint_part,
)
from .equations import (
    NEAR_M,
    ViewEquations,
    fill_pulls,
    find_residuals,
    has_depth,
    make_views,
    read_views,
    sum_equations,
    triangulate,
)
from .lifted import SHARED, Gaussian, read_prior
from .tables import Keypoints, Model, Prior, Solution
from .tree import PARENT, add_low_rank, make_tree, read_bones, solve_tree

# The cache of compiled code depends on constants that this module imports.
__all__ = ['PARENT', 'solve_bodies']


class Room(NamedTuple):
    """Room for one body: its views, and its joints.

    Attributes:
        equations: (J, 9) normal equations of the keypoints.
        xyz: (3, J) m.
        covariance, random: (J, 6) m^2.
        inliers, against_m: (J,) and (J,) m of ``count_inliers``.
    """

    views: ViewEquations
    equations: Float2D
    xyz: Float2D
    covariance: Float2D
    random: Float2D
    inliers: Int1D
    against_m: Float1D


@helper
def make_room(cameras: int, joints: int) -> Room:
    """Return room for a body in C views."""
    return Room(
        make_views(cameras, joints), np.empty((joints, 9)), np.empty((3, joints)), np.empty((joints, 6)),
        np.empty((joints, 6)), np.empty(joints, np.int64), np.empty(joints),
    )


@kernel()
def solve_bodies(given: Keypoints, prior: Prior, model: Model, rows: Int1D, solved: Solution) -> None:
    """Write the joints of the bodies ``rows`` (N,); ``solver.solve`` says what.

    Args:
        given: of B bodies.
        prior: of the N bodies, in their order.
        model: settings and noise.
        rows: of the bodies.
        solved: of B bodies.
    """
    cameras, _, joints = given.weights.shape
    room, every = make_room(cameras, joints), np.arange(joints)
    for n in range(len(rows)):
        b, lifted = rows[n], 0
        seen = read_views(given, b, every, room.views)
        begin(given, prior, n, seen, room.views)
        if prior.couples:
            lifted = _solve_jointly(given, prior, model, n, seen, room)
        else:
            solve_alone(given, model, seen, room)
            _count_shared_each(given, model, seen, room)
        # What persists is not random.
        room.random[:] *= 1.0 - model.persistent
        find_residuals(given, room.views, seen, room.xyz, model.robust_sigmas)
        count_inliers(room.views, seen, room.inliers, room.against_m)
        _write(given, b, seen, room, solved, lifted > 0)
        if prior.couples:
            # The views alone, at the same robust weights.
            sum_equations(given, room.views, seen, room.equations)
            triangulate(room.equations, room.xyz, room.covariance)
            _write_seen(b, room, solved)
        else:
            solved.seen_xyz[b], solved.seen_covariance[b] = solved.xyz[b], solved.covariance[b]


@helper
def begin(given: Keypoints, prior: Prior, n: int, seen: int, views: ViewEquations) -> None:
    """Write the depths at which body ``n`` is taken to be before the first step: of its centre, or its lifted roots."""
    at = np.full(3, np.nan)
    for r in range(3):
        if len(prior.centre):
            at[r] = prior.centre[n, r]
        if not math.isfinite(at[r]):
            total, count = 0.0, 0
            for v in range(len(prior.root)):
                if math.isfinite(prior.root[v, n, r]):
                    total += prior.root[v, n, r]
                    count += 1
            at[r] = total / count if count else np.nan
    for k in range(seen):
        P = given.cam_from_world[views.camera[k]]
        z = P[2, 0] * at[0] + P[2, 1] * at[1] + P[2, 2] * at[2] + P[2, 3]
        views.depth[k] = z if z > NEAR_M else UNKNOWN_DEPTH_M


@helper
def solve_alone(given: Keypoints, model: Model, seen: int, room: Room) -> None:
    """Triangulate each joint, robustly; the last step's residuals are still to be found."""
    for step in range(model.iterations):
        if step:
            find_residuals(given, room.views, seen, room.xyz, model.robust_sigmas)
        sum_equations(given, room.views, seen, room.equations)
        triangulate(room.equations, room.xyz, room.covariance)
    room.random[:] = room.covariance


@helper
def _solve_jointly(given: Keypoints, prior: Prior, model: Model, n: int, seen: int, room: Room) -> int:
    """Solve all joints with what couples them, and their covariance; return how many views are lifted.

    The last step has more right-hand sides: what each view shares, and the unit matrix, which gives the covariance.
    """
    known, equations = read_prior(prior, model, n), room.equations
    size, r = known.columns.shape
    shared = 2 * seen if model.shared.any() else 0
    tree, own = make_tree(size // 3, r, 0), np.empty(known.own.shape)
    for step in range(model.iterations):
        last = step == model.iterations - 1
        if step:
            find_residuals(given, room.views, seen, room.xyz, model.robust_sigmas)
        if last:
            tree = make_tree(size // 3, r, shared + size)
            fill_pulls(given, room.views, shared // 2, model.shared, tree.columns, r)
            for i in range(size):
                tree.columns[i, r + shared + i] = 1.0
        # Bones need directions, which the first step finds and the others hardly change.
        if step == 1 or (step and last):
            read_bones(prior, model, n, seen, room.xyz, tree)
        sum_equations(given, room.views, seen, equations)
        _load(known, equations, own, tree.right, tree.columns)
        solve_tree(tree, own, SHARED * known.lifted)
        room.xyz[:] = tree.right.reshape(-1, 3).T
    if r:
        add_low_rank(tree, known.columns, SHARED * known.lifted, r + shared)
    keypoint_part(tree.columns, r + shared, equations, room.covariance, room.random)
    for j in range(size // 3):
        count_shared(tree.columns, 3 * j, r, shared, model.level, room.covariance[j], room.random[j])
    return known.lifted


@helper
def _load(known: Gaussian, equations: Float2D, own: Float2D, right: Float1D, columns: Float2D) -> None:
    """Write what a step solves, a tree's own blocks, right-hand side and columns: a loop here counts no references."""
    for j in range(len(own)):
        for m in range(6):
            own[j, m] = known.own[j, m] + equations[j, m]
        for k in range(3):
            right[3 * j + k] = known.right[3 * j + k] + equations[j, 6 + k]
    for i in range(len(right)):
        for m in range(known.columns.shape[1]):
            columns[i, m] = known.columns[i, m]


@helper
def _count_shared_each(given: Keypoints, model: Model, seen: int, room: Room) -> None:
    """Count in the covariance of joints solved alone what views share."""
    joints = len(room.covariance)
    views = seen if model.shared.any() else 0
    pulls, moved = np.empty((3 * joints, 2 * views)), np.empty((3, 2 * views))
    fill_pulls(given, room.views, views, model.shared, pulls, 0)
    for j in range(joints):
        P, i = room.covariance[j], 3 * j
        for m in range(2 * views):
            moved[0, m], moved[1, m], moved[2, m] = times(P, pulls[i, m], pulls[i + 1, m], pulls[i + 2, m])
        count_shared(moved, 0, 0, 2 * views, model.level, P, room.random[j])


@helper
def _write(given: Keypoints, b: int, seen: int, room: Room, solved: Solution, lifted: bool) -> None:
    """Write the joints of body ``b`` and how its views agree.

    It is unknown without two inliers, one whose depth is measured, or a lifted pose.
    """
    views = room.views
    solved.residual_px[:, b], solved.robust_weight[:, b], solved.inlier[:, b] = np.nan, 0.0, False
    for j in range(len(room.covariance)):
        inliers = room.inliers[j]
        variance = contradicted_variance(inliers, room.against_m[j])
        fill_square(room.random[j], solved.random_covariance[b, j])
        known = inliers >= 2 or lifted or (inliers == 1 and has_depth(views, seen, j))
        if not (known and math.isfinite(room.covariance[j, 0])):
            solved.xyz[b, j], solved.covariance[b, j] = np.nan, np.nan
            continue
        fill_square(room.covariance[j], solved.covariance[b, j])
        for r in range(3):
            solved.xyz[b, j, r] = room.xyz[r, j]
            solved.covariance[b, j, r, r] += variance
        for k in range(seen):
            if views.weight2[k, j] > 0.0:
                c = views.camera[k]
                solved.residual_px[c, b, j] = math.sqrt(views.error2[k, j]) * given.focal_px[c]
                solved.robust_weight[c, b, j] = views.weight[k, j]
                solved.inlier[c, b, j] = views.weight[k, j] >= INLIER_WEIGHT


@helper
def _write_seen(b: int, room: Room, solved: Solution) -> None:
    """Write the joints of body ``b`` from the views alone; unknown without two inliers."""
    for j in range(len(room.covariance)):
        if room.inliers[j] >= 2 and math.isfinite(room.covariance[j, 0]):
            fill_square(room.covariance[j], solved.seen_covariance[b, j])
            for r in range(3):
                solved.seen_xyz[b, j, r] = room.xyz[r, j]
        else:
            solved.seen_xyz[b, j], solved.seen_covariance[b, j] = np.nan, np.nan
