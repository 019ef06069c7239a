"""Intrinsics and extrinsics as they arrive -> the rig of the cameras that are calibrated so far."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..arrays import FloatArray
from ..errors import CalibrationError, GeoPoseError
from ..geometry.quaternion import invert, matrix
from ..geometry.rigid import compose
from ..messages.camera_info import intrinsics_from_camera_info, rectified_from_camera_info
from ..messages.transforms import TransformTree, lookup, transform_tree
from ..types import Camera, CameraRig, Intrinsics
from .moving import Mount, mounts_of
from .rig_file import rig_hash
from .transform_buffer import TransformSource

# After the last news, a rig that lacks cameras is used without them.
_SETTLE_NS = 1_000_000_000
# Poses that differ by less, in m and in the rotation's entries, are the same: TF rounds.
_SAME_POSE = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class _Lens:
    """What a camera_info says: its frame, the intrinsics of its pictures, and how they are turned against the frame."""

    frame_id: str
    intrinsics: Intrinsics
    picture_from_frame: FloatArray

    def same(self, other: _Lens) -> bool:
        mine, yours = self.intrinsics, other.intrinsics
        return (
            (self.frame_id, mine.width, mine.height, mine.distortion_model)
            == (other.frame_id, yours.width, yours.height, yours.distortion_model)
            and np.array_equal(mine.K, yours.K) and np.array_equal(mine.D, yours.D)
            and np.array_equal(self.picture_from_frame, other.picture_from_frame)
        )


class Calibration:
    """What is known of each camera; a fault of one costs only that camera. Not thread-safe."""

    def __init__(
        self, cameras: Sequence[str], world_frame: str, rig: CameraRig | None = None, rectified: Collection[str] = (),
        moving: TransformSource | None = None,
    ) -> None:
        """Start with nothing known, or with a rig file.

        Args:
            cameras: their names.
            world_frame: the frame that they are looked up in.
            rig: of a rig file; nothing else is listened to then.
            rectified: cameras whose pictures are rectified.
            moving: where cameras are looked up that move in ``world_frame``; the world of ``rig`` is then what carries
                it.

        Raises:
            CalibrationError: if the rig lacks one of ``cameras``, or has the lens of one whose pictures have none.
        """
        self._cameras = tuple(cameras)
        self._world_frame = world_frame
        self._rectified = frozenset(rectified)
        self._moving = moving
        self._lenses: dict[str, _Lens] = {}
        self._faults: dict[str, str] = {}
        self._tree: dict[str, Any] = {}
        self._changed_ns = 0
        # Per camera what TF said when a refinement was taken, and what it gave instead.
        self._refined: dict[str, tuple[FloatArray, Camera]] = {}
        self._file: CameraRig | None = None
        self._rig: CameraRig | None = None
        self._missing: dict[str, str] = {}
        self._mounts: dict[str, Mount] = {}
        if rig is None:
            self._assemble(0)
        else:
            check_file(rig, cameras, rectified)
            self._use_file(rig)

    def use_cameras(
        self, cameras: Sequence[str], rig: CameraRig | None, rectified: Collection[str], now_ns: int
    ) -> None:
        """Go on with other cameras; what is known of those that stay is kept.

        Better extrinsics that were taken are kept too, unless the rig file tells of those that stay otherwise than
        before.

        Args:
            cameras, rig, rectified: as at the start; there is a rig file if there was one.
            now_ns: when.

        Raises:
            CalibrationError: as at the start; nothing has changed then.
        """
        if rig is not None:
            check_file(rig, cameras, rectified)
        self._cameras, self._rectified = tuple(cameras), frozenset(rectified)
        for known in (self._lenses, self._faults, self._refined):
            for name in known.keys() - set(cameras):
                del known[name]
        if rig is None:
            self._assemble(now_ns)
        else:
            self._use_file(rig)

    def _use_file(self, rig: CameraRig) -> None:
        told = rig.subset(self._cameras)
        used = told
        if self._file is not None and self._rig is not None:
            stay = [name for name in self._cameras if name in self._rig.names]
            if stay and rig_hash(rig.subset(stay)) == rig_hash(self._file.subset(stay)):
                used = _with(told, self._rig.cameras)
        if self._moving is not None:
            self._mounts = mounts_of(used)
            used = replace(used, world_frame_id=self._world_frame)
        self._file, self._rig = rig, used

    @property
    def rig(self) -> CameraRig | None:
        """The cameras calibrated so far; the same object until something changes."""
        return self._rig

    @property
    def problems(self) -> Mapping[str, str]:
        """Why a camera is not calibrated, by camera."""
        return self._missing

    @property
    def mounts(self) -> Mapping[str, Mount]:
        """What carries the cameras of ``rig``, by name, where they move."""
        return self._mounts

    def look_again(self, now_ns: int) -> None:
        """Look for the transforms of cameras that move and had none."""
        if self._missing and self._moving is not None:
            self._assemble(now_ns)

    def has_intrinsics(self, camera: str) -> bool:
        """Return whether a valid camera_info came, or a rig file holds them."""
        return camera in self._lenses or (self._rig is not None and camera in self._rig.names)

    def is_settled(self, now_ns: int) -> bool:
        """Return whether all cameras are calibrated, or no news came for a second."""
        return not self._missing or now_ns - self._changed_ns > _SETTLE_NS

    def on_camera_info(self, camera: str, message: Any, now_ns: int) -> None:
        """Take a camera_info; one that is wrong becomes the camera's problem."""
        try:
            known = self._lens(camera, message)
        except GeoPoseError as error:
            self._faults[camera] = str(error)
            if camera not in self._lenses:
                self._missing[camera] = str(error)
            return
        self._faults.pop(camera, None)
        before = self._lenses.get(camera)
        if before is None or not before.same(known):
            self._lenses[camera] = known
            self._assemble(now_ns)

    def _lens(self, camera: str, message: Any) -> _Lens:
        frame_id = str(message.header.frame_id).lstrip('/')
        if camera in self._rectified:
            return _Lens(frame_id, *rectified_from_camera_info(message, camera))
        return _Lens(frame_id, intrinsics_from_camera_info(message, camera), np.eye(3, 4))

    def on_transforms(self, message: Any, now_ns: int) -> str:
        """Take a TFMessage; return what is wrong with it, '' if nothing."""
        try:
            news: TransformTree = transform_tree([message])
        except CalibrationError as error:
            return str(error)
        self._tree.update(news)
        self._assemble(now_ns)
        return ''

    def use_refined(self, rig: CameraRig, now_ns: int) -> None:
        """Take better extrinsics and clocks; TF takes them back when it tells others than it has so far."""
        if self._file is not None and self._rig is not None:
            self._rig = _with(self._rig, rig.cameras)
            return
        self._refined = {
            camera.name: (self._told(self._mount(camera.name)), camera)
            for camera in rig.cameras if camera.name in self._lenses
        }
        self._assemble(now_ns)

    def _mount(self, name: str) -> Mount:
        """Return the frame that TF knows of a camera, and its pictures against that."""
        lens = self._lenses[name]
        picture_from_frame = lens.picture_from_frame.copy()
        if [other.frame_id for other in self._lenses.values()].count(lens.frame_id) == 1:
            # Its frame is its own, so that TF has the whole way already.
            picture_from_frame[:, 3] = 0.0
        return Mount(lens.frame_id, picture_from_frame)

    def _told(self, mount: Mount) -> FloatArray:
        """Return (3, 4) the pose of a camera as TF has it; raise CalibrationError if it has none."""
        return compose(mount.cam_from_frame, self._frame_from_world(mount.frame))

    def _camera(self, name: str, mount: Mount) -> Camera:
        """Return a camera, refined or as TF has it; raise CalibrationError if it is not calibrated."""
        intrinsics, told = self._lenses[name].intrinsics, self._told(mount)
        if name in self._refined:
            before, refined = self._refined[name]
            if np.abs(told - before).max() <= _SAME_POSE:
                return replace(refined, intrinsics=intrinsics)
            del self._refined[name]
        return Camera(name, mount.frame, intrinsics, told)

    def _assemble(self, now_ns: int) -> None:
        """Make the rig anew where something of it changed; ``now_ns`` is when."""
        cameras: list[Camera] = []
        mounts: dict[str, Mount] = {}
        missing: dict[str, str] = {}
        for name in self._cameras:
            if name not in self._lenses:
                missing[name] = self._faults.get(
                    name, f"Camera '{name}': no camera_info came yet. Publish it, or give a rig file with rig:=..."
                )
                continue
            try:
                mount = self._mount(name)
                cameras.append(self._camera(name, mount))
                mounts[name] = mount
            except GeoPoseError as error:
                missing[name] = f"Camera '{name}': {error}"
        stands = self._moving is None
        if missing != self._missing or not _same_cameras(cameras, self._rig, stands):
            self._changed_ns = now_ns
        if not _same_cameras(cameras, self._rig, stands):
            self._rig = CameraRig(tuple(cameras), self._world_frame) if cameras else None
        self._missing, self._mounts = missing, mounts

    def _frame_from_world(self, frame_id: str) -> FloatArray:
        """Return (3, 4) of a frame that stands, or that of one that moves as far as it is known now."""
        if self._moving is None:
            return lookup(self._tree, frame_id, self._world_frame)
        return matrix(invert(self._moving.lookup(self._world_frame, frame_id, None)))


