"""The pipeline over every frame set of a bag; writes what the node would have published."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from ..arrays import FloatArray
from ..detection.checks import checked
from ..errors import BagError, FrameError, GeoPoseError
from ..messages.camera_info import camera_info_from_intrinsics
from ..messages.clouds.bodies import bodies_to_cloud
from ..messages.clouds.details import details_to_cloud
from ..messages.clouds.keypoints import keypoints_from_cloud, keypoints_to_cloud
from ..messages.diagnostics import Level, Status, diagnostics_to_message
from ..messages.image import frame_from_message
from ..messages.markers import bodies_to_markers
from ..messages.skeleton import skeleton_to_message
from ..messages.transforms import rig_to_transforms
from ..pipeline import PipelineResult, PosePipeline
from ..rigs.rig_file import rig_hash
from ..rigs.settings import TRACKING_FRAME, TransformConfig
from ..rigs.topics import CameraTopics
from ..scene.settings import PipelineConfig, SyncConfig
from ..scene.sync import DROP_CAUSES, DropCause, FrameSynchronizer
from ..settings import setting
from ..skeleton import BODY17, SKELETONS, get_skeleton
from ..types import CameraRig, Frame, Intrinsics, Keypoints2D
from .cameras import MovingBag, choose_cameras, read_transforms, rig_from_bag
from .message_factory import RosbagsFactory
from .read import BagMessage, BagReader, until_damage
from .sets import Stamped, synchronised
from .write import BagWriter

_LOG = logging.getLogger(__name__)

# The node's default name, whose private topics (~/...) are written.
NODE = '/pose_node'


@dataclass(frozen=True, slots=True)
class ProcessConfig:
    """Settings, with the names of the node's."""

    sync: SyncConfig = field(default_factory=SyncConfig)
    pipeline: PipelineConfig = field(default_factory=PipelineConfig)
    tracking_frame: str = setting('', TRACKING_FRAME)
    transforms: TransformConfig = field(default_factory=TransformConfig)
    keypoints_skeleton: str = setting('body17', 'Skeleton of recorded keypoint topics', choices=tuple(SKELETONS))


@dataclass(slots=True)
class ProcessSummary:
    """What processing a bag gave.

    Attributes:
        sets: frame sets processed.
        complete_sets: of these, with a usable frame of every camera.
        sets_with_bodies: of these, in which somebody was found.
        bodies: found in all sets together.
        unusable_frames: by camera.
        dropped_frames: in no set that was used, by camera and cause.
        incomplete_sets: left out, with fewer cameras than sync.min_cameras.
        failed_sets: that the pipeline could not fuse.
        reprojection_px: (n,) distances of all keypoints from the reprojected joints.
        stage_ms: by stage, one value per set.
    """

    sets: int = 0
    complete_sets: int = 0
    sets_with_bodies: int = 0
    bodies: int = 0
    unusable_frames: Counter[str] = field(default_factory=Counter)
    dropped_frames: Mapping[str, Mapping[DropCause, int]] = field(default_factory=dict)
    incomplete_sets: int = 0
    failed_sets: int = 0
    reprojection_px: list[FloatArray] = field(default_factory=list)
    stage_ms: dict[str, list[float]] = field(default_factory=dict)

    def __str__(self) -> str:
        residuals = np.concatenate(self.reprojection_px) if self.reprojection_px else np.zeros(0)
        parts = [
            f'{self.sets} frame sets ({self.complete_sets} with every camera), '
            f'bodies in {self.sets_with_bodies} of them, {self.bodies} bodies in all'
        ]
        if residuals.size:
            parts.append(f'median reprojection {np.median(residuals):.1f} px')
        if self.stage_ms:
            parts.append('ms per set: ' + ', '.join(f'{k} {np.mean(v):.1f}' for k, v in self.stage_ms.items()))
        if self.unusable_frames:
            counted = ', '.join(f'{name} {n}' for name, n in sorted(self.unusable_frames.items()))
            parts.append(f'unusable frames: {counted}')
        for name, causes in sorted(self.dropped_frames.items()):
            parts += [f'{n} frames of {name} not used: {DROP_CAUSES[cause]}' for cause, n in causes.items()]
        if self.incomplete_sets:
            parts.append(f'{self.incomplete_sets} sets left out with too few cameras')
        if self.failed_sets:
            parts.append(f'{self.failed_sets} sets failed')
        return '; '.join(parts)


