# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Bundle adjustment over people: cameras, clocks and lenses together with the joints that they see.

Triggs, McLauchlan, Hartley, Fitzgibbon, "Bundle Adjustment - A Modern Synthesis", 1999. Unknown are, per camera, its
pose and on request clock offset, clock drift, focal length and the first two coefficients of distortion; per *pose*
(one person at one instant) the joints; per person the bone lengths. A residual is a keypoint in raw px, at the time
that the camera's clock says, divided by its standard deviation; its loss is Geman and McClure's. The scale of the
noise is taken from the residuals themselves at every stage, so that it falls as the cameras become right (graduated
non-convexity).

Every pose is eliminated exactly (Schur complement): what is solved is dense and has a few unknowns per camera. That
is why scipy's sparse least squares is not used: with 15,000 unknown coordinates its iterative inner solver needs
minutes for what the elimination does in seconds, and gives no covariance. A test compares the two.

Nothing here fixes the world: the seven dimensions of rotation, translation and scale stay free (see world.py).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ...arrays import FloatArray
from ...errors import CalibrationError
from ...types import CameraRig
from ..clocks import clock_drifts, clock_offsets_s, with_clocks
from ..people.views import PoseViews, triangulate_views
from ..settings import AdjustConfig
from .normal import NormalEquations, camera_covariance, normal_equations
from .residuals import PARAMETERS, ROTATION, TRANSLATION, Problem, Unknowns, bone_lengths, free_parameters

_STAGES = 12
_STEPS = 4
_DAMPINGS = 6
# A step that changes the cost by less is the last one.
_CONVERGED = 1e-5


@dataclass(frozen=True, slots=True, eq=False)
class Adjustment:
    """What the adjustment found.

    Attributes:
        rig: the cameras and their clocks, in a world of its own.
        xyz: (M, J, 3) m, NaN where fewer than two cameras saw the joint.
        covariance: (M, J, 3, 3) m2 of each joint, its neighbours and the cameras given.
        bones_m: (P, B) bone lengths.
        sigma_px: standard deviation of a keypoint of weight 1: the unit of ``weight``.
        sigma: (C, 11) standard deviations of the cameras' parameters (see parameters.py), for the world that fits
            these cameras best (a change of all cameras together is not in it); honest about errors that last in time.
            0 where a parameter was not estimated.
        robust_weight: (C, M, J) of each keypoint, 1 = fully used, NaN = none.
    """

    rig: CameraRig
    xyz: FloatArray
    covariance: FloatArray
    bones_m: FloatArray
    sigma_px: float
    sigma: FloatArray
    robust_weight: FloatArray

    @property
    def sigma_rotation_rad(self) -> FloatArray:
        """(C,) root of the summed variances about the three axes."""
        return np.asarray(np.linalg.norm(self.sigma[:, ROTATION], axis=1))

    @property
    def sigma_position_m(self) -> FloatArray:
        """(C,) the same of the position."""
        return np.asarray(np.linalg.norm(self.sigma[:, TRANSLATION], axis=1))


def adjust(
    views: PoseViews, start: CameraRig, config: AdjustConfig, *, given: CameraRig | None = None, stages: int = _STAGES
) -> Adjustment:
    """Adjust cameras, clocks, lenses and joints to what the cameras saw.

    Args:
        views: M poses, each seen by at least two cameras to count.
        start: where to begin; errors of some degrees and decimetres do not matter.
        config: see AdjustConfig.
        given: poses that are known to ``config.given_rotation_rad`` and ``given_position_m``; a second of one pose
            cannot overrule them, a minute of walking does. None: nothing is known.
        stages: most changes of the noise's scale, with a few steps each.

    Raises:
        CalibrationError: if no joint is seen by two cameras.
    """
    problem = pose_problem(views, start, config, given)
    at, damping = problem.start, 1e-3
    for stage in range(stages):
        before = problem.sigma_px
        problem.sigma_px = _noise_px(problem, at)
        settled = stage > 0 and abs(problem.sigma_px / before - 1.0) < 0.01
        at, damping, converged = _descend(problem, at, damping)
        if settled and converged:
            break
    return _finish(problem, at, start)


