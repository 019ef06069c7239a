# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""`geo_pose view --live`: what a running pose_node publishes, in the browser.

A process of its own that only listens: topics are polled when an instant is drawn, with short best-effort queues, so
that a slow browser costs images here and nothing in the node. Images come from the cameras' own topics.
"""

from __future__ import annotations

import math
import threading
import time
from bisect import bisect_right
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack, closing
from functools import partial

import numpy as np
from rclpy.node import Node
from rclpy.subscription import Subscription

from ...arrays import NS_PER_S
from ...errors import ConfigError, GeoPoseError
from ...messages.clouds.bodies import bodies_from_cloud
from ...messages.clouds.keypoints import keypoints_from_cloud
from ...messages.diagnostics import DIAGNOSTIC_ARRAY, Level, Status, diagnostics_from_message
from ...messages.factory import Message
from ...messages.image import frame_from_message
from ...rigs.builder import RigBuilder
from ...rigs.topics import CAMERA_INFO, POINT_CLOUD, CameraTopics, Topic, survey_cameras
from ...types import Bodies3D, CameraRig, Keypoints2D
from ...view.instant import Instant, LazyFrames
from ...view.settings import ViewConfig
from ...view.stage import Stage, serve
from ...view.viewer import IMAGE_SIDE_PX, Screen
from ..io.message_factory import message_class
from ..io.qos import ignore, profile, waiting_messages
from ..io.transforms import subscribe_static_transforms
from .standalone import standalone_node, stop_at_signals

_DISCOVERY_S = 1.0
# Bodies older than this are no longer shown.
_STALE_S = 2.0
# A node whose diagnostics are older than this has ended; its last bodies, of so long, are then shown again and again.
_ENDED_S, _REPLAY_S = 4.0, 10.0


class LiveTopics:
    """The latest of everything the node ``name`` and its cameras publish; for one thread."""

    def __init__(self, node: Node, pose_node: str, rig: CameraRig | None) -> None:
        """Subscribe to the node; cameras are subscribed to as they appear.

        Args:
            node: to listen with; no executor is needed.
            pose_node: full name of the node to look at.
            rig: None: from camera_info and /tf_static.
        """
        self._node, self.name, self._given = node, '/' + pose_node.strip('/'), rig
        # By topic: its subscription, and what takes its messages.
        self._inputs: dict[str, tuple[Subscription[Message], Callable[[Message], None]]] = {}
        self._builder: RigBuilder | None = None
        self._transforms: list[Message] = []
        self._infos: dict[str, Message] = {}
        self._cameras: dict[str, CameraTopics] = {}
        self._discovered_s = self._received_s = -math.inf
        self._diagnosed_s = -math.inf
        self._bodies: Bodies3D | None = None
        self._history: deque[Bodies3D] = deque()
        self._keypoints: dict[str, Keypoints2D] = {}
        self._images: dict[str, Message] = {}
        self._statuses: dict[str, Status] = {}
        self.faults: dict[str, str] = {}
        self._subscribe(f'{self.name}/bodies', POINT_CLOUD, self._on_bodies, 10)
        self._subscribe('/diagnostics', DIAGNOSTIC_ARRAY, self._on_diagnostics, 10)
        if rig is None:
            try:
                self._inputs['/tf_static'] = subscribe_static_transforms(node, ignore), self._on_transforms
            except ConfigError as error:
                self.faults['/tf_static'] = str(error)

    @property
    def rig(self) -> CameraRig | None:
        """The cameras known so far."""
        if self._given is not None:
            return self._given
        return self._builder.rig if self._builder is not None else None

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
        for topic, (subscription, take) in self._inputs.items():
            for message, _ in waiting_messages(subscription):
                try:
                    take(message)
                    self.faults.pop(topic, None)
                except GeoPoseError as error:
                    self.faults[topic] = str(error)
        if self.ended(now_s):
            # The next one speaks for itself.
            self._statuses.clear()
            return self._replayed(now_s)
        bodies = self._bodies if now_s - self._received_s < _STALE_S else None
        stamp_ns = bodies.stamp_ns if bodies is not None else time.time_ns()
        statuses = dict(self._statuses)
        if bodies is None:
            said = f'Nothing comes on {self.name}/bodies.'
            if 'pipeline' in statuses:
                said += f' {statuses["pipeline"].message}'
            statuses['pipeline'] = Status('pipeline', Level.WARN, said, {})
        for name, said in self.faults.items():
            statuses[f'camera {name}'] = Status(f'camera {name}', Level.ERROR, said, {})
        frames = LazyFrames(
            {name: partial(frame_from_message, message, name, max_side_px=IMAGE_SIDE_PX)
             for name, message in self._images.items()},
            lambda name, error: self.faults.update({name: str(error)}),
        )
        return Instant(stamp_ns, stamp_ns, bodies, dict(self._keypoints), frames, statuses)

    def ended(self, now_s: float) -> bool:
        """Return whether a node that published bodies has ended."""
        return self._bodies is not None and (
            now_s - self._received_s > _STALE_S and now_s - max(self._diagnosed_s, self._received_s) > _ENDED_S
        )

    def _replayed(self, now_s: float) -> Instant:
        """Return an instant of the last seconds before the node ended, without images; they follow each other."""
        stamps = [bodies.stamp_ns for bodies in self._history]
        length_ns = max(stamps[-1] - stamps[0], 1)
        since_ns = round((now_s - self._received_s) * NS_PER_S)
        # Half a second of rest after each round.
        wanted_ns = stamps[0] + since_ns % (length_ns + NS_PER_S // 2)
        bodies = self._history[max(bisect_right(stamps, wanted_ns) - 1, 0)]
        said = (
            f'**{self.name} ended** {since_ns / NS_PER_S:.0f} s ago. Its last {length_ns / NS_PER_S:.0f} s are shown '
            'again and again. This page goes on when it is back.'
        )
        status = Status('pipeline', Level.WARN, said, {})
        return Instant(bodies.stamp_ns, bodies.stamp_ns, bodies, statuses={'pipeline': status})

    def _discover(self) -> None:
        """Subscribe to the cameras that are there by now."""
        topics = [Topic(name, types[0]) for name, types in self._node.get_topic_names_and_types() if types]
        # Of a raw and a compressed topic the first is taken.
        topics.sort(key=lambda topic: (not topic.name.endswith('/compressed'), topic.name))
        kinds = {topic.name: topic.message_type for topic in topics}
        wanted = set(self._given.names) if self._given is not None else None
        for name, camera in survey_cameras(topics).cameras.items():
            if (wanted is not None and name not in wanted) or 'annotated' in camera.image:
                continue
            self._cameras[name] = camera
            self._subscribe(camera.image, kinds.get(camera.image, ''), partial(self._on_image, name, camera.image))
            self._subscribe(camera.keypoints, POINT_CLOUD, partial(self._on_keypoints, name))
            if self._given is None:
                self._subscribe(camera.camera_info, CAMERA_INFO, partial(self._on_camera_info, name))
        if self._given is None and self._bodies is not None and self._builder is None and self._cameras:
            self._builder = RigBuilder(tuple(self._cameras), self._bodies.frame_id)
            for transform in self._transforms:
                self._builder.on_transforms(transform, time.monotonic_ns())
            for name, info in self._infos.items():
                self._builder.on_camera_info(name, info, time.monotonic_ns())

    def _subscribe(self, topic: str, kind: str, take: Callable[[Message], None], depth: int = 1) -> None:
        """Subscribe to ``topic``, unless it is '' or subscribed to already."""
        if topic and topic not in self._inputs:
            subscription = self._node.create_subscription(
                message_class(kind), topic, ignore, profile(depth, reliable=False)
            )
            self._inputs[topic] = subscription, take

    def _on_bodies(self, message: Message) -> None:
        self._bodies, self._received_s = bodies_from_cloud(message), time.monotonic()
        if self._history and self._bodies.stamp_ns < self._history[-1].stamp_ns:
            self._history.clear()
        self._history.append(self._bodies)
        while self._bodies.stamp_ns - self._history[0].stamp_ns > _REPLAY_S * NS_PER_S:
            self._history.popleft()

    def _on_diagnostics(self, message: Message) -> None:
        for status in diagnostics_from_message(message, self.name):
            self._statuses[status.name] = status
            self._diagnosed_s = time.monotonic()

    def _on_transforms(self, message: Message) -> None:
        self._transforms.append(message)
        if self._builder is not None:
            self._builder.on_transforms(message, time.monotonic_ns())

    def _on_camera_info(self, camera: str, message: Message) -> None:
        self._infos[camera] = message
        if self._builder is not None:
            self._builder.on_camera_info(camera, message, time.monotonic_ns())

    def _on_keypoints(self, camera: str, message: Message) -> None:
        self._keypoints[camera] = keypoints_from_cloud(message, camera)

    def _on_image(self, camera: str, topic: str, message: Message) -> None:
        # A driver may begin to publish compressed images beside raw ones.
        if topic == self._cameras[camera].image:
            self._images[camera] = message

    def close(self) -> None:
        """Unsubscribe."""
        for subscription, _ in self._inputs.values():
            self._node.destroy_subscription(subscription)


def show_live(stage: Stage, topics: LiveTopics, config: ViewConfig, stop: threading.Event) -> None:
    """Draw what comes until ``stop``."""
    period_s = 1.0 / config.rate_hz
    with ExitStack() as stack:
        rig: CameraRig | None = None
        screen: Screen | None = None
        framed = False
        while not stop.is_set():
            began_s = time.monotonic()
            instant = topics.poll()
            if screen is None or topics.rig is not rig:
                rig = topics.rig
                stage.set_rig(rig)
                stage.gui.reset()
                stage.gui.set_panel_label(f'{topics.name} live')
                framed = False
                stack.close()
                screen = stack.enter_context(Screen(stage, rig, topics.cameras))
            screen.draw(instant, began_s)
            if not framed and instant.bodies is not None and np.isfinite(instant.bodies.xyz).all(-1).any():
                framed = True
                stage.look_at(instant.bodies.xyz[np.isfinite(instant.bodies.xyz).all(-1)])
            stop.wait(max(0.0, period_s - (time.monotonic() - began_s)))


def view_live(config: ViewConfig, pose_node: str, rig: CameraRig | None) -> None:
    """Serve until Ctrl-C.

    Raises:
        ConfigError: if the page cannot be served.
    """
    with serve(config) as stage, standalone_node('geo_pose_view') as node:
        stop = stop_at_signals()
        with closing(LiveTopics(node, pose_node, rig)) as topics:
            show_live(stage, topics, config, stop)
