# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Bodies and views that say one thing twice, and cameras that see everybody beside their place, compiled.

C cameras, B bodies, J joints, D detections; NaN joints are unknown. The rules are those of ``fusion.merging``.
"""

from __future__ import annotations

import math

import numpy as np

from ...compiled import Bool1D, Bool2D, Float1D, Float2D, Float3D, Float4D, Int1D, Int2D, helper, kernel
from .views import DetectionArrays

# Joints that a common offset of a view needs.
_LEAST_JOINTS = 6
# Matched bodies, by how well they match, that a common offset needs.
_LEAST_MATCH = 0.5
# Larger distances of a moved joint count as this much, m.
_FAR_M = 1.0
_LEAST_DEPTH_M = 1e-3
# Offsets of one camera that are tried, which bounds the time.
_MOST_TRIED = 1000


@kernel('error')
def find_offsets(
    local: Float4D, detections: DetectionArrays, views: Int2D, visible: Bool2D, gate_m: float, reach: float,
    error: Float2D,
) -> None:
    """Write the offset (C, 2), at focal length 1, of cameras that see people beside their place only, or NaN.

    Args:
        local: (C, B, J, 3) the bodies in the cameras' frames.
        detections: D detections.
        views: (B, C) the detection of each body in each camera, -1 for none.
        visible: (B, C) whether the camera should see the body.
        gate_m: largest distance of a moved body from its detection.
        reach: largest offset, at focal length 1.
        error: written.
    """
    bodies, cameras = views.shape
    taken = np.zeros(len(detections.camera), np.bool_)
    counts = np.zeros(bodies, np.int64)
    for b in range(bodies):
        for c in range(cameras):
            if views[b, c] >= 0:
                taken[views[b, c]], counts[b] = True, counts[b] + 1
    for c in range(cameras):
        # Of two cameras nobody can say which was turned.
        missing = np.flatnonzero((counts >= 2) & visible[:, c] & (views[:, c] < 0))
        free = detections.starts[c] + np.flatnonzero(~taken[detections.starts[c] : detections.starts[c + 1]])
        error[c] = np.nan
        if len(missing) > (views[:, c] >= 0).sum() and len(free):
            find_common_offset(local[c], missing, detections, free, gate_m, reach, error[c])


@helper
def find_common_offset(
    local: Float3D, missing: Int1D, detections: DetectionArrays, free: Int1D, gate_m: float, reach: float,
    error: Float1D,
) -> None:
    """Write the offset (2,) that brings most of the bodies ``missing`` (M,) to the detections ``free`` (F,), if any."""
    count = len(free)
    # Of every pair: its own offset, NaN with too few joints.
    own = np.empty((len(missing) * count, 2))
    for pair in range(len(own)):
        d = free[pair % count]
        find_median_offset(local[missing[pair // count]], detections.xn[d], detections.seen[d], own[pair])
    best = _LEAST_MATCH
    for pair in range(0, len(own), 1 + len(own) // _MOST_TRIED):
        x, y = own[pair]
        if not math.sqrt(x * x + y * y) <= reach:
            continue
        matched = 0.0
        for m in range(len(missing)):
            joints, fit = local[missing[m]], gate_m
            depth = nearest_depth(joints)
            for f in range(count):
                off = max(abs(own[m * count + f, 0] - x), abs(own[m * count + f, 1] - y))
                # Half of the joints are at least as far away as the median.
                if math.isfinite(off) and 0.5 * min(off * depth, _FAR_M) < gate_m:
                    fit = min(fit, moved_distance(joints, detections.xn[free[f]], detections.seen[free[f]], x, y))
            matched += 1.0 - fit / gate_m
        if matched > best:
            best, error[0], error[1] = matched, x, y


@helper
def nearest_depth(joints: Float2D) -> float:
    """Return the least depth of the known of joints (J, 3), m."""
    depth = np.inf
    for j in range(len(joints)):
        if joints[j, 2] < depth:
            depth = joints[j, 2]
    return max(depth, _LEAST_DEPTH_M)


@helper
def find_median_offset(joints: Float2D, xn: Float2D, seen: Bool1D, offset: Float1D) -> None:
    """Write the median (2,) of keypoints (J, 2) minus the images of joints (J, 3) m; NaN with too few in common."""
    x, y, count = np.empty(len(xn)), np.empty(len(xn)), 0
    for j in range(len(xn)):
        if seen[j] and math.isfinite(joints[j, 0]):
            depth = max(joints[j, 2], _LEAST_DEPTH_M)
            x[count], y[count] = xn[j, 0] - joints[j, 0] / depth, xn[j, 1] - joints[j, 1] / depth
            count += 1
    offset[:] = np.nan
    if count >= _LEAST_JOINTS:
        offset[0], offset[1] = np.median(x[:count]), np.median(y[:count])


@helper
def moved_distance(joints: Float2D, xn: Float2D, seen: Bool1D, x: float, y: float) -> float:
    """Return how far joints (J, 3), moved by (x, y) at focal length 1, lie from keypoints (J, 2), m, on average."""
    total, count = 0.0, 0
    for j in range(len(xn)):
        if seen[j] and math.isfinite(joints[j, 0]):
            depth = max(joints[j, 2], _LEAST_DEPTH_M)
            off_x, off_y = xn[j, 0] - joints[j, 0] / depth - x, xn[j, 1] - joints[j, 1] / depth - y
            total += min(math.sqrt(off_x * off_x + off_y * off_y) * depth, _FAR_M)
            count += 1
    return total / max(count, 1)
