# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Videos, and a calibration where there is one -> a bag, as the cameras' drivers would have recorded it."""

from __future__ import annotations

import heapq
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tqdm import tqdm

from ..errors import CalibrationError
from ..messages.camera_info import fit_to_images, uncalibrated_camera_info
from ..messages.transforms import optical_frame_id
from ..rigs.files import ros_name
from ..types import CameraRig, Frame
from .message_factory import RosbagsFactory
from .videos import Video
from .write import BagWriter

_LOG = logging.getLogger(__name__)

# Decoding takes a fifth less time than at 90, and the demo's keypoints are as good.
_JPEG_QUALITY = 80


@dataclass(frozen=True, slots=True)
class ImportedVideo:
    """One camera's part of an import.

    Attributes:
        camera: whose.
        frames, fps: how many, and the nominal rate.
        first_ns, last_ns: time of its first and last frame.
        turned_deg: the frames were turned clockwise by so much, as the video says.
    """

    camera: str
    frames: int
    fps: float
    first_ns: int
    last_ns: int
    turned_deg: int = 0

    def __str__(self) -> str:
        turned = f' (turned by {self.turned_deg} degrees, as the video says)' if self.turned_deg else ''
        return f'{self.camera} {self.frames}{turned}'


def import_videos(
    videos: Sequence[Path], rig: CameraRig | None, out: Path, *, fps: float | None = None, storage: str = 'mcap',
    overwrite: bool = False,
) -> list[ImportedVideo]:
    """Write a bag of ``videos`` with `/<camera>/image_raw/compressed`, `/<camera>/camera_info` and `/tf_static`.

    Videos are matched to the rig's cameras by their file stems. All start when the first one was modified; their frames
    are interleaved by time.

    Args:
        videos: one per camera.
        rig: None: no calibration; camera_info says uncalibrated (K = 0) and there is no `/tf_static`, for
            `geo_pose calibrate --from-scratch --focal-guess`.
        out: the bag.
        fps: frames per second of all videos; None: the times in the containers.
        storage, overwrite: see BagWriter.

    Raises:
        CalibrationError: if a video has no camera in the rig, or another size than its calibration.
        BagError: if a video cannot be decoded or the bag cannot be written.
    """
    by_camera = _match(videos, rig)
    opened = [Video(path, camera, fps) for camera, path in by_camera.items()]
    if rig is not None:
        rig = _with_video_sizes(rig.subset([video.camera for video in opened]), opened)
    start_ns = videos[0].stat().st_mtime_ns
    times: dict[str, list[int]] = {video.camera: [] for video in opened}
    with BagWriter(out, storage, overwrite=overwrite) as writer:
        if rig is not None:
            writer.write_transforms(rig, start_ns)
        merged = heapq.merge(*(video.frames(start_ns) for video in opened), key=lambda frame: frame.stamp_ns)
        total = sum(video.stated_frames for video in opened) or None
        for frame in tqdm(merged, desc='import', total=total, unit='frame', disable=None):
            frame_id = _write_lens(writer, frame, rig)
            writer.write_frame(frame, frame_id, _JPEG_QUALITY)
            times[frame.camera].append(frame.stamp_ns)
    done = [
        ImportedVideo(v.camera, len(times[v.camera]), v.fps, times[v.camera][0], times[v.camera][-1], v.turned_deg)
        for v in opened
    ]
    _report_differences(done)
    return done


def _write_lens(writer: BagWriter, frame: Frame, rig: CameraRig | None) -> str:
    """Write the CameraInfo of an image, without a rig an uncalibrated one; return its frame id."""
    if rig is not None:
        writer.write_lens(rig[frame.camera], frame.stamp_ns)
        return rig[frame.camera].frame_id
    frame_id = optical_frame_id(frame.camera)
    height, width = frame.image.shape[:2]
    info = uncalibrated_camera_info(RosbagsFactory(), width, height, frame.stamp_ns, frame_id)
    writer.write(f'/{frame.camera}/camera_info', info, frame.stamp_ns)
    return frame_id


def _match(videos: Sequence[Path], rig: CameraRig | None) -> Mapping[str, Path]:
    by_camera: dict[str, Path] = {}
    for path in videos:
        camera = ros_name(path.stem)
        if camera in by_camera:
            raise CalibrationError(f"'{by_camera[camera]}' and '{path}' are both of camera '{camera}'; give one.")
        by_camera[camera] = path
    if rig is None:
        return by_camera
    unknown = [name for name in by_camera if name not in rig.names]
    if unknown:
        raise CalibrationError(
            f'No calibration for the videos {", ".join(unknown)}; the calibration has: {", ".join(rig.names)}. '
            'Name each video file after its camera.'
        )
    unused = [name for name in rig.names if name not in by_camera]
    if unused:
        _LOG.warning('No video for the calibrated cameras %s; they are left out.', ', '.join(unused))
    return by_camera


def _with_video_sizes(rig: CameraRig, videos: Sequence[Video]) -> CameraRig:
    """Return the rig with the videos' sizes where a codec cropped a few px at the right and bottom; K stays.

    Raises:
        CalibrationError: for a video of another size than its calibration.
    """
    cameras = []
    for camera, video in zip(rig.cameras, videos, strict=True):
        turned = f'The video says that it is to be turned by {video.turned_deg} degrees, and was.'
        try:
            lens, note = fit_to_images(camera.intrinsics, video.width, video.height, camera.name)
        except CalibrationError as error:
            raise CalibrationError(f'{error} {turned}' if video.turned_deg else str(error)) from error
        if note:
            _LOG.warning('%s', note)
        if video.turned_deg == 180:
            # Both ways fit in size.
            _LOG.warning("Camera '%s': %s Its calibration must be of the turned images.", camera.name, turned)
        cameras.append(replace(camera, intrinsics=lens))
    return replace(rig, cameras=tuple(cameras))


def _report_differences(done: Sequence[ImportedVideo]) -> None:
    if len({video.frames for video in done}) > 1 or max(v.fps for v in done) > 1.001 * min(v.fps for v in done):
        parts = ', '.join(f'{v.camera} {v.frames} frames at {v.fps:g}/s to {(v.last_ns - v.first_ns) / 1e9:.3f} s'
                          for v in done)
        _LOG.warning('The videos differ (%s); where one has no frame the set has fewer cameras.', parts)
