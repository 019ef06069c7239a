# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Compiled geometry that several packages share: lens models, one way and back (docs/conventions.md, Distortion).

The models are ROS's: the rational polynomial with thin prisms, of which plumb_bob is a part, as OpenCV computes them,
and the equidistant one after Kannala and Brandt, PAMI 2006. A tilted sensor is part of the homographies.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..compiled import Bool1D, Float1D, Float2D, Float3D, helper, kernel

# Newton's method squares its error: after a step so small, in the normalised plane, 1e-13 is left.
_LAST_STEP = 1e-7
_MOST_STEPS = 20
# Where it begins at most, as a part of the valid radius: at the radius itself the distortion has no slope.
_BEGIN = 0.9
# A distorted angle must be met to within this, which no detector can tell apart.
_ROUND_TRIP_PX = 0.5


class Lenses(NamedTuple):
    """The lenses of C cameras, as kernels take them; see ``projection.lenses_of``.

    Attributes:
        equidistant: (C,) whether the model is that, or the rational one.
        plane_from_px: (C, 3, 3) homography from raw px to the distorted normalised plane z = 1.
        px_from_plane: (C, 3, 3) its inverse.
        D: (C, 12) k1 k2 p1 p2 k3 k4 k5 k6 s1 s2 s3 s4 of the rational model, k1 k2 k3 k4 of the equidistant one.
        radius: (C,) distance from the axis, in the ideal plane, up to which the model is one to one.
    """

    equidistant: Bool1D
    plane_from_px: Float3D
    px_from_plane: Float3D
    D: Float2D
    radius: Float1D


@helper
def mapped(H: Float2D, x: float, y: float) -> tuple[float, float]:
    """Return the image of the point (x, y) under the homography ``H`` (3, 3)."""
    w = H[2, 0] * x + H[2, 1] * y + H[2, 2]
    return (H[0, 0] * x + H[0, 1] * y + H[0, 2]) / w, (H[1, 0] * x + H[1, 1] * y + H[1, 2]) / w


@helper
def distorted(D: Float1D, x: float, y: float) -> tuple[float, float, float, float, float, float]:
    """Return where the rational model moves the point (x, y) of the ideal plane, and its derivative xx xy yx yy."""
    r2 = x * x + y * y
    over = 1.0 / (1.0 + r2 * (D[5] + r2 * (D[6] + r2 * D[7])))
    radial = (1.0 + r2 * (D[0] + r2 * (D[1] + r2 * D[4]))) * over
    slope = D[0] + r2 * (2.0 * D[1] + 3.0 * r2 * D[4]) - radial * (D[5] + r2 * (2.0 * D[6] + 3.0 * r2 * D[7]))
    slope *= 2.0 * over
    p1, p2 = D[2], D[3]
    prism_x, prism_y = D[8] + r2 * D[9], D[10] + r2 * D[11]
    slope_x, slope_y = 2.0 * (prism_x + r2 * D[9]), 2.0 * (prism_y + r2 * D[11])
    mixed = x * y * slope + 2.0 * (p1 * x + p2 * y)
    return (
        x * radial + 2.0 * p1 * x * y + p2 * (r2 + 2.0 * x * x) + r2 * prism_x,
        y * radial + 2.0 * p2 * x * y + p1 * (r2 + 2.0 * y * y) + r2 * prism_y,
        radial + x * x * slope + 2.0 * p1 * y + 6.0 * p2 * x + x * slope_x, mixed + y * slope_x,
        mixed + x * slope_y, radial + y * y * slope + 6.0 * p1 * y + 2.0 * p2 * x + y * slope_y,
    )


@helper
def undistorted(D: Float1D, radius: float, u: float, v: float) -> tuple[float, float]:
    """Return the point within ``radius`` that the rational model moves to (u, v), by Newton's method; NaN for none."""
    r = math.sqrt(u * u + v * v)
    if not math.isfinite(r):
        return np.nan, np.nan
    begin = _BEGIN * radius / r if r > _BEGIN * radius else 1.0
    x, y = begin * u, begin * v
    for _ in range(_MOST_STEPS):
        at_x, at_y, xx, xy, yx, yy = distorted(D, x, y)
        off_x, off_y, over = at_x - u, at_y - v, 1.0 / (xx * yy - xy * yx)
        step_x, step_y = over * (yy * off_x - xy * off_y), over * (xx * off_y - yx * off_x)
        x, y = x - step_x, y - step_y
        r2 = x * x + y * y
        if r2 > radius * radius:
            x, y = x * radius / math.sqrt(r2), y * radius / math.sqrt(r2)
        elif step_x * step_x + step_y * step_y < _LAST_STEP * _LAST_STEP:
            return x, y
    return np.nan, np.nan


