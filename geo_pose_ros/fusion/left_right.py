"""Repair of left-right swaps: detectors that see a person from behind often exchange the sides of arms or legs.

The views of one body vote: where a view disagrees about a limb group, its labels are exchanged on trial, the body is
triangulated again, and the exchange is kept if all views then agree much better. All bodies at once.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

from ..geometry.triangulation import reprojection_residuals
from ..skeleton import FloatArray, Skeleton
from ..types import IntArray
from .solver import Solution

# Flip pairs (left, right) of one limb group.
FlipGroup = tuple[tuple[int, int], ...]
# Keypoints (C, B, J, 2) and confidence (C, B, J) to the triangulated bodies.
Triangulate = Callable[[FloatArray, FloatArray], Solution]

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

_LIMBS: tuple[tuple[str, ...], ...] = (('hip', 'knee', 'ankle'), ('shoulder', 'elbow', 'wrist'))


@cache
def limb_groups(skeleton: Skeleton) -> tuple[FlipGroup, ...]:
    """Return the flip pairs (left, right) of the legs and of the arms; groups swap as a whole."""
    groups = []
    for limbs in _LIMBS:
        pairs = [(a, b) for a, b in skeleton.flip_pairs if skeleton.joint_names[a].endswith(limbs)]
        groups.append(tuple(pairs))
    return tuple(group for group in groups if group)


@cache
def _membership(skeleton: Skeleton) -> IntArray:
    """Return (J, groups): 1 for the joints of each limb group."""
    groups = limb_groups(skeleton)
    member = np.zeros((len(skeleton), len(groups)), np.int64)
    for index, group in enumerate(groups):
        member[np.ravel(group), index] = 1
    return member


def suspects(
    cam_from_world: FloatArray,
    focal_px: FloatArray,
    xn: FloatArray,
    weights: FloatArray,
    solution: Solution,
    skeleton: Skeleton,
    robust_sigmas: float,
) -> IntArray:
    """Return the indices of bodies that have a view whose mirrored labels of a limb group fit better than its own.

    A suspicion only, and cheap: a swapped view also drags the joints towards itself.

    Args:
        cam_from_world: (C, 3, 4).
        focal_px: (C,).
        xn: (C, B, J, 2) keypoints that ``solution`` was made from, NaN = not seen.
        weights: (C, B, J) 1 / standard deviation, 1/px, 0 = not used.
        solution: B bodies.
        skeleton: J joints.
        robust_sigmas: residual, in standard deviations, at which a view counts a quarter.
    """
    used = weights > 0.0
    disagree = used & ~solution.support
    many = (disagree @ _membership(skeleton) >= _SUSPECT_JOINTS).transpose(2, 0, 1)
    suspicious = many.any((0, 1))
    if not suspicious.any():
        return np.zeros(0, np.int64)
    bodies = np.flatnonzero(suspicious & (used.any(-1).sum(0) >= _LEAST_VIEWS))
    if not len(bodies):
        return bodies
    groups = [np.ravel(group) for group in limb_groups(skeleton)]
    mirrored = xn[:, bodies]
    for group in limb_groups(skeleton):
        left, right = np.array(group).T
        mirrored[:, :, left], mirrored[:, :, right] = mirrored[:, :, right], mirrored[:, :, left]
    points = solution.xyz[bodies]
    flat = mirrored.reshape(len(xn), -1, 2), points.reshape(-1, 3)
    distance = reprojection_residuals(cam_from_world, focal_px, *flat).reshape(mirrored.shape[:-1])
    costs = [
        np.stack([_cost(residual, weights[:, bodies] / robust_sigmas)[..., group].sum(-1) for group in groups])
        for residual in (solution.residual_px[:, bodies], distance)
    ]
    return bodies[(many[:, :, bodies] & (costs[1] < _SUSPICION * costs[0])).any((0, 1))]


def _cost(residual_px: FloatArray, sharpness: FloatArray) -> FloatArray:
    """Return Geman and McClure's cost in [0, 1]; 0 where there is no residual."""
    squared = np.where(np.isnan(residual_px), 0.0, (residual_px * sharpness) ** 2)
    # Behind a camera the residual is infinite and the cost 1.
    return np.where(np.isinf(squared), 1.0, squared / (1.0 + np.where(np.isinf(squared), 0.0, squared)))


def repair_sides(
    xn: FloatArray, confidence: FloatArray, skeleton: Skeleton, triangulate: Triangulate
) -> IntArray:
    """Exchange, in place, the sides of limbs that views confuse; return (B,) the exchanges per body.

    Args:
        xn: (C, B, J, 2) keypoints, NaN = not seen.
        confidence: (C, B, J), 0 = not used.
        skeleton: J joints.
        triangulate: robust triangulation of such arrays.
    """
    swaps = np.zeros(xn.shape[1], np.int64)
    active = np.arange(xn.shape[1])
    solution = triangulate(xn, confidence)
    groups = [np.ravel(group) for group in limb_groups(skeleton)]
    while len(active):
        cost = _limb_cost(solution, confidence[:, active], groups)
        group, view = np.divmod(cost.reshape(-1, len(active)).argmax(0), len(xn))
        rows = np.arange(len(active))
        tried_xn, tried_confidence = xn[:, active], confidence[:, active]
        for index, pairs in enumerate(limb_groups(skeleton)):
            chosen = rows[group == index]
            _exchange(tried_xn, view[chosen], chosen, pairs)
            _exchange(tried_confidence, view[chosen], chosen, pairs)
        tried = triangulate(tried_xn, tried_confidence)
        before = cost.sum(1)[group, rows]
        after = _limb_cost(tried, tried_confidence, groups).sum(1)[group, rows]
        better = after < _SWAP_GAIN * before
        kept = active[better]
        xn[:, kept], confidence[:, kept] = tried_xn[:, better], tried_confidence[:, better]
        swaps[kept] += 1
        goes_on = better & (swaps[active] < _MOST_SWAPS)
        active, solution = active[goes_on], tried.select(goes_on)
    return swaps


def _limb_cost(solution: Solution, confidence: FloatArray, groups: list[IntArray]) -> FloatArray:
    """Return (groups, C, B): Geman and McClure's cost, in [0, 1] per joint, summed over the limb group's joints."""
    # Joints that no two views agree on have trust 0 in all views, the highest cost.
    cost = np.where(confidence > 0.0, 1.0 - np.sqrt(solution.trust), 0.0)
    return np.stack([cost[..., group].sum(-1) for group in groups])


def _exchange(values: FloatArray, views: IntArray, bodies: IntArray, group: FlipGroup) -> None:
    """Exchange, in place, the left and right joints of ``group`` in ``values`` (C, B, J, ...) at (views, bodies)."""
    left, right = np.array(group).T
    to, source = np.concatenate([left, right]), np.concatenate([right, left])
    values[views[:, None], bodies[:, None], to] = values[views[:, None], bodies[:, None], source]
