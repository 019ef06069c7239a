"""The detections of people in a bag, camera by camera: recorded ones, or found in its images."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import partial

from tqdm import tqdm

from ..detection.settings import DetectorConfig
from ..lifting.settings import LifterConfig
from ..messages.clouds.keypoints import keypoints_from_cloud
from ..messages.image import frame_from_message
from ..pipeline import PosePipeline
from ..rigs.topics import CameraTopics
from ..scene.settings import PipelineConfig
from ..skeleton import get_skeleton
from ..types import CameraRig, Frame, Intrinsics, Keypoints2D
from .read import BagMessage, BagReader, until_damage

_LOG = logging.getLogger(__name__)


def read_keypoints(
    reader: BagReader, cameras: Mapping[str, CameraTopics], rig: CameraRig, skeleton: str = 'body17',
    detector: DetectorConfig | None = None,
) -> dict[str, list[Keypoints2D]]:
    """Return every camera's detections in the order received: recorded ones, or found in its images.

    Args:
        reader: of the bag.
        cameras: topics of each camera.
        rig: holds these cameras.
        skeleton: of recorded keypoints.
        detector: for cameras of which images were recorded; None: the default.

    Raises:
        BagError: if the bag cannot be read.
    """
    recorded = {topics.keypoints: name for name, topics in cameras.items() if topics.keypoints}
    images = {topics.image: name for name, topics in cameras.items() if not topics.keypoints and topics.image}
    keypoints: dict[str, list[Keypoints2D]] = {name: [] for name in cameras}
    joints = get_skeleton(skeleton)
    for message in until_damage(reader.messages(recorded)) if recorded else ():
        name = recorded[message.topic]
        keypoints[name].append(keypoints_from_cloud(message.decode(), name, joints))
    if images:
        _detect(reader, images, rig, detector or DetectorConfig(), keypoints)
    return keypoints


def _detect(
    reader: BagReader, images: Mapping[str, str], rig: CameraRig, detector: DetectorConfig,
    keypoints: dict[str, list[Keypoints2D]],
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
                keypoints[name].append(found)
    for name, count in errors.items():
        _LOG.warning("Camera '%s': %d images could not be used.", name, count)


def _batches(messages: Iterable[BagMessage], images: Mapping[str, str]) -> Iterator[dict[str, BagMessage]]:
    """Yield images to be detected at the same time, one of each camera: their clocks may not agree yet."""
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
