# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The detections of people in a bag, camera by camera: recorded ones, or found in its images."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from tqdm import tqdm

from ..detection.settings import DetectorConfig
from ..lifting.settings import LifterConfig
from ..pipeline import PosePipeline
from ..rigs.topics import CameraTopics
from ..runner import MessageReader, begin_views
from ..scene.settings import PipelineConfig
from ..skeleton import get_skeleton
from ..types import CameraRig, Keypoints2D
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
    detector = detector or DetectorConfig()
    names = {topics.keypoints or topics.image: name for name, topics in cameras.items()}
    total = sum(reader.topics[topic].count for topic in names)
    messages = tqdm(until_damage(reader.messages(names)), desc='read', total=total, unit='message', disable=None)
    read: MessageReader[BagMessage] = MessageReader(
        lambda camera, message: message.decode(), detector, get_skeleton(skeleton),
        [name for name, topics in cameras.items() if topics.keypoints],
    )
    keypoints: dict[str, list[Keypoints2D]] = {name: [] for name in cameras}
    errors: Counter[str] = Counter()
    with PosePipeline(rig, PipelineConfig(detector=detector, lifter=LifterConfig(enabled=False))) as pipeline:
        for batch in _batches(messages, names):
            views = begin_views(pipeline, read, batch).views()
            errors.update(views.camera_errors.keys())
            for name, found in views.keypoints.items():
                keypoints[name].append(found)
    for name, count in errors.items():
        _LOG.warning("Camera '%s': %d messages could not be used.", name, count)
    return keypoints


def _batches(messages: Iterable[BagMessage], names: Mapping[str, str]) -> Iterator[dict[str, BagMessage]]:
    """Yield messages to be read at the same time, one of each camera: their clocks may not agree yet.

    Args:
        names: of the cameras, by topic.
    """
    batch: dict[str, BagMessage] = {}
    for message in messages:
        name = names[message.topic]
        if name in batch:
            yield batch
            batch = {}
        batch[name] = message
    if batch:
        yield batch
