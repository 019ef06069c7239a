# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Rays from cameras, and where two rays pass each other (Hartley & Zisserman 12.1)."""

from __future__ import annotations

import numpy as np

from ..arrays import FloatArray


def bearings(xn: FloatArray) -> FloatArray:
    """Return unit vectors (..., 3) from a camera to normalised image points (..., 2), in the camera's frame."""
    bearing = np.ones((*xn.shape[:-1], 3))
    bearing[..., :2] = xn
    bearing /= np.sqrt((bearing * bearing).sum(-1, keepdims=True))
    return bearing


def closest_points(
    base: FloatArray, u: FloatArray, v: FloatArray, least_sine: float = 1e-3
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return where two rays pass each other: their distance (...), and the depths (...) along the first and second.

    A depth below 0 is behind the ray's origin. All three are NaN where the rays are nearly parallel.

    Args:
        base: (..., 3) m, from the first ray's origin to the second's.
        u, v: (..., 3) unit vectors along the first and second ray; all three broadcast.
        least_sine: sine of the angle below which rays are nearly parallel.
    """
    # Without the products as arrays: there may be a hundred thousand rays.
    uv, ub, vb = (np.einsum('...i,...i->...', a, b) for a, b in ((u, v), (u, base), (v, base)))
    squared_sine = 1.0 - uv**2
    squared_sine = np.where(squared_sine > least_sine**2, squared_sine, np.nan)
    s, t = (ub - uv * vb) / squared_sine, (uv * ub - vb) / squared_sine
    # |base - s u + t v|^2 with s and t at the closest points
    squared = (base**2).sum(-1) + s * (s - 2.0 * ub) + t * (t + 2.0 * vb) - 2.0 * s * t * uv
    return np.sqrt(np.maximum(squared, 0.0)), s, t
