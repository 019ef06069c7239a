"""The views of one body: sides repaired by robust triangulation, distances measured in the body's size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..config import TriangulationConfig
from ..geometry.triangulation import Triangulation, triangulate_robust
from ..skeleton import FloatArray, Skeleton
from .left_right import exchange, limb_cost, suspected_swap

# The settings' pixel distances hold for a body of this extent in the image.
_REFERENCE_EXTENT_PX = 600.0
_LEAST_EXTENT_PX = 60.0
# An exchange of sides must lower the limbs' capped squared residuals to this part.
_SWAP_GAIN = 0.6
# Legs and arms of at most two views; more means that the views disagree for another reason.
_MOST_SWAPS = 4


@dataclass(frozen=True, slots=True, eq=False)
class BodyViews:
    """The views of one body, as used.

    Attributes:
        xn: (C, J, 2) normalised points with sides repaired, NaN = not used.
        confidence: (C, J) in [0, 1], with sides repaired, 0 = not used.
        focal_px: (C,) focal length scaled so that residuals are px of a body at the reference extent.
        swaps: limb groups whose sides were exchanged.
    """

    xn: FloatArray
    confidence: FloatArray
    focal_px: FloatArray
    swaps: int


def extent_scale(focal_px: FloatArray, xn: FloatArray) -> FloatArray:
    """Return (C, ...) reference extent / extent of a body in each view, from points (C, ..., J, 2); 1 where unseen.

    Detectors look at a crop of the person, so that their error grows with the person's size in the image.
    """
    seen = np.isfinite(xn)
    extent = np.where(seen, xn, -np.inf).max(-2) - np.where(seen, xn, np.inf).min(-2)
    extent_px = extent.max(-1) * focal_px.reshape(-1, *[1] * (xn.ndim - 3))
    scale: FloatArray = np.where(
        extent_px >= 0.0, _REFERENCE_EXTENT_PX / np.maximum(extent_px, _LEAST_EXTENT_PX), 1.0
    )
    return scale


def triangulate_body(
    cam_from_world: FloatArray,
    focal_px: FloatArray,
    xn: FloatArray,
    confidence: FloatArray,
    skeleton: Skeleton,
    config: TriangulationConfig,
) -> tuple[Triangulation, BodyViews]:
    """Triangulate the joints of one body.

    Args:
        cam_from_world: (C, 3, 4).
        focal_px: (C,).
        xn: (C, J, 2) normalised points, NaN = not seen.
        confidence: (C, J) in [0, 1]; 0 leaves a view out.
        skeleton: J joints.
        config: distances that tell noise from outliers.

    Returns:
        The triangulation, residuals in raw-scale px, and the views as they were used.
    """
    used = np.asarray(np.isfinite(xn).all(-1)) & (confidence > 0.0)
    xn = np.where(used[..., None], xn, np.nan)
    confidence = np.where(used, confidence, 0.0)
    scale = extent_scale(focal_px, xn)
    focal = focal_px * scale
    swaps = 0
    found = triangulate_robust(cam_from_world, focal, xn, confidence / config.noise_px, outlier_px=config.outlier_px)
    # Two views cannot outvote each other.
    while swaps < _MOST_SWAPS and used.any(1).sum() > 2:
        swap = suspected_swap(cam_from_world, focal, xn, found.xyz, skeleton, config.outlier_px)
        if swap is None:
            break
        group, view = swap
        tried_xn, tried_confidence = xn.copy(), confidence.copy()
        exchange(tried_xn, view, group)
        exchange(tried_confidence, view, group)
        tried = triangulate_robust(
            cam_from_world, focal, tried_xn, tried_confidence / config.noise_px, outlier_px=config.outlier_px
        )
        joints = np.array(group).ravel()
        before, after = (
            limb_cost(result.residual_px[:, joints], config.outlier_px).sum() for result in (found, tried)
        )
        if after > _SWAP_GAIN * before:
            break
        xn, confidence, found = tried_xn, tried_confidence, tried
        swaps += 1
    raw = Triangulation(found.xyz, found.covariance, found.residual_px / scale[:, None], found.inliers)
    return raw, BodyViews(xn, confidence, focal, swaps)