def pose_problem(views: PoseViews, start: CameraRig, config: AdjustConfig, given: CameraRig | None) -> Problem:
    """Return the problem that ``adjust`` solves; it begins with joints triangulated from ``start``."""
    xyz = triangulate_views(start, views)
    seen = np.isfinite(views.xy).all(-1) & (views.weight > 0.0)
    known = np.isfinite(xyz).all(-1) & (seen.sum(0) >= 2)
    if not known.any():
        raise CalibrationError(
            'Not one joint is seen by two cameras at the same time; the cameras must see the same people together.'
        )
    bones = bone_lengths(np.where(known[..., None], xyz, np.nan), views.person)
    others = np.zeros((len(start), 5))
    others[:, 0], others[:, 1] = clock_offsets_s(start), clock_drifts(start)
    poses = np.stack([camera.cam_from_world for camera in start.cameras])
    at = Unknowns(poses[..., :3], poses[..., 3], others, np.where(known[..., None], xyz, 0.0), bones)
    lenses = [camera.intrinsics for camera in start.cameras]
    return Problem(views, config, free_parameters(len(lenses), config), at, lenses, known, seen & known, given)


def _noise_px(problem: Problem, at: Unknowns) -> float:
    """Return the standard deviation (px) of a keypoint of weight 1, from the median of the residuals' lengths.

    Each joint takes 3 of the 2 C components to fit itself.
    """
    residuals = problem.keypoint_residuals(at)
    length = np.sqrt((residuals**2).sum(-1)) * problem.views.weight
    length = length[np.isfinite(length) & problem.used]
    components = 2.0 * problem.used.sum()
    free = components - 3.0 * problem.known.sum()
    # Median of a Rayleigh distribution: 1.1774 sigma.
    return max(float(np.median(length)) / 1.1774 * float(np.sqrt(components / max(free, 0.2 * components))), 1e-6)


def _descend(problem: Problem, at: Unknowns, damping: float) -> tuple[Unknowns, float, bool]:
    """Take up to _STEPS Levenberg-Marquardt steps at a fixed noise; say whether the last one changed nothing."""
    cost = problem.cost(at)
    for _ in range(_STEPS):
        normal = normal_equations(problem, at)
        lower = cost
        for _ in range(_DAMPINGS):
            trial = _step(problem, normal, at, damping)
            lower = problem.cost(trial)
            if lower <= cost:
                break
            damping *= 8.0
        if not lower <= cost:
            return at, damping, True
        at, gain, cost = trial, cost - lower, lower
        damping = max(damping / 4.0, 1e-9)
        if gain <= _CONVERGED * cost:
            return at, damping, True
    return at, damping, False


def _step(problem: Problem, normal: NormalEquations, at: Unknowns, damping: float) -> Unknowns:
    """Return the values after one damped step."""
    S, pull, solved = normal.reduced(damping)
    index = np.arange(len(S))
    S[index, index] *= 1.0 + damping
    S[index, index] += 1e-12 * np.trace(S) / len(S)
    change = -np.linalg.solve(S, pull.sum(0) + normal.prior_pull)
    points = -(solved[..., -1] + solved[..., :-1] @ change).reshape(at.xyz.shape)
    points[~problem.known] = 0.0
    cameras = np.zeros((len(at.R), PARAMETERS))
    cameras[problem.free] = change[: problem.free.sum()]
    return at.moved(cameras, points, change[problem.free.sum() :].reshape(at.bones_m.shape))


def _finish(problem: Problem, at: Unknowns, start: CameraRig) -> Adjustment:
    cameras = tuple(
        replace(camera, intrinsics=at.lens(camera.intrinsics, c), cam_from_world=np.column_stack([at.R[c], at.t[c]]))
        for c, camera in enumerate(start.cameras)
    )
    rig = with_clocks(replace(start, cameras=cameras), *at.others[:, :2].T)
    normal = normal_equations(problem, at)
    variance = np.diag(camera_covariance(problem, normal, at)).reshape(len(cameras), PARAMETERS)
    xyz = np.where(problem.known[..., None], at.xyz, np.nan)
    sigma = np.sqrt(np.maximum(variance, 0.0))
    joint = np.arange(xyz.shape[1])
    # Advanced indices apart from each other come first: (J, M, 3, 3).
    covariance = np.asarray(np.linalg.inv(normal.N[:, joint, :, joint, :]).swapaxes(0, 1), np.float64)
    return Adjustment(rig, xyz, covariance, at.bones_m, problem.sigma_px, sigma, normal.robust_weight)
