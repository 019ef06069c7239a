# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The cameras' images with the bodies drawn into them, over time, as a video that browsers play: H.264 in MP4."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ..arrays import NS_PER_S, UInt8Array
from ..bags.recording import BODIES, IMAGE, Recording
from ..errors import BagError, ConfigError
from ..view.drawing import overlay
from ..view.playback import Playback

_HEIGHT_PX = 480
# Browsers play these pixels everywhere; quality that nobody sees the loss of.
_ENCODING = ('-c:v', 'libx264', '-preset', 'veryfast', '-crf', '23', '-pix_fmt', 'yuv420p', '-movflags', '+faststart')


def find_ffmpeg() -> str:
    """Return the path of ffmpeg: imageio-ffmpeg's, or the system's; raise ConfigError if there is none."""
    try:
        from imageio_ffmpeg import get_ffmpeg_exe

        return str(get_ffmpeg_exe())
    except (ImportError, RuntimeError):
        found = shutil.which('ffmpeg')
    if found is None:
        raise ConfigError(
            'H.264 video is written by ffmpeg, which is missing: pip install imageio-ffmpeg, or apt install ffmpeg.'
        )
    return found


class VideoWriter(AbstractContextManager['VideoWriter']):
    """Writes images of one size as H.264; a context manager. The size is made even, as H.264 wants it.

    Raises:
        ConfigError: if there is no ffmpeg, or it cannot write.
    """

    def __init__(self, path: Path, width: int, height: int, rate_hz: float) -> None:
        """Start ffmpeg."""
        self._path, self._even = path, (height // 2 * 2, width // 2 * 2)
        # A pipe that nobody empties would stop ffmpeg.
        self._log = tempfile.TemporaryFile()  # noqa: SIM115
        command = [
            find_ffmpeg(), '-y', '-loglevel', 'error', '-f', 'rawvideo', '-pix_fmt', 'bgr24',
            '-s', f'{self._even[1]}x{self._even[0]}', '-r', f'{rate_hz:.4f}', '-i', '-', '-an', *_ENCODING, str(path),
        ]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=self._log)

    def write(self, image: UInt8Array) -> None:
        """Add an image (H, W, 3) BGR."""
        if self._process.stdin is not None and self._process.poll() is None:
            try:
                self._process.stdin.write(np.ascontiguousarray(image[: self._even[0], : self._even[1]]).tobytes())
            except BrokenPipeError:
                # What went wrong is said at the end.
                return

    def __exit__(self, kind: object, *_: object) -> None:
        self._process.communicate()
        self._log.seek(0)
        said = self._log.read().decode(errors='replace').strip().splitlines()
        self._log.close()
        if self._process.returncode and kind is None:
            raise ConfigError(f"'{self._path}' cannot be written by ffmpeg: {said[-1] if said else 'no reason given'}.")


def write_video(recording: Recording, out: Path) -> Path:
    """Write `OUT.mp4`, the cameras side by side with what was found in them; return its path.

    Args:
        recording: open; with bodies, images and a rig: give the bag with the images beside that of the results.
        out: what the name begins with.

    Raises:
        BagError: if it lacks one of them.
        ConfigError: if there is no ffmpeg.
    """
    rig = recording.rig
    if rig is None or not recording.has(BODIES) or not recording.has(IMAGE):
        raise BagError(
            f"'{recording.title}' lacks bodies, images or a rig, which a video shows: name the bag of geo_pose process "
            'and the one with the images together.'
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    path, playback = out.with_name(f'{out.name}.mp4'), Playback(recording, 2 * _HEIGHT_PX, images_hz=1000.0)
    writer: VideoWriter | None = None
    times = range(playback.start_ns, playback.end_ns + 1, playback.period_ns)
    try:
        for time_ns in tqdm(times, desc='video', unit='image', disable=None, leave=False):
            instant = playback.at(time_ns)
            # Every image of the video shows all cameras, so that it keeps its size.
            frames = dict(instant.frames)
            if instant.bodies is None or len(frames) < len(rig):
                continue
            image = overlay(rig, frames, instant.keypoints, instant.bodies, height_px=_HEIGHT_PX)
            if writer is None:
                writer = VideoWriter(path, image.shape[1], image.shape[0], NS_PER_S / playback.period_ns)
            writer.write(image)
    finally:
        if writer is not None:
            writer.__exit__(None)
    if writer is None:
        raise BagError(f"'{recording.title}': no set has bodies and an image of each camera of the rig.")
    return path
