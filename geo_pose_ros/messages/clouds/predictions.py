# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""PredictedPeople <-> organised sensor_msgs/PointCloud2: height = people, width = joints, fields u v sigma body_id.

pose_node sends them to detectors elsewhere, one topic per camera. The skeleton is body17.
"""

from __future__ import annotations

import numpy as np

from ...skeleton import BODY17
from ...types import PredictedPeople
from ..factory import Message, MessageFactory
from ..stamps import stamp_of
from .cloud import from_cloud, image_points, to_cloud

PREDICTED_DTYPE = np.dtype([('u', '<f4'), ('v', '<f4'), ('sigma', '<f4'), ('body_id', '<u4')])


def predicted_to_cloud(make: MessageFactory, predicted: PredictedPeople, frame_id: str) -> Message:
    """Return the cloud of ``predicted``: u v in raw (distorted) px and sigma px, NaN where unknown."""
    points = np.zeros(predicted.sigma_px.shape, PREDICTED_DTYPE)
    points['u'], points['v'] = np.moveaxis(predicted.xy, -1, 0)
    points['sigma'] = predicted.sigma_px
    points['body_id'] = predicted.body_ids[:, None]
    return to_cloud(make, points, predicted.stamp_ns, frame_id, bool(np.isfinite(predicted.xy).all()))


def predicted_from_cloud(message: Message, camera: str) -> PredictedPeople:
    """Return the predicted people of ``camera`` in a cloud; a joint whose sigma is no number above 0 is unknown.

    Raises:
        ShapeError: if a field is missing or the width is not the number of joints.
    """
    what = f"Predicted people of camera '{camera}'"
    points = from_cloud(message, PREDICTED_DTYPE, what, BODY17)
    xy, seen = image_points(points)
    sigma_px = points['sigma'].astype(np.float64)
    with np.errstate(invalid='ignore'):
        known = seen & np.isfinite(sigma_px) & (sigma_px > 0.0)
    return PredictedPeople(
        camera, stamp_of(message), BODY17, np.where(known[..., None], xy, np.nan), np.where(known, sigma_px, np.nan),
        points['body_id'][:, 0].astype(np.int64),
    )
