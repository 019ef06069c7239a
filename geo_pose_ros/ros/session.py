"""All that pose_node holds between configure and cleanup."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import monotonic_ns
from typing import Any

from rclpy.exceptions import InvalidTopicNameException
from rclpy.serialization import deserialize_message
from rclpy.validate_full_topic_name import validate_full_topic_name
from rclpy.validate_topic_name import validate_topic_name
from sensor_msgs.msg import CameraInfo, PointCloud2

from ..calibration.live import Calibration
from ..calibration.rig_file import load_rig
from ..config import NodeConfig
from ..detection import create_detector
from ..detection.checks import checked
from ..errors import ConfigError, FrameError, GeoPoseError
from ..messages.diagnostics import Level, Status, diagnostics_to_message
from ..messages.image import frame_from_message
from ..messages.keypoints import keypoints_from_cloud
from ..pipeline import Detection, PipelineResult, PosePipeline
from ..scene.sync import FrameSynchronizer, StampedSet
from ..skeleton import get_skeleton
from ..types import CameraRig, Frame, Intrinsics, Keypoints2D
from . import diagnostics
from .cdr import header_stamp_ns, read_compressed_image, read_image
from .inputs import PolledInputs
from .message_factory import RclpyFactory, message_class
from .outputs import Outputs
from .qos import SubscriptionEventCallbacks, explain_incompatible, profile
from .statistics import NodeStatistics
from .tf import subscribe_static_transforms
from .worker import SetWorker

_MESSAGE_TYPES = {
    'raw': 'sensor_msgs/msg/Image', 'compressed': 'sensor_msgs/msg/CompressedImage',
    'keypoints': 'sensor_msgs/msg/PointCloud2',
}
# The same complaint is logged once in this time.
_LOG_PERIOD_NS = 5_000_000_000
# Sets farther apart than this do not tell when the next one will be.
_LONGEST_STEP_NS = 500_000_000


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
        self._log = node.get_logger()
        rig_file = load_rig(Path(config.rig).expanduser()) if config.rig else None
        cameras = config.cameras or (rig_file.names if rig_file is not None else ())
        if not cameras:
            raise ConfigError(
                "No cameras. Name them (cameras:=\"['left', 'right']\") or give a rig file (rig:=/path/to/rig.yaml)."
            )
        self._cameras: tuple[str, ...] = tuple(cameras)
        strangers = sorted(set(config.keypoints_cameras) - set(self._cameras))
        if strangers:
            raise ConfigError(
                f'keypoints_cameras: received {strangers}, expected some of {", ".join(self._cameras)}.'
            )
        self._topics = {name: _input_topic(config, name) for name in self._cameras}
        self._info_topics = {name: topic_of(config.camera_info_topic, name) for name in self._cameras}
        for name in self._cameras:
            topic_of('/pose_node/keypoints/{camera}', name)
        self._calibration = Calibration(self._cameras, config.world_frame, rig_file)
        self._pipeline: PosePipeline | None = None
        self._pipeline_rig: CameraRig | None = None
        self._load_models()
        self._statistics = NodeStatistics(self._cameras, config.drift_window)
        self._synchronizer: FrameSynchronizer[bytes] = FrameSynchronizer(self._cameras, config.sync)
        self._worker = SetWorker(self._synchronizer, self._process, self._on_crash)
        self._finisher = ThreadPoolExecutor(1, thread_name_prefix='fuse')
        self._finished: Future[None] = self._finisher.submit(lambda: None)
        self._logged_ns: dict[str, int] = {}
        self._told_ns = 0
        self._make = RclpyFactory()
        # None while inactive.
        self._inputs: PolledInputs | None = None
        self._info_inputs: dict[str, Any] = {}
        self._tf_input: Any = None
        if rig_file is None:
            self._tf_input = subscribe_static_transforms(node, self._on_transforms)
        self._outputs = Outputs(node, self._cameras, config)
        self._diagnostics = node.create_publisher(
            message_class('diagnostic_msgs/msg/DiagnosticArray'), '/diagnostics', profile(10)
        )
        self._timer = node.create_timer(config.diagnostics_period_s, self._tick)

    def _load_models(self) -> None:
        """Find out now whether the detector works; with a rig file, load it for all cameras."""
        if self._calibration.rig is not None:
            self._use_rig(self._calibration.rig)
        elif not self._only_keypoints:
            create_detector(self._config.pipeline.detector).close()

    @property
    def _only_keypoints(self) -> bool:
        return all(self._transport(name) == 'keypoints' for name in self._cameras)

    def _use_rig(self, rig: CameraRig) -> None:
        pipeline = PosePipeline(rig, self._config.pipeline)
        if not self._only_keypoints:
            pipeline.load()
        if self._pipeline is not None:
            self._pipeline.close()
        self._pipeline, self._pipeline_rig = pipeline, rig

    def activate(self) -> None:
        """Subscribe to the cameras and start to process."""
        config = self._config
        self._inputs = PolledInputs(self._node, self._on_crash)
        for name in self._cameras:
            topic = self._topics[name]
            events = SubscriptionEventCallbacks(
                incompatible_qos=partial(self._on_incompatible, name, topic),
                message_lost=partial(self._on_lost, name),
            )
            qos = profile(config.queue_depth, reliable=config.reliability == 'reliable')
            kind = message_class(_MESSAGE_TYPES[self._transport(name)])
            self._inputs.subscribe(kind, topic, partial(self._on_frame, name), qos, events)
        self._publish_skeleton()
        self._listen_for_camera_info()
        self._worker.start()
        self._inputs.start()
        self._log.info(
            f'active: {len(self._cameras)} cameras ({", ".join(self._cameras)}), transport {config.transport}, '
            + (f'rig {config.rig}' if config.rig else 'calibration from camera_info and /tf_static')
        )

    def _publish_skeleton(self) -> None:
        if self._pipeline is not None:
            self._outputs.publish_skeleton(self._pipeline.rig, self._pipeline.model_sha256)

    def deactivate(self) -> None:
        """Stop processing and unsubscribe; nothing if it is not active."""
        if self._inputs is None:
            return
        self._inputs.close()
        self._inputs = None
        for subscription in self._info_inputs.values():
            self._node.destroy_subscription(subscription)
        self._info_inputs.clear()
        self._worker.stop()
        wait([self._finished])
        counts = diagnostics.SyncCounts.of(self._synchronizer, self._cameras)
        drops: dict[str, int] = {}
        for causes in counts.drops.values():
            for cause, n in causes.items():
                drops[cause.value] = drops.get(cause.value, 0) + n
        self._log.info(
            f'{sum(counts.received.values())} frames in, {self._statistics.published} sets published, '
            f'frames dropped: {drops or "none"}'
        )

    def close(self) -> None:
        """Undo the rest."""
        self._node.destroy_timer(self._timer)
        if self._tf_input is not None:
            self._node.destroy_subscription(self._tf_input)
        self._finisher.shutdown()
        self._outputs.close()
        self._node.destroy_publisher(self._diagnostics)
        if self._pipeline is not None:
            self._pipeline.close()

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
        self._warn(text)

    def _on_lost(self, camera: str, event: Any) -> None:
        self._statistics.cameras[camera].lost = event.total_count

    def _listen_for_camera_info(self) -> None:
        """Subscribe where intrinsics are missing or the camera was away; unsubscribe where they are known.

        A driver sends them with every image, and one is enough.
        """
        if self._config.rig:
            return
        now_ns = monotonic_ns()
        for name in self._cameras:
            age_s = self._statistics.cameras[name].age_s(now_ns)
            stale = age_s is None or age_s > self._config.stale_after_s
            wanted = stale or not self._calibration.has_intrinsics(name)
            if wanted and name not in self._info_inputs:
                self._info_inputs[name] = self._node.create_subscription(
                    CameraInfo, self._info_topics[name], partial(self._on_camera_info, name),
                    profile(1, reliable=False),
                )
            elif not wanted and name in self._info_inputs:
                self._node.destroy_subscription(self._info_inputs.pop(name))

    def _on_camera_info(self, camera: str, message: CameraInfo) -> None:
        self._calibration.on_camera_info(camera, message, monotonic_ns())

    def _on_transforms(self, message: Any) -> None:
        problem = self._calibration.on_transforms(message, monotonic_ns())
        if problem:
            self._warn(problem)

    # The worker's thread, and that of the finisher.

    def _process(self, found: StampedSet[bytes]) -> None:
        """Begin to detect, and return when the next set could begin; the finisher's thread does the rest."""
        try:
            pipeline, rig = self._current_pipeline()
            if pipeline is None or rig is None:
                self._statistics.set_failed('no camera is calibrated')
                return
            usable = self._calibrated(rig, found)
            from_elsewhere = {name: cdr for name, cdr in usable.items() if self._transport(name) == 'keypoints'}
            keypoints = self._read_keypoints(from_elsewhere, found.stamp_ns, rig)
            if len(from_elsewhere) == len(usable):
                self._submit(partial(pipeline.fuse, found.stamp_ns, keypoints), rig, found)
                return
            detection = pipeline.begin({
                name: partial(self._decode, name, cdr, rig[name].intrinsics)
                for name, cdr in usable.items() if name not in from_elsewhere
            })
        except GeoPoseError as error:
            self._set_failed(error, found.stamp_ns)
            return
        self._submit(partial(self._fuse, pipeline, detection, keypoints, found.stamp_ns), rig, found)
        detection.wait_for_a_worker()

    def _submit(self, finish: Callable[[], PipelineResult], rig: CameraRig, found: StampedSet[bytes]) -> None:
        """Hand a set to the finisher, and wait until it is done with the one before."""
        before, self._finished = self._finished, self._finisher.submit(self._finish, finish, rig, found)
        before.result()

    def _fuse(
        self, pipeline: PosePipeline, detection: Detection, keypoints: dict[str, Keypoints2D], stamp_ns: int
    ) -> PipelineResult:
        seen = detection.views()
        views = replace(seen, keypoints={**seen.keypoints, **keypoints})
        for name, error in views.camera_errors.items():
            self._camera_failed(name, error, stamp_ns)
        return pipeline.finish(stamp_ns, views)

    def _finish(self, finish: Callable[[], PipelineResult], rig: CameraRig, found: StampedSet[bytes]) -> None:
        try:
            result = finish()
            self._outputs.publish(result, rig)
            self._tell_detectors(found, rig)
            latency_ns = self._node.get_clock().now().nanoseconds - found.stamp_ns
            self._statistics.processed(result, found.span_ns, latency_ns, monotonic_ns())
            self._outputs.publish_annotated(result, rig)
        except GeoPoseError as error:
            self._set_failed(error, found.stamp_ns)

    def _tell_detectors(self, found: StampedSet[bytes], rig: CameraRig) -> None:
        """Publish whom the next pictures will show: one period from now, if that is known."""
        pipeline = self._pipeline
        step_ns = found.stamp_ns - self._told_ns
        self._told_ns = found.stamp_ns
        if pipeline is not None and self._outputs.wants_expected():
            ahead_ns = found.stamp_ns + (step_ns if 0 < step_ns < _LONGEST_STEP_NS else 0)
            self._outputs.publish_expected(pipeline.expected(dict.fromkeys(rig.names, ahead_ns)), rig)

    def _set_failed(self, error: GeoPoseError, stamp_ns: int) -> None:
        self._statistics.set_failed(type(error).__name__)
        self._warn(f'Frame set at {stamp_ns} ns: {error}', key=f'set {type(error).__name__}')

    def _current_pipeline(self) -> tuple[PosePipeline | None, CameraRig | None]:
        rig = self._calibration.rig
        if rig is not None and rig is not self._pipeline_rig and self._calibration.is_settled(monotonic_ns()):
            wait([self._finished])
            self._use_rig(rig)
            self._publish_skeleton()
        return self._pipeline, self._pipeline_rig

    def _calibrated(self, rig: CameraRig, found: StampedSet[bytes]) -> dict[str, bytes]:
        """Return the payloads of the cameras in the rig; what is wrong with the others is noted."""
        usable = {}
        for name, cdr in found.payloads.items():
            if name in rig.names:
                usable[name] = cdr
            else:
                self._statistics.problem(
                    name, 'not calibrated', self._calibration.problems.get(name, 'not calibrated yet'), monotonic_ns()
                )
        return usable

    def _decode(self, camera: str, cdr: bytes, intrinsics: Intrinsics) -> Frame:
        message = read_image(cdr) if self._config.transport == 'raw' else read_compressed_image(cdr)
        return frame_from_message(message, camera, intrinsics, self._config.pipeline.detector.max_side_px)

    def _transport(self, camera: str) -> str:
        return transport_of(self._config, camera)

    def _read_keypoints(self, received: dict[str, bytes], stamp_ns: int, rig: CameraRig) -> dict[str, Keypoints2D]:
        skeleton = get_skeleton(self._config.keypoints_skeleton)
        keypoints = {}
        for name, cdr in received.items():
            try:
                keypoints[name] = checked(
                    keypoints_from_cloud(deserialize_message(cdr, PointCloud2), name, skeleton),
                    self._config.pipeline.detector.max_people, rig[name].intrinsics.width, rig[name].intrinsics.height,
                )
            except GeoPoseError as error:
                self._camera_failed(name, str(error), stamp_ns)
        return keypoints

    def _camera_failed(self, camera: str, error: str, stamp_ns: int) -> None:
        self._statistics.problem(camera, 'unreadable', error, monotonic_ns())
        self._warn(f'At {stamp_ns} ns: {error}', key=f'camera {camera}')

    def _on_crash(self, error: BaseException) -> None:
        self._log.fatal(''.join(traceback.format_exception(type(error), error, error.__traceback__)))
        self._crashed()

    # Reports.

    def _warn(self, text: str, key: str = '') -> None:
        now_ns = monotonic_ns()
        if now_ns - self._logged_ns.get(key or text, -_LOG_PERIOD_NS) >= _LOG_PERIOD_NS:
            self._logged_ns[key or text] = now_ns
            self._log.warning(text)

    def _tick(self) -> None:
        if self._inputs is not None:
            self._listen_for_camera_info()
            self._look_at_topics()
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
            diagnostics.rig_status(self._statistics, self._config, self._calibration.problems),
            *cameras,
        ]

    def _look_at_topics(self) -> None:
        """Say why a camera that sends nothing may do so: nobody publishes, or another type."""
        now_ns = monotonic_ns()
        for name in self._cameras:
            camera = self._statistics.cameras[name]
            age_s = camera.age_s(now_ns)
            if age_s is not None and age_s <= self._config.stale_after_s:
                camera.notes.pop('topic', None)
                continue
            expected = _MESSAGE_TYPES[self._transport(name)]
            types = {i.topic_type for i in self._node.get_publishers_info_by_topic(self._topics[name])}
            if not types:
                camera.notes['topic'] = f'nobody publishes it{self._elsewhere(name)}'
            elif expected not in types:
                camera.notes['topic'] = f'it holds {", ".join(sorted(types))}, expected {expected}'
            else:
                camera.notes.pop('topic', None)

    def _elsewhere(self, camera: str) -> str:
        """Return a hint if the camera publishes by another transport."""
        for transport, type_name in _MESSAGE_TYPES.items():
            topic = _input_topic(self._config, camera, transport)
            there = {i.topic_type for i in self._node.get_publishers_info_by_topic(topic)}
            if transport != self._transport(camera) and type_name in there:
                return f", but '{topic}' is there: set transport:={transport}"
        return '; check the topic names and that the driver runs'


