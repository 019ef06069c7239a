"""All that detector_node holds between configure and cleanup."""

from __future__ import annotations

import threading
import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from time import monotonic_ns
from typing import Any

from sensor_msgs.msg import PointCloud2

from ...detection.stage import DetectionStage
from ...errors import ConfigError, FrameError, GeoPoseError
from ...messages.clouds.keypoints import keypoints_to_cloud
from ...messages.clouds.predictions import predicted_from_cloud
from ...messages.diagnostics import DIAGNOSTIC_ARRAY, Level, Status, diagnostics_to_message
from ...messages.image import frame_from_message
from ...skeleton import BODY17, map_to_body17
from ...types import Frame, Keypoints2D, PredictedPeople
from ..health.statistics import CameraStatistics
from ..io.cdr import header_stamp_ns, read_compressed_image, read_image
from ..io.message_factory import RclpyFactory, message_class
from ..io.qos import SubscriptionEventCallbacks, explain_incompatible, profile
from ..io.topics import fill
from .inputs import PolledInputs
from .settings import DetectorNodeConfig

_MESSAGE_TYPES = {'raw': 'sensor_msgs/msg/Image', 'compressed': 'sensor_msgs/msg/CompressedImage'}
_NS_PER_S = 1_000_000_000
_LOG_PERIOD_NS = 5 * _NS_PER_S
# A problem is reported for this long after it last happened.
_RECENT_NS = 5 * _NS_PER_S


