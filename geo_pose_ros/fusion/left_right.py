"""Repair of left-right swaps: detectors that see a person from behind often exchange the sides of arms or legs.

The views of one body vote: where a view disagrees about a limb group, its labels are exchanged on trial, the body is
triangulated again, and the exchange is kept if all views then agree much better. All bodies at once.

Often the vote is a tie: of four views two look at the limbs from the side, where left and right are one, and the others
contradict each other. Where the body was expected decides a tie, and nothing else: a track that has its sides exchanged
would never be put right.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ..arrays import FloatArray, IntArray
from ..geometry.triangulation import reprojection_residuals
from ..skeleton import Skeleton, mirror_of
from .solver import Solution

# Flip pairs (left, right) of one limb group.
FlipGroup = tuple[tuple[int, int], ...]
# Keypoints (C, B', J, 2) and confidence (C, B', J) of the bodies (B',) to these bodies, triangulated.
Triangulate = Callable[[FloatArray, FloatArray, IntArray], Solution]

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
# A view has a limb group's sides as expected, or exchanged, if the other way is this many times as far off.
_CLEARLY = 2.0
# What is expected decides unless the views then agree less, by a keypoint's cost.
_TIE = 0.5

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
def _joints(skeleton: Skeleton) -> IntArray:
    """Return (groups, 6) the joints of each limb group."""
    return np.array([np.ravel(group) for group in limb_groups(skeleton)])


@cache
def _membership(skeleton: Skeleton) -> IntArray:
    """Return (J, groups): 1 for the joints of each limb group."""
    groups = limb_groups(skeleton)
    member = np.zeros((len(skeleton), len(groups)), np.int64)
    for index, group in enumerate(groups):
        member[np.ravel(group), index] = 1
    return member


def contradicted(weights: FloatArray, solution: Solution, skeleton: Skeleton) -> NDArray[np.bool_]:
    """Return (groups, C, B) the views in which most joints of a limb group disagree with the body.

    Args:
        weights: (C, B, J) 0 = not used.
        solution: B bodies.
        skeleton: J joints.
    """
    disagree = (weights > 0.0) & ~solution.support
    return np.asarray((disagree @ _membership(skeleton) >= _SUSPECT_JOINTS).transpose(2, 0, 1))


def suspects(
    cam_from_world: FloatArray,
    focal_px: FloatArray,
    xn: FloatArray,
    weights: FloatArray,
    solution: Solution,
    skeleton: Skeleton,
    robust_sigmas: float,
    contradictions: NDArray[np.bool_],
    unexpected: NDArray[np.bool_] | None = None,
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
        contradictions: (groups, C, B) from ``contradicted``.
        unexpected: (groups, C, B) from ``unexpected_sides``, or None.
    """
    suspicious = np.asarray(contradictions.any((0, 1)))
    surprising = np.asarray((np.zeros_like(contradictions) if unexpected is None else unexpected).any((0, 1)))
    bodies = np.flatnonzero(suspicious & ~surprising & ((weights > 0.0).any(-1).sum(0) >= _LEAST_VIEWS))
    if not len(bodies):
        return np.flatnonzero(surprising)
    groups = _joints(skeleton)
    mirrored = xn[:, bodies][..., mirror_of(skeleton), :]
    points = solution.xyz[bodies]
    flat = mirrored.reshape(len(xn), -1, 2), points.reshape(-1, 3)
    distance = reprojection_residuals(cam_from_world, focal_px, *flat).reshape(mirrored.shape[:-1])
    costs = [
        np.stack([_cost(residual, weights[:, bodies] / robust_sigmas)[..., group].sum(-1) for group in groups])
        for residual in (solution.residual_px[:, bodies], distance)
    ]
    fitting = (contradictions[:, :, bodies] & (costs[1] < _SUSPICION * costs[0])).any((0, 1))
    return np.union1d(bodies[fitting], np.flatnonzero(surprising))


def unexpected_sides(
    cam_from_world: FloatArray, xn: FloatArray, expected: FloatArray, displacement: FloatArray | None,
    skeleton: Skeleton, sure: NDArray[np.bool_] | None = None,
) -> NDArray[np.bool_]:
    """Return (groups, C, B) the views in which a limb group's sides are not as expected, where that is no majority.

    Nor is a lone view where what is expected is ``sure``: several views have just seen the body.

    Args:
        cam_from_world: (C, 3, 4).
        xn: (C, B, J, 2) keypoints, NaN = not seen.
        expected: (B, J, 3) m, NaN = unknown.
        displacement: (C, B, J, 3) m, from ``expected`` to where the joint was when the view was taken; None for none.
        skeleton: J joints.
        sure: (B,), None for nobody.
    """
    there = expected[None] if displacement is None else expected + displacement
    local = there @ np.swapaxes(cam_from_world[:, None, :, :3], -1, -2) + cam_from_world[:, None, None, :, 3]
    with np.errstate(divide='ignore', invalid='ignore'):
        image = np.where(local[..., 2:] > 0.0, local[..., :2] / local[..., 2:], np.nan)
    off = np.stack([xn, xn[..., mirror_of(skeleton), :]]) - image
    own, other = _middle(np.sqrt((off * off).sum(-1))[..., _joints(skeleton)]).transpose(0, 3, 1, 2)
    exchanged, straight = _CLEARLY * other < own, _CLEARLY * own < other
    most = straight.sum(1)
    if sure is not None:
        most = np.maximum(most, sure & (np.isfinite(xn[..., 0]).any(-1).sum(0) == 1))
    return np.asarray(exchanged & (exchanged.sum(1) <= most)[:, None])


