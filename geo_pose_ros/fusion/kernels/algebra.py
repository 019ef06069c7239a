# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Symmetric 3x3 matrices, by their six numbers xx xy xz yy yz zz; and products of small matrices."""

from __future__ import annotations

from ...compiled import Float1D, Float2D, helper


@helper
def add_product(f: float, A: Float2D, B: Float2D, into: Float2D) -> None:
    """Add f A B, (N, K) and (K, M), to ``into`` (N, M): numpy's way would load scipy."""
    inner, columns = B.shape
    for i in range(A.shape[0]):
        row = into[i]
        # Four at a time: half as long as one after the other.
        for k in range(0, inner - 3, 4):
            a, b, c, d = f * A[i, k], f * A[i, k + 1], f * A[i, k + 2], f * A[i, k + 3]
            p, q, r, s = B[k], B[k + 1], B[k + 2], B[k + 3]
            for m in range(columns):
                row[m] += a * p[m] + b * q[m] + c * r[m] + d * s[m]
        for k in range(inner - inner % 4, inner):
            a = f * A[i, k]
            for m in range(columns):
                row[m] += a * B[k, m]


@helper
def invert(m: Float1D, inverse: Float1D) -> float:
    """Write the inverse (6,) of a symmetric 3x3, the first of ``m`` (6,), by cofactors; return its determinant."""
    xx, xy, xz = m[3] * m[5] - m[4] * m[4], m[2] * m[4] - m[1] * m[5], m[1] * m[4] - m[2] * m[3]
    determinant = m[0] * xx + m[1] * xy + m[2] * xz
    over = 1.0 / determinant
    inverse[0], inverse[1], inverse[2] = over * xx, over * xy, over * xz
    inverse[3] = over * (m[0] * m[5] - m[2] * m[2])
    inverse[4] = over * (m[1] * m[2] - m[0] * m[4])
    inverse[5] = over * (m[0] * m[3] - m[1] * m[1])
    return float(determinant)


@helper
def times(m: Float1D, x: float, y: float, z: float) -> tuple[float, float, float]:
    """Return the product of a symmetric 3x3 ``m`` (6,) and a vector."""
    return m[0] * x + m[1] * y + m[2] * z, m[1] * x + m[3] * y + m[4] * z, m[2] * x + m[4] * y + m[5] * z


@helper
def factor(m: Float1D, f: Float1D) -> bool:
    """Write L D L^T of a symmetric 3x3 ``m`` (6,): f (6,) is L's xy xz yz, and the inverses of D's xx yy zz.

    It serves where the condition number is 1e10, and the inverse itself does not. False if ``m`` is not positive
    definite.
    """
    f[3] = 1.0 / m[0]
    f[0], f[1] = m[1] * f[3], m[2] * f[3]
    yy, yz = m[3] - f[0] * m[1], m[4] - f[0] * m[2]
    f[4] = 1.0 / yy
    f[2] = yz * f[4]
    zz = m[5] - f[1] * m[2] - f[2] * yz
    f[5] = 1.0 / zz
    return bool(m[0] > 0.0 and yy > 0.0 and zz > 0.0)


@helper
def solve_factored(f: Float1D, x: float, y: float, z: float) -> tuple[float, float, float]:
    """Return m^-1 v, f of ``factor``."""
    y -= f[0] * x
    z = (z - f[1] * x - f[2] * y) * f[5]
    y = y * f[4] - f[2] * z
    return x * f[3] - f[0] * y - f[1] * z, y, z


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
