"""What the filters of joints and of places have in common: the discretised continuous white-noise acceleration model.

Covariances (6, 6) of position and velocity are kept as three blocks (3, 3): position, position-velocity, velocity
(Bar-Shalom, Li, Kirubarajan 2001, section 6.2.2).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...arrays import FloatArray

# Velocity of what is first seen, m/s: fast walking.
FIRST_SPEED_M_S = 1.5
# Squared Mahalanobis distance (3 degrees of freedom, 99.9 %) beyond which a measurement is trusted less.
GATE = 16.3


def predicted(blocks: FloatArray, dt_s: float, acceleration_noise: float) -> FloatArray:
    """Return the blocks (T, 3, ..., 3, 3) after ``dt_s``, NaN where they are."""
    place, cross, speed = (blocks[:, k] for k in range(3))
    moved = cross + dt_s * speed
    made = np.stack([place + dt_s * (moved + np.swapaxes(cross, -1, -2)), moved, speed], 1)
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