def _input_topic(config: NodeConfig, camera: str, transport: str = '') -> str:
    """Return the topic that ``camera`` publishes by ``transport`` ('': the configured one)."""
    transport = transport or transport_of(config, camera)
    topic = topic_of(config.keypoints_topic if transport == 'keypoints' else config.image_topic, camera)
    return f'{topic}/compressed' if transport == 'compressed' else topic


def transport_of(config: NodeConfig, camera: str) -> str:
    """Return what ``camera`` sends: keypoints where a detector elsewhere does its work."""
    return 'keypoints' if camera in config.keypoints_cameras else config.transport


def topic_of(template: str, camera: str) -> str:
    """Return the topic of ``camera``.

    Raises:
        ConfigError: if the template has other fields than {camera}, or no topic name comes of it.
    """
    try:
        topic = template.format(camera=camera)
    except (KeyError, IndexError, ValueError) as error:
        raise ConfigError(f"Topic template '{template}': {error!r}; the only field is {{camera}}.") from error
    try:
        validate_topic_name(topic)
        if topic.startswith('/'):
            # Finds // too.
            validate_full_topic_name(topic)
    except InvalidTopicNameException as error:
        reason = ' '.join(str(error).split())
        raise ConfigError(f"Camera '{camera}', topic template '{template}': {reason}. Rename it.") from error
    return topic
