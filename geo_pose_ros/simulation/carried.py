# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""A robot that drives in a circle and carries a rig: its transforms, exact at every time."""

from __future__ import annotations

import math

import numpy as np

from ..arrays import NS_PER_S, FloatArray
from ..bags.message_factory import RosbagsFactory
from ..geometry.rigid import from_rotation_vector, invert
from ..messages.transforms import to_transform
from ..rigs.moving import Mount, MovingCameras
from ..rigs.settings import TransformConfig
from ..rigs.transform_buffer import TransformBuffer
from ..types import CameraRig
from .scenario import EPOCH_NS

SPEED_M_S, TURN_RAD_S = 1.0, math.radians(60.0)
TF_HZ = 50.0


def odom_from_base(time_s: float) -> FloatArray:
    """Return the pose (3, 4) m of the base, which drives ahead on a circle at SPEED_M_S and TURN_RAD_S."""
    angle, radius_m = TURN_RAD_S * time_s, SPEED_M_S / TURN_RAD_S
    position = np.array([radius_m * math.sin(angle), -radius_m * math.cos(angle), 0.0])
    return from_rotation_vector(np.array([0.0, 0.0, angle]), position)


def base_from_odom(time_s: FloatArray) -> FloatArray:
    """Return (F, 3, 4) m at times (F,) s."""
    return np.array([invert(odom_from_base(t)) for t in time_s.tolist()])


def carry_rig(rig: CameraRig, seconds: float) -> tuple[MovingCameras, dict[str, Mount]]:
    """Return the cameras of ``rig`` on a head on a base that drives for ``seconds``, and the mount of each."""
    buffer, make = TransformBuffer(keep_s=2.0 * seconds + 2.0), RosbagsFactory()

    def add(parent: str, child: str, stamp_ns: int, pose: FloatArray, static: bool) -> None:
        buffer.add([to_transform(make, parent, child, pose, stamp_ns)], static=static)

    mounts = {}
    for camera in rig.cameras:
        # TF has the camera's frame; the rig's pose stays in the mount, as where TF has only the base.
        add('head', camera.frame_id, 0, np.eye(3, 4), True)
        mounts[camera.name] = Mount(camera.frame_id, camera.cam_from_world)
    add('base', 'head', 0, np.eye(3, 4), True)
    for step in range(round(-TF_HZ), round((seconds + 1.0) * TF_HZ)):
        add('odom', 'base', EPOCH_NS + round(step * NS_PER_S / TF_HZ), odom_from_base(step / TF_HZ), False)
    return MovingCameras(buffer, 'odom', TransformConfig()), mounts
