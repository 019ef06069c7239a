# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Which cameras a node has, and where their rig comes from: a rig file, or camera_info and TF."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import monotonic_ns
from typing import Any

from rclpy.node import Node
from rclpy.serialization import deserialize_message
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo

from ...arrays import NS_PER_S, FloatArray
from ...errors import ConfigError
from ...geometry.body_frame import bodies_in
from ...rigs.builder import RigBuilder, check_file
from ...rigs.files import read_calibration
from ...rigs.moving import CameraPoses, Mount, MovingCameras
from ...types import Bodies3D, CameraRig
from ..io.message_factory import RclpyFactory
from ..io.qos import profile
from ..io.topics import InputTopics, fill, input_topics
from ..io.transforms import CameraFrames, LiveTransforms, listen_to_transforms, subscribe_static_transforms
from ..settings import NodeConfig
from .inputs import PolledInputs

# Between two looks for a transform that is late.
_POLL_S = 0.002
# Between two looks for camera_info.
_INFO_RESTS_NS = NS_PER_S // 10
# The stamp follows the 4 bytes of the encapsulation; what is behind it stays the same from one to the next.
_BEHIND_STAMP = 12
# Who sent so many will send more.
_STREAMED = 5


@dataclass(frozen=True, slots=True)
class CameraSet:
    """The cameras of a node.

    Attributes:
        topics: of each camera, by name, in the order of their names.
        rig_file: the rig of the file, which may have more cameras; None where camera_info and TF tell.
    """

    topics: Mapping[str, InputTopics]
    rig_file: CameraRig | None

    @property
    def names(self) -> tuple[str, ...]:
        """Of the cameras."""
        return tuple(self.topics)

    @property
    def rectified(self) -> tuple[str, ...]:
        """The cameras whose images are rectified."""
        return tuple(name for name, of_camera in self.topics.items() if of_camera.rectified)

    @classmethod
    def of(cls, node: Node, config: NodeConfig) -> CameraSet:
        """Read the rig file, if there is one, and find out the topics as ``node`` expands and remaps them.

        Raises:
            ConfigError: if there is no camera, a name is given twice or no topic can have it, or topics are wrong.
            CalibrationError: if the rig file cannot be read.
        """
        rig_file = read_calibration(Path(config.rig).expanduser()) if config.rig else None
        names = config.cameras or (rig_file.names if rig_file is not None else ())
        if not names:
            raise ConfigError(
                "No cameras. Name them (cameras:=\"['left', 'right']\") or give a rig file (rig:=/path/to/rig.yaml)."
            )
        if len(set(names)) != len(names):
            raise ConfigError(f"Parameter 'cameras': received {list(names)}, expected every name once.")
        topics = input_topics(node, config, names)
        for name in names:
            fill('/pose_node/keypoints/{camera}', name)
        return cls(topics, rig_file)


# The settings that say which cameras there are and what they send, as far as a running node takes them.
_FIELDS = ('cameras', 'image_topics', 'camera_info_topics', 'keypoints_topics', 'keypoints_cameras')


def same_cameras(a: NodeConfig, b: NodeConfig) -> bool:
    """Return whether two settings name the same cameras with the same topics."""
    return all(getattr(a, field) == getattr(b, field) for field in _FIELDS)


@dataclass(slots=True)
class _CameraInfos:
    """The camera_info that came of one camera: what it said last, and when it came first and last (monotonic ns)."""

    topic: str
    said: bytes = b''
    received: int = 0
    first_ns: int = 0
    last_ns: int = 0

    def is_news(self, cdr: bytes, now_ns: int) -> bool:
        """Take one, and return whether it says something else than the one before at another time."""
        self.first_ns, self.last_ns = self.first_ns or now_ns, now_ns
        self.received += 1
        before, self.said = self.said, bytes(cdr[_BEHIND_STAMP:])
        return self.said != before

    def overdue_s(self, now_ns: int) -> float:
        """Return how long it is silent; 0 where it is not due yet, or was sent a few times only."""
        if self.received < _STREAMED:
            return 0.0
        period_ns = (self.last_ns - self.first_ns) / (self.received - 1)
        silent_ns = now_ns - self.last_ns
        return silent_ns / NS_PER_S if silent_ns > 3 * period_ns else 0.0


