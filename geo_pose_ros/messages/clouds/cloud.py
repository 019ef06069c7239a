# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Organised sensor_msgs/PointCloud2 <-> structured numpy arrays (H, W), in one copy each way."""

from __future__ import annotations

from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray

from ...arrays import BoolArray, FloatArray
from ...errors import ShapeError
from ...skeleton import Skeleton
from ..factory import Message, MessageFactory
from ..stamps import to_header

# sensor_msgs/PointField datatype -> numpy, without byte order.
_DTYPES = {1: 'i1', 2: 'u1', 3: 'i2', 4: 'u2', 5: 'i4', 6: 'u4', 7: 'f4', 8: 'f8'}
_DATATYPES = {np.dtype(name): datatype for datatype, name in _DTYPES.items()}


def to_cloud(
    make: MessageFactory, points: NDArray[np.void], stamp_ns: int, frame_id: str, is_dense: bool
) -> Message:
    """Return PointCloud2 of a C-ordered structured array (H, W), little-endian; its dtype gives the fields."""
    height, width = points.shape
    dtype = points.dtype
    return make(
        'sensor_msgs/msg/PointCloud2', header=to_header(make, stamp_ns, frame_id), height=height, width=width,
        fields=list(_fields(make, dtype)), is_bigendian=False, point_step=dtype.itemsize,
        row_step=dtype.itemsize * width, data=np.frombuffer(points.tobytes(), np.uint8), is_dense=is_dense,
    )


@cache
def _fields(make: MessageFactory, dtype: np.dtype[np.void]) -> tuple[Message, ...]:
    """Return the PointFields of ``dtype``; all clouds of a kind share them."""
    return tuple(
        make('sensor_msgs/msg/PointField', name=name, offset=offset, datatype=_DATATYPES[kind], count=1)
        for name, (kind, offset, *_) in (dtype.fields or {}).items()
    )


def from_cloud(message: Message, dtype: np.dtype[np.void], what: str, skeleton: Skeleton) -> NDArray[np.void]:
    """Return PointCloud2 as a structured array (H, W) of ``dtype``, W = J of ``skeleton``; other fields are left out.

    The fields may have any order, offset, byte order and numeric type.

    Raises:
        ShapeError: if a field is missing, the data has another length than height x row_step, or W is not J.
    """
    height, width = int(message.height), int(message.width)
    step, row_step = int(message.point_step), int(message.row_step)
    stored = _stored(
        dtype, what, bool(message.is_bigendian), step,
        tuple((field.name, int(field.offset), int(field.datatype)) for field in message.fields),
    )
    data = np.frombuffer(message.data, np.uint8)
    if row_step < step * width or len(data) != height * row_step:
        raise ShapeError(
            f'{what}: received {len(data)} bytes for height {height}, width {width}, point_step {step} and row_step '
            f'{row_step}; expected height x row_step bytes and row_step >= width x point_step.'
        )
    if width != len(skeleton):
        raise ShapeError(
            f"{what}: received width {width}, expected {len(skeleton)} joints of skeleton '{skeleton.name}'."
        )
    rows = data.reshape(height, row_step)[:, : step * width]
    points = np.ascontiguousarray(rows).view(stored) if height and width else np.zeros((height, width), stored)
    return points.astype(dtype)


def image_points(points: NDArray[np.void]) -> tuple[FloatArray, BoolArray]:
    """Return the fields u v of ``points`` (H, W) as xy (H, W, 2) px, and where both are finite (H, W)."""
    xy = np.stack([points['u'], points['v']], -1).astype(np.float64)
    return xy, np.asarray(np.isfinite(xy).all(-1))


@lru_cache(256)
def _stored(
    dtype: np.dtype[np.void], what: str, bigendian: bool, step: int, fields: tuple[tuple[str, int, int], ...]
) -> np.dtype[np.void]:
    """Return how ``dtype`` lies in a cloud's points; most clouds have the fields of the one before.

    Raises:
        ShapeError: if a field is missing, of an unknown kind, or beyond ``step`` bytes.
    """
    order = '>' if bigendian else '<'
    there = {name: (offset, datatype) for name, offset, datatype in fields}
    names = dtype.names or ()
    missing = [name for name in names if name not in there]
    if missing:
        raise ShapeError(f'{what}: the cloud lacks {missing}; it has {sorted(there)}, expected {list(names)}.')
    unknown = {name: datatype for name, (_, datatype) in there.items() if datatype not in _DTYPES}
    if unknown:
        raise ShapeError(f'{what}: unknown PointField datatypes {unknown}, expected 1 .. 8.')
    formats = [order + _DTYPES[there[name][1]] for name in names]
    try:
        return np.dtype({
            'names': list(names), 'formats': formats, 'offsets': [there[name][0] for name in names], 'itemsize': step,
        })
    except ValueError as error:
        raise ShapeError(f'{what}: the fields of the cloud overrun its point_step {step}: {error}.') from error
