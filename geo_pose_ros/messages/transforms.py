"""CameraRig <-> /tf_static: world -> optical frames, through any chain of static transforms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from ..arrays import FloatArray
from ..errors import CalibrationError
from ..geometry.rigid import compose, from_quaternion, invert, to_quaternion
from ..types import CameraRig
from .factory import Message, MessageFactory
from .stamps import to_header

# Child frame -> (its parent, parent_from_child (3, 4) m).
TransformTree = Mapping[str, tuple[str, FloatArray]]


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


def transform_tree(messages: Iterable[Message]) -> dict[str, tuple[str, FloatArray]]:
    """Return the tree of all transforms in TFMessages; a later one of the same child replaces the earlier.

    Raises:
        CalibrationError: for a quaternion of length zero or a transform that is not finite.
    """
    tree: dict[str, tuple[str, FloatArray]] = {}
    for message in messages:
        for stamped in message.transforms:
            parent, child = (name.lstrip('/') for name in (stamped.header.frame_id, stamped.child_frame_id))
            t, q = stamped.transform.translation, stamped.transform.rotation
            quaternion, translation = np.array([q.x, q.y, q.z, q.w]), np.array([t.x, t.y, t.z])
            if not np.isfinite(translation).all() or not np.linalg.norm(quaternion) > 0.5:
                raise CalibrationError(
                    f"Transform '{parent}' -> '{child}': rotation {quaternion.tolist()}, translation "
                    f'{translation.tolist()}; expected a unit quaternion and finite metres. Publish it again.'
                )
            tree[child] = (parent, from_quaternion(quaternion, translation))
    return tree


def chain_to_root(tree: TransformTree, frame_id: str) -> tuple[str, FloatArray]:
    """Return the root above ``frame_id`` and root_from_frame (3, 4); a frame outside the tree is its own root.

    Raises:
        CalibrationError: if the transforms go round in a circle.
    """
    root_from_frame = np.eye(3, 4)
    seen = [frame_id]
    while seen[-1] in tree:
        parent, parent_from_child = tree[seen[-1]]
        if parent in seen:
            raise CalibrationError(f'The transforms go round in a circle: {" -> ".join([*seen, parent])}; break it.')
        root_from_frame = compose(parent_from_child, root_from_frame)
        seen.append(parent)
    return seen[-1], root_from_frame


def lookup(tree: TransformTree, target: str, source: str) -> FloatArray:
    """Return target_from_source (3, 4) m.

    Raises:
        CalibrationError: if no chain of transforms joins them; lists the frames there are.
    """
    target_root, root_from_target = chain_to_root(tree, target)
    source_root, root_from_source = chain_to_root(tree, source)
    if target_root != source_root:
        frames = sorted({*tree, *(parent for parent, _ in tree.values())})
        raise CalibrationError(
            f"No static transform joins '{target}' and '{source}'; the frames are: {', '.join(frames) or 'none'}. "
            'Publish the camera poses on /tf_static or give a rig file.'
        )
    return compose(invert(root_from_target), root_from_source)
