# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Joints of bodies beyond body17: feet, hands and faces, as far as a detector gives them.

Whose they are is decided by body17, and so are their sides: the foot goes with the leg. They are triangulated without a
lifter, held by the lengths of their own bones, and filtered as body17's are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

import numpy as np

from ..arrays import FloatArray, IntArray
from ..fusion.left_right import limbs_of
from ..fusion.prior import BodyPrior
from ..fusion.settings import SolverConfig
from ..fusion.solver import Solution, solve
from ..fusion.table import Columns
from ..fusion.views import BodyViews, Noise
from ..geometry.stats import nan_mean
from ..skeleton import BODY17, Skeleton, anchors, mirror_of
from .bones import BoneLengths
from .joint_filter import JointFilter
from .kernels.bones import hold_lengths
from .measurement import Measured, find_displacement
from .observation import Observation
from .settings import TrackingConfig
from .tracks import Tracks, rows_of

_FIRST = len(BODY17)


class FurtherJoints(Columns):
    """The K further joints of the T tracks of a scene.

    Attributes:
        ids: (T,) of the tracks, in their order.
        systematic: (T, K, 3, 3) m^2, the part of the covariance that does not change from set to set.
        filter: the joints.
        measured: those of the last set's bodies, which are the first tracks, and the confidence of their keypoints.
    """

    NEW: ClassVar[Mapping[str, float]] = {'ids': -1, 'systematic': 0.0}

    def __init__(self, skeleton: Skeleton, tracking: TrackingConfig, solver: SolverConfig) -> None:
        """Start with no body; the joints of ``skeleton`` after body17's."""
        count = len(skeleton) - _FIRST
        self._tracking, self._solver = tracking, solver
        self._anchors: IntArray = anchors(skeleton)[_FIRST:]
        self._bones = BoneLengths(skeleton, _FIRST)
        # By limb group, what hangs from it, and its mirror images.
        hung = [limb[limb >= _FIRST] for limb in limbs_of(skeleton)]
        self._limbs = [(joints - _FIRST, mirror_of(skeleton)[joints] - _FIRST) for joints in hung]
        self.ids: IntArray = np.zeros(0, np.int64)
        self.systematic: FloatArray = np.zeros((0, count, 3, 3))
        self.filter = JointFilter(tracking, count)
        self.measured: tuple[Solution, FloatArray]

    def take(self, index: IntArray) -> None:
        """Keep the rows ``index`` (T',) in its order; -1 opens a new one."""
        super().take(index)
        self.filter.take(index)

    def update(
        self, observation: Observation, measured: Measured, tracks: Tracks, noise: Noise, dt_s: float
    ) -> None:
        """Take in a set.

        Args:
            observation: of the set.
            measured: its people, who are the first of the ``tracks``.
            tracks: after the set.
            noise: of the views.
            dt_s: since the last set.
        """
        self.take(rows_of(self.ids, tracks.ids))
        self.ids = tracks.ids.copy()
        self.filter.predict(dt_s, tracks.unseen_s > 0.0, tracks.centre_variance < np.inf)
        self.filter.position[self.filter.age_s > max(self._tracking.max_gap_s, 1e-9)] = np.nan
        views, weights = self._views(observation, measured)
        weights = replace(noise, joints=None).applied(weights, observation.cameras.focal_px)
        solution = self._solve(observation, measured, views, weights, noise)
        xyz, covariance, random = self._hold(measured, solution, tracks)
        self.filter.update(xyz, random, covariance)
        self._hold_filtered(tracks)
        known = np.isfinite(covariance)
        self.systematic[: len(xyz)][known] = (covariance - random)[known]
        self.measured = solution._replace(xyz=xyz, covariance=covariance), views.confidence

    def _views(self, observation: Observation, measured: Measured) -> tuple[BodyViews, FloatArray]:
        """Return the joints' keypoints, on the sides that body17's views have, and their weights, 1/px."""
        body = measured.estimate.views
        further = (observation.further or observation.detections).gather(measured.views)
        for group, (joints, mirrored) in zip(measured.estimate.exchanged, self._limbs, strict=True):
            view, row = np.nonzero(group)
            for values in (further.xn, further.confidence):
                values[view[:, None], row[:, None], joints] = values[view[:, None], row[:, None], mirrored]
        whole = BodyViews(
            np.concatenate([body.xn, further.xn], 2), np.concatenate([body.confidence, further.confidence], 2)
        )
        weights = whole.weights(observation.cameras.focal_px, self._solver.noise_px)
        return further, np.ascontiguousarray(weights[..., _FIRST:])

    def _solve(
        self, observation: Observation, measured: Measured, views: BodyViews, weights: FloatArray, noise: Noise
    ) -> Solution:
        """Return the joints, triangulated; a view's instant is that of its anchor in body17."""
        cameras = observation.cameras
        prior = BodyPrior(
            centre=nan_mean(measured.estimate.solution.xyz, 1),
            displacement=find_displacement(cameras, np.ascontiguousarray(measured.velocity[:, self._anchors])),
        )
        return solve(cameras.cam_from_world, cameras.focal_px, views.xn, weights, self._solver, prior, noise)

    def _hold(
        self, measured: Measured, solution: Solution, tracks: Tracks
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return the joints with the bone lengths that are known, their covariance and its random part; learn lengths.

        Returns:
            (B, K, 3) m, (B, K, 3, 3) m^2 and (B, K, 3, 3) m^2.
        """
        body, ids = measured.estimate.solution, tracks.ids[: len(measured)]
        xyz, covariance, random = (
            np.concatenate(both, 1) for both in (
                (body.xyz, solution.xyz), (body.covariance, solution.covariance),
                (body.random_covariance, solution.random_covariance),
            )
        )
        known = self._bones.prior(ids)
        self._bones.learn(ids, tracks.ids, xyz, covariance)
        if known is not None:
            hold_lengths(self._bones.edges, np.stack([known.length, known.variance]), _FIRST, xyz, covariance, random)
        xyz, covariance, random = (np.ascontiguousarray(array[:, _FIRST:]) for array in (xyz, covariance, random))
        return xyz, covariance, random

    def _hold_filtered(self, tracks: Tracks) -> None:
        """Move the filtered joints to the bone lengths: they hang from joints whose filters answer otherwise.

        The state of a filter under a constraint: Simon, "Kalman filtering with state constraints", 2010. The covariance
        stays, as the lengths counted in it already.
        """
        known = self._bones.prior(self.ids)
        if known is None:
            return
        xyz = np.concatenate([tracks.filter.position, self.filter.position], 1)
        covariance = np.concatenate([tracks.filter.covariance, self.filter.covariance], 1)
        lengths = np.stack([known.length, known.variance])
        hold_lengths(self._bones.edges, lengths, _FIRST, xyz, covariance, covariance.copy())
        self.filter.position[:] = xyz[:, _FIRST:]
