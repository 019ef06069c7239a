"""Joints from all views at once: maximum a-posteriori over reprojections and lifted poses; docs/fusion.md derives it.

Model, per body with joints X (J, 3) in the world:

- a keypoint lies where the joint projects, up to pixel noise with heavy tails (Geman & McClure 1987);
- a view's lifted pose is the body up to a shift, a small rotation and a small scale shared by all its joints, and an
  independent error per joint, larger along the view axis. The shared ones are marginalised (Woodbury), which leaves
  an information matrix (3J, 3J);
- lifters err alike in all views, so n lifted views count as sqrt(n) independent ones;
- bones of a body that is tracked have the lengths they had, up to a few per cent;
- every view has its own instant: the joint it saw is X plus a known displacement.

Errors that a filter may average away are told from those that last: the noise of the keypoints, of which every set has
another, and what the joints of a view share (its calibration, its detector's bias) or the lifter and the bones say,
which is the same in the next set. The sensitivity of the joints to what a view shares is propagated as that of a
consider parameter (Schmidt 1966; Bar-Shalom, Li, Kirubarajan 2001, 8.6).

Each step solves the normal equations of all bodies at once. A view's residual is (f / z) (R_xy - x R_z) (X - c):
exact, and with the depth z of the step before linear in X (Hartley & Zisserman, 2nd ed., 12.2, iterated).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import dposv, dpotri

from ..config import SolverConfig
from ..errors import ShapeError
from ..geometry.matrices import traces
from ..skeleton import FloatArray
from ..types import IntArray
from .bones import BonePrior
from .views import NEAR_M

# Depth at which all cameras are taken to be before the first step, if no lifted root says better.
_UNKNOWN_DEPTH_M = 4.0
# Squared residual, at focal length 1, of a joint behind the camera.
_FAR2 = 1e6
# Estimate of the condition number beyond which rays are parallel.
_ILL_CONDITIONED = 1e9
# Information that keeps joints solvable that nothing determines, 1/m^2: a standard deviation of 1 km.
_FLOOR = 1e-6
# Trust of a view whose residual equals the robust scale.
_SUPPORT = 0.25
# Standard deviation per axis of a joint that a view contradicts, as part of the distance; and the largest distance, m.
_CONTRADICTED = 0.6
_MOST_DOUBT_M = 0.5
# Part of the keypoints' variance that may be shared by a view's joints.
_MOST_SHARED = 0.9
# Shared errors of a lifted pose: shift (3), rotation (3), scale (1).
_SHARED = 7


@dataclass(frozen=True, slots=True, eq=False)
class LiftedViews:
    """What the lifter says about B bodies from V of their views each, in the axes of the world.

    Attributes:
        pose: (V, B, J, 3) m, joints relative to the pelvis; NaN = not lifted.
        sigma: (V, B, J) m, standard deviation of each joint, per axis.
        root: (V, B, 3) m, the pelvis in the world.
        axis: (V, B, 3) unit vector from the camera to the pelvis, along which depth is least known.
    """

    pose: FloatArray
    sigma: FloatArray
    root: FloatArray
    axis: FloatArray

    @classmethod
    def of_cameras(
        cls, pose: FloatArray, sigma: FloatArray, root: FloatArray, cam_from_world: FloatArray
    ) -> LiftedViews:
        """Return lifted poses (V, B, J, 3) and roots (V, B, 3) of camera frames in the world.

        Args:
            pose, sigma, root: in the frames of the cameras.
            cam_from_world: (V, B, 3, 4), or what broadcasts to it, of the camera that each view is of.
        """
        R, t = cam_from_world[..., :3], cam_from_world[..., 3]
        axis = root / np.sqrt((root * root).sum(-1, keepdims=True))
        return cls(pose @ R, sigma, ((root - t)[..., None, :] @ R)[..., 0, :], (axis[..., None, :] @ R)[..., 0, :])


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
        return np.asarray((self.trust >= _SUPPORT) & np.isfinite(self.xyz).all(-1))

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
    views = _Views.of(cam_from_world, focal_px, xn, weights, known.displacement)
    prior = None if known.lifted is None else _prior(known.lifted, config)
    if prior is not None and known.place is not None and known.place_variance is not None:
        prior.add_place(known.place, known.place_variance)
    depth = _first_depth(cam_from_world, weights.shape[1], known)
    trust: FloatArray = np.ones(weights.shape)
    scaled2 = views.weight2 / config.robust_sigmas**2
    lengths: _Bones | None = None
    for step in range(config.iterations):
        equations = views.normal_equations(trust, depth)
        last = step == config.iterations - 1
        if prior is None:
            xyz, covariance = _triangulate(equations, last)
        else:
            # Bones need directions, which the first step finds and the others hardly change.
            if known.bones is not None and (step == 1 or (last and step)):
                lengths = _Bones.of(known.bones, xyz, config.bone_spread)
            xyz, inverse = _solve_jointly(equations, prior, lengths, last)
        if last:
            shifts = None if known.shared is None else views.shifts(trust, depth, known.shared)
            if prior is None:
                covariance, fleeting = _alone(covariance, shifts, known.level)
            else:
                covariance, fleeting = _parted(inverse, equations, shifts, known.level)
        depth, error2 = views.residuals(xyz)
        # Geman-McClure's weight
        trust = 1.0 / np.square(1.0 + scaled2 * error2)
    seen = views.weight2 > 0.0
    agreed = (seen & (trust >= _SUPPORT)).sum(0) >= 2
    if prior is None:
        found = alone = _placed(agreed, xyz, covariance)
    else:
        found = _placed(agreed | prior.known[:, None], xyz, covariance)
        alone = _placed(agreed, *_triangulate(views.normal_equations(trust, depth), True))
    doubt = _doubt(seen, trust, np.sqrt(error2) * depth)
    found[1][...] += doubt
    seen &= np.isfinite(found[1][..., 0, 0])
    return Solution(
        *found, fleeting, np.where(seen, np.sqrt(error2) * focal_px[:, None, None], np.nan),
        np.where(seen, trust, 0.0), *alone,
    )


def _doubt(seen: NDArray[np.bool_], trust: FloatArray, apart_m: FloatArray) -> FloatArray:
    """Return (B, J, 3, 3) m^2: what joints are more uncertain by that few views support and others contradict.

    Where fewer than two views agree, one that was not believed may be the one that is right.

    Args:
        seen: (C, B, J) keypoints.
        trust: (C, B, J) in them.
        apart_m: (C, B, J) how far beside the keypoint's ray the joint is.
    """
    supporting = seen & (trust >= _SUPPORT)
    count = supporting.sum(0)
    against = np.where(seen & ~supporting, apart_m, np.inf).min(0, initial=np.inf)
    open_question = (count < 2) & (against < _UNKNOWN_DEPTH_M)
    variance = np.where(open_question, np.square(np.minimum(against, _MOST_DOUBT_M) * _CONTRADICTED), 0.0)
    return variance[..., None, None] * _EYE


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
        return np.where(depth > NEAR_M, depth, _UNKNOWN_DEPTH_M).T[..., None]


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


# Of a symmetric 3x3: row and column of its six different elements, and which of the six each of the nine is.
_ROW, _COLUMN = np.triu_indices(3)
_NINE = np.array([[0, 1, 2], [1, 3, 4], [2, 4, 5]])
# The cofactors of the six: first times second less third times fourth.
_COFACTORS = np.array([[3, 2, 1, 0, 1, 0], [5, 4, 4, 5, 2, 3], [4, 1, 2, 2, 0, 1], [4, 5, 3, 2, 4, 1]])
_DIAGONAL = np.array([0, 3, 5])
_NO_COVARIANCE = np.zeros((0, 0, 3, 3))


@dataclass(frozen=True, slots=True, eq=False)
class _Views:
    """Everything about the keypoints that does not change from step to step; components first, for speed.

    Attributes:
        rows, offset: (3, 3, C, B, J) and (3, C, B, J): with p = rows X - offset, the depth is p_z and the residual in
            the image (p_x, p_y) / p_z.
        normal: (9, C, B, J): the six numbers of A^T A and the three of A^T b, A and b the first two rows.
        weight2: (C, B, J) (focal length / standard deviation)^2, 0 where not seen.
    """

    rows: FloatArray
    offset: FloatArray
    normal: FloatArray
    weight2: FloatArray

    @classmethod
    def of(
        cls, cam_from_world: FloatArray, focal_px: FloatArray, xn: FloatArray, weights: FloatArray,
        displacement: FloatArray | None,
    ) -> _Views:
        seen = np.isfinite(xn[..., 0]) & np.isfinite(xn[..., 1]) & (weights > 0.0)
        x = np.zeros((3, *seen.shape))
        np.copyto(x[:2], xn.transpose(3, 0, 1, 2), where=seen)
        parts = cam_from_world.transpose(1, 2, 0)[..., None, None]
        R, t = parts[:, :3], parts[:, 3]
        # The third element of x is 0, so that the third row stays the depth's.
        rows = R - x[:, None] * R[2]
        offset = x * t[2] - t
        if displacement is not None:
            offset = offset - (rows * displacement.transpose(3, 0, 1, 2)).sum(1)
        first, second = rows[0], rows[1]
        normal = np.concatenate(
            [
                first.take(_ROW, 0) * first.take(_COLUMN, 0) + second.take(_ROW, 0) * second.take(_COLUMN, 0),
                first * offset[0] + second * offset[1],
            ]
        )
        return cls(rows, offset, normal, np.where(seen, (weights * focal_px[:, None, None]) ** 2, 0.0))

    def normal_equations(self, trust: FloatArray, depth: FloatArray) -> FloatArray:
        """Return (9, B, J), ``normal`` summed over the views at the given trust (C, B, J) and depth."""
        total: FloatArray = (trust * self.weight2 / (depth * depth) * self.normal).sum(1)
        return total

    def shifts(self, trust: FloatArray, depth: FloatArray, shared: FloatArray) -> FloatArray:
        """Return (B, 3J, 2C): what a standard deviation of each view's shared error adds to the right-hand sides."""
        _, _, cameras, bodies, joints = self.rows.shape
        pull = trust * self.weight2 / depth * shared[:, None, None]
        # (2, 3, C, B, J) -> (B, 3, J, 2, C)
        moved = (self.rows[:2] * pull).transpose(3, 1, 4, 0, 2)
        return moved.reshape(bodies, 3 * joints, 2 * cameras)

    def residuals(self, xyz: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return depth (C, B, J) m, at least NEAR_M, and squared residual (C, B, J) in the image at focal length 1.

        Behind the camera the residual is as large as no other.
        """
        p = (self.rows * xyz[:, None]).sum(1) - self.offset
        depth = np.maximum(p[2], NEAR_M)
        error2 = (p[0] * p[0] + p[1] * p[1]) / (depth * depth)
        error2[p[2] <= NEAR_M] = _FAR2
        return depth, error2


def _triangulate(equations: FloatArray, with_covariance: bool) -> tuple[FloatArray, FloatArray]:
    """Solve each joint alone: xyz (3, B, J), 0 where rays are parallel, and covariance (B, J, 3, 3), NaN there.

    The covariance is empty unless it is asked for.

    The inverse of a symmetric 3x3 by cofactors.
    """
    factors = equations.take(_COFACTORS, 0)
    inverse = factors[0] * factors[1] - factors[2] * factors[3]
    determinant = (equations[:3] * inverse[:3]).sum(0)
    # trace(m) trace(m^-1) bounds the condition number.
    traces = equations.take(_DIAGONAL, 0).sum(0) * inverse.take(_DIAGONAL, 0).sum(0)
    determined = traces < _ILL_CONDITIONED * determinant
    inverse *= determined / np.where(determined, determinant, 1.0)
    square = inverse.take(_NINE, 0)
    xyz = (square * equations[6:]).sum(1)
    if not with_covariance:
        return xyz, _NO_COVARIANCE
    return xyz, np.where(determined[..., None, None], square.transpose(2, 3, 0, 1), np.nan)


@dataclass(frozen=True, slots=True, eq=False)
class _Prior:
    """Gaussian over a body's joints, ordered x of all joints, y of all, z of all.

    Attributes:
        information: (B, 3J, 3J).
        right: (B, 3J), information @ mean.
        known: (B,) whether any view was lifted.
    """

    information: FloatArray
    right: FloatArray
    known: NDArray[np.bool_]

    def add_place(self, place: FloatArray, variance: FloatArray) -> None:
        """Add that the mean of each body's joints is at ``place`` (B, 3) up to ``variance`` (B,)."""
        bodies, size = self.right.shape
        joints = size // 3
        usable = np.isfinite(place[:, 0])
        certain = np.where(usable, 1.0 / np.where(usable, variance, 1.0), 0.0)
        blocks = self.information.reshape(bodies, 3, joints, 3, joints)
        for axis in range(3):
            blocks[:, axis, :, axis] += (certain / joints**2)[:, None, None]
        self.right.reshape(bodies, 3, joints)[...] += (
            certain[:, None] / joints * np.where(usable[:, None], place, 0.0)
        )[..., None]


@lru_cache
def _modes(rotation_rad: float, scale: float) -> FloatArray:
    """Return (21, 3): of each of 7 shared modes of unit variance, 3 rows that turn a joint's arm into its displacement.

    The rows of the three shifts are zero: a shift does not depend on the arm.
    """
    modes = np.zeros((_SHARED, 3, 3))
    for axis in range(3):
        modes[3 + axis] = rotation_rad * np.cross(np.eye(3)[axis], np.eye(3)).T
    modes[6] = scale * np.eye(3)
    return modes.reshape(-1, 3)


_SHIFTS = np.eye(_SHARED, 3)[:, :, None]
_PROPER = (np.arange(_SHARED) >= 3).astype(float)
_EYE = np.eye(3)


def _prior(lifted: LiftedViews, config: SolverConfig) -> _Prior:
    """Combine the lifted poses of all views, their shared errors marginalised.

    With D the per-joint covariance of a view and U its shared modes, scaled to unit variance (shifts: infinite),
    (D + U U^T)^-1 = D^-1 - D^-1 U (T + U^T D^-1 U)^-1 U^T D^-1, T = diag(0, 0, 0, 1, 1, 1, 1).
    """
    cameras, bodies, joints, _ = lifted.pose.shape
    size = 3 * joints
    # A sum is finite only if all its terms are.
    known = np.isfinite(lifted.pose.sum((-1, -2)) + lifted.root.sum(-1))
    usable, axis, sigma = lifted.pose, lifted.axis[..., None], lifted.sigma
    if not known.all():
        usable = np.where(known[..., None, None], usable, 0.0)
        axis = np.where(known[..., None, None], axis, ((0.0,), (0.0,), (1.0,)))
        sigma = np.where(known[..., None], sigma, 1.0)
    pose = np.swapaxes(usable, -1, -2)
    count = known.sum(0)
    share = known / np.sqrt(np.maximum(count, 1))
    certain = (share[..., None] / sigma**2)[..., None, :]
    precise, loose = 1.0 / config.lifter_across**2, 1.0 / config.lifter_along**2
    shape = precise * _EYE + (loose - precise) * axis * np.swapaxes(axis, -1, -2)

    arm = pose - pose.sum(-1, keepdims=True) / joints
    modes = _modes(config.lifter_rotation_rad, config.lifter_scale) @ arm
    modes = modes.reshape(cameras, bodies, _SHARED, 3, joints) + _SHIFTS
    scaled = certain[..., None, :, :] * (shape[..., None, :, :] @ modes)
    scaled = scaled.reshape(cameras, bodies, _SHARED, size)
    inner = scaled @ np.swapaxes(modes.reshape(scaled.shape), -1, -2)
    # A view without a lifted pose has only zeros here; any regular matrix will do.
    own = share[..., None] * _PROPER
    if not known.all():
        own = np.where(known[..., None], own, 1.0)
    inner.reshape(cameras, bodies, _SHARED * _SHARED)[..., :: _SHARED + 1] += own
    # Positive definite and well conditioned; numpy's solve takes several times as long for so many right-hand sides.
    weighted = np.linalg.inv(inner) @ scaled

    mean = (certain * (shape @ pose)).reshape(cameras, bodies, size, 1)
    shared = scaled @ pose.reshape(cameras, bodies, size, 1)
    right = (mean - np.swapaxes(weighted, -1, -2) @ shared)[..., 0].sum(0)
    # Sum over views in one product per body: (3J, 7C) (7C, 3J)
    left = weighted.swapaxes(0, 1).reshape(bodies, cameras * _SHARED, size)
    information = -(np.swapaxes(left, -1, -2) @ scaled.swapaxes(0, 1).reshape(left.shape))
    blocks = (certain[..., None, :] * shape[..., None]).sum(0)
    _diagonal_blocks(information)[...] += blocks.transpose(1, 2, 0, 3) + (_FLOOR * _EYE)[..., None, None]
    return _Prior(information, right, count > 0)


def _diagonal_blocks(matrix: FloatArray) -> FloatArray:
    """Return the view (3, 3, B, J) of the elements of (B, 3J, 3J) that couple components of one joint."""
    bodies, size, _ = matrix.shape
    joints = size // 3
    # Without a sum einsum returns a view.
    diagonal: FloatArray = np.einsum('brjcj->rcbj', matrix.reshape(bodies, 3, joints, 3, joints))
    return diagonal


@dataclass(frozen=True, slots=True, eq=False)
class _Bones:
    """Bone lengths, linear in the joints: ``rows`` (B, E, 3J) X = ``length`` (B, E, 1), weighted by ``certain``."""

    rows: FloatArray
    length: FloatArray
    certain: FloatArray

    @classmethod
    def of(cls, bones: BonePrior, xyz: FloatArray, spread: float) -> _Bones:
        """Linearise at joints (3, B, J): a length is |d|, d the bone's vector, and its gradient d / |d|."""
        _, bodies, joints = xyz.shape
        # (3, B, E)
        bone = xyz @ bones.incidence.T
        length = np.sqrt((bone * bone).sum(0))
        direction = bone / np.maximum(length, NEAR_M * NEAR_M)
        rows = direction.transpose(1, 2, 0)[..., None] * bones.incidence[:, None]
        certain = 1.0 / (bones.variance + np.square(spread * bones.length))
        return cls(rows.reshape(bodies, -1, 3 * joints), bones.length[..., None], certain[..., None])

    def add_to(self, information: FloatArray, right: FloatArray) -> None:
        """Add to normal matrices (B, 3J, 3J) and right-hand sides (B, 3J)."""
        weighted = np.swapaxes(self.certain * self.rows, -1, -2)
        information += weighted @ self.rows
        right += (weighted @ self.length)[..., 0]


def _solve_jointly(
    equations: FloatArray, prior: _Prior, bones: _Bones | None, with_covariance: bool
) -> tuple[FloatArray, FloatArray]:
    """Solve all joints of each body with the prior and the bones, which couple them.

    Returns xyz (3, B, J) and the covariance of all joints (B, 3J, 3J), empty unless it is asked for.
    """
    _, bodies, joints = equations.shape
    total = prior.information.copy()
    _diagonal_blocks(total)[...] += equations[_NINE]
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


def _parted(
    inverse: FloatArray, equations: FloatArray, shifts: FloatArray | None, level: float
) -> tuple[FloatArray, FloatArray]:
    """Return the joints' covariance (B, J, 3, 3), what views share counted, and its fleeting part.

    With L the information of the keypoints, P the posterior's covariance, P L P comes from them; the rest is the
    prior's. ``shifts`` (B, 3J, 2C) turns into a displacement of the joints of P shifts.
    """
    bodies, size, _ = inverse.shape
    joints = size // 3
    own = _diagonal_blocks(inverse).transpose(2, 3, 0, 1)
    rows = inverse.reshape(bodies, 3, joints, 3, joints)
    # (B, 3, J, 3, J): P L, L block-diagonal
    weighted = np.einsum('brjak,cabk->brjck', rows, equations[_NINE])
    per_joint = (bodies, joints, 3, size)
    keypoints = weighted.transpose(0, 2, 1, 3, 4).reshape(per_joint) @ np.swapaxes(
        rows.transpose(0, 2, 1, 3, 4).reshape(per_joint), -1, -2
    )
    return _sum_of_parts(own - keypoints, keypoints, None if shifts is None else inverse @ shifts, level)


def _alone(covariance: FloatArray, shifts: FloatArray | None, level: float) -> tuple[FloatArray, FloatArray]:
    """Return ``_parted`` for joints solved each alone, covariance (B, J, 3, 3)."""
    moved = None
    if shifts is not None:
        bodies, size, cameras = shifts.shape
        per_joint = shifts.reshape(bodies, 3, size // 3, cameras).swapaxes(1, 2)
        moved = (covariance @ per_joint).swapaxes(1, 2).reshape(shifts.shape)
    return _sum_of_parts(np.zeros_like(covariance), covariance, moved, level)


def _sum_of_parts(
    others: FloatArray, keypoints: FloatArray, moved: FloatArray | None, level: float
) -> tuple[FloatArray, FloatArray]:
    """Return covariance and fleeting part (B, J, 3, 3).

    Args:
        others: the part that comes from the lifted poses and bones.
        keypoints: the part that comes from the keypoints, in which what a view's joints share counts as if each had its
            own.
        moved: (B, 3J, 2C) m, displacement of the joints by one standard deviation of what each view shares.
        level: see Circumstances.
    """
    if moved is None:
        fleeting = level**2 * keypoints
        return others + fleeting, fleeting
    bodies, size, cameras = moved.shape
    per_joint = moved.reshape(bodies, 3, size // 3, cameras).swapaxes(1, 2)
    shared = per_joint @ np.swapaxes(per_joint, -1, -2)
    trace = traces(keypoints)
    part = np.clip(traces(shared) / np.maximum(trace, 1e-12), 0.0, _MOST_SHARED)
    fleeting = (level**2 * (1.0 - part))[..., None, None] * keypoints
    return others + fleeting + shared, fleeting
