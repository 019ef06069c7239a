"""What is known of each camera from the bodies it sees: its noise, what all its joints share, its clock, its health.

Everything comes from the residuals of keypoints that were assigned to a body, whether they agree with it or not. The
residuals of one view of one body have a mean, which its joints share (calibration, the detector's bias), and a scatter
about it, the keypoints' noise. Redundancy is counted: n views of a joint have 2n residuals but 2n - 3 degrees of
freedom.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..arrays import FloatArray
from ..fusion.estimate import Noise
from ..fusion.views import NEAR_M, Cameras
from .clocks import ClockOffsets
from .health import RigHealth
from .settings import CameraStateConfig

# Joints of a view that its mean shift needs.
_LEAST_JOINTS = 6
# Averages of noise and of what is shared reach back over this, s.
_MEMORY_S = 10.0
# Bodies that are looked at per set: the cost is bounded.
_MOST_BODIES = 6
# Successive sets err alike: so many count as one.
_ALIKE_SETS = 4.0
# Before anything is known: relative noise, and standard deviation of what is shared (at focal length 1), each worth so
# many sets.
_FIRST_SHARED = 0.0015
_PRIOR_WEIGHT = 2.0
# Clock offsets that change by more than this change what is usual of a camera, s.
_CLOCK_NEWS_S = 0.003
_SCALE_BOUNDS = (0.3, 3.0)
# Degrees of freedom of a residual that are worth looking at.
_LEAST_FREEDOM = 0.4
# A camera is taken to be noisier than the others only if it clearly is: residuals of one that is believed less are
# larger for that.
_CLEARLY_NOISIER = 1.5
# Residuals of more than this many standard deviations are gross errors; the mean square of the others is that much
# lower.
_GROSS = 3.0
_TRUNCATED = 0.955


@dataclass(frozen=True, slots=True)
class CameraState:
    """What is known of one camera.

    Attributes:
        clock_offset_s: its stamps are ahead of what the cameras have in common by so much more than its rig says.
        clock_sigma_s: standard deviation of ``clock_offset_s``.
        noise_scale: its keypoints' standard deviation over what the settings say.
        shared_px: standard deviation of what all joints of a view share.
        shift_px: (x, y) by which its keypoints lie beside the bodies that the others see.
        shift_rad: the same as an angle at the camera.
        moved: whether it stands elsewhere than it did, or than its calibration says; shift_px is then since it moved.
    """

    clock_offset_s: float
    clock_sigma_s: float
    noise_scale: float
    shared_px: float
    shift_px: tuple[float, float]
    shift_rad: float
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
        """Know nothing of errors and shifts, with the clocks as they are now."""
        # Sums of squares and their degrees of freedom.
        self._noise = np.tile((_PRIOR_WEIGHT, _PRIOR_WEIGHT), (len(self._focal_px), 1))
        self._shared = np.array((_PRIOR_WEIGHT * _FIRST_SHARED**2, _PRIOR_WEIGHT))
        # Degrees of freedom that the views of one body leave.
        self._freedom = 1.0
        self._health = RigHealth(self._focal_px, self._config)
        self._clocks_then = self.clocks.offset_s

    def __repr__(self) -> str:
        offsets = ', '.join(f'{1e3 * s:+.1f}' for s in self.clocks.offset_s)
        moved = np.flatnonzero(self._health.moved).tolist()
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
        """How far each view may be believed."""
        if self._noise_now is None:
            self._noise_now = self._estimate()
        return self._noise_now

    def _estimate(self) -> Noise:
        # An estimate of so few degrees of freedom is as often too small: the variance of Student's distribution is
        # larger.
        unsure = 1.0 + 1.5 / self._freedom
        shared = np.full(len(self._focal_px), np.sqrt(unsure * self._shared[0] / self._shared[1]))
        own = np.hypot(*self._health.shift.T) / np.sqrt(2.0)
        scale = self.scale
        level = float(np.median(scale))
        return Noise(level, scale / level, np.where(self._health.moved, np.maximum(own, shared), shared))

    def states(self) -> list[CameraState]:
        """Return what is known of each camera, in the order of the rig; the same list until something is learned."""
        if self._states_now is None:
            self._states_now = self._describe()
        return self._states_now

    def _describe(self) -> list[CameraState]:
        noise, moved = self.noise, self._health.moved
        shift_px = self._health.shift * self._focal_px[:, None]
        shift_rad = np.arctan(np.hypot(*self._health.shift.T))
        return [
            CameraState(
                float(self.clocks.offset_s[c]), float(self.clocks.sigma_s[c]), float(noise.level * noise.scale[c]),
                float(noise.shared[c] * self._focal_px[c]), (float(shift_px[c, 0]), float(shift_px[c, 1])),
                float(shift_rad[c]), bool(moved[c]),
            )
            for c in range(len(self._focal_px))
        ]

    def learn(
        self,
        cameras: Cameras,
        xn: FloatArray,
        weights: FloatArray,
        trust: FloatArray,
        support: NDArray[np.bool_],
        xyz: FloatArray,
        covariance: FloatArray,
        velocity: FloatArray,
        adrift: FloatArray,
        dt_s: float,
    ) -> None:
        """Take in a set of B bodies.

        Args:
            cameras: C cameras.
            xn: (C, B, J, 2) keypoints, NaN = not seen.
            weights: (C, B, J) 1 / standard deviation that the settings give a keypoint, 1/px.
            trust: (C, B, J) of the solution.
            support: (C, B, J) whether the keypoint agrees.
            xyz: (B, J, 3) m, what the views alone say; NaN = unknown.
            covariance: (B, J, 3, 3) m^2 of ``xyz``.
            velocity: (B, J, 3) m/s, from before this set.
            adrift: (C, 2) shift at focal length 1 of cameras in which nobody is where they should be, NaN for the
                others.
            dt_s: since the last set.
        """
        self._noise_now = self._states_now = None
        chosen = self._choose(support)
        xn, weights, trust, support = xn[:, chosen], weights[:, chosen], trust[:, chosen], support[:, chosen]
        xyz, velocity = xyz[chosen], velocity[chosen]
        information = np.square(weights * self._focal_px[:, None, None])
        if self._config.clock_offsets and len(cameras) > 1:
            # A camera that was just moved sees everybody elsewhere, as a late one does.
            telling = information * trust * ~self._health.moved[:, None, None]
            self.clocks.learn(cameras, xn, telling, xyz, velocity, dt_s)
        local = cameras.see(xyz, velocity)
        depth = local[..., 2:]
        with np.errstate(invalid='ignore'):
            valid = (np.isfinite(xn.sum(-1)) & (depth[..., 0] > NEAR_M) & (information > 0.0))[..., None]
            error = np.where(valid, xn - local[..., :2] / np.where(valid, depth, 1.0), np.nan)
        enough = valid[..., 0].sum(-1) >= _LEAST_JOINTS
        shift = _median(error, enough)
        leverage = _leverage(cameras, local, covariance[chosen], information * trust)
        self._learn_noise(error - shift[:, :, None], shift, information, support, leverage, dt_s)
        lost = np.isfinite(adrift[:, 0])
        telling = np.nan_to_num(information).sum(-1)
        if lost.any():
            shift[lost] = adrift[lost][:, None]
            telling[lost] = telling.max(0, initial=0.0)
        if np.abs(self.clocks.offset_s - self._clocks_then).max() > _CLOCK_NEWS_S:
            # Errors and shifts were those of moving people seen too early or too late.
            self._begin()
        self._health.learn(cameras, _middle(xyz), shift, telling, dt_s)

    def _choose(self, support: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return the bodies (B',) that most views support."""
        supported = support.sum((0, 2))
        return np.asarray(np.argsort(-supported, kind='stable')[:_MOST_BODIES])

    def _learn_noise(
        self, scatter: FloatArray, shift: FloatArray, information: FloatArray, support: NDArray[np.bool_],
        leverage: FloatArray, dt_s: float,
    ) -> None:
        forget = np.exp(-dt_s / _MEMORY_S)
        views = support.sum(0)
        # Of a residual's two degrees of freedom, what is left after the joint was placed by 2n of them; where little is
        # left, little is known.
        left = np.where(support & (views >= 2), 2.0 * (1.0 - leverage), 0.0)
        squared = (scatter * scatter).sum(-1) * information
        left = np.where((left >= _LEAST_FREEDOM) & np.isfinite(squared), left, 0.0)
        sums = np.stack([np.where(left > 0.0, squared, 0.0).sum((1, 2)), left.sum((1, 2))], 1)
        grown = forget * self._noise + sums / _ALIKE_SETS
        # The prior stays.
        self._noise = grown + (1.0 - forget) * _PRIOR_WEIGHT
        # A view's shift also has the mean of its joints' noise.
        supporting = (support.sum(-1) >= _LEAST_JOINTS) & np.isfinite(shift[..., 0]) & ~self._health.moved[:, None]
        count = supporting.sum(0)
        several = count >= 2
        if several.any():
            joints = np.maximum(support.sum(-1), 1)
            mean_variance = np.where(
                supporting, 2.0 * self.scale[:, None] ** 2 / np.maximum(information.max(-1), 1e-9) / joints, 0.0
            )
            freedom = np.where(several, 2.0 * count - 3.0, 0.0)
            found = np.where(supporting & several, (shift * shift).sum(-1), 0.0).sum(0)
            chance = mean_variance.sum(0) * freedom / np.maximum(2.0 * count, 1.0)
            limit = np.square(6.0 * np.sqrt(self._shared[0] / self._shared[1]) + 0.004) * freedom
            sums = np.array((np.clip(found - chance, 0.0, limit)[several].sum(), freedom.sum()))
            self._freedom += (1.0 - forget) * (float(freedom[several].mean()) - self._freedom)
            self._shared = forget * self._shared + sums / _ALIKE_SETS
            self._shared += (1.0 - forget) * _PRIOR_WEIGHT * np.array((_FIRST_SHARED**2, 1.0))


