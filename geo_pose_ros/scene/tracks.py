"""Bodies over time: identities that last, and a constant-velocity Kalman filter per joint.

State of a joint: position and velocity, 3 + 3. Between sets the velocity wanders as integrated white noise (Bar-Shalom,
Li, Kirubarajan 2001, section 6.2.2: the discretised continuous white-noise acceleration model); the solver's
covariance is the measurement's. A joint or body that is not measured is predicted for a while, then forgotten.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..config import TrackingConfig
from ..errors import ShapeError
from ..skeleton import FloatArray
from ..types import IntArray

_NS_PER_S = 1e9
# Velocity of a joint first seen, m/s: fast walking.
_FIRST_SPEED_M_S = 1.5
# A body whose joints have more variance than this (a standard deviation of 0.2 m) is placed along the ray of a lone
# view; it is taken as it is.
_SHARED_M2 = 0.04
# Squared Mahalanobis distance (3 degrees of freedom, 99.9 %) beyond which a measurement is trusted less.
_GATE = 16.3
_EYE = np.eye(3)


@dataclass(frozen=True, slots=True, eq=False)
class TrackedBodies:
    """What the tracker says about T bodies, the measured ones first and in the order given.

    Attributes:
        xyz: (T, J, 3) m, NaN = unknown.
        covariance: (T, J, 3, 3) m^2, NaN = unknown.
        body_ids: (T,) never used twice.
    """

    xyz: FloatArray
    covariance: FloatArray
    body_ids: IntArray


class Tracker:
    """Keeps the bodies of one scene; feed it every frame set in order of its stamp."""

    def __init__(self, config: TrackingConfig, joints: int) -> None:
        """Start with no body of ``joints`` joints."""
        self._config = config
        self._joints = joints
        self._next_id = 0
        self._clear()

    def _clear(self) -> None:
        n = self._joints
        self._stamp_ns: int | None = None
        self._ids: IntArray = np.zeros(0, np.int64)
        self._position = np.zeros((0, n, 3))
        self._velocity = np.zeros((0, n, 3))
        # Blocks of the 6x6 covariance: position, position-velocity, velocity; (T, 3, J, 3, 3).
        self._blocks = np.zeros((0, 3, n, 3, 3))
        self._age_s = np.zeros((0, n))

    @property
    def body_ids(self) -> IntArray:
        """(T,) the tracked bodies, in the order of ``predict``."""
        return self._ids

    def predict(self, stamp_ns: int) -> FloatArray:
        """Return where the tracked bodies are expected at ``stamp_ns``, (T, J, 3) m, NaN = unknown.

        Time that runs backwards forgets all bodies: a bag was started again, or a clock jumped.
        """
        dt_s = self._seconds_to(stamp_ns)
        predicted = self._position + (dt_s * self._velocity if self._config.enabled else 0.0)
        too_old = self._age_s + dt_s > max(self._config.max_gap_s, 1e-9)
        return np.where(too_old[..., None], np.nan, predicted)

    def _seconds_to(self, stamp_ns: int) -> float:
        """Return the seconds since the last update; forget everything if they are negative."""
        if self._stamp_ns is not None and stamp_ns < self._stamp_ns:
            self._clear()
        return 0.0 if self._stamp_ns is None else (stamp_ns - self._stamp_ns) / _NS_PER_S

    def update(self, stamp_ns: int, tracks: IntArray, xyz: FloatArray, covariance: FloatArray) -> TrackedBodies:
        """Take in the bodies measured at ``stamp_ns`` and return all that are known.

        Args:
            stamp_ns: acquisition time of the set.
            tracks: (B,) index into ``predict``'s bodies that each measured one continues, -1 for a new one.
            xyz: (B, J, 3) m, NaN = not measured.
            covariance: (B, J, 3, 3) m^2.

        Returns:
            The B measured bodies, smoothed and completed, then those predicted only (none with the filter off).

        Raises:
            ShapeError: if the arrays do not agree or name a body that is not tracked.
        """
        dt_s = self._seconds_to(stamp_ns)
        bodies = len(tracks)
        if xyz.shape != (bodies, self._joints, 3) or covariance.shape != (bodies, self._joints, 3, 3):
            raise ShapeError(
                f'Tracker: received {bodies} tracks, xyz {xyz.shape}, covariance {covariance.shape}; expected '
                f'(B, {self._joints}, 3) and (B, {self._joints}, 3, 3).'
            )
        continued = [track for track in tracks.tolist() if track >= 0]
        unmeasured = sorted(set(range(len(self._ids))).difference(continued))
        if len(continued) + len(unmeasured) != len(self._ids):
            raise ShapeError(
                f'Tracker: received tracks {tracks.tolist()}, expected each of {len(self._ids)} once or -1.'
            )
        self._advance(dt_s)
        self._stamp_ns = stamp_ns
        self._take(np.array([*tracks.tolist(), *unmeasured], np.int64))
        self._measure(xyz, covariance)
        # A joint is unknown in all its components or in none.
        known: NDArray[np.bool_] = np.isfinite(self._position[..., 0])
        alive = np.array(known.any(1))
        alive[:bodies] = True
        if not alive.all():
            self._take(np.flatnonzero(alive))
            known = np.asarray(known[alive])
        if not self._config.enabled:
            return TrackedBodies(xyz, covariance, self._ids[:bodies])
        return TrackedBodies(
            self._position.copy(), np.where(known[..., None, None], self._blocks[:, 0], np.nan), self._ids
        )

    def _advance(self, dt_s: float) -> None:
        """Predict every state by ``dt_s`` and forget joints not measured for longer than max_gap_s."""
        q = self._config.acceleration_noise**2 * _EYE
        self._position = self._position + dt_s * self._velocity
        pp, pv, vv = (self._blocks[:, k] for k in range(3))
        moved = pv + dt_s * vv
        self._blocks = np.stack([pp + dt_s * (moved + np.swapaxes(pv, -1, -2)), moved, vv], 1)
        self._blocks += np.array([dt_s**3 / 3.0, dt_s**2 / 2.0, dt_s])[:, None, None, None] * q
        self._age_s = self._age_s + dt_s
        self._position[self._age_s > max(self._config.max_gap_s, 1e-9)] = np.nan

    def _take(self, index: IntArray) -> None:
        """Keep the tracks of ``index`` in its order; -1 opens a new one."""
        if index.tolist() == list(range(len(self._ids))):
            return
        new = index < 0
        n, m = self._joints, len(index)
        kept = np.flatnonzero(~new)
        ids = np.full(m, -1)
        position, velocity = np.full((m, n, 3), np.nan), np.zeros((m, n, 3))
        blocks, age = np.zeros((m, 3, n, 3, 3)), np.zeros((m, n))
        for new_array, old in (
            (ids, self._ids), (position, self._position), (velocity, self._velocity), (blocks, self._blocks),
            (age, self._age_s),
        ):
            new_array[kept] = old[index[kept]]
        ids[new] = self._next_id + np.arange(int(new.sum()))
        self._next_id += int(new.sum())
        self._ids, self._position, self._velocity, self._blocks, self._age_s = ids, position, velocity, blocks, age

    def _measure(self, xyz: FloatArray, covariance: FloatArray) -> None:
        """Update the first len(xyz) tracks with measurements; a joint without a state starts at its measurement."""
        bodies = len(xyz)
        position, velocity = self._position[:bodies], self._velocity[:bodies]
        pp, pv, vv = (self._blocks[:bodies, k] for k in range(3))
        variance = covariance[..., 0, 0] + covariance[..., 1, 1] + covariance[..., 2, 2]
        # A sum is finite only if all its terms are.
        measured: NDArray[np.bool_] = np.asarray(np.isfinite(xyz.sum(-1) + variance))
        # The error of such a body is shared by its joints: smoothed each alone, they would bend it.
        known = np.isfinite(position[..., 0])
        known &= np.median(np.where(measured, variance, 0.0), axis=1, keepdims=True) <= _SHARED_M2
        both, fresh = (measured & known)[..., None], (measured & ~known)[..., None]

        noise = np.where(both[..., None], covariance, _EYE)
        innovation = np.where(both, xyz - position, 0.0)
        gain_base = np.linalg.inv(pp + noise)
        distance2 = (innovation * (gain_base @ innovation[..., None])[..., 0]).sum(-1)
        # A jump beyond the gate acts with a covariance inflated in proportion, as under a heavy-tailed noise.
        inflation = np.maximum(1.0, distance2 / _GATE)[..., None, None]
        if (inflation > 1.0).any():
            gain_base = np.linalg.inv(pp + inflation * noise)
        gain_base *= both[..., None]
        gain_p, gain_v = pp @ gain_base, np.swapaxes(pv, -1, -2) @ gain_base
        position += (gain_p @ innovation[..., None])[..., 0]
        velocity += (gain_v @ innovation[..., None])[..., 0]
        # Symmetric by construction: rounding that is not would grow without bound.
        blocks = self._blocks[:bodies]
        blocks[:, 0], blocks[:, 1], blocks[:, 2] = (
            _symmetric(pp - gain_p @ pp), pv - gain_p @ pv, _symmetric(vv - gain_v @ pv)
        )
        self._age_s[:bodies][measured] = 0.0
        if fresh.any():
            np.copyto(position, xyz, where=fresh)
            np.copyto(velocity, 0.0, where=fresh)
            np.copyto(blocks[:, 0], covariance, where=fresh[..., None])
            np.copyto(blocks[:, 1], 0.0, where=fresh[..., None])
            np.copyto(blocks[:, 2], _FIRST_SPEED_M_S**2 * _EYE, where=fresh[..., None])


def _symmetric(matrix: FloatArray) -> FloatArray:
    return 0.5 * (matrix + np.swapaxes(matrix, -1, -2))