def process_bag(
    bag: Path,
    out: Path,
    *,
    config: ProcessConfig | None = None,
    rig: CameraRig | None = None,
    cameras: Sequence[str] = (),
    world_frame_id: str = '',
    storage: str = 'mcap',
    overwrite: bool = False,
) -> ProcessSummary:
    """Run the pipeline over every frame set of ``bag`` and write the results, with the rig used, to ``out``.

    Images are detected; a bag that holds keypoints only, or the detector 'keypoints', is fused from those.
    A bag that is damaged at some point is processed up to there.

    Args:
        rig: None for that of the bag.
        cameras: names of those to use; () for all.
        world_frame_id: see ``rig_from_bag``.

    Raises:
        BagError: if the bag cannot be read, lacks a camera or camera_info, or ``out`` cannot be written.
        FrameError: if not one frame is usable.
    """
    config = config or ProcessConfig()
    with BagReader(bag) as reader:
        chosen = choose_cameras(reader, cameras)
        moving = None
        if config.tracking_frame:
            moving = MovingBag(reader, tuple(chosen), config.tracking_frame, config.transforms, rig)
            rig = moving.rig
        elif rig is None:
            rig = rig_from_bag(reader, tuple(chosen), world_frame_id)
        rig = rig.subset(list(chosen))
        by_topic = _source_topics(reader, chosen, from_keypoints=config.pipeline.detector.name == 'keypoints')
        with BagWriter(out, storage, overwrite=overwrite) as writer, PosePipeline(rig, config.pipeline) as pipeline:
            return _Run(rig, config, pipeline, writer, moving).process(reader, by_topic)


def _source_topics(reader: BagReader, cameras: Mapping[str, CameraTopics], *, from_keypoints: bool) -> dict[str, str]:
    """Return topic -> camera of what to process: images where there are any, else keypoints."""
    kind = 'keypoints' if from_keypoints or not any(topics.image for topics in cameras.values()) else 'image'
    by_topic = {getattr(topics, kind): name for name, topics in cameras.items() if getattr(topics, kind)}
    if not by_topic:
        raise BagError(f"Bag '{reader.path}' has no keypoints; it has: {', '.join(sorted(reader.topics))}.")
    without = sorted(set(cameras) - set(by_topic.values()))
    if without:
        _LOG.warning('No %s of the cameras %s; they are not used.', kind, ', '.join(without))
    return by_topic


@dataclass(frozen=True, slots=True)
class _Begun:
    """A set being detected, and what waits for it and fuses it."""

    stamp_ns: int
    finish: Callable[[], PipelineResult]


