"""Means and medians of known values, where NaN is an unknown one.

They sort or sum at once: numpy's own take many times as long for short rows, and warn where a row is all NaN.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ..arrays import FloatArray, IntArray


def nan_median(values: FloatArray) -> FloatArray:
    """Return the medians (...) of the known of ``values`` (..., N), NaN where there is none."""
    ordered, count = _ordered(values)
    return 0.5 * (_taken(ordered, (count - 1) // 2) + _taken(ordered, count // 2))


def nan_lower_median(values: FloatArray) -> FloatArray:
    """Return the lower medians (...) of the known of ``values`` (..., N), each one of them; NaN where there is none."""
    ordered, count = _ordered(values)
    return _taken(ordered, (count - 1) // 2)


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


def _ordered(values: FloatArray) -> tuple[FloatArray, IntArray]:
    """Return ``values`` sorted along the last axis, unknown ones last, and the number (...) of known ones."""
    if not values.shape[-1]:
        values = np.full((*values.shape[:-1], 1), np.nan)
    return np.sort(values, -1), (~np.isnan(values)).sum(-1)


def _taken(ordered: FloatArray, index: IntArray) -> FloatArray:
    """Return the values (...) of ``ordered`` (..., N) at ``index`` (...), clipped to the row."""
    index = np.clip(index, 0, ordered.shape[-1] - 1)
    taken: FloatArray = np.take_along_axis(ordered, index[..., None], -1)[..., 0]
    return taken
