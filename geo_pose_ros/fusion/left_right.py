"""Repair of left-right swaps: detectors that see a person from behind often exchange the sides of arms or legs.

The views of one body vote: where a view disagrees about a limb group, its labels are exchanged on trial, the body is
triangulated again, and the exchange is kept if all views then agree much better. All bodies at once.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ..skeleton import FloatArray, Skeleton
from .solver import Solution

# Flip pairs (left, right) of one limb group.
FlipGroup = tuple[tuple[int, int], ...]
# Keypoints (C, B, J, 2) and confidence (C, B, J) to the triangulated bodies.
Triangulate = Callable[[FloatArray, FloatArray], Solution]

# A view is suspect if so many joints of a limb group of six disagree with the body.
_SUSPECT_JOINTS = 3
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


def suspects(solution: Solution, confidence: FloatArray, skeleton: Skeleton) -> NDArray[np.bool_]:
    """Return (B,) which bodies of ``solution`` have a view that may have its sides exchanged.

    Args:
        solution: B bodies from C views.
        confidence: (C, B, J) of the keypoints they were made from, 0 = not used.
        skeleton: J joints.
    """
    used = confidence > 0.0
    disagree = used & ~solution.support
    found = np.zeros(confidence.shape[1], bool)
    for group in limb_groups(skeleton):
        found |= (disagree[..., np.ravel(group)].sum(-1) >= _SUSPECT_JOINTS).any(0)
    return np.asarray(found & (used.any(-1).sum(0) >= _LEAST_VIEWS))


def repair_sides(
    xn: FloatArray, confidence: FloatArray, skeleton: Skeleton, triangulate: Triangulate
) -> NDArray[np.int64]:
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


def _limb_cost(solution: Solution, confidence: FloatArray, groups: list[NDArray[np.int64]]) -> FloatArray:
    """Return (groups, C, B): Geman and McClure's cost, in [0, 1] per joint, summed over the limb group's joints."""
    # Joints that no two views agree on have trust 0 in all views, the highest cost.
    cost = np.where(confidence > 0.0, 1.0 - np.sqrt(solution.trust), 0.0)
    return np.stack([cost[..., group].sum(-1) for group in groups])


def _exchange(values: FloatArray, views: NDArray[np.int64], bodies: NDArray[np.int64], group: FlipGroup) -> None:
    """Exchange, in place, the left and right joints of ``group`` in ``values`` (C, B, J, ...) at (views, bodies)."""
    left, right = np.array(group).T
    to, source = np.concatenate([left, right]), np.concatenate([right, left])
    values[views[:, None], bodies[:, None], to] = values[views[:, None], bodies[:, None], source]
