# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The pipeline over every set of a bag; writes what the node would have published."""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ..arrays import FloatArray
from ..errors import BagError, FrameError, GeoPoseError, TransformError
from ..evaluation.findings import exchanged_sides, where_is
from ..evaluation.quality import ObservedSet
from ..evaluation.settings import ReportConfig
from ..evaluation.statistics import RecordingStatistics
from ..evaluation.verdict import verdict_of
from ..findings import Finding, Severity, Verdict
from ..geometry.stats import nan_percentile
from ..messages.clouds.details import details_to_cloud
from ..messages.diagnostics import Level, Status, diagnostics_to_message, verdict_to_status
from ..messages.markers import bodies_to_markers
from ..messages.skeleton import skeleton_to_message
from ..pipeline import PipelineResult, PosePipeline
from ..rigs.plausibility import log_findings, require_possible
from ..rigs.rig_file import rig_hash
from ..rigs.settings import (
    CAMERA_INFO_TOPICS,
    IMAGE_TOPICS,
    RECTIFIED,
    RECTIFIED_CHOICES,
    TRACKING_FRAME,
    TransformConfig,
)
from ..rigs.topics import IMAGE, CameraChoice, CameraTopics, fill_template
from ..runner import MessageReader, SetRunner
from ..scene.bodies import MeasuredBodies
from ..scene.settings import PipelineConfig, SmoothingConfig, SyncConfig
from ..scene.smoother import smooth_people
from ..scene.sync import DROP_CAUSES, DropCause, FrameCounts, FrameSynchronizer, StampedSet
from ..scene.sync.depths import DepthImages
from ..settings import setting
from ..skeleton import SKELETONS, Skeleton, get_skeleton
from ..types import CameraRig
from .cameras import (
    FirstImage,
    LeftOut,
    MovingBag,
    calibrated_cameras,
    choose_cameras,
    read_transforms,
    rig_from_bag,
    usable_cameras,
)
from .message_factory import RosbagsFactory
from .read import BagMessage, BagReader, until_damage
from .sets import Stamped, synchronised
from .write import NODE, BagWriter

_LOG = logging.getLogger(__name__)

# A depth image is received at most so much later than its colour image.
_DEPTH_LATE_NS = 200_000_000
# A camera whose frames are not used to this share is at fault; causes that are no camera's fault.
_MOST = 0.5
_HARMLESS = (DropCause.SUPERSEDED, DropCause.SHUTDOWN, DropCause.INCOMPLETE)


@dataclass(frozen=True, slots=True)
class ProcessConfig:
    """Settings, with the names of the node's."""

    sync: SyncConfig = field(default_factory=SyncConfig)
    pipeline: PipelineConfig = field(default_factory=PipelineConfig)
    smoothing: SmoothingConfig = field(default_factory=SmoothingConfig)
    tracking_frame: str = setting('', TRACKING_FRAME)
    transforms: TransformConfig = field(default_factory=TransformConfig)
    cameras: tuple[str, ...] = setting((), 'Camera names; empty: all of the bag')
    image_topics: tuple[str, ...] = setting((), IMAGE_TOPICS)
    camera_info_topics: tuple[str, ...] = setting((), CAMERA_INFO_TOPICS)
    rectified: str = setting('auto', RECTIFIED, choices=RECTIFIED_CHOICES)
    world_frame: str = setting('', 'World frame in /tf_static; empty: its root')
    keypoints_skeleton: str = setting('body17', 'Skeleton of recorded keypoint topics', choices=tuple(SKELETONS))

    @property
    def choice(self) -> CameraChoice:
        """Which cameras are used, and what they send."""
        return CameraChoice(self.cameras, self.image_topics, self.camera_info_topics, self.rectified)


