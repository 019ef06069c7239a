# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The unknowns of the bundle adjustment, and its residuals with their derivatives.

Unknowns are named blocks of a camera's row, which of them are free, and their values. Residuals are of keypoints,
bones, and what is known beforehand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from ...arrays import BoolArray, FloatArray, IntArray
from ...geometry.stats import geman_mcclure_cost
from ...skeleton import BODY17
from ...types import CameraRig, Intrinsics
from ..people.views import PoseViews
from ..settings import AdjustConfig

# A camera's row: rotation (rad) and translation (m) in its own frame, clock offset (s) and drift, the logarithm of
# the focal length, and the first two coefficients of distortion.
PARAMETERS = 11
ROTATION, TRANSLATION, POSE = slice(0, 3), slice(3, 6), slice(0, 6)
OFFSET, DRIFT, LOG_FOCAL = 6, 7, 8
DISTORTION = slice(9, 11)
# Clock and lens.
_OTHERS = slice(6, 11)

# The bones of a person.
PARENT, CHILD = np.array(BODY17.edges, np.int64).T

_ZERO = np.zeros(3)
_LEAST_DEPTH_M = 0.1
# A joint is held where it is with this standard deviation, so that one that is hardly seen stays solvable.
HOLD_M = 1.0
_DISTORTION_SPREAD = 0.1


def free_parameters(cameras: int, config: AdjustConfig) -> BoolArray:
    """Return which parameters (C, 11) the adjustment estimates; the first camera's clock is the time."""
    free = np.zeros((cameras, PARAMETERS), bool)
    free[:, POSE] = True
    free[1:, OFFSET], free[1:, DRIFT] = config.clocks, config.drift
    free[:, LOG_FOCAL] = config.intrinsics != 'fixed'
    free[:, DISTORTION] = config.intrinsics == 'focal+distortion'
    return free


@dataclass(frozen=True, slots=True, eq=False)
class Unknowns:
    """The current values.

    Attributes:
        R, t: (C, 3, 3) and (C, 3) m, world to camera.
        others: (C, 5) clock offset (s), drift, and what the lens differs by from the given one.
        xyz: (M, J, 3) m, the joints of every pose.
        bones_m: (P, B), the lengths of every person's bones.
    """

    R: FloatArray
    t: FloatArray
    others: FloatArray
    xyz: FloatArray
    bones_m: FloatArray

    def moved(self, step: FloatArray, points: FloatArray, bones: FloatArray) -> Unknowns:
        """Return the values after a step: cameras (C, 11), points (M, J, 3), bones (P, B)."""
        turn = Rotation.from_rotvec(step[:, ROTATION]).as_matrix()
        return Unknowns(
            turn @ self.R, (turn @ self.t[..., None])[..., 0] + step[:, TRANSLATION], self.others + step[:, _OTHERS],
            self.xyz + points, self.bones_m + bones,
        )

    def lens(self, given: Intrinsics, camera: int) -> Intrinsics:
        """Return the intrinsics of a camera, which differ from the given ones by its parameters."""
        log_focal, *distortion = self.others[camera, 2:]
        if not log_focal and not any(distortion):
            return given
        K = given.K.copy()
        K[[0, 1], [0, 1]] *= np.exp(log_focal)
        D = given.D
        if any(distortion):
            D = np.pad(D, (0, max(0, 4 - len(D))))
            D[:2] += distortion
        return replace(given, K=K, D=D)


def bone_lengths(xyz: FloatArray, person: IntArray) -> FloatArray:
    """Return the median length (P, B) m of every person's bones over the poses (M, J, 3); 0.3 where never seen."""
    length = np.linalg.norm(xyz[:, CHILD] - xyz[:, PARENT], axis=-1)
    bones = np.full((int(person.max()) + 1, len(PARENT)), 0.3)
    for p in range(len(bones)):
        own = length[person == p]
        seen = np.isfinite(own).any(0)
        if seen.any():
            bones[p, seen] = np.nanmedian(own[:, seen], axis=0)
    return bones


