# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""What is in a bag, and what can be done with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from ..arrays import IntArray
from ..errors import BagError, CalibrationError, GeoPoseError
from ..findings import Finding, Severity, as_lines
from ..messages.camera_info import fit_to_images, intrinsics_from_camera_info, rectified_from_camera_info
from ..messages.stamps import NO_STAMP
from ..rigs.plausibility import check_rig
from ..rigs.topics import CameraChoice, CameraTopics, survey_cameras
from ..types import CameraRig, Intrinsics
from .cameras import FirstImage, choose_cameras, first_image, rig_from_bag, why_no_camera
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
        first: its first image, decoded; None for keypoints.
        fault: why its images cannot be used with its camera_info; '' if they can.
        notes: what is to be said of frames that can be used.
    """

    topics: CameraTopics
    frames: int
    rate_hz: float
    dropped: int
    calibration: str
    first: FirstImage | None = None
    fault: str = ''
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BagContent:
    """A bag.

    Attributes:
        cameras: those whose topics have the names of cameras, by name.
        left_out: why others are left out, by name.
        why_none: why there is no camera; '' if there is one.
        rig: of the cameras that can be used, from camera_info and /tf_static; None if there is none that can be.
        rig_fault: why there is none; '' if there is one.
        rig_findings: what is improbable of it.
    """

    cameras: Mapping[str, RecordedCamera]
    left_out: Mapping[str, str]
    why_none: str
    rig: CameraRig | None
    rig_fault: str
    rig_findings: tuple[Finding, ...] = ()

    @property
    def usable(self) -> tuple[str, ...]:
        """The cameras whose frames can be decoded, and fit their calibration where they have one."""
        return tuple(name for name, camera in self.cameras.items() if not camera.fault)

    @property
    def can_retrain(self) -> bool:
        """Whether the lifter can be retrained from it: a rig of two cameras or more."""
        return self.rig is not None and len(self.rig) >= 2


def inspect_bag(reader: BagReader, choice: CameraChoice | Sequence[str] = ()) -> BagContent:
    """Read the stamps of all frames of an open bag, decode one image of each camera, and say what it holds.

    Raises:
        BagError: for a camera or a topic that is chosen and is not there.
    """
    survey = survey_cameras(reader.topics.values())
    reasons, why_none, cameras = dict(survey.reasons), '', {}
    if survey.cameras or choice not in ((), CameraChoice()):
        cameras = choose_cameras(reader, choice)
        reasons = {name: reason for name, reason in reasons.items() if name not in cameras}
    else:
        why_none = why_no_camera(reader, survey)
    sources = {topics.image or topics.keypoints: name for name, topics in cameras.items()}
    stamps: dict[str, list[int]] = {name: [] for name in cameras}
    total = sum(reader.topics[topic].count for topic in sources)
    messages = until_damage(reader.messages(sources))
    for message in tqdm(messages, desc='info', total=total, unit='frame', disable=None, leave=False):
        stamps[sources[message.topic]].append(message.stamp_ns)
    reports = {name: _describe_camera(reader, topics, stamps[name]) for name, topics in cameras.items()}
    usable = {name: topics for name, topics in cameras.items() if not reports[name].fault}
    try:
        if not usable:
            raise BagError(why_none or 'no camera can be used')
        rig = rig_from_bag(reader, usable)
        found = check_rig(rig)
    except GeoPoseError as error:
        return BagContent(reports, reasons, why_none, None, str(error))
    fault = ' '.join(finding.text for finding in found if finding.severity == Severity.ERROR)
    return BagContent(reports, reasons, why_none, None if fault else rig, fault, found)


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
    first = first_image(reader, topics) if topics.image else None
    calibration, fault, notes = 'no camera_info', '' if first is None else first.fault, []
    if topics.camera_info:
        try:
            info = next(reader.messages([topics.camera_info])).decode()
            lens = (
                rectified_from_camera_info(info, topics.name)[0] if topics.rectified
                else intrinsics_from_camera_info(info, topics.name)
            )
            calibration = f'{lens.width}x{lens.height} px, {"rectified" if topics.rectified else lens.distortion_model}'
            if first is not None and not fault:
                fault, note = _fit(lens, first, topics.name)
                notes += [note] if note else []
        except GeoPoseError as error:
            calibration = str(error)
    if (topics.image or topics.keypoints) in reader.unstamped:
        notes.append(f'{NO_STAMP[0].upper()}{NO_STAMP[1:]}.')
    return RecordedCamera(topics, len(stamps_ns), rate_hz, dropped, calibration, first, fault, tuple(notes))


def _fit(lens: Intrinsics, first: FirstImage, name: str) -> tuple[str, str]:
    """Return why images do not fit a lens, and what is to be said where they do."""
    try:
        return '', fit_to_images(lens, first.width, first.height, name)[1]
    except CalibrationError as error:
        return str(error), ''


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
    lines += ['', 'cameras:' if report.cameras or report.left_out else 'cameras: none']
    for name, camera in report.cameras.items():
        kind = 'images' if camera.topics.image else 'keypoints'
        lines.append(
            f'  {name}: {camera.frames} {kind} at {camera.rate_hz:.1f}/s, about {camera.dropped} dropped; '
            f'{camera.calibration}'
        )
        if camera.first is not None and not camera.first.fault:
            lines.append(f'    first image: {camera.first.width}x{camera.first.height} px, {camera.first.kind}')
        lines += [f'    cannot be used: {camera.fault}'] if camera.fault else []
        lines += [f'    {note}' for note in camera.notes]
    lines += [f'  {name}: left out, {reason}' for name, reason in report.left_out.items()]
    lines += ['', f'rig: {_rig_in_words(report)}']
    if report.rig is not None:
        lines += as_lines(report.rig_findings, least=Severity.WARNING)
    lines.append(f'geo_pose process: {_process_in_words(report)}')
    lines.append(f'geo_pose retrain: {"yes" if report.can_retrain else "no, needs a rig of at least two cameras"}')
    return '\n'.join(lines)


def _rig_in_words(report: BagContent) -> str:
    if report.rig is None:
        return report.rig_fault
    if len(report.rig) == len(report.cameras):
        return 'complete (camera_info and /tf_static of every camera)'
    return f'of {", ".join(report.rig.names)} (camera_info and /tf_static)'


def _process_in_words(report: BagContent) -> str:
    if report.rig is not None:
        every = len(report.rig) == len(report.cameras) and not report.left_out
        return 'yes' if every else f'yes, with {", ".join(report.rig.names)}'
    if report.why_none or not report.usable:
        return f'no, {report.why_none or "not one image can be used"}'
    return 'only with --rig CALIBRATION'