@dataclass(slots=True)
class ProcessSummary:
    """What processing a bag gave.

    Attributes:
        sets: how many were processed.
        complete_sets: those with a usable frame of every camera.
        sets_with_bodies: those in which somebody was found.
        bodies: found in all sets together.
        unusable_frames: by camera.
        dropped_frames: in no set that was used, by camera and cause.
        incomplete_sets: those left out, with fewer cameras than sync.min_cameras.
        failed_sets: those that the pipeline could not fuse.
        repaired_sides: arms or legs of a person whose sides the detector had exchanged, by camera.
        reprojection_px: (n,) distances of all keypoints from the reprojected joints.
        stage_ms: by stage, one value per set.
        verdict: of the whole.
    """

    sets: int = 0
    complete_sets: int = 0
    sets_with_bodies: int = 0
    bodies: int = 0
    unusable_frames: Counter[str] = field(default_factory=Counter)
    dropped_frames: Mapping[str, Mapping[DropCause, int]] = field(default_factory=dict)
    incomplete_sets: int = 0
    failed_sets: int = 0
    repaired_sides: Counter[str] = field(default_factory=Counter)
    reprojection_px: list[FloatArray] = field(default_factory=list)
    stage_ms: dict[str, list[float]] = field(default_factory=dict)
    verdict: Verdict = field(default_factory=partial(Verdict, 'no set'))

    @property
    def median_px(self) -> float:
        """Median of ``reprojection_px``; NaN if nothing was reprojected."""
        return nan_percentile(np.concatenate([np.zeros(0), *self.reprojection_px]), 50)

    def __str__(self) -> str:
        parts = [
            self.verdict.in_words,
            f'{self.sets} sets ({self.complete_sets} with every camera), bodies in {self.sets_with_bodies} of them',
        ]
        if self.stage_ms:
            parts.append('ms per set: ' + ', '.join(f'{k} {np.mean(v):.1f}' for k, v in self.stage_ms.items()))
        if self.unusable_frames:
            counted = ', '.join(f'{name} {n}' for name, n in sorted(self.unusable_frames.items()))
            parts.append(f'unusable frames: {counted}')
        for name, causes in sorted(self.dropped_frames.items()):
            parts += [f'{n} frames of {name} not used: {DROP_CAUSES[cause]}' for cause, n in causes.items()]
        if self.incomplete_sets:
            parts.append(f'{self.incomplete_sets} sets left out with too few cameras')
        repaired = ', '.join(f'{name} {n}' for name, n in sorted(self.repaired_sides.items()) if n)
        if repaired:
            parts.append(f'left and right of arms or legs repaired: {repaired}')
        if self.failed_sets:
            parts.append(f'{self.failed_sets} sets failed')
        return '; '.join(parts)


def process_bag(
    bag: Path,
    out: Path,
    *,
    config: ProcessConfig | None = None,
    rig: CameraRig | None = None,
    storage: str = 'mcap',
    overwrite: bool = False,
) -> ProcessSummary:
    """Run the pipeline over every set of ``bag`` and write the results, with the rig used, to ``out``.

    Images are detected; a bag that holds keypoints only, or the detector 'keypoints', is fused from those.
    A bag that is damaged at some point is processed up to there.

    Args:
        bag, out: paths of bags.
        config: settings; None for the defaults.
        rig: None for that of the bag.
        storage: of ``out``: mcap or sqlite3.
        overwrite: replace a bag at ``out``.

    Raises:
        BagError: if the bag cannot be read, lacks a camera or camera_info, or ``out`` cannot be written.
        FrameError: if not one frame is usable.
        CalibrationError: if the rig is impossible.
    """
    config = config or ProcessConfig()
    with BagReader(bag) as reader:
        left_out: LeftOut = {}
        chosen, rig, moving = _cameras_of(reader, config, rig, left_out)
        detector = config.pipeline.detector
        has_images = detector.name != 'keypoints' and any(topics.image for topics in chosen.values())
        cameras = _topics_of(reader, chosen, 'image' if has_images else 'keypoints')
        read: MessageReader[BagMessage] = MessageReader(
            lambda camera, message: message.decode(), detector, get_skeleton(config.keypoints_skeleton),
            () if has_images else tuple(cameras.values()),
            depths=DepthImages(BagMessage.decode) if has_images and config.pipeline.depth.enabled else None,
        )
        with BagWriter(out, storage, overwrite=overwrite) as writer, PosePipeline(rig, config.pipeline) as pipeline:
            synchronizer: FrameSynchronizer[BagMessage] = FrameSynchronizer(rig.names, config.sync, newest_wins=False)
            judged = ReportConfig(up=config.pipeline.lifter.up, lifter=config.pipeline.lifter.model)
            sink = _BagSink(rig, pipeline.skeleton, writer, left_out, judged, stands=moving is None)
            if config.smoothing.enabled:
                sink.smoothing = config.smoothing
            runner = SetRunner(pipeline, read, sink, moving, synchronizer.use_clocks)
            frames = _frames(reader, cameras)
            if read.depths is not None:
                frames = _beside_depths(reader, cameras, config.pipeline.depth.topic, read.depths)
            sets = synchronised(frames, synchronizer, cameras.values())
            for number, found in enumerate(sets):
                if number == 0:
                    transforms = () if moving is None else read_transforms(reader)
                    sink.write_rig(transforms, found.stamp_ns, pipeline.model_sha256)
                runner.process(found)
            runner.wait()
            return sink.finish(reader.path, synchronizer)


