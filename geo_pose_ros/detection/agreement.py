"""Whether keypoints are of the person that was expected, and whether two detections are of one person."""

from __future__ import annotations

import numpy as np

from ..arrays import FloatArray, IntArray
from ..geometry.stats import nan_median
from ..skeleton import BODY17, mirror_of


def extent(xy: FloatArray) -> FloatArray:
    """Return (P,) the longer side px of the box around each of ``xy`` (P, J, 2); NaN where nothing is known."""
    return np.asarray((np.fmax.reduce(xy, 1) - np.fmin.reduce(xy, 1)).max(-1))


def distance(a: FloatArray, b: FloatArray) -> FloatArray:
    """Return the median distance px of joints known in both of ``a`` and ``b`` (..., 17, 2), NaN where there is none.

    Of a body and its mirror image the nearer: a detection with left and right exchanged is of the same person.
    """
    gaps = np.stack(np.broadcast_arrays(a, a[..., mirror_of(BODY17), :])) - b
    return np.asarray(np.fmin.reduce(nan_median(np.hypot(gaps[..., 0], gaps[..., 1]))))


def fits(found: FloatArray, expected: FloatArray, sigma_px: FloatArray, largest: float) -> FloatArray:
    """Return (P,) how far ``found`` is from where it was ``expected``, 1 at the limit; inf where it is not comparable.

    Args:
        found, expected: (P, 17, 2) px, NaN = unknown.
        sigma_px: (P, 17) of ``expected``.
        largest: distance at the limit, in units of the expected body's extent; three standard deviations are added.
    """
    limit = largest * extent(expected) + 3.0 * nan_median(sigma_px)
    relative = distance(found, expected) / limit
    return np.where(np.isfinite(relative), relative, np.inf)


def distinct(xy: FloatArray, order: IntArray, nearest: float) -> IntArray:
    """Return which of the detections ``xy`` (P, 17, 2) are different people: of several of one, the first in ``order``.

    Args:
        xy: px, NaN = unknown.
        order: (P,) indices, best first.
        nearest: two detections nearer than this, in units of the larger one's extent, are of one person.
    """
    size = extent(xy)
    kept: list[int] = []
    for index in order.tolist():
        gaps = distance(xy[kept], xy[index]) / np.maximum(size[kept], size[index]) if kept else np.zeros(0)
        if not (gaps < nearest).any():
            kept.append(index)
    return np.array(kept, np.int64)
