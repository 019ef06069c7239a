"""Joints from all views at once: maximum a-posteriori over reprojections and lifted poses; docs/fusion.md derives it.

Model, per body with joints X (J, 3) in the world:

- a keypoint lies where the joint projects, up to pixel noise with heavy tails (Geman & McClure 1987): ``equations``;
- a view's lifted pose is the body up to errors that its joints share and errors of each joint: ``lifted``;
- bones of a body that is tracked have the lengths they had, up to a few per cent: ``equations``;
- every view has its own instant: the joint that it saw is X plus a known displacement.

Each step solves the normal equations of all bodies at once; ``uncertainty`` says how good the last one's result is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.linalg.lapack import dposv, dpotri

from ..arrays import BoolArray, FloatArray, IntArray
from ..errors import ShapeError
from ..geometry.matrices import diagonal_blocks
from ..geometry.stats import geman_mcclure_weight, nan_mean
from .equations import NINE, LinearBones, ViewEquations, triangulate
from .lifted import LiftedPrior, LiftedViews, lifted_prior
from .prior import BodyPrior
from .settings import SolverConfig
from .table import BodyTable
from .uncertainty import INLIER_WEIGHT, UNKNOWN_DEPTH_M, contradicted_variance, split_each, split_jointly
from .views import NEAR_M, Noise


@dataclass(frozen=True, slots=True, eq=False)
class Solution(BodyTable):
    """The joints of B bodies.

    Attributes:
        xyz: (B, J, 3) m in the world, NaN where neither two views nor a lifted pose determine the joint.
        covariance: (B, J, 3, 3) m^2, the posterior's; NaN as xyz.
        random_covariance: (B, J, 3, 3) m^2, the part of ``covariance`` that is new in every set; the rest is
            systematic.
        residual_px: (C, B, J) reprojection distance, NaN where the view did not see the joint.
        robust_weight: (C, B, J) in [0, 1] of the view under the robust loss; 0 where not seen.
        seen_xyz: (B, J, 3) m, from the views alone, with the same robust weights; NaN with fewer than two.
        seen_covariance: (B, J, 3, 3) m^2 of ``seen_xyz``.
    """

    BODY_AXIS: ClassVar[Mapping[str, int]] = {'residual_px': 1, 'robust_weight': 1}

    xyz: FloatArray
    covariance: FloatArray
    random_covariance: FloatArray
    residual_px: FloatArray
    robust_weight: FloatArray
    seen_xyz: FloatArray
    seen_covariance: FloatArray

    @property
    def inlier(self) -> BoolArray:
        """(C, B, J) the views that agree with the joint: residual within the robust scale."""
        return np.asarray((self.robust_weight >= INLIER_WEIGHT) & np.isfinite(self.xyz).all(-1))

    @property
    def num_views(self) -> IntArray:
        """(B, J) views that agree with the joint."""
        return np.asarray(self.inlier.sum(0), np.int64)


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
    views = ViewEquations.of(cam_from_world, focal_px, xn, weights, prior.displacement)
    lifted: LiftedPrior | None = None
    if prior.lifted is not None:
        lifted = lifted_prior(prior.lifted, config, prior.centre, prior.centre_variance)
    depth = _first_depth(cam_from_world, weights.shape[1], prior)
    weight: FloatArray = np.ones(weights.shape)
    scaled2 = views.weight2 / config.robust_sigmas**2
    lengths: LinearBones | None = None
    for step in range(config.iterations):
        equations = views.normal_equations(weight, depth)
        last = step == config.iterations - 1
        if lifted is None:
            xyz, covariance = triangulate(equations, last)
        else:
            # Bones need directions, which the first step finds and the others hardly change.
            if prior.bones is not None and (step == 1 or (last and step)):
                lengths = LinearBones.of(prior.bones, xyz, config.bone_spread)
            xyz, covariance = _solve_jointly(equations, lifted, lengths, last)
        if last:
            shared = None if noise is None or not noise.shared.any() else noise.shared
            pulls = None if shared is None else views.shared_pulls(weight, depth, shared)
            level = 1.0 if noise is None else noise.level
            if lifted is None:
                covariance, random = split_each(covariance, pulls, level)
            else:
                covariance, random = split_jointly(covariance, equations, pulls, level)
        depth, error2 = views.residuals(xyz)
        weight = geman_mcclure_weight(scaled2 * error2)
    seen = views.weight2 > 0.0
    agreed = (seen & (weight >= INLIER_WEIGHT)).sum(0) >= 2
    found, covariance = _known(agreed if lifted is None else agreed | lifted.known[:, None], xyz, covariance)
    covariance = covariance + contradicted_variance(seen, weight, np.sqrt(error2) * depth)
    alone = (found, covariance)
    if lifted is not None:
        alone = _known(agreed, *triangulate(views.normal_equations(weight, depth), True))
    seen &= np.isfinite(covariance[..., 0, 0])
    residual_px = np.where(seen, np.sqrt(error2) * focal_px[:, None, None], np.nan)
    return Solution(found, covariance, random, residual_px, np.where(seen, weight, 0.0), *alone)


def _solve_jointly(
    equations: FloatArray, prior: LiftedPrior, bones: LinearBones | None, with_covariance: bool
) -> tuple[FloatArray, FloatArray]:
    """Solve all joints of each body with the prior and the bones, which couple them.

    Returns xyz (3, B, J) and the covariance of all joints (B, 3J, 3J), empty unless it is asked for.
    """
    _, bodies, joints = equations.shape
    total = prior.information.copy()
    diagonal_blocks(total)[...] += equations[NINE]
    both = prior.right + equations[6:].swapaxes(0, 1).reshape(bodies, 3 * joints)
    if bones is not None:
        bones.add_to(total, both)
    inverse = np.full((bodies if with_covariance else 0, 3 * joints, 3 * joints), np.nan)
    for body in range(bodies):
        # Cholesky through LAPACK itself: numpy's batched solve takes twice as long. Transposed is column-major.
        factor, both[body], failed = dposv(total[body].T, both[body], lower=True, overwrite_a=True)
        if failed:
            both[body] = np.nan
        elif with_covariance:
            lower = dpotri(factor, lower=True, overwrite_c=True)[0]
            # LAPACK fills the lower triangle only.
            inverse[body] = np.tril(lower) + np.tril(lower, -1).T
    return both.reshape(bodies, 3, joints).swapaxes(0, 1), inverse


def _first_depth(cam_from_world: FloatArray, bodies: int, prior: BodyPrior) -> FloatArray:
    """Return the depth (C, B, 1) m at which each body is taken to be before the first step."""
    centre = np.full((bodies, 3), np.nan) if prior.centre is None else prior.centre
    if prior.lifted is not None:
        centre = np.where(np.isfinite(centre), centre, nan_mean(prior.lifted.root, 0))
    depth = centre @ cam_from_world[:, 2, :3].T + cam_from_world[:, 2, 3]
    # NaN is not greater.
    with np.errstate(invalid='ignore'):
        return np.where(depth > NEAR_M, depth, UNKNOWN_DEPTH_M).T[..., None]


def _known(known: BoolArray, xyz: FloatArray, covariance: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return xyz (3, B, J) as (B, J, 3), and covariance (B, J, 3, 3); NaN where not ``known``."""
    known = known & np.isfinite(covariance[..., 0, 0])
    return (
        np.where(known[..., None], xyz.transpose(1, 2, 0), np.nan),
        np.where(known[..., None, None], covariance, np.nan),
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
