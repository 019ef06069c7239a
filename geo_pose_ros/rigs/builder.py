# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Build a rig from camera_info and transforms as they arrive; it holds the cameras that are calibrated so far."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..arrays import NS_PER_S, FloatArray
from ..errors import CalibrationError, GeoPoseError
from ..geometry.rigid import compose, invert
from ..messages.camera_info import intrinsics_from_camera_info, rectified_from_camera_info
from ..messages.factory import Message
from ..types import Camera, CameraRig, Intrinsics
from .moving import Mount, mounts_of
from .plausibility import require_possible
from .rig_file import rig_hash
from .transform_buffer import TransformBuffer, TransformSource

# So long after the last change, a rig that lacks cameras is used without them.
_SETTLE_NS = NS_PER_S
# Poses that differ by less, in m and in the rotation's entries, are the same: TF rounds.
_SAME_POSE = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class _Lens:
    """What a camera_info says: the camera's frame, the intrinsics of its images, and their pose in the frame (3, 4)."""

    frame_id: str
    intrinsics: Intrinsics
    image_from_frame: FloatArray

    def content(self) -> tuple[object, ...]:
        """Return what differs between two lenses that differ."""
        lens = self.intrinsics
        arrays = (array.tobytes() for array in (lens.K, lens.D, self.image_from_frame))
        return self.frame_id, lens.width, lens.height, lens.distortion_model, *arrays

    def __str__(self) -> str:
        lens = self.intrinsics
        (fx, _, cx), (_, fy, cy) = lens.K[:2]
        return (
            f"frame '{self.frame_id}', {lens.width} x {lens.height} px, focal lengths {fx:.1f} {fy:.1f} px, "
            f'centre {cx:.1f} {cy:.1f} px, {lens.distortion_model}'
        )


