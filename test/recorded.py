# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""A small recorded scene: two cameras, coded images, keypoints of a person with known truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from geo_pose_ros.bags.write import BagWriter
from geo_pose_ros.types import CameraRig, Frame

from .scenes import keypoints, person, ring_rig

START_NS = 1_700_000_000_000_000_000
PERIOD_NS = 20_000_000
FRAMES = 5


def grey_image(number: int, height: int = 960, width: int = 1280) -> np.ndarray:
    """A grey image whose level tells its number (modulo 15), after JPEG and video coding too."""
    return np.full((height, width, 3), 20 + 15 * (number % 15), np.uint8)


def write_scene(
    path: Path, *, storage: str = 'mcap', images: bool = True, infos: bool = True, transforms: bool = True,
    clouds: bool = False, frames: int = FRAMES, rig: CameraRig | None = None,
) -> CameraRig:
    """Write a bag of ``frames`` sets; a person walks along x by 1 cm a frame."""
    rig = rig or ring_rig(3)
    with BagWriter(path, storage) as writer:
        if transforms:
            writer.write_transforms(rig, START_NS)
        for number in range(frames):
            stamp_ns = START_NS + number * PERIOD_NS
            seen = keypoints(rig, [person(0) + (0.01 * number, 0.0, 0.0)], stamp_ns)
            for camera in rig.cameras:
                if infos:
                    writer.write_lens(camera, stamp_ns)
                if images:
                    writer.write_frame(Frame(camera.name, stamp_ns, grey_image(number)), camera.frame_id)
                if clouds:
                    writer.write_keypoints(seen[camera.name], camera.frame_id)
    return rig


def cut(file: Path, fraction: float) -> None:
    """Keep the first ``fraction`` of a file."""
    whole = file.read_bytes()
    file.write_bytes(whole[: int(len(whole) * fraction)])


def damage(file: Path, fraction: float = 0.5, size: int = 300_000) -> None:
    """Overwrite ``size`` bytes of a file from ``fraction`` of it on."""
    data = bytearray(file.read_bytes())
    at = int(len(data) * fraction)
    data[at : at + size] = b'\xff' * size
    file.write_bytes(data)
