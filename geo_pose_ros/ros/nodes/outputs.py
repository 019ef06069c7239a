# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The topics pose_node publishes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from rclpy.lifecycle import LifecycleNode, LifecyclePublisher
from sensor_msgs.msg import CompressedImage, PointCloud2
from std_msgs.msg import String
from visualization_msgs.msg import MarkerArray

from ...messages.clouds.bodies import bodies_to_cloud
from ...messages.clouds.details import details_to_cloud
from ...messages.clouds.keypoints import keypoints_to_cloud
from ...messages.clouds.predictions import predicted_to_cloud
from ...messages.detections3d import bodies_to_detections3d
from ...messages.humans import body_name
from ...messages.image import compressed_from_frame
from ...messages.markers import bodies_to_markers
from ...messages.skeleton import skeleton_to_message
from ...messages.transforms import bodies_to_transforms
from ...pipeline import PipelineResult
from ...rigs.rig_file import rig_hash
from ...skeleton import OUTPUTS
from ...types import Bodies3D, CameraRig, Frame, Keypoints2D, PredictedPeople
from ...view.drawing import draw_skeleton
from ..io.message_factory import RclpyFactory, installed_class
from ..io.qos import offer, profile
from ..io.transforms import transform_message
from ..settings import NodeConfig
from .humans import Humans


class CameraOutputs:
    """The topics of one camera."""

    def __init__(self, node: LifecycleNode, name: str, *, active: bool) -> None:
        """Create the publishers of camera ``name``; where the node is ``active`` already, they are too."""
        self._node = node
        create = node.create_lifecycle_publisher
        self.keypoints = create(PointCloud2, f'~/keypoints/{name}', profile(10))
        self.predictions = create(PointCloud2, f'~/expected/{name}', profile(1, reliable=False))
        self.annotated = create(CompressedImage, f'~/annotated/{name}/compressed', profile(1))
        self._all = self.keypoints, self.predictions, self.annotated
        if active:
            for publisher in self._all:
                publisher.on_activate(None)  # type: ignore[arg-type]

    def close(self) -> None:
        """Destroy the publishers."""
        for publisher in self._all:
            self._node.destroy_lifecycle_publisher(publisher)