def _middle(xyz: FloatArray) -> FloatArray:
    """Return the mean (B, 3) of the known joints (B, J, 3), NaN with fewer than _LEAST_JOINTS."""
    known = np.isfinite(xyz[..., :1])
    count = known.sum(1)
    return np.where(count >= _LEAST_JOINTS, np.where(known, xyz, 0.0).sum(1) / np.maximum(count, 1), np.nan)


def _leverage(cameras: Cameras, local: FloatArray, covariance: FloatArray, information: FloatArray) -> FloatArray:
    """Return (C, B, J) in [0, 1], how far each keypoint has placed its joint itself.

    The mean diagonal of the hat matrix.

    Args:
        cameras: C cameras.
        local: (C, B, J, 3) m, the joints from ``Cameras.see``.
        covariance: (B, J, 3, 3) m^2 of the joints.
        information: (C, B, J) of the keypoints, as trusted.
    """
    with np.errstate(invalid='ignore'):
        jacobian = cameras.image_jacobian(local)
        spread = ((jacobian @ covariance) * jacobian).sum((-1, -2))
    return np.asarray(np.clip(np.nan_to_num(0.5 * spread * information, nan=1.0), 0.0, 1.0))


def _median(error: FloatArray, enough: NDArray[np.bool_]) -> FloatArray:
    """Return the median over the joints (C, B, J, 2) -> (C, B, 2), NaN where there are not ``enough`` (C, B)."""
    median = np.full((*enough.shape, 2), np.nan)
    if enough.any():
        median[enough] = np.nanmedian(error[enough], axis=1)
    return median
