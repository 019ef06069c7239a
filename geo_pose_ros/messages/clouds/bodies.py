# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Bodies3D <-> organised sensor_msgs/PointCloud2 (`~/bodies`): height = bodies, width = joints."""

from __future__ import annotations

import numpy as np

from ...arrays import FloatArray, IntArray
from ...errors import ShapeError
from ...skeleton import BODY17, Skeleton, output_of_width
from ...types import Bodies3D
from ..factory import Message, MessageFactory
from ..stamps import stamp_of
from .cloud import from_cloud, to_cloud

# 32 bytes a point; body_id is aligned.
BODIES_DTYPE = np.dtype(
    {
        'names': ['x', 'y', 'z', 'confidence', 'sigma', 'reprojection_error', 'num_views', 'joint', 'body_id'],
        'formats': ['<f4'] * 6 + ['u1', 'u1', '<u4'],
        'offsets': [0, 4, 8, 12, 16, 20, 24, 25, 28],
        'itemsize': 32,
    }
)


def check_body_ids(body_ids: IntArray) -> None:
    """Raise ShapeError for an id that a cloud (u32) and a marker (i32) cannot both hold."""
    if len(body_ids) and not (body_ids.min() >= 0 and body_ids.max() < 2**31):
        raise ShapeError(f'Body ids {body_ids.tolist()}: expected 0 .. 2^31 - 1.')


def sigma_m(covariance: FloatArray) -> FloatArray:
    """Return the standard deviation per axis, m, of covariances (..., 3, 3) m^2: sqrt(trace / 3)."""
    sigma: FloatArray = np.sqrt(np.trace(covariance, axis1=-2, axis2=-1) / 3.0)
    return sigma


def bodies_to_cloud(make: MessageFactory, bodies: Bodies3D) -> Message:
    """Return `~/bodies`; x y z in m of ``bodies.frame_id``, sigma in m, reprojection_error in px.

    ``is_dense`` is False where a joint is unknown (x y z NaN), as PCL and RViz require.

    Raises:
        ShapeError: for a body id outside 0 .. 2^31 - 1.
    """
    check_body_ids(bodies.body_ids)
    points = np.zeros(bodies.xyz.shape[:2], BODIES_DTYPE)
    points['x'], points['y'], points['z'] = np.moveaxis(bodies.xyz, -1, 0)
    points['confidence'] = bodies.confidence
    points['sigma'] = sigma_m(bodies.covariance)
    points['reprojection_error'] = bodies.reprojection_error
    points['num_views'] = np.clip(bodies.num_views, 0, 255)
    points['joint'] = np.arange(len(bodies.skeleton))
    points['body_id'] = bodies.body_ids[:, None]
    return to_cloud(make, points, bodies.stamp_ns, bodies.frame_id, bool(np.isfinite(bodies.xyz).all()))


def bodies_from_cloud(message: Message, skeleton: Skeleton = BODY17) -> Bodies3D:
    """Return the bodies of a `~/bodies` message; the covariance is sigma^2 I, the message carries no more.

    A skeleton that begins with body17's joints is known by the number of its joints.

    Raises:
        ShapeError: if a field is missing, or the joints are not those of ``skeleton`` in order.
    """
    if skeleton is BODY17:
        skeleton = output_of_width(int(message.width))
    points = from_cloud(message, BODIES_DTYPE, 'Bodies message', skeleton)
    joints = len(skeleton)
    if (points['joint'] != np.arange(joints)).any():
        raise ShapeError(
            f'Bodies message: received joints {points["joint"][:1].ravel().tolist()}, '
            f"expected 0 .. {joints - 1} of skeleton '{skeleton.name}'."
        )
    if (points['body_id'] != points['body_id'][:, :1]).any():
        raise ShapeError('Bodies message: a row holds several body ids, expected one body per row.')
    variance = points['sigma'].astype(np.float64) ** 2
    return Bodies3D(
        stamp_of(message), str(message.header.frame_id), skeleton,
        np.stack([points['x'], points['y'], points['z']], -1).astype(np.float64),
        variance[..., None, None] * np.eye(3), points['confidence'].astype(np.float64),
        points['num_views'].astype(np.int64), points['reprojection_error'].astype(np.float64),
        points['body_id'][:, 0].astype(np.int64),
    )
