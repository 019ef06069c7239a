"""Videos, and a calibration where there is one -> a bag, as the cameras' drivers would have recorded it."""

from __future__ import annotations

import heapq
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from ..errors import BagError, CalibrationError, ConfigError
from ..messages.camera_info import camera_info_from_intrinsics, uncalibrated_camera_info
from ..messages.factory import Message
from ..messages.image import compressed_from_frame
from ..messages.transforms import optical_frame_id, rig_to_transforms
from ..rigs.files import ros_name
from ..types import CameraRig, Frame
from .message_factory import RosbagsFactory
from .write import BagWriter

_LOG = logging.getLogger(__name__)

# Decoding takes a fifth less time than at 90, and the demo's keypoints are as good.
JPEG_QUALITY = 80
# Codecs code blocks of 16 px; players crop what was added at the right and the bottom.
_CODEC_BLOCK_PX = 16


@dataclass(frozen=True, slots=True)
class ImportedVideo:
    """One camera's part of an import: its frames, nominal rate, and time of its first and last frame."""

    camera: str
    frames: int
    fps: float
    first_ns: int
    last_ns: int


@dataclass(frozen=True, slots=True)
class ImportConfig:
    """How videos become frames.

    Attributes:
        start_ns: stamp of the first frames; None: the modification time of the first video.
        fps: frames per second of all videos; None: the times in the containers.
        jpeg_quality: of the images in the bag, 1 to 100.
    """

    start_ns: int | None = None
    fps: float | None = None
    jpeg_quality: int = JPEG_QUALITY


class _Video:
    """An open video whose frames are read in order, with their times."""

    def __init__(self, path: Path, camera: str, fps: float | None) -> None:
        self.camera = camera
        self._path = path
        self._capture = cv2.VideoCapture(str(path))
        self._nominal_fps = float(self._capture.get(cv2.CAP_PROP_FPS))
        if not path.is_file() or not self._capture.isOpened():
            raise BagError(f"Video '{path}' cannot be opened. Give an existing video that OpenCV's FFmpeg can decode.")
        self.use_nominal = fps is not None
        self.fps = self._nominal_fps if fps is None else fps
        if not self.fps > 0.0:
            raise BagError(f"Video '{path}' does not say its frame rate. Give it with --fps.")
        self.width = int(self._capture.get(cv2.CAP_PROP_FRAME_WIDTH))
        self.height = int(self._capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        self.stated_frames = max(0, int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)))

    def frames(self, start_ns: int) -> Iterator[Frame]:
        """Yield the frames, the first at ``start_ns``; times are the container's, or the given rate's."""
        number, first_ms, last_ns = 0, 0.0, -1
        while True:
            ok, image = self._capture.read()
            if not ok:
                break
            at_ms = float(self._capture.get(cv2.CAP_PROP_POS_MSEC))
            if number == 0:
                first_ms = at_ms
            if image.shape[:2] != (self.height, self.width):
                raise BagError(
                    f"Video '{self._path}': a frame of {image.shape[1]}x{image.shape[0]} px in a video of "
                    f'{self.width}x{self.height} px; encode it at one size.'
                )
            offset_ns = round((at_ms - first_ms) * 1e6)
            if self.use_nominal or offset_ns <= last_ns:
                if not self.use_nominal:
                    _LOG.warning("Video '%s' has no usable times from frame %d on; the rate %g is used.",
                                 self._path, number, self.fps)
                    self.use_nominal = True
                offset_ns = max(round(number * 1e9 / self.fps), last_ns + 1)
            yield Frame(self.camera, start_ns + offset_ns, np.asarray(image, np.uint8))
            number, last_ns = number + 1, offset_ns
        self._capture.release()
        if number == 0:
            raise BagError(f"Video '{self._path}' holds no frame that can be decoded.")
        # Some containers only estimate their number of frames.
        if number < self.stated_frames - 1:
            _LOG.warning("Video '%s' ends after %d of %d frames; it is cut off or damaged there.",
                         self._path, number, self.stated_frames)