@dataclass(slots=True, eq=False)
class Problem:
    """What stays the same while the unknowns move.

    Attributes:
        views: M poses as C cameras see them.
        config: see AdjustConfig.
        free: (C, 11) which parameters of the cameras are estimated.
        start: where the unknowns begin.
        lenses: the C cameras' given intrinsics.
        known: (M, J) joints that at least two cameras see.
        used: (C, M, J) keypoints of known joints.
        given: cameras whose poses are known beforehand; None: nothing is known.
        sigma_px: standard deviation of a keypoint of weight 1.
    """

    views: PoseViews
    config: AdjustConfig
    free: BoolArray
    start: Unknowns
    lenses: Sequence[Intrinsics]
    known: BoolArray
    used: BoolArray
    given: CameraRig | None
    sigma_px: float = 1.0
    bound2: FloatArray = field(init=False)

    def __post_init__(self) -> None:
        # The joint follows its keypoints: of their 2 n components it takes 3, and of two views' outlier half is left
        # to see. So a residual is compared with its own deviation, that of the noise times sqrt(1 - 3 / 2n).
        views = np.maximum(self.used.sum(0), 2)
        self.bound2 = self.config.robust_sigmas**2 * (1.0 - 1.5 / views)

    def keypoint_residuals(self, at: Unknowns) -> FloatArray:
        """Return (C, M, J, 2) px, NaN where not used or behind the camera."""
        residuals = np.full(self.views.xy.shape, np.nan)
        for c in range(len(at.R)):
            residuals[c][self.used[c]] = self.linearized(at, c)[0]
        return residuals

    def linearized(self, at: Unknowns, c: int) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return camera c's N residuals (N, 2) px and their derivatives by camera (N, 2, 11) and point (N, 2, 3)."""
        pose, joint = np.nonzero(self.used[c])
        local = at.xyz[pose, joint] @ at.R[c].T + at.t[c]
        ahead = local[:, 2] > _LEAST_DEPTH_M
        safe = np.where(ahead[:, None], local, (0.0, 0.0, 1.0))
        pixels, by_point, by_focal, by_distortion = project_with_jacobian(at.lens(self.lenses[c], c), safe)
        velocity = np.nan_to_num(self.views.velocity[c, pose, joint])
        time_s = self.views.time_s[pose]
        offset_s, drift = at.others[c, :2]
        seen = self.views.xy[c, pose, joint] + velocity * (offset_s + drift * time_s)[:, None]
        residual = np.where(ahead[:, None], pixels - seen, np.nan)
        J = np.empty((len(pose), 2, PARAMETERS))
        # d local / d rotation = -[local]x; d local / d translation = 1.
        J[..., ROTATION] = np.cross(safe[:, None], by_point)
        J[..., TRANSLATION] = by_point
        J[..., OFFSET] = -velocity
        J[..., DRIFT] = -velocity * time_s[:, None]
        J[..., LOG_FOCAL] = by_focal
        J[..., DISTORTION] = by_distortion
        return residual, J, by_point @ at.R[c]

    def bone_residuals(self, at: Unknowns) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return (M, B) standardised, NaN where unknown; derivatives by the child (M, B, 3) and by the bone (M, B).

        Logarithms of lengths are compared: a world that shrinks, with its bones, costs neither less nor more.
        """
        difference = at.xyz[:, CHILD] - at.xyz[:, PARENT]
        length = np.maximum(np.linalg.norm(difference, axis=-1), 1e-6)
        usual = np.maximum(at.bones_m[self.views.person], 1e-6)
        spread = self.config.bone_spread
        both = self.known[:, CHILD] & self.known[:, PARENT]
        residual = np.where(both, np.log(length / usual) / spread, np.nan)
        return residual, difference / (spread * length**2)[..., None], -1.0 / (spread * usual)

    def cost(self, at: Unknowns) -> float:
        """Return the robust cost; a keypoint behind its camera costs as the worst outlier."""
        squared = (self.keypoint_residuals(at) ** 2).sum(-1) * (self.views.weight / self.sigma_px) ** 2
        cost = self.bound2 * geman_mcclure_cost(squared / self.bound2)
        total = float(np.where(np.isfinite(cost), cost, self.bound2)[self.used].sum())
        if self.config.bone_spread > 0.0:
            bound2 = self.config.robust_sigmas**2
            total += bound2 * float(np.nansum(geman_mcclure_cost(self.bone_residuals(at)[0] ** 2 / bound2)))
        total += float((((at.xyz - self.start.xyz) / HOLD_M)[self.known] ** 2).sum())
        return total + float((self.prior_change(at) ** 2 * self.prior_information()).sum())

    def prior_change(self, at: Unknowns) -> FloatArray:
        """Return by how much the cameras' parameters (C, 11) differ from what is known beforehand."""
        change = np.zeros(self.free.shape)
        if self.given is not None:
            R = np.stack([camera.cam_from_world[:, :3] for camera in self.given.cameras])
            position = np.stack([camera.position_m for camera in self.given.cameras])
            change[:, ROTATION] = Rotation.from_matrix(at.R @ R.swapaxes(1, 2)).as_rotvec()
            change[:, TRANSLATION] = at.t + (at.R @ position[..., None])[..., 0]
        change[:, OFFSET:] = at.others
        change[:, OFFSET] -= self.start.others[:, 0]
        return change

    def prior_information(self) -> FloatArray:
        """Return 1 / variance (C, 11) of what is known beforehand; 0 = nothing, and where a parameter is not free."""
        config = self.config
        spread = np.full(PARAMETERS, np.inf)
        if self.given is not None:
            spread[ROTATION] = config.given_rotation_rad
            spread[TRANSLATION] = config.given_position_m
        spread[OFFSET], spread[DRIFT] = config.clock_spread_s, config.drift_spread
        spread[LOG_FOCAL] = config.focal_spread
        spread[DISTORTION] = _DISTORTION_SPREAD
        return np.where(self.free, 1.0 / spread**2, 0.0)


def project_with_jacobian(
    intrinsics: Intrinsics, points: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Project points (N, 3) of the camera frame, z > 0.

    Returns:
        px (N, 2) and its derivatives by the point (N, 2, 3), by the logarithm of the focal length (N, 2), and by the
        first two coefficients of distortion (N, 2, 2).
    """
    n = len(points)
    if not n:
        return np.zeros((0, 2)), np.zeros((0, 2, 3)), np.zeros((0, 2)), np.zeros((0, 2, 2))
    K, given = intrinsics.K, points[:, None, :]
    if intrinsics.distortion_model == 'equidistant':
        pixels, J = cv2.fisheye.projectPoints(given, _ZERO, _ZERO, K, intrinsics.D)
        by_point, by_focal, by_distortion = J[:, 11:14], J[:, 0:2], J[:, 4:6]
    else:
        D = np.pad(intrinsics.D, (0, max(0, 5 - len(intrinsics.D))))
        pixels, J = cv2.projectPoints(given, _ZERO, _ZERO, K, D)
        by_point, by_focal, by_distortion = J[:, 3:6], J[:, 6:8], J[:, 10:12]
    focal = (by_focal * (K[0, 0], K[1, 1])).sum(1).reshape(n, 2)
    return (
        np.asarray(pixels, np.float64).reshape(n, 2), np.asarray(by_point, np.float64).reshape(n, 2, 3), focal,
        np.asarray(by_distortion, np.float64).reshape(n, 2, 2),
    )
