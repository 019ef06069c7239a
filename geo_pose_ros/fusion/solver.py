# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Joints from all views at once: maximum a-posteriori over reprojections and lifted poses; docs/fusion.md derives it.

Model, per body with joints X (J, 3) in the world:

- a keypoint lies where the joint projects, up to pixel noise with heavy tails (Geman & McClure 1987);
- a view's lifted pose is the body up to errors that its joints share and errors of each joint;
- bones of a body that is tracked have the lengths they had, up to a few per cent;
- every view has its own instant: the joint that it saw is X plus a known displacement;
- a depth camera measures a joint's depth, by how deep it lies below the surface (``depth``).

``kernels`` solves that: equations, lifted, tree and covariance are its steps.
"""

from __future__ import annotations

import numpy as np

from ..arrays import FloatArray, IntArray
from ..compiled import ready
from ..errors import ShapeError
from .kernels.solver import solve_bodies
from .kernels.tables import Keypoints, Model, Prior, Solution
from .prior import BodyPrior, LiftedViews
from .settings import SolverConfig
from .views import Noise

__all__ = ['Solution', 'solve']

_NO_ROOTS, _NO_BONES = np.empty((0, 0, 3)), np.empty((0, 0))


_NOTHING = BodyPrior()


def solve(
    cam_from_world: FloatArray, focal_px: FloatArray, xn: FloatArray, weights: FloatArray, config: SolverConfig,
    prior: BodyPrior = _NOTHING, noise: Noise | None = None,
) -> Solution:
    """Estimate the joints of B bodies seen by C views.

    Without lifted poses it is robust triangulation; with one view it is the lifted pose at the root that fits the view
    best; in between, each joint takes from the views what they see and from the lifted poses what they do not.

    Args:
        cam_from_world: (C, 3, 4).
        focal_px: (C,).
        xn: (C, B, J, 2) undistorted normalised keypoints, NaN = not seen.
        weights: (C, B, J) >= 0, 1 / standard deviation of the keypoint, 1/px; 0 leaves it out.
        config: settings.
        prior: what else is known of the bodies.
        noise: that ``weights`` already count; for the covariance. None: as the settings say.

    Raises:
        ShapeError: if the arrays do not agree.
    """
    _check(cam_from_world, focal_px, xn, weights, prior.lifted)
    solution = Solution.empty(*weights.shape)
    given = keypoints_table(cam_from_world, focal_px, xn, weights, prior.displacement)
    rows = np.arange(weights.shape[1])
    solve_rows(given, rows, model_table(config, noise, len(focal_px)), prior, solution)
    return solution


def solve_rows(given: Keypoints, rows: IntArray, model: Model, prior: BodyPrior, solution: Solution) -> None:
    """Write what ``solve`` returns of the bodies ``rows`` (N,) into ``solution``; ``prior`` is of them."""
    solve_bodies(given, prior_table(prior, given.weights.shape[2]), model, rows, solution)


def keypoints_table(
    cam_from_world: FloatArray, focal_px: FloatArray, xn: FloatArray, weights: FloatArray,
    displacement: FloatArray | None, depth: FloatArray | None = None,
) -> Keypoints:
    """Return keypoints as kernels take them; arguments as of ``solve``, and measured depths as of ``BodyViews``."""
    cameras, _, joints = weights.shape
    moved = np.empty((cameras, 0, joints, 3)) if displacement is None else displacement
    measured = np.empty((cameras, 0, joints, 2)) if depth is None else depth
    return Keypoints(*map(ready, (cam_from_world, focal_px, xn, weights, moved, measured)))


def prior_table(prior: BodyPrior, joints: int) -> Prior:
    """Return what is known of N bodies of J ``joints`` as kernels take it."""
    lifted, bones = prior.lifted, prior.bones
    poses = [np.empty((0, 0, joints, 3)), np.empty((0, 0, joints)), _NO_ROOTS, _NO_ROOTS]
    if lifted is not None:
        poses = [lifted.pose, lifted.sigma, lifted.root, lifted.axis]
    centre = _NO_ROOTS[0:0].reshape(0, 3) if prior.centre is None else prior.centre
    variance = np.empty(0) if prior.centre is None or prior.centre_variance is None else prior.centre_variance
    lengths = [_NO_BONES, _NO_BONES] if bones is None else [bones.length, bones.variance]
    return Prior(lifted is not None or bones is not None, *map(ready, (*poses, centre, variance, *lengths)))


def model_table(config: SolverConfig, noise: Noise | None, cameras: int) -> Model:
    """Return how things are weighed, as kernels take it."""
    noise = noise or Noise(1.0, np.ones(cameras), np.zeros(cameras))
    return Model(
        config.iterations, config.robust_sigmas, config.lifter_across, config.lifter_along,
        config.lifter_rotation_rad, config.lifter_scale, config.bone_spread, noise.level,
        ready(noise.shared), noise.persistent,
    )


def _check(
    cam_from_world: FloatArray, focal_px: FloatArray, xn: FloatArray, weights: FloatArray, lifted: LiftedViews | None
) -> None:
    cameras = len(cam_from_world)
    if weights.ndim != 3 or xn.shape != (*weights.shape, 2) or weights.shape[0] != cameras or (
        cam_from_world.shape != (cameras, 3, 4) or focal_px.shape != (cameras,)
    ):
        raise ShapeError(
            f'solve: received cameras {cam_from_world.shape}, focal lengths {focal_px.shape}, keypoints {xn.shape} and '
            f'weights {weights.shape}; expected (C, 3, 4), (C,), (C, B, J, 2) and (C, B, J).'
        )
    if lifted is not None and (
        lifted.pose.shape[1:] != (*weights.shape[1:], 3) or lifted.sigma.shape != lifted.pose.shape[:-1]
        or lifted.root.shape != (*lifted.pose.shape[:2], 3) or lifted.axis.shape != lifted.root.shape
    ):
        raise ShapeError(
            f'solve: received lifted poses {lifted.pose.shape}, sigma {lifted.sigma.shape}, roots {lifted.root.shape} '
            f'and axes {lifted.axis.shape} for keypoints {xn.shape}; expected (V, B, J, 3), (V, B, J) and (V, B, 3).'
        )
