# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""New people from detections that nobody known explains, compiled: hypotheses, the strongest, and what they explain.

C cameras, F free detections, J joints, H hypotheses. The steps are those of ``fusion.grouping``.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ...compiled import Bool1D, Bool2D, Float1D, Float2D, Float3D, Int1D, Int2D, helper, kernel
from .distances import (
    CAP_M,
    centre_of,
    closest_points,
    lateral_distance,
    lies_near,
    origin_of,
    ray_distance,
    ray_through,
)
from .views import DetectionArrays, transformed

# Central rays of two detections of one person pass each other within this, m: each may see other joints.
_CENTRES_M = 0.35
# Spread of a person's joints, m, and how much it may differ between two views that see other joints.
_LEAST_SPREAD_M, _MOST_SPREAD_M = 0.12, 1.0
_SPREAD_RATIO = 2.5
# Hypotheses of one person lie within this of each other, m.
_SAME_HYPOTHESIS_M = 0.25
# Pairs whose middles are compared in one set, and whose joints are, which bounds its time (of the first, all pairs of
# partners among 600 detections); the next set goes on with who is left.
_MOST_TRIED, _MOST_COMPARED = 1 << 18, 16384


class Rays(NamedTuple):
    """Rays of F detections in the world.

    Attributes:
        camera: (F,).
        origin: (F, 3) m, the camera's centre.
        direction: (F, J, 3) unit vectors.
        centre: (F, 3) unit vector to the middle of the detection.
        spread: (F,) root mean square distance of the joints from their middle, at focal length 1.
        seen: (F, J).
    """

    camera: Int1D
    origin: Float2D
    direction: Float3D
    centre: Float2D
    spread: Float1D
    seen: Bool2D


class Hypotheses(NamedTuple):
    """Room for H hypotheses.

    Attributes:
        pair: (H, 2) the detections, as indices of the rays.
        torso: (H, 3) m, the mean of the midpoints of their rays.
        quality: (H,) in (0, 1], 1 where the rays meet.
    """

    pair: Int2D
    torso: Float2D
    quality: Float1D


@kernel()
def fill_rays(poses: Float3D, detections: DetectionArrays, free: Int1D, rays: Rays) -> None:
    """Fill the rays of the detections ``free`` (F,) of cameras at ``poses`` (C, 3, 4)."""
    for f in range(len(free)):
        d = free[f]
        pose, xn, middle = poses[detections.camera[d]], detections.xn[d], detections.centre[d]
        rays.camera[f] = detections.camera[d]
        origin_of(pose, rays.origin[f])
        ray_through(pose, middle[0], middle[1], rays.centre[f])
        squared, count = 0.0, 0
        for j in range(len(xn)):
            rays.seen[f, j] = detections.seen[d, j]
            ray_through(pose, xn[j, 0], xn[j, 1], rays.direction[f, j])
            if detections.seen[d, j]:
                x, y = xn[j, 0] - middle[0], xn[j, 1] - middle[1]
                squared, count = squared + x * x + y * y, count + 1
        rays.spread[f] = math.sqrt(squared / max(count, 1))


@kernel()
def find_hypotheses(rays: Rays, paired: Bool2D, new_gate_m: float, found: Hypotheses) -> int:
    """Fill the bodies of all pairs of detections whose rays nearly meet; return how many, at most as there is room.

    Args:
        rays: of F detections.
        paired: (C, C) cameras whose detections are compared.
        new_gate_m: largest mean distance between the rays of two detections of one person.
        found: filled.
    """
    count, tried, compared = 0, 0, 0
    joints = np.empty((rays.seen.shape[1], 3))
    for a in range(len(rays.camera)):
        for b in range(a + 1, len(rays.camera)):
            if not paired[rays.camera[a], rays.camera[b]]:
                continue
            tried += 1
            if tried > _MOST_TRIED:
                return count
            if not may_be_one(rays, a, b):
                continue
            if compared == _MOST_COMPARED or count == len(found.quality):
                return count
            compared += 1
            distance = ray_distance(
                rays.origin[a], rays.direction[a], rays.seen[a], rays.origin[b], rays.direction[b], rays.seen[b],
                new_gate_m,
            )
            if distance < new_gate_m:
                fill_midpoints(rays, a, b, joints)
                x, y, z, _ = centre_of(joints)
                found.torso[count, 0], found.torso[count, 1], found.torso[count, 2] = x, y, z
                found.pair[count, 0], found.pair[count, 1] = a, b
                found.quality[count] = 1.0 - distance / new_gate_m
                count += 1
    return count


@helper
def may_be_one(rays: Rays, a: int, b: int) -> bool:
    """Return whether two detections have their middles, and their sizes, in common."""
    distance, s, t = closest_points(rays.origin[a], rays.centre[a], rays.origin[b], rays.centre[b])
    if not (s > 0.0 and t > 0.0 and distance < _CENTRES_M):
        return False
    one, other = rays.spread[a] * s, rays.spread[b] * t
    larger, smaller = max(one, other), min(one, other)
    return bool(larger < _SPREAD_RATIO * smaller and smaller > _LEAST_SPREAD_M and larger < _MOST_SPREAD_M)