class DetectorSession:
    """Model, topics and the worker of one configured node."""

    def __init__(self, node: Any, config: DetectorNodeConfig, on_crash: Callable[[], None]) -> None:
        """Load the model and create the outputs.

        Args:
            node: a lifecycle node.
            config: its settings.
            on_crash: called when the worker has ended by an unexpected error.

        Raises:
            GeoPoseError: if the set-up cannot work.
        """
        self._node, self._config, self._crashed = node, config, on_crash
        self._log = node.get_logger()
        # Transitions may come from any thread, the timer from the executor's.
        self._lock = threading.RLock()
        self._closed = False
        self._cameras = tuple(config.cameras)
        if not self._cameras or len(set(self._cameras)) != len(self._cameras):
            raise ConfigError(
                f"detector_node: received cameras {list(self._cameras)}, expected unique names: "
                "cameras:=\"['left', 'right']\"."
            )
        suffix = '/compressed' if config.transport == 'compressed' else ''
        self._topics = {name: fill(config.image_topic, name) + suffix for name in self._cameras}
        sent = {name: fill(config.keypoints_topic, name) for name in self._cameras}
        self._expected_topics = {name: fill(config.expected_topic, name) for name in self._cameras}
        self._stage = DetectionStage(config.detector, len(self._cameras))
        try:
            self._stage.load()
        except GeoPoseError:
            self._stage.close()
            raise
        self._make = RclpyFactory()
        self._publishers = {
            name: node.create_lifecycle_publisher(PointCloud2, topic, profile(10)) for name, topic in sent.items()
        }
        self._diagnostics = node.create_publisher(
            message_class(DIAGNOSTIC_ARRAY), '/diagnostics', profile(10)
        )
        self._statistics = {name: CameraStatistics() for name in self._cameras}
        # What last went wrong with a camera, in words, and when.
        self._problems: dict[str, tuple[str, int]] = {}
        self._counts: dict[str, Counter[str]] = {name: Counter() for name in self._cameras}
        # Guards the counts of problems and what waits to be detected: the newest picture of each camera.
        self._condition = threading.Condition()
        self._waiting: dict[str, bytes] = {}
        self._running = False
        self._thread: threading.Thread | None = None
        self._expected: dict[str, PredictedPeople] = {}
        self._frame_ids: dict[str, str] = {}
        self._logged_ns: dict[str, int] = {}
        self._inputs: PolledInputs | None = None
        self._told: list[Any] = []
        self._timer = node.create_timer(config.diagnostics_period_s, self._tick)

    def activate(self) -> None:
        """Subscribe to the cameras and start to detect."""
        config = self._config
        with self._lock:
            self._subscribe(config)
        self._log.info(f'active: {len(self._cameras)} cameras ({", ".join(self._cameras)}), detector '
                       f'{config.detector.name}')

    def _subscribe(self, config: DetectorNodeConfig) -> None:
        kind = message_class(_MESSAGE_TYPES[config.transport])
        qos = profile(config.queue_depth, reliable=config.reliability == 'reliable')
        self._inputs = PolledInputs(self._node, self._on_crash)
        for name in self._cameras:
            events = SubscriptionEventCallbacks(incompatible_qos=partial(self._on_incompatible, name))
            self._inputs.subscribe(kind, self._topics[name], partial(self._on_frame, name), qos, events)
            self._told.append(self._node.create_subscription(
                PointCloud2, self._expected_topics[name], partial(self._on_expected, name),
                profile(1, reliable=False),
            ))
        self._running = True
        self._thread = threading.Thread(target=self._run, name='detector worker', daemon=True)
        self._thread.start()
        self._inputs.start()

    def prepare(self, config: DetectorNodeConfig) -> None:
        """Make ready what ``apply`` needs: nothing."""

    def apply(self, config: DetectorNodeConfig) -> None:
        """Take over the settings that are live."""
        self._config = config

    def deactivate(self) -> None:
        """Stop detecting and unsubscribe; nothing if it is not active."""
        with self._lock:
            if self._inputs is None:
                return
            self._inputs.close()
            self._inputs = None
            for subscription in self._told:
                self._node.destroy_subscription(subscription)
            self._told.clear()
            with self._condition:
                self._running = False
                self._condition.notify()
            if self._thread is not None and self._thread is not threading.current_thread():
                self._thread.join()
            self._waiting.clear()
            self._expected.clear()
        published = sum(counts['published'] for counts in self._counts.values())
        self._log.info(f'{published} keypoint messages published')

    def close(self) -> None:
        """Undo the rest."""
        with self._lock:
            self._closed = True
            self._node.destroy_timer(self._timer)
            self._stage.close()
            for publisher in self._publishers.values():
                self._node.destroy_lifecycle_publisher(publisher)
            self._node.destroy_publisher(self._diagnostics)

    # Inputs: frames come from their own thread, the expected people from the executor.

    def _on_frame(self, camera: str, cdr: bytes) -> None:
        now_ns = monotonic_ns()
        self._statistics[camera].arrivals_ns.append(now_ns)
        try:
            header_stamp_ns(cdr)
        except FrameError as error:
            self._problem(camera, 'no header', str(error))
            return
        with self._condition:
            if camera in self._waiting:
                self._counts[camera]['dropped: a newer picture came before it was taken'] += 1
            self._waiting[camera] = cdr
            self._condition.notify()

    def _on_expected(self, camera: str, message: Any) -> None:
        try:
            self._expected[camera] = predicted_from_cloud(message, camera)
        except GeoPoseError as error:
            self._problem(camera, 'expected people unreadable', str(error))

    def _on_incompatible(self, camera: str, event: Any) -> None:
        text = explain_incompatible(self._topics[camera], event)
        self._statistics[camera].notes['qos'] = text
        self._warn(text, camera)

    def _on_crash(self, error: BaseException) -> None:
        self._log.fatal(''.join(traceback.format_exception(type(error), error, error.__traceback__)))
        self._crashed()

    # The worker.

    def _run(self) -> None:
        try:
            while pictures := self._take():
                self._detect(pictures)
        except BaseException as error:  # noqa: BLE001 - handed on, the thread ends
            self._on_crash(error)

    def _take(self) -> dict[str, bytes]:
        """Wait for pictures and return the newest of each camera; none when it is time to stop."""
        with self._condition:
            self._condition.wait_for(lambda: self._waiting or not self._running)
            if not self._running:
                return {}
            taken, self._waiting = self._waiting, {}
            return taken

    def _detect(self, pictures: Mapping[str, bytes]) -> None:
        loaders = {name: partial(self._load, name, cdr) for name, cdr in pictures.items()}
        views = self._stage.begin(loaders, self._whom_to_expect).views()
        for name, error in views.camera_errors.items():
            self._problem(name, 'unusable', error)
        for name, keypoints in views.keypoints.items():
            cloud = keypoints_to_cloud(self._make, _as_body17(keypoints), self._frame_ids.get(name, name), hints=True)
            self._publishers[name].publish(cloud)
            with self._condition:
                self._counts[name]['published'] += 1

    def _load(self, camera: str, cdr: bytes) -> Frame:
        message = read_image(cdr) if self._config.transport == 'raw' else read_compressed_image(cdr)
        self._frame_ids[camera] = message.header.frame_id
        return frame_from_message(message, camera, None, self._config.detector.max_side_px)

    def _whom_to_expect(self, stamps_ns: Mapping[str, int]) -> dict[str, PredictedPeople]:
        told = {}
        for name, stamp_ns in stamps_ns.items():
            expected = self._expected.get(name)
            if expected is None:
                continue
            if abs(expected.stamp_ns - stamp_ns) <= self._config.expected_age_s * _NS_PER_S:
                told[name] = expected
            else:
                with self._condition:
                    self._counts[name]['expected people of another time'] += 1
        return told

    # Reports.

    def _problem(self, camera: str, kind: str, text: str) -> None:
        with self._condition:
            self._counts[camera][kind] += 1
            self._problems[camera] = text, monotonic_ns()
        self._warn(text, f'{camera} {kind}')

    def _warn(self, text: str, key: str) -> None:
        now_ns = monotonic_ns()
        if now_ns - self._logged_ns.get(key, -_LOG_PERIOD_NS) >= _LOG_PERIOD_NS:
            self._logged_ns[key] = now_ns
            self._log.warning(text)

    def _tick(self) -> None:
        with self._lock:
            if not self._closed:
                self._report()

    def _report(self) -> None:
        now_ns = monotonic_ns()
        active = self._inputs is not None
        statuses = [self._status(name, now_ns) for name in self._cameras] if active else [
            Status('detector', Level.OK, 'not active', {})
        ]
        self._diagnostics.publish(diagnostics_to_message(
            self._make, self._node.get_name(), statuses, self._node.get_clock().now().nanoseconds
        ))

    def _status(self, name: str, now_ns: int) -> Status:
        """Return the state of one camera; the worst thing comes first in its message."""
        camera = self._statistics[name]
        age_s = camera.age_s(now_ns)
        complaints = [(Level.ERROR, note) for note in camera.notes.values()]
        if age_s is None:
            complaints.append((Level.ERROR, f"no picture on '{self._topics[name]}' yet"))
        elif age_s > self._config.stale_after_s:
            text = f"silent for {age_s:.1f} s on '{self._topics[name]}'; check its driver"
            complaints.append((Level.ERROR, text))
        others = self._node.count_publishers(self._publishers[name].topic_name) - 1
        if others > 0:
            complaints.append((
                Level.ERROR, f"{others} more publish '{self._publishers[name].topic_name}'; stop all but one detector"
            ))
        with self._condition:
            counts = dict(self._counts[name])
        text, last_ns = self._problems.get(name, ('', 0))
        if text and now_ns - last_ns < _RECENT_NS:
            complaints.append((Level.WARN, text))
        level = max((level for level, _ in complaints), default=Level.OK)
        ranked = [text for _, text in sorted(complaints, key=lambda c: -c[0])]
        values = {
            'topic': self._topics[name], 'rate_hz': f'{camera.rate_hz(now_ns):.1f}',
            'age_s': 'never' if age_s is None else f'{age_s:.3f}',
            **{key: str(count) for key, count in counts.items()},
        }
        return Status(f'camera {name}', level, '; '.join(ranked) or 'ok', values)


def _as_body17(keypoints: Keypoints2D) -> Keypoints2D:
    """Return the keypoints as pose_node uses them: half of the joints, and no question which skeleton it is."""
    if keypoints.skeleton is BODY17:
        return keypoints
    xy, confidence = map_to_body17(keypoints.skeleton).apply(keypoints.xy, keypoints.confidence)
    return Keypoints2D(keypoints.camera, keypoints.stamp_ns, BODY17, xy, confidence, keypoints.hints)
