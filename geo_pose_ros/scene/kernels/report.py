# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""What a set's result says of detections and keypoints."""

from __future__ import annotations

from typing import NamedTuple

from ...compiled import Bool3D, Float1D, Float3D, Int1D, Int2D, kernel


class ReportArrays(NamedTuple):
    """To be written, of D detections in C cameras.

    Attributes:
        owners: (D,) the id of the body that each detection is of, -1 for none.
        used: (C,) how many bodies have a keypoint in the view.
        residuals_px: (C B J,) of the inliers, camera after camera.
        ends: (C,) where each camera's residuals end.
    """

    owners: Int1D
    used: Int1D
    residuals_px: Float1D
    ends: Int1D


@kernel()
def write_report(
    views: Int2D, ids: Int1D, confidence: Float3D, inlier: Bool3D, residual_px: Float3D, out: ReportArrays
) -> None:
    """Write the report of B bodies.

    Args:
        views: (B, C) the detection of each body in each camera, -1 for none.
        ids: (B,) of the bodies.
        confidence: (C, B, J) of the keypoints, 0 where not seen.
        inlier, residual_px: (C, B, J) of the keypoints.
        out: to be written.
    """
    cameras, bodies, joints = inlier.shape
    out.owners[:] = -1
    end = 0
    for c in range(cameras):
        out.used[c] = 0
        for b in range(bodies):
            if views[b, c] >= 0:
                out.owners[views[b, c]] = ids[b]
            used = False
            for j in range(joints):
                used |= confidence[c, b, j] > 0.0
                if inlier[c, b, j]:
                    out.residuals_px[end] = residual_px[c, b, j]
                    end += 1
            out.used[c] += used
        out.ends[c] = end
