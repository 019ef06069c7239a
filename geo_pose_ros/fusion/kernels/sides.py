# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Left-right swaps of detectors: where to suspect them, and which exchanges make the views agree (``left_right``)."""

from __future__ import annotations

import math

import numpy as np

from ...compiled import Bool1D, Bool3D, Float1D, Float2D, Float3D, Int1D, helper, kernel
from ...geometry.kernels import insert_sorted
from ...skeleton import BODY17, mirror_of
from .covariance import UNKNOWN_DEPTH_M, count_inliers
from .equations import find_residuals, read_views
from .solver import Room, make_room, solve_alone
from .tables import Keypoints, Model, Solution

# A view is suspect if so many joints of a limb group of six disagree with the body.
_SUSPECT_JOINTS = 3
# ... and the mirrored labels cost at most this part of its own.
_SUSPICION = 0.8
# An exchange must lower the limb's cost over all views to this part.
_SWAP_GAIN = 0.6
# Legs and arms of at most two views; more means that the views disagree for another reason.
_MOST_SWAPS = 4
# Two views cannot outvote each other.
_LEAST_VIEWS = 3
# A view has a limb group's sides as predicted, or exchanged, if the other way is this many times as far off.
_CLEARLY = 2.0
# The prediction decides unless the views then agree less, by a keypoint's cost.
_TIE = 0.5

# (groups, 3, 2) the flip pairs (left, right) of body17's legs and of its arms; a group's sides are exchanged together.
LIMB_PAIRS = np.array([
    [pair for pair in BODY17.flip_pairs if BODY17.joint_names[pair[0]].endswith(names)]
    for names in (('hip', 'knee', 'ankle'), ('shoulder', 'elbow', 'wrist'))
])
# (groups, 6) the joints of each group; (J,) each joint's mirror image.
LIMBS = LIMB_PAIRS.reshape(len(LIMB_PAIRS), -1)
MIRROR = np.array(mirror_of(BODY17))


@kernel('against')
def find_sides_against(given: Keypoints, predicted: Float3D, sure: Bool1D, against: Bool3D) -> None:
    """Write the views (groups, C, B) whose sides are not as ``predicted``; ``left_right.Sides.against``."""
    cameras, bodies, joints = given.weights.shape
    ratio, moved = np.empty(cameras), np.zeros((joints, 3))
    for b in range(bodies):
        alone = sure[b] and _count_views(given.xn[:, b]) == 1
        for g in range(len(LIMBS)):
            straight, exchanged = 1 if alone else 0, 0
            for c in range(cameras):
                if given.displacement.shape[1]:
                    moved = given.displacement[c, b]
                ratio[c] = _mirrored_over_own(given.cam_from_world[c], given.xn[c, b], predicted[b], moved, g)
                straight += 1 if ratio[c] > _CLEARLY and not alone else 0
                exchanged += 1 if ratio[c] < 1.0 / _CLEARLY else 0
            for c in range(cameras):
                against[g, c, b] = ratio[c] < 1.0 / _CLEARLY and exchanged <= straight


@helper
def _count_views(xn: Float3D) -> int:
    """Return how many views (C, J, 2) show a joint."""
    count = 0
    for c in range(len(xn)):
        for j in range(xn.shape[1]):
            if math.isfinite(xn[c, j, 0]):
                count += 1
                break
    return count