def _cameras_of(
    reader: BagReader, config: ProcessConfig, rig: CameraRig | None, left_out: LeftOut
) -> tuple[dict[str, CameraTopics], CameraRig, MovingBag | None]:
    """Return the cameras that can be used, their rig, and where they move; ``left_out`` gets the others."""
    chosen = choose_cameras(reader, config.choice)
    images: dict[str, FirstImage] = {}
    if config.pipeline.detector.name != 'keypoints':
        chosen, images = usable_cameras(reader, chosen, left_out)
    moving = None
    if config.tracking_frame:
        moving = MovingBag(reader, chosen, config.tracking_frame, config.transforms, rig)
        rig = moving.rig
    elif rig is None:
        rig = rig_from_bag(reader, chosen, config.world_frame, left_out)
    chosen, rig = calibrated_cameras(chosen, images, rig, left_out)
    if moving is None:
        log_findings(require_possible(rig, config.pipeline.lifter.up))
    return chosen, rig, moving


def _topics_of(reader: BagReader, cameras: Mapping[str, CameraTopics], kind: str) -> dict[str, str]:
    """Return the cameras by the topics of their images (``kind`` image) or keypoints, as far as they have one."""
    by_topic = {getattr(topics, kind): name for name, topics in cameras.items() if getattr(topics, kind)}
    if not by_topic:
        raise BagError(f"Bag '{reader.path}' has no keypoints; it has: {', '.join(sorted(reader.topics))}.")
    without = sorted(set(cameras) - set(by_topic.values()))
    if without:
        _LOG.warning('No %s of the cameras %s; they are not used.', kind, ', '.join(without))
    return by_topic


def _frames(reader: BagReader, cameras: Mapping[str, str]) -> Iterator[Stamped[BagMessage]]:
    """Yield the messages of ``cameras``, by topic, in the order received, up to where the bag is damaged."""
    total = sum(reader.topics[topic].count for topic in cameras)
    messages = until_damage(reader.messages(cameras))
    for message in tqdm(messages, desc='process', total=total, unit='frame', disable=None):
        yield Stamped(cameras[message.topic], message.stamp_ns, message.time_ns, message)


def _beside_depths(
    reader: BagReader, cameras: Mapping[str, str], template: str, depths: DepthImages[BagMessage]
) -> Iterator[Stamped[BagMessage]]:
    """Yield what ``_frames`` does, a little later, when ``depths`` has the depth images of then.

    Raises:
        BagError: if no camera has such a topic.
        ConfigError: if the template is none.
    """
    topics = {f'/{fill_template(template, name).strip("/")}': name for name in cameras.values()}
    found = {topic: name for topic, name in topics.items() if topic in reader.topics}
    if not found:
        raise BagError(
            f"Bag '{reader.path}' has no depth images at {', '.join(topics)}. Set pipeline.depth.topic to one of: "
            f'{", ".join(sorted(t.name for t in reader.topics.values() if t.message_type == IMAGE)) or "it has none"}.'
        )
    waiting: deque[Stamped[BagMessage]] = deque()
    for frame in _frames(reader, {**cameras, **found}):
        if frame.item.topic in found:
            depths.add(frame.camera, frame.stamp_ns, frame.item)
        else:
            waiting.append(frame)
        while waiting and waiting[0].arrived_ns < frame.arrived_ns - _DEPTH_LATE_NS:
            yield waiting.popleft()
    yield from waiting


