"""The topics pose_node publishes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sensor_msgs.msg import CompressedImage, PointCloud2
from std_msgs.msg import String
from visualization_msgs.msg import MarkerArray

from ...messages.body_frames import bodies_to_transforms
from ...messages.clouds.bodies import bodies_to_cloud
from ...messages.clouds.details import details_to_cloud
from ...messages.clouds.keypoints import keypoints_to_cloud
from ...messages.clouds.predictions import predicted_to_cloud
from ...messages.detections3d import bodies_to_detections3d
from ...messages.image import compressed_from_frame
from ...messages.markers import bodies_to_markers
from ...messages.skeleton import skeleton_to_message
from ...pipeline import PipelineResult
from ...rigs.rig_file import rig_hash
from ...skeleton import BODY17
from ...types import CameraRig, Frame, Keypoints2D, PredictedPeople
from ...view.drawing import draw_skeleton
from ..io.message_factory import RclpyFactory, installed_class
from ..io.qos import profile
from ..io.tf import transform_message
from .humans import Humans
from .settings import NodeConfig


class Outputs:
    """Lifecycle publishers; they publish only while the node is active."""

    def __init__(self, node: Any, cameras: Sequence[str], config: NodeConfig) -> None:
        """Create the publishers; raise ConfigError if what is asked for needs messages that are not installed."""
        self._node, self._config = node, config
        self._make = RclpyFactory()
        self._shown_ids: list[int] = []
        create = node.create_lifecycle_publisher
        # What may be refused comes first, so that nothing is left of a refusal.
        self._humans = Humans(node, self._make) if config.publish_humans else None
        self._tf: Any = None
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
        # By camera.
        self._keypoints: dict[str, Any] = {}
        self._expected: dict[str, Any] = {}
        self._annotated: dict[str, Any] = {}
        self.use_cameras(cameras, active=False)

    def use_cameras(self, cameras: Sequence[str], *, active: bool) -> None:
        """Go on with other cameras; the topics of those that stay are kept. Not while a set is published.

        Args:
            cameras: their names.
            active: whether the node is.
        """
        of_cameras = self._keypoints, self._expected, self._annotated
        for name in self._keypoints.keys() - set(cameras):
            for publishers in of_cameras:
                self._node.destroy_lifecycle_publisher(publishers.pop(name))
        create = self._node.create_lifecycle_publisher
        for name in [name for name in cameras if name not in self._keypoints]:
            self._keypoints[name] = create(PointCloud2, f'~/keypoints/{name}', profile(10))
            self._expected[name] = create(PointCloud2, f'~/expected/{name}', profile(1, reliable=False))
            self._annotated[name] = create(CompressedImage, f'~/annotated/{name}/compressed', profile(1))
            if active:
                # The node did so with the others when it was activated.
                for publishers in of_cameras:
                    publishers[name].on_activate(None)

    def apply(self, config: NodeConfig) -> None:
        """Draw by other settings from now on."""
        self._config = config

    def publish_skeleton(self, rig: CameraRig, model_card_hash: str) -> None:
        """Publish `~/skeleton`, again whenever the rig changes."""
        self._skeleton.publish(skeleton_to_message(self._make, BODY17, rig, rig_hash(rig), model_card_hash))

    def publish(self, result: PipelineResult, rig: CameraRig) -> None:
        """Publish what one frame set gave; `~/bodies` first, the rest only while somebody subscribes."""
        self._bodies.publish(bodies_to_cloud(self._make, result.bodies))
        if self._details.get_subscription_count():
            self._details.publish(details_to_cloud(self._make, result.bodies))
        if self._boxes is not None and self._boxes.get_subscription_count():
            self._boxes.publish(bodies_to_detections3d(self._make, result.bodies))
        if self._tf is not None:
            self._tf.publish(self._transforms(transforms=bodies_to_transforms(self._make, result.bodies)))
        if self._humans is not None:
            # Where cameras move, the rig does not say where they were.
            self._humans.publish(result.bodies, None if self._config.tracking_frame else rig)
        if self._markers.get_subscription_count():
            self._markers.publish(bodies_to_markers(self._make, result.bodies, self._shown_ids))
            self._shown_ids = result.bodies.body_ids.tolist()
        for name, keypoints in result.keypoints.items():
            if self._keypoints[name].get_subscription_count():
                self._keypoints[name].publish(keypoints_to_cloud(self._make, keypoints, rig[name].frame_id))

    def wants_expected(self) -> bool:
        """Return whether a detector elsewhere listens."""
        return any(publisher.get_subscription_count() for publisher in self._expected.values())

    def publish_expected(self, expected: Mapping[str, PredictedPeople], rig: CameraRig) -> None:
        """Tell detectors elsewhere whom the next pictures will show, by camera."""
        for name, people in expected.items():
            if self._expected[name].get_subscription_count():
                self._expected[name].publish(predicted_to_cloud(self._make, people, rig[name].frame_id))

    def publish_annotated(self, result: PipelineResult, rig: CameraRig) -> None:
        """Draw and publish the pictures somebody subscribes to."""
        for name, frame in result.views.frames.items():
            if self._annotated[name].get_subscription_count():
                picture = annotate(frame, result.keypoints[name], self._config.annotated_max_side_px)
                self._annotated[name].publish(
                    compressed_from_frame(self._make, picture, rig[name].frame_id, self._config.annotated_quality)
                )

    def nobody(self) -> None:
        """Say that nobody is tracked any more, to those who would wait for the next set to be told."""
        if self._humans is not None:
            self._humans.nobody()

    def close(self) -> None:
        """Destroy the publishers."""
        if self._humans is not None:
            self._humans.close()
        optional = [made for made in (self._tf, self._boxes) if made is not None]
        for publisher in (
            self._bodies, self._details, self._markers, self._skeleton, *self._keypoints.values(),
            *self._expected.values(), *self._annotated.values(), *optional,
        ):
            self._node.destroy_lifecycle_publisher(publisher)


def annotate(frame: Frame, keypoints: Keypoints2D, max_side_px: int) -> Frame:
    """Return ``frame`` with ``keypoints`` (raw px) drawn in, its longer side at most ``max_side_px``."""
    step = -(-max(frame.image.shape[:2]) // max_side_px)
    image = frame.image[::step, ::step].copy()
    reduction = frame.reduction * step
    # Pixel k of the picture is pixel k * step of the frame.
    xy = ((keypoints.xy + 0.5) / frame.reduction - 0.5) / step
    draw_skeleton(image, xy, keypoints.confidence, keypoints.skeleton)
    return Frame(frame.camera, frame.stamp_ns, image, reduction)
