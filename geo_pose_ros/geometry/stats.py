"""Means and medians of known values, where NaN is an unknown one.

They sort or sum at once: numpy's own take many times as long for short rows, and warn where a row is all NaN.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ..arrays import FloatArray, IntArray


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
