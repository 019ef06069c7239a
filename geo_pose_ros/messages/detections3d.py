# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Bodies3D -> vision_msgs/Detection3DArray, for what works on boxes: planners, trackers, RViz' vision_msgs display."""

from __future__ import annotations

import numpy as np

from ..arrays import FloatArray
from ..geometry.body_frame import frame_covariance, world_from_body
from ..geometry.rigid import invert, transform_points
from ..types import Bodies3D
from .factory import Message, MessageFactory
from .stamps import to_header
from .transforms import to_pose, to_vector

CLASS_ID = 'person'


def bodies_to_detections3d(make: MessageFactory, bodies: Bodies3D) -> Message:
    """Return vision_msgs/Detection3DArray: of each body of which a joint is known, its id, frame and box.

    Pose: the body's frame (at the pelvis, x forward, z to the thorax) with its covariance; score: the mean confidence
    of the joints that are known; box: round these joints, along the frame's axes. A body whose trunk is not known has
    the axes of ``bodies.frame_id`` and is where the middle of its joints is, with a covariance that is NaN.
    """
    header = to_header(make, bodies.stamp_ns, bodies.frame_id)
    frames, covariances = world_from_body(bodies.xyz), frame_covariance(bodies.xyz, bodies.covariance)
    detections = []
    for body, body_id in enumerate(bodies.body_ids.tolist()):
        known = np.isfinite(bodies.xyz[body]).all(-1)
        if not known.any():
            continue
        joints, frame = bodies.xyz[body, known], frames[body]
        if not np.isfinite(frame).all():
            frame = np.column_stack([np.eye(3), (joints.min(0) + joints.max(0)) / 2.0])
        hypothesis = make(
            'vision_msgs/msg/ObjectHypothesis', class_id=CLASS_ID, score=float(bodies.confidence[body, known].mean())
        )
        pose = make(
            'geometry_msgs/msg/PoseWithCovariance', pose=to_pose(make, frame), covariance=covariances[body].reshape(-1)
        )
        detections.append(
            make(
                'vision_msgs/msg/Detection3D', header=header, id=str(body_id), bbox=_box(make, frame, joints),
                results=[make('vision_msgs/msg/ObjectHypothesisWithPose', hypothesis=hypothesis, pose=pose)],
            )
        )
    return make('vision_msgs/msg/Detection3DArray', header=header, detections=detections)


def _box(make: MessageFactory, frame: FloatArray, joints: FloatArray) -> Message:
    """Return vision_msgs/BoundingBox3D round ``joints`` (N, 3) m along the axes of ``frame`` (3, 4)."""
    local = transform_points(invert(frame), joints)
    low, high = local.min(0), local.max(0)
    centre = transform_points(frame, (low + high)[None] / 2.0)[0]
    return make(
        'vision_msgs/msg/BoundingBox3D', center=to_pose(make, np.column_stack([frame[:, :3], centre])),
        size=to_vector(make, high - low),
    )
