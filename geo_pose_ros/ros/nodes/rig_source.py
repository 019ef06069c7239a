"""Where the node's rig comes from: a rig file, or camera_info and /tf_static; with /tf where it moves."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from functools import partial
from time import monotonic_ns
from typing import Any

from sensor_msgs.msg import CameraInfo

from ...rigs.builder import RigBuilder, check_file
from ...rigs.moving import Mount
from ...types import CameraRig
from ..io.qos import profile
from ..io.tf import subscribe_static_transforms
from .camera_set import CameraSet
from .moving_rig import MovingRig
from .settings import NodeConfig


class RigSource:
    """Subscribes to what the rig lacks, and hands out the rig as far as it is known; thread-safe."""

    def __init__(
        self, node: Any, cameras: CameraSet, config: NodeConfig, complain: Callable[[str], None]
    ) -> None:
        """Prepare; ``subscribe_transforms`` begins to listen.

        Args:
            node: an rclpy node.
            cameras: whose rig it is; where a file gives it, nothing but transforms of what moves is subscribed to.
            config: the node's settings.
            complain: gets what is wrong with a message, in words.

        Raises:
            GeoPoseError: if the rig file lacks a camera, or is of raw pictures and the topic of rectified ones, or if
                cameras move and neither tf2_ros nor tf2_msgs is installed.
        """
        self._node, self._topics, self._complain = node, cameras.topics, complain
        names, rig_file, rectified = cameras.names, cameras.rig_file, cameras.rectified
        if rig_file is not None:
            # Before anything is subscribed to.
            check_file(rig_file, names, rectified)
        # Where cameras are that move; None where they stand.
        self.moving = MovingRig(node, config, complain) if config.tracking_frame else None
        if self.moving is None:
            self._calibration = RigBuilder(names, config.world_frame, rig_file, rectified)
        else:
            self._calibration = RigBuilder(
                names, config.tracking_frame, rig_file, rectified, self.moving.transforms
            )
        self._lock = threading.Lock()
        self._from_file = rig_file is not None
        self._info_inputs: dict[str, Any] = {}
        self._tf_input: Any = None

    def subscribe_transforms(self) -> None:
        """Subscribe to /tf_static, unless there is a rig file, or cameras move and transforms are listened to already.

        Raises:
            ConfigError: if tf2_msgs is missing.
        """
        if not self._from_file and self.moving is None:
            self._tf_input = subscribe_static_transforms(self._node, self._on_transforms)

    def use_cameras(self, cameras: CameraSet) -> None:
        """Go on with other cameras; what is known of those that stay is kept.

        Raises:
            CalibrationError: as at the start; nothing has changed then.
        """
        with self._lock:
            self._calibration.use_cameras(cameras.names, cameras.rig_file, cameras.rectified, monotonic_ns())
        before, self._topics = self._topics, cameras.topics
        for name in [name for name in self._info_inputs if cameras.topics.get(name) != before[name]]:
            self._node.destroy_subscription(self._info_inputs.pop(name))

    @property
    def rig(self) -> CameraRig | None:
        """The cameras calibrated so far; the same object until something changes."""
        with self._lock:
            return self._calibration.rig

    @property
    def settled_rig(self) -> CameraRig | None:
        """``rig`` once all cameras are calibrated, or no news came for a second; None before."""
        now_ns = monotonic_ns()
        with self._lock:
            self._calibration.retry(now_ns)
            return self._calibration.rig if self._calibration.is_settled(now_ns) else None

    @property
    def mounts(self) -> Mapping[str, Mount]:
        """What carries the cameras of the rig, by name, where they move."""
        with self._lock:
            return self._calibration.mounts

    @property
    def problems(self) -> Mapping[str, str]:
        """Why a camera is not calibrated, by camera."""
        with self._lock:
            return dict(self._calibration.problems)

    def use_refined(self, rig: CameraRig) -> None:
        """Take better extrinsics of the cameras, until somebody tells others."""
        with self._lock:
            self._calibration.use_refined(rig, monotonic_ns())

    def listen_for_camera_info(self, away: Collection[str]) -> None:
        """Subscribe where intrinsics are missing or the camera is ``away``; unsubscribe where they are known.

        A driver sends them with every image, and one is enough.
        """
        if self._from_file:
            return
        with self._lock:
            known = {name for name in self._topics if self._calibration.has_intrinsics(name)}
        for name, of_camera in self._topics.items():
            wanted = name in away or name not in known
            if wanted and name not in self._info_inputs:
                self._info_inputs[name] = self._node.create_subscription(
                    CameraInfo, of_camera.camera_info, partial(self._on_camera_info, name),
                    profile(1, reliable=False),
                )
            elif not wanted and name in self._info_inputs:
                self._node.destroy_subscription(self._info_inputs.pop(name))

    def stop_listening(self) -> None:
        """Unsubscribe from all camera_info."""
        for subscription in self._info_inputs.values():
            self._node.destroy_subscription(subscription)
        self._info_inputs.clear()

    def close(self) -> None:
        """Unsubscribe from everything."""
        self.stop_listening()
        if self._tf_input is not None:
            self._node.destroy_subscription(self._tf_input)
        if self.moving is not None:
            self.moving.close()

    def _on_camera_info(self, camera: str, message: CameraInfo) -> None:
        with self._lock:
            self._calibration.on_camera_info(camera, message, monotonic_ns())

    def _on_transforms(self, message: Any) -> None:
        with self._lock:
            problem = self._calibration.on_transforms(message, monotonic_ns())
        if problem:
            self._complain(problem)