class _Run:
    """One pass over a bag."""

    def __init__(
        self, rig: CameraRig, config: ProcessConfig, pipeline: PosePipeline, writer: BagWriter,
        moving: MovingBag | None,
    ) -> None:
        self._rig, self._config, self._pipeline, self._writer, self._moving = rig, config, pipeline, writer, moving
        self._make = RosbagsFactory()
        self._previous_ids: list[int] = []
        self._first_error = ''
        self._summary = ProcessSummary()
        self._synchronizer: FrameSynchronizer[BagMessage] = FrameSynchronizer(
            rig.names, config.sync, newest_wins=False
        )
        self._tell_clocks()

    def process(self, reader: BagReader, by_topic: Mapping[str, str]) -> ProcessSummary:
        total = sum(reader.topics[topic].count for topic in by_topic)
        messages = tqdm(
            until_damage(reader.messages(by_topic)), desc='process', total=total, unit='frame', disable=None
        )
        # They arrive when they were received.
        stamped = (Stamped(by_topic[m.topic], m.stamp_ns, m.time_ns, m) for m in messages)
        last_ns = 0
        waiting: _Begun | None = None
        for number, found in enumerate(synchronised(stamped, self._synchronizer, by_topic.values())):
            if number == 0:
                self._write_rig(reader, found.stamp_ns)
            begun = self._begin(found.stamp_ns, found.payloads)
            # As in the node, a set is detected while the one before is fused and written.
            self._end(waiting)
            waiting, last_ns = begun, found.stamp_ns
        self._end(waiting)
        self._summary.incomplete_sets = self._synchronizer.counts.sets.get(DropCause.INCOMPLETE.value, 0)
        self._summary.dropped_frames = {n: causes for n, causes in self._synchronizer.counts.drops.items() if causes}
        if not self._summary.sets:
            raise FrameError(f"Not one frame of bag '{reader.path}' is usable. {self._first_error}".rstrip())
        self._write_diagnostics(last_ns)
        return self._summary

    def _begin(self, stamp_ns: int, frames: Mapping[str, BagMessage]) -> _Begun | None:
        """Begin with a set: images are being detected when this returns; None if that fails."""
        is_image = 'image_raw' in next(iter(frames.values())).topic
        poses = self._poses(frames)
        if poses is not None:
            frames = {name: message for name, message in frames.items() if name in poses}
        try:
            if not is_image:
                return _Begun(stamp_ns, partial(self._pipeline.fuse, stamp_ns, self._keypoints(frames), poses))
            max_side_px = self._config.pipeline.detector.max_side_px
            detection = self._pipeline.begin({
                name: partial(_load, message, name, self._rig[name].intrinsics, max_side_px)
                for name, message in frames.items()
            }, poses)
        except GeoPoseError as error:
            self._failed(stamp_ns, error)
            return None
        return _Begun(stamp_ns, lambda: self._pipeline.finish(stamp_ns, detection.views(), poses))

    def _poses(self, frames: Mapping[str, BagMessage]) -> dict[str, FloatArray] | None:
        """Return where cameras that move were, (3, 4) by name; those that no transform places are counted.

        None where cameras stand.
        """
        if self._moving is None:
            return None
        # Transforms are on the cameras' common clock.
        clocks = self._pipeline.clocks()
        stamps_ns = {name: clocks[name].common_ns(message.stamp_ns) for name, message in frames.items()}
        poses = self._moving.poses_at(stamps_ns)
        for name, fault in poses.faults.items():
            self._summary.unusable_frames[name] += 1
            self._note(f"Camera '{name}': {fault}")
        return dict(poses.cam_from_tracking)

    def _keypoints(self, frames: Mapping[str, BagMessage]) -> dict[str, Keypoints2D]:
        """Return the recorded keypoints of one set that can be used; what is wrong with the others is counted."""
        skeleton = get_skeleton(self._config.keypoints_skeleton)
        keypoints = {}
        for name, message in frames.items():
            lens = self._rig[name].intrinsics
            try:
                keypoints[name] = checked(
                    keypoints_from_cloud(message.decode(), name, skeleton), self._config.pipeline.detector.max_people,
                    lens.width, lens.height,
                )
            except GeoPoseError as error:
                self._summary.unusable_frames[name] += 1
                self._note(str(error))
        return keypoints

    def _end(self, begun: _Begun | None) -> None:
        """Finish, write and count a set."""
        if begun is None:
            return
        try:
            result = begun.finish()
        except GeoPoseError as error:
            self._failed(begun.stamp_ns, error)
            return
        self._tell_clocks()
        for name, reason in result.views.camera_errors.items():
            self._summary.unusable_frames[name] += 1
            self._note(reason)
        if result.keypoints:
            self._write(begun.stamp_ns, result)
            self._count(result)

    def _tell_clocks(self) -> None:
        """Let the next sets be made by the clocks that the rig tells and people's motion has shown."""
        self._synchronizer.use_clocks(self._pipeline.clocks())

    def _failed(self, stamp_ns: int, error: GeoPoseError) -> None:
        self._summary.failed_sets += 1
        self._note(f'Set at {stamp_ns} ns: {error}')

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
        summary.reprojection_px += result.scene.residuals_px.values()
        for stage, ms in result.stage_ms.items():
            summary.stage_ms.setdefault(stage, []).append(ms)

    def _write_rig(self, reader: BagReader, stamp_ns: int) -> None:
        """Write what a reader of the results, or a retraining, needs to know once; where the rig moves, how."""
        if self._moving is None:
            self._send('/tf_static', rig_to_transforms(self._make, self._rig, stamp_ns), stamp_ns)
        else:
            for message in read_transforms(reader):
                self._send(message.topic, message.decode(), message.time_ns)
        for camera in self._rig.cameras:
            info = camera_info_from_intrinsics(self._make, camera.intrinsics, stamp_ns, camera.frame_id)
            self._send(f'/{camera.name}/camera_info', info, stamp_ns)
        skeleton = skeleton_to_message(self._make, BODY17, self._rig, rig_hash(self._rig), self._pipeline.model_sha256)
        self._send(f'{NODE}/skeleton', skeleton, stamp_ns)

    def _write(self, stamp_ns: int, result: PipelineResult) -> None:
        for name, keypoints in result.keypoints.items():
            cloud = keypoints_to_cloud(self._make, keypoints, self._rig[name].frame_id)
            self._send(f'{NODE}/keypoints/{name}', cloud, stamp_ns)
        self._send(f'{NODE}/bodies', bodies_to_cloud(self._make, result.bodies), stamp_ns)
        self._send(f'{NODE}/details', details_to_cloud(self._make, result.bodies), stamp_ns)
        markers = bodies_to_markers(self._make, result.bodies, self._previous_ids)
        self._send(f'{NODE}/markers', markers, stamp_ns)
        self._previous_ids = result.bodies.body_ids.tolist()

    def _write_diagnostics(self, stamp_ns: int) -> None:
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
                **{f'dropped: {DROP_CAUSES[c]}': str(n) for c, n in summary.dropped_frames.get(name, {}).items()},
            }
            for name in self._rig.names
        }
        statuses = [Status(name, Level.OK, 'processed offline', report) for name, report in reports.items()]
        message = diagnostics_to_message(self._make, NODE.lstrip('/'), statuses, stamp_ns)
        self._send('/diagnostics', message, stamp_ns)

    def _send(self, topic: str, message: Any, stamp_ns: int) -> None:
        self._writer.write(topic, message, stamp_ns)


def _load(message: BagMessage, camera: str, intrinsics: Intrinsics, max_side_px: int) -> Frame:
    return frame_from_message(message.decode(), camera, intrinsics, max_side_px)