class RigBuilder:
    """Knows each camera's intrinsics and pose as far as they came; a fault costs only its camera. Not thread-safe.

    Attributes:
        rig: the cameras calibrated so far; the same object until something changes.
        problems: why a camera is not calibrated, by camera.
        faults: what is wrong with the last camera_info of a camera, by camera; one that was right before is still used.
        mounts: the frame that carries each camera of ``rig``, by name, where cameras move.
    """

    def __init__(
        self, cameras: Sequence[str], world_frame: str, rig: CameraRig | None = None, rectified: Collection[str] = (),
        moving: TransformSource | None = None,
    ) -> None:
        """Start with nothing known, or with a rig file.

        Args:
            cameras: their names.
            world_frame: the frame in which their poses are looked up.
            rig: of a rig file; the builder then uses no camera_info and no transforms.
            rectified: cameras whose images are rectified.
            moving: looks up cameras that move in ``world_frame``; the world of ``rig`` is then the frame that carries
                the cameras. None: cameras stand, and ``on_transforms`` takes /tf_static.

        Raises:
            CalibrationError: if the rig lacks one of ``cameras``, or has a distorted lens for rectified images.
        """
        self._world_frame = world_frame
        self._static = TransformBuffer()
        self._transforms = self._static if moving is None else moving
        self._moves = moving is not None
        self._lenses: dict[str, _Lens] = {}
        self.faults: dict[str, str] = {}
        self._changed_ns = 0
        # Per camera the pose of TF when a refinement was taken, and the refined camera.
        self._refined: dict[str, tuple[FloatArray, Camera]] = {}
        self._file: CameraRig | None = None
        self.rig: CameraRig | None = None
        self.problems: dict[str, str] = {}
        self.mounts: dict[str, Mount] = {}
        self.use_cameras(cameras, rig, rectified, 0)

    def use_cameras(
        self, cameras: Sequence[str], rig: CameraRig | None, rectified: Collection[str], now_ns: int
    ) -> None:
        """Go on with other cameras; the calibration of cameras that stay is kept.

        Refined extrinsics are kept too, unless the new rig file differs from the old one in a camera that stays.

        Args:
            cameras, rig, rectified: as at the start; there is a rig file if there was one.
            now_ns: when.

        Raises:
            CalibrationError: as at the start; nothing has changed then.
        """
        if rig is not None:
            check_file(rig, cameras, rectified)
        self._cameras, self._rectified = tuple(cameras), frozenset(rectified)
        for known in (self._lenses, self.faults, self._refined):
            for name in known.keys() - set(cameras):
                del known[name]
        if rig is None:
            self._assemble(now_ns)
        else:
            self._use_file(rig)

    def _use_file(self, rig: CameraRig) -> None:
        used = rig.subset(self._cameras)
        if self._file is not None and self.rig is not None:
            stay = [name for name in self._cameras if name in self.rig.names]
            if stay and rig_hash(rig.subset(stay)) == rig_hash(self._file.subset(stay)):
                used = _with(used, self.rig.cameras)
        if self._moves:
            self.mounts = mounts_of(used)
            used = replace(used, world_frame_id=self._world_frame)
        self._file, self.rig = rig, used

    def retry(self, now_ns: int) -> None:
        """Look up again the cameras that move and had no transform."""
        if self.problems and self._moves:
            self._assemble(now_ns)

    def is_settled(self, now_ns: int) -> bool:
        """Return whether all cameras are calibrated, or nothing changed for a second."""
        return not self.problems or now_ns - self._changed_ns > _SETTLE_NS

    def on_camera_info(self, camera: str, message: Message, now_ns: int) -> str:
        """Take a camera_info, and return how it differs from a right one before, in words; '' if it does not.

        One that is wrong is the camera's fault, and its problem if none was right before.
        """
        before = self._lenses.get(camera)
        try:
            known = self._lens(camera, message)
            if before is not None and before.frame_id and not known.frame_id:
                raise CalibrationError(f"Camera '{camera}': its camera_info names no frame (frame_id is '').")
        except GeoPoseError as error:
            self.faults[camera] = str(error)
            if before is None:
                self.problems[camera] = str(error)
            return ''
        self.faults.pop(camera, None)
        if before is not None and before.content() == known.content():
            return ''
        self._lenses[camera] = known
        self._assemble(now_ns)
        return '' if before is None else f'{before} -> {known}'

    def _lens(self, camera: str, message: Message) -> _Lens:
        frame_id = str(message.header.frame_id).lstrip('/')
        if camera in self._rectified:
            return _Lens(frame_id, *rectified_from_camera_info(message, camera))
        return _Lens(frame_id, intrinsics_from_camera_info(message, camera), np.eye(3, 4))

    def on_transforms(self, message: Message, now_ns: int) -> str:
        """Take a TFMessage of /tf_static; return what is wrong with it, '' if nothing."""
        wrong = self._static.add(message.transforms, static=True)
        self._assemble(now_ns)
        return wrong

    def use_refined(self, rig: CameraRig, now_ns: int) -> None:
        """Take refined extrinsics and clocks; a camera loses them when TF gives it a new pose."""
        if self._file is not None and self.rig is not None:
            self.rig = _with(self.rig, rig.cameras)
            return
        self._refined = {
            camera.name: (self._tf_pose(self._mount(camera.name)), camera)
            for camera in rig.cameras if camera.name in self._lenses
        }
        self._assemble(now_ns)

    def _frame_fault(self, name: str) -> str:
        """Return why the frame of one of several cameras cannot be its own: not named, or that of one known before."""
        lens = self._lenses[name]
        if len(self._cameras) < 2:
            return ''
        if not lens.frame_id:
            return (
                "its camera_info names no frame (frame_id is ''); let its driver name its optical frame, or give a "
                'rig file.'
            )
        first = next(
            other for other, of_other in self._lenses.items() if of_other.frame_id == lens.frame_id
            and np.array_equal(of_other.image_from_frame, lens.image_from_frame)
        )
        return '' if first == name else (
            f"its camera_info names the same frame '{lens.frame_id}' as that of {first}, so that they would be at one "
            'place; let each driver name an optical frame of its own, or give a rig file.'
        )

    def _mount(self, name: str) -> Mount:
        """Return the frame of a camera that TF knows, and the pose of its images in that frame."""
        lens = self._lenses[name]
        image_from_frame = lens.image_from_frame.copy()
        if [other.frame_id for other in self._lenses.values()].count(lens.frame_id) == 1:
            # No other camera has this frame, so TF's pose includes the translation already.
            image_from_frame[:, 3] = 0.0
        return Mount(lens.frame_id, image_from_frame)

    def _tf_pose(self, mount: Mount) -> FloatArray:
        """Return cam_from_world (3, 4) m as TF has it, now if it moves; raise CalibrationError if TF has none."""
        world_from_frame = self._transforms.lookup(self._world_frame, mount.frame, None)
        return compose(mount.cam_from_frame, invert(world_from_frame))

    def _camera(self, name: str, mount: Mount) -> Camera:
        """Return a camera, refined or as TF has it; raise CalibrationError if it is not calibrated."""
        intrinsics, pose = self._lenses[name].intrinsics, self._tf_pose(mount)
        if name in self._refined:
            before, refined = self._refined[name]
            if np.abs(pose - before).max() <= _SAME_POSE:
                return replace(refined, intrinsics=intrinsics)
            del self._refined[name]
        return Camera(name, mount.frame, intrinsics, pose)

    def _assemble(self, now_ns: int) -> None:
        """Build the rig again; it stays the same object unless a camera changed. ``now_ns`` is the time now."""
        cameras: list[Camera] = []
        mounts: dict[str, Mount] = {}
        missing: dict[str, str] = {}
        for name in self._cameras:
            if name not in self._lenses:
                missing[name] = self.faults.get(
                    name, f"Camera '{name}': no camera_info came yet. Publish it, or give a rig file with rig:=..."
                )
                continue
            try:
                if fault := self._frame_fault(name):
                    raise CalibrationError(fault)
                mount = self._mount(name)
                cameras.append(self._camera(name, mount))
                mounts[name] = mount
            except GeoPoseError as error:
                missing[name] = f"Camera '{name}': {error}"
        changed = not _same_cameras(cameras, self.rig, stand=not self._moves)
        if changed or missing != self.problems:
            self._changed_ns = now_ns
        if changed:
            self.rig = CameraRig(tuple(cameras), self._world_frame) if cameras else None
        self.problems, self.mounts = missing, mounts


