# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Tracks: identities that last, how well established each is, and where it is predicted.

A track begins tentative and is confirmed when enough of the cameras that should see it do; only confirmed ones are
published. One that nobody sees any more is predicted where it was going, slower and slower, and published for a while;
after that it is only remembered, so that the person who comes back is the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from ..arrays import NS_PER_S, BoolArray, FloatArray, IntArray
from ..errors import ShapeError
from ..fusion.solver import Solution
from ..fusion.table import Columns
from .joint_filter import JointFilter
from .kernels import tracks as kernels
from .kernels.pairing import PairMemory
from .settings import TrackingConfig

# Below this, m^2, of ``centre_variance`` two views placed a body within the last 0.25 s: the second missed it.
_BRIEF_M2 = kernels.CENTRE_M2 + 0.25 * kernels.CENTRE_GROWTH_M2_S


def rows_of(ids: IntArray, wanted: IntArray) -> IntArray:
    """Return (N,) where each of the bodies ``wanted`` (N,) is among ``ids`` (T,); -1 where it is not."""
    rows = np.empty(len(wanted), np.int64)
    kernels.find_rows(ids, wanted, rows)
    return rows


class Tracks(Columns):
    """The T bodies of one scene, tentative and remembered ones included.

    Attributes:
        ids: (T,) never used twice.
        confirmed: (T,) bool.
        detection_rate: (T,) in [0, 1], share of the cameras that should see it that do, averaged over the last sets.
        sets: (T,) in how many sets it was measured.
        unseen_s: (T,) since it was measured.
        age_s: (T,) since it was first measured.
        views: (T,) cameras that saw it when it was measured last.
        centre_variance: (T,) m^2 of the mean of its joints, per axis.
        dt_s: from the set before to this one.
        systematic: (T, J, 3, 3) m^2, the part of its joints' covariance that does not change from set to set.
        filter: its joints.
    """

    NEW: ClassVar[Mapping[str, float]] = {
        'ids': -1, 'confirmed': False, 'detection_rate': 0.0, 'sets': 0, 'unseen_s': 0.0, 'age_s': 0.0, 'views': 0,
        'centre_variance': np.inf, 'systematic': 0.0, '_held': 0.0, '_gain': 0.0,
    }

    def __init__(self, config: TrackingConfig, joints: int) -> None:
        """Start with no body of ``joints`` joints."""
        self._config = config
        self._joints = joints
        self.limits = kernels.TrackLimits(
            config.max_gap_s, config.remember_s, config.tentative_s, config.confirm_sets, config.confirm_s,
            config.max_sigma_m, config.enabled,
        )
        self._next_id = 0
        self.reset()

    def reset(self) -> None:
        """Forget everybody; ids go on."""
        self.stamp_ns: int | None = None
        self.dt_s = 0.0
        self._held: FloatArray = np.zeros((0, 0))
        self._gain: FloatArray = np.zeros(0)
        # How well pairs of views fit in this rig, see ``kernels.pairing.PairMemory``.
        self.usual_fit: FloatArray = np.zeros(2)
        self.ids: IntArray = np.zeros(0, np.int64)
        self.confirmed: BoolArray = np.zeros(0, bool)
        self.detection_rate: FloatArray = np.zeros(0)
        self.sets: IntArray = np.zeros(0, np.int64)
        self.unseen_s: FloatArray = np.zeros(0)
        self.age_s: FloatArray = np.zeros(0)
        self.views: IntArray = np.zeros(0, np.int64)
        self.centre_variance: FloatArray = np.zeros(0)
        self.systematic: FloatArray = np.zeros((0, self._joints, 3, 3))
        self.filter = JointFilter(self._config, self._joints)

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        who = ', '.join(
            f'{i}{"" if c else "?"} ({v} views, {s:.2f}{f", unseen {u:.1f} s" if u else ""})'
            for i, c, v, s, u in zip(
                self.ids.tolist(), self.confirmed.tolist(), self.views.tolist(), self.detection_rate.tolist(),
                self.unseen_s.tolist(), strict=True,
            )
        )
        return f'Tracks({who})'

    @property
    def columns(self) -> kernels.TrackColumns:
        """The arrays, as kernels take them."""
        return kernels.TrackColumns(
            self.ids, self.confirmed, self.detection_rate, self.sets, self.unseen_s, self.age_s, self.views,
            self.centre_variance, self.systematic,
        )

    def pairing(self, cameras: int) -> PairMemory:
        """Return what is remembered of the views of all bodies in so many ``cameras``, to be written."""
        if self._held.shape[1] != cameras:
            self._held = np.zeros((len(self), cameras))
        return PairMemory(self._held, self._gain, self.usual_fit, np.zeros(len(self), bool))

    def restart(self, tracks: BoolArray) -> None:
        """Forget where ``tracks`` (T,) are: they have other views from now on."""
        if tracks.any():
            self.filter.restart(np.flatnonzero(tracks))
            self.centre_variance[tracks] = np.inf

    @property
    def lost(self) -> BoolArray:
        """(T,) the tracks that are only remembered."""
        return np.asarray(self.unseen_s > self._config.max_gap_s)

    @property
    def present(self) -> int:
        """How many are more than remembered."""
        return int((self.unseen_s <= self._config.max_gap_s).sum())

    def predict(self, stamp_ns: int) -> float:
        """Predict everybody to ``stamp_ns``; return the seconds since the last set.

        Time that runs backwards forgets all bodies: a bag was started again, or a clock jumped.
        """
        if self.stamp_ns is not None and stamp_ns < self.stamp_ns:
            self.reset()
        self.dt_s = dt_s = 0.0 if self.stamp_ns is None else (stamp_ns - self.stamp_ns) / NS_PER_S
        self.filter.predict(dt_s, self.unseen_s > 0.0, self.centre_variance < np.inf)
        self.stamp_ns = stamp_ns
        kept = np.empty(len(self), bool)
        if kernels.age_tracks(self.columns, self.filter.joints, self.limits, dt_s, kept) < len(self):
            self.take(np.flatnonzero(kept))
        return dt_s

    def leave(self, tracks: BoolArray) -> None:
        """Only remember ``tracks`` (T,) from now on: they are no longer predicted or published."""
        self.unseen_s = np.where(tracks, np.nextafter(self._config.max_gap_s, np.inf), self.unseen_s)

    def predicted(self) -> FloatArray:
        """Return the predicted joints (T, J, 3) m; NaN where a body is only remembered."""
        if not self.lost.any():
            return self.filter.position
        return np.where(self.lost[:, None, None], np.nan, self.filter.position)

    def priority(self) -> FloatArray:
        """Return (T,) in (0, 1], how well established each body is beside others in the assignment."""
        priority = np.empty(len(self))
        kernels.priorities(self.columns, priority)
        return priority

    def by_seniority(self) -> IntArray:
        """Return the tracks, the senior ones first: confirmed before tentative, old before young."""
        return np.lexsort((self.ids, ~self.confirmed))

    def sigma_m(self) -> FloatArray:
        """Return (T,) m the standard deviation of each body's joints, per axis: the median of the random part."""
        sigma_m = np.empty(len(self))
        kernels.sigmas(self.filter.joints, sigma_m)
        return sigma_m

    def joint_sigma_m(self, rows: IntArray) -> FloatArray:
        """Return (N, J) m the standard deviation of each joint of the tracks ``rows`` (N,), per axis."""
        sigma_m = np.empty((len(rows), self._joints))
        kernels.joint_sigmas(self.filter.joints, self.systematic, rows, sigma_m)
        return sigma_m

    def take(self, index: IntArray) -> None:
        """Keep the tracks of ``index`` in its order; -1 opens a new one."""
        if index.tolist() == list(range(len(self))):
            return
        super().take(index)
        self.filter.take(index)
        new = index < 0
        fresh = int(new.sum())
        self.ids[new] = self._next_id + np.arange(fresh)
        self._next_id += fresh

    def update(
        self, tracks: IntArray, solution: Solution, views: IntArray, detection_rate: FloatArray, alone: bool
    ) -> None:
        """Take in the bodies measured now; they come first from here on, in the order given.

        Args:
            tracks: (B,) the track that each body continues, -1 for a new one.
            solution: their joints.
            views: (B,) cameras that see each.
            detection_rate: (B,) share of the cameras that should see it that do.
            alone: no camera sees more than one person, so that there is nobody to be confused with.

        Raises:
            ShapeError: if the arrays do not agree or name a track twice.
        """
        xyz, covariance, bodies = solution.xyz, solution.covariance, len(tracks)
        if xyz.shape != (bodies, self._joints, 3) or covariance.shape != (bodies, self._joints, 3, 3):
            raise ShapeError(
                f'Tracks: received {bodies} tracks, xyz {xyz.shape}, covariance {covariance.shape}; expected '
                f'(B, {self._joints}, 3) and (B, {self._joints}, 3, 3).'
            )
        given = tracks.tolist()
        continued = {track for track in given if track >= 0}
        others = [track for track in range(len(self)) if track not in continued]
        if len(self) - len(others) + given.count(-1) != bodies:
            raise ShapeError(f'Tracks: received {given}, expected each of {len(self)} once or -1.')
        self.take(np.array([*given, *others], np.int64))
        # A body that was only remembered starts anew where it is found.
        self.filter.restart(np.flatnonzero(self.lost[:bodies]))
        lone = views == 1
        # The error along the ray is the prediction's: nothing that a filter may average.
        brief = lone & (self.centre_variance[:bodies] < _BRIEF_M2)
        noise = np.where(brief[:, None, None, None], covariance, solution.random_covariance)
        self.filter.update(xyz, noise, covariance, lone & ~brief)
        evidence = kernels.Evidence(views, detection_rate, solution.inlier, alone)
        kernels.update_tracks(self.columns, covariance, solution.random_covariance, evidence, self.limits)