@helper
def fill_midpoints(rays: Rays, a: int, b: int, joints: Float2D) -> None:
    """Write the points (J, 3) m where the rays of two detections are closest to each other, NaN where not seen."""
    for j in range(len(joints)):
        u, v = rays.direction[a, j], rays.direction[b, j]
        _, s, t = closest_points(rays.origin[a], u, rays.origin[b], v)
        for k in range(3):
            middle = 0.5 * (rays.origin[a, k] + s * u[k] + rays.origin[b, k] + t * v[k])
            joints[j, k] = middle if rays.seen[a, j] and rays.seen[b, j] else np.nan


@kernel('bodies')
def merge_hypotheses(rays: Rays, found: Hypotheses, count: int, bodies: Float3D) -> int:
    """Write the means of hypotheses that lie together, (H, J, 3) m, the strongest first; return how many.

    Near hypotheses count fully, and good ones more than poor ones.

    Args:
        rays: of the detections.
        found: hypotheses.
        count: how many.
        bodies: written.
    """
    # Along x neighbours lie together.
    order = np.argsort(found.torso[:count, 0])
    x, y, z = found.torso[order, 0].copy(), found.torso[order, 1].copy(), found.torso[order, 2].copy()
    strength, taken = np.zeros(count), np.zeros(count, np.bool_)
    for i in range(count):
        first, end = np.searchsorted(x, x[i] - _SAME_HYPOTHESIS_M), np.searchsorted(x, x[i] + _SAME_HYPOTHESIS_M)
        add_near(x[first:end], y[first:end], z[first:end], i - first, found.quality[order[i]], strength[first:end])
    merged, joints, known = 0, np.empty(bodies.shape[1:]), np.empty(bodies.shape[1], np.int64)
    for best in np.argsort(-strength, kind='mergesort'):
        if taken[best]:
            continue
        bodies[merged] = 0.0
        known[:] = 0
        first, end = np.searchsorted(x, x[best] - _SAME_HYPOTHESIS_M), np.searchsorted(x, x[best] + _SAME_HYPOTHESIS_M)
        is_near = np.zeros(end - first)
        add_near(x[first:end], y[first:end], z[first:end], best - first, 1.0, is_near)
        for i in range(first, end):
            if is_near[i - first] > 0.0 and not taken[i]:
                taken[i] = True
                fill_midpoints(rays, found.pair[order[i], 0], found.pair[order[i], 1], joints)
                add_known(joints, bodies[merged], known)
        for j in range(len(known)):
            for k in range(3):
                bodies[merged, j, k] = bodies[merged, j, k] / known[j] if known[j] else np.nan
        merged += 1
    return merged


@helper
def add_near(x: Float1D, y: Float1D, z: Float1D, at: int, value: float, total: Float1D) -> None:
    """Add ``value`` to the ``total`` (N,) of the points (x, y, z) m that may be one person's with point ``at``."""
    here_x, here_y, here_z = x[at], y[at], z[at]
    for i in range(len(total)):
        off_x, off_y, off_z = x[i] - here_x, y[i] - here_y, z[i] - here_z
        squared = off_x * off_x + off_y * off_y + off_z * off_z
        total[i] += value if squared <= _SAME_HYPOTHESIS_M * _SAME_HYPOTHESIS_M else 0.0


@helper
def add_known(joints: Float2D, total: Float2D, known: Int1D) -> None:
    """Add the known of joints (J, 3) to ``total`` (J, 3) and to their number (J,)."""
    for j in range(len(known)):
        if math.isfinite(joints[j, 0]):
            known[j] += 1
            for k in range(3):
                total[j, k] += joints[j, k]


@kernel('is_free', 'views')
def collect_detections(
    poses: Float3D, detections: DetectionArrays, bodies: Float3D, gate_m: float, is_free: Bool1D, views: Int2D
) -> int:
    """Give hypotheses in turn the nearest free detection of each camera; return how many have two or more.

    Args:
        poses: (C, 3, 4) cam_from_world.
        detections: D detections.
        bodies: (H, J, 3) m, the strongest first.
        gate_m: largest distance of a body from its detection.
        is_free: (D,) changed.
        views: (G, C) written as far as the number that is returned, G at most, -1 for none.
    """
    cameras, joints, groups = len(poses), bodies.shape[1], 0
    left = is_free.sum()
    straight, local = np.arange(joints), np.empty((joints, 3))
    for h in range(len(bodies)):
        if left < 2 or groups == len(views):
            break
        members = 0
        for c in range(cameras):
            views[groups, c] = -1
            if not is_free[detections.starts[c] : detections.starts[c + 1]].any():
                continue
            for j in range(joints):
                x, y, z = bodies[h, j, 0], bodies[h, j, 1], bodies[h, j, 2]
                local[j, 0], local[j, 1], local[j, 2] = transformed(poses[c], x, y, z)
            x, y, z, _ = centre_of(local)
            nearest = gate_m
            for d in range(detections.starts[c], detections.starts[c + 1]):
                if is_free[d] and lies_near(x, y, z, detections.centre[d], 2.0 * CAP_M):
                    distance = lateral_distance(local, straight, detections.xn[d], detections.seen[d])
                    if distance < nearest:
                        views[groups, c], nearest = d, distance
            members += views[groups, c] >= 0
        if members >= 2:
            for c in range(cameras):
                if views[groups, c] >= 0:
                    is_free[views[groups, c]] = False
            groups, left = groups + 1, left - members
    return groups
