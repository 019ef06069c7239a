"""PredictedPeople <-> organised sensor_msgs/PointCloud2: height = people, width = joints, fields u v sigma body_id.

What pose_node tells detectors elsewhere, one topic per camera. The skeleton is body17.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...errors import ShapeError
from ...skeleton import BODY17
from ...types import PredictedPeople
from ..factory import MessageFactory
from ..stamps import stamp_of
from .cloud import from_cloud, to_cloud

EXPECTED_DTYPE = np.dtype([('u', '<f4'), ('v', '<f4'), ('sigma', '<f4'), ('body_id', '<u4')])


def expected_to_cloud(make: MessageFactory, expected: PredictedPeople, frame_id: str) -> Any:
    """Return the cloud of ``expected``: u v in raw (distorted) px and sigma px, NaN where unknown."""
    points = np.zeros(expected.sigma_px.shape, EXPECTED_DTYPE)
    points['u'], points['v'] = np.moveaxis(expected.xy, -1, 0)
    points['sigma'] = expected.sigma_px
    points['body_id'] = expected.body_ids[:, None]
    return to_cloud(make, points, expected.stamp_ns, frame_id, bool(np.isfinite(expected.xy).all()))


def expected_from_cloud(message: Any, camera: str) -> PredictedPeople:
    """Return the expected people of ``camera`` in a cloud; a joint whose sigma is no number above 0 is unknown.

    Raises:
        ShapeError: if a field is missing or the width is not the number of joints.
    """
    what = f"Expected people of camera '{camera}'"
    points = from_cloud(message, EXPECTED_DTYPE, what)
    if points.shape[1] != len(BODY17):
        raise ShapeError(f"{what}: received width {points.shape[1]}, expected the {len(BODY17)} joints of body17.")
    xy = np.stack([points['u'], points['v']], -1).astype(np.float64)
    sigma_px = points['sigma'].astype(np.float64)
    with np.errstate(invalid='ignore'):
        known = np.asarray(np.isfinite(xy).all(-1) & np.isfinite(sigma_px) & (sigma_px > 0.0))
    return PredictedPeople(
        camera, stamp_of(message), BODY17, np.where(known[..., None], xy, np.nan), np.where(known, sigma_px, np.nan),
        points['body_id'][:, 0].astype(np.int64),
    )
