"""Joints from all views at once: maximum a-posteriori over reprojections and lifted poses; docs/fusion.md derives it.

Model, per body with joints X (J, 3) in the world:

- a keypoint lies where the joint projects, up to pixel noise with heavy tails (Geman & McClure 1987): ``equations``;
- a view's lifted pose is the body up to errors that its joints share and such that they do not: ``lifted``;
- bones of a body that is tracked have the lengths they had, up to a few per cent: ``bones``;
- every view has its own instant: the joint it saw is X plus a known displacement.

Each step solves the normal equations of all bodies at once; ``uncertainty`` says how good the last one's result is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import dposv, dpotri

from ..arrays import FloatArray, IntArray
from ..errors import ShapeError
from ..geometry.matrices import diagonal_blocks
from .bones import BonePrior, LinearBones
from .equations import NINE, ViewEquations, triangulate
from .lifted import LiftedPrior, LiftedViews, lifted_prior
from .settings import SolverConfig
from .uncertainty import SUPPORT, UNKNOWN_DEPTH_M, doubt, parted, parted_alone
from .views import NEAR_M


@dataclass(frozen=True, slots=True, eq=False)
class Solution:
    """The joints of B bodies.

    Attributes:
        xyz: (B, J, 3) m in the world, NaN where neither two views nor a lifted pose determine the joint.
        covariance: (B, J, 3, 3) m^2, the posterior's; NaN as xyz.
        fleeting: (B, J, 3, 3) m^2, the part of ``covariance`` that is new in every set; the rest lasts.
        residual_px: (C, B, J) reprojection distance, NaN where the view did not see the joint.
        trust: (C, B, J) in [0, 1], how far the robust loss believed the view; 0 where not seen.
        seen_xyz: (B, J, 3) m, what the views alone say, with as much trust in each; NaN with fewer than two.
        seen_covariance: (B, J, 3, 3) m^2 of ``seen_xyz``.
    """

    xyz: FloatArray
    covariance: FloatArray
    fleeting: FloatArray
    residual_px: FloatArray
    trust: FloatArray
    seen_xyz: FloatArray
    seen_covariance: FloatArray

    def select(self, kept: NDArray[np.bool_] | IntArray) -> Solution:
        """Return the bodies of the mask or indices ``kept``."""
        return Solution(
            self.xyz[kept], self.covariance[kept], self.fleeting[kept], self.residual_px[:, kept], self.trust[:, kept],
            self.seen_xyz[kept], self.seen_covariance[kept],
        )

    def replace(self, bodies: IntArray, other: Solution) -> None:
        """Put the bodies of ``other`` in the places ``bodies``."""
        self.xyz[bodies], self.covariance[bodies] = other.xyz, other.covariance
        self.fleeting[bodies] = other.fleeting
        self.residual_px[:, bodies], self.trust[:, bodies] = other.residual_px, other.trust
        self.seen_xyz[bodies], self.seen_covariance[bodies] = other.seen_xyz, other.seen_covariance

    @property
    def support(self) -> NDArray[np.bool_]:
        """(C, B, J) the views that agree with the joint: residual within the robust scale."""
        return np.asarray((self.trust >= SUPPORT) & np.isfinite(self.xyz).all(-1))

    @property
    def num_views(self) -> IntArray:
        """(B, J) views that agree with the joint."""
        return np.asarray(self.support.sum(0), np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Circumstances:
    """What is known beside the keypoints of B bodies in C views; None where it is not.

    Attributes:
        lifted: the lifted poses.
        bones: the bodies' bone lengths; not used without ``lifted``, as they couple joints.
        place: (B, 3) m, where the middle of each body's joints is expected, NaN = unknown.
        place_variance: (B,) m^2 of ``place``, per axis, infinite where it is not to be relied upon; used with
            ``lifted``.
        expected: (B, J, 3) m, where the joints are expected, NaN = unknown; decides only which side is which.
        displacement: (C, B, J, 3) m, from the joint at the set's instant to where it was at the view's.
        shared: (C,) standard deviation of what all joints of a view share, at focal length 1; part of what ``weights``
            already count.
        level: standard deviation of the keypoints over what ``weights`` say; for the covariance only.
    """

    lifted: LiftedViews | None = None
    bones: BonePrior | None = None
    place: FloatArray | None = None
    place_variance: FloatArray | None = None
    expected: FloatArray | None = None
    displacement: FloatArray | None = None
    shared: FloatArray | None = None
    level: float = 1.0

    def select(self, kept: IntArray) -> Circumstances:
        """Return those of the bodies ``kept``, without lifted poses."""
        return Circumstances(
            None, None if self.bones is None else self.bones.select(kept),
            None if self.place is None else self.place[kept],
            None if self.place_variance is None else self.place_variance[kept],
            None if self.expected is None else self.expected[kept],
            None if self.displacement is None else self.displacement[:, kept], self.shared, self.level,
        )


_NOTHING = Circumstances()


def solve(
    cam_from_world: FloatArray,
    focal_px: FloatArray,
    xn: FloatArray,
    weights: FloatArray,
    config: SolverConfig,
    known: Circumstances = _NOTHING,
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
        known: what else is known.

    Raises:
        ShapeError: if the arrays do not agree.
    """
    _check(cam_from_world, focal_px, xn, weights, known.lifted)
    views = ViewEquations.of(cam_from_world, focal_px, xn, weights, known.displacement)
    prior = None if known.lifted is None else lifted_prior(known.lifted, config)
    if prior is not None and known.place is not None and known.place_variance is not None:
        prior.add_place(known.place, known.place_variance)
    depth = _first_depth(cam_from_world, weights.shape[1], known)
    trust: FloatArray = np.ones(weights.shape)
    scaled2 = views.weight2 / config.robust_sigmas**2
    lengths: LinearBones | None = None
    for step in range(config.iterations):
        equations = views.normal_equations(trust, depth)
        last = step == config.iterations - 1
        if prior is None:
            xyz, covariance = triangulate(equations, last)
        else:
            # Bones need directions, which the first step finds and the others hardly change.
            if known.bones is not None and (step == 1 or (last and step)):
                lengths = LinearBones.of(known.bones, xyz, config.bone_spread)
            xyz, inverse = _solve_jointly(equations, prior, lengths, last)
        if last:
            shifts = None if known.shared is None else views.shifts(trust, depth, known.shared)
            if prior is None:
                covariance, fleeting = parted_alone(covariance, shifts, known.level)
            else:
                covariance, fleeting = parted(inverse, equations, shifts, known.level)
        depth, error2 = views.residuals(xyz)
        # Geman-McClure's weight
        trust = 1.0 / np.square(1.0 + scaled2 * error2)
    seen = views.weight2 > 0.0
    agreed = (seen & (trust >= SUPPORT)).sum(0) >= 2
    if prior is None:
        found = alone = _placed(agreed, xyz, covariance)
    else:
        found = _placed(agreed | prior.known[:, None], xyz, covariance)
        alone = _placed(agreed, *triangulate(views.normal_equations(trust, depth), True))
    contradicted = doubt(seen, trust, np.sqrt(error2) * depth)
    found[1][...] += contradicted
    seen &= np.isfinite(found[1][..., 0, 0])
    return Solution(
        *found, fleeting, np.where(seen, np.sqrt(error2) * focal_px[:, None, None], np.nan),
        np.where(seen, trust, 0.0), *alone,
    )


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


def _first_depth(cam_from_world: FloatArray, bodies: int, known: Circumstances) -> FloatArray:
    """Return the depth (C, B, 1) m at which each body is taken to be before the first step."""
    place = np.full((bodies, 3), np.nan) if known.place is None else known.place
    if known.lifted is not None:
        roots = known.lifted.root
        lifted = np.isfinite(roots[..., :1])
        count = lifted.sum(0)
        mean = np.where(lifted, roots, 0.0).sum(0) / np.maximum(count, 1)
        place = np.where(np.isfinite(place), place, np.where(count > 0, mean, np.nan))
    depth = place @ cam_from_world[:, 2, :3].T + cam_from_world[:, 2, 3]
    # NaN is not greater.
    with np.errstate(invalid='ignore'):
        return np.where(depth > NEAR_M, depth, UNKNOWN_DEPTH_M).T[..., None]


def _placed(
    known: NDArray[np.bool_], xyz: FloatArray, covariance: FloatArray
) -> tuple[FloatArray, FloatArray]:
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
