"""Joints over time: a constant-velocity Kalman filter per joint, quiet at rest and quick when the joint is.

State of a joint: position and velocity, 3 + 3. Between sets the velocity wanders as integrated white noise (Bar-Shalom,
Li, Kirubarajan 2001, section 6.2.2: the discretised continuous white-noise acceleration model). Its level is one of
two, chosen per joint by the innovation (ibid., 11.2: noise level switching): a hand that is thrown forward is not
smoothed as one that rests. The solver's random covariance is the measurement's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from ...arrays import BoolArray, FloatArray, IntArray
from ...fusion.table import Columns
from ...geometry.matrices import traces
from ..settings import TrackingConfig
from .constant_velocity import FIRST_SPEED_M_S, GATE, corrected, mahalanobis2, predicted, wander
from .root_filter import RootFilter

# A body whose joints have more variance than this (a standard deviation of 0.2 m) has a lone view: its root is
# filtered, its shape is taken as it is.
_SHARED_M2 = 0.04
# Innovations of a filter that keeps up point anywhere; their running mean (half of it new) has a third of their
# variance. Three times its squared Mahalanobis distance beyond which the joint moves more briskly than a quiet filter
# can follow (3 degrees of freedom, 99.9 %). A stray measurement alone does not get there.
_LAG_KEPT = 0.5
_BRISK = 16.3
# Joints of a body that nobody sees soon move as the body does, and the body comes to rest.
_STIFFENS_S = 0.1
_RESTS_S = 1.0
# Least standard deviation of a measurement, m.
_LEAST_M2 = 0.002**2
_EYE = np.eye(3)


class JointFilter(Columns):
    """The joints of T bodies.

    Attributes:
        position: (T, J, 3) m, NaN = unknown.
        velocity: (T, J, 3) m/s.
        covariance: (T, J, 3, 3) m^2 of ``position``, its random part.
        age_s: (T, J) since the joint was measured.
    """

    NEW: ClassVar[Mapping[str, float]] = {
        'position': np.nan, 'velocity': 0.0, '_blocks': 0.0, 'age_s': 0.0, '_lag': 0.0,
    }

    def __init__(self, config: TrackingConfig, joints: int) -> None:
        """Start with no body of ``joints`` joints."""
        self._config = config
        self.position: FloatArray = np.zeros((0, joints, 3))
        self.velocity: FloatArray = np.zeros((0, joints, 3))
        # Blocks of the 6x6 covariance: position, position-velocity, velocity.
        self._blocks: FloatArray = np.zeros((0, 3, joints, 3, 3))
        self.age_s: FloatArray = np.zeros((0, joints))
        # Running mean of the innovations.
        self._lag: FloatArray = np.zeros((0, joints, 3))
        # Of bodies of lone views.
        self._root = RootFilter()
        self._dt_s = 0.0

    def __len__(self) -> int:
        return len(self.position)

    @property
    def covariance(self) -> FloatArray:
        """See the class."""
        return self._blocks[:, 0]

    def take(self, index: IntArray) -> None:
        """Keep the bodies of ``index`` (T',) in its order; -1 opens a new one, whose joints are unknown."""
        super().take(index)
        self._root.take(index)

    def restart(self, rows: IntArray) -> None:
        """Forget the joints of ``rows``: their bodies are found elsewhere."""
        self.position[rows] = np.nan
        self._root.forget(rows)

    def predict(self, dt_s: float, unseen: BoolArray) -> None:
        """Predict all bodies by ``dt_s``; those ``unseen`` (T,) in the last set move as a whole, and slow down."""
        self._dt_s = dt_s
        if not len(self) or dt_s <= 0.0:
            return
        if unseen.any():
            velocity = self.velocity[unseen]
            mean = velocity.mean(1, keepdims=True)
            own = np.exp(-dt_s / _STIFFENS_S) * (velocity - mean)
            self.velocity[unseen] = own + np.exp(-dt_s / _RESTS_S) * mean
        self.position = self.position + dt_s * self.velocity
        self._blocks = predicted(self._blocks, dt_s, self._config.acceleration_noise)
        self.age_s = self.age_s + dt_s
        self._root.predict(dt_s)

    def velocity_given(self, rows: IntArray, xyz: FloatArray, noise: FloatArray) -> FloatArray:
        """Return (B, J, 3) m/s, what the velocity of the bodies ``rows`` (B,) would be once measured; see ``update``.

        Joints that are not measured or have no state keep their velocity.
        """
        pp, pv = self._blocks[rows, 0], self._blocks[rows, 1]
        innovation = xyz - self.position[rows]
        both = np.isfinite(innovation.sum(-1) + noise[..., 0, 0])[..., None]
        noise = np.where(both[..., None], noise, _EYE) + _LEAST_M2 * _EYE
        gain_base = np.linalg.inv(pp + noise)
        innovation = np.where(both, innovation, 0.0)
        brisk = 3.0 * mahalanobis2(innovation, gain_base) > _BRISK
        if brisk.any():
            quick = self._quick()
            more = brisk[..., None, None]
            pp, pv = pp + more * quick[0], pv + more * quick[1]
            gain_base = np.linalg.inv(pp + noise)
        moved: FloatArray = (np.swapaxes(pv, -1, -2) @ (gain_base @ innovation[..., None]))[..., 0]
        return self.velocity[rows] + moved

    def _quick(self) -> FloatArray:
        """Return what a brisk joint's blocks grow by more than a quiet one's, (3, 1, 3, 3)."""
        quiet, fast = self._config.acceleration_noise, self._config.acceleration_noise_fast
        return (wander(self._dt_s, fast) - wander(self._dt_s, quiet))[:, None]

    def update(self, xyz: FloatArray, noise: FloatArray, covariance: FloatArray) -> None:
        """Measure the first B bodies; a joint without a state starts at its measurement.

        Args:
            xyz: (B, J, 3) m, NaN = not measured.
            noise: (B, J, 3, 3) m^2, the random part of ``covariance``.
            covariance: (B, J, 3, 3) m^2 of ``xyz``.
        """
        bodies = len(xyz)
        position, velocity, blocks = self.position[:bodies], self.velocity[:bodies], self._blocks[:bodies]
        variance = traces(covariance)
        # A sum is finite only if all its terms are.
        measured: BoolArray = np.asarray(np.isfinite(xyz.sum(-1) + variance))
        known = np.isfinite(position[..., 0])
        # The error of such a body is shared by its joints: smoothed each alone, they would bend it.
        lone = np.median(np.where(measured, variance, 0.0), axis=1) > _SHARED_M2
        known &= ~lone[:, None]
        rows = np.flatnonzero(lone)
        self._root.forget(np.flatnonzero(~lone))
        if len(rows):
            offset = self._root.update(rows, xyz[rows], covariance[rows], position[rows], velocity[rows].mean(1))
            xyz = xyz.copy()
            xyz[rows] += offset[:, None]
        both, fresh = measured & known, (measured & ~known)[..., None]
        noise = np.where(measured[..., None, None], noise, _EYE) + _LEAST_M2 * _EYE
        innovation = np.where(both[..., None], xyz - position, 0.0)
        information = np.linalg.inv(blocks[:, 0] + noise)
        lag = self._lag[:bodies]
        within = np.sqrt(GATE / np.maximum(mahalanobis2(innovation, information), GATE))[..., None]
        lag += (1.0 - _LAG_KEPT) * (within * innovation - lag)
        brisk = both & (3.0 * mahalanobis2(lag, information) > _BRISK)
        if brisk.any():
            blocks += brisk[:, None, :, None, None] * self._quick()
            information = np.linalg.inv(blocks[:, 0] + noise)
        step, speed_step, blocks[...] = corrected(blocks, innovation, noise, information, both)
        position += step
        velocity += speed_step
        self.age_s[:bodies][measured] = 0.0
        if fresh.any():
            np.copyto(position, xyz, where=fresh)
            np.copyto(velocity, 0.0, where=fresh)
            np.copyto(blocks[:, 0], noise, where=fresh[..., None])
            np.copyto(blocks[:, 1], 0.0, where=fresh[..., None])
            np.copyto(blocks[:, 2], FIRST_SPEED_M_S**2 * _EYE, where=fresh[..., None])
        velocity[rows] = self._root.velocity[rows][:, None]
