# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Which detection is whose, compiled: the optimal assignment, lone views that are merged, and views that are missing.

C cameras, T bodies, J joints, D detections; NaN joints are unknown.
"""

from __future__ import annotations

import numpy as np

from ...compiled import Bool1D, Bool2D, Float1D, Float2D, Float3D, Float4D, Int1D, Int2D, helper, kernel
from .distances import centre_of, lateral_distance, lies_near, origin_of, ray_distance, ray_through
from .views import DetectionArrays, lies_in_image

# Centres of a body and its detection lie within this, m: other joints may be hidden on either side.
_CENTRE_REACH_M = 0.8
# A fit that is poorer than this part of the gate may be that of a detection that has its sides exchanged.
_POOR = 0.5
# A camera should see a body if so much of it lies in the image.
_IN_IMAGE = 0.7
# Another body stands in front if it is nearer by so much, m; points nearer than the second have no direction.
_IN_FRONT_M, _LEAST_DEPTH_M = 0.1, 1e-3


@kernel('views', 'nearest')
def assign(
    local: Float4D, detections: DetectionArrays, gate_m: Float1D, weight: Float1D, mirror: Int1D, views: Int2D,
    nearest: Float1D,
) -> None:
    """Write the detections (T, C) of bodies, -1 for none, and the distances (D,) m of detections from the nearest body.

    Args:
        local: (C, T, J, 3) the bodies in the cameras' frames.
        detections: D detections.
        gate_m, weight: (T,) see ``assign_detections``.
        mirror: (J,) each joint's mirror image, or itself.
        views, nearest: written.
    """
    cameras, bodies, joints = local.shape[:3]
    straight = np.arange(joints)
    nearest[:] = np.inf
    for c in range(cameras):
        first, found = detections.starts[c], detections.starts[c + 1] - detections.starts[c]
        gain = np.zeros((bodies, found))
        for b in range(bodies):
            x, y, z, _ = centre_of(local[c, b])
            for d in range(first, first + found):
                if not lies_near(x, y, z, detections.centre[d], _CENTRE_REACH_M):
                    continue
                distance = lateral_distance(local[c, b], straight, detections.xn[d], detections.seen[d])
                if distance > _POOR * gate_m[b]:
                    turned = lateral_distance(local[c, b], mirror, detections.xn[d], detections.seen[d])
                    distance = min(distance, turned)
                if distance < gate_m[b]:
                    nearest[d] = min(nearest[d], distance)
                    gain[b, d - first] = (1.0 - distance / gate_m[b]) * weight[b]
        chosen = best_columns(gain)
        for b in range(bodies):
            views[b, c] = first + chosen[b] if chosen[b] >= 0 else -1


@helper
def best_columns(gain: Float2D) -> Int1D:
    """Return the column (R,) of each row of ``gain`` (R, N) >= 0, -1 for none: those with the largest sum."""
    rows, columns = gain.shape
    chosen = np.full(rows, -1)
    if rows <= columns:
        row_of = matched_rows(gain)
    else:
        turned = matched_rows(np.ascontiguousarray(gain.T))
        row_of = np.full(columns, -1)
        for r in range(rows):
            if turned[r] >= 0:
                row_of[turned[r]] = r
    for c in range(columns):
        if row_of[c] >= 0 and gain[row_of[c], c] > 0.0:
            chosen[row_of[c]] = c
    return chosen


@helper
def matched_rows(gain: Float2D) -> Int1D:
    """Return the row (N,) of each column of ``gain`` (R, N), R <= N, -1 for none: each row has one column.

    The Hungarian method (Kuhn 1955; shortest augmenting paths): row after row finds a column, along the path of least
    price by which rows before it give theirs up. ``u`` and ``v`` are the prices of rows and columns, the last column
    is where a path begins.
    """
    rows, columns = gain.shape
    u, v, owner = np.zeros(rows), np.zeros(columns + 1), np.full(columns + 1, -1)
    least, before, done = np.empty(columns), np.empty(columns, np.int64), np.empty(columns + 1, np.bool_)
    for row in range(rows):
        if not gain[row].any():
            continue
        least[:] = np.inf
        done[:] = False
        owner[columns], column = row, columns
        while owner[column] >= 0:
            done[column] = True
            own, step, nearest = owner[column], np.inf, -1
            for c in range(columns):
                if not done[c]:
                    price = -gain[own, c] - u[own] - v[c]
                    if price < least[c]:
                        least[c], before[c] = price, column
                    # Of two alike a column that nobody owns ends the path.
                    if least[c] < step or (least[c] == step and owner[c] < 0):
                        step, nearest = least[c], c
            for c in range(columns + 1):
                if done[c]:
                    u[owner[c]] += step
                    v[c] -= step
                elif c < columns:
                    least[c] -= step
            column = nearest
        while column < columns:
            owner[column] = owner[before[column]]
            column = before[column]
    return owner[:columns]


@kernel('views')
def merge_lone(
    poses: Float3D, local: Float4D, detections: DetectionArrays, gates_m: Float1D, order: Int1D, settled: int,
    views: Int2D,
) -> None:
    """Merge bodies that one camera sees with the body that they are part of: see ``merge_lone_views``.

    Args:
        poses: (C, 3, 4) cam_from_world.
        local: (C, T, J, 3) the bodies in the cameras' frames.
        detections: D detections.
        gates_m: (2,) largest distance of a body from a detection, and between the rays of two detections.
        order: (T,) the bodies, senior ones first.
        settled: the first of them that are people of their own and are not merged.
        views: (T, C) changed.
    """
    bodies, cameras = views.shape
    counts, last, straight = np.zeros(bodies, np.int64), np.full(bodies, -1), np.arange(local.shape[2])
    for b in range(bodies):
        for c in range(cameras):
            if views[b, c] >= 0:
                counts[b], last[b] = counts[b] + 1, views[b, c]
    gate_m, new_gate_m = gates_m[0], gates_m[1]
    for rank in range(bodies - 1, settled - 1, -1):
        lone = order[rank]
        if counts[lone] != 1:
            continue
        d, best, best_fit = last[lone], -1, 1.0
        camera = detections.camera[d]
        for k in range(bodies):
            b = order[k]
            # Of two lone views the senior one stays.
            if counts[b] == 0 or views[b, camera] >= 0 or (counts[b] == 1 and k > rank):
                continue
            if counts[b] > 1:
                joints, xn, seen = local[camera, b], detections.xn[d], detections.seen[d]
                fit = lateral_distance(joints, straight, xn, seen) / gate_m
            else:
                # Two lone views give a depth only together.
                fit = apart(poses, detections, last[b], d, new_gate_m) / new_gate_m
            if fit < best_fit:
                best, best_fit = b, fit
        if best >= 0:
            views[best, camera], views[lone, camera] = d, -1
            counts[best], counts[lone], last[best] = counts[best] + 1, 0, d


@helper
def apart(poses: Float3D, detections: DetectionArrays, first: int, second: int, gate_m: float) -> float:
    """Return the ``ray_distance`` of two detections, m."""
    joints, seen = detections.xn.shape[1], detections.seen
    origins, rays = np.empty((2, 3)), np.empty((2, joints, 3))
    for i, d in enumerate((first, second)):
        pose = poses[detections.camera[d]]
        origin_of(pose, origins[i])
        for j in range(joints):
            ray_through(pose, detections.xn[d, j, 0], detections.xn[d, j, 1], rays[i, j])
    return ray_distance(origins[0], rays[0], seen[first], origins[1], rays[1], seen[second], gate_m)


@kernel('visible', 'missing')
def find_missing(
    local: Float4D, bounds: Float2D, views: Int2D, present: Bool1D, shadow_m: float, visible: Bool2D, missing: Bool2D
) -> None:
    """Write which cameras should see each body, (T, C), and which miss it without being occluded, (T, C).

    Args:
        local: (C, T, J, 3) the bodies in the cameras' frames.
        bounds: (C, 4) x min, y min, x max, y max of the image on the plane z = 1.
        views: (T, C) the detection of each body in each camera, -1 for none.
        present: (C,) whether the camera delivered.
        shadow_m: about the breadth of a person.
        visible, missing: written.
    """
    cameras, bodies, joints = local.shape[:3]
    image = np.empty((bodies, 3))
    for c in range(cameras):
        for b in range(bodies):
            x, y, z, known = centre_of(local[c, b])
            depth = max(z, _LEAST_DEPTH_M)
            image[b, 0], image[b, 1], image[b, 2] = x / depth, y / depth, depth
            inside = 0
            for j in range(joints):
                inside += lies_in_image(bounds[c], local[c, b, j, 0], local[c, b, j, 1], local[c, b, j, 2])
            visible[b, c] = present[c] and known > 0 and inside >= _IN_IMAGE * known
        for b in range(bodies):
            missing[b, c] = visible[b, c] and views[b, c] < 0 and not is_occluded(image, b, shadow_m)


@helper
def is_occluded(image: Float2D, body: int, shadow_m: float) -> bool:
    """Return whether another body is nearer and within ``shadow_m`` across the view; ``image`` (T, 3) x, y, depth m."""
    depth = image[body, 2]
    for other in range(len(image)):
        across = abs(image[other, 0] - image[body, 0]) * depth
        up = abs(image[other, 1] - image[body, 1]) * depth
        if across < shadow_m and up < 3.0 * shadow_m and image[other, 2] < depth - _IN_FRONT_M:
            return True
    return False