def import_videos(
    videos: Sequence[Path], rig: CameraRig | None, out: Path, config: ImportConfig | None = None, *,
    storage: str = 'mcap', overwrite: bool = False,
) -> list[ImportedVideo]:
    """Write a bag of ``videos`` with `/<camera>/image_raw/compressed`, `/<camera>/camera_info` and `/tf_static`.

    Videos are matched to the rig's cameras by their file stems. All start at the same instant; their frames are
    interleaved by time.

    Args:
        videos: one per camera.
        rig: None: no calibration; camera_info says uncalibrated (K = 0) and there is no `/tf_static`, for
            `geo_pose calibrate --from-scratch --focal-guess`.
        out: the bag.
        config: times of the frames, and quality of the images.
        storage, overwrite: see BagWriter.

    Raises:
        CalibrationError: if a video has no camera in the rig, or another size than its calibration.
        BagError: if a video cannot be decoded or the bag cannot be written.
    """
    config = config or ImportConfig()
    by_camera = _match(videos, rig)
    opened = [_Video(path, camera, config.fps) for camera, path in by_camera.items()]
    if rig is not None:
        rig = _with_video_sizes(rig.subset([video.camera for video in opened]), opened)
    start_ns = videos[0].stat().st_mtime_ns if config.start_ns is None else config.start_ns
    make = RosbagsFactory()
    times: dict[str, list[int]] = {video.camera: [] for video in opened}
    with BagWriter(out, storage, overwrite=overwrite) as writer:
        if rig is not None:
            writer.write('/tf_static', rig_to_transforms(make, rig, start_ns), start_ns)
        merged = heapq.merge(*(video.frames(start_ns) for video in opened), key=lambda frame: frame.stamp_ns)
        total = sum(video.stated_frames for video in opened) or None
        for frame in tqdm(merged, desc='import', total=total, unit='frame', disable=None):
            frame_id, info = _camera_info(make, frame, rig)
            writer.write(f'/{frame.camera}/camera_info', info, frame.stamp_ns)
            image = compressed_from_frame(make, frame, frame_id, config.jpeg_quality)
            writer.write(f'/{frame.camera}/image_raw/compressed', image, frame.stamp_ns)
            times[frame.camera].append(frame.stamp_ns)
    done = [
        ImportedVideo(v.camera, len(times[v.camera]), v.fps, times[v.camera][0], times[v.camera][-1]) for v in opened
    ]
    _report_differences(done)
    return done


def _camera_info(make: RosbagsFactory, frame: Frame, rig: CameraRig | None) -> tuple[str, Message]:
    """Return the frame id and the CameraInfo of an image; without a rig it is uncalibrated."""
    if rig is None:
        frame_id = optical_frame_id(frame.camera)
        height, width = frame.image.shape[:2]
        return frame_id, uncalibrated_camera_info(make, width, height, frame.stamp_ns, frame_id)
    camera = rig[frame.camera]
    return camera.frame_id, camera_info_from_intrinsics(make, camera.intrinsics, frame.stamp_ns, camera.frame_id)


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


def _with_video_sizes(rig: CameraRig, videos: Sequence[_Video]) -> CameraRig:
    """Return the rig with the videos' sizes where a codec cropped a few px at the right and bottom; K stays."""
    cameras = []
    for camera, video in zip(rig.cameras, videos, strict=True):
        lens = camera.intrinsics
        calibrated, filmed = (lens.width, lens.height), (video.width, video.height)
        if max(abs(a - b) for a, b in zip(calibrated, filmed, strict=True)) >= _CODEC_BLOCK_PX:
            raise CalibrationError(
                f"Camera '{camera.name}': the video is {filmed[0]}x{filmed[1]} px, its calibration "
                f'{calibrated[0]}x{calibrated[1]}. Film and calibrate at one size.'
            )
        if calibrated != filmed:
            _LOG.warning(
                "Camera '%s': the video is %dx%d px, its calibration %dx%d; taken as a crop at the right and bottom.",
                camera.name, *filmed, *calibrated,
            )
        cameras.append(replace(camera, intrinsics=replace(lens, width=filmed[0], height=filmed[1])))
    return CameraRig(tuple(cameras), rig.world_frame_id)


def _report_differences(done: Sequence[ImportedVideo]) -> None:
    if len({video.frames for video in done}) > 1 or max(v.fps for v in done) > 1.001 * min(v.fps for v in done):
        parts = ', '.join(f'{v.camera} {v.frames} frames at {v.fps:g}/s to {(v.last_ns - v.first_ns) / 1e9:.3f} s'
                          for v in done)
        _LOG.warning('The videos differ (%s); where one has no frame the set has fewer cameras.', parts)


def parse_start(text: str) -> int:
    """Return ns since the epoch of seconds ('1700000000.25') or ISO 8601 ('2026-05-01T12:00:00+02:00').

    Raises:
        ConfigError: if it is neither; a time without zone is local time.
    """
    try:
        return round(Decimal(text) * 1_000_000_000)
    except (InvalidOperation, ValueError, OverflowError):
        pass
    try:
        return round(Decimal(str(datetime.fromisoformat(text).timestamp())) * 1_000_000_000)
    except (ValueError, OverflowError):
        raise ConfigError(
            f"--start-time: received '{text}', expected seconds since 1970 or ISO 8601 (2026-05-01T12:00:00+02:00)."
        ) from None
