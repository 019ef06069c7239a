# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Settings of cameras that move."""

from __future__ import annotations

from dataclasses import dataclass

from ..settings import setting


@dataclass(frozen=True, slots=True)
class TransformConfig:
    """Which motion of a frame that carries cameras is a jump of its transforms."""

    max_speed_m_s: float = setting(
        10.0, 'Highest speed of a frame that carries cameras; above it, the transform jumped', unit='m/s', low=0.1,
        high=1000.0, formerly='most_speed_m_s',
    )
    max_turn_rad_s: float = setting(
        10.0, 'Highest turning rate of a frame that carries cameras; above it, the transform jumped', unit='rad/s',
        low=0.1, high=1000.0, formerly='most_turn_rad_s',
    )


# Description of the setting tracking_frame, of the node and of bags.
IMAGE_TOPICS = 'Image topics of single cameras, camera=topic; their camera_info is beside them'
CAMERA_INFO_TOPICS = 'Calibration topics of single cameras, camera=topic'
RECTIFIED = (
    'Whether images are rectified, so that P and R of camera_info describe them; auto: those of topics named image_rect'
)
RECTIFIED_CHOICES = ('auto', 'yes', 'no')
TRACKING_FRAME = (
    'Frame in which people are tracked where cameras move: it stands and does not jump, as odom. /tf gives the pose of '
    'each camera in it at the stamp of its image; the world of a rig file is then the frame that carries the rig. '
    'Empty: cameras stand'
)
