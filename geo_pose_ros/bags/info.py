"""What is in a bag, and what can be done with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from ..arrays import IntArray
from ..errors import GeoPoseError
from ..findings import Finding, Severity, as_lines
from ..messages.camera_info import intrinsics_from_camera_info
from ..rigs.plausibility import check_rig
from ..rigs.topics import CameraTopics, find_cameras
from .cameras import rig_from_bag
from .read import BagReader, until_damage


@dataclass(frozen=True, slots=True)
class RecordedCamera:
    """One camera of a bag.

    Attributes:
        topics: of the camera.
        frames: recorded images, or keypoint messages where there are no images.
        rate_hz: 1 / median distance of their stamps; 0 for fewer than two frames.
        dropped: frames missing at that rate between the first and the last, estimated.
        calibration: lens in words, or why it cannot be used.
    """

    topics: CameraTopics
    frames: int
    rate_hz: float
    dropped: int
    calibration: str


@dataclass(frozen=True, slots=True)
class BagContent:
    """A bag: its cameras, why it has no rig that can be ('' if it has one), and what is improbable of the rig."""

    cameras: Mapping[str, RecordedCamera]
    rig_fault: str
    rig_findings: tuple[Finding, ...] = ()

    @property
    def can_process(self) -> bool:
        """Whether `geo_pose process` runs on it without another calibration."""
        return not self.rig_fault

    @property
    def can_retrain(self) -> bool:
        """Whether the lifter can be retrained from it: a rig of two cameras or more."""
        return not self.rig_fault and len(self.cameras) >= 2


def inspect_bag(reader: BagReader) -> BagContent:
    """Read the stamps of all frames of an open bag and say what it holds."""
    cameras = find_cameras(reader.topics.values())
    sources = {topics.image or topics.keypoints: name for name, topics in cameras.items()}
    stamps: dict[str, list[int]] = {name: [] for name in cameras}
    total = sum(reader.topics[topic].count for topic in sources)
    messages = until_damage(reader.messages(sources))
    for message in tqdm(messages, desc='info', total=total, unit='frame', disable=None, leave=False):
        stamps[sources[message.topic]].append(message.stamp_ns)
    reports = {name: _describe_camera(reader, topics, stamps[name]) for name, topics in cameras.items()}
    try:
        found = check_rig(rig_from_bag(reader))
    except GeoPoseError as error:
        return BagContent(reports, str(error))
    return BagContent(reports, ' '.join(f.text for f in found if f.severity == Severity.ERROR), found)


def estimate_drops(stamps_ns: list[int]) -> tuple[float, int]:
    """Return (rate in Hz, frames missing) of a camera from its stamps, for a camera of constant rate."""
    steps: IntArray = np.diff(np.sort(np.array(stamps_ns, np.int64))).astype(np.int64)
    period_ns = float(np.median(steps)) if steps.size else 0.0
    if period_ns <= 0.0:
        return 0.0, 0
    missing = np.maximum(np.round(steps / period_ns).astype(np.int64) - 1, 0)
    return 1e9 / period_ns, int(missing.sum())


def _describe_camera(reader: BagReader, topics: CameraTopics, stamps_ns: list[int]) -> RecordedCamera:
    rate_hz, dropped = estimate_drops(stamps_ns)
    calibration = 'no camera_info'
    if topics.camera_info:
        try:
            info = next(reader.messages([topics.camera_info])).decode()
            lens = intrinsics_from_camera_info(info, topics.name)
            calibration = f'{lens.width}x{lens.height} px, {lens.distortion_model}'
        except GeoPoseError as error:
            calibration = str(error)
    return RecordedCamera(topics, len(stamps_ns), rate_hz, dropped, calibration)


def format_report(reader: BagReader, report: BagContent) -> str:
    """Return the report as text."""
    duration_s = (reader.end_ns - reader.start_ns) / 1e9
    lines = [f'{reader.path}: {duration_s:.3f} s from {reader.start_ns} ns']
    if reader.damage:
        lines.append(reader.damage)
    lines += ['', 'topics:']
    for name, topic in sorted(reader.topics.items()):
        rate = f', {(topic.count - 1) / duration_s:.1f}/s' if topic.count > 1 and duration_s > 0.0 else ''
        lines.append(f'  {name}: {topic.count} x {topic.message_type}{rate}')
    lines += ['', 'cameras:' if report.cameras else 'cameras: none']
    for name, camera in report.cameras.items():
        kind = 'images' if camera.topics.image else 'keypoints'
        lines.append(
            f'  {name}: {camera.frames} {kind} at {camera.rate_hz:.1f}/s, about {camera.dropped} dropped; '
            f'{camera.calibration}'
        )
    lines += ['', f'rig: {report.rig_fault or "complete (camera_info and /tf_static of every camera)"}']
    if not report.rig_fault:
        lines += as_lines(report.rig_findings, least=Severity.WARNING)
    lines.append(f'geo_pose process: {"yes" if report.can_process else "only with --rig CALIBRATION"}')
    lines.append(f'geo_pose retrain: {"yes" if report.can_retrain else "no, needs a rig of at least two cameras"}')
    return '\n'.join(lines)
