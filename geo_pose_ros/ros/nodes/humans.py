# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""`/humans/bodies/...` after REP-155 (ROS4HRI), where hri_msgs is installed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from threading import Lock
from typing import Any

import numpy as np
from rclpy.lifecycle import LifecycleNode
from rclpy.publisher import Publisher

from ...arrays import FloatArray
from ...errors import ConfigError
from ...geometry.joint_angles import joint_angles, within_limits
from ...messages.factory import MessageFactory
from ...messages.humans import (
    body_region,
    camera_that_shows,
    human_id,
    ids_to_message,
    joint_states_to_message,
    position_to_message,
    roi_to_message,
    skeleton2d_to_message,
    velocity_to_message,
)
from ...messages.image import cropped_from_frame
from ...messages.transforms import bodies_to_transforms
from ...messages.urdf import segment_lengths, urdf_of
from ...skeleton import BODY17
from ...types import Bodies3D, Camera, CameraRig, Frame
from ..io.message_factory import message_class
from ..io.qos import NO_PUBLISHER_EVENTS, offer, profile
from ..io.transforms import transform_message

_NAMESPACE = '/humans/bodies'
# Topic of a body -> type of its messages.
_KINDS = {
    'joint_states': 'sensor_msgs/msg/JointState',
    'position': 'geometry_msgs/msg/PointStamped',
    'velocity': 'geometry_msgs/msg/TwistStamped',
    'skeleton2d': 'hri_msgs/msg/Skeleton2D',
    'roi': 'hri_msgs/msg/NormalizedRegionOfInterest2D',
    'cropped': 'sensor_msgs/msg/Image',
    'urdf': 'std_msgs/msg/String',
}


# The URDF follows the mean of a body's segment lengths: it is published again after so many sets.
_URDF_SETS = (1, 10, 100, 1000)


@dataclass
class _Topics:
    """What one body has.

    Attributes:
        publishers: by name of topic.
        camera: index of the camera of the rig that shows it.
        sets: in how many sets all its segments were known.
        lengths_m: (7,) their sum over these sets.
    """

    publishers: dict[str, Publisher[Any]]
    camera: int | None = None
    sets: int = 0
    lengths_m: FloatArray = field(default_factory=lambda: np.zeros(7))