def check_file(rig: CameraRig, cameras: Sequence[str], rectified: Collection[str]) -> None:
    """Refuse a rig file that does not fit ``cameras``, some of them with ``rectified`` images.

    Raises:
        CalibrationError: if it is impossible, lacks one of the cameras, or has a distorted lens for rectified images.
    """
    require_possible(rig.subset(tuple(cameras)))
    for name in rectified:
        if rig[name].intrinsics.distorted:
            raise CalibrationError(
                f"Camera '{name}': its images are rectified, but the rig file gives its lens "
                f'D = {rig[name].intrinsics.D.tolist()}. Subscribe to the raw images, give a rig of the '
                'rectified ones, or set rectified:=no.'
            )


def _with(rig: CameraRig, better: Sequence[Camera]) -> CameraRig:
    """Return ``rig`` with the cameras of ``better`` in place of its own of the same name."""
    by_name = {camera.name: camera for camera in better}
    return replace(rig, cameras=tuple(by_name.get(camera.name, camera) for camera in rig.cameras))


def _same_cameras(cameras: Sequence[Camera], rig: CameraRig | None, *, stand: bool) -> bool:
    """Return whether ``rig`` consists of ``cameras``, at the same poses if they ``stand``.

    Publishers repeat /tf_static for every new subscriber.
    """
    before = rig.cameras if rig is not None else ()
    return len(cameras) == len(before) and all(
        (a.name, a.frame_id, a.clock) == (b.name, b.frame_id, b.clock)
        and a.intrinsics is b.intrinsics
        and (not stand or np.abs(a.cam_from_world - b.cam_from_world).max() <= _SAME_POSE)
        for a, b in zip(cameras, before, strict=True)
    )
