"""Where bodies are that a lone view puts along its ray: one constant-velocity Kalman filter for all joints of a body.

The error of such a body is shared by its joints: smoothed each alone they would bend it, taken as it is it jumps along
the ray from set to set. Only the shift is filtered; the shape is the measurement's. Model: ``constant_velocity``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...arrays import FloatArray, IntArray
from .constant_velocity import FIRST_SPEED_M_S, GATE, mahalanobis2, predicted

# Square root of the spectral density of a person's acceleration, m/s^2/sqrt(Hz): who walks stops within half a second,
# with something to spare for errors that drift. With half of it places jump a little less, but are farther off than
# claimed; with twice as much they jump more (benchmarks/training/one_camera.py).
_ACCELERATION = 4.0
# Errors of successive sets are alike: so many count as one.
_ALIKE_SETS = 4.0
_EYE = np.eye(3)


class PlaceFilter:
    """The places of T bodies.

    Attributes:
        velocity: (T, 3) m/s.
    """

    def __init__(self) -> None:
        """Start with no body."""
        self.velocity = np.zeros((0, 3))
        # Blocks of the 6x6 covariance: position, position-velocity, velocity; NaN where the body's joints are filtered.
        self._blocks = np.zeros((0, 3, 3, 3))

    def take(self, index: IntArray) -> None:
        """Keep the bodies of ``index`` (T',) in its order; -1 opens a new one."""
        new = index < 0
        kept = np.where(new, 0, index)
        velocity = np.concatenate([self.velocity, np.zeros((1, 3))])[kept]
        blocks = np.concatenate([self._blocks, np.full((1, 3, 3, 3), np.nan)])[kept]
        velocity[new], blocks[new] = 0.0, np.nan
        self.velocity, self._blocks = velocity, blocks

    def forget(self, rows: IntArray | NDArray[np.bool_]) -> None:
        """Begin anew with the bodies of ``rows``."""
        self._blocks[rows] = np.nan

    def advance(self, dt_s: float) -> None:
        """Predict the covariances by ``dt_s``; the joints' positions are moved with the joints."""
        self._blocks = predicted(self._blocks, dt_s, _ACCELERATION)

    def update(
        self, rows: IntArray, xyz: FloatArray, covariance: FloatArray, expected: FloatArray, velocity: FloatArray
    ) -> FloatArray:
        """Measure the bodies ``rows`` (B,); return (B, 3) m, what brings them where the filter has them.

        Args:
            rows: of the bodies.
            xyz: (B, J, 3) m, NaN = not measured.
            covariance: (B, J, 3, 3) m^2 of ``xyz``.
            expected: (B, J, 3) m, the predicted joints, NaN = unknown.
            velocity: (B, 3) m/s, of a body whose joints were filtered until now.
        """
        common = np.isfinite(xyz.sum(-1) + expected.sum(-1))
        known = common.any(1)
        count = np.maximum(common.sum(1), 1)
        measured = np.isfinite(xyz.sum(-1))[..., None, None]
        noise = np.where(measured, covariance, 0.0).sum(1) / np.maximum(measured.sum(1), 1)
        ahead = np.where(common[..., None], xyz - expected, 0.0).sum(1) / count[:, None]
        blocks = self._blocks[rows]
        fresh = ~np.isfinite(blocks[:, 0, 0, 0])
        # Somebody whose joints were known was placed well; of somebody new nothing is known beside the measurement.
        blocks[fresh] = np.stack([0.01 * _EYE, 0.0 * _EYE, _EYE])
        speed = np.where(fresh[:, None], velocity, self.velocity[rows])
        noise = _ALIKE_SETS * noise + 1e-6 * _EYE
        place, cross, own = (blocks[:, k] for k in range(3))
        gain_base = np.linalg.inv(place + noise)
        distance2 = mahalanobis2(ahead, gain_base)
        gain_base = np.linalg.inv(place + np.maximum(1.0, distance2 / GATE)[:, None, None] * noise)
        gain_place, gain_speed = place @ gain_base, np.swapaxes(cross, -1, -2) @ gain_base
        shift = (gain_place @ ahead[..., None])[..., 0] - ahead
        speed = speed + (gain_speed @ ahead[..., None])[..., 0]
        blocks = np.stack([place - gain_place @ place, cross - gain_place @ cross, own - gain_speed @ cross], 1)
        first = np.stack([noise, np.zeros_like(noise), np.broadcast_to(FIRST_SPEED_M_S**2 * _EYE, noise.shape)], 1)
        self._blocks[rows] = np.where(known[:, None, None, None], blocks, first)
        self.velocity[rows] = np.where(known[:, None], speed, 0.0)
        return np.where(known[:, None], shift, 0.0)