class RigSource:
    """Subscribes to what the rig lacks, hands out the rig as far as it is known, and publishes it; thread-safe."""

    def __init__(
        self, node: Node, cameras: CameraSet, config: NodeConfig, complain: Callable[[str], None]
    ) -> None:
        """Prepare; ``subscribe_transforms`` begins to listen.

        Args:
            node: an rclpy node.
            cameras: whose rig it is; where a file gives it, nothing but transforms of what moves is subscribed to.
            config: the node's settings.
            complain: gets what is wrong with a message, in words.

        Raises:
            GeoPoseError: if the rig file lacks a camera, or is of raw images and the topic of rectified ones, or if
                cameras move and neither tf2_ros nor tf2_msgs is installed.
        """
        self._node, self._topics, self._complain = node, cameras.topics, complain
        names, rig_file, rectified = cameras.names, cameras.rig_file, cameras.rectified
        if rig_file is not None:
            # Before anything is subscribed to.
            check_file(rig_file, names, rectified)
        # Where cameras are that move; None where they stand.
        self.moving = MovingRig(node, config, complain, lambda: self.mounts) if config.tracking_frame else None
        frame, transforms = (
            (config.world_frame, None) if self.moving is None else (config.tracking_frame, self.moving.transforms)
        )
        self._builder = RigBuilder(names, frame, rig_file, rectified, transforms)
        self._lock = threading.Lock()
        self._names, self._rig_file = names, rig_file
        # None while the node is inactive.
        self._polled: PolledInputs | None = None
        self._infos: dict[str, _CameraInfos] = {}
        self._tf_input: Subscription[Any] | None = None
        wanted = config.publish_camera_frames and rig_file is not None
        self._frames = CameraFrames(node, RclpyFactory()) if wanted else None
        self._publish_frames()

    def subscribe_transforms(self) -> None:
        """Subscribe to /tf_static, unless there is a rig file, or cameras move and transforms are listened to already.

        Raises:
            ConfigError: if tf2_msgs is missing.
        """
        if self._rig_file is None and self.moving is None:
            self._tf_input = subscribe_static_transforms(self._node, self._on_transforms)

    def use_cameras(self, cameras: CameraSet) -> None:
        """Go on with other cameras; what is known of those that stay is kept.

        Raises:
            CalibrationError: as at the start; nothing has changed then.
        """
        with self._lock:
            self._builder.use_cameras(cameras.names, cameras.rig_file, cameras.rectified, monotonic_ns())
        self._names, self._rig_file = cameras.names, cameras.rig_file
        self._publish_frames()
        before, self._topics = self._topics, cameras.topics
        for name in [name for name in self._infos if cameras.topics.get(name) != before[name]]:
            topic = self._infos[name].topic
            if self._polled is not None:
                self._polled.unsubscribe(topic)
            del self._infos[name]

    @property
    def rig(self) -> CameraRig | None:
        """The cameras calibrated so far; the same object until something changes."""
        with self._lock:
            return self._builder.rig

    @property
    def settled_rig(self) -> CameraRig | None:
        """``rig`` once all cameras are calibrated, or no news came for a second; None before."""
        now_ns = monotonic_ns()
        with self._lock:
            self._builder.retry(now_ns)
            return self._builder.rig if self._builder.is_settled(now_ns) else None

    @property
    def mounts(self) -> Mapping[str, Mount]:
        """What carries the cameras of the rig, by name, where they move."""
        with self._lock:
            return self._builder.mounts

    def carrier_of(self, camera: str) -> str:
        """Return the frame that carries ``camera``; its name where that is not known."""
        mount = self.mounts.get(camera)
        return camera if mount is None else mount.frame

    @property
    def problems(self) -> Mapping[str, str]:
        """Why a camera is not calibrated, by camera."""
        with self._lock:
            return dict(self._builder.problems)

    def use_refined(self, rig: CameraRig) -> None:
        """Take better extrinsics of the cameras, until somebody tells others."""
        with self._lock:
            self._builder.use_refined(rig, monotonic_ns())
        self._publish_frames()

    def _publish_frames(self) -> None:
        """Publish where the cameras are in the rig, if that is wanted: refined, or as the file has what is carried."""
        of_file = self._rig_file
        rig = self.rig if of_file is None or self.moving is None else of_file.subset(self._names)
        if self._frames is not None and rig is not None:
            self._frames.publish(rig)

    def listen_for_camera_info(self, polled: PolledInputs) -> None:
        """Let ``polled`` listen to the camera_info of all cameras for as long as it polls: a lens may change.

        A driver sends it with every image; others sent it once, latched, which only a latched subscription gets.
        """
        if self._rig_file is not None:
            return
        self._polled = polled
        for name, of_camera in self._topics.items():
            if name not in self._infos:
                self._infos[name] = _CameraInfos(of_camera.camera_info)
                for qos in (profile(1, reliable=False), profile(1, reliable=True, latched=True)):
                    take = partial(self._on_camera_info, name)
                    polled.subscribe(CameraInfo, of_camera.camera_info, take, qos, rests_ns=_INFO_RESTS_NS)

    def stop_listening(self) -> None:
        """Forget who polls; he has ended."""
        self._polled = None
        self._infos.clear()

    def camera_info_note(self, camera: str, stale_after_s: float, now_ns: int) -> str:
        """Return why the lens of a calibrated camera may not be the one that is used; '' if nothing says so."""
        with self._lock:
            fault = self._builder.faults.get(camera, '')
        if fault:
            return f'{fault} What it said before is used'
        heard, polled = self._infos.get(camera), self._polled
        if polled is not None:
            now_ns = min(now_ns, polled.looked_ns)
        silent_s = heard.overdue_s(now_ns) if heard is not None else 0.0
        if heard is None or silent_s <= stale_after_s:
            return ''
        return f"no camera_info on '{heard.topic}' any more, for {silent_s:.1f} s; its last one is used"

    def close(self) -> None:
        """Unsubscribe from everything."""
        if self._frames is not None:
            self._frames.close()
        if self._tf_input is not None:
            self._node.destroy_subscription(self._tf_input)
        if self.moving is not None:
            self.moving.close()

    def _on_camera_info(self, camera: str, cdr: bytes, lag_ns: int) -> None:
        now_ns = monotonic_ns()
        if not self._infos[camera].is_news(cdr, now_ns - lag_ns):
            return
        try:
            message = deserialize_message(cdr, CameraInfo)
        except Exception as error:  # noqa: BLE001 - each middleware has its own for bytes that are none
            with self._lock:
                self._builder.faults[camera] = f"Camera '{camera}': its camera_info cannot be read: {error}."
            return
        with self._lock:
            change = self._builder.on_camera_info(camera, message, now_ns)
        if change:
            self._node.get_logger().info(f'camera {camera}: another lens from now on: {change}')

    def _on_transforms(self, message: object) -> None:
        with self._lock:
            problem = self._builder.on_transforms(message, monotonic_ns())
        if problem:
            self._complain(problem)


