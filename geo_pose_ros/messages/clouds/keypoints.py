# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Keypoints2D <-> organised sensor_msgs/PointCloud2: height = people, width = joints, fields u v confidence.

A detector that gets predictions adds body_id: the predicted body that a detection was made for, -1 for none.

A cloud does not name its skeleton. What this package publishes on `~/keypoints/<camera>` is always body17; for a
topic of a detector elsewhere the reader gives the skeleton, and the width must agree. ``header.frame_id`` is
the camera's optical frame.
"""

from __future__ import annotations

import numpy as np

from ...skeleton import BODY17, Skeleton, output_of_width
from ...types import Keypoints2D
from ..factory import Message, MessageFactory
from ..stamps import stamp_of
from .cloud import from_cloud, image_points, to_cloud

KEYPOINTS_DTYPE = np.dtype([('u', '<f4'), ('v', '<f4'), ('confidence', '<f4')])
_HINTED_DTYPE = np.dtype([*KEYPOINTS_DTYPE.descr, ('body_id', '<i4')])


def keypoints_to_cloud(make: MessageFactory, keypoints: Keypoints2D, frame_id: str, *, hints: bool = False) -> Message:
    """Return the cloud of ``keypoints``: u v in raw (distorted) px, NaN where not seen.

    Args:
        hints: with body_id, for the node that the predictions come from; ids mean nothing later, nor elsewhere.
    """
    points = np.zeros(keypoints.confidence.shape, _HINTED_DTYPE if hints else KEYPOINTS_DTYPE)
    if hints:
        points['body_id'] = keypoints.hints[:, None]
    points['u'], points['v'] = np.moveaxis(keypoints.xy, -1, 0)
    points['confidence'] = keypoints.confidence
    return to_cloud(make, points, keypoints.stamp_ns, frame_id, bool(np.isfinite(keypoints.xy).all()))


def keypoints_from_cloud(message: Message, camera: str, skeleton: Skeleton = BODY17) -> Keypoints2D:
    """Return the keypoints of ``camera`` in a cloud; confidence is 0 where u or v is not finite.

    For body17, a skeleton that begins with its joints is known by the number of its joints.

    Raises:
        ShapeError: if a field is missing, the width is not the number of joints, or a confidence is outside [0, 1].
    """
    if skeleton is BODY17:
        skeleton = output_of_width(int(message.width))
    what = f"Keypoints message of camera '{camera}'"
    hinted = any(field.name == 'body_id' for field in message.fields)
    points = from_cloud(message, _HINTED_DTYPE if hinted else KEYPOINTS_DTYPE, what, skeleton)
    xy, seen = image_points(points)
    confidence = np.where(seen, points['confidence'].astype(np.float64), 0.0)
    hints = points['body_id'][:, 0].astype(np.int64) if hinted else np.full(len(xy), -1)
    return Keypoints2D(camera, stamp_of(message), skeleton, np.where(seen[..., None], xy, np.nan), confidence, hints)
