# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""`~/details`: more values of `~/bodies`, as a cloud of the same shape: height = bodies, width = joints."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...errors import ShapeError
from ...types import Bodies3D
from ..factory import Message, MessageFactory
from .bodies import check_body_ids
from .cloud import from_cloud, to_cloud

_COVARIANCE = ('cov_xx', 'cov_xy', 'cov_xz', 'cov_yy', 'cov_yz', 'cov_zz')
_VELOCITY = ('vx', 'vy', 'vz')
# The upper triangle of the covariance, row by row.
_ROWS, _COLUMNS = np.triu_indices(3)
DETAILS_DTYPE = np.dtype([
    *((name, '<f4') for name in (*_COVARIANCE, *_VELOCITY, 'age')),
    *((name, '<u4') for name in ('views', 'joint', 'body_id')),
])
# Cameras that have a bit in ``views``.
_MOST_CAMERAS = 32


def details_to_cloud(make: MessageFactory, bodies: Bodies3D) -> Message:
    """Return `~/details` of ``bodies``, in the order of `~/bodies`; NaN where unknown.

    Covariance m^2 (six values), velocity m/s, in ``bodies.frame_id``; age s since the joint was measured; views: bit c
    is set where camera c of the rig is an inlier of the joint, for its first 32 cameras. Points name their joint and
    body; readers go by the fields' names, as more may be added.

    Raises:
        ShapeError: for a body id outside 0 .. 2^31 - 1.
    """
    check_body_ids(bodies.body_ids)
    points = np.zeros(bodies.xyz.shape[:2], DETAILS_DTYPE)
    for name, row, column in zip(_COVARIANCE, _ROWS, _COLUMNS, strict=True):
        points[name] = bodies.covariance[..., row, column]
    for axis, name in enumerate(_VELOCITY):
        points[name] = bodies.velocity[..., axis]
    points['age'] = bodies.age_s
    points['views'] = bodies.views & ((1 << _MOST_CAMERAS) - 1)
    points['joint'] = np.arange(len(bodies.skeleton))
    points['body_id'] = bodies.body_ids[:, None]
    dense = bool(np.isfinite(bodies.covariance).all())
    return to_cloud(make, points, bodies.stamp_ns, bodies.frame_id, dense)


def with_details(bodies: Bodies3D, message: Message) -> Bodies3D:
    """Return ``bodies`` of a `~/bodies` message with the values of the `~/details` message of the same set.

    Raises:
        ShapeError: if a field or a body is missing, or the joints are others.
    """
    points = from_cloud(message, DETAILS_DTYPE, 'Details message', bodies.skeleton)
    row_of = {int(body_id): row for row, body_id in enumerate(points['body_id'][:, 0])}
    missing = sorted(set(bodies.body_ids.tolist()) - set(row_of))
    if missing:
        raise ShapeError(f'Details message: lacks the bodies {missing}; it has {list(row_of)}.')
    points = points[[row_of[body_id] for body_id in bodies.body_ids.tolist()]]
    covariance = np.zeros((*points.shape, 3, 3))
    for name, row, column in zip(_COVARIANCE, _ROWS, _COLUMNS, strict=True):
        covariance[..., row, column] = covariance[..., column, row] = points[name]
    velocity = np.stack([points[name] for name in _VELOCITY], -1)
    return replace(
        bodies, covariance=covariance, velocity=velocity, age_s=points['age'], views=points['views'].astype(np.int64)
    )
