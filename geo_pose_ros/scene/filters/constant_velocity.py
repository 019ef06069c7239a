"""What the filters of joints and of roots have in common: the discretised continuous white-noise acceleration model.

Covariances (6, 6) of position and velocity are kept as three blocks (3, 3): position, position-velocity, velocity
(Bar-Shalom, Li, Kirubarajan 2001, section 6.2.2).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...arrays import BoolArray, FloatArray

# Velocity of what is first seen, m/s: fast walking.
FIRST_SPEED_M_S = 1.5
# Squared Mahalanobis distance (3 degrees of freedom, 99.9 %) beyond which a measurement counts less.
GATE = 16.3


def predicted(blocks: FloatArray, dt_s: float, acceleration_noise: float) -> FloatArray:
    """Return the blocks (T, 3, ..., 3, 3) after ``dt_s``, NaN where they are."""
    position, cross, speed = (blocks[:, k] for k in range(3))
    moved = cross + dt_s * speed
    made = np.stack([position + dt_s * (moved + np.swapaxes(cross, -1, -2)), moved, speed], 1)
    made += wander(dt_s, acceleration_noise).reshape(3, *(1,) * (blocks.ndim - 4), 3, 3)
    return made


def wander(dt_s: float, acceleration_noise: float) -> FloatArray:
    """Return what ``dt_s`` adds to the blocks, (3, 3, 3); ``acceleration_noise`` in m/s^2/sqrt(Hz)."""
    growth: FloatArray = np.array([dt_s**3 / 3.0, dt_s**2 / 2.0, dt_s])[:, None, None]
    return growth * (acceleration_noise**2 * np.eye(3))


def mahalanobis2(innovation: FloatArray, information: NDArray[np.floating]) -> FloatArray:
    """Return the squared length (...) of innovations (..., 3) under information matrices (..., 3, 3)."""
    distance2: FloatArray = (innovation * (information @ innovation[..., None])[..., 0]).sum(-1)
    return distance2


def corrected(
    blocks: FloatArray, innovation: FloatArray, noise: FloatArray, information: NDArray[np.floating],
    measured: BoolArray | None = None,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the steps (T, ..., 3) of position and velocity that a measurement asks for, and the blocks after it.

    A jump beyond the gate acts with a covariance inflated in proportion, as under a heavy-tailed noise.

    Args:
        blocks: (T, 3, ..., 3, 3).
        innovation: (T, ..., 3) m, measured less predicted position.
        noise: (T, ..., 3, 3) m^2 of the measurement.
        information: (T, ..., 3, 3) inverse of the innovation's covariance.
        measured: (T, ...) whether there is a measurement; None: everywhere.
    """
    pp, pv, vv = (blocks[:, k] for k in range(3))
    inflation = np.maximum(1.0, mahalanobis2(innovation, information) / GATE)[..., None, None]
    if (inflation > 1.0).any():
        information = np.linalg.inv(pp + inflation * noise)
    if measured is not None:
        information = information * measured[..., None, None]
    gain_p, gain_v = pp @ information, np.swapaxes(pv, -1, -2) @ information
    # Symmetric by construction: rounding that is not would grow without bound.
    after = np.stack([_symmetric(pp - gain_p @ pp), pv - gain_p @ pv, _symmetric(vv - gain_v @ pv)], 1)
    return (gain_p @ innovation[..., None])[..., 0], (gain_v @ innovation[..., None])[..., 0], after


def _symmetric(matrix: FloatArray) -> FloatArray:
    return 0.5 * (matrix + np.swapaxes(matrix, -1, -2))