class Outputs:
    """Lifecycle publishers; they publish only while the node is active.

    Attributes:
        cameras: the topics of each camera by name. Not to be changed while a set is published.
    """

    def __init__(self, node: LifecycleNode, config: NodeConfig) -> None:
        """Create the publishers; raise ConfigError if what is asked for needs messages that are not installed."""
        self.cameras: dict[str, CameraOutputs] = {}
        self._node, self._config = node, config
        self._make = RclpyFactory()
        self._shown_ids: list[int] = []
        create = node.create_lifecycle_publisher
        # What may be refused comes first, so that nothing is left of a refusal.
        self._humans = Humans(node, self._make, config.humans.id_prefix) if config.publish_humans else None
        self._tf: LifecyclePublisher[Any] | None = None
        if config.publish_body_frames:
            self._transforms = transform_message('publish_body_frames', 'set it to false')
            self._tf = create(self._transforms, '/tf', profile(100))
        self._bodies = create(PointCloud2, '~/bodies', profile(10))
        self._details = create(PointCloud2, '~/details', profile(10))
        # For those who have its messages; nobody else could subscribe.
        boxes = installed_class('vision_msgs/msg/Detection3DArray')
        self._boxes = create(boxes, '~/detections3d', profile(10)) if boxes is not None else None
        self._markers = create(MarkerArray, '~/markers', profile(10))
        self._skeleton = create(String, '~/skeleton', profile(1, latched=True))

    @property
    def bodies_topic(self) -> str:
        """The full name of `~/bodies`."""
        return str(self._bodies.topic_name)

    def apply(self, config: NodeConfig) -> None:
        """Draw by other settings from now on."""
        self._config = config

    def publish_skeleton(self, rig: CameraRig, model_card_hash: str) -> None:
        """Publish `~/skeleton`, again whenever the rig changes."""
        skeleton = OUTPUTS[self._config.pipeline.skeleton]
        self._skeleton.publish(skeleton_to_message(self._make, skeleton, rig, rig_hash(rig), model_card_hash))

    def publish(self, result: PipelineResult, rig: CameraRig) -> None:
        """Publish what one set gave; `~/bodies` first, the rest only while somebody subscribes."""
        make, bodies = self._make, result.bodies
        self._bodies.publish(bodies_to_cloud(make, bodies))
        offer(self._details, lambda: details_to_cloud(make, bodies))
        if self._boxes is not None:
            offer(self._boxes, lambda: bodies_to_detections3d(make, bodies))
        if self._tf is not None:
            name_of = partial(body_name, prefix=self._config.humans.id_prefix)
            self._tf.publish(self._transforms(transforms=bodies_to_transforms(make, bodies, name_of)))
        if self._humans is not None:
            # Where cameras move, the rig does not say where they were.
            self._humans.publish(bodies, None if self._config.tracking_frame else rig, result.views.frames)
        offer(self._markers, lambda: self._markers_of(bodies))
        for name, seen in result.keypoints.items():
            offer(self.cameras[name].keypoints, partial(keypoints_to_cloud, make, seen, rig[name].frame_id))

    def _markers_of(self, bodies: Bodies3D) -> MarkerArray:
        shown_ids, self._shown_ids = self._shown_ids, bodies.body_ids.tolist()
        return bodies_to_markers(self._make, bodies, shown_ids)

    def wants_predictions(self) -> bool:
        """Return whether a detector elsewhere listens."""
        return any(camera.predictions.get_subscription_count() for camera in self.cameras.values())

    def publish_predictions(self, predicted: Mapping[str, PredictedPeople], rig: CameraRig) -> None:
        """Tell detectors elsewhere who is predicted for the next images, by camera."""
        for name, people in predicted.items():
            message = partial(predicted_to_cloud, self._make, people, rig[name].frame_id)
            offer(self.cameras[name].predictions, message)

    def publish_annotated(self, result: PipelineResult, rig: CameraRig) -> None:
        """Draw and publish the images somebody subscribes to."""
        for name, frame in result.views.frames.items():
            offer(
                self.cameras[name].annotated,
                partial(self._annotated, frame, result.keypoints[name], rig[name].frame_id),
            )

    def _annotated(self, frame: Frame, keypoints: Keypoints2D, frame_id: str) -> CompressedImage:
        drawn = annotate(frame, keypoints, self._config.annotated_max_side_px)
        return compressed_from_frame(self._make, drawn, frame_id, self._config.annotated_quality)

    def publish_nobody(self) -> None:
        """Publish that nobody is tracked any more; no further set would say so."""
        if self._humans is not None:
            self._humans.publish_nobody()

    def close(self) -> None:
        """Destroy the publishers."""
        if self._humans is not None:
            self._humans.close()
        for camera in self.cameras.values():
            camera.close()
        for publisher in (self._bodies, self._details, self._markers, self._skeleton, self._tf, self._boxes):
            if publisher is not None:
                self._node.destroy_lifecycle_publisher(publisher)


def annotate(frame: Frame, keypoints: Keypoints2D, max_side_px: int) -> Frame:
    """Return ``frame`` with ``keypoints`` (raw px) drawn in, its longer side at most ``max_side_px``."""
    step = -(-max(frame.image.shape[:2]) // max_side_px)
    image = frame.image[::step, ::step].copy()
    reduction = frame.reduction * step
    # Pixel k of the drawn image is pixel k * step of the frame.
    xy = ((keypoints.xy + 0.5) / frame.reduction - 0.5) / step
    draw_skeleton(image, xy, keypoints.confidence, keypoints.skeleton)
    return Frame(frame.camera, frame.stamp_ns, image, reduction)