class Humans:
    """The list of bodies, and topics for every body that come and go with it; nothing is computed for nobody.

    Any thread may call.
    """

    def __init__(self, node: LifecycleNode, make: MessageFactory, id_prefix: str = '') -> None:
        """Create the topics that are there without bodies.

        Args:
            node: publishes.
            make: makes its messages.
            id_prefix: of the ids of bodies, which tells this node's from those of other nodes.

        Raises:
            ConfigError: if hri_msgs or tf2_msgs is not installed.
        """
        self._node, self._make, self._prefix = node, make, id_prefix
        self._transforms = transform_message('publish_humans', 'set it to false')
        try:
            tracked = message_class('hri_msgs/msg/IdsList')
            self._kinds = {name: message_class(kind) for name, kind in _KINDS.items()}
        except ConfigError as error:
            raise ConfigError(f'publish_humans: {error} Or set it to false.') from error
        self._tracked = node.create_lifecycle_publisher(tracked, f'{_NAMESPACE}/tracked', profile(10))
        self._tf = node.create_lifecycle_publisher(self._transforms, '/tf', profile(100))
        self._topics: dict[int, _Topics] = {}
        # The finisher's thread publishes; that nobody is left is found by the executor's.
        self._lock = Lock()

    def publish(self, bodies: Bodies3D, rig: CameraRig | None, frames: Mapping[str, Frame] | None = None) -> None:
        """Publish ``bodies``; nothing of images where ``rig`` does not say where the cameras were: None.

        ``frames`` are the images of the set by camera, of which bodies are cut out.
        """
        with self._lock:
            self._follow(bodies.body_ids.tolist())
            offer(self._tracked, lambda: ids_to_message(self._make, bodies, self._prefix))
            name = partial(human_id, prefix=self._prefix)
            offer(self._tf, lambda: self._transforms(transforms=bodies_to_transforms(self._make, bodies, name)))
            for body in range(len(bodies)):
                self._publish_body(bodies, body, rig, frames or {})

    def publish_nobody(self) -> None:
        """Say that no body is tracked any more: the node stops, or no camera sends."""
        # Ctrl-C has ended all topics before the node is closed.
        if not self._node.context.ok():
            return
        with self._lock:
            self._follow([])
            nobody = Bodies3D.empty(self._node.get_clock().now().nanoseconds, '', BODY17)
            offer(self._tracked, lambda: ids_to_message(self._make, nobody))

    def close(self) -> None:
        """Destroy the publishers."""
        with self._lock:
            self._follow([])
            for publisher in (self._tracked, self._tf):
                self._node.destroy_lifecycle_publisher(publisher)

    def _follow(self, body_ids: list[int]) -> None:
        """Create the topics of bodies that are new, and destroy those of bodies that are gone."""
        for body_id in self._topics.keys() - set(body_ids):
            for publisher in self._topics.pop(body_id).publishers.values():
                self._node.destroy_publisher(publisher)
        for body_id in set(body_ids) - self._topics.keys():
            # Not the lifecycle's: it would want each activated, and they are there only while the node is active. An
            # executor that waits for the events of a publisher fails when another thread destroys it: they have none.
            self._topics[body_id] = _Topics({
                name: self._node.create_publisher(
                    kind, f'{_NAMESPACE}/{human_id(body_id, self._prefix)}/{name}',
                    profile(1, latched=True) if name == 'urdf' else profile(10), event_callbacks=NO_PUBLISHER_EVENTS,
                )
                for name, kind in self._kinds.items()
            })

    def _publish_urdf(self, of_body: _Topics, xyz: FloatArray, name: str) -> None:
        """Learn the segments of a body of joints ``xyz`` (J, 3) m; publish its URDF where they are better known."""
        lengths_m = segment_lengths(xyz)
        if np.isfinite(lengths_m).all():
            of_body.sets, of_body.lengths_m = of_body.sets + 1, of_body.lengths_m + lengths_m
            if of_body.sets in _URDF_SETS:
                urdf = urdf_of(of_body.lengths_m / of_body.sets, name)
                of_body.publishers['urdf'].publish(self._make('std_msgs/msg/String', data=urdf))

    def _publish_body(self, bodies: Bodies3D, body: int, rig: CameraRig | None, frames: Mapping[str, Frame]) -> None:
        """Publish what is known of one body: its URDF, in space, and in one image."""
        make, body_id = self._make, int(bodies.body_ids[body])
        of_body = self._topics[body_id]
        self._publish_urdf(of_body, bodies.xyz[body], human_id(body_id, self._prefix))
        messages: dict[str, Callable[[], object]] = {
            'joint_states': lambda: joint_states_to_message(
                make, bodies, body, within_limits(joint_angles(bodies.xyz[[body]])[0]), self._prefix
            ),
            'position': lambda: position_to_message(make, bodies, body),
            'velocity': lambda: velocity_to_message(make, bodies, body, self._prefix),
        }
        if rig is not None:
            of_body.camera = camera_that_shows(bodies.views[body], len(rig), of_body.camera)
            if of_body.camera is not None:
                camera = rig.cameras[of_body.camera]
                messages['skeleton2d'] = lambda: skeleton2d_to_message(make, bodies, body, camera)
                messages['roi'] = lambda: roi_to_message(make, bodies, body, camera)
                messages['cropped'] = lambda: self._cropped(bodies, body, camera, frames)
        for name, message in messages.items():
            offer(of_body.publishers[name], message)

    def _cropped(self, bodies: Bodies3D, body: int, camera: Camera, frames: Mapping[str, Frame]) -> object:
        """Return what ``camera``'s image shows of a body; None where it has no image in this set."""
        frame, region = frames.get(camera.name), body_region(bodies.xyz[body], camera)
        if frame is None or region is None:
            return None
        return cropped_from_frame(self._make, frame, camera.frame_id, region)
