# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""What a set's result says of detections and keypoints, and the keypoints with their sides repaired."""

from __future__ import annotations

from typing import NamedTuple

from ...compiled import Bool3D, Float1D, Float2D, Float3D, Int1D, Int2D, kernel


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


class LimbSides(NamedTuple):
    """The limb groups of a skeleton of J joints.

    Attributes:
        group: (J,) of each joint, -1 for none.
        mirror: (J,) each joint's mirror image.
    """

    group: Int1D
    mirror: Int1D


@kernel('xy', 'confidence')
def exchange_sides(
    rows: Int1D, exchanged: Bool3D, c: int, limbs: LimbSides, xy: Float3D, confidence: Float2D
) -> None:
    """Exchange the sides of limbs in the keypoints of camera ``c``, in place.

    Args:
        rows: (B,) the detection in this camera of each body, negative for none.
        exchanged: (groups, C, B) the limb groups whose sides were exchanged.
        c: see above.
        limbs: of the skeleton.
        xy: (P, J, 2) px.
        confidence: (P, J).
    """
    for b in range(len(rows)):
        for j in range(len(limbs.group)):
            m, g = limbs.mirror[j], limbs.group[j]
            if j < m and g >= 0 and exchanged[g, c, b]:
                p = rows[b]
                for k in range(2):
                    xy[p, j, k], xy[p, m, k] = xy[p, m, k], xy[p, j, k]
                confidence[p, j], confidence[p, m] = confidence[p, m], confidence[p, j]
