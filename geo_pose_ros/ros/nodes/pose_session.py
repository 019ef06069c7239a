"""All that pose_node holds between configure and cleanup: its parts, and the frames that come in."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from time import monotonic_ns
from typing import Any

from ...detection import create_detector
from ...errors import FrameError, GeoPoseError
from ...rigs.builder import check_file
from ...scene.sync import FrameSynchronizer
from ...types import CameraRig, ClockModel
from ..health.diagnostics import CameraInput, SyncCounts
from ..health.reports import Reports
from ..health.statistics import NodeStatistics
from ..health.topic_watch import TopicWatch
from ..io.cdr import header_stamp_ns, with_header_stamp
from ..io.message_factory import RclpyFactory, message_class
from ..io.qos import SubscriptionEventCallbacks, profile
from ..io.tf import CameraFrames
from ..io.topics import MESSAGE_TYPES, sends_only_keypoints
from .calibrating import Calibrating
from .camera_set import CameraSet, same_cameras
from .inputs import PolledInputs
from .lifter_changes import LifterChanges, offer_reload
from .outputs import Outputs
from .processing import SetProcessor
from .rig_source import RigSource
from .settings import NodeConfig
from .worker import SetWorker


class PoseSession:
    """Rig, models, topics and the worker of one configured node."""

    def __init__(self, node: Any, config: NodeConfig, on_crash: Callable[[], None]) -> None:
        """Load the rig and the models, and create the outputs.

        Args:
            node: a lifecycle node.
            config: its settings.
            on_crash: called when the worker has ended by an error that is not a GeoPoseError.

        Raises:
            GeoPoseError: if the set-up cannot work.
        """
        self._node, self._config, self._crashed = node, config, on_crash
        self._logger = node.get_logger()
        # Transitions may come from any thread, the timer from the executor's.
        self._lock = threading.RLock()
        self._closed = False
        self._cameras = CameraSet.of(node, config)
        self._qos = profile(config.queue_depth, reliable=config.reliability == 'reliable')
        self._statistics = NodeStatistics(self._cameras.names)
        # None while inactive.
        self._inputs: PolledInputs | None = None
        self._frames: CameraFrames | None = None
        self._calibrating: Calibrating | None = None
        with ExitStack() as made:
            self._make(made)
            self._made = made.pop_all()

    def _make(self, made: ExitStack) -> None:
        """Make the parts; ``made`` undoes them, the last one first."""
        node, config, cameras = self._node, self._config, self._cameras
        self._source = RigSource(node, cameras, config, self._on_bad_transform)
        made.callback(self._source.close)
        self._lifters = LifterChanges()
        made.callback(self._lifters.close)
        self._processor = SetProcessor(node, cameras.names, config, self._source, self._statistics, self._lifters)
        made.callback(self._processor.close)
        self._synchronizer: FrameSynchronizer[bytes] = FrameSynchronizer(cameras.names, config.sync)
        self._worker = SetWorker(self._synchronizer, self._processor.process, self._on_crash)
        self._processor.on_clocks = self._use_clocks
        self._processor.tell_clocks()
        self._watch = TopicWatch(node, cameras.topics, self._qos)
        self._source.subscribe_transforms()
        self._processor.outputs = self._outputs = Outputs(node, cameras.names, config)
        made.callback(self._outputs.close)
        if cameras.rig_file is not None and config.publish_camera_frames:
            self._frames = CameraFrames(node, RclpyFactory())
            made.callback(self._frames.close)
            self._publish_frames()
        # Whoever carries cameras moves them; what they saw before would not fit.
        if config.calibration.watch and not config.tracking_frame:
            rig_path = Path(config.rig).expanduser() if config.rig else None
            self._calibrating = Calibrating(node, config.calibration, self._use_refined, rig_path)
            made.callback(self._calibrating.close)
            self._processor.on_published = self._calibrating.add
        reload = offer_reload(node, self._reload_model)
        if reload is not None:
            made.callback(node.destroy_service, reload)
        self._reports = Reports(node, config, self._statistics)
        made.callback(self._reports.close)
        made.callback(node.destroy_timer, node.create_timer(config.diagnostics_period_s, self._tick))

    def activate(self) -> None:
        """Subscribe to the cameras and start to process."""
        config = self._config
        with self._lock:
            self._inputs = PolledInputs(self._node, self._on_crash)
            for name in self._cameras.names:
                self._subscribe(name)
            self._processor.publish_skeleton()
            self._source.listen_for_camera_info(self._away())
            self._worker.start()
            self._reports.activated()
            self._inputs.start()
        names = self._cameras.names
        self._logger.info(
            f'active: {len(names)} cameras ({", ".join(names)}), transport {config.transport}, '
            + (f'rig {config.rig}' if config.rig else 'calibration from camera_info and /tf_static')
            + (f', moving in {config.tracking_frame}' if config.tracking_frame else '')
        )

    def _subscribe(self, camera: str) -> None:
        if self._inputs is None:
            return
        events = SubscriptionEventCallbacks(
            incompatible_qos=partial(self._watch.incompatible, camera), message_lost=partial(self._on_lost, camera)
        )
        topics = self._cameras.topics[camera]
        kind = message_class(MESSAGE_TYPES[topics.transport])
        self._inputs.subscribe(kind, topics.frames, partial(self._on_frame, camera), self._qos, events)

    def prepare(self, config: NodeConfig) -> None:
        """Make ready what ``apply`` needs to take over ``config``.

        Raises:
            GeoPoseError: if it cannot be taken over.
        """
        if config.pipeline.lifter != self._config.pipeline.lifter:
            self._lifters.prepare(config.pipeline.lifter)
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
                self._lifters.change()
            if not same_cameras(config, self._config):
                try:
                    self._change_cameras(self._read_cameras(config), config)
                except GeoPoseError as error:
                    # It was right when it was set: the rig file has changed since.
                    self._logger.error(f'The cameras stay as they were: {error}')
            self._config = config
            self._reports.apply(config)
            self._outputs.apply(config)
            self._processor.apply(config)

    def _read_cameras(self, config: NodeConfig) -> CameraSet:
        """Return the cameras that ``config`` names; raise GeoPoseError if there cannot be such."""
        cameras = CameraSet.of(self._node, config)
        if cameras.rig_file is not None:
            check_file(cameras.rig_file, cameras.names, cameras.rectified)
        return cameras

    def _change_cameras(self, cameras: CameraSet, config: NodeConfig) -> None:
        """Go on with other cameras; people and their ids stay, and so do the subscriptions to cameras that stay."""
        before = self._cameras
        away = [name for name, topics in before.topics.items() if cameras.topics.get(name) != topics]
        if self._inputs is not None:
            for name in away:
                self._inputs.unsubscribe(before.topics[name].frames)
        self._worker.between_sets(partial(self._use_cameras, cameras, config))
        self._publish_frames()
        new = [name for name, topics in cameras.topics.items() if before.topics.get(name) != topics]
        for name in new:
            self._subscribe(name)
        if self._inputs is not None:
            # Nobody blames a camera for the time before it was one.
            self._reports.activated()
        gone = [name for name in before.names if name not in cameras.names]
        self._logger.info(
            f'{len(cameras.names)} cameras from now on ({", ".join(cameras.names)}); subscribed: '
            f'{", ".join(new) or "none"}; gone: {", ".join(gone) or "none"}'
        )

    def _use_cameras(self, cameras: CameraSet, config: NodeConfig) -> None:
        """Let every part go on with other cameras; not while a set is processed."""
        self._processor.wait()
        self._source.use_cameras(cameras)
        self._cameras = cameras
        self._worker.read(lambda synchronizer: synchronizer.use_cameras(cameras.names))
        self._statistics.use_cameras(cameras.names)
        self._watch.use_topics(cameras.topics)
        self._outputs.use_cameras(cameras.names, active=self._inputs is not None)
        self._processor.use_cameras(cameras.names, config)

    def deactivate(self) -> None:
        """Stop processing and unsubscribe; nothing if it is not active."""
        with self._lock:
            if self._inputs is None:
                return
            self._inputs.close()
            self._inputs = None
            self._reports.deactivated()
            self._source.stop_listening()
            self._worker.stop()
            self._processor.wait()
            self._outputs.nobody()
        counts = SyncCounts.of(self._synchronizer, self._cameras.names)
        drops: dict[str, int] = {}
        for causes in counts.drops.values():
            for cause, n in causes.items():
                drops[cause.value] = drops.get(cause.value, 0) + n
        self._logger.info(
            f'{sum(counts.received.values())} frames in, {self._statistics.published} sets published, '
            f'frames dropped: {drops or "none"}'
        )

    def close(self) -> None:
        """Undo the rest."""
        with self._lock:
            self._closed = True
            self._made.close()

    # Inputs: frames come from their own thread, the others from the executor.

    def _on_frame(self, camera: str, cdr: bytes) -> None:
        now_ns = monotonic_ns()
        self._statistics.arrived(camera, now_ns)
        try:
            stamp_ns = header_stamp_ns(cdr)
        except FrameError as error:
            self._statistics.problem(camera, 'no header', str(error), now_ns)
            return
        if stamp_ns == 0:
            # All its frames would be one instant, and none but the first be used.
            stamp_ns = self._node.get_clock().now().nanoseconds
            cdr = with_header_stamp(cdr, stamp_ns)
            text = 'its stamps are 0; the time of arrival stands for them. Let its driver stamp at acquisition'
            self._statistics.happened(f'camera {camera}', 'no stamp', text, now_ns)
        self._worker.add(camera, stamp_ns, cdr)

    def _on_lost(self, camera: str, event: Any) -> None:
        self._statistics.lost(camera, event.total_count, monotonic_ns())

    def _on_bad_transform(self, problem: str) -> None:
        self._statistics.happened('rig', 'transform', problem, monotonic_ns())

    def _use_clocks(self, clocks: Mapping[str, ClockModel]) -> None:
        self._worker.read(lambda synchronizer: synchronizer.use_clocks(clocks))

    def _reload_model(self) -> str:
        """Read the lifter's file again; return which model it holds."""
        sha256 = self._lifters.prepare(self._config.pipeline.lifter)
        self._lifters.change()
        return sha256

    def _use_refined(self, rig: CameraRig) -> None:
        self._source.use_refined(rig)
        self._publish_frames()

    def _publish_frames(self) -> None:
        """Publish where the cameras are in the rig, if that is wanted: refined, or as the file has what is carried."""
        told, carried = self._cameras.rig_file, self._source.moving is not None
        rig = told.subset(self._cameras.names) if told is not None and carried else self._source.rig
        if self._frames is not None and rig is not None:
            self._frames.publish(rig)

    def _on_crash(self, error: BaseException) -> None:
        self._logger.fatal(''.join(traceback.format_exception(type(error), error, error.__traceback__)))
        self._crashed()

    def _away(self) -> set[str]:
        """Return the cameras that send nothing now."""
        now_ns = monotonic_ns()
        ages_s = {name: self._statistics.cameras[name].age_s(now_ns) for name in self._cameras.names}
        return {name for name, age_s in ages_s.items() if age_s is None or age_s > self._config.stale_after_s}

    def _tick(self) -> None:
        with self._lock:
            if not self._closed:
                self._report()

    def _report(self) -> None:
        cameras: dict[str, CameraInput] = {}
        problems = self._source.problems
        if self._inputs is not None:
            away = self._away()
            self._source.listen_for_camera_info(away)
            if len(away) == len(self._cameras.names):
                self._outputs.nobody()
            notes = self._watch.notes(away)
            cameras = {
                name: CameraInput(topics.frames, problems.get(name, ''), notes[name])
                for name, topics in self._cameras.topics.items()
            }
        self._reports.publish(self._read_counts, cameras, problems)

    def _read_counts(self) -> SyncCounts:
        return self._worker.read(lambda synchronizer: SyncCounts.of(synchronizer, self._cameras.names))
