# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Bodies3D -> what REP-155 says of bodies (ROS4HRI): hri_msgs, joint states, position, velocity.

REP-155 describes the images of one sensor; here that is the camera that shows the body best.
"""

from __future__ import annotations

import numpy as np

from ..arrays import FloatArray, IntArray
from ..geometry.body_frame import world_from_body
from ..geometry.joint_angles import JOINT_NAMES
from ..geometry.projection import project_world
from ..skeleton import BODY17
from ..types import Bodies3D, Camera
from .factory import Message, MessageFactory
from .stamps import to_header
from .transforms import body_frame_id, to_point, to_vector

_PELVIS = BODY17.index('pelvis')
# hri_msgs/Skeleton2D's points in their order; body17 has neither eyes nor ears.
_POINTS = (
    'nose', 'thorax', 'right_shoulder', 'right_elbow', 'right_wrist', 'left_shoulder', 'left_elbow', 'left_wrist',
    'right_hip', 'right_knee', 'right_ankle', 'left_hip', 'left_knee', 'left_ankle', 'left_eye', 'right_eye',
    'left_ear', 'right_ear',
)
_NOWHERE = [0.0, 0.0, 0.0]


def body_name(body_id: int, prefix: str = '') -> str:
    """Return what names a body where several nodes publish: its id behind the ``prefix`` of its node."""
    return f'{prefix}{body_id}'


def human_id(body_id: int, prefix: str = '') -> str:
    """Return the id of a body as REP-155 has it, with the ``prefix`` of its node: topics may not begin with a digit."""
    return f'{prefix}b{body_id}'


def ids_to_message(make: MessageFactory, bodies: Bodies3D, prefix: str = '') -> Message:
    """Return hri_msgs/IdsList of all ``bodies``, their ids with ``prefix``."""
    header = to_header(make, bodies.stamp_ns, bodies.frame_id)
    return make('hri_msgs/msg/IdsList', header=header, ids=[human_id(i, prefix) for i in bodies.body_ids.tolist()])


def joint_states_to_message(
    make: MessageFactory, bodies: Bodies3D, body: int, angles: FloatArray, prefix: str = ''
) -> Message:
    """Return sensor_msgs/JointState of ``angles`` (20,) rad of the ``body``-th body, without those that are NaN.

    Joints are named as in the human's URDF, `waist_<id>`; what is not named stays as robot_state_publisher has it.
    """
    suffix = human_id(int(bodies.body_ids[body]), prefix)
    known = np.isfinite(angles)
    return make(
        'sensor_msgs/msg/JointState', header=to_header(make, bodies.stamp_ns, bodies.frame_id), position=angles[known],
        name=[f'{name}_{suffix}' for name, there in zip(JOINT_NAMES, known, strict=True) if there],
    )


def position_to_message(make: MessageFactory, bodies: Bodies3D, body: int) -> Message:
    """Return geometry_msgs/PointStamped of the pelvis, m; None where it is not known."""
    position = bodies.xyz[body, _PELVIS]
    if not np.isfinite(position).all():
        return None
    return make(
        'geometry_msgs/msg/PointStamped', header=to_header(make, bodies.stamp_ns, bodies.frame_id),
        point=to_point(make, position),
    )


def velocity_to_message(make: MessageFactory, bodies: Bodies3D, body: int, prefix: str = '') -> Message:
    """Return geometry_msgs/TwistStamped of the pelvis, m/s along the axes of the body's own frame; None where unknown.

    How fast a body turns is not estimated: the angular part is 0.
    """
    body_from_world = world_from_body(bodies.xyz[body])[:, :3].T
    velocity = body_from_world @ bodies.velocity[body, _PELVIS]
    if not np.isfinite(velocity).all():
        return None
    frame_id = body_frame_id(human_id(int(bodies.body_ids[body]), prefix))
    return make(
        'geometry_msgs/msg/TwistStamped', header=to_header(make, bodies.stamp_ns, frame_id),
        twist=make('geometry_msgs/msg/Twist', linear=to_vector(make, velocity)),
    )


def camera_that_shows(views: IntArray, cameras: int, before: int | None) -> int | None:
    """Return which of so many ``cameras`` shows a body best; None where none is an inlier.

    Args:
        views: (J,) of the body, as in Bodies3D.
        before: the camera it was shown by; it stays so until another one shows twice as many joints.
    """
    joints = ((views[:, None] >> np.arange(cameras)) & 1).sum(0)
    best = int(joints.argmax())
    if joints[best] == 0:
        return None
    return before if before is not None and before < cameras and 2 * joints[before] >= joints[best] else best


def skeleton2d_to_message(make: MessageFactory, bodies: Bodies3D, body: int, camera: Camera) -> Message:
    """Return hri_msgs/Skeleton2D of the body's joints as ``camera``'s image shows them, its lens included.

    Coordinates and confidence are in [0, 1]; what is unknown or outside of the image is 0, 0 with confidence 0, as
    are eyes and ears of body17. The neck is the thorax.
    """
    xy = _in_unit_image(camera, bodies.xyz[body])
    inside = np.all((xy >= 0.0) & (xy <= 1.0), axis=-1, keepdims=True)
    seen = np.where(inside, np.column_stack([xy, bodies.confidence[body]]), 0.0).tolist()
    by_name = dict(zip(bodies.skeleton.joint_names, seen, strict=True))
    found = [by_name.get(joint, _NOWHERE) for joint in _POINTS]
    return make(
        'hri_msgs/msg/Skeleton2D', header=to_header(make, bodies.stamp_ns, camera.frame_id),
        skeleton=[make('hri_msgs/msg/NormalizedPointOfInterest2D', x=x, y=y, c=c) for x, y, c in found],
    )


def body_region(xyz: FloatArray, camera: Camera) -> tuple[FloatArray, FloatArray] | None:
    """Return the low and high corners (2,) of the region that joints (J, 3) m fill in an image, its sides at 0 and 1.

    It is cut off at the image's sides; None where nothing is inside.
    """
    xy = _in_unit_image(camera, xyz)
    xy = xy[np.isfinite(xy).all(-1)]
    if not len(xy):
        return None
    low, high = np.clip(xy.min(0), 0.0, 1.0), np.clip(xy.max(0), 0.0, 1.0)
    return (low, high) if (low < high).all() else None


def roi_to_message(make: MessageFactory, bodies: Bodies3D, body: int, camera: Camera) -> Message:
    """Return hri_msgs/NormalizedRegionOfInterest2D around the body's joints in ``camera``'s image.

    It is that of ``body_region``; its confidence is the mean of its joints'. None where nothing is inside.
    """
    region = body_region(bodies.xyz[body], camera)
    if region is None:
        return None
    (xmin, ymin), (xmax, ymax) = region[0].tolist(), region[1].tolist()
    seen = np.isfinite(_in_unit_image(camera, bodies.xyz[body])).all(-1)
    return make(
        'hri_msgs/msg/NormalizedRegionOfInterest2D', header=to_header(make, bodies.stamp_ns, camera.frame_id),
        xmin=xmin, ymin=ymin, xmax=xmax, ymax=ymax, c=float(bodies.confidence[body, seen].mean()),
    )


def _in_unit_image(camera: Camera, xyz: FloatArray) -> FloatArray:
    """Return where points (N, 3) m are in the image (N, 2), its sides at 0 and 1; NaN where they do not project."""
    size = np.array([camera.intrinsics.width, camera.intrinsics.height])
    # The centre of the first pixel is (0, 0), its corner the corner of the image.
    where: FloatArray = (project_world(camera, xyz) + 0.5) / size
    return where
