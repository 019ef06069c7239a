"""Roots of bodies that only a lone view sees: one constant-velocity Kalman filter for all joints of a body.

The joints of such a body share one error along the view's ray. Filtered one by one they would bend the body; unfiltered
the body jumps along the ray from set to set. Only the offset of the whole body is filtered; the shape is the
measurement's. Model: ``constant_velocity``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from ...arrays import FloatArray, IntArray
from ...fusion.table import Columns
from .constant_velocity import FIRST_SPEED_M_S, corrected, predicted

# Square root of the spectral density of a person's acceleration, m/s^2/sqrt(Hz): who walks stops within half a second,
# with something to spare for errors that drift. With half of it roots jump a little less, but err by more than their
# covariance says; with twice as much they jump more (benchmarks/training/one_camera.py).
_ACCELERATION = 4.0
# Errors of successive sets are alike: so many count as one.
_ALIKE_SETS = 4.0
_EYE = np.eye(3)


class RootFilter(Columns):
    """The roots of T bodies.

    Attributes:
        velocity: (T, 3) m/s.
    """

    # Blocks of the covariance are NaN where the body's joints are filtered.
    NEW: ClassVar[Mapping[str, float]] = {'velocity': 0.0, '_blocks': np.nan}

    def __init__(self) -> None:
        """Start with no body."""
        self.velocity: FloatArray = np.zeros((0, 3))
        self._blocks: FloatArray = np.zeros((0, 3, 3, 3))

    def forget(self, rows: IntArray) -> None:
        """Begin anew with the bodies of ``rows``."""
        self._blocks[rows] = np.nan

    def predict(self, dt_s: float) -> None:
        """Predict the covariances by ``dt_s``; the joints' positions are moved with the joints."""
        self._blocks = predicted(self._blocks, dt_s, _ACCELERATION)

    def update(
        self, rows: IntArray, xyz: FloatArray, covariance: FloatArray, predicted_xyz: FloatArray, velocity: FloatArray
    ) -> FloatArray:
        """Measure the bodies ``rows`` (B,); return (B, 3) m, what brings them where the filter has them.

        Args:
            rows: of the bodies.
            xyz: (B, J, 3) m, NaN = not measured.
            covariance: (B, J, 3, 3) m^2 of ``xyz``.
            predicted_xyz: (B, J, 3) m, NaN = unknown.
            velocity: (B, 3) m/s, of a body whose joints were filtered until now.
        """
        common = np.isfinite(xyz.sum(-1) + predicted_xyz.sum(-1))
        known = common.any(1)
        count = np.maximum(common.sum(1), 1)
        measured = np.isfinite(xyz.sum(-1))[..., None, None]
        noise = np.where(measured, covariance, 0.0).sum(1) / np.maximum(measured.sum(1), 1)
        ahead = np.where(common[..., None], xyz - predicted_xyz, 0.0).sum(1) / count[:, None]
        blocks = self._blocks[rows]
        fresh = ~np.isfinite(blocks[:, 0, 0, 0])
        # The root of a body whose joints were known is known well; of a new body nothing is known but the measurement.
        blocks[fresh] = np.stack([0.01 * _EYE, 0.0 * _EYE, _EYE])
        speed = np.where(fresh[:, None], velocity, self.velocity[rows])
        noise = _ALIKE_SETS * noise + 1e-6 * _EYE
        step, speed_step, blocks = corrected(blocks, ahead, noise, np.linalg.inv(blocks[:, 0] + noise))
        first = np.stack([noise, np.zeros_like(noise), np.broadcast_to(FIRST_SPEED_M_S**2 * _EYE, noise.shape)], 1)
        self._blocks[rows] = np.where(known[:, None, None, None], blocks, first)
        self.velocity[rows] = np.where(known[:, None], speed + speed_step, 0.0)
        return np.where(known[:, None], step - ahead, 0.0)
