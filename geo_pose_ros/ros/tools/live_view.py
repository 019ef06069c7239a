"""`geo_pose view --live`: what a running pose_node publishes, in the browser.

A process of its own that only listens: topics are polled when an instant is drawn, with short best-effort queues, so
that a slow browser costs images here and nothing in the node. Images come from the cameras' own topics.
"""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from functools import partial
from typing import Any

from rclpy.node import Node

from ...errors import ConfigError, GeoPoseError
from ...messages.clouds.bodies import bodies_from_cloud
from ...messages.clouds.keypoints import keypoints_from_cloud
from ...messages.diagnostics import DIAGNOSTIC_ARRAY, Level, Status, diagnostics_from_message
from ...messages.image import frame_from_message
from ...rigs.builder import RigBuilder
from ...rigs.topics import CAMERA_INFO, CameraTopics, Topic, find_cameras
from ...types import Bodies3D, CameraRig, Frame, Keypoints2D
from ...view.instant import Instant, LazyFrames
from ...view.settings import ViewConfig
from ...view.stage import Stage, serve
from ...view.viewer import IMAGE_SIDE_PX, Screen
from ..io.message_factory import message_class
from ..io.qos import profile
from ..io.transforms import subscribe_static_transforms
from .standalone import standalone_node, stop_at_signals

_CLOUD = 'sensor_msgs/msg/PointCloud2'
_DISCOVERY_S = 1.0
# Bodies older than this are no longer shown.
_STALE_S = 2.0


class LiveTopics:
    """The latest of everything a node and its cameras publish; for one thread."""

    def __init__(self, node: Node, pose_node: str, rig: CameraRig | None) -> None:
        """Subscribe to the node; cameras are subscribed to as they appear.

        Args:
            node: to listen with; no executor is needed.
            pose_node: full name of the node to look at.
            rig: None: from camera_info and /tf_static.
        """
        self._node, self._name, self._given = node, '/' + pose_node.strip('/'), rig
        self._bodies_topic = f'{self._name}/bodies'
        self._inputs: dict[str, Any] = {}
        self._calibration: RigBuilder | None = None
        self._transforms: list[Any] = []
        self._infos: dict[str, Any] = {}
        self._cameras: dict[str, CameraTopics] = {}
        self._discovered_s = -1e9
        self._bodies: Bodies3D | None = None
        self._received_s = -1e9
        self._keypoints: dict[str, Keypoints2D] = {}
        self._images: dict[str, Any] = {}
        self._statuses: dict[str, Status] = {}
        self.faults: dict[str, str] = {}
        self._subscribe(self._bodies_topic, _CLOUD, 10)
        self._subscribe('/diagnostics', DIAGNOSTIC_ARRAY, 10)
        if rig is None:
            try:
                self._inputs['/tf_static'] = subscribe_static_transforms(node, self._transforms.append)
            except ConfigError as error:
                self.faults['/tf_static'] = str(error)

    @property
    def rig(self) -> CameraRig | None:
        """The cameras known so far."""
        if self._given is not None:
            return self._given
        return self._calibration.rig if self._calibration is not None else None

    @property
    def cameras(self) -> tuple[str, ...]:
        """Names of the cameras seen or in the rig."""
        return tuple(sorted({*self._cameras, *(self.rig.names if self.rig is not None else ())}))

    def poll(self) -> Instant:
        """Take what came and return the latest instant."""
        now_s = time.monotonic()
        if now_s - self._discovered_s > _DISCOVERY_S:
            self._discovered_s = now_s
            self._discover()
        for topic, subscription in self._inputs.items():
            for message in _taken(subscription):
                try:
                    self._take(topic, message, now_s)
                    self.faults.pop(topic, None)
                except GeoPoseError as error:
                    self.faults[topic] = str(error)
        bodies = self._bodies if now_s - self._received_s < _STALE_S else None
        stamp_ns = bodies.stamp_ns if bodies is not None else time.time_ns()
        statuses = dict(self._statuses)
        if bodies is None:
            said = f'Nothing comes on {self._bodies_topic}.'
            if 'pipeline' in statuses:
                said += f' {statuses["pipeline"].message}'
            statuses['pipeline'] = Status('pipeline', Level.WARN, said, {})
        for name, said in self.faults.items():
            statuses[f'camera {name}'] = Status(f'camera {name}', Level.ERROR, said, {})
        frames = LazyFrames({name: partial(_frame, message, name) for name, message in self._images.items()},
                            self._on_bad_image)
        return Instant(stamp_ns, stamp_ns, bodies, dict(self._keypoints), frames, statuses)

    def _discover(self) -> None:
        """Subscribe to the cameras that are there by now."""
        topics = [Topic(name, types[0]) for name, types in self._node.get_topic_names_and_types() if types]
        # Of a raw and a compressed topic the first is taken.
        topics.sort(key=lambda topic: (not topic.name.endswith('/compressed'), topic.name))
        kinds = {topic.name: topic.message_type for topic in topics}
        wanted = set(self._given.names) if self._given is not None else None
        for name, camera in find_cameras(topics).items():
            if wanted is not None and name not in wanted:
                continue
            if 'annotated' in camera.image:
                continue
            self._cameras[name] = camera
            for topic in (camera.image, camera.keypoints):
                if topic and topic not in self._inputs:
                    self._subscribe(topic, kinds[topic], 1)
            if camera.camera_info and self._given is None and camera.camera_info not in self._inputs:
                self._subscribe(camera.camera_info, CAMERA_INFO, 1)
        if self._given is None and self._bodies is not None and self._calibration is None and self._cameras:
            self._calibration = RigBuilder(tuple(self._cameras), self._bodies.frame_id)
            for transform in self._transforms:
                self._calibration.on_transforms(transform, time.monotonic_ns())
            for name, info in self._infos.items():
                self._calibration.on_camera_info(name, info, time.monotonic_ns())

    def _subscribe(self, topic: str, kind: str, depth: int) -> None:
        # Polled, never executed.
        self._inputs[topic] = self._node.create_subscription(
            message_class(kind), topic, lambda _: None, profile(depth, reliable=False)
        )

    def _take(self, topic: str, message: Any, now_s: float) -> None:
        if topic == self._bodies_topic:
            self._bodies, self._received_s = bodies_from_cloud(message), now_s
        elif topic == '/diagnostics':
            for status in diagnostics_from_message(message, self._name.strip('/')):
                self._statuses[status.name] = status
        elif topic == '/tf_static':
            self._transforms.append(message)
            if self._calibration is not None:
                self._calibration.on_transforms(message, time.monotonic_ns())
        else:
            self._take_of_camera(topic, message)

    def _take_of_camera(self, topic: str, message: Any) -> None:
        for name, camera in self._cameras.items():
            if topic == camera.image:
                self._images[name] = message
            elif topic == camera.keypoints:
                self._keypoints[name] = keypoints_from_cloud(message, name)
            elif topic == camera.camera_info:
                self._infos[name] = message
                if self._calibration is not None:
                    self._calibration.on_camera_info(name, message, time.monotonic_ns())

    def _on_bad_image(self, name: str, error: GeoPoseError) -> None:
        self.faults[name] = str(error)

    def close(self) -> None:
        """Unsubscribe."""
        for subscription in self._inputs.values():
            self._node.destroy_subscription(subscription)


