# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Two videos and the calibration of their cameras, as commands and pages begin with them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from geo_pose_ros.rigs.files import write_calibration
from geo_pose_ros.types import Camera, CameraRig, Intrinsics

from ..scenes import ring_rig

WIDTH, HEIGHT = 64, 48


def write_two_videos(folder: Path, calibration: str) -> Path:
    """Write cam0.mp4 and cam1.mp4, three frames each at 25 per second, and the calibration file; return the folder."""
    lens = Intrinsics(np.array([[80.0, 0, 32], [0, 80, 24], [0, 0, 1]]), np.zeros(5), 'plumb_bob', WIDTH, HEIGHT)
    rig = CameraRig(tuple(Camera(c.name, c.frame_id, lens, c.cam_from_world) for c in ring_rig(2).cameras))
    write_calibration(folder / calibration, rig)
    for name in rig.names:
        video = cv2.VideoWriter(str(folder / f'{name}.mp4'), cv2.VideoWriter_fourcc(*'mp4v'), 25.0, (WIDTH, HEIGHT))
        for level in (50, 100, 150):
            video.write(np.full((HEIGHT, WIDTH, 3), level, np.uint8))
        video.release()
    return folder