class _BagSink:
    """Writes and counts results; a runner's sink."""

    def __init__(
        self, rig: CameraRig, skeleton: Skeleton, writer: BagWriter, left_out: LeftOut, judged: ReportConfig, *,
        stands: bool,
    ) -> None:
        self._rig, self._skeleton, self._writer = rig, skeleton, writer
        self._left_out, self._judged = left_out, judged
        self._make = RosbagsFactory()
        self._previous_ids: list[int] = []
        self._first_error = ''
        # Why frames of a camera could not be used: the first reason of each.
        self._reasons: dict[str, str] = {}
        self._last_ns = 0
        self._summary = ProcessSummary()
        # Where results are smoothed, what waits for the end: measured bodies, and the set.
        self.smoothing: SmoothingConfig | None = None
        self._held: list[tuple[MeasuredBodies, ObservedSet]] = []
        # Nothing is compared with cameras that move.
        self._statistics = RecordingStatistics(skeleton, rig if stands else None, judged)

    def take(self, found: StampedSet[BagMessage], result: PipelineResult) -> None:
        """Write and count a result; one without a usable camera is none."""
        for name, reason in result.views.camera_errors.items():
            self._unusable(name, reason)
        if result.keypoints:
            self._last_ns = found.stamp_ns
            for name, keypoints in result.keypoints.items():
                self._writer.write_keypoints(keypoints, self._rig[name].frame_id, found.stamp_ns)
            self._count(result)
            seen = ObservedSet(result.bodies.stamp_ns, result.keypoints, result.bodies)
            if self.smoothing is None or result.scene.measured is None:
                self._write_bodies(seen)
            else:
                self._held.append((result.scene.measured, seen))

    def unplaced(self, faults: Mapping[str, TransformError]) -> None:
        """Count the frames of moving cameras whose poses are not known."""
        for name, fault in faults.items():
            self._unusable(name, f"Camera '{name}': {fault}")

    def failed(self, stamp_ns: int, error: GeoPoseError) -> None:
        """Count a set that gave nothing."""
        self._summary.failed_sets += 1
        self._note(f'Set at {stamp_ns} ns: {error}')

    def finish(self, bag: Path, synchronizer: FrameSynchronizer[BagMessage]) -> ProcessSummary:
        """Write the diagnostics of the whole run and return its summary; raise FrameError if it gave nothing."""
        summary = self._summary
        summary.incomplete_sets = synchronizer.counts.sets.get(DropCause.INCOMPLETE.value, 0)
        summary.dropped_frames = {n: causes for n, causes in synchronizer.counts.drops.items() if causes}
        if not summary.sets:
            raise FrameError(f"Not one frame of bag '{bag}' is usable. {self._first_error}".rstrip())
        self._write_smoothed()
        summary.verdict = verdict_of(self._statistics.report(), self._judged, noted=self._noted(synchronizer.counts))
        self._write_diagnostics()
        return summary

    def _unusable(self, name: str, reason: str) -> None:
        self._summary.unusable_frames[name] += 1
        self._reasons.setdefault(name, reason)
        self._note(reason)

    def _noted(self, counts: FrameCounts) -> Iterator[Finding]:
        """Yield which cameras and frames could not be used, and why: what the results do not show."""
        for name, reason in self._left_out.items():
            yield Finding(Severity.ERROR, reason, 'It is left out.', where_is(name), 'left out')
        least = ReportConfig().missing_ratio
        for name in self._rig.names:
            received, where = counts.received.get(name, 0), where_is(name)
            exchanged = 0.5 * self._summary.repaired_sides[name] / max(self._summary.bodies, 1)
            if exchanged > self._judged.exchanged_ratio:
                yield exchanged_sides(exchanged, name, 'repaired')
            unusable = self._summary.unusable_frames[name]
            if unusable > least * received:
                severity = Severity.ERROR if unusable > _MOST * received else Severity.WARNING
                share = 'none of its' if unusable >= received else f'{unusable} of its'
                used = 'frames was used' if unusable >= received else 'frames were not used'
                yield Finding(severity, f'{share} {received} {used}: {self._reasons[name]}', '', where, 'unreadable')
            for cause, dropped in counts.drops.get(name, {}).items():
                if dropped > least * received and cause not in _HARMLESS:
                    severity = Severity.ERROR if dropped > _MOST * received else Severity.WARNING
                    yield Finding(
                        severity, f'{dropped} of its {received} frames were not used: {DROP_CAUSES[cause]}.',
                        'Synchronise the clocks.' if cause == DropCause.CLOCK else '', where,
                        'clock' if cause == DropCause.CLOCK else 'unused',
                    )

    def _note(self, error: str) -> None:
        """Warn of the first fault; the summary counts the others."""
        if not self._first_error:
            self._first_error = error
            _LOG.warning('%s (further faults are counted)', error)

    def _count(self, result: PipelineResult) -> None:
        summary = self._summary
        summary.sets += 1
        summary.complete_sets += len(result.keypoints) == len(self._rig)
        summary.sets_with_bodies += len(result.bodies) > 0
        summary.bodies += len(result.bodies)
        summary.repaired_sides.update(result.scene.exchanged)
        summary.reprojection_px += result.scene.residuals_px.values()
        for stage, ms in result.stage_ms.items():
            summary.stage_ms.setdefault(stage, []).append(ms)

    def write_rig(self, transforms: Iterable[BagMessage], stamp_ns: int, model_sha256: str) -> None:
        """Write what a reader of the results, or a retraining, needs to know once.

        Args:
            transforms: how the rig moves; none where it stands.
            stamp_ns: of the first set.
            model_sha256: the lifter's.
        """
        message = None
        for message in transforms:
            self._writer.write(message.topic, message.decode(), message.time_ns)
        if message is None:
            self._writer.write_transforms(self._rig, stamp_ns)
        for camera in self._rig.cameras:
            self._writer.write_lens(camera, stamp_ns)
        skeleton = skeleton_to_message(self._make, self._skeleton, self._rig, rig_hash(self._rig), model_sha256)
        self._writer.write(f'{NODE}/skeleton', skeleton, stamp_ns)

    def _write_bodies(self, seen: ObservedSet) -> None:
        """Write and judge the bodies of a set."""
        bodies, stamp_ns = seen.bodies, seen.bodies.stamp_ns
        self._writer.write_bodies(bodies)
        self._writer.write(f'{NODE}/details', details_to_cloud(self._make, bodies), stamp_ns)
        markers = bodies_to_markers(self._make, bodies, self._previous_ids)
        self._writer.write(f'{NODE}/markers', markers, stamp_ns)
        self._previous_ids = bodies.body_ids.tolist()
        self._statistics.add_set(seen)

    def _write_smoothed(self) -> None:
        """Smooth what waits for it, and write it."""
        if self.smoothing is None or not self._held:
            return
        measured, sets = zip(*self._held, strict=True)
        smoothed = smooth_people(measured, [seen.bodies for seen in sets], self.smoothing)
        for seen, bodies in zip(sets, smoothed, strict=True):
            self._write_bodies(replace(seen, bodies=bodies))
        self._summary.bodies = sum(map(len, smoothed))
        self._summary.sets_with_bodies = sum(len(bodies) > 0 for bodies in smoothed)

    def _write_diagnostics(self) -> None:
        """Write what the whole run was like, with the names that the node uses."""
        summary = self._summary
        values = {
            'sets_published': str(summary.sets), 'bodies': str(summary.bodies),
            'sets incomplete': str(summary.incomplete_sets), 'sets failed': str(summary.failed_sets),
            **{f'stage_ms {stage}': f'{np.mean(ms):.2f}' for stage, ms in summary.stage_ms.items()},
        }
        reports = {'pipeline': values} | {
            f'camera {name}': {
                'unusable: frame': str(summary.unusable_frames[name]),
                'sides repaired': str(summary.repaired_sides[name]),
                **{f'dropped: {DROP_CAUSES[c]}': str(n) for c, n in summary.dropped_frames.get(name, {}).items()},
            }
            for name in self._rig.names
        }
        statuses = [Status(name, Level.OK, 'processed offline', report) for name, report in reports.items()]
        statuses.append(verdict_to_status(summary.verdict))
        message = diagnostics_to_message(self._make, NODE.lstrip('/'), statuses, self._last_ns)
        self._writer.write('/diagnostics', message, self._last_ns)
