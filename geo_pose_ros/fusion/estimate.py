"""Bodies from their grouped views: lifted, solved, and solved again where a view had its sides exchanged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from ..arrays import FloatArray, IntArray
from ..skeleton import Skeleton
from .left_right import contradicted, repair_sides, suspects, unexpected_sides
from .lifted import LiftedViews
from .settings import SolverConfig
from .solver import Circumstances, Solution, solve

# (C, K, J, 2) normalised keypoints and (C, K, J) confidence of the bodies (K,) to their lifted poses.
Lift = Callable[[FloatArray, FloatArray, IntArray], LiftedViews]

# The settings' pixel distances hold for a body of this extent in the image.
_REFERENCE_EXTENT_PX = 600.0
_LEAST_EXTENT_PX = 60.0
# Several views have seen a body within a tenth of a second where its place is known this well, m^2.
_SURE_M2 = 0.01


@dataclass(frozen=True, slots=True, eq=False)
class Estimate:
    """B bodies and the views they were made from.

    Attributes:
        solution: the joints.
        xn: (C, B, J, 2) the keypoints as used, sides repaired, NaN = not used.
        confidence: (C, B, J) theirs, 0 = not used.
        weights: (C, B, J) 1 / standard deviation, 1/px, that the settings give them.
        swaps: limb groups whose sides were exchanged, over all bodies.
        lift_ms: time the lifter took.
    """

    solution: Solution
    xn: FloatArray
    confidence: FloatArray
    weights: FloatArray
    swaps: int
    lift_ms: float

    def select(self, kept: NDArray[np.bool_]) -> Estimate:
        """Return the bodies of the mask (B,)."""
        if kept.all():
            return self
        return Estimate(
            self.solution.select(kept), self.xn[:, kept], self.confidence[:, kept], self.weights[:, kept], self.swaps,
            self.lift_ms,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Noise:
    """How far each of C views may be believed.

    Attributes:
        level: standard deviation of all keypoints, in units of what the settings say.
        scale: (C,) each view's, in units of ``level``.
        shared: (C,) standard deviation of what all its joints share, at focal length 1.
    """

    level: float
    scale: FloatArray
    shared: FloatArray

    @classmethod
    def as_set(cls, cameras: int) -> Noise:
        """Return that of cameras of which nothing is known but the settings."""
        return cls(1.0, np.ones(cameras), np.zeros(cameras))


def estimate_bodies(
    cam_from_world: FloatArray,
    focal_px: FloatArray,
    xn: FloatArray,
    confidence: FloatArray,
    skeleton: Skeleton,
    solver: SolverConfig,
    lift: Lift | None,
    known: Circumstances | None = None,
    noise: Noise | None = None,
) -> Estimate:
    """Estimate B bodies from C views.

    Args:
        cam_from_world: (C, 3, 4).
        focal_px: (C,).
        xn: (C, B, J, 2) undistorted normalised keypoints, NaN = not seen.
        confidence: (C, B, J) in [0, 1]; 0 leaves a keypoint out.
        skeleton: J joints.
        solver: see SolverConfig.
        lift: the lifter, or None to triangulate only.
        known: what else is known of the bodies; its lifted poses are replaced by those of ``lift``.
        noise: how far each view may be believed; None for what the settings say.
    """
    lift_ms = 0.0
    known = known or Circumstances()
    noise = noise or Noise.as_set(len(focal_px))
    known = replace(known, shared=noise.shared if noise.shared.any() else None, level=noise.level)
    everybody = np.arange(xn.shape[1])

    def weights_of(xn: FloatArray, confidence: FloatArray) -> FloatArray:
        return _with_noise(_weights(focal_px, xn, confidence, solver), focal_px, noise)

    def solved(xn: FloatArray, confidence: FloatArray, weights: FloatArray, bodies: IntArray) -> Solution:
        nonlocal lift_ms
        about = known if bodies is everybody else known.select(bodies)
        if lift is not None:
            began = perf_counter()
            about = replace(about, lifted=lift(xn, confidence, bodies))
            lift_ms += (perf_counter() - began) * 1e3
        return solve(cam_from_world, focal_px, xn, weights, solver, about)

    # A sum is finite only if all its terms are.
    seen = np.asarray(np.isfinite(xn.sum(-1))) & (confidence > 0.0)
    xn = np.where(seen[..., None], xn, np.nan)
    confidence = confidence * seen
    plain = _weights(focal_px, xn, confidence, solver)
    weights = _with_noise(plain, focal_px, noise)
    solution = solved(xn, confidence, weights, everybody)
    contradictions = contradicted(weights, solution, skeleton)
    swaps, suspect, unexpected = 0, np.zeros(0, np.int64), None
    if known.expected is not None:
        sure = None if known.place_variance is None else known.place_variance < _SURE_M2
        unexpected = unexpected_sides(cam_from_world, xn, known.expected, known.displacement, skeleton, sure)
    if contradictions.any() or (unexpected is not None and unexpected.any()):
        suspect = suspects(
            cam_from_world, focal_px, xn, weights, solution, skeleton, solver.robust_sigmas, contradictions, unexpected
        )
    if len(suspect):

        def triangulated(xn: FloatArray, confidence: FloatArray, bodies: IntArray) -> Solution:
            moved = None if known.displacement is None else known.displacement[:, suspect[bodies]]
            weights = weights_of(xn, confidence)
            return solve(cam_from_world, focal_px, xn, weights, solver, Circumstances(displacement=moved))

        repaired_xn, repaired_confidence = xn[:, suspect], confidence[:, suspect]
        count = repair_sides(
            repaired_xn, repaired_confidence, skeleton, triangulated,
            None if unexpected is None else unexpected[..., suspect],
        )
        swaps = int(count.sum())
        changed = count > 0
        if swaps:
            again = suspect[changed]
            xn[:, again], confidence[:, again] = repaired_xn[:, changed], repaired_confidence[:, changed]
            repaired = repaired_xn[:, changed], repaired_confidence[:, changed]
            plain[:, again] = _weights(focal_px, *repaired, solver)
            solution.replace(again, solved(*repaired, weights_of(*repaired), again))
    return Estimate(solution, xn, confidence, plain, swaps, lift_ms)


def _weights(focal_px: FloatArray, xn: FloatArray, confidence: FloatArray, solver: SolverConfig) -> FloatArray:
    """Return (C, B, J) 1 / standard deviation of keypoints (C, B, J, 2), 1/px; 0 where ``confidence`` is 0.

    Detectors look at a crop of the person, so that their error grows with the person's size in the image.
    """
    # fmax and fmin pass over NaN.
    extent = np.fmax.reduce(xn, -2) - np.fmin.reduce(xn, -2)
    extent_px = np.fmax(extent.max(-1) * focal_px[:, None], _LEAST_EXTENT_PX)
    weights: FloatArray = confidence * (_REFERENCE_EXTENT_PX / solver.noise_px / extent_px)[..., None]
    return weights


def _with_noise(weights: FloatArray, focal_px: FloatArray, noise: Noise) -> FloatArray:
    """Return weights (C, B, J), 1/px, of views that are as noisy as ``noise`` says."""
    own = weights / noise.scale[:, None, None]
    counted: FloatArray = own / np.sqrt(1.0 + np.square(own * (noise.shared * focal_px)[:, None, None]))
    return counted
