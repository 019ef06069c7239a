"""Bodies3D -> /tf: a frame `body_<id>` per body, after REP-155: x forward, y left, z towards the head."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..skeleton import BODY17, FloatArray
from ..types import Bodies3D
from .factory import MessageFactory
from .transforms import to_transform

_PELVIS, _THORAX = BODY17.index('pelvis'), BODY17.index('thorax')
_LEFT = [BODY17.index('left_hip'), BODY17.index('left_shoulder')]
_RIGHT = [BODY17.index('right_hip'), BODY17.index('right_shoulder')]
# A trunk or its breadth shorter than this, m, has no direction.
_LEAST_M = 0.02


def body_frame_id(body_id: int) -> str:
    """Return the name of the frame of a body."""
    return f'body_{body_id}'


def world_from_body(xyz: FloatArray) -> FloatArray | None:
    """Return the frame (3, 4) m of a body of body17 joints (17, 3) m; None where its trunk is not known.

    The origin is the pelvis; z goes to the thorax, y is where hips and shoulders have their left, x is in front.
    """
    up = xyz[_THORAX] - xyz[_PELVIS]
    left = (xyz[_LEFT] - xyz[_RIGHT]).sum(0)
    front = np.cross(left, up)
    length = np.linalg.norm(up)
    # NaN compares false.
    if not (length > _LEAST_M and np.linalg.norm(front) > _LEAST_M * length):
        return None
    z, x = up / length, front / np.linalg.norm(front)
    return np.column_stack([x, np.cross(z, x), z, xyz[_PELVIS]])


def bodies_to_transforms(make: MessageFactory, bodies: Bodies3D) -> list[Any]:
    """Return geometry_msgs/TransformStamped ``bodies.frame_id`` -> `body_<id>` of each body whose trunk is known."""
    placed = zip(bodies.body_ids.tolist(), map(world_from_body, bodies.xyz), strict=True)
    return [
        to_transform(make, bodies.frame_id, body_frame_id(body_id), frame, bodies.stamp_ns)
        for body_id, frame in placed if frame is not None
    ]
