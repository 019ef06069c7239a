# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""What the filters of joints and of roots have in common: the discretised continuous white-noise acceleration model.

Covariances (6, 6) of position and velocity are kept as three blocks (3, 3): position, position-velocity, velocity
(Bar-Shalom, Li, Kirubarajan 2001, section 6.2.2).
"""

from __future__ import annotations

from ...compiled import Float1D, Float2D, Float3D, helper
from ...geometry.kernels import quadratic_form

# Velocity of what is first seen, m/s: fast walking.
FIRST_SPEED_M_S = 1.5
# Squared Mahalanobis distance (3 degrees of freedom, 99.9 %) beyond which a measurement counts less.
GATE = 16.3
# Places of matrices in the work space of ``correct``.
INFORMATION, NOISE, STEP, WORK = 5, 6, 7, 8


@helper
def wander(dt_s: float, density: float, growth: Float1D) -> None:
    """Write what ``dt_s`` adds to the diagonals of the three blocks, (3,); ``density`` of the acceleration, m^2/s^3."""
    growth[0], growth[1], growth[2] = density * dt_s**3 / 3.0, density * dt_s**2 / 2.0, density * dt_s


@helper
def grow(blocks: Float3D, growth: Float1D) -> None:
    """Add ``growth`` (3,) to the diagonals of the blocks (3, 3, 3)."""
    for block in range(3):
        for r in range(3):
            blocks[block, r, r] += growth[block]


@helper
def predict_blocks(blocks: Float3D, dt_s: float, growth: Float1D) -> None:
    """Predict the blocks (3, 3, 3) by ``dt_s``, in place; ``growth`` (3,) of ``wander``."""
    pp, pv, vv = blocks[0], blocks[1], blocks[2]
    for r in range(3):
        for k in range(3):
            pp[r, k] += dt_s * (pv[r, k] + dt_s * vv[r, k] + pv[k, r])
    for r in range(3):
        for k in range(3):
            pv[r, k] += dt_s * vv[r, k]
    grow(blocks, growth)


@helper
def information_of(pp: Float2D, noise: Float2D, inflation: float, inverse: Float2D) -> None:
    """Write the inverse (3, 3) of pp + inflation noise, symmetric, by cofactors."""
    xx, xy, xz = (
        pp[0, 0] + inflation * noise[0, 0], pp[0, 1] + inflation * noise[0, 1], pp[0, 2] + inflation * noise[0, 2]
    )
    yy, yz, zz = (
        pp[1, 1] + inflation * noise[1, 1], pp[1, 2] + inflation * noise[1, 2], pp[2, 2] + inflation * noise[2, 2]
    )
    a, b, c = yy * zz - yz * yz, xz * yz - xy * zz, xy * yz - xz * yy
    over = 1.0 / (xx * a + xy * b + xz * c)
    inverse[0, 0], inverse[0, 1], inverse[0, 2] = over * a, over * b, over * c
    inverse[1, 0], inverse[1, 1] = over * b, over * (xx * zz - xz * xz)
    inverse[1, 2] = over * (xy * xz - xx * yz)
    inverse[2, 0], inverse[2, 1], inverse[2, 2] = over * c, inverse[1, 2], over * (xx * yy - xy * xy)


@helper
def correct(blocks: Float3D, innovation: Float1D, work: Float3D) -> None:
    """Take in a measurement: change the ``blocks`` (3, 3, 3); write the steps of position and velocity.

    A jump beyond the gate acts with a covariance inflated in proportion, as under a heavy-tailed noise.

    Args:
        blocks: position, position-velocity, velocity.
        innovation: (3,) m, measured less predicted position.
        work: (WORK, 3, 3): at NOISE the covariance of the measurement, m^2, at INFORMATION the inverse of the
            innovation's covariance; the steps, m and m/s, are written to the first two rows at STEP.
    """
    gain_p, gain_v, information, step = work[3], work[4], work[INFORMATION], work[STEP]
    distance2 = quadratic_form(information, innovation)
    if distance2 > GATE:
        information_of(blocks[0], work[NOISE], distance2 / GATE, information)
    for block in range(3):
        for r in range(3):
            for k in range(3):
                work[block, r, k] = blocks[block, r, k]
    pp, pv = work[0], work[1]
    for r in range(3):
        for k in range(3):
            gain_p[r, k], gain_v[r, k] = 0.0, 0.0
            for i in range(3):
                gain_p[r, k] += pp[r, i] * information[i, k]
                gain_v[r, k] += pv[i, r] * information[i, k]
    for r in range(3):
        step[0, r], step[1, r] = 0.0, 0.0
        for k in range(3):
            step[0, r] += gain_p[r, k] * innovation[k]
            step[1, r] += gain_v[r, k] * innovation[k]
            for i in range(3):
                blocks[0, r, k] -= gain_p[r, i] * pp[i, k]
                blocks[1, r, k] -= gain_p[r, i] * pv[i, k]
                blocks[2, r, k] -= gain_v[r, i] * pv[i, k]
    # Symmetric: rounding that is not would grow without bound.
    for block in range(0, 3, 2):
        for r in range(3):
            for k in range(r):
                mean = 0.5 * (blocks[block, r, k] + blocks[block, k, r])
                blocks[block, r, k], blocks[block, k, r] = mean, mean


@helper
def begin(blocks: Float3D, noise: Float2D) -> None:
    """Write the blocks (3, 3, 3) of what is first measured, with the noise (3, 3) m^2."""
    for r in range(3):
        for k in range(3):
            blocks[0, r, k], blocks[1, r, k], blocks[2, r, k] = noise[r, k], 0.0, 0.0
        blocks[2, r, r] = FIRST_SPEED_M_S**2
