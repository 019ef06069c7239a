# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""pose_node: a lifecycle node from camera topics to 3D bodies."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from time import monotonic_ns

from ... import compiled
from ...detection import create_detector
from ...detection.models.profiles import choose_profile
from ...detection.stage import load_detector
from ...errors import FrameError, GeoPoseError
from ...evaluation.quality import ObservedSet
from ...evaluation.settings import ReportConfig
from ...evaluation.verdict import RecentVerdict
from ...findings import Finding, Verdict
from ...messages.cdr import header_stamp_ns
from ...pipeline import PipelineResult
from ...rigs.builder import check_file
from ...rigs.topics import IMAGE
from ...scene.sync import FrameCounts, FrameSynchronizer, StampedSet
from ...types import CameraRig, ClockModel
from ..health.diagnostics import CountsHistory, pipeline_part, rig_part, synchronised_part
from ..health.faults import Part
from ..io.message_factory import message_class
from ..io.topics import full_name, sends_only_keypoints
from ..settings import NodeConfig
from .calibrating import Calibrating
from .lifecycle import LifecycleHost
from .model_changes import load_lifter, offer_reload, reload_detector
from .outputs import CameraOutputs, Outputs
from .processing import SetProcessor
from .rig_source import CameraSet, RigSource, same_cameras
from .session import CameraSession
from .worker import NewestWorker

_ANOTHER_NAME = 'Start each node with a name or namespace of its own (-r __node:=NAME, -r __ns:=/NAMESPACE).'