def check_file(rig: CameraRig, cameras: Sequence[str], rectified: Collection[str]) -> None:
    """Refuse a rig file that does not fit ``cameras``, some of which send ``rectified`` pictures.

    Raises:
        CalibrationError: if it lacks one of the cameras, or has the lens of one whose pictures have none.
    """
    rig.subset(tuple(cameras))
    for name in rectified:
        if rig[name].intrinsics.distorted:
            raise CalibrationError(
                f"Camera '{name}': its images are rectified, but the rig file gives its lens "
                f'D = {rig[name].intrinsics.D.tolist()}. Subscribe to the raw pictures, give a rig of the '
                'rectified ones, or set rectified:=no.'
            )


def _with(rig: CameraRig, better: Sequence[Camera]) -> CameraRig:
    """Return ``rig`` with those of its cameras replaced that are among ``better``."""
    by_name = {camera.name: camera for camera in better}
    return replace(rig, cameras=tuple(by_name.get(camera.name, camera) for camera in rig.cameras))


def _same_cameras(cameras: Sequence[Camera], rig: CameraRig | None, stand: bool) -> bool:
    """Return whether ``rig`` consists of ``cameras``, in the same place if they ``stand``.

    TF is told again and again, by whoever comes.
    """
    before = rig.cameras if rig is not None else ()
    return len(cameras) == len(before) and all(
        (a.name, a.frame_id, a.clock) == (b.name, b.frame_id, b.clock)
        and a.intrinsics is b.intrinsics
        and (not stand or np.abs(a.cam_from_world - b.cam_from_world).max() <= _SAME_POSE)
        for a, b in zip(cameras, before, strict=True)
    )
