# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""CameraRig -> /tf_static: world -> optical frames; Bodies3D -> /tf: a frame per body, `body_<id>`, after REP-155."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..arrays import FloatArray
from ..geometry.body_frame import world_from_body
from ..geometry.rigid import invert, to_quaternion
from ..types import Bodies3D, CameraRig
from .factory import Message, MessageFactory
from .stamps import to_header


def optical_frame_id(camera: str) -> str:
    """Return the frame name this package gives the optical frame of ``camera``."""
    return f'{camera}_optical_frame'


def rig_to_transforms(make: MessageFactory, rig: CameraRig, stamp_ns: int) -> Message:
    """Return tf2_msgs/TFMessage with one transform world -> optical frame per camera."""
    return make('tf2_msgs/msg/TFMessage', transforms=rig_to_transforms_stamped(make, rig, stamp_ns))


def rig_to_transforms_stamped(make: MessageFactory, rig: CameraRig, stamp_ns: int) -> list[Message]:
    """Return geometry_msgs/TransformStamped world -> optical frame of each camera, in rig order."""
    return [
        to_transform(make, rig.world_frame_id, camera.frame_id, invert(camera.cam_from_world), stamp_ns)
        for camera in rig.cameras
    ]


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


def to_transform(
    make: MessageFactory, parent: str, child: str, parent_from_child: FloatArray, stamp_ns: int
) -> Message:
    """Return geometry_msgs/TransformStamped of ``parent_from_child`` (3, 4) m."""
    return make(
        'geometry_msgs/msg/TransformStamped', header=to_header(make, stamp_ns, parent), child_frame_id=child,
        transform=make(
            'geometry_msgs/msg/Transform', translation=to_vector(make, parent_from_child[:, 3]),
            rotation=_to_rotation(make, parent_from_child),
        ),
    )


def to_point(make: MessageFactory, xyz: FloatArray) -> Message:
    """Return geometry_msgs/Point of (3,) m."""
    x, y, z = xyz.tolist()
    return make('geometry_msgs/msg/Point', x=x, y=y, z=z)


def to_vector(make: MessageFactory, xyz: FloatArray) -> Message:
    """Return geometry_msgs/Vector3 of (3,)."""
    x, y, z = xyz.tolist()
    return make('geometry_msgs/msg/Vector3', x=x, y=y, z=z)


def to_pose(make: MessageFactory, frame: FloatArray) -> Message:
    """Return geometry_msgs/Pose of ``frame`` (3, 4) m."""
    return make(
        'geometry_msgs/msg/Pose', position=to_point(make, frame[:, 3]), orientation=_to_rotation(make, frame)
    )


def _to_rotation(make: MessageFactory, frame: FloatArray) -> Message:
    x, y, z, w = to_quaternion(frame).tolist()
    return make('geometry_msgs/msg/Quaternion', x=x, y=y, z=z, w=w)
