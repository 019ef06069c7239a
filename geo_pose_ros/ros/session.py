"""All that pose_node holds between configure and cleanup: its parts, and the frames that come in."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import monotonic_ns
from typing import Any

from ..calibration.rig_file import load_rig
from ..config import NodeConfig
from ..errors import ConfigError, FrameError
from ..messages.diagnostics import Level, Status, diagnostics_to_message
from ..scene.sync import FrameSynchronizer
from . import diagnostics
from .cdr import header_stamp_ns
from .inputs import PolledInputs
from .log import ThrottledLog
from .message_factory import RclpyFactory, message_class
from .outputs import Outputs
from .processing import SetProcessor
from .qos import SubscriptionEventCallbacks, explain_incompatible, profile
from .rig_source import RigSource
from .statistics import NodeStatistics
from .topics import MESSAGE_TYPES, fill, input_topic
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
        self._log = ThrottledLog(self._logger)
        rig_file = load_rig(Path(config.rig).expanduser()) if config.rig else None
        cameras = config.cameras or (rig_file.names if rig_file is not None else ())
        if not cameras:
            raise ConfigError(
                "No cameras. Name them (cameras:=\"['left', 'right']\") or give a rig file (rig:=/path/to/rig.yaml)."
            )
        self._cameras: tuple[str, ...] = tuple(cameras)
        self._topics = {name: input_topic(config, name) for name in self._cameras}
        for name in self._cameras:
            fill('/pose_node/keypoints/{camera}', name)
        self._source = RigSource(node, self._cameras, config, rig_file, self._log.warn)
        self._statistics = NodeStatistics(self._cameras, config.drift_window)
        self._processor = SetProcessor(node, self._cameras, config, self._source, self._statistics, self._log)
        self._synchronizer: FrameSynchronizer[bytes] = FrameSynchronizer(self._cameras, config.sync)
        self._worker = SetWorker(self._synchronizer, self._processor.process, self._on_crash)
        self._make = RclpyFactory()
        # None while inactive.
        self._inputs: PolledInputs | None = None
        self._source.subscribe_transforms()
        self._processor.outputs = self._outputs = Outputs(node, self._cameras, config)
        self._diagnostics = node.create_publisher(
            message_class('diagnostic_msgs/msg/DiagnosticArray'), '/diagnostics', profile(10)
        )
        self._timer = node.create_timer(config.diagnostics_period_s, self._tick)

    def activate(self) -> None:
        """Subscribe to the cameras and start to process."""
        config = self._config
        kind = message_class(MESSAGE_TYPES[config.transport])
        self._inputs = PolledInputs(self._node, self._on_crash)
        for name in self._cameras:
            topic = self._topics[name]
            events = SubscriptionEventCallbacks(
                incompatible_qos=partial(self._on_incompatible, name, topic),
                message_lost=partial(self._on_lost, name),
            )
            qos = profile(config.queue_depth, reliable=config.reliability == 'reliable')
            self._inputs.subscribe(kind, topic, partial(self._on_frame, name), qos, events)
        self._processor.publish_skeleton()
        self._source.listen_for_camera_info(self._away())
        self._worker.start()
        self._inputs.start()
        self._logger.info(
            f'active: {len(self._cameras)} cameras ({", ".join(self._cameras)}), transport {config.transport}, '
            + (f'rig {config.rig}' if config.rig else 'calibration from camera_info and /tf_static')
        )

    def deactivate(self) -> None:
        """Stop processing and unsubscribe; nothing if it is not active."""
        if self._inputs is None:
            return
        self._inputs.close()
        self._inputs = None
        self._source.stop_listening()
        self._worker.stop()
        self._processor.wait()
        counts = diagnostics.SyncCounts.of(self._synchronizer, self._cameras)
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
        self._source.close()
        self._processor.close()
        self._outputs.close()
        self._node.destroy_publisher(self._diagnostics)

    # Inputs: frames come from their own thread, the others from the executor.

    def _on_frame(self, camera: str, cdr: bytes) -> None:
        now_ns = monotonic_ns()
        self._statistics.arrived(camera, now_ns)
        try:
            stamp_ns = header_stamp_ns(cdr)
        except FrameError as error:
            self._statistics.problem(camera, 'no header', str(error), now_ns)
            return
        self._worker.add(camera, stamp_ns, cdr)

    def _on_incompatible(self, camera: str, topic: str, event: Any) -> None:
        text = explain_incompatible(topic, event)
        self._statistics.cameras[camera].notes['qos'] = text
        self._log.warn(text)

    def _on_lost(self, camera: str, event: Any) -> None:
        self._statistics.cameras[camera].lost = event.total_count

    def _on_crash(self, error: BaseException) -> None:
        self._logger.fatal(''.join(traceback.format_exception(type(error), error, error.__traceback__)))
        self._crashed()

    def _away(self) -> set[str]:
        """Return the cameras that send nothing now."""
        now_ns = monotonic_ns()
        ages_s = {name: self._statistics.cameras[name].age_s(now_ns) for name in self._cameras}
        return {name for name, age_s in ages_s.items() if age_s is None or age_s > self._config.stale_after_s}

    # Reports.

    def _tick(self) -> None:
        if self._inputs is not None:
            away = self._away()
            self._source.listen_for_camera_info(away)
            self._look_at_topics(away)
        self._diagnostics.publish(
            diagnostics_to_message(
                self._make, self._node.get_name(), self._statuses(), self._node.get_clock().now().nanoseconds
            )
        )

    def _statuses(self) -> list[Status]:
        if not self._inputs:
            return [Status('pipeline', Level.OK, 'not active', {})]
        now_ns = monotonic_ns()
        counts = self._worker.read(lambda s: diagnostics.SyncCounts.of(s, self._cameras))
        cameras = [
            diagnostics.camera_status(
                name, self._topics[name], self._statistics.cameras[name], counts, self._config, now_ns
            )
            for name in self._cameras
        ]
        return [
            diagnostics.pipeline_status(self._statistics, counts, now_ns),
            diagnostics.rig_status(self._statistics, self._config, self._source.problems),
            *cameras,
        ]

    def _look_at_topics(self, away: set[str]) -> None:
        """Say why a camera that sends nothing may do so: nobody publishes, or another type."""
        expected = MESSAGE_TYPES[self._config.transport]
        for name in self._cameras:
            camera = self._statistics.cameras[name]
            if name not in away:
                camera.notes.pop('topic', None)
                continue
            types = {i.topic_type for i in self._node.get_publishers_info_by_topic(self._topics[name])}
            if not types:
                camera.notes['topic'] = f'nobody publishes it{self._elsewhere(name)}'
            elif expected not in types:
                camera.notes['topic'] = f'it holds {", ".join(sorted(types))}, expected {expected}'
            else:
                camera.notes.pop('topic', None)

    def _elsewhere(self, camera: str) -> str:
        """Return a hint if the camera publishes by another transport."""
        for transport, type_name in MESSAGE_TYPES.items():
            topic = input_topic(self._config, camera, transport)
            there = {i.topic_type for i in self._node.get_publishers_info_by_topic(topic)}
            if transport != self._config.transport and type_name in there:
                return f", but '{topic}' is there: set transport:={transport}"
        return '; check the topic names and that the driver runs'
