"""What is known of each camera from the bodies it sees: its noise, what all its joints share, its clock, its drift.

Everything comes from the residuals of keypoints that were assigned to a body, inliers or not. The residuals of one view
of one body have a mean, which its joints share (calibration, the detector's bias), and a scatter about it, the
keypoints' noise. Redundancy is counted: n views of a joint have 2n residuals but 2n - 3 degrees of freedom.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...arrays import BoolArray, FloatArray
from ...fusion.estimate import Estimate
from ...fusion.views import NEAR_M, Cameras, Noise
from ...geometry.stats import nan_mean, nan_median
from ..settings import CameraStateConfig
from .clocks import ALIKE_SETS, ClockOffsets
from .drift import DriftDetector

# Joints of a view that its mean offset needs.
_LEAST_JOINTS = 6
# Averages of noise and of what is shared reach back over this, s.
_MEMORY_S = 10.0
# Bodies that are used per set: the cost is bounded.
_MOST_BODIES = 6
# Before anything is known: relative noise, and standard deviation of what is shared (at focal length 1), each worth so
# many sets.
_FIRST_SHARED = 0.0015
_PRIOR_WEIGHT = 2.0
# Clock offsets that change by more than this change what is usual of a camera, s.
_CLOCK_NEWS_S = 0.003
_SCALE_BOUNDS = (0.3, 3.0)
# Degrees of freedom below which a residual is not used.
_LEAST_FREEDOM = 0.4
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
        # Sums of squares and their degrees of freedom.
        self._noise = np.tile((_PRIOR_WEIGHT, _PRIOR_WEIGHT), (len(self._focal_px), 1))
        self._shared = np.array((_PRIOR_WEIGHT * _FIRST_SHARED**2, _PRIOR_WEIGHT))
        # Degrees of freedom that the views of one body leave.
        self._freedom = 1.0
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
            unsure = 1.0 + 1.5 / self._freedom
            shared = np.full(len(self._focal_px), np.sqrt(unsure * self._shared[0] / self._shared[1]))
            own = np.hypot(*self._drift.error.T) / np.sqrt(2.0)
            scale = self.scale
            level = float(np.median(scale))
            shared = np.where(self._drift.moved, np.maximum(own, shared), shared)
            self._noise_now = Noise(level, scale / level, shared)
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
        self, cameras: Cameras, estimate: Estimate, velocity: FloatArray, gross_errors: FloatArray, dt_s: float
    ) -> None:
        """Take in a set of B bodies.

        Args:
            cameras: C cameras.
            estimate: of the bodies.
            velocity: (B, J, 3) m/s.
            gross_errors: (C, 2) from ``find_gross_errors``.
            dt_s: since the last set.
        """
        self._noise_now = self._states_now = None
        # Those with most inliers.
        chosen = np.argsort(-estimate.solution.inlier.sum((0, 2)), kind='stable')[:_MOST_BODIES]
        estimate, velocity = estimate.select(chosen), velocity[chosen]
        solution, xn = estimate.solution, estimate.views.xn
        xyz, inlier = solution.seen_xyz, solution.inlier
        information = np.square(estimate.weights * self._focal_px[:, None, None])
        if self._config.clock_offsets and len(cameras) > 1:
            # A camera that was just moved sees everybody elsewhere, as a late one does.
            usable = information * solution.robust_weight * ~self._drift.moved[:, None, None]
            self.clocks.learn(cameras, xn, usable, xyz, velocity, dt_s)
        local = cameras.see(xyz, velocity)
        depth = local[..., 2:]
        with np.errstate(invalid='ignore'):
            valid = (np.isfinite(xn.sum(-1)) & (depth[..., 0] > NEAR_M) & (information > 0.0))[..., None]
            error = np.where(valid, xn - local[..., :2] / np.where(valid, depth, 1.0), np.nan)
        enough = valid[..., 0].sum(-1) >= _LEAST_JOINTS
        offset = np.where(enough[..., None], nan_median(np.swapaxes(error, -1, -2)), np.nan)
        leverage = _leverage(cameras, local, solution.seen_covariance, information * solution.robust_weight)
        self._learn_noise(error - offset[:, :, None], information, inlier, leverage, dt_s)
        self._learn_shared(offset, information, inlier, dt_s)
        gross = np.isfinite(gross_errors[:, 0])
        certainty = np.nan_to_num(information).sum(-1)
        if gross.any():
            offset[gross] = gross_errors[gross][:, None]
            certainty[gross] = certainty.max(0, initial=0.0)
        if np.abs(self.clocks.offset_s - self._clocks_then).max() > _CLOCK_NEWS_S:
            # Errors were those of moving people seen too early or too late.
            self._begin()
        self._drift.learn(cameras, nan_mean(xyz, 1, _LEAST_JOINTS), offset, certainty, dt_s)

    def _learn_noise(
        self, scatter: FloatArray, information: FloatArray, inlier: BoolArray, leverage: FloatArray, dt_s: float
    ) -> None:
        """Learn each camera's noise from residuals (C, B, J, 2) about each view's mean."""
        forget = np.exp(-dt_s / _MEMORY_S)
        # Of a residual's two degrees of freedom, what is left after the joint was placed by 2n of them; where little is
        # left, little is known.
        left = np.where(inlier & (inlier.sum(0) >= 2), 2.0 * (1.0 - leverage), 0.0)
        squared = (scatter * scatter).sum(-1) * information
        left = np.where((left >= _LEAST_FREEDOM) & np.isfinite(squared), left, 0.0)
        sums = np.stack([np.where(left > 0.0, squared, 0.0).sum((1, 2)), left.sum((1, 2))], 1)
        # The prior stays.
        self._noise = forget * self._noise + sums / ALIKE_SETS + (1.0 - forget) * _PRIOR_WEIGHT

    def _learn_shared(self, offset: FloatArray, information: FloatArray, inlier: BoolArray, dt_s: float) -> None:
        """Learn what all joints of a view share from the views' offsets (C, B, 2)."""
        forget = np.exp(-dt_s / _MEMORY_S)
        agreeing = (inlier.sum(-1) >= _LEAST_JOINTS) & np.isfinite(offset[..., 0]) & ~self._drift.moved[:, None]
        count = agreeing.sum(0)
        several = count >= 2
        if not several.any():
            return
        # A view's offset also has the mean of its joints' noise.
        joints = np.maximum(inlier.sum(-1), 1)
        mean_variance = np.where(
            agreeing, 2.0 * self.scale[:, None] ** 2 / np.maximum(information.max(-1), 1e-9) / joints, 0.0
        )
        freedom = np.where(several, 2.0 * count - 3.0, 0.0)
        found = np.where(agreeing & several, (offset * offset).sum(-1), 0.0).sum(0)
        chance = mean_variance.sum(0) * freedom / np.maximum(2.0 * count, 1.0)
        limit = np.square(6.0 * np.sqrt(self._shared[0] / self._shared[1]) + 0.004) * freedom
        sums = np.array((np.clip(found - chance, 0.0, limit)[several].sum(), freedom.sum()))
        self._freedom += (1.0 - forget) * (float(freedom[several].mean()) - self._freedom)
        self._shared = forget * self._shared + sums / ALIKE_SETS
        self._shared += (1.0 - forget) * _PRIOR_WEIGHT * np.array((_FIRST_SHARED**2, 1.0))


def _leverage(cameras: Cameras, local: FloatArray, covariance: FloatArray, information: FloatArray) -> FloatArray:
    """Return (C, B, J), mean diagonal of the hat matrix: in [0, 1], how far each keypoint has placed its joint itself.

    Of joints (C, B, J, 3) m from ``Cameras.see``, their covariance (B, J, 3, 3) m^2, and the keypoints' information
    (C, B, J), robust weights counted.
    """
    with np.errstate(invalid='ignore'):
        jacobian = cameras.image_jacobian(local)
        spread = ((jacobian @ covariance) * jacobian).sum((-1, -2))
    return np.asarray(np.clip(np.nan_to_num(0.5 * spread * information, nan=1.0), 0.0, 1.0))
