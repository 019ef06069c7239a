# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Joints over time: a constant-velocity Kalman filter per joint, quiet at rest and quick when the joint is.

State of a joint: position and velocity, 3 + 3. Between sets the velocity wanders as integrated white noise (Bar-Shalom,
Li, Kirubarajan 2001, section 6.2.2: the discretised continuous white-noise acceleration model). Its level is one of
two, chosen per joint by the innovation (ibid., 11.2: noise level switching): a hand that is thrown forward is not
smoothed as one that rests. The solver's random covariance is the measurement's.

The joints of a body that only a lone view sees share one error along the view's ray. Filtered one by one they would
bend the body; unfiltered the body jumps along the ray from set to set. There only the offset of the whole body, its
root, is filtered; the shape is the measurement's. ``kernels.filters`` has the arithmetic.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from ..arrays import BoolArray, FloatArray, IntArray
from ..fusion.table import Columns
from .kernels.filters import JointStates, predict_joints, update_joints, velocities_given
from .settings import TrackingConfig


class JointFilter(Columns):
    """The joints of T bodies.

    Attributes:
        position: (T, J, 3) m, NaN = unknown.
        velocity: (T, J, 3) m/s.
        covariance: (T, J, 3, 3) m^2 of ``position``, its random part.
        age_s: (T, J) since the joint was measured.
    """

    NEW: ClassVar[Mapping[str, float]] = {
        'position': np.nan, 'velocity': 0.0, '_blocks': 0.0, 'age_s': 0.0, '_lag': 0.0, '_root_velocity': 0.0,
        '_root_blocks': np.nan,
    }

    def __init__(self, config: TrackingConfig, joints: int) -> None:
        """Start with no body of ``joints`` joints."""
        self._config = config
        # See ``kernels.filters.JointStates``.
        self.position: FloatArray = np.zeros((0, joints, 3))
        self.velocity: FloatArray = np.zeros((0, joints, 3))
        self._blocks: FloatArray = np.zeros((0, joints, 3, 3, 3))
        self.age_s: FloatArray = np.zeros((0, joints))
        self._lag: FloatArray = np.zeros((0, joints, 3))
        self._root_velocity: FloatArray = np.zeros((0, 3))
        self._root_blocks: FloatArray = np.zeros((0, 3, 3, 3))
        self._dt_s = 0.0

    def __len__(self) -> int:
        return len(self.position)

    @property
    def covariance(self) -> FloatArray:
        """See the class."""
        return self._blocks[:, :, 0]

    @property
    def joints(self) -> JointStates:
        """The arrays, as kernels take them."""
        return JointStates(
            self.position, self.velocity, self._blocks, self.age_s, self._lag, self._root_velocity, self._root_blocks
        )

    def restart(self, rows: IntArray) -> None:
        """Forget the joints of ``rows``: their bodies are found elsewhere."""
        self.position[rows] = np.nan
        self._root_blocks[rows] = np.nan

    def predict(self, dt_s: float, unseen: BoolArray, placed: BoolArray) -> None:
        """Predict all bodies by ``dt_s``; those ``unseen`` (T,) in the last set move as a whole, and slow down.

        So do those that a lone view sees, if two views ever ``placed`` (T,) them.
        """
        self._dt_s = dt_s
        if dt_s > 0.0:
            predict_joints(self.joints, unseen, placed, dt_s, self._config.acceleration_noise**2)

    def velocity_given(self, rows: IntArray, xyz: FloatArray, noise: FloatArray) -> FloatArray:
        """Return (B, J, 3) m/s, what the velocity of the bodies ``rows`` (B,) would be once measured; see ``update``.

        Joints that are not measured or have no state keep their velocity.
        """
        velocity = np.empty(xyz.shape)
        xyz, noise = np.ascontiguousarray(xyz), np.ascontiguousarray(noise)
        velocities_given(self.joints, rows, xyz, noise, self._quick(), velocity)
        return velocity

    def _quick(self) -> FloatArray:
        """Return what the diagonals of a brisk joint's blocks grow by more than a quiet one's, (3,)."""
        dt_s, config = self._dt_s, self._config
        more = config.acceleration_noise_fast**2 - config.acceleration_noise**2
        return np.array((more * dt_s**3 / 3.0, more * dt_s**2 / 2.0, more * dt_s))

    def update(
        self, xyz: FloatArray, noise: FloatArray, covariance: FloatArray, lone_view: BoolArray | None = None
    ) -> None:
        """Measure the first B bodies; a joint without a state starts at its measurement.

        Args:
            xyz: (B, J, 3) m, NaN = not measured.
            noise: (B, J, 3, 3) m^2, the random part of ``covariance``.
            covariance: (B, J, 3, 3) m^2 of ``xyz``.
            lone_view: (B,) whether only one camera sees the body; None: as far as the covariance shows it.
        """
        lone_view = np.zeros(len(xyz), bool) if lone_view is None else lone_view
        xyz, noise, covariance = (np.ascontiguousarray(array) for array in (xyz, noise, covariance))
        update_joints(self.joints, xyz, noise, covariance, lone_view, self._quick())
