# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Statistics of known values, where NaN is an unknown one, and robust ones of residuals.

Means and medians sort or sum at once: numpy's own take many times as long for short rows, and warn where a row is all
NaN. The robust loss is Geman and McClure's (1987).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ..arrays import BoolArray, FloatArray, IntArray

# Standard deviation of a normal distribution over the median of |x|.
_SIGMAS_PER_MEDIAN = 1.4826
# 95 % of the squared distances in three dimensions are below it (chi-square of 3).
INSIDE_95 = 7.815


def nan_median(values: FloatArray) -> FloatArray:
    """Return the medians (...) of the known of ``values`` (..., N), NaN where there is none."""
    ordered, first, count = _ordered(values)
    low = ordered[first + np.maximum(count - 1, 0) // 2]
    return np.asarray(0.5 * (low + ordered[first + np.minimum(count // 2, max(values.shape[-1], 1) - 1)]))


def nan_lower_median(values: FloatArray) -> FloatArray:
    """Return the lower medians (...) of the known of ``values`` (..., N), each one of them; NaN where there is none."""
    ordered, first, count = _ordered(values)
    return np.asarray(ordered[first + np.maximum(count - 1, 0) // 2])


def nan_percentile(values: ArrayLike, percent: float) -> float:
    """Return the ``percent`` percentile of the finite of all ``values``, interpolated linearly; NaN without one."""
    array = np.asarray(values, np.float64)
    finite = array[np.isfinite(array)]
    return float(np.percentile(finite, percent)) if finite.size else float('nan')


def nan_mean(values: FloatArray, axis: int, least: int = 1) -> FloatArray:
    """Return the means of the known of ``values`` along ``axis``, NaN where fewer than ``least`` are known."""
    known = np.isfinite(values)
    count = known.sum(axis)
    return np.where(count >= least, np.where(known, values, 0.0).sum(axis) / np.maximum(count, 1), np.nan)


def _ordered(values: FloatArray) -> tuple[FloatArray, IntArray, IntArray]:
    """Return ``values`` sorted along the last axis, unknown ones last, as one row.

    And of each (...) where its values begin in that row and how many are known.
    """
    if not values.shape[-1]:
        values = np.full((*values.shape[:-1], 1), np.nan)
    # take_along_axis takes several times as long as flat indices.
    count = values.shape[-1] - np.isnan(values).sum(-1)
    first = np.arange(0, values.size, values.shape[-1]).reshape(count.shape)
    return np.sort(values, -1).ravel(), first, count


def geman_mcclure_weight(squared: FloatArray) -> FloatArray:
    """Return the weights (...) in [0, 1] of squared residuals (...), each divided by its squared scale.

    At the scale itself the weight is 1/4. Infinity has weight 0; NaN stays NaN.
    """
    weight: FloatArray = 1.0 / np.square(1.0 + squared)
    return weight


def geman_mcclure_cost(squared: FloatArray) -> FloatArray:
    """Return the costs (...) in [0, 1] of squared residuals (...), each divided by its squared scale.

    Infinity costs 1; NaN stays NaN. The weight above is the derivative with respect to ``squared``.
    """
    cost: FloatArray = 1.0 - 1.0 / (1.0 + squared)
    return cost


def distance2(error: FloatArray, covariance: FloatArray) -> FloatArray:
    """Return the squared distances (...) of errors (..., 3), in units of their covariances (..., 3, 3).

    NaN where either is unknown.
    """
    known: BoolArray = np.asarray(np.isfinite(error).all(-1) & np.isfinite(covariance).all((-1, -2)))
    solved = np.linalg.solve(np.where(known[..., None, None], covariance, np.eye(3)), error[..., None])[..., 0]
    return np.where(known, (error * solved).sum(-1), np.nan)


def median_spread(residual: FloatArray) -> float:
    """Return the standard deviation of residuals (N,) around 0 from the median of their sizes."""
    return _SIGMAS_PER_MEDIAN * float(np.median(np.abs(residual)))