def _middle(distance: FloatArray) -> FloatArray:
    """Return the lower median of ``distance`` (..., N) but NaN, NaN where there is none."""
    # NaN sorts last.
    ranked = np.sort(distance, -1)
    count = (~np.isnan(ranked)).sum(-1)
    middle: FloatArray = np.take_along_axis(ranked, np.maximum((count - 1) // 2, 0)[..., None], -1)[..., 0]
    return middle


def _cost(residual_px: FloatArray, sharpness: FloatArray) -> FloatArray:
    """Return Geman and McClure's cost in [0, 1]; 0 where there is no residual."""
    squared = np.where(np.isnan(residual_px), 0.0, (residual_px * sharpness) ** 2)
    # Behind a camera the residual is infinite and the cost 1.
    return np.where(np.isinf(squared), 1.0, squared / (1.0 + np.where(np.isinf(squared), 0.0, squared)))


def repair_sides(
    xn: FloatArray, confidence: FloatArray, skeleton: Skeleton, triangulate: Triangulate,
    unexpected: NDArray[np.bool_] | None = None,
) -> IntArray:
    """Exchange, in place, the sides of limbs that views confuse; return (B,) the exchanges per body.

    Args:
        xn: (C, B, J, 2) keypoints, NaN = not seen.
        confidence: (C, B, J), 0 = not used.
        skeleton: J joints.
        triangulate: robust triangulation of such arrays.
        unexpected: (groups, C, B) from ``unexpected_sides``: exchanges to try first, or None.
    """
    everybody = np.arange(xn.shape[1])
    swaps = np.zeros(len(everybody), np.int64)
    active, solution = everybody, triangulate(xn, confidence, everybody)
    groups = _joints(skeleton)
    if unexpected is not None:
        tried_xn, tried_confidence = exchanged(xn, confidence, unexpected, skeleton)
        tried = triangulate(tried_xn, tried_confidence, everybody)
        before = _limb_cost(solution, confidence, groups).sum((0, 1))
        better = _limb_cost(tried, tried_confidence, groups).sum((0, 1)) <= before + _TIE
        xn[:, better], confidence[:, better] = tried_xn[:, better], tried_confidence[:, better]
        swaps[better] += unexpected[..., better].sum((0, 1))
        solution.replace(np.flatnonzero(better), tried.select(better))
    while len(active):
        cost = _limb_cost(solution, confidence[:, active], groups)
        group, view = np.divmod(cost.reshape(-1, len(active)).argmax(0), len(xn))
        rows = np.arange(len(active))
        chosen = np.zeros(cost.shape, bool)
        chosen[group, view, rows] = True
        tried_xn, tried_confidence = exchanged(xn[:, active], confidence[:, active], chosen, skeleton)
        tried = triangulate(tried_xn, tried_confidence, active)
        limb_before = cost.sum(1)[group, rows]
        limb_after = _limb_cost(tried, tried_confidence, groups).sum(1)[group, rows]
        better = limb_after < _SWAP_GAIN * limb_before
        kept = active[better]
        xn[:, kept], confidence[:, kept] = tried_xn[:, better], tried_confidence[:, better]
        swaps[kept] += 1
        goes_on = better & (swaps[active] < _MOST_SWAPS)
        active, solution = active[goes_on], tried.select(goes_on)
    return swaps


def _limb_cost(solution: Solution, confidence: FloatArray, groups: IntArray) -> FloatArray:
    """Return (groups, C, B): Geman and McClure's cost, in [0, 1] per joint, summed over the limb group's joints."""
    # Joints that no two views agree on have trust 0 in all views, the highest cost.
    cost = np.where(confidence > 0.0, 1.0 - np.sqrt(solution.trust), 0.0)
    return np.stack([cost[..., group].sum(-1) for group in groups])


def exchanged(
    xn: FloatArray, confidence: FloatArray, chosen: NDArray[np.bool_], skeleton: Skeleton
) -> tuple[FloatArray, FloatArray]:
    """Return ``xn`` (C, B, J, 2) and ``confidence`` (C, B, J), sides exchanged where ``chosen`` (groups, C, B)."""
    xn, confidence = xn.copy(), confidence.copy()
    for group, pairs in zip(chosen, limb_groups(skeleton), strict=True):
        view, body = np.nonzero(group)
        left, right = np.array(pairs).T
        to, source = np.concatenate([left, right]), np.concatenate([right, left])
        for values in (xn, confidence):
            values[view[:, None], body[:, None], to] = values[view[:, None], body[:, None], source]
    return xn, confidence
