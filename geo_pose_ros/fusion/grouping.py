# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""New people: detections that are assigned to no known body, grouped across the cameras.

Every pair of detections of two cameras whose rays nearly meet, at depths at which both look equally large, is a
hypothesis: a body at the midpoints of its rays (Hartley & Zisserman 12.1). Hypotheses of one person lie together
and accidents are scattered, so the hypothesis with most others around it collects its detections from all cameras
first, and these are no longer free. The groups are then triangulated, and their detections assigned once more.
Candidates are limited before joints are compared: a camera is paired with those that look at the same place from
another side, and pairs of detections are compared by their centres first.
"""

from __future__ import annotations

import numpy as np

from ..arrays import BoolArray, FloatArray, IntArray
from ..geometry.triangulation import triangulate_dlt
from .association import assign_detections
from .kernels.grouping import (
    Hypotheses,
    Rays,
    collect_detections,
    fill_rays,
    find_hypotheses,
    merge_hypotheses,
)
from .views import Cameras, Detections

# Up to so many detections every pair of cameras is tried; beyond, each camera is paired with _PARTNERS others.
_FEW_DETECTIONS = 80
_PARTNERS = 5
# Distance of the point that a camera is assumed to be aimed at, m.
_TARGET_M = 4.0
# Axes of partners differ by at least this, rad: rays that are nearly parallel meet anywhere.
_LEAST_ANGLE_RAD = 0.25
# Hypotheses of one set at most, which bounds its time; the next set goes on with who is left.
_MOST_HYPOTHESES = 4096


def partners(cam_from_world: FloatArray) -> BoolArray:
    """Return (C, C) symmetric: cameras that look at one place from different sides, about _PARTNERS of each."""
    cameras = len(cam_from_world)
    axis = cam_from_world[:, 2, :3]
    origin = -(np.swapaxes(cam_from_world[:, :, :3], -1, -2) @ cam_from_world[:, :, 3:])[..., 0]
    target = origin + _TARGET_M * axis
    apart = np.linalg.norm(target[:, None] - target[None], axis=-1)
    angle = np.arccos(np.clip(axis @ axis.T, -1.0, 1.0))
    # Opposite cameras see the same two sides of everything: as bad as parallel ones.
    useful = (angle > _LEAST_ANGLE_RAD) & (angle < np.pi - _LEAST_ANGLE_RAD)
    price = np.where(useful, apart, apart + 100.0)
    np.fill_diagonal(price, np.inf)
    chosen = np.zeros((cameras, cameras), bool)
    best = np.argsort(price, 1)[:, : min(_PARTNERS, cameras - 1)]
    chosen[np.arange(cameras)[:, None], best] = True
    return chosen | chosen.T


def group(
    cameras: Cameras, detections: Detections, free: IntArray, gate_m: float, new_gate_m: float, needed: int,
    most: int = _MOST_HYPOTHESES,
) -> IntArray:
    """Group detections into new people.

    Args:
        cameras: C cameras.
        detections: D detections.
        free: (F,) indices of those that are assigned to no known body.
        gate_m: largest distance of a body from its detection.
        new_gate_m: largest mean distance between the rays of two detections of one person.
        needed: views that a new person must have.
        most: new people at most, the likeliest of more.

    Returns:
        (G, C) the detection of each new person in each camera, -1 for none; those with most views first.
    """
    count = len(cameras)
    nobody = np.full((0, count), -1)
    if not len(free):
        return nobody
    if needed <= 1:
        alone = np.full((len(free), count), -1)
        alone[np.arange(len(free)), detections.camera[free]] = free
        if count == 1 or len(np.unique(detections.camera[free])) == 1:
            return alone[:most]
    views = _collect(cameras, detections, free, _hypotheses(cameras, detections, free, new_gate_m), gate_m, most)
    if len(views):
        views = _refine(cameras, detections, free, views, gate_m)
    if needed <= 1:
        left = np.setdiff1d(free, views[views >= 0])
        alone = np.full((len(left), count), -1)
        alone[np.arange(len(left)), detections.camera[left]] = left
        views = np.concatenate([views, alone])
    return np.asarray(views[(views >= 0).sum(1) >= needed][:most])


def _hypotheses(
    cameras: Cameras, detections: Detections, free: IntArray, new_gate_m: float
) -> FloatArray:
    """Return the hypotheses, bodies of joints (H, J, 3) m, the strongest first."""
    count, joints = detections.seen[free].shape
    rays = Rays(
        np.empty(count, np.int64), np.empty((count, 3)), np.empty((count, joints, 3)), np.empty((count, 3)),
        np.empty(count), np.empty((count, joints), np.bool_),
    )
    fill_rays(cameras.cam_from_world, detections.arrays, free, rays)
    if count <= _FEW_DETECTIONS:
        paired = ~np.eye(len(cameras), dtype=bool)
    else:
        paired = partners(cameras.cam_from_world)
    most = min(_MOST_HYPOTHESES, count * (count - 1) // 2)
    found = Hypotheses(np.empty((most, 2), np.int64), np.empty((most, 3)), np.empty(most))
    number = find_hypotheses(rays, paired, new_gate_m, found)
    bodies = np.empty((number, joints, 3))
    return bodies[: merge_hypotheses(rays, found, number, bodies)]


def _collect(
    cameras: Cameras, detections: Detections, free: IntArray, hypotheses: FloatArray, gate_m: float, most: int
) -> IntArray:
    """Give hypotheses in turn the free detections near them; return (G, C) of the first ``most`` with two or more."""
    is_free = np.zeros(len(detections), bool)
    is_free[free] = True
    views = np.empty((min(len(hypotheses), most), len(cameras)), np.int64)
    return views[
        : collect_detections(cameras.cam_from_world, detections.arrays, hypotheses, gate_m, is_free, views)
    ]


def _refine(
    cameras: Cameras, detections: Detections, free: IntArray, views: IntArray, gate_m: float
) -> IntArray:
    """Triangulate the groups and assign the free detections to them anew; (G, C), those with most views first."""
    found = detections.gather(views)
    xyz = triangulate_dlt(
        cameras.cam_from_world, found.xn.reshape(len(cameras), -1, 2), found.confidence.reshape(len(cameras), -1)
    ).reshape(len(views), -1, 3)
    seen_by = (views >= 0).sum(1)
    again, _ = assign_detections(
        cameras.see(xyz), detections.select(free), np.full(len(xyz), gate_m), seen_by / seen_by.max()
    )
    again = np.where(again >= 0, free[again], -1)
    count = (again >= 0).sum(1)
    order = np.argsort(-count, kind='stable')
    return np.asarray(again[order[count[order] >= 2]])
