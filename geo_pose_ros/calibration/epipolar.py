# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Two cameras from the joints that both see: the essential matrix (Hartley & Zisserman, 2nd ed., ch. 9 and 11)."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ..arrays import BoolArray, FloatArray
from ..geometry.rays import bearings
from ..geometry.rigid import cross_matrix

LEAST_POINTS = 40
_MOST_POINTS = 1500


@dataclass(frozen=True, slots=True, eq=False)
class PairGeometry:
    """Two cameras.

    Attributes:
        second_from_first: (3, 4), translation of length 1.
        inlier_share: share of the points that fit and lie in front of both.
        points: how many were given.
        parallax_rad: median angle between the rays of those that fit.
    """

    second_from_first: FloatArray
    inlier_share: float
    points: int
    parallax_rad: float

    @property
    def score(self) -> float:
        """How much speaks for it: many points, of which most fit."""
        return self.inlier_share**2 * float(np.sqrt(self.points))

    @property
    def angle_rad(self) -> float:
        """The angle between the rays; two cameras that face each other see as little depth as two side by side."""
        return min(self.parallax_rad, np.pi - self.parallax_rad)


def pair_geometry(
    first: FloatArray, second: FloatArray, bound: float, iterations: int = 1000, most_points: int = _MOST_POINTS
) -> PairGeometry | None:
    """Return the geometry that fits most of the points, by RANSAC over five of them (Nister, PAMI 2004).

    Args:
        first, second: (N, 2) corresponding normalised points, finite.
        bound: largest distance from the epipolar line, normalised.
        iterations: of RANSAC.
        most_points: of more, so many are drawn at random.

    Returns:
        None with too few points, or if none fits.
    """
    if len(first) < LEAST_POINTS:
        return None
    count = len(first)
    if count > most_points:
        chosen = np.random.default_rng(0).permutation(count)[:most_points]
        first, second = first[chosen], second[chosen]
    cv2.setRNGSeed(0)
    E, mask = cv2.findEssentialMat(
        np.ascontiguousarray(first), np.ascontiguousarray(second), np.eye(3), cv2.RANSAC, 0.9999, bound, iterations
    )
    if E is None or E.shape != (3, 3):
        return None
    inliers = mask[:, 0] > 0
    if inliers.sum() < LEAST_POINTS // 2:
        return None
    ahead, R, t, _ = cv2.recoverPose(E, first[inliers], second[inliers], np.eye(3))
    cosine = (bearings(first[inliers]) @ R.T * bearings(second[inliers])).sum(1)
    return PairGeometry(
        np.column_stack([R, t]), float(ahead) / len(first), count,
        float(np.median(np.arccos(np.clip(cosine, -1.0, 1.0)))),
    )


def sampson(E: FloatArray, first: FloatArray, second: FloatArray) -> FloatArray:
    """Return the Sampson distances (...,) of normalised points (..., 2) (Hartley & Zisserman 11.4.3); NaN stays NaN."""
    x1 = np.concatenate([first, np.ones((*first.shape[:-1], 1))], -1)
    x2 = np.concatenate([second, np.ones((*second.shape[:-1], 1))], -1)
    lines2, lines1 = x1 @ E.T, x2 @ E
    scale = np.sqrt((lines2[..., :2] ** 2).sum(-1) + (lines1[..., :2] ** 2).sum(-1))
    distance: FloatArray = np.abs((x2 * lines2).sum(-1)) / np.maximum(scale, 1e-12)
    return distance


def essential_of(second_from_first: FloatArray) -> FloatArray:
    """Return the essential matrix E (3, 3) of a relative pose (3, 4): x_second^T E x_first = 0."""
    return np.asarray(cross_matrix(second_from_first[:, 3]) @ second_from_first[:, :3])


def finite_pairs(first: FloatArray, second: FloatArray) -> BoolArray:
    """Return where both of (..., 2) are finite."""
    return np.asarray(np.isfinite(first.sum(-1) + second.sum(-1)))
