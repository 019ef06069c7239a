"""Bone lengths of tracked bodies: what a set says of them, and what is known; ``bones`` says why."""

from __future__ import annotations

import math

import numpy as np

from ...compiled import Float2D, Float3D, Float4D, helper, kernel
from ...skeleton import BODY17

# Errors of successive sets are alike: a detector puts a joint too low for seconds. So many sets count as one.
ALIKE_SETS = 10.0
# Share of what is known that a set keeps: a length is a mean over some 200 sets.
_KEPT = 0.995
# ... and after a set whose lengths are another person's, as an id may pass from one to another where they meet. Squared
# differences over their variance are 0.2 on average and rarely above 0.4; of a person 12 % smaller, 1.2.
_KEPT_BY_SURPRISED = 0.7
_SURPRISED = 0.8
# Relative standard deviation that lengths may have from set to set without surprise.
_SPREAD = 0.02
# Joints this close to each other have no direction, m.
_SHORT_M = 1e-3

_PARENT, _CHILD = np.array(BODY17.edges).T.copy()


@kernel('length', 'variance')
def write_lengths(sums: Float3D, length: Float2D, variance: Float2D) -> None:
    """Write the lengths (B, E) m, 0 = unknown, and their variances, m^2, inf = unknown.

    ``sums`` (B, 2, E): of each bone the sum of its lengths weighted by their information, 1/m, and the information,
    1/m^2.
    """
    for b in range(sums.shape[0]):
        for e in range(sums.shape[2]):
            known = sums[b, 1, e] > 0.0
            length[b, e] = sums[b, 0, e] / sums[b, 1, e] if known else 0.0
            variance[b, e] = ALIKE_SETS / sums[b, 1, e] if known else np.inf


@kernel('sums')
def learn_lengths(xyz: Float3D, covariance: Float4D, sums: Float3D) -> None:
    """Add what a set says of B bodies to their ``sums`` (B, 2, E); see ``write_lengths``.

    Args:
        xyz: (B, J, 3) m, NaN = unknown.
        covariance: (B, J, 3, 3) m^2.
        sums: 0 of bodies of which nothing is known.
    """
    bones = len(_PARENT)
    length, information = np.empty(bones), np.empty(bones)
    for b in range(len(xyz)):
        surprise, count, any_known = 0.0, 0, False
        for e in range(bones):
            length[e], information[e] = _measure_bone(xyz[b], covariance[b], e)
            any_known |= information[e] > 0.0
            if information[e] > 0.0 and sums[b, 1, e] > 0.0:
                known = sums[b, 0, e] / sums[b, 1, e]
                variance = ALIKE_SETS / sums[b, 1, e] + (_SPREAD * known) ** 2 + 1.0 / information[e]
                surprise += (length[e] - known) ** 2 / variance
                count += 1
        if not any_known:
            continue
        kept = _KEPT if surprise <= _SURPRISED * max(count, 1) else _KEPT_BY_SURPRISED
        for e in range(bones):
            sums[b, 0, e] = kept * sums[b, 0, e] + length[e] * information[e]
            sums[b, 1, e] = kept * sums[b, 1, e] + information[e]


@helper
def bone_vector(xyz: Float2D, e: int) -> tuple[float, float, float]:
    """Return the vector, m, of bone ``e`` of joints (J, 3); NaN where an end is unknown."""
    parent, child = xyz[_PARENT[e]], xyz[_CHILD[e]]
    return child[0] - parent[0], child[1] - parent[1], child[2] - parent[2]


@helper
def _measure_bone(xyz: Float2D, covariance: Float3D, e: int) -> tuple[float, float]:
    """Return a bone's length, m, and its information, 1/m^2; 0 and 0 where it is unknown."""
    d = bone_vector(xyz, e)
    along, one, other = 0.0, covariance[_PARENT[e]], covariance[_CHILD[e]]
    for r in range(3):
        for k in range(3):
            along += d[r] * (one[r, k] + other[r, k]) * d[k]
    square = d[0] * d[0] + d[1] * d[1] + d[2] * d[2]
    # NaN is not greater.
    if square > _SHORT_M**2 and along > 0.0:
        return math.sqrt(square), square / along
    return 0.0, 0.0