@helper
def distorted_angle(D: Float1D, theta: float) -> tuple[float, float]:
    """Return the equidistant model's distorted angle, rad, of the angle ``theta`` to the axis, and its derivative."""
    s = theta * theta
    even = 1.0 + s * (D[0] + s * (D[1] + s * (D[2] + s * D[3])))
    return theta * even, even + 2.0 * s * (D[0] + s * (2.0 * D[1] + s * (3.0 * D[2] + s * 4.0 * D[3])))


@helper
def undistorted_equidistant(D: Float1D, radius: float, least: float, u: float, v: float) -> tuple[float, float]:
    """Return the point within ``radius`` that the equidistant model moves to (u, v), to ``least`` rad; NaN for none."""
    angle, limit = math.sqrt(u * u + v * v), math.atan(radius)
    if angle <= 1e-9:
        return u, v
    theta = min(angle, limit)
    for _ in range(_MOST_STEPS):
        at, slope = distorted_angle(D, theta)
        before = theta
        theta = min(max(theta - (at - angle) / max(slope, 1e-6), 0.0), limit)
        if abs(theta - before) < _LAST_STEP * _LAST_STEP:
            break
    if not abs(distorted_angle(D, theta)[0] - angle) < least:
        return np.nan, np.nan
    scale = math.tan(theta) / angle
    return scale * u, scale * v


@helper
def ideal_point(lenses: Lenses, c: int, x_px: float, y_px: float) -> tuple[float, float]:
    """Return the point of the ideal normalised plane that camera ``c`` sees at a raw pixel; NaN for none."""
    u, v = mapped(lenses.plane_from_px[c], x_px, y_px)
    if lenses.equidistant[c]:
        least = _ROUND_TRIP_PX / lenses.px_from_plane[c, 0, 0]
        return undistorted_equidistant(lenses.D[c], lenses.radius[c], least, u, v)
    return undistorted(lenses.D[c], lenses.radius[c], u, v)


@kernel('xn')
def undistort_pixels(lenses: Lenses, xy: Float2D, xn: Float2D) -> None:
    """Write the points (N, 2) of the ideal normalised plane at raw px ``xy`` (N, 2) of the first camera; NaN: none."""
    for n in range(len(xy)):
        xn[n, 0], xn[n, 1] = ideal_point(lenses, 0, xy[n, 0], xy[n, 1])


@kernel('xy')
def project_points(lenses: Lenses, xyz: Float2D, xy: Float2D) -> None:
    """Write the raw px (N, 2) of points ``xyz`` (N, 3) m of the first camera's frame; NaN where it cannot see them."""
    D, radius = lenses.D[0], lenses.radius[0]
    for n in range(len(xyz)):
        xy[n, 0], xy[n, 1] = np.nan, np.nan
        if not xyz[n, 2] > 0.0:
            continue
        x, y = xyz[n, 0] / xyz[n, 2], xyz[n, 1] / xyz[n, 2]
        r = math.sqrt(x * x + y * y)
        if not r <= radius:
            continue
        if lenses.equidistant[0]:
            scale = distorted_angle(D, math.atan(r))[0] / r if r > 1e-9 else 1.0
            x, y = scale * x, scale * y
        else:
            x, y = distorted(D, x, y)[:2]
        xy[n, 0], xy[n, 1] = mapped(lenses.px_from_plane[0], x, y)


@helper
def insert_sorted(ordered: Float1D, count: int, value: float) -> int:
    """Put a finite value among the first ``count`` of ``ordered``; return how many these are then."""
    if not math.isfinite(value):
        return count
    i = count
    while i > 0 and ordered[i - 1] > value:
        ordered[i] = ordered[i - 1]
        i -= 1
    ordered[i] = value
    return count + 1


@helper
def quadratic_form(matrix: Float2D, v: Float1D) -> float:
    """Return v^T M v of a matrix (3, 3): a variance along a unit vector, a squared Mahalanobis distance."""
    total = 0.0
    for r in range(3):
        for k in range(3):
            total += v[r] * matrix[r, k] * v[k]
    return total
