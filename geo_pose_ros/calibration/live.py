"""Intrinsics and extrinsics as they arrive -> the rig of the cameras that are calibrated so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import CalibrationError, GeoPoseError
from ..messages.camera_info import intrinsics_from_camera_info
from ..messages.transforms import TransformTree, lookup, transform_tree
from ..types import Camera, CameraRig, Intrinsics

# After the last news, a rig that lacks cameras is used without them.
_SETTLE_NS = 1_000_000_000


class Calibration:
    """What is known of each camera; a fault of one costs only that camera. Not thread-safe."""

    def __init__(self, cameras: Sequence[str], world_frame: str, rig: CameraRig | None = None) -> None:
        """Start with nothing known, or with a rig file.

        Raises:
            CalibrationError: if the rig lacks one of ``cameras``.
        """
        self._cameras = tuple(cameras)
        self._world_frame = world_frame
        self._intrinsics: dict[str, tuple[str, Intrinsics]] = {}
        self._faults: dict[str, str] = {}
        self._tree: dict[str, Any] = {}
        self._changed_ns = 0
        self._rig = rig.subset(self._cameras) if rig is not None else None
        self._missing: dict[str, str] = {}
        if self._rig is None:
            self._assemble()

    @property
    def rig(self) -> CameraRig | None:
        """The cameras calibrated so far; the same object until something changes."""
        return self._rig

    @property
    def problems(self) -> Mapping[str, str]:
        """Why a camera is not calibrated, by camera."""
        return self._missing

    def has_intrinsics(self, camera: str) -> bool:
        """Return whether a valid camera_info came, or a rig file holds them."""
        return camera in self._intrinsics or (self._rig is not None and camera in self._rig.names)

    def is_settled(self, now_ns: int) -> bool:
        """Return whether all cameras are calibrated, or no news came for a second."""
        return not self._missing or now_ns - self._changed_ns > _SETTLE_NS

    def on_camera_info(self, camera: str, message: Any, now_ns: int) -> None:
        """Take a camera_info; one that is wrong becomes the camera's problem."""
        try:
            known = (str(message.header.frame_id).lstrip('/'), intrinsics_from_camera_info(message, camera))
        except GeoPoseError as error:
            self._faults[camera] = str(error)
            if camera not in self._intrinsics:
                self._missing[camera] = str(error)
            return
        self._faults.pop(camera, None)
        before = self._intrinsics.get(camera)
        if before is None or before[0] != known[0] or not _same(before[1], known[1]):
            self._intrinsics[camera] = known
            self._changed_ns = now_ns
            self._assemble()

    def on_transforms(self, message: Any, now_ns: int) -> str:
        """Take a TFMessage; return what is wrong with it, '' if nothing."""
        try:
            news: TransformTree = transform_tree([message])
        except CalibrationError as error:
            return str(error)
        self._tree.update(news)
        self._changed_ns = now_ns
        self._assemble()
        return ''

    def _assemble(self) -> None:
        cameras: list[Camera] = []
        self._missing = {}
        for name in self._cameras:
            if name not in self._intrinsics:
                self._missing[name] = self._faults.get(
                    name, f"Camera '{name}': no camera_info came yet. Publish it, or give a rig file with rig:=..."
                )
                continue
            frame_id, intrinsics = self._intrinsics[name]
            try:
                cameras.append(Camera(name, frame_id, intrinsics, lookup(self._tree, frame_id, self._world_frame)))
            except GeoPoseError as error:
                self._missing[name] = f"Camera '{name}': {error}"
        self._rig = CameraRig(tuple(cameras), self._world_frame) if cameras else None


def _same(a: Intrinsics, b: Intrinsics) -> bool:
    return (a.width, a.height, a.distortion_model) == (b.width, b.height, b.distortion_model) and (
        np.array_equal(a.K, b.K) and np.array_equal(a.D, b.D)
    )