@helper
def _mirrored_over_own(P: Float2D, xn: Float2D, predicted: Float2D, moved: Float2D, g: int) -> float:
    """Return how much nearer a view's mirrored labels are to the prediction than its own: a ratio of lower medians."""
    own, other, n, m = np.empty(LIMBS.shape[1]), np.empty(LIMBS.shape[1]), 0, 0
    for j in LIMBS[g]:
        X, Y, Z = predicted[j, 0] + moved[j, 0], predicted[j, 1] + moved[j, 1], predicted[j, 2] + moved[j, 2]
        z = P[2, 0] * X + P[2, 1] * Y + P[2, 2] * Z + P[2, 3]
        if not z > 0.0:
            continue
        over = 1.0 / z
        x = (P[0, 0] * X + P[0, 1] * Y + P[0, 2] * Z + P[0, 3]) * over
        y = (P[1, 0] * X + P[1, 1] * Y + P[1, 2] * Z + P[1, 3]) * over
        n = insert_sorted(own, n, (xn[j, 0] - x) ** 2 + (xn[j, 1] - y) ** 2)
        m = insert_sorted(other, m, (xn[MIRROR[j], 0] - x) ** 2 + (xn[MIRROR[j], 1] - y) ** 2)
    return math.sqrt(other[(m - 1) // 2] / own[(n - 1) // 2]) if n and m else np.nan


@kernel('suspects')
def find_suspects(given: Keypoints, solved: Solution, robust_sigmas: float, suspects: Bool1D) -> None:
    """Write which bodies (B,) a view may show with exchanged sides: a suspicion only, and cheap.

    Most joints of a limb group are outliers in a view, and fit better with mirrored labels; a swapped view also drags
    the joints towards itself.
    """
    cameras, bodies, _ = given.weights.shape
    for b in range(bodies):
        seen, found = 0, False
        for c in range(cameras):
            seen += given.weights[c, b].any()
        for c in range(cameras):
            for g in range(len(LIMBS)):
                outliers = 0
                for j in LIMBS[g]:
                    outliers += given.weights[c, b, j] > 0.0 and not solved.inlier[c, b, j]
                if seen >= _LEAST_VIEWS and outliers >= _SUSPECT_JOINTS and not found:
                    found = _is_better_mirrored(given, solved, robust_sigmas, c, b, g)
        suspects[b] = found


@helper
def _is_better_mirrored(given: Keypoints, solved: Solution, robust_sigmas: float, c: int, b: int, g: int) -> bool:
    """Return whether a view's mirrored labels cost less than its own, by Geman and McClure's cost."""
    P, own, other = given.cam_from_world[c], 0.0, 0.0
    for j in LIMBS[g]:
        sharpness = given.weights[c, b, j] / robust_sigmas
        if not sharpness > 0.0:
            continue
        X, Y, Z = solved.xyz[b, j, 0], solved.xyz[b, j, 1], solved.xyz[b, j, 2]
        z = P[2, 0] * X + P[2, 1] * Y + P[2, 2] * Z + P[2, 3]
        u = (P[0, 0] * X + P[0, 1] * Y + P[0, 2] * Z + P[0, 3]) / z - given.xn[c, b, MIRROR[j], 0]
        v = (P[1, 0] * X + P[1, 1] * Y + P[1, 2] * Z + P[1, 3]) / z - given.xn[c, b, MIRROR[j], 1]
        squared = (u * u + v * v) * (given.focal_px[c] * sharpness) ** 2
        if math.isfinite(squared):
            other += 1.0 - 1.0 / (1.0 + squared) if z > 0.0 else 1.0
        squared = (solved.residual_px[c, b, j] * sharpness) ** 2
        if math.isfinite(squared):
            own += 1.0 - 1.0 / (1.0 + squared)
    return other < _SUSPICION * own


@kernel('confidence', 'exchanged')
def repair_sides(
    given: Keypoints, confidence: Float3D, against: Bool3D, rows: Int1D, model: Model, exchanged: Bool3D
) -> None:
    """Exchange the sides of limbs in the views of the bodies ``rows`` (N,) that confuse them; note it in ``exchanged``.

    Each trial is triangulated anew, its limb group alone, and kept if all views then agree much better.

    Args:
        given, confidence: (C, B, J) of B bodies; they change.
        against: (groups, C, B) exchanges to try first.
        rows: of the bodies.
        model: settings.
        exchanged: (groups, C, B) whether the sides are exchanged now.
    """
    cameras, groups = len(confidence), len(LIMBS)
    room, cost, after = make_room(cameras, LIMBS.shape[1]), np.empty((groups, cameras)), np.empty((groups, cameras))
    for b in rows:
        swaps = 0
        for g in range(groups):
            _find_cost(given, confidence, model, b, g, room, cost[g])
        if against[:, :, b].any():
            after[:] = cost
            for g in range(groups):
                if against[g, :, b].any():
                    _exchange_all(given, confidence, against[g, :, b], b, g)
                    _find_cost(given, confidence, model, b, g, room, after[g])
            if after.sum() <= cost.sum() + _TIE:
                swaps += against[:, :, b].sum()
                cost[:] = after
                exchanged[:, :, b] = against[:, :, b]
            else:
                for g in range(groups):
                    _exchange_all(given, confidence, against[g, :, b], b, g)
        better = True
        while better:
            g, c = divmod(int(cost.argmax()), cameras)
            _exchange(given, confidence, c, b, g)
            _find_cost(given, confidence, model, b, g, room, after[g])
            better = after[g].sum() < _SWAP_GAIN * cost[g].sum()
            if better:
                swaps += 1
                cost[g] = after[g]
                exchanged[g, c, b] = not exchanged[g, c, b]
                better = swaps < _MOST_SWAPS
            else:
                _exchange(given, confidence, c, b, g)


@helper
def _find_cost(given: Keypoints, confidence: Float3D, model: Model, b: int, g: int, room: Room, cost: Float1D) -> None:
    """Write Geman and McClure's cost (C,), in [0, 1] a joint, of a limb group of body ``b``, triangulated anew.

    Joints that no two views agree on cost most in all views.
    """
    views, limb = room.views, LIMBS[g]
    seen = read_views(given, b, limb, views)
    views.depth[:] = UNKNOWN_DEPTH_M
    solve_alone(given, model, seen, room)
    find_residuals(given, views, seen, room.xyz, model.robust_sigmas)
    count_inliers(views, seen, room.inliers, room.against_m)
    cost[:] = 0.0
    for i in range(len(limb)):
        for c in range(len(cost)):
            cost[c] += 1.0 if confidence[c, b, limb[i]] > 0.0 else 0.0
        if room.inliers[i] >= 2 and math.isfinite(room.covariance[i, 0]):
            for k in range(seen):
                if views.weight2[k, i] > 0.0 and confidence[views.camera[k], b, limb[i]] > 0.0:
                    cost[views.camera[k]] -= math.sqrt(views.weight[k, i])


@helper
def _exchange_all(given: Keypoints, confidence: Float3D, chosen: Bool1D, b: int, g: int) -> None:
    """Exchange the sides of a limb group of body ``b`` in the ``chosen`` (C,) views."""
    for c in range(len(chosen)):
        if chosen[c]:
            _exchange(given, confidence, c, b, g)


@helper
def _exchange(given: Keypoints, confidence: Float3D, c: int, b: int, g: int) -> None:
    """Exchange the sides of a limb group of body ``b`` in view ``c``."""
    for i in range(LIMB_PAIRS.shape[1]):
        x, y = LIMB_PAIRS[g, i, 0], LIMB_PAIRS[g, i, 1]
        for k in range(2):
            given.xn[c, b, x, k], given.xn[c, b, y, k] = given.xn[c, b, y, k], given.xn[c, b, x, k]
            if given.depth.shape[1]:
                depth = given.depth[c, b]
                depth[x, k], depth[y, k] = depth[y, k], depth[x, k]
        for of in (given.weights, confidence):
            of[c, b, x], of[c, b, y] = of[c, b, y], of[c, b, x]
