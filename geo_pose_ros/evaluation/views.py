# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""One camera's view of bodies over time: which person is which body, how far off, and how fast it moves.

S sets, U bodies, P people detected, J joints. A residual is from the reprojected joint to the detected joint, raw px.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..arrays import NS_PER_S, BoolArray, FloatArray, IntArray
from ..geometry.projection import project_world
from ..geometry.stats import nan_lower_median, nan_mean
from ..skeleton import Skeleton, mirror_of
from ..types import Camera, Keypoints2D
from .bodies import BodyTracks
from .settings import ReportConfig

# Step of the numerical derivative of a joint's position in the image.
_STEP_S = 1e-3
# Sides count as exchanged where joints then lie nearer than this share of their distance.
_EXCHANGED = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class ComparedView:
    """Bodies against what one camera detected.

    Attributes:
        projected: (S, U, J, 2) px, at the view's own stamps.
        found: (S, P, J, 2) px, NaN where uncertain.
        residual: (S, U, J, 2) px of the person that is the body, NaN without one.
        speed: (S, U, J, 2) px/s of the projected joints.
        size: (S, U) px of the projected bodies.
        mm_per_px: (S, U) at the bodies' depth.
        delivered: (S,) whether the camera sent keypoints, even of nobody.
        exchanged: (S, U) whether left and right were exchanged.
    """

    projected: FloatArray
    found: FloatArray
    residual: FloatArray
    speed: FloatArray
    size: FloatArray
    mm_per_px: FloatArray
    delivered: BoolArray
    exchanged: BoolArray


def compare_view(
    camera: Camera, tracks: BodyTracks, found: Sequence[Keypoints2D | None], skeleton: Skeleton, config: ReportConfig
) -> ComparedView:
    """Compare the bodies of S sets with what a camera detected in each, None where it detected nothing.

    The bodies' velocity carries them to the view's own stamps. ``config`` has the least confidence of a keypoint, and
    when a person is too far from a body to be it.
    """
    people, own_ns = _padded(found, tracks.stamps_ns, len(skeleton), config.min_confidence)
    after_s = (own_ns - tracks.stamps_ns) / NS_PER_S - camera.clock.offset_s
    xyz = tracks.xyz + np.nan_to_num(tracks.velocity) * after_s[:, None, None, None]
    projected = project_world(camera, xyz)
    size = _size(projected)
    residual, exchanged = _matched(projected, people, config.same_body_ratio * size, mirror_of(skeleton))
    with np.errstate(invalid='ignore'):
        speed = (project_world(camera, xyz + tracks.velocity * _STEP_S) - projected) / _STEP_S
    depth_m = nan_mean(xyz, 2) @ camera.cam_from_world[2, :3] + camera.cam_from_world[2, 3]
    delivered = np.array([k is not None for k in found], bool)
    return ComparedView(
        projected, people, residual, speed, size, 1e3 * depth_m / camera.intrinsics.K[0, 0], delivered, exchanged
    )


def _padded(
    found: Sequence[Keypoints2D | None], stamps_ns: IntArray, joints: int, min_confidence: float
) -> tuple[FloatArray, IntArray]:
    """Return keypoints as one array (S, P, J, 2), NaN where uncertain or absent, and their own stamps (S,)."""
    people = max((len(k.xy) for k in found if k is not None), default=0)
    xy = np.full((len(found), people, joints, 2), np.nan)
    own_ns = stamps_ns.copy()
    for number, k in enumerate(found):
        if k is not None:
            xy[number, : len(k.xy)] = confident(k, min_confidence)
            own_ns[number] = k.stamp_ns
    return xy, own_ns


def confident(keypoints: Keypoints2D, min_confidence: float) -> FloatArray:
    """Return keypoints (P, J, 2) px, NaN where their confidence is lower."""
    return np.where((keypoints.confidence >= min_confidence)[..., None], keypoints.xy, np.nan)


def _size(projected: FloatArray) -> FloatArray:
    """Return the diagonal (S, U) px of the box around each projected body; 0 where nothing of it is known."""
    known = np.isfinite(projected)
    low = np.where(known, projected, np.inf).min(2, initial=np.inf)
    high = np.where(known, projected, -np.inf).max(2, initial=-np.inf)
    size: FloatArray = np.linalg.norm(np.where(np.isfinite(low) & np.isfinite(high), high - low, 0.0), axis=-1)
    return size


def _matched(
    projected: FloatArray, found: FloatArray, farthest_px: FloatArray, flip: IntArray
) -> tuple[FloatArray, BoolArray]:
    """Return found minus projected (S, U, J, 2) of the bodies and people that fit each other best, NaN elsewhere.

    They are the same only if the median joint is at most ``farthest_px`` (S, U) off. Where a person fits far better
    with left and right exchanged (joints ``flip`` (J,)), the residual is that, and (S, U) is True.
    """
    sets, bodies, joints, _ = projected.shape
    if not bodies or not found.shape[1]:
        return np.full((sets, bodies, joints, 2), np.nan), np.zeros((sets, bodies), bool)
    straight = median_distances(projected, found)
    turned = median_distances(projected, found[:, :, flip])
    exchanged = turned < _EXCHANGED * straight
    distance = np.where(exchanged, turned, straight)
    best = distance.argmin(2)
    mutual = np.take_along_axis(distance.argmin(1), best, 1) == np.arange(bodies)
    mutual &= distance.min(2) <= farthest_px
    exchanged = np.take_along_axis(exchanged, best[..., None], 2)[..., 0] & mutual
    chosen = np.take_along_axis(found, best[:, :, None, None], 1)
    chosen = np.where(exchanged[..., None, None], chosen[:, :, flip], chosen)
    return np.where(mutual[..., None, None], chosen - projected, np.nan), exchanged


def median_distances(projected: FloatArray, found: FloatArray) -> FloatArray:
    """Return the median px (S, U, P) between the joints of each body (S, U, J, 2) and of each person (S, P, J, 2).

    It is infinite where they have no joint in common.
    """
    median = nan_lower_median(np.linalg.norm(projected[:, :, None] - found[:, None], axis=-1))
    return np.where(np.isnan(median), np.inf, median)
