# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Cameras that move: the pose of each at the stamp of its own image, in the frame in which people are tracked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from ..arrays import FloatArray
from ..errors import TransformError
from ..geometry.rigid import angle_between, compose, invert
from ..types import CameraRig
from .settings import TransformConfig
from .transform_buffer import TransformSource

# Poses farther apart in time are not compared.
_COMPARED_S = 1.0
# Noise of TF between two stamps, however near: m, rad.
_NOISE_M, _NOISE_RAD = 0.05, 0.05


@dataclass(frozen=True, slots=True, eq=False)
class Mount:
    """The frame that carries a camera.

    Attributes:
        frame: its name: a robot's base, or the camera's own frame.
        cam_from_frame: (3, 4) m, constant.
    """

    frame: str
    cam_from_frame: FloatArray


def mounts_of(rig: CameraRig) -> dict[str, Mount]:
    """Return the mounts of a rig whose world is the frame that carries it, by camera."""
    return {camera.name: Mount(rig.world_frame_id, camera.cam_from_world) for camera in rig.cameras}


@dataclass(frozen=True, slots=True, eq=False)
class CameraPoses:
    """Poses of cameras at a stamp, by name.

    Attributes:
        cam_from_tracking: (3, 4) m of the cameras whose pose is known.
        faults: why the pose of each other camera is not known.
    """

    cam_from_tracking: Mapping[str, FloatArray]
    faults: Mapping[str, TransformError]


class MovingCameras:
    """Looks up the poses of cameras, and refuses jumps. Not thread-safe."""

    def __init__(self, source: TransformSource, tracking_frame: str, config: TransformConfig) -> None:
        """Start without a pose before.

        Args:
            source: of the transforms.
            tracking_frame: the frame in which people are tracked.
            config: which motion is a jump.
        """
        self._source, self._tracking_frame, self._config = source, tracking_frame, config
        # Of each frame that carries cameras, the last stamp and its pose.
        self._last: dict[str, tuple[int, FloatArray]] = {}

    def poses_at(self, mounts: Mapping[str, Mount], stamps_ns: Mapping[str, int]) -> CameraPoses:
        """Return the poses of the cameras of ``stamps_ns`` at these stamps, on the clock of the transforms.

        A jump costs the stamps around it; the poses after it are used again.
        """
        return self._look_up(mounts, stamps_ns, may_jump=False)

    def poses_about(
        self, mounts: Mapping[str, Mount], stamps_ns: Mapping[str, int] | None = None
    ) -> Mapping[str, FloatArray]:
        """Return the poses (3, 4) m that are known of the cameras of ``mounts``, by name; jumps are not refused.

        Args:
            mounts: the frames that carry the cameras, by name.
            stamps_ns: by name; None: the newest poses.
        """
        stamps = {name: None if stamps_ns is None else stamps_ns[name] for name in mounts}
        return self._look_up(mounts, stamps, may_jump=True).cam_from_tracking

    def _look_up(
        self, mounts: Mapping[str, Mount], stamps_ns: Mapping[str, int | None], *, may_jump: bool
    ) -> CameraPoses:
        poses: dict[str, FloatArray] = {}
        faults: dict[str, TransformError] = {}
        # Cameras on one frame at one stamp share a lookup.
        known: dict[tuple[str, int | None], FloatArray | TransformError] = {}
        for name, stamp_ns in stamps_ns.items():
            if name not in mounts:
                faults[name] = TransformError('missing', f"no frame is known that carries camera '{name}'")
                continue
            key = mounts[name].frame, stamp_ns
            if key not in known:
                known[key] = self._frame_from_tracking(*key, may_jump=may_jump)
            found = known[key]
            if isinstance(found, TransformError):
                faults[name] = found
            else:
                poses[name] = compose(mounts[name].cam_from_frame, found)
        return CameraPoses(poses, faults)

    def _frame_from_tracking(self, frame: str, stamp_ns: int | None, *, may_jump: bool) -> FloatArray | TransformError:
        try:
            pose = self._source.lookup(self._tracking_frame, frame, stamp_ns)
            if stamp_ns is not None and not may_jump:
                self._refuse_jump(frame, stamp_ns, pose)
        except TransformError as error:
            return error
        return invert(pose)

    def _refuse_jump(self, frame: str, stamp_ns: int, pose: FloatArray) -> None:
        before_ns, before = self._last.get(frame, (stamp_ns, pose))
        self._last[frame] = stamp_ns, pose
        dt_s = abs(stamp_ns - before_ns) / 1e9
        if dt_s > _COMPARED_S:
            return
        moved_m = math.dist(pose[:, 3], before[:, 3])
        turned_rad = angle_between(pose, before)
        if (
            moved_m > self._config.max_speed_m_s * dt_s + _NOISE_M
            or turned_rad > self._config.max_turn_rad_s * dt_s + _NOISE_RAD
        ):
            raise TransformError(
                'jump', f"frame '{frame}' jumped by {moved_m:.2f} m and {math.degrees(turned_rad):.0f} degrees within "
                f"{1e3 * dt_s:.0f} ms in '{self._tracking_frame}'. Track in a frame that does not jump (odom)",
            )
