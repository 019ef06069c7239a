# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Settings of the nodes."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ..calibration.settings import WatchConfig
from ..detection.settings import DetectorConfig
from ..errors import ConfigError
from ..rigs.settings import (
    CAMERA_INFO_TOPICS,
    IMAGE_TOPICS,
    RECTIFIED,
    RECTIFIED_CHOICES,
    TRACKING_FRAME,
    TransformConfig,
)
from ..scene.settings import PipelineConfig, SyncConfig
from ..settings import setting
from ..skeleton import OUTPUTS


@dataclass(frozen=True, slots=True)
class CameraNodeConfig:
    """What both nodes have: their cameras, and how they report."""

    autostart: bool = setting(True, 'Configure and activate at start; off: a lifecycle manager does')
    cameras: tuple[str, ...] = setting((), 'Camera names')
    transport: str = setting('compressed', 'What the cameras send', choices=('raw', 'compressed'))
    image_topic: str = setting('{camera}/image_raw', 'Image topic of a camera; compressed adds /compressed')
    reliability: str = setting(
        'best_effort', 'QoS asked of the cameras; best_effort also takes what a reliable publisher sends',
        choices=('best_effort', 'reliable'),
    )
    queue_depth: int = setting(
        2, 'QoS history per camera, keep last; what is older than one set is not wanted', low=1, high=100
    )
    hardware_id: str = setting('', 'hardware_id of all statuses on /diagnostics; empty: the full name of the node')
    diagnostics_period_s: float = setting(1.0, 'Time between two /diagnostics', unit='s', low=0.05, high=60.0)
    stale_after_s: float = setting(
        2.0, 'A camera without a frame for longer is an error', unit='s', low=0.05, high=3600.0, live=True
    )


@dataclass(frozen=True, slots=True)
class HumansConfig:
    """Names of bodies where several nodes publish some."""

    id_prefix: str = setting(
        '', 'Begins the ids of bodies on /humans, and what follows body_ in their frames: different for each of '
        'several nodes',
    )

    def __post_init__(self) -> None:
        """Raise ConfigError for what no topic can be called."""
        if not re.fullmatch(r'([A-Za-z]\w*)?', self.id_prefix, re.ASCII):
            raise ConfigError(
                f"Parameter 'humans.id_prefix': received '{self.id_prefix}', expected letters, digits and _, a letter "
                'first.'
            )


@dataclass(frozen=True, slots=True)
class NodeConfig(CameraNodeConfig):
    """``pose_node``: topics, calibration, and everything below it."""

    cameras: tuple[str, ...] = setting((), 'Camera names; empty: all of the rig file', live=True)
    rig: str = setting(
        '', 'Rig file, or a calibration of another tool in m; empty: intrinsics from camera_info, extrinsics from '
        '/tf_static',
    )
    world_frame: str = setting('world', 'Frame of the output where there is no rig file')
    tracking_frame: str = setting('', TRACKING_FRAME)
    output_in: str = setting(
        'tracking_frame', 'Frame of what is published where cameras move', choices=('tracking_frame', 'world_frame')
    )
    transport: str = setting(
        'compressed', 'What the cameras send; keypoints: 2D of a detector elsewhere',
        choices=('raw', 'compressed', 'keypoints'),
    )
    image_topics: tuple[str, ...] = setting((), IMAGE_TOPICS, live=True)
    rectified: str = setting('auto', RECTIFIED, choices=RECTIFIED_CHOICES)
    camera_info_topic: str = setting('{camera}/camera_info', 'Calibration topic of a camera')
    camera_info_topics: tuple[str, ...] = setting((), CAMERA_INFO_TOPICS, live=True)
    keypoints_topic: str = setting('{camera}/keypoints', 'Keypoint topic of a camera, for transport keypoints')
    keypoints_cameras: tuple[str, ...] = setting(
        (), 'Cameras that detectors elsewhere send the keypoints of, where transport is for images', live=True
    )
    keypoints_topics: tuple[str, ...] = setting((), 'Keypoint topics of single cameras, camera=topic', live=True)
    keypoints_skeleton: str = setting(
        'body17', 'Skeleton of the keypoint topics; those that begin with body17 are known by their width',
        choices=('body17', 'coco17', 'halpe26', 'blazepose33', 'coco_wholebody133'),
    )
    publish_camera_frames: bool = setting(
        False, 'Publish the camera frames of the rig file on /tf_static; off where a robot description does'
    )
    publish_body_frames: bool = setting(
        False, 'Publish a frame body_<id> of every body on /tf: at the pelvis, x forward, z towards the head'
    )
    publish_humans: bool = setting(
        False, 'Publish /humans/bodies/... and frames body_b<id> after REP-155 (ROS4HRI); needs hri_msgs'
    )
    annotated_max_side_px: int = setting(
        960, 'Longer side of the annotated images', unit='px', low=64, high=10_000, live=True
    )
    annotated_quality: int = setting(80, 'JPEG quality of the annotated images', low=1, high=100, live=True)
    transform_wait_ms: float = setting(
        50.0, 'A set waits so long for transforms that are older than its images; then it is made without the cameras '
        'they carry', unit='ms', low=0.0, high=2000.0,
    )
    humans: HumansConfig = field(default_factory=HumansConfig)
    transforms: TransformConfig = field(default_factory=TransformConfig)
    sync: SyncConfig = field(default_factory=SyncConfig)
    pipeline: PipelineConfig = field(default_factory=PipelineConfig)
    calibration: WatchConfig = field(default_factory=WatchConfig)


@dataclass(frozen=True, slots=True)
class DetectorNodeConfig(CameraNodeConfig):
    """``detector_node``: images of some cameras in, their keypoints out."""

    keypoints_topic: str = setting('{camera}/keypoints', 'Keypoint topic of a camera, to be published')
    skeleton: str = setting(
        'body17', 'Joints of the keypoints; pose_node fuses those of its pipeline.skeleton', choices=tuple(OUTPUTS)
    )
    predictions_topic: str = setting(
        'pose_node/expected/{camera}', 'Topic of pose_node with the people predicted for the images of a camera',
        formerly='expected_topic',
    )
    max_prediction_age_s: float = setting(
        0.5, 'A prediction for a time farther than this from an image\'s stamp is not used', unit='s', low=0.0,
        high=10.0, formerly='expected_age_s',
    )
    detector: DetectorConfig = field(default_factory=DetectorConfig)
