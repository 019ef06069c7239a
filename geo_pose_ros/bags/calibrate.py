"""`geo_pose calibrate`: a rig from what the cameras of a bag saw of people."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from ..calibration.refinement import Calibrated, calibrate
from ..calibration.report import write_report
from ..calibration.settings import CalibrateConfig
from ..calibration.world import ScaleSource
from ..detection.settings import DetectorConfig
from ..errors import BagError, CalibrationError
from ..lifting.settings import LifterConfig
from ..messages.camera_info import intrinsics_from_camera_info
from ..messages.clouds.keypoints import keypoints_from_cloud
from ..messages.image import frame_from_message
from ..messages.transforms import optical_frame_id
from ..pipeline import PosePipeline
from ..rigs.files import write_calibration
from ..rigs.topics import CameraTopics
from ..scene.settings import PipelineConfig
from ..skeleton import get_skeleton
from ..types import Camera, CameraRig, Frame, Intrinsics, Keypoints2D
from .cameras import choose_cameras, rig_from_bag
from .read import BagMessage, BagReader, until_damage

_LOG = logging.getLogger(__name__)


def rig_with_intrinsics(reader: BagReader, names: Sequence[str], focal_guess: float | None) -> CameraRig:
    """Return the cameras of a bag with intrinsics from camera_info and no extrinsics (identity).

    Args:
        focal_guess: focal length of cameras without a calibration, in longer sides of the picture; None: an error.

    Raises:
        BagError: if a camera has no camera_info.
        CalibrationError: if one is uncalibrated and there is no guess.
    """
    cameras = []
    for name, topics in choose_cameras(reader, names).items():
        infos = reader.messages([topics.camera_info] if topics.camera_info else [])
        message = next((m.decode() for m in infos), None)
        if message is None:
            raise BagError(
                f"Bag '{reader.path}' has no camera_info of {name}; record <camera>/camera_info, or give --rig."
            )
        frame_id = str(message.header.frame_id).lstrip('/') or optical_frame_id(name)
        cameras.append(Camera(name, frame_id, _intrinsics(message, name, focal_guess), np.eye(3, 4)))
    return CameraRig(tuple(cameras))


def _intrinsics(message: Any, name: str, focal_guess: float | None) -> Intrinsics:
    if focal_guess is None or np.any(message.k):
        try:
            return intrinsics_from_camera_info(message, name)
        except CalibrationError as error:
            raise CalibrationError(
                f'{error} Or give --focal-guess FACTOR, in longer sides of the picture (phones 0.7 to 0.85).'
            ) from error
    width, height = int(message.width), int(message.height)
    K = np.diag([focal_guess * max(width, height)] * 2 + [1.0])
    K[:2, 2] = 0.5 * (width - 1), 0.5 * (height - 1)
    return Intrinsics(K, np.zeros(5), 'plumb_bob', width, height)


def read_pictures(
    reader: BagReader, cameras: Mapping[str, CameraTopics], rig: CameraRig, detector: DetectorConfig, skeleton: str
) -> dict[str, list[Keypoints2D]]:
    """Return every camera's detections in the order received: recorded ones, or found in its pictures.

    Raises:
        BagError: if a camera has neither keypoints nor pictures.
    """
    recorded = {topics.keypoints: name for name, topics in cameras.items() if topics.keypoints}
    images = {topics.image: name for name, topics in cameras.items() if not topics.keypoints and topics.image}
    pictures: dict[str, list[Keypoints2D]] = {name: [] for name in cameras}
    kind = get_skeleton(skeleton)
    for message in until_damage(reader.messages(recorded)) if recorded else ():
        name = recorded[message.topic]
        pictures[name].append(keypoints_from_cloud(message.decode(), name, kind))
    if images:
        _detect(reader, images, rig, detector, pictures)
    return pictures


def _detect(
    reader: BagReader, images: Mapping[str, str], rig: CameraRig, detector: DetectorConfig,
    pictures: dict[str, list[Keypoints2D]],
) -> None:
    total = sum(reader.topics[topic].count for topic in images)
    messages = tqdm(until_damage(reader.messages(images)), desc='detect', total=total, unit='frame', disable=None)
    config = PipelineConfig(detector=detector, lifter=LifterConfig(enabled=False))
    errors: Counter[str] = Counter()
    with PosePipeline(rig, config) as pipeline:
        for frames in _batches(messages, images):
            loaders = {
                name: partial(_load, message, name, rig[name].intrinsics, detector.max_side_px)
                for name, message in frames.items()
            }
            views = pipeline.begin(loaders).views()
            errors.update(views.camera_errors.keys())
            for name, found in views.keypoints.items():
                pictures[name].append(found)
    for name, count in errors.items():
        _LOG.warning("Camera '%s': %d pictures could not be used.", name, count)


def _batches(messages: Iterable[BagMessage], images: Mapping[str, str]) -> Iterator[dict[str, BagMessage]]:
    """Yield pictures to be detected at the same time, one of each camera: their clocks may not agree yet."""
    batch: dict[str, BagMessage] = {}
    for message in messages:
        name = images[message.topic]
        if name in batch:
            yield batch
            batch = {}
        batch[name] = message
    if batch:
        yield batch


def _load(message: BagMessage, camera: str, intrinsics: Intrinsics, max_side_px: int) -> Frame:
    return frame_from_message(message.decode(), camera, intrinsics, max_side_px)


def calibrate_bag(
    bag: Path, out: Path, *, rig: CameraRig | None = None, cameras: Sequence[str] = (), report: Path | None = None,
    config: CalibrateConfig | None = None, from_scratch: bool = False, sync: bool = False,
    max_offset_s: float = 5.0, focal_guess: float | None = None, scale: ScaleSource | None = None,
    keep_world: str = '', detector: DetectorConfig | None = None, skeleton: str = 'body17', overwrite: bool = False,
) -> Calibrated:
    """Calibrate the cameras of ``bag`` from its people and write the rig to ``out``; see ``refinement.calibrate``.

    Args:
        rig: to begin with; None: camera_info and /tf_static of the bag (from scratch: camera_info only).
        report: folder to write a report to, also where the rig is refused; None: none.
        focal_guess: see ``rig_with_intrinsics``; it makes focal lengths unknowns.

    Raises:
        BagError: if the bag cannot be read or has no keypoints.
        CalibrationError: if the rig cannot be determined or must be refused, saying why; nothing is written to
            ``out``. Also if ``out`` exists.
    """
    config = config or CalibrateConfig()
    if out.exists() and not overwrite:
        raise CalibrationError(f"'{out}' exists already. Choose another path, or give --overwrite to replace it.")
    if focal_guess is not None and config.adjust.intrinsics == 'fixed':
        config = replace(config, adjust=replace(config.adjust, intrinsics='focal'))
    with BagReader(bag) as reader:
        chosen = choose_cameras(reader, cameras)
        if rig is None:
            rig = rig_with_intrinsics(reader, tuple(chosen), focal_guess) if from_scratch else rig_from_bag(
                reader, tuple(chosen)
            )
        rig = rig.subset(list(chosen))
        pictures = read_pictures(reader, chosen, rig, detector or DetectorConfig(), skeleton)
    found = calibrate(
        pictures, rig, config, from_scratch=from_scratch, sync=sync, scale=scale, keep_world=keep_world,
        max_offset_s=max_offset_s,
    )
    if report is not None:
        write_report(report, found, f'Calibration of {bag.name}')
    if found.refusal:
        raise CalibrationError(f'No rig is written: {found.refusal}')
    write_calibration(out, found.rig, overwrite=overwrite)
    return found
