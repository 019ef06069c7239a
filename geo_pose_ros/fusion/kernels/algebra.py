# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Symmetric 3x3 matrices, by their six numbers xx xy xz yy yz zz; and products of small matrices."""

from __future__ import annotations

import math

from ...compiled import Float1D, Float2D, helper


@helper
def add_product(f: float, A: Float2D, B: Float2D, into: Float2D) -> None:
    """Add f A B, (N, K) and (K, M), to ``into`` (N, M): numpy's way would load scipy."""
    inner = A.shape[1]
    for i in range(A.shape[0]):
        row = into[i]
        # Four at a time: half as long as one after the other.
        for k in range(0, inner - 3, 4):
            a, b, c, d = f * A[i, k], f * A[i, k + 1], f * A[i, k + 2], f * A[i, k + 3]
            p, q, r, s = B[k], B[k + 1], B[k + 2], B[k + 3]
            for m in range(len(row)):
                row[m] += a * p[m] + b * q[m] + c * r[m] + d * s[m]
        for k in range(inner - inner % 4, inner):
            a = f * A[i, k]
            for m in range(len(row)):
                row[m] += a * B[k, m]


@helper
def invert(m: Float1D, inverse: Float1D) -> float:
    """Write the inverse (6,) of a symmetric 3x3 ``m`` (6,), by cofactors; return its determinant."""
    xx, xy, xz = m[3] * m[5] - m[4] * m[4], m[2] * m[4] - m[1] * m[5], m[1] * m[4] - m[2] * m[3]
    determinant = m[0] * xx + m[1] * xy + m[2] * xz
    inverse[0], inverse[1], inverse[2] = xx / determinant, xy / determinant, xz / determinant
    inverse[3] = (m[0] * m[5] - m[2] * m[2]) / determinant
    inverse[4] = (m[1] * m[2] - m[0] * m[4]) / determinant
    inverse[5] = (m[0] * m[3] - m[1] * m[1]) / determinant
    return float(determinant)


@helper
def times(m: Float1D, x: float, y: float, z: float) -> tuple[float, float, float]:
    """Return the product of a symmetric 3x3 ``m`` (6,) and a vector."""
    return m[0] * x + m[1] * y + m[2] * z, m[1] * x + m[3] * y + m[4] * z, m[2] * x + m[4] * y + m[5] * z


@helper
def find_whitener(m: Float1D, w: Float1D) -> bool:
    """Write the lower triangle w (6,), row after row, of which w^T w inverts a symmetric 3x3 ``m`` (6,).

    It serves where the condition number is 1e10, and the inverse itself does not. False if ``m`` is not positive
    definite.
    """
    w[0] = 1.0 / math.sqrt(m[0])
    f, g = m[1] * w[0], m[2] * w[0]
    w[2] = 1.0 / math.sqrt(m[3] - f * f)
    h = (m[4] - f * g) * w[2]
    w[5] = 1.0 / math.sqrt(m[5] - g * g - h * h)
    w[1], w[4] = -f * w[0] * w[2], -h * w[2] * w[5]
    w[3] = -(g * w[0] + h * w[1]) * w[5]
    return bool(w[0] < math.inf and w[2] < math.inf and w[5] < math.inf)


@helper
def solve_white(w: Float1D, x: float, y: float, z: float) -> tuple[float, float, float]:
    """Return m^-1 v, w of ``find_whitener``."""
    a, b, c = w[0] * x, w[1] * x + w[2] * y, w[3] * x + w[4] * y + w[5] * z
    return w[0] * a + w[1] * b + w[3] * c, w[2] * b + w[4] * c, w[5] * c


@helper
def add_outer(into: Float1D, f: float, v: Float1D) -> None:
    """Add f v v^T, v (3,), to a symmetric 3x3 ``into`` (6,)."""
    into[0] += f * v[0] * v[0]
    into[1] += f * v[0] * v[1]
    into[2] += f * v[0] * v[2]
    into[3] += f * v[1] * v[1]
    into[4] += f * v[1] * v[2]
    into[5] += f * v[2] * v[2]


@helper
def fill_square(six: Float1D, square: Float2D) -> None:
    """Write a symmetric 3x3 ``six`` (6,) as ``square`` (3, 3)."""
    square[0, 0], square[0, 1], square[0, 2] = six[0], six[1], six[2]
    square[1, 0], square[1, 1], square[1, 2] = six[1], six[3], six[4]
    square[2, 0], square[2, 1], square[2, 2] = six[2], six[4], six[5]
