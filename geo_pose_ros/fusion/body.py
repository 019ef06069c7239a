"""One body from its views: sides repaired, outlier views rejected, joints triangulated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..config import TriangulationConfig
from ..geometry.triangulation import Triangulation, triangulate_robust
from ..skeleton import FloatArray, Skeleton
from ..types import Bodies3D
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
    """Return (C,) reference extent / extent of the body in each view, from points (C, J, 2); 1 where unseen.

    Detectors look at a crop of the person, so that their error grows with the person's size in the image.
    """
    seen = np.asarray(np.isfinite(xn).all(-1))
    low = np.where(seen[..., None], xn, np.inf).min(1)
    high = np.where(seen[..., None], xn, -np.inf).max(1)
    extent = np.where(seen.any(1), (high - low).max(-1) * focal_px, _REFERENCE_EXTENT_PX)
    scale: FloatArray = _REFERENCE_EXTENT_PX / np.maximum(extent, _LEAST_EXTENT_PX)
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


def body_from_triangulation(
    stamp_ns: int, frame_id: str, found: Triangulation, views: BodyViews, body_id: int, skeleton: Skeleton
) -> Bodies3D:
    """Return one body; a joint's confidence is the mean confidence of the views that support it."""
    support = found.inliers
    count = support.sum(0)
    seen = count >= 2
    divisor = np.maximum(count, 1)
    confidence = np.where(support, views.confidence, 0.0).sum(0) / divisor
    error = np.where(support, found.residual_px, 0.0).sum(0) / divisor
    return Bodies3D(
        stamp_ns,
        frame_id,
        skeleton,
        found.xyz[None],
        found.covariance[None],
        np.where(seen, confidence, 0.0)[None],
        count[None],
        np.where(seen, error, np.nan)[None],
        np.array([body_id]),
    )
