"""Where the cameras of a live rig are when they move, and where what is published is seen from."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from ...arrays import FloatArray
from ...geometry.bodies import bodies_in
from ...rigs.moving import CameraPoses, Mount, MovingCameras
from ...types import Bodies3D
from ..io.transforms import LiveTransforms, listen_to_transforms
from .settings import NodeConfig

# Between two looks for a transform that is late.
_PERIOD_S = 0.002


class MovingRig:
    """Cameras that are looked up in ``tracking_frame``; thread-safe."""

    def __init__(self, node: Any, config: NodeConfig, complain: Callable[[str], None]) -> None:
        """Listen to /tf and /tf_static.

        Raises:
            ConfigError: if neither tf2_ros nor tf2_msgs is installed.
        """
        self._config = config
        self.transforms: LiveTransforms = listen_to_transforms(node, complain)
        self._lock = threading.Lock()
        self._cameras = MovingCameras(self.transforms, config.tracking_frame, config.transforms)
        # Cameras that were waited for in vain: not again before they were in time.
        self._late: set[str] = set()

    def newest(self, mounts: Mapping[str, Mount]) -> dict[str, FloatArray]:
        """Return about where cameras are now, (3, 4) m by name."""
        with self._lock:
            return self._cameras.newest(mounts)

    def poses_at(self, mounts: Mapping[str, Mount], stamps_ns: Mapping[str, int]) -> CameraPoses:
        """Return where cameras were at ``stamps_ns``, by name; wait a little for transforms that are late."""
        ends = time.monotonic() + self._config.transform_wait_ms / 1e3
        with self._lock:
            found = self._cameras.poses_at(mounts, stamps_ns)
        poses, faults = dict(found.cam_from_tracking), dict(found.faults)
        while awaited := {name for name, fault in faults.items() if fault.kind == 'late'} - self._late:
            if time.monotonic() >= ends:
                break
            time.sleep(_PERIOD_S)
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
