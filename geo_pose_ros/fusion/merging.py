# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Bodies that are one person: duplicates, and lone views that are part of a body that other cameras see."""

from __future__ import annotations

import numpy as np

from ..arrays import BoolArray, FloatArray, IntArray
from ..geometry.stats import nan_mean
from .kernels.association import merge_lone
from .kernels.merging import find_offsets
from .views import Cameras, Detections

# A duplicate detection lies on the person that it repeats with at least this share of its joints: arms reach out of
# the box.
_ON_PERSON = 0.6


def merge_lone_views(
    cameras: Cameras, local: FloatArray, detections: Detections, views: IntArray, gates_m: tuple[float, float],
    order: IntArray | None = None, settled: int = 0,
) -> IntArray:
    """Return the views after bodies that one camera sees were merged with the body that they are part of.

    What one camera alone sees is uncertain in depth and follows that camera's errors. Beside a body that lacks a view
    there it is more likely a part of that body than a second person behind it.

    Args:
        cameras: C cameras.
        local: (C, T, J, 3) the predicted bodies, from ``Cameras.see``.
        detections: D detections.
        views: (T, C) the detection of each body in each camera, -1 for none.
        gates_m: largest distance of a body from its detection, and between the rays of two detections of one person.
        order: (T,) the bodies, senior ones first; None: as they are.
        settled: the first of them that are people of their own and are not merged.
    """
    merged = np.array(views, np.int64, order='C')
    order = np.arange(len(views)) if order is None else order
    local = np.ascontiguousarray(local)
    merge_lone(cameras.cam_from_world, local, detections.arrays, np.array(gates_m), order, settled, merged)
    return merged


def find_duplicate_bodies(xyz: FloatArray, views: IntArray, gate_m: float) -> BoolArray:
    """Return (B,) which bodies repeat a senior one: in one place, and no camera sees both.

    Args:
        xyz: (B, J, 3) m, senior ones first, NaN = unknown.
        views: (B, C) the detection of each in each camera, -1 for none.
        gate_m: largest mean distance of their joints.
    """
    duplicate = np.zeros(len(xyz), bool)
    if len(xyz) < 2:
        return duplicate
    root = nan_mean(xyz, 1)
    first, second = np.nonzero(np.triu(np.linalg.norm(root[:, None] - root, axis=-1) < 2.0 * gate_m, 1))
    for senior, junior in zip(first.tolist(), second.tolist(), strict=True):
        together = (views[senior] >= 0) & (views[junior] >= 0)
        apart = nan_mean(np.linalg.norm(xyz[senior] - xyz[junior], axis=-1), 0)
        if not together.any() and apart < gate_m and not duplicate[senior]:
            duplicate[junior] = True
    return duplicate


def find_duplicate_views(
    xyz: FloatArray, views: IntArray, rank: IntArray, detections: Detections, reach_m: float
) -> BoolArray:
    """Return (B, C) which views may be duplicate detections of a person nearby who is better established.

    Most joints of such a detection lie within the box around the other body's detection in the same image.

    Args:
        xyz: (B, J, 3) m, NaN = unknown.
        views: (B, C) the detection of each body in each camera, -1 for none.
        rank: (B,) the better established the larger.
        detections: D detections.
        reach_m: largest distance of two bodies' centres at which one's region may show the other.
    """
    found = np.zeros(views.shape, bool)
    if len(xyz) < 2:
        return found
    centre = nan_mean(xyz, 1)
    near = np.linalg.norm(centre[:, None] - centre, axis=-1) < reach_m
    for body, other in zip(*np.nonzero(near & (rank[:, None] < rank)), strict=True):
        for camera in np.flatnonzero((views[body] >= 0) & (views[other] >= 0)).tolist():
            mine, theirs = views[body, camera], views[other, camera]
            box = detections.xn[theirs][detections.seen[theirs]]
            joints = detections.xn[mine][detections.seen[mine]]
            inside = ((joints >= box.min(0)) & (joints <= box.max(0))).all(-1)
            found[body, camera] |= bool(inside.mean() >= _ON_PERSON)
    return found


def find_gross_errors(
    local: FloatArray, detections: Detections, views: IntArray, visible: BoolArray, gate_m: float, reach: float
) -> FloatArray:
    """Return (C, 2) the calibration error, at focal length 1, of cameras that see people beside their place only.

    A camera that was turned sees everybody beside their place, all by the same offset. The offset that brings most
    bodies without a view in the camera to its unassigned detections is returned; NaN for cameras where none does, or
    where more bodies are in their place than not.

    Args:
        local: (C, T, J, 3) the bodies, from ``Cameras.see``.
        detections: D detections.
        views: (T, C) the detection of each body in each camera, -1 for none.
        visible: (T, C) whether the camera should see the body.
        gate_m: largest distance of a moved body from its detection.
        reach: largest offset, at focal length 1.
    """
    error = np.empty((len(local), 2))
    local, views = np.ascontiguousarray(local), np.ascontiguousarray(views)
    find_offsets(local, detections.arrays, views, np.ascontiguousarray(visible), gate_m, reach, error)
    return error