class MovingRig:
    """Cameras that are looked up in ``tracking_frame``; thread-safe."""

    def __init__(
        self, node: Node, config: NodeConfig, complain: Callable[[str], None], mounts: Callable[[], Mapping[str, Mount]]
    ) -> None:
        """Listen to /tf and /tf_static.

        Args:
            node: an rclpy node.
            config: its settings.
            complain: gets what is wrong with a message, in words.
            mounts: returns what carries the cameras, by name.

        Raises:
            ConfigError: if neither tf2_ros nor tf2_msgs is installed.
        """
        self._config, self._mounts = config, mounts
        self.transforms: LiveTransforms = listen_to_transforms(node, complain)
        self._lock = threading.Lock()
        self._cameras = MovingCameras(self.transforms, config.tracking_frame, config.transforms)
        # Cameras that were waited for in vain: not again before they were in time.
        self._late: set[str] = set()

    def poses_about(self, stamps_ns: Mapping[str, int]) -> Mapping[str, FloatArray]:
        """Return the newest poses of the cameras of ``stamps_ns``, (3, 4) m by name; see runner.MovingPoses."""
        mounts = self._mounts()
        with self._lock:
            return self._cameras.poses_about({name: mounts[name] for name in stamps_ns if name in mounts})

    def poses_at(self, stamps_ns: Mapping[str, int]) -> CameraPoses:
        """Return where cameras were at ``stamps_ns``, by name; wait a little for transforms that are late."""
        mounts, ends = self._mounts(), time.monotonic() + self._config.transform_wait_ms / 1e3
        with self._lock:
            found = self._cameras.poses_at(mounts, stamps_ns)
        poses, faults = dict(found.cam_from_tracking), dict(found.faults)
        while awaited := {name for name, fault in faults.items() if fault.kind == 'late'} - self._late:
            if time.monotonic() >= ends:
                break
            time.sleep(_POLL_S)
            with self._lock:
                found = self._cameras.poses_at(mounts, {name: stamps_ns[name] for name in awaited})
            faults = {name: fault for name, fault in faults.items() if name not in awaited} | dict(found.faults)
            poses.update(found.cam_from_tracking)
        self._late = {name for name, fault in faults.items() if fault.kind == 'late'}
        return CameraPoses(poses, faults)

    @property
    def output_frame(self) -> str:
        """The frame of what is published."""
        inside = self._config.output_in == 'tracking_frame'
        return self._config.tracking_frame if inside else self._config.world_frame

    def published(self, bodies: Bodies3D) -> Bodies3D:
        """Return ``bodies`` of the tracking frame in the frame of the output, at their instant.

        Raises:
            TransformError: if that is not known.
        """
        frame = self.output_frame
        if frame == bodies.frame_id:
            return bodies
        output_from_tracking = self.transforms.lookup(frame, bodies.frame_id, bodies.stamp_ns)
        return bodies_in(output_from_tracking, bodies, frame)

    def close(self) -> None:
        """Stop listening."""
        self.transforms.close()
