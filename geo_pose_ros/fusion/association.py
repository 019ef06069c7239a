"""Assignment of each camera's detections to the bodies that are predicted there, and which views are missing.

Distances are metric and across the view, see ``lateral_distance``. Per camera one optimal assignment (Kuhn 1955) of
detections to bodies maximises the sum of (1 - distance / gate) x weight: pairs beyond the gate gain nothing, so that
nobody is pushed to a bad match to make room. A body that few of the cameras that should see it do see has a small
weight: it cannot take a detection from a well established one.
"""

from __future__ import annotations

import itertools

import numpy as np
from scipy.optimize import linear_sum_assignment

from ..arrays import BoolArray, FloatArray, IntArray
from .views import Detections, lateral_distance, nearby

# Centres of a body and its detection lie within this, m: other joints may be hidden on either side.
_CENTRE_REACH_M = 0.8
# A fit that is poorer than this part of the gate may be that of a detection that has its sides exchanged.
_POOR = 0.5


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
    cameras, bodies = local.shape[:2]
    views = np.full((bodies, cameras), -1)
    nearest = np.full(len(detections), np.inf)
    if not bodies or not len(detections):
        return views, nearest
    body, detection = nearby(local, detections, _CENTRE_REACH_M)
    distance = lateral_distance(local, detections, body, detection)
    poor = np.flatnonzero(distance > _POOR * gate_m[body]) if mirror is not None else ()
    if len(poor):
        other = lateral_distance(local[:, :, mirror], detections, body[poor], detection[poor])
        distance[poor] = np.minimum(distance[poor], other)
    near = distance < gate_m[body]
    body, detection, distance = body[near], detection[near], distance[near]
    np.minimum.at(nearest, detection, distance)
    gain = (1.0 - distance / gate_m[body]) * weight[body]
    # Pairs are sorted by detection, and detections by camera.
    cuts = np.searchsorted(detection, detections.starts).tolist()
    for camera, (first, end) in enumerate(itertools.pairwise(cuts)):
        if first == end:
            continue
        start, stop = detections.starts[camera], detections.starts[camera + 1]
        rows, columns = _best(
            body[first:end], detection[first:end] - start, gain[first:end], (bodies, int(stop - start))
        )
        views[rows, camera] = columns + start
    return views, nearest


def _best(
    row: IntArray, column: IntArray, gain: FloatArray, shape: tuple[int, int]
) -> tuple[IntArray, IntArray]:
    """Return the pairs of the assignment with the largest sum of ``gain`` > 0."""
    if len(row) == 1:
        return row, column
    matrix = np.zeros(shape)
    matrix[row, column] = gain
    chosen_row, chosen_column = linear_sum_assignment(matrix, maximize=True)
    good = matrix[chosen_row, chosen_column] > 0.0
    return chosen_row[good], chosen_column[good]


def find_missing_views(
    local: FloatArray, present: BoolArray, in_image: BoolArray, views: IntArray, shadow_m: float
) -> tuple[BoolArray, BoolArray]:
    """Return which cameras should see each body, (T, C), and which miss it without being occluded, (T, C).

    A camera should see a body if most of its joints lie in the image. The body is occluded if another body stands in
    front: nearer, and within ``shadow_m`` across the view.

    Args:
        local: (C, T, J, 3) from ``Cameras.see``.
        present: (C,) whether the camera delivered.
        in_image: (C, T, J) from ``Cameras.in_image``.
        views: (T, C) from ``assign_detections``.
        shadow_m: about the breadth of a person.
    """
    known = np.isfinite(local[..., 2])
    count = np.maximum(known.sum(-1), 1)
    visible = (in_image.sum(-1) >= 0.7 * count) & known.any(-1) & present[:, None]
    centre = np.where(known[..., None], local, 0.0).sum(-2) / count[..., None]
    depth = np.maximum(centre[..., 2], 1e-3)
    # (C, T, T): of each body (second axis) the distance of the other (third) across the view at this one's depth.
    image = centre[..., :2] / depth[..., None]
    across = np.abs(image[:, :, None, 0] - image[:, None, :, 0]) * depth[:, :, None]
    up = np.abs(image[:, :, None, 1] - image[:, None, :, 1]) * depth[:, :, None]
    nearer = depth[:, None, :] < depth[:, :, None] - 0.1
    occluded = ((across < shadow_m) & (up < 3.0 * shadow_m) & nearer).any(-1)
    missing = visible & ~occluded & (views.T < 0)
    return visible.T, missing.T
