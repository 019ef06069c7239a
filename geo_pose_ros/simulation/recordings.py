# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""What a detector gives of people before several cameras, in any order, stamped by each camera's clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from ..arrays import NS_PER_S, BoolArray, FloatArray
from ..bags.write import BagWriter
from ..skeleton import BODY17
from ..types import Camera, CameraRig, Keypoints2D

START_NS = 1_700_000_000_000_000_000
# An image holds a person if a detector finds at least so many joints.
_LEAST_JOINTS = 4

# Returns keypoints (F, 17, 2) px and confidences (F, 17) of a person (F, 17, 3) m before a camera.
Detect = Callable[[Camera, FloatArray], tuple[FloatArray, FloatArray]]


def record_people(
    rig: CameraRig, people: Sequence[FloatArray], fps: float, detect: Detect, rng: np.random.Generator,
    seen_by: Mapping[str, BoolArray] | None = None,
) -> dict[str, list[Keypoints2D]]:
    """Return every camera's detections of ``people`` (F, 17, 3) m, in random order within each image.

    Args:
        rig: the true cameras, with their true clocks.
        people: joints at ``fps`` images per second, from time 0 on.
        fps: of all cameras.
        detect: the detector.
        rng: draws the order of people.
        seen_by: by camera, the mask (P, F) of who is seen when; None: always.
    """
    time_s = np.arange(len(people[0])) / fps
    recorded: dict[str, list[Keypoints2D]] = {}
    for camera in rig.cameras:
        xy, confidence = (np.stack(values) for values in zip(*(detect(camera, p) for p in people), strict=True))
        is_seen = (confidence > 0.0).sum(-1) >= _LEAST_JOINTS
        if seen_by is not None:
            is_seen &= seen_by[camera.name]
        recorded[camera.name] = []
        for frame, stamp_s in enumerate(camera.clock.stamp_s(time_s)):
            who = rng.permutation(np.flatnonzero(is_seen[:, frame]))
            stamp_ns = START_NS + round(stamp_s * NS_PER_S)
            recorded[camera.name].append(
                Keypoints2D(camera.name, stamp_ns, BODY17, xy[who, frame], confidence[who, frame])
            )
    return recorded


def write_keypoints_bag(path: Path, rig: CameraRig, recorded: Mapping[str, Sequence[Keypoints2D]]) -> None:
    """Write a bag of what each camera's detector gave, with the calibration of ``rig`` on its usual topics."""
    seen = sorted((found for camera in recorded.values() for found in camera), key=lambda found: found.stamp_ns)
    with BagWriter(path) as writer:
        writer.write_rig(rig, seen[0].stamp_ns)
        for found in seen:
            writer.write_keypoints(found, rig[found.camera].frame_id)
