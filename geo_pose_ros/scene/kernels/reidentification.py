# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Which lost person a new one is; ``reidentification`` says why."""

from __future__ import annotations

import math

import numpy as np

from ...compiled import Float1D, Float2D, Float3D, Int1D, helper, kernel
from ...fusion.kernels.association import best_columns
from ...skeleton import BODY17
from .bones import bone_vector

# Two people differ by more than this in the mean of |log| of the ratio of their bone lengths, if not in size.
_SAME_LENGTHS = 0.15
# The price of a match that is refused.
_REFUSED = 1e3

_PARENT, _CHILD = np.array(BODY17.edges).T.copy()


@kernel('found')
def match_people(xyz: Float3D, lost: Float3D, reach_m: Float1D, length: Float2D, found: Int1D) -> None:
    """Write which of L lost bodies each of N new ones is, by distance and by bone lengths; -1 for none.

    Args:
        xyz: (N, J, 3) m, new bodies, NaN = unknown.
        lost: (L, J, 3) m, where the lost ones are predicted.
        reach_m: (L,) how far from there they may be.
        length: (L, E) m, the bone lengths of the lost ones, 0 = unknown; (L, 0) where none is known.
        found: (N,) to be written.
    """
    price = np.full((len(xyz), len(lost)), _REFUSED)
    # A sum of two parts, each of which may be as large as 1.
    limit = 2.0 if length.shape[1] else 1.0
    centre, other = np.empty(3), np.empty(3)
    for n in range(len(xyz)):
        _fill_centre(xyz[n], centre)
        for m in range(len(lost)):
            _fill_centre(lost[m], other)
            apart = math.sqrt((centre[0] - other[0]) ** 2 + (centre[1] - other[1]) ** 2 + (centre[2] - other[2]) ** 2)
            if apart <= reach_m[m] and reach_m[m] > 0.0:
                price[n, m] = apart / reach_m[m] + _difference(xyz[n], length[m]) / _SAME_LENGTHS
    found[:] = best_columns(_REFUSED - np.minimum(price, _REFUSED))
    for n in range(len(xyz)):
        if found[n] >= 0 and not price[n, found[n]] < limit:
            found[n] = -1


@helper
def _fill_centre(joints: Float2D, centre: Float1D) -> None:
    """Write the mean (3,) of the known of ``joints`` (J, 3), NaN without one."""
    for k in range(3):
        total, count = 0.0, 0
        for j in range(len(joints)):
            if math.isfinite(joints[j, k]):
                total += joints[j, k]
                count += 1
        centre[k] = total / count if count else np.nan


@helper
def _difference(xyz: Float2D, length: Float1D) -> float:
    """Return the mean of |log| of the ratios of the bone lengths of a body (J, 3) and ``length`` (E,), 0 = unknown."""
    total, count = 0.0, 0
    for e in range(len(length)):
        x, y, z = bone_vector(xyz, _PARENT[e], _CHILD[e])
        own = math.sqrt(x * x + y * y + z * z)
        # NaN is not greater.
        if own > 0.0 and length[e] > 0.0:
            total += abs(math.log(own / length[e]))
            count += 1
    return total / max(count, 1)
