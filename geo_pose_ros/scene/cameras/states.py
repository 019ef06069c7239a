# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""What is known of each camera from the bodies it sees: its noise, what all its joints share, its clock, its drift.

Everything comes from the residuals of keypoints that were assigned to a body, inliers or not. The residuals of one view
of one body have a mean, which its joints share (calibration, the detector's bias), and a scatter about it, the
keypoints' noise. Redundancy is counted: n views of a joint have 2n residuals but 2n - 3 degrees of freedom. Each joint
has a noise of its own: views agree less about hips and noses than about joints that are means of others. What of the
scatter is still there a moment later is no noise that a filter may average: a detector's bias of a joint in a view, and
what a calibration error does beyond a shift.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from ...arrays import FloatArray, IntArray
from ...fusion.estimate import Estimate
from ...fusion.left_right import MIRROR
from ...fusion.table import gather
from ...fusion.views import Cameras, Noise
from ...geometry.stats import nan_mean
from ..kernels import cameras as kernels
from ..settings import CameraStateConfig
from ..tracks import rows_of
from .clocks import ClockOffsets
from .drift import DriftDetector

# Averages of noise and of what is shared reach back over this, s.
_MEMORY_S = 10.0
# Bodies that are used per set: the cost is bounded.
_MOST_BODIES = 6
# Before anything is known: relative noise, and standard deviation of what is shared (at focal length 1), each worth so
# many sets.
_FIRST_SHARED = 0.0015
_PRIOR_WEIGHT = 2.0
# Joints are as noisy as all until so many degrees of freedom were seen of each pair, left and right; then at least and
# at most so much noisier.
_JOINT_WEIGHT = 20.0
_JOINT_BOUNDS = (0.5, 2.0)
# What lasts for so long is persistent, s: longer than a filter averages, shorter than a pose is held. At most this part
# of the scatter counts as such.
_LASTS_S, _MOST_PAST = 0.2, 100
# Intervals of sets deviate by less from their mean, s.
_JITTER_S = 0.01
_MOST_PERSISTENT = 0.95
# Clock offsets that change by more than this change what is usual of a camera, s.
_CLOCK_NEWS_S = 0.003
_SCALE_BOUNDS = (0.3, 3.0)
# A camera is taken to be noisier than the others only if it clearly is: a smaller weight alone makes residuals larger.
_CLEARLY_NOISIER = 1.5


@dataclass(frozen=True, slots=True)
class CameraState:
    """What is known of one camera.

    Attributes:
        clock_offset_s: its stamps are ahead of what the cameras have in common by so much more than its rig says.
        clock_sigma_s: standard deviation of ``clock_offset_s``.
        noise_scale: its keypoints' standard deviation over what the settings say.
        shared_px: standard deviation of the error that all joints of a view share.
        calibration_error_px: (x, y) by which its keypoints lie beside the bodies that the others see.
        calibration_error_rad: the same as an angle at the camera.
        moved: whether it was moved, or never was where its calibration says; the calibration error is then since that.
    """

    clock_offset_s: float
    clock_sigma_s: float
    noise_scale: float
    shared_px: float
    calibration_error_px: tuple[float, float]
    calibration_error_rad: float
    moved: bool


class CameraStates:
    """The states of C cameras."""

    def __init__(self, focal_px: FloatArray, config: CameraStateConfig) -> None:
        """Start with nothing known of cameras of focal lengths (C,) px."""
        self._config = config
        self._focal_px = focal_px
        cameras = len(focal_px)
        self.clocks = ClockOffsets(cameras)
        self._begin()
        # As of the last time that something was learned.
        self._noise_now: Noise | None = None
        self._states_now: list[CameraState] | None = None

    def _begin(self) -> None:
        """Know nothing of errors, with the clocks as they are now."""
        # Sums of squares and their degrees of freedom; of what is shared the number of bodies, too.
        self._noise = np.tile((_PRIOR_WEIGHT, _PRIOR_WEIGHT), (len(self._focal_px), 1))
        self._joints = np.full((len(MIRROR), 2), _JOINT_WEIGHT)
        self._shared = _PRIOR_WEIGHT * np.array((_FIRST_SHARED**2, 1.0, 1.0))
        # Of what lasts: sums of products, and of squares. The last sets: when, s, ids, and deviations.
        self._persistent = np.array((0.0, _PRIOR_WEIGHT))
        self._past: deque[tuple[float, IntArray, FloatArray]] = deque(maxlen=_MOST_PAST)
        self._time_s = 0.0
        self._drift = DriftDetector(self._focal_px, self._config)
        self._clocks_then = self.clocks.offset_s

    def __repr__(self) -> str:
        offsets = ', '.join(f'{1e3 * s:+.1f}' for s in self.clocks.offset_s)
        moved = np.flatnonzero(self._drift.moved).tolist()
        return f'CameraStates(clock offsets {offsets} ms, noise {self.scale.round(2).tolist()}, moved {moved})'

    @property
    def scale(self) -> FloatArray:
        """(C,) the keypoints' standard deviation, in units of what the settings say."""
        own = np.sqrt(self._noise[:, 0] / self._noise[:, 1])
        level = np.median(own)
        scale: FloatArray = np.clip(np.where(own > _CLEARLY_NOISIER * level, own, level), *_SCALE_BOUNDS)
        return scale

    @property
    def noise(self) -> Noise:
        """The errors of the keypoints of each view."""
        if self._noise_now is None:
            # An estimate of so few degrees of freedom is as often too small: the variance of Student's distribution is
            # larger.
            unsure = 1.0 + 1.5 * self._shared[2] / self._shared[1]
            shared = np.full(len(self._focal_px), np.sqrt(unsure * self._shared[0] / self._shared[1]))
            own = np.hypot(*self._drift.error.T) / np.sqrt(2.0)
            scale = self.scale
            level = float(np.median(scale))
            shared = np.where(self._drift.moved, np.maximum(own, shared), shared)
            persistent = float(np.clip(self._persistent[0] / self._persistent[1], 0.0, _MOST_PERSISTENT))
            own = self._joints[:, 0] / self._joints[:, 1]
            joints = np.clip(np.sqrt(own / np.average(own, weights=self._joints[:, 1])), *_JOINT_BOUNDS)
            self._noise_now = Noise(level, scale / level, shared, persistent, joints)
        return self._noise_now

    def states(self) -> list[CameraState]:
        """Return what is known of each camera, in the order of the rig; the same list until something is learned."""
        if self._states_now is None:
            noise, error = self.noise, self._drift.error
            error_px = error * self._focal_px[:, None]
            columns = (
                self.clocks.offset_s, self.clocks.sigma_s, noise.level * noise.scale, noise.shared * self._focal_px,
                error_px[:, 0], error_px[:, 1], np.arctan(np.hypot(*error.T)), self._drift.moved,
            )
            self._states_now = [
                CameraState(offset_s, sigma_s, scale, shared_px, (x_px, y_px), error_rad, moved)
                for offset_s, sigma_s, scale, shared_px, x_px, y_px, error_rad, moved in zip(
                    *(column.tolist() for column in columns), strict=True
                )
            ]
        return self._states_now

    def learn(
        self, cameras: Cameras, estimate: Estimate, ids: IntArray, velocity: FloatArray, gross_errors: FloatArray,
        dt_s: float,
    ) -> None:
        """Take in a set of B bodies.

        Args:
            cameras: C cameras.
            estimate: of the bodies.
            ids: (B,) of their tracks.
            velocity: (B, J, 3) m/s.
            gross_errors: (C, 2) from ``find_gross_errors``.
            dt_s: since the last set.
        """
        self._noise_now = self._states_now = None
        solution = estimate.solution
        # Those with most inliers.
        chosen = np.argsort(-solution.inlier.sum((0, 2)), kind='stable')[:_MOST_BODIES]
        views = kernels.SeenBodies(
            np.ascontiguousarray(cameras.cam_from_world), cameras.dt_s, self._focal_px, self._drift.moved,
            estimate.views.xn, estimate.weights, solution.robust_weight, solution.inlier, solution.seen_xyz,
            solution.seen_covariance, velocity, chosen,
        )
        if self._config.clock_offsets and len(cameras) > 1:
            self.clocks.learn(views, dt_s)
        each = len(cameras), len(chosen)
        offset, certainty, scatter = np.empty((*each, 2)), np.empty(each), np.empty((each[0], 2))
        joints = solution.xyz.shape[1]
        by_joint, deviation = np.empty((joints, 2)), np.empty((*each, joints, 2))
        kernels.learn_views(views, offset, certainty, scatter, by_joint, deviation)
        forget = float(np.exp(-dt_s / _MEMORY_S))
        # The prior stays.
        self._noise = forget * self._noise + scatter / kernels.ALIKE_SETS + (1.0 - forget) * _PRIOR_WEIGHT
        self._joints = forget * self._joints + (by_joint + by_joint[MIRROR]) / kernels.ALIKE_SETS
        usual = self._noise[:, 0].sum() / self._noise[:, 1].sum()
        self._joints += (1.0 - forget) * _JOINT_WEIGHT * np.array((usual, 1.0))
        self._learn_shared(views, offset, forget)
        self._learn_persistent(ids[chosen], deviation, forget, dt_s)
        gross = np.isfinite(gross_errors[:, 0])
        if gross.any():
            offset[gross] = gross_errors[gross][:, None]
            certainty[gross] = certainty.max(0, initial=0.0)
        if np.abs(self.clocks.offset_s - self._clocks_then).max() > _CLOCK_NEWS_S:
            # Errors were those of moving people seen too early or too late.
            self._begin()
        centre = nan_mean(solution.seen_xyz[chosen], 1, kernels.LEAST_JOINTS)
        self._drift.learn(views.cam_from_world, centre, offset, certainty, dt_s)

    def _learn_shared(self, views: kernels.SeenBodies, offset: FloatArray, forget: float) -> None:
        """Learn what all joints of a view share from the views' offsets (C, N, 2)."""
        sums = np.empty(3)
        kernels.learn_shared(views, offset, self.scale, float(np.sqrt(self._shared[0] / self._shared[1])), sums)
        if sums[2]:
            self._shared = forget * self._shared + sums / kernels.ALIKE_SETS
            self._shared += (1.0 - forget) * _PRIOR_WEIGHT * np.array((_FIRST_SHARED**2, 1.0, 1.0))

    def _learn_persistent(self, ids: IntArray, deviation: FloatArray, forget: float, dt_s: float) -> None:
        """Learn how much of the deviations (C, N, J, 2) of the bodies ``ids`` (N,) was there _LASTS_S ago."""
        self._time_s += dt_s
        while self._past and self._time_s - self._past[0][0] > 2.0 * _LASTS_S:
            self._past.popleft()
        now = deviation.swapaxes(0, 1)
        if self._past and self._time_s - self._past[0][0] > _LASTS_S - _JITTER_S:
            _, then, before = self._past.popleft()
            before = gather(before, rows_of(then, ids), np.nan)
            product, square = now * before, now**2 + before**2
            sums = np.nansum(product), 0.5 * square[np.isfinite(product)].sum() + (1.0 - forget) * _PRIOR_WEIGHT
            self._persistent = forget * self._persistent + np.array(sums)
        self._past.append((self._time_s, ids, now))
