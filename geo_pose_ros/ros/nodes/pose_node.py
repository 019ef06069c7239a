"""pose_node: a lifecycle node from camera topics to 3D bodies."""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from time import monotonic_ns

from ...detection import create_detector
from ...errors import GeoPoseError
from ...pipeline import PipelineResult
from ...rigs.builder import check_file
from ...scene.sync import FrameCounts, FrameSynchronizer
from ...types import CameraRig, ClockModel
from ..health.diagnostics import (
    CameraInfo,
    CountsHistory,
    camera_part,
    pipeline_part,
    rig_part,
    synchronised_part,
)
from ..health.faults import HealthLog
from ..health.statistics import NodeStatistics
from ..io.qos import profile
from ..io.topics import sends_only_keypoints
from .calibrating import Calibrating
from .camera_set import CameraSet, same_cameras
from .inputs import CameraInput, PolledInputs
from .lifecycle import LifecycleHost
from .lifecycle import main as run_node
from .lifter_changes import LifterChanges, offer_reload
from .outputs import CameraOutputs, Outputs
from .processing import NodeSink, SetProcessor
from .rig_source import RigSource
from .settings import NodeConfig
from .worker import NewestWorker


class PoseSession:
    """Rig, models, topics and the worker of a configured pose_node."""

    def __init__(self, node: LifecycleHost[NodeConfig], config: NodeConfig) -> None:
        """Load the rig and the models, and create the outputs.

        Raises:
            GeoPoseError: if the set-up cannot work.
        """
        self._node, self._config = node, config
        self._logger = node.get_logger()
        # Transitions may come from any thread, the timer from the executor's.
        self._lock = threading.RLock()
        self._closed = False
        # None while inactive.
        self._polled: PolledInputs | None = None
        self._inputs: dict[str, CameraInput] = {}
        self._history = CountsHistory()
        with ExitStack() as made:
            self._make(made)
            self._made = made.pop_all()

    def _make(self, made: ExitStack) -> None:
        """Make the parts; ``made`` undoes them, the last one first."""
        node, config = self._node, self._config
        self._cameras = cameras = CameraSet.of(node, config)
        self._qos = profile(config.queue_depth, reliable=config.reliability == 'reliable')
        self._statistics = NodeStatistics()
        self._source = RigSource(node, cameras, config, self._on_bad_transform)
        made.callback(self._source.close)
        self._source.subscribe_transforms()
        self._lifters = LifterChanges()
        made.callback(self._lifters.close)
        self._outputs = Outputs(node, config)
        made.callback(self._outputs.close)
        self._calibrating = self._make_calibrating(made)
        make_sink = partial(NodeSink, node, self._source, self._statistics, self._outputs, self._on_published)
        self._processor = SetProcessor(
            config, self._source, self._statistics, self._lifters, make_sink, self._use_clocks
        )
        made.callback(self._processor.close)
        self._synchronizer: FrameSynchronizer[bytes] = FrameSynchronizer(cameras.names, config.sync)
        self._worker = NewestWorker(self._synchronizer, self._processor.process, node.crash)
        self._processor.use_cameras(cameras.names, config)
        for name in cameras.names:
            self._add_camera(name)
        reload = offer_reload(node, self._reload_model)
        if reload is not None:
            made.callback(node.destroy_service, reload)
        self._health = HealthLog(node, 'pipeline')
        made.callback(self._health.close)
        made.callback(node.destroy_timer, node.create_timer(config.diagnostics_period_s, self._tick))

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
        """Begin to count and publish what ``name`` gives; subscribe to it if the node is active."""
        self._statistics.add(name)
        self._outputs.cameras[name] = CameraOutputs(self._node, name, active=self._polled is not None)
        self._inputs[name] = CameraInput(
            self._node, name, self._cameras.topics[name], self._qos, self._statistics, self._worker.add
        )
        if self._polled is not None:
            self._inputs[name].subscribe(self._polled)

    def _remove_camera(self, name: str) -> None:
        self._inputs.pop(name)
        self._outputs.cameras.pop(name).close()
        self._statistics.remove(name)

    def activate(self) -> None:
        """Subscribe to the cameras and start to process."""
        config, names = self._config, self._cameras.names
        with self._lock:
            self._polled = PolledInputs(self._node, self._node.crash)
            for camera in self._inputs.values():
                camera.subscribe(self._polled)
            self._processor.publish_skeleton()
            self._source.listen_for_camera_info(self._inputs)
            self._worker.start()
            self._begin_to_judge()
            self._polled.start()
        self._logger.info(
            f'active: {len(names)} cameras ({", ".join(names)}), transport {config.transport}, '
            + (f'rig {config.rig}' if config.rig else 'calibration from camera_info and /tf_static')
            + (f', moving in {config.tracking_frame}' if config.tracking_frame else '')
        )

    def _begin_to_judge(self) -> None:
        self._health.activated()
        self._history.clear()

    def deactivate(self) -> None:
        """Stop processing and unsubscribe; nothing if it is not active."""
        with self._lock:
            if self._polled is None:
                return
            self._polled.close()
            self._polled = None
            self._health.deactivated()
            self._source.stop_listening()
            self._worker.stop()
            self._processor.wait()
            self._outputs.publish_nobody()
        counts = self._read_counts()
        drops: Counter[str] = Counter()
        for causes in counts.drops.values():
            drops.update({cause.value: n for cause, n in causes.items()})
        self._logger.info(
            f'{sum(counts.received.values())} frames in, {self._statistics.published} sets published, '
            f'frames dropped: {dict(drops) or "none"}'
        )

    def close(self) -> None:
        """Undo the rest."""
        with self._lock:
            self._closed = True
            self._made.close()

    # Live settings.

    def prepare(self, config: NodeConfig) -> None:
        """Make ready what ``apply`` needs to take over ``config``; raise GeoPoseError if it cannot be taken over."""
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
        if self._polled is not None:
            # Nobody blames a camera for the time before it was one.
            self._begin_to_judge()
        new = ', '.join(name for name in changed if name in cameras.names)
        gone = ', '.join(name for name in before.names if name not in cameras.names)
        self._logger.info(
            f'{len(cameras.names)} cameras from now on ({", ".join(cameras.names)}); subscribed: {new or "none"}; '
            f'gone: {gone or "none"}'
        )

    def _reload_model(self) -> str:
        """Read the lifter's file again; return which model it holds."""
        sha256 = self._lifters.prepare(self._config.pipeline.lifter)
        self._lifters.change()
        return sha256

    # What the parts tell each other.

    def _on_published(self, result: PipelineResult, rig: CameraRig) -> None:
        if self._calibrating is not None:
            self._calibrating.add(result, rig)

    def _on_bad_transform(self, problem: str) -> None:
        self._statistics.happened('rig', 'transform', problem, monotonic_ns())

    def _use_clocks(self, clocks: Mapping[str, ClockModel]) -> None:
        self._worker.locked(lambda: self._synchronizer.use_clocks(clocks))

    # Health.

    def _read_counts(self) -> FrameCounts:
        return self._worker.locked(lambda: self._synchronizer.counts)

    def _tick(self) -> None:
        with self._lock:
            if not self._closed:
                self._report()

    def _report(self) -> None:
        """Publish how the node is, and subscribe to what the rig lacks now."""
        config, now_ns = self._config, monotonic_ns()
        away = self._statistics.away(config.stale_after_s, now_ns)
        if self._polled is not None:
            self._source.listen_for_camera_info(away)
            if len(away) == len(self._inputs):
                self._outputs.publish_nobody()
        problems, counts = self._source.problems, self._read_counts()
        before = self._history.add(counts, now_ns)
        clocks_ns = self._worker.locked(
            lambda: {name: self._synchronizer.clock_error_ns(name) for name in self._inputs}
        )
        parts = [
            pipeline_part(self._statistics, counts, config.stale_after_s, now_ns),
            rig_part(self._statistics, problems, now_ns),
        ]
        for name, camera in self._inputs.items():
            about = CameraInfo(name, camera.topics.frames, problems.get(name, ''), camera.notes(name in away))
            part = camera_part(about, self._statistics, config.stale_after_s, now_ns)
            clock_ns = clocks_ns[name]
            parts.append(synchronised_part(part, name, before, counts, clock_ns, config.sync.clock_limit_ms))
        self._health.publish(parts, config.stale_after_s)


class PoseNode(LifecycleHost[NodeConfig]):
    """Configure reads parameters, rig and models; activate subscribes; the others undo."""

    NAME = 'pose_node'
    CONFIG = NodeConfig

    def make_session(self, config: NodeConfig) -> PoseSession:
        """Return rig, models, topics and the worker."""
        return PoseSession(self, config)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of ``pose_node``; a start-up fault is one line and a non-zero exit status."""
    return run_node(PoseNode, PoseNode.NAME, arguments)


if __name__ == '__main__':
    sys.exit(main())
