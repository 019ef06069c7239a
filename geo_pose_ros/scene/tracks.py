"""Who is in the scene: identities that last, how well established each is, and where it is expected.

A track begins tentative and is confirmed when enough of the cameras that should see it do; only confirmed ones are
published. One that nobody sees any more is expected where it was going, slower and slower, and published as a
prediction for a while; after that it is only remembered, so that the person who comes back is the same.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..arrays import FloatArray, IntArray
from ..errors import ShapeError
from ..geometry.matrices import traces
from .filters.joint_filter import JointFilter
from .settings import TrackingConfig

_NS_PER_S = 1e9
# Time over which standing is averaged.
_STANDING_S = 0.5
# A tentative track that is not seen again for so long was nothing.
_TENTATIVE_S = 0.3
# One that few cameras see is confirmed when it has been seen so often too: at low rates, confirm_s is a set or two.
_LASTED_SETS = 5
# Variance of where a body is after two views have seen it, m^2, and how it grows while they do not, m^2/s: one view, or
# the lifter's idea of a body's size, does not say how far away somebody is.
_LEAST_PLACED = 4
_PLACED_M2 = 0.05**2
_STRAYS_M2_S = 0.08


class Tracks:
    """The T bodies of one scene, tentative and remembered ones included.

    Attributes:
        ids: (T,) never used twice.
        confirmed: (T,) bool.
        standing: (T,) in [0, 1], share of the cameras that should see it that do, averaged over the last sets.
        sets: (T,) in how many sets it was measured.
        unseen_s: (T,) since it was measured.
        views: (T,) cameras that saw it when it was measured last.
        place_variance: (T,) m^2 of the middle of its joints, per axis.
        lasting: (T, J, 3, 3) m^2, the part of its joints' covariance that does not change from set to set.
        filter: its joints.
    """

    def __init__(self, config: TrackingConfig, joints: int) -> None:
        """Start with no body of ``joints`` joints."""
        self._config = config
        self._joints = joints
        self._next_id = 0
        self._clear()

    def _clear(self) -> None:
        self.stamp_ns: int | None = None
        self.ids: IntArray = np.zeros(0, np.int64)
        self.confirmed = np.zeros(0, bool)
        self.standing = np.zeros(0)
        self.sets = np.zeros(0, np.int64)
        self.unseen_s = np.zeros(0)
        self.views = np.zeros(0, np.int64)
        self.place_variance = np.zeros(0)
        self.lasting = np.zeros((0, self._joints, 3, 3))
        self.filter = JointFilter(self._config, self._joints)
        self._born_s = np.zeros(0)

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        who = ', '.join(
            f'{i}{"" if c else "?"} ({v} views, {s:.2f}{f", unseen {u:.1f} s" if u else ""})'
            for i, c, v, s, u in zip(
                self.ids.tolist(), self.confirmed.tolist(), self.views.tolist(), self.standing.tolist(),
                self.unseen_s.tolist(), strict=True,
            )
        )
        return f'Tracks({who})'

    def reset(self) -> None:
        """Forget everybody; ids go on."""
        self._clear()

    @property
    def lost(self) -> NDArray[np.bool_]:
        """(T,) those that are only remembered."""
        return np.asarray(self.unseen_s > self._config.max_gap_s)

    def advance(self, stamp_ns: int) -> float:
        """Predict everybody to ``stamp_ns``; return the seconds since the last set.

        Time that runs backwards forgets all bodies: a bag was started again, or a clock jumped.
        """
        if self.stamp_ns is not None and stamp_ns < self.stamp_ns:
            self._clear()
        dt_s = 0.0 if self.stamp_ns is None else (stamp_ns - self.stamp_ns) / _NS_PER_S
        self.filter.advance(dt_s, self.unseen_s > 0.0)
        self.stamp_ns = stamp_ns
        self.unseen_s = self.unseen_s + dt_s
        self._born_s = self._born_s + dt_s
        self.place_variance = self.place_variance + _STRAYS_M2_S * dt_s
        gone = self.unseen_s > np.where(self.confirmed, self._config.remember_s, _TENTATIVE_S)
        # A joint that is not measured though its body is.
        self.filter.position[(self.filter.age_s > max(self._config.max_gap_s, 1e-9)) & ~self.lost[:, None]] = np.nan
        gone |= ~np.isfinite(self.filter.position[..., 0]).any(1)
        if gone.any():
            self.take(np.flatnonzero(~gone))
        return dt_s

    def expected(self) -> FloatArray:
        """Return (T, J, 3) m where detections of each body may be found now; NaN where it is only remembered."""
        if not self.lost.any():
            return self.filter.position
        return np.where(self.lost[:, None, None], np.nan, self.filter.position)

    def priority(self) -> FloatArray:
        """Return (T,) in (0, 1], how much a body's claim to a detection counts beside others'."""
        sure = np.where(self.confirmed, 1.0, 0.5) * np.where(self.unseen_s > 0.15, 0.6, 1.0)
        return np.asarray(sure * np.clip(self.standing, 0.2, 1.0))

    def sigma_m(self) -> FloatArray:
        """Return (T,) m how far off a joint of each body is predicted, per axis: the median of its fleeting part."""
        if not len(self):
            return np.zeros(0)
        variance: FloatArray = np.median(traces(self.filter.covariance), 1) / 3.0
        return np.sqrt(variance)

    def take(self, index: IntArray) -> None:
        """Keep the tracks of ``index`` in its order; -1 opens a new one."""
        if index.tolist() == list(range(len(self))):
            return
        new = index < 0
        old = np.where(new, 0, index)
        fresh = int(new.sum())
        for name, value in (
            ('ids', 0), ('confirmed', False), ('standing', 0.0), ('sets', 0), ('unseen_s', 0.0), ('views', 0),
            ('place_variance', np.inf), ('lasting', 0.0), ('_born_s', 0.0),
        ):
            array = getattr(self, name)
            taken = array[old] if len(array) else np.zeros((len(index), *array.shape[1:]), array.dtype)
            taken[new] = value
            setattr(self, name, taken)
        self.ids[new] = self._next_id + np.arange(fresh)
        self._next_id += fresh
        self.filter.take(index)

    def update(
        self,
        tracks: IntArray,
        xyz: FloatArray,
        covariance: FloatArray,
        fleeting: FloatArray,
        views: IntArray,
        num_views: IntArray,
        standing: FloatArray,
        alone: bool,
    ) -> None:
        """Take in the bodies measured now; they come first from here on, in the order given.

        Args:
            tracks: (B,) the track that each measured body continues, -1 for a new one.
            xyz: (B, J, 3) m, NaN = not measured.
            covariance: (B, J, 3, 3) m^2.
            fleeting: (B, J, 3, 3) m^2, the part of ``covariance`` that is new in every set.
            views: (B,) cameras that see each.
            num_views: (B, J) that support each joint.
            standing: (B,) share of the cameras that should see it that do.
            alone: no camera sees more than one person, so that there is nobody to be confused with.

        Raises:
            ShapeError: if the arrays do not agree or name a track twice.
        """
        bodies = len(tracks)
        if xyz.shape != (bodies, self._joints, 3) or covariance.shape != (bodies, self._joints, 3, 3):
            raise ShapeError(
                f'Tracks: received {bodies} tracks, xyz {xyz.shape}, covariance {covariance.shape}; expected '
                f'(B, {self._joints}, 3) and (B, {self._joints}, 3, 3).'
            )
        continued = [track for track in tracks.tolist() if track >= 0]
        others = sorted(set(range(len(self))).difference(continued))
        if len(continued) + len(others) != len(self):
            raise ShapeError(f'Tracks: received {tracks.tolist()}, expected each of {len(self)} once or -1.')
        self.take(np.array([*tracks.tolist(), *others], np.int64))
        # Who was remembered only is wherever it is found.
        self.filter.restart(np.flatnonzero(self.lost[:bodies]))
        self.filter.update(xyz, fleeting, covariance)
        self.lasting[:bodies] = np.where(np.isfinite(covariance), covariance - fleeting, self.lasting[:bodies])
        since_s = self.unseen_s[:bodies]
        kept = np.where(self.sets[:bodies] > 0, np.exp(-since_s / _STANDING_S), 0.0)
        self.standing[:bodies] = kept * self.standing[:bodies] + (1.0 - kept) * standing
        self.sets[:bodies] += 1
        self.views[:bodies] = views
        placed = (num_views >= 2).sum(1) >= _LEAST_PLACED
        self.place_variance[:bodies][placed] = _PLACED_M2
        self.unseen_s[:bodies] = 0.0
        self.confirmed[:bodies] |= self._convincing(views, alone)

    def _convincing(self, views: IntArray, alone: bool) -> NDArray[np.bool_]:
        """Return which of the measured bodies (B,) are somebody."""
        bodies = len(views)
        sets, standing = self.sets[:bodies], self.standing[:bodies]
        at_once = (standing >= 0.75) & ((views >= 3) | alone)
        soon = (sets >= self._config.confirm_sets) & (standing >= 0.5)
        lasted = (sets >= _LASTED_SETS) & (self._born_s[:bodies] >= self._config.confirm_s)
        return np.asarray(at_once | soon | lasted)
