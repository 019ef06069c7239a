# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Bone lengths of tracked bodies: what a set says of them, and what is known; ``bones`` says why."""

from __future__ import annotations

import math

import numpy as np

from ...compiled import Float1D, Float2D, Float3D, Float4D, Int1D, Int2D, helper, kernel
from ...geometry.kernels import quadratic_form

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


@kernel('length', 'variance')
def write_lengths(sums: Float3D, typical: Float1D, rows: Int1D, length: Float2D, variance: Float2D) -> int:
    """Write the lengths (B, E) m, 0 = unknown, and their variances, m^2, inf = unknown; return how many are known.

    ``sums`` (N, 3, E): of each bone the sums of its information, 1/m^2, and of its lengths and their squares weighted
    by it. ``rows`` (B,) of them, -1 for a body of which nothing is known. Noise makes a bone longer: on each axis
    across it adds its variance to the squared length. Of the short bones of hands, which have ``typical`` lengths (E,)
    m, that is taken off: the variance is that of the lengths.
    """
    count = 0
    for b in range(len(rows)):
        for e in range(sums.shape[2]):
            length[b, e], variance[b, e] = 0.0, np.inf
            if rows[b] >= 0 and sums[rows[b], 0, e] > 0.0:
                length[b, e] = sums[rows[b], 1, e] / sums[rows[b], 0, e]
                variance[b, e] = ALIKE_SETS / sums[rows[b], 0, e]
                count += 1
                if typical[e] > 0.0:
                    square = length[b, e] ** 2
                    spread = sums[rows[b], 2, e] / sums[rows[b], 0, e] - square
                    length[b, e] = math.sqrt(max(square - 2.0 * spread, 0.25 * square))
    return count


@kernel('sums')
def learn_lengths(edges: Int2D, xyz: Float3D, covariance: Float4D, rows: Int1D, sums: Float3D) -> None:
    """Add what a set says of B bodies to their ``rows`` (B,) of ``sums`` (N, 3, E); see ``write_lengths``.

    Args:
        edges: (E, 2) parent and child of each bone.
        xyz: (B, J, 3) m, NaN = unknown.
        covariance: (B, J, 3, 3) m^2.
        rows: see above.
        sums: 0 of bodies of which nothing is known.
    """
    bones = len(edges)
    length, information = np.empty(bones), np.empty(bones)
    for b in range(len(xyz)):
        n, surprise, count, any_known = rows[b], 0.0, 0, False
        for e in range(bones):
            length[e], information[e] = _measure_bone(xyz[b], covariance[b], edges[e, 0], edges[e, 1])
            any_known |= information[e] > 0.0
            if information[e] > 0.0 and sums[n, 0, e] > 0.0:
                known = sums[n, 1, e] / sums[n, 0, e]
                variance = ALIKE_SETS / sums[n, 0, e] + (_SPREAD * known) ** 2 + 1.0 / information[e]
                surprise += (length[e] - known) ** 2 / variance
                count += 1
        if not any_known:
            continue
        kept = _KEPT if surprise <= _SURPRISED * max(count, 1) else _KEPT_BY_SURPRISED
        for e in range(bones):
            for power in range(3):
                sums[n, power, e] = kept * sums[n, power, e] + length[e] ** power * information[e]


@helper
def bone_vector(xyz: Float2D, parent: int, child: int) -> tuple[float, float, float]:
    """Return the vector, m, of a bone of joints (J, 3); NaN where an end is unknown."""
    return xyz[child, 0] - xyz[parent, 0], xyz[child, 1] - xyz[parent, 1], xyz[child, 2] - xyz[parent, 2]


@helper
def _measure_bone(xyz: Float2D, covariance: Float3D, parent: int, child: int) -> tuple[float, float]:
    """Return a bone's length, m, and its information, 1/m^2; 0 and 0 where it is unknown."""
    d = bone_vector(xyz, parent, child)
    along, one, other = 0.0, covariance[parent], covariance[child]
    for r in range(3):
        for k in range(3):
            along += d[r] * (one[r, k] + other[r, k]) * d[k]
    square = d[0] * d[0] + d[1] * d[1] + d[2] * d[2]
    # NaN is not greater.
    if square > _SHORT_M**2 and along > 0.0:
        return math.sqrt(square), square / along
    return 0.0, 0.0


@kernel('xyz', 'covariance', 'random')
def hold_lengths(
    edges: Int2D, lengths: Float3D, first: int, xyz: Float3D, covariance: Float4D, random: Float4D
) -> None:
    """Move joints so that bones have about the lengths they had, as a Kalman filter that measures each length once.

    The length is linearised at the joints as they are (Bar-Shalom, Li, Kirubarajan 2001, 10.3). Bone after bone, each
    end takes its share by its own covariance. Joints before ``first`` stay, and what hangs from them goes with them:
    their errors count in the covariance alone.

    Args:
        edges: (E, 2) parent and child of each bone.
        lengths: (2, B, E) m and m^2, from ``write_lengths``.
        first: the first joint that may move.
        xyz: (B, J, 3) m, NaN = unknown, in place.
        covariance: (B, J, 3, 3) m^2 of ``xyz``, in place.
        random: the part of ``covariance`` that is new in every set, in place.
    """
    u, moved = np.empty(3), np.empty(3)
    for b in range(len(xyz)):
        for e in range(len(edges)):
            x, y, z = bone_vector(xyz[b], edges[e, 0], edges[e, 1])
            length = math.sqrt(x * x + y * y + z * z)
            if not (length > _SHORT_M and lengths[0, b, e] > 0.0):
                continue
            u[0], u[1], u[2] = x / length, y / length, z / length
            off = lengths[0, b, e] - length
            variance, fixed = lengths[1, b, e] + (_SPREAD * lengths[0, b, e]) ** 2, 0.0
            for side in range(2):
                along = quadratic_form(covariance[b, edges[e, side]], u)
                if edges[e, side] < first:
                    fixed = along
                else:
                    variance += along
            if not math.isfinite(variance + fixed):
                continue
            for side in range(2):
                j = edges[e, side]
                if j < first:
                    continue
                for r in range(3):
                    moved[r] = 0.0
                    for k in range(3):
                        moved[r] += covariance[b, j, r, k] * u[k] / variance
                part = quadratic_form(random[b, j], u) / max(quadratic_form(covariance[b, j], u), 1e-12)
                for r in range(3):
                    xyz[b, j, r] += (2.0 * side - 1.0) * moved[r] * off
                    for k in range(3):
                        less = moved[r] * moved[k] * (variance - fixed)
                        covariance[b, j, r, k] -= less
                        random[b, j, r, k] -= part * less
