# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Small videos and the calibration of their cameras, as imports, commands and pages begin with them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from geo_pose_ros.rigs.files import write_calibration
from geo_pose_ros.types import CameraRig, Intrinsics

from .recorded import grey_image
from .scenes import ring_rig

WIDTH, HEIGHT = 64, 48


def small_rig(cameras: int = 3, width: int = WIDTH, height: int = HEIGHT) -> CameraRig:
    """Return the rig of ``scenes`` with images of this size, without distortion."""
    lens = Intrinsics(np.array([[80.0, 0, 32], [0, 80, 24], [0, 0, 1]]), np.zeros(5), 'plumb_bob', width, height)
    return CameraRig(tuple(replace(camera, intrinsics=lens) for camera in ring_rig(cameras).cameras))


def film(path: Path, frames: int = 3, fps: float = 25.0) -> Path:
    """Write a video whose grey level tells the frame's number; return its path."""
    video = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'mp4v'), fps, (WIDTH, HEIGHT))
    for number in range(frames):
        video.write(grey_image(number, HEIGHT, WIDTH))
    video.release()
    return path


def write_two_videos(folder: Path, calibration: str) -> Path:
    """Write cam0.mp4 and cam1.mp4 and the calibration file; return the folder."""
    rig = small_rig(2)
    write_calibration(folder / calibration, rig)
    for name in rig.names:
        film(folder / f'{name}.mp4')
    return folder