class PoseSession(CameraSession[NodeConfig, StampedSet[bytes]]):
    """Rig, models, topics and the worker of a configured pose_node."""

    STATUS = 'pipeline'

    def _make(self, made: ExitStack) -> None:
        node, config = self._node, self._config
        self._history = CountsHistory()
        # Topics of depth images, as subscribed to, by camera.
        self._depth_topics: dict[str, str] = {}
        self._recent = RecentVerdict(ReportConfig(up=config.pipeline.lifter.up, lifter=config.pipeline.lifter.model))
        self._cameras = cameras = CameraSet.of(node, config)
        # No set waits for it.
        compiled.prepare(self._logger.info)
        self._source = RigSource(node, cameras, config, self._on_bad_transform)
        made.callback(self._source.close)
        self._source.subscribe_transforms()
        self._outputs = Outputs(node, config)
        made.callback(self._outputs.close)
        self._calibrating = self._make_calibrating(made)
        self._processor = SetProcessor(
            node, config, self._source, self._statistics, self._outputs, self._on_published, self._use_clocks
        )
        made.callback(self._processor.close)
        self._synchronizer: FrameSynchronizer[bytes] = FrameSynchronizer(cameras.names, config.sync)
        self._worker = NewestWorker(self._synchronizer, self._processor.process, self._on_crash)
        self._processor.use_cameras(cameras.names, config)
        for name in cameras.names:
            self._add_camera(name)
        reload = offer_reload(node, self._reload_model)
        if reload is not None:
            made.callback(node.destroy_service, reload)

    def _make_calibrating(self, made: ExitStack) -> Calibrating | None:
        """Return what refines the rig on demand, if that is wanted."""
        config = self._config
        # Whoever carries cameras moves them; what they saw before would not fit.
        if not config.calibration.watch or config.tracking_frame:
            return None
        rig_path = Path(config.rig).expanduser() if config.rig else None
        calibrating = Calibrating(self._node, config.calibration, self._source.use_refined, rig_path)
        made.callback(calibrating.close)
        return calibrating

    def _add_camera(self, name: str) -> None:
        self._outputs.cameras[name] = CameraOutputs(self._node, name, active=self._polled is not None)
        self._add_input(name, self._cameras.topics[name])

    def _remove_camera(self, name: str) -> None:
        self._inputs.pop(name)
        self._outputs.cameras.pop(name).close()
        self._statistics.remove(name)

    def _subscribe(self) -> None:
        self._processor.publish_skeleton()
        if self._polled is not None:
            self._source.listen_for_camera_info(self._polled)
        self._depth_topics.clear()
        self._listen_for_depths()
        self._history.clear()

    def _listen_for_depths(self) -> None:
        """Subscribe to the depth images of the cameras, if they are used; unsubscribe from those of cameras gone."""
        depths, polled = self._processor.depths, self._polled
        if depths is None or polled is None:
            return
        template = self._config.pipeline.depth.topic
        wanted = {name: full_name(self._node, template, name) for name in self._cameras.names}
        for name in [name for name in self._depth_topics if name not in wanted]:
            polled.unsubscribe(self._depth_topics.pop(name))

        def take(name: str, cdr: bytes, _: int) -> None:
            with suppress(FrameError):
                depths.add(name, header_stamp_ns(cdr), cdr)

        for name, topic in wanted.items():
            if name not in self._depth_topics:
                self._depth_topics[name] = topic
                polled.subscribe(message_class(IMAGE), topic, partial(take, name), self._qos)

    def _unsubscribe(self) -> None:
        self._source.stop_listening()
        self._processor.wait()
        self._outputs.publish_nobody()

    def _describe(self) -> str:
        config = self._config
        return (
            f'transport {config.transport}, '
            + (f'rig {config.rig}' if config.rig else 'calibration from camera_info and /tf_static')
            + (f', moving in {config.tracking_frame}' if config.tracking_frame else '')
            + f', {choose_profile(config.pipeline.detector, len(self._inputs) or 1)[1]}'
        )

    def _totals(self) -> str:
        counts = self._read_counts()
        drops: Counter[str] = Counter()
        for causes in counts.drops.values():
            drops.update({cause.value: n for cause, n in causes.items()})
        return (
            f'{sum(counts.received.values())} frames in, {self._statistics.published} sets published, '
            f'frames dropped: {dict(drops) or "none"}'
        )

    # Live settings.

    def prepare(self, config: NodeConfig) -> None:
        """Make ready what ``apply`` needs to take over ``config``; raise GeoPoseError if it cannot be taken over."""
        if config.pipeline.lifter != self._config.pipeline.lifter:
            self._processor.lifters.prepare(load_lifter(config.pipeline.lifter))
        if config.pipeline.detector.model != self._config.pipeline.detector.model:
            wanted = config.pipeline.detector, len(self._inputs) or 1, config.pipeline.skeleton
            self._processor.detectors.prepare(load_detector(*wanted))
        if not same_cameras(config, self._config):
            cameras = self._read_cameras(config)
            had_none = sends_only_keypoints(self._config, self._cameras.names)
            if had_none and not sends_only_keypoints(config, cameras.names):
                create_detector(config.pipeline.detector).close()

    def apply(self, config: NodeConfig) -> None:
        """Take over the settings that are live."""
        with self._lock:
            if self._closed:
                return
            if config.pipeline.lifter != self._config.pipeline.lifter:
                self._processor.lifters.change()
            if config.pipeline.detector.model != self._config.pipeline.detector.model:
                self._processor.detectors.change()
            if not same_cameras(config, self._config):
                try:
                    self._change_cameras(self._read_cameras(config), config)
                except GeoPoseError as error:
                    # It was right when it was set: the rig file has changed since.
                    self._logger.error(f'The cameras stay as they were: {error}')
            self._config = config
            self._outputs.apply(config)
            self._processor.apply(config)

    def _read_cameras(self, config: NodeConfig) -> CameraSet:
        """Return the cameras that ``config`` names; raise GeoPoseError if there cannot be such."""
        cameras = CameraSet.of(self._node, config)
        if cameras.rig_file is not None:
            check_file(cameras.rig_file, cameras.names, cameras.rectified)
        return cameras

    def _change_cameras(self, cameras: CameraSet, config: NodeConfig) -> None:
        """Go on with other cameras; people and their ids stay, and so does all of the cameras that stay."""
        before = self._cameras
        names = dict.fromkeys((*before.names, *cameras.names))
        changed = [name for name in names if before.topics.get(name) != cameras.topics.get(name)]
        if self._polled is not None:
            for name in [name for name in changed if name in before.names]:
                self._polled.unsubscribe(before.topics[name].frames)

        def change() -> None:
            self._processor.wait()
            self._source.use_cameras(cameras)
            self._cameras = cameras
            self._worker.locked(lambda: self._synchronizer.use_cameras(cameras.names))
            for name in changed:
                if name in before.names:
                    self._remove_camera(name)
                if name in cameras.names:
                    self._add_camera(name)
            self._processor.use_cameras(cameras.names, config)

        self._worker.between_works(change)
        self._processor.publish_skeleton()
        self._listen_for_depths()
        if self._polled is not None:
            self._source.listen_for_camera_info(self._polled)
            # Nobody blames a camera for the time before it was one.
            self._health.activated()
            self._history.clear()
        new = ', '.join(name for name in changed if name in cameras.names)
        gone = ', '.join(name for name in before.names if name not in cameras.names)
        self._logger.info(
            f'{len(cameras.names)} cameras from now on ({", ".join(cameras.names)}); subscribed: {new or "none"}; '
            f'gone: {gone or "none"}'
        )

    def _reload_model(self) -> str:
        """Read the files of detector and lifter again; return which models they hold."""
        config, made = self._config, []
        if not sends_only_keypoints(config, self._cameras.names):
            of_cameras = config.pipeline.detector, len(self._inputs) or 1, config.pipeline.skeleton
            made.append(reload_detector(self._processor.detectors, *of_cameras))
        if config.pipeline.lifter.enabled or not made:
            lifter = self._processor.lifters.prepare(load_lifter(config.pipeline.lifter))
            self._processor.lifters.change()
            made.append(f'lifted by {lifter.card.sha256[:12]}')
        return ' and '.join(made)

    # What the parts tell each other.

    def _on_published(self, result: PipelineResult, rig: CameraRig) -> None:
        if self._calibrating is not None:
            self._calibrating.add(result, rig)
        if self._source.moving is None:
            # The bodies of a rig that moves are in another frame.
            self._recent.add(ObservedSet(result.bodies.stamp_ns, result.keypoints, result.bodies), rig)

    def _on_bad_transform(self, problem: str) -> None:
        self._statistics.happened('rig', 'transform', problem, monotonic_ns())

    def _use_clocks(self, clocks: Mapping[str, ClockModel]) -> None:
        self._worker.locked(lambda: self._synchronizer.use_clocks(clocks))

    # Health.

    def _read_counts(self) -> FrameCounts:
        return self._worker.locked(lambda: self._synchronizer.counts)

    def _parts(self, now_ns: int) -> list[Part]:
        """Return how the node is."""
        config = self._config
        away = self._statistics.away(config.stale_after_s, now_ns)
        if self._polled is not None and len(away) == len(self._inputs):
            self._outputs.publish_nobody()
        problems, counts = self._source.problems, self._read_counts()
        before = self._history.add(counts, now_ns)
        clocks_ns = self._worker.locked(
            lambda: {name: self._synchronizer.clock_error_ns(name) for name in self._inputs}
        )
        pipeline = pipeline_part(self._statistics, counts, config.stale_after_s, now_ns)
        parts = []
        for name, clock_ns in clocks_ns.items():
            notes = self._calibration_notes(name, problems, now_ns)
            part = self._camera_part(name, name in away, now_ns, notes)
            parts.append(synchronised_part(part, name, before, counts, clock_ns, config.sync.clock_limit_ms))
        return [
            self._with_rivals(pipeline, self._outputs.bodies_topic, _ANOTHER_NAME),
            rig_part(self._statistics, problems, now_ns), *parts,
        ]

    def _calibration_notes(self, camera: str, problems: Mapping[str, str], now_ns: int) -> dict[str, str]:
        """Return why ``camera`` is not calibrated, or what speaks against its calibration, by kind."""
        if camera in problems:
            return {'not calibrated': problems[camera]}
        if camera in self._statistics.away(self._config.stale_after_s, now_ns):
            return {}
        note = self._source.camera_info_note(camera, self._config.stale_after_s, now_ns)
        return {'camera_info': note} if note else {}

    def _verdict(self, noted: Sequence[Finding]) -> Verdict:
        is_busy = any(fault.kind == 'busy' for fault in noted)
        return self._recent.verdict(noted, is_complete=self._history.is_complete, is_busy=is_busy)


class PoseNode(LifecycleHost[NodeConfig]):
    """Configure reads parameters, rig and models; activate subscribes; the others undo."""

    NAME = 'pose_node'
    CONFIG = NodeConfig
    SESSION = PoseSession


main = PoseNode.main

if __name__ == '__main__':
    sys.exit(main())
