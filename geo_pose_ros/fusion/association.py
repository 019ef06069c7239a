# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Assignment of each camera's detections to the bodies that are predicted there, and which views are missing.

Distances are metric and across the view, see ``kernels.distances``. Per camera one optimal assignment (Kuhn 1955) of
detections to bodies maximises the sum of (1 - distance / gate) x weight: pairs beyond the gate gain nothing, so that
nobody is pushed to a bad match to make room. A body that few of the cameras that should see it do see has a small
weight: it cannot take a detection from a well established one.
"""

from __future__ import annotations

import numpy as np

from ..arrays import BoolArray, FloatArray, IntArray
from .kernels.association import assign, find_missing
from .views import Cameras, Detections


def assign_detections(
    local: FloatArray, detections: Detections, gate_m: FloatArray, weight: FloatArray, mirror: IntArray | None = None
) -> tuple[IntArray, FloatArray]:
    """Assign detections to bodies.

    Args:
        local: (C, T, J, 3) the predicted bodies in the cameras' frames, from ``Cameras.see``; NaN = unknown.
        detections: D detections.
        gate_m: (T,) largest distance of each body from its detection.
        weight: (T,) in (0, 1], how well established each body is.
        mirror: (J,) each joint's mirror image, so that a detection with its sides exchanged fits the same person; None:
            it does not fit.

    Returns:
        views: (T, C) the detection of each body in each camera, -1 for none.
        nearest: (D,) m, the distance of each detection from the body that it fits best, inf where there is none.
    """
    cameras, bodies, joints = local.shape[:3]
    views, nearest = np.empty((bodies, cameras), np.int64), np.empty(len(detections))
    order = np.arange(joints) if mirror is None else mirror
    gate_m, weight = np.ascontiguousarray(gate_m), np.ascontiguousarray(weight)
    assign(np.ascontiguousarray(local), detections.arrays, gate_m, weight, order, views, nearest)
    return views, nearest


def find_missing_views(
    local: FloatArray, cameras: Cameras, views: IntArray, shadow_m: float
) -> tuple[BoolArray, BoolArray]:
    """Return which cameras should see each body, (T, C), and which miss it without being occluded, (T, C).

    A camera should see a body if most of its joints lie in the image. The body is occluded if another body stands in
    front: nearer, and within ``shadow_m`` across the view.

    Args:
        local: (C, T, J, 3) from ``Cameras.see``.
        cameras: C cameras.
        views: (T, C) from ``assign_detections``.
        shadow_m: about the breadth of a person.
    """
    visible, missing = np.empty(views.shape, np.bool_), np.empty(views.shape, np.bool_)
    local, views = np.ascontiguousarray(local), np.ascontiguousarray(views)
    find_missing(local, cameras.bounds, views, cameras.present, shadow_m, visible, missing)
    return visible, missing
