"""Bodies from their grouped views: lifted, solved, and solved again where a view had its sides exchanged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from ..config import SolverConfig, TriangulationConfig
from ..skeleton import FloatArray, Skeleton
from ..types import Bodies3D
from .body import extent_scale, triangulate_body
from .left_right import limb_groups, suspected_swap
from .solver import LiftedViews, Solution, solve
from .tracking import TrackedBodies

# (C, B, J, 2) normalised keypoints and (C, B, J) confidence to lifted poses.
Lift = Callable[[FloatArray, FloatArray], LiftedViews]

# A limb group of six joints is suspect if so many of them disagree with the body in a view.
_SUSPECT_JOINTS = 3
# A joint that no view supports is half trusted at this standard deviation.
_HALF_TRUSTED_M = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class Estimate:
    """B bodies and the views they were made from.

    Attributes:
        solution: the joints.
        confidence: (C, B, J) of the keypoints as used, sides repaired, 0 = not used.
        swaps: limb groups whose sides were exchanged, over all bodies.
        lift_ms: time the lifter took.
    """

    solution: Solution
    confidence: FloatArray
    swaps: int
    lift_ms: float

    def select(self, kept: NDArray[np.bool_]) -> Estimate:
        """Return the bodies of the mask (B,)."""
        if kept.all():
            return self
        solution = self.solution
        return Estimate(
            Solution(
                solution.xyz[kept], solution.covariance[kept], solution.residual_px[:, kept], solution.trust[:, kept]
            ),
            self.confidence[:, kept], self.swaps, self.lift_ms,
        )


def estimate_bodies(
    cam_from_world: FloatArray,
    focal_px: FloatArray,
    xn: FloatArray,
    confidence: FloatArray,
    skeleton: Skeleton,
    triangulation: TriangulationConfig,
    solver: SolverConfig,
    lift: Lift | None,
) -> Estimate:
    """Estimate B bodies from C views.

    Args:
        cam_from_world: (C, 3, 4).
        focal_px: (C,).
        xn: (C, B, J, 2) undistorted normalised keypoints, NaN = not seen.
        confidence: (C, B, J) in [0, 1]; 0 leaves a keypoint out.
        skeleton: J joints.
        triangulation: pixel noise, and what is an outlier.
        solver: see SolverConfig.
        lift: the lifter, or None to triangulate only.
    """

    lift_ms = 0.0

    def solved(xn: FloatArray, confidence: FloatArray) -> Solution:
        nonlocal lift_ms
        began = perf_counter()
        lifted = None if lift is None else lift(xn, confidence)
        lift_ms += (perf_counter() - began) * 1e3
        weights = confidence * (extent_scale(focal_px, xn) / triangulation.noise_px)[..., None]
        return solve(cam_from_world, focal_px, xn, weights, solver, lifted)

    seen = np.asarray(np.isfinite(xn).all(-1)) & (confidence > 0.0)
    xn = np.where(seen[..., None], xn, np.nan)
    confidence = np.where(seen, confidence, 0.0)
    solution = solved(xn, confidence)
    swaps = 0
    disagree = seen & ~solution.support
    suspect = np.zeros(xn.shape[1], bool)
    for group in limb_groups(skeleton):
        suspect |= (disagree[..., np.ravel(group)].sum(-1) >= _SUSPECT_JOINTS).any(0)
    for body in np.flatnonzero(suspect):
        focal = focal_px * extent_scale(focal_px, xn[:, body])
        # Cheap, and false for most disagreement: the mirrored labels do not fit better.
        if suspected_swap(
            cam_from_world, focal, xn[:, body], solution.xyz[body], skeleton, triangulation.outlier_px
        ) is None:
            continue
        _, views = triangulate_body(cam_from_world, focal_px, xn[:, body], confidence[:, body], skeleton, triangulation)
        if views.swaps:
            xn[:, body], confidence[:, body] = views.xn, views.confidence
            swaps += views.swaps
    if swaps:
        solution = solved(xn, confidence)
    return Estimate(solution, confidence, swaps, lift_ms)


def to_bodies(stamp_ns: int, frame_id: str, skeleton: Skeleton, estimate: Estimate, tracked: TrackedBodies) -> Bodies3D:
    """Return the tracked bodies, the first B of which are those of ``estimate``, with what supports each joint.

    A joint's confidence is the mean of the views that support it; of a joint that none does, one that falls with its
    uncertainty.
    """
    solution, support = estimate.solution, estimate.solution.support
    bodies, joints = len(tracked.body_ids), len(skeleton)
    num_views = np.zeros((bodies, joints), np.int64)
    error = np.full((bodies, joints), np.nan)
    measured = support.shape[1]
    count = solution.num_views
    num_views[:measured] = count
    divisor = np.maximum(count, 1)
    mean_error = np.where(support, solution.residual_px, 0.0).sum(0) / divisor
    error[:measured] = np.where(count > 0, mean_error, np.nan)
    variance = np.trace(tracked.covariance, axis1=-2, axis2=-1) / _HALF_TRUSTED_M**2
    confidence = np.nan_to_num(0.5 / (1.0 + variance))
    supported = np.where(support, estimate.confidence, 0.0).sum(0) / divisor
    confidence[:measured] = np.where(count > 0, supported, confidence[:measured])
    return Bodies3D(
        stamp_ns, frame_id, skeleton, tracked.xyz, tracked.covariance, confidence, num_views, error, tracked.body_ids
    )
