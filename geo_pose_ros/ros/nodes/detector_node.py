# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""detector_node: a lifecycle node from images of some cameras to their 2D keypoints.

pose_node elsewhere takes them (transport keypoints, or keypoints_cameras), and publishes on a small topic per camera
where it predicts people. Without that, or while it is silent, this node finds people by itself.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from time import monotonic_ns

from sensor_msgs.msg import PointCloud2

from ... import compiled
from ...arrays import NS_PER_S
from ...detection import Detector
from ...detection.settings import DetectorConfig
from ...detection.stage import DetectionStage, load_detector
from ...errors import ConfigError, GeoPoseError
from ...messages.cdr import read_compressed_image, read_image
from ...messages.clouds.keypoints import keypoints_to_cloud
from ...messages.clouds.predictions import predicted_from_cloud
from ...messages.image import frame_from_message
from ...skeleton import OUTPUTS, WHOLEBODY
from ...types import Frame, PredictedPeople
from ..health.faults import Part
from ..io.message_factory import RclpyFactory
from ..io.qos import profile
from ..io.topics import InputTopics, fill
from ..settings import DetectorNodeConfig
from .lifecycle import LifecycleHost
from .model_changes import ModelChanges, offer_reload, reload_detector
from .session import CameraSession
from .worker import NewestFrames, NewestWorker

# No image takes so long to arrive. One camera alone can be compared with nothing but the node's own clock.
_CLOCK_LIMIT_NS = 10 * NS_PER_S


class DetectorSession(CameraSession[DetectorNodeConfig, Mapping[str, bytes]]):
    """Model, topics and the worker of a configured detector_node."""

    STATUS = 'detector'

    def _make(self, made: ExitStack) -> None:
        node, config, names = self._node, self._config, self._config.cameras
        if not names or len(set(names)) != len(names):
            raise ConfigError(
                f"detector_node: received cameras {list(names)}, expected unique names: cameras:=\"['left', 'right']\"."
            )
        self._predictions: dict[str, PredictedPeople] = {}
        self._frame_ids: dict[str, str] = {}
        self._make_message = RclpyFactory()
        topics = {name: self._topics_of(name) for name in names}
        sent = {name: fill(config.keypoints_topic, name) for name in names}
        self._predictions_topics = {name: fill(config.predictions_topic, name) for name in names}
        # No image waits for it.
        compiled.prepare(self._logger.info)
        self._stage = DetectionStage(config.detector, len(topics), hands=config.skeleton == WHOLEBODY.name)
        made.callback(self._stage.close)
        self._stage.load()
        self._detectors: ModelChanges[Detector] = ModelChanges()
        made.callback(self._detectors.close)
        reload = offer_reload(node, lambda: reload_detector(self._detectors, *self._wanted(self._config)))
        if reload is not None:
            made.callback(node.destroy_service, reload)
        self._publishers = {
            name: node.create_lifecycle_publisher(PointCloud2, topic, profile(10)) for name, topic in sent.items()
        }
        for publisher in self._publishers.values():
            made.callback(node.destroy_lifecycle_publisher, publisher)
        dropped = partial(self._statistics.count, key='dropped: a newer image came before it was taken')
        self._worker = NewestWorker(NewestFrames(dropped), self._detect, self._on_crash)
        for name, of_camera in topics.items():
            self._add_input(name, of_camera)
            self._inputs[name].clock_limit_ns = _CLOCK_LIMIT_NS

    def _topics_of(self, camera: str) -> InputTopics:
        resolve, image = self._node.resolve_topic_name, fill(self._config.image_topic, camera)
        by_transport = {'raw': resolve(image), 'compressed': resolve(f'{resolve(image)}/compressed')}
        transport = self._config.transport
        return InputTopics(by_transport[transport], '', False, by_transport, transport)

    def _subscribe(self) -> None:
        self._prediction_inputs = [
            self._node.create_subscription(
                PointCloud2, topic, partial(self._on_predictions, name), profile(1, reliable=False)
            )
            for name, topic in self._predictions_topics.items()
        ]

    def _unsubscribe(self) -> None:
        for subscription in self._prediction_inputs:
            self._node.destroy_subscription(subscription)
        self._predictions.clear()

    def _describe(self) -> str:
        return self._stage.description

    def _totals(self) -> str:
        published = sum(camera.counts['published'] for camera in self._statistics.cameras.values())
        return f'{published} keypoint messages published'

    def _on_predictions(self, camera: str, message: PointCloud2) -> None:
        try:
            self._predictions[camera] = predicted_from_cloud(message, camera)
        except GeoPoseError as error:
            self._statistics.count(camera, 'predictions unreadable')
            self._statistics.happened(f'camera {camera}', 'predictions unreadable', str(error), monotonic_ns())

    # Live settings.

    def _wanted(self, config: DetectorNodeConfig) -> tuple[DetectorConfig, int, str]:
        return config.detector, len(config.cameras), config.skeleton

    def prepare(self, config: DetectorNodeConfig) -> None:
        """Load another detector for ``apply``; raise GeoPoseError if it cannot be."""
        if config.detector.model != self._config.detector.model:
            self._detectors.prepare(load_detector(*self._wanted(config)))

    def apply(self, config: DetectorNodeConfig) -> None:
        """Take over the settings that are live."""
        if config.detector.model != self._config.detector.model:
            self._detectors.change()
        super().apply(config)

    # In the worker's thread, and the detector's.

    def _detect(self, images: Mapping[str, bytes]) -> None:
        detector = self._detectors.take()
        if detector is not None:
            self._stage.use_detector(detector)
        loaders = {name: partial(self._load, name, cdr) for name, cdr in images.items()}
        views = self._stage.begin(loaders, self._predicted).views()
        for name, error in views.camera_errors.items():
            self._statistics.problem(name, 'unreadable', error, monotonic_ns())
        for name, keypoints in views.keypoints.items():
            frame_id = self._frame_ids.get(name, name)
            sent = keypoints.as_output(OUTPUTS[self._config.skeleton])
            cloud = keypoints_to_cloud(self._make_message, sent, frame_id, hints=True)
            self._publishers[name].publish(cloud)
            self._statistics.count(name, 'published')

    def _load(self, camera: str, cdr: bytes) -> Frame:
        message = read_image(cdr) if self._config.transport == 'raw' else read_compressed_image(cdr)
        self._frame_ids[camera] = message.header.frame_id
        return frame_from_message(message, camera, None, self._config.detector.max_side_px)

    def _predicted(self, stamps_ns: Mapping[str, int]) -> dict[str, PredictedPeople]:
        """Return who is predicted for the images of ``stamps_ns``, by camera, where that is known."""
        found = {}
        for name, stamp_ns in stamps_ns.items():
            people = self._predictions.get(name)
            if people is None:
                continue
            if abs(people.stamp_ns - stamp_ns) <= self._config.max_prediction_age_s * NS_PER_S:
                found[name] = people
            else:
                self._statistics.count(name, 'predictions of another time')
        return found

    # Health.

    def _parts(self, now_ns: int) -> list[Part]:
        away = self._statistics.away(self._config.stale_after_s, now_ns)
        return [
            self._with_rivals(
                self._camera_part(name, name in away, now_ns), publisher.topic_name, 'Stop all but one detector.'
            )
            for name, publisher in self._publishers.items()
        ]


class DetectorNode(LifecycleHost[DetectorNodeConfig]):
    """Configure reads parameters and the model; activate subscribes; the others undo."""

    NAME = 'detector_node'
    CONFIG = DetectorNodeConfig
    SESSION = DetectorSession


main = DetectorNode.main

if __name__ == '__main__':
    sys.exit(main())
