# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""`geo_pose calibrate`: a rig from what the cameras of a bag, or of several, saw of people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ..calibration.calibrate import Calibrated
from ..calibration.joined import calibrate_together
from ..calibration.report import write_report
from ..calibration.task import CalibrateTask
from ..detection.settings import DetectorConfig
from ..errors import CalibrationError, refuse_existing
from ..messages.camera_info import intrinsics_from_camera_info, rectified_from_camera_info
from ..messages.factory import Message
from ..messages.transforms import optical_frame_id
from ..rigs.files import write_calibration
from ..rigs.plausibility import log_findings, require_possible
from ..rigs.topics import CameraChoice, CameraTopics
from ..types import Camera, CameraRig, Intrinsics
from .cameras import calibrated_cameras, camera_infos, choose_cameras, rig_from_bag, usable_cameras
from .keypoints import read_keypoints
from .read import BagReader

# Focal length of a webcam or phone, in longer sides of the image, where nobody gives one.
FOCAL_GUESS = 0.8


@dataclass(frozen=True, slots=True, eq=False)
class CalibrationBag:
    """A bag to calibrate from, and what is known of its cameras.

    Attributes:
        path: of the bag.
        cameras: which to use, and what they send.
        rig: to begin with; None: camera_info and /tf_static of the bag (from scratch: camera_info only).
        focal_guess: focal length of uncalibrated cameras, in longer sides of the image; it makes focal lengths
            unknowns. None: such a camera is an error.
        skeleton: of recorded keypoints.
        detector: for cameras of which images were recorded.
        more: further recordings of the same cameras, which nobody touched in between.
    """

    path: Path
    cameras: CameraChoice = field(default_factory=CameraChoice)
    rig: CameraRig | None = None
    focal_guess: float | None = None
    skeleton: str = 'body17'
    detector: DetectorConfig = field(default_factory=DetectorConfig)
    more: Sequence[Path] = ()


def rig_with_intrinsics(
    reader: BagReader, chosen: Mapping[str, CameraTopics], focal_guess: float | None
) -> CameraRig:
    """Return the cameras of a bag with intrinsics from camera_info and no extrinsics (identity).

    Args:
        reader: of the bag.
        chosen: topics of the cameras; see ``camera_infos``.
        focal_guess: see CalibrationBag.

    Raises:
        BagError: if no camera has a camera_info.
        CalibrationError: if one is uncalibrated and there is no guess.
    """
    cameras = []
    for name, info in camera_infos(reader, chosen).items():
        frame_id = str(info.header.frame_id).lstrip('/') or optical_frame_id(name)
        lens = (
            rectified_from_camera_info(info, name)[0] if chosen[name].rectified
            else _intrinsics(info, name, focal_guess)
        )
        cameras.append(Camera(name, frame_id, lens, np.eye(3, 4)))
    return CameraRig(tuple(cameras))


def _intrinsics(info: Message, name: str, focal_guess: float | None) -> Intrinsics:
    if focal_guess is None or np.any(info.k):
        try:
            return intrinsics_from_camera_info(info, name)
        except CalibrationError as error:
            raise CalibrationError(
                f'{error} Or give --focal-guess FACTOR, in longer sides of the image (phones 0.7 to 0.85).'
            ) from error
    return guess_intrinsics(int(info.width), int(info.height), focal_guess)


def guess_intrinsics(width: int, height: int, focal_guess: float) -> Intrinsics:
    """Return a lens without distortion whose focal length is ``focal_guess`` longer sides of the image, px."""
    K = np.diag([focal_guess * max(width, height)] * 2 + [1.0])
    K[:2, 2] = 0.5 * (width - 1), 0.5 * (height - 1)
    return Intrinsics(K, np.zeros(5), 'plumb_bob', width, height)


def calibrate_bag(
    bag: CalibrationBag, out: Path, task: CalibrateTask | None = None, *, report: Path | None = None,
    overwrite: bool = False,
) -> Calibrated:
    """Calibrate the cameras of a bag from its people and write the rig to ``out``; see ``calibrate``.

    Args:
        bag: what was recorded.
        out: rig file to write.
        task: what is asked; None: refine.
        report: folder to write a report to, also where the rig is refused; None: none.
        overwrite: replace a file at ``out``.

    Raises:
        BagError: if the bag cannot be read or has no keypoints.
        CalibrationError: if the rig cannot be determined or must be refused, saying why; nothing is written to
            ``out``. Also if ``out`` exists.
    """
    task = task or CalibrateTask()
    refuse_existing(out, overwrite=overwrite, error=CalibrationError)
    if bag.focal_guess is not None and task.config.adjust.intrinsics == 'fixed':
        adjusting = replace(task.config.adjust, intrinsics='focal')
        task = replace(task, config=replace(task.config, adjust=adjusting))
    with BagReader(bag.path) as reader:
        chosen, images = usable_cameras(reader, choose_cameras(reader, bag.cameras))
        rig = bag.rig
        if rig is None:
            rig = rig_with_intrinsics(reader, chosen, bag.focal_guess) if task.from_scratch else rig_from_bag(
                reader, chosen
            )
        chosen, rig = calibrated_cameras(chosen, images, rig)
        if not task.from_scratch:
            log_findings(require_possible(rig))
        recordings = [read_keypoints(reader, chosen, rig, bag.skeleton, bag.detector)]
    for path in bag.more:
        with BagReader(path) as reader:
            usable, _ = usable_cameras(reader, choose_cameras(reader, replace(bag.cameras, names=rig.names)))
            recordings.append(read_keypoints(reader, usable, rig, bag.skeleton, bag.detector))
    found = calibrate_together(recordings, rig, task)
    if report is not None:
        write_report(report, found, f'Calibration of {bag.path.name}')
    if found.refusal:
        raise CalibrationError(f'No rig is written: {found.refusal.in_words}')
    write_calibration(out, found.rig, overwrite=overwrite)
    return found
