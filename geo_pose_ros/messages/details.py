"""`~/details`: what `~/bodies` has no room for, as a cloud of the same shape: height = bodies, width = joints."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ShapeError
from ..skeleton import FloatArray
from ..types import Bodies3D, IntArray
from .bodies import check_body_ids
from .cloud import from_cloud, to_cloud
from .factory import MessageFactory

_COVARIANCE = ('cov_xx', 'cov_xy', 'cov_xz', 'cov_yy', 'cov_yz', 'cov_zz')
# The upper triangle of the covariance, row by row.
_ROWS, _COLUMNS = np.triu_indices(3)
DETAILS_DTYPE = np.dtype([*((name, '<f4') for name in _COVARIANCE), ('joint', '<u4'), ('body_id', '<u4')])


def details_to_cloud(make: MessageFactory, bodies: Bodies3D) -> Any:
    """Return `~/details`: the six values of each joint's covariance, m^2 of ``bodies.frame_id``; NaN where unknown.

    Points are in the order of `~/bodies`, and name their joint and body. Readers go by the fields' names: more may be
    added.

    Raises:
        ShapeError: for a body id outside 0 .. 2^31 - 1.
    """
    check_body_ids(bodies.body_ids)
    points = np.zeros(bodies.xyz.shape[:2], DETAILS_DTYPE)
    for name, row, column in zip(_COVARIANCE, _ROWS, _COLUMNS, strict=True):
        points[name] = bodies.covariance[..., row, column]
    points['joint'] = np.arange(len(bodies.skeleton))
    points['body_id'] = bodies.body_ids[:, None]
    dense = bool(np.isfinite(bodies.covariance).all())
    return to_cloud(make, points, bodies.stamp_ns, bodies.frame_id, dense)


def covariance_from_details(message: Any, body_ids: IntArray) -> FloatArray:
    """Return the covariances (P, J, 3, 3) m^2 of the bodies ``body_ids`` (P,) in a `~/details` message.

    Raises:
        ShapeError: if a field or a body is missing.
    """
    points = from_cloud(message, DETAILS_DTYPE, 'Details message')
    there = points['body_id'][:, 0].astype(np.int64)
    missing = sorted(set(np.asarray(body_ids).tolist()) - set(there.tolist()))
    if missing:
        raise ShapeError(f'Details message: lacks the bodies {missing}; it has {there.tolist()}.')
    rows = [int(np.flatnonzero(there == body_id)[0]) for body_id in body_ids]
    covariance = np.zeros((len(rows), points.shape[1], 3, 3))
    for name, row, column in zip(_COVARIANCE, _ROWS, _COLUMNS, strict=True):
        covariance[..., row, column] = covariance[..., column, row] = points[name][rows]
    return covariance