def _frame(message: Any, camera: str) -> Frame:
    return frame_from_message(message, camera, max_side_px=IMAGE_SIDE_PX)


def _taken(subscription: Any) -> list[Any]:
    """Return the messages that wait, the oldest first."""
    messages = []
    with subscription.handle:
        for _ in range(max(1, subscription.qos_profile.depth)):
            taken = subscription.handle.take_message(subscription.msg_type, False)
            if taken is None:
                break
            messages.append(taken[0])
    return messages


def show_live(stage: Stage, topics: LiveTopics, config: ViewConfig, stop: threading.Event) -> None:
    """Draw what comes until ``stop``."""
    period_s = 1.0 / config.rate_hz
    with ExitStack() as stack:
        rig: CameraRig | None = None
        screen: Screen | None = None
        while not stop.is_set():
            began_s = time.monotonic()
            instant = topics.poll()
            if screen is None or topics.rig is not rig:
                rig = topics.rig
                stage.set_rig(rig)
                stage.gui.reset()
                stack.close()
                screen = stack.enter_context(Screen(stage, rig, topics.cameras))
            screen.draw(instant, began_s)
            stop.wait(max(0.0, period_s - (time.monotonic() - began_s)))


def view_live(config: ViewConfig, pose_node: str, rig: CameraRig | None) -> None:
    """Serve until Ctrl-C.

    Raises:
        ConfigError: if the page cannot be served.
    """
    with serve(config) as stage, standalone_node('geo_pose_view') as node:
        stop = stop_at_signals()
        topics = LiveTopics(node, pose_node, rig)
        try:
            show_live(stage, topics, config, stop)
        finally:
            topics.close()
