"""All that pose_node holds between configure and cleanup: its parts, and the frames that come in."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from time import monotonic_ns
from typing import Any

from ..calibration.rig_file import load_rig
from ..config import NodeConfig
from ..errors import ConfigError, FrameError
from ..scene.sync import FrameSynchronizer
from ..types import CameraRig
from .calibrating import Calibrating
from .cdr import header_stamp_ns, with_header_stamp
from .diagnostics import CameraInput, SyncCounts
from .inputs import PolledInputs
from .lifter_changes import LifterChanges, offer_reload
from .message_factory import RclpyFactory, message_class
from .outputs import Outputs
from .processing import SetProcessor
from .qos import SubscriptionEventCallbacks, profile
from .reports import Reports
from .rig_source import RigSource
from .statistics import NodeStatistics
from .tf import publish_camera_frames
from .topic_watch import TopicWatch
from .topics import MESSAGE_TYPES, camera_topics, fill
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
        rig_path = Path(config.rig).expanduser() if config.rig else None
        rig_file = load_rig(rig_path) if rig_path is not None else None
        cameras = config.cameras or (rig_file.names if rig_file is not None else ())
        if not cameras:
            raise ConfigError(
                "No cameras. Name them (cameras:=\"['left', 'right']\") or give a rig file (rig:=/path/to/rig.yaml)."
            )
        self._cameras: tuple[str, ...] = tuple(cameras)
        self._topics = camera_topics(node, config, self._cameras)
        for name in self._cameras:
            fill('/pose_node/keypoints/{camera}', name)
        self._qos = profile(config.queue_depth, reliable=config.reliability == 'reliable')
        self._statistics = NodeStatistics(self._cameras)
        self._source = RigSource(node, self._topics, config, rig_file, self._on_bad_transform)
        self._lifters = LifterChanges()
        self._processor = SetProcessor(node, self._cameras, config, self._source, self._statistics, self._lifters)
        self._synchronizer: FrameSynchronizer[bytes] = FrameSynchronizer(self._cameras, config.sync)
        self._worker = SetWorker(self._synchronizer, self._processor.process, self._on_crash)
        self._processor.on_clock_offsets = self._use_offsets
        self._processor.tell_clocks()
        self._watch = TopicWatch(node, self._topics, self._qos)
        # None while inactive.
        self._inputs: PolledInputs | None = None
        self._source.subscribe_transforms()
        self._processor.outputs = self._outputs = Outputs(node, self._cameras, config)
        self._frames: Any = None
        if rig_file is not None and config.publish_camera_frames:
            self._publish_frames(rig_file.subset(self._cameras))
        self._calibrating: Calibrating | None = None
        # Whoever carries cameras moves them; what they saw before would not fit.
        if config.calibration.watch and not config.tracking_frame:
            self._calibrating = Calibrating(node, config.calibration, self._use_refined, rig_path)
            self._processor.on_published = self._calibrating.add
        self._reload = offer_reload(node, self._reload_model)
        self._reports = Reports(node, config, self._statistics)
        self._timer = node.create_timer(config.diagnostics_period_s, self._tick)

    def activate(self) -> None:
        """Subscribe to the cameras and start to process."""
        config = self._config
        self._inputs = PolledInputs(self._node, self._on_crash)
        for name in self._cameras:
            events = SubscriptionEventCallbacks(
                incompatible_qos=partial(self._watch.incompatible, name), message_lost=partial(self._on_lost, name)
            )
            kind = message_class(MESSAGE_TYPES[self._topics[name].transport])
            self._inputs.subscribe(
                kind, self._topics[name].frames, partial(self._on_frame, name), self._qos, events
            )
        self._processor.publish_skeleton()
        self._source.listen_for_camera_info(self._away())
        self._worker.start()
        self._reports.activated()
        self._inputs.start()
        self._logger.info(
            f'active: {len(self._cameras)} cameras ({", ".join(self._cameras)}), transport {config.transport}, '
            + (f'rig {config.rig}' if config.rig else 'calibration from camera_info and /tf_static')
            + (f', moving in {config.tracking_frame}' if config.tracking_frame else '')
        )

    def prepare(self, config: NodeConfig) -> None:
        """Make ready what ``apply`` needs to take over ``config``.

        Raises:
            GeoPoseError: if it cannot be taken over.
        """
        if config.pipeline.lifter != self._config.pipeline.lifter:
            self._lifters.prepare(config.pipeline.lifter)

    def apply(self, config: NodeConfig) -> None:
        """Take over the settings that are live."""
        if config.pipeline.lifter != self._config.pipeline.lifter:
            self._lifters.change()
        self._config = config
        self._reports.apply(config)
        self._outputs.apply(config)
        self._processor.apply(config)

    def deactivate(self) -> None:
        """Stop processing and unsubscribe; nothing if it is not active."""
        if self._inputs is None:
            return
        self._inputs.close()
        self._inputs = None
        self._reports.deactivated()
        self._source.stop_listening()
        self._worker.stop()
        self._processor.wait()
        self._outputs.nobody()
        counts = SyncCounts.of(self._synchronizer, self._cameras)
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
        self._node.destroy_timer(self._timer)
        if self._reload is not None:
            self._node.destroy_service(self._reload)
        if self._calibrating is not None:
            self._calibrating.close()
        self._source.close()
        self._processor.close()
        self._lifters.close()
        self._outputs.close()
        self._reports.close()
        if self._frames is not None:
            self._node.destroy_publisher(self._frames)

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

    def _use_offsets(self, offsets_ns: Mapping[str, int]) -> None:
        self._worker.read(lambda synchronizer: synchronizer.use_offsets(offsets_ns))

    def _reload_model(self) -> str:
        """Read the lifter's file again; return which model it holds."""
        sha256 = self._lifters.prepare(self._config.pipeline.lifter)
        self._lifters.change()
        return sha256

    def _use_refined(self, rig: CameraRig) -> None:
        self._source.use_refined(rig)
        if self._frames is not None:
            self._publish_frames(rig)

    def _publish_frames(self, rig: CameraRig) -> None:
        """Publish the frames of the cameras, instead of what was published before."""
        before = self._frames
        now_ns = self._node.get_clock().now().nanoseconds
        self._frames = publish_camera_frames(self._node, RclpyFactory(), rig, now_ns)
        if before is not None:
            self._node.destroy_publisher(before)

    def _on_crash(self, error: BaseException) -> None:
        self._logger.fatal(''.join(traceback.format_exception(type(error), error, error.__traceback__)))
        self._crashed()

    def _away(self) -> set[str]:
        """Return the cameras that send nothing now."""
        now_ns = monotonic_ns()
        ages_s = {name: self._statistics.cameras[name].age_s(now_ns) for name in self._cameras}
        return {name for name, age_s in ages_s.items() if age_s is None or age_s > self._config.stale_after_s}

    def _tick(self) -> None:
        cameras: dict[str, CameraInput] = {}
        problems = self._source.problems
        if self._inputs is not None:
            away = self._away()
            self._source.listen_for_camera_info(away)
            if len(away) == len(self._cameras):
                self._outputs.nobody()
            notes = self._watch.notes(away)
            cameras = {
                name: CameraInput(self._topics[name].frames, problems.get(name, ''), notes[name])
                for name in self._cameras
            }
        self._reports.publish(self._read_counts, cameras, problems)

    def _read_counts(self) -> SyncCounts:
        return self._worker.read(lambda synchronizer: SyncCounts.of(synchronizer, self._cameras))
