"""Bodies3D -> /tf: a frame per body, `body_<id>`, after REP-155."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..geometry.body_frame import world_from_body
from ..types import Bodies3D
from .factory import Message, MessageFactory
from .transforms import to_transform


def body_frame_id(body_id: int | str) -> str:
    """Return the name of the frame of a body."""
    return f'body_{body_id}'


def bodies_to_transforms(
    make: MessageFactory, bodies: Bodies3D, name: Callable[[int], int | str] = int
) -> list[Message]:
    """Return geometry_msgs/TransformStamped ``bodies.frame_id`` -> `body_<id>` of each body whose trunk is known.

    Args:
        name: what stands for <id>, of a body id.
    """
    placed = zip(bodies.body_ids.tolist(), world_from_body(bodies.xyz), strict=True)
    return [
        to_transform(make, bodies.frame_id, body_frame_id(name(body_id)), frame, bodies.stamp_ns)
        for body_id, frame in placed if np.isfinite(frame).all()
    ]
