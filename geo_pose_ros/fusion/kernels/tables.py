# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""What kernels of the estimate are given, by name: C views, B bodies, J joints, V lifted views, E bones."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...arrays import BoolArray, IntArray
from ...compiled import Bool3D, Float1D, Float2D, Float3D, Float4D


class Keypoints(NamedTuple):
    """The keypoints of B bodies in C views.

    Attributes:
        cam_from_world: (C, 3, 4).
        focal_px: (C,).
        xn: (C, B, J, 2) normalised, NaN where not seen.
        weights: (C, B, J) 1 / standard deviation, 1/px, 0 where not used.
        displacement: (C, B, J, 3) m, from a joint at the set's instant to that at the view's; (C, 0, J, 3) for none.
        depth: (C, B, J, 2) m and 1/m, a joint's measured depth in the camera's frame, at the view's instant, and 1 /
            standard deviation, 0 where not measured; (C, 0, J, 2) for none.
    """

    cam_from_world: Float3D
    focal_px: Float1D
    xn: Float4D
    weights: Float3D
    displacement: Float4D
    depth: Float4D


class Prior(NamedTuple):
    """What is known of B bodies beside their keypoints, as in ``fusion.prior``.

    Attributes:
        couples: whether it is used; else each joint is triangulated alone.
        pose, sigma, root, axis: (V, B, J, 3), (V, B, J), (V, B, 3), (V, B, 3) of the lifted views.
        centre, centre_variance: (B, 3) m, NaN = unknown, and (B,) m^2; (0,) of it for none.
        length, variance: (B, E) m and m^2 of the bones; (0, E) for none.
    """

    couples: bool
    pose: Float4D
    sigma: Float3D
    root: Float3D
    axis: Float3D
    centre: Float2D
    centre_variance: Float1D
    length: Float2D
    variance: Float2D


class Model(NamedTuple):
    """How keypoints, lifted poses and bones are weighed: ``SolverConfig``, and from ``level`` on ``views.Noise``."""

    iterations: int
    robust_sigmas: float
    across: float
    along: float
    rotation_rad: float
    scale: float
    bone_spread: float
    level: float
    shared: Float1D
    persistent: float


class Solution(NamedTuple):
    """The joints of B bodies.

    Attributes:
        xyz: (B, J, 3) m in the world, NaN where neither two views nor a lifted pose determine the joint.
        covariance: (B, J, 3, 3) m^2, the posterior's; NaN as xyz.
        random_covariance: (B, J, 3, 3) m^2, the part of ``covariance`` that is new in every set; the rest is
            systematic.
        residual_px: (C, B, J) reprojection distance, NaN where the view did not see the joint.
        robust_weight: (C, B, J) in [0, 1] of the view under the robust loss; 0 where not seen.
        inlier: (C, B, J) the views that agree with the joint: residual within the robust scale.
        seen_xyz: (B, J, 3) m, from the views alone, with the same robust weights; NaN with fewer than two.
        seen_covariance: (B, J, 3, 3) m^2 of ``seen_xyz``.
    """

    xyz: Float3D
    covariance: Float4D
    random_covariance: Float4D
    residual_px: Float3D
    robust_weight: Float3D
    inlier: Bool3D
    seen_xyz: Float3D
    seen_covariance: Float4D

    @classmethod
    def empty(cls, cameras: int, bodies: int, joints: int) -> Solution:
        """Return room for B bodies in C views."""
        per_view, xyz = (cameras, bodies, joints), (bodies, joints, 3)
        return cls(
            np.empty(xyz), np.empty((*xyz, 3)), np.empty((*xyz, 3)), np.empty(per_view), np.empty(per_view),
            np.empty(per_view, np.bool_), np.empty(xyz), np.empty((*xyz, 3)),
        )

    @property
    def num_views(self) -> IntArray:
        """(B, J) views that agree with the joint."""
        return np.asarray(self.inlier.sum(0), np.int64)

    def select(self, kept: BoolArray | IntArray) -> Solution:
        """Return the bodies of the mask or the indices ``kept``."""
        return Solution._make(map(np.ascontiguousarray, (
            self.xyz[kept], self.covariance[kept], self.random_covariance[kept], self.residual_px[:, kept],
            self.robust_weight[:, kept], self.inlier[:, kept], self.seen_xyz[kept], self.seen_covariance[kept],
        )))
