# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""From a set to what is published: the runner of pose_node, with its rig and lifter as they change, and its sink."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from time import monotonic_ns
from types import SimpleNamespace

from rclpy.node import Node
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import PointCloud2

from ...arrays import NS_PER_S
from ...detection import Detector, create_detector
from ...errors import GeoPoseError, TransformError
from ...lifting.lifter import PoseLifter
from ...messages.cdr import read_compressed_image, read_image
from ...pipeline import PipelineResult, PosePipeline
from ...runner import MessageReader, SetRunner
from ...scene.sync import StampedSet
from ...scene.sync.depths import DepthImages
from ...skeleton import get_skeleton
from ...types import Camera, CameraRig, ClockModel
from ..health.statistics import NodeStatistics
from ..io.bridge import raw_converter
from ..io.topics import sends_only_keypoints, transport_of
from ..settings import NodeConfig
from .model_changes import ModelChanges
from .outputs import Outputs
from .rig_source import RigSource

# Sets farther apart than this do not tell when the next one will be.
_LONGEST_STEP_NS = NS_PER_S // 2
# A depth image comes a little later than its colour image.
_DEPTH_WAIT_S = 0.05


class SetProcessor:
    """Owns the pipeline; ``process`` begins with a set, a second thread finishes and publishes it: a runner's sink.

    Attributes:
        lifters, detectors: hand on other ones.
        depths: the depth images that cameras sent; None: they are not used.
    """

    def __init__(
        self, node: Node, config: NodeConfig, source: RigSource, statistics: NodeStatistics, outputs: Outputs,
        on_published: Callable[[PipelineResult, CameraRig], None],
        use_clocks: Callable[[Mapping[str, ClockModel]], None],
    ) -> None:
        """Prepare; ``use_cameras`` loads the models.

        Args:
            node: an rclpy node.
            config: the node's settings.
            source: tells the rig.
            statistics: counts what is published, and what cannot be used.
            outputs: publish the results.
            on_published: gets every result after that, and the rig it was made with.
            use_clocks: gets the cameras' clocks after each set.
        """
        self._node, self._config, self._source, self._statistics = node, config, source, statistics
        self._outputs, self._on_published, self._use_clocks = outputs, on_published, use_clocks
        self.lifters: ModelChanges[PoseLifter] = ModelChanges()
        self.detectors: ModelChanges[Detector] = ModelChanges()
        self.depths: DepthImages[bytes] | None = None
        if config.pipeline.depth.enabled:
            self.depths = DepthImages(read_image, _DEPTH_WAIT_S)
        self._bridge = raw_converter() if config.transport == 'raw' else None
        self._names: tuple[str, ...] = ()
        self._only_keypoints = False
        self._runner: SetRunner[bytes] | None = None
        # Of the pipeline; None while no camera is calibrated.
        self._rig: CameraRig | None = None
        # The stamp of the last set.
        self._last_ns = 0

    def use_cameras(self, cameras: Sequence[str], config: NodeConfig) -> None:
        """Go on with ``cameras``, as far as their rig is known; people and their ids stay. Not while a set is made.

        Raises:
            GeoPoseError: if the models cannot be loaded.
        """
        self._config, self._names = config, tuple(cameras)
        self._only_keypoints = sends_only_keypoints(config, cameras)
        rig = self._source.rig
        if rig is not None:
            self._use_rig(rig)
        else:
            # The one before is of cameras that are gone.
            self._rig = None
            if self._runner is None and not self._only_keypoints:
                # Whether the detector works is found out now.
                create_detector(config.pipeline.detector).close()
        if self._runner is not None:
            self._runner.read = self._reader()

    def _use_rig(self, rig: CameraRig) -> None:
        """Take ``rig`` from now on; people and their ids stay."""
        if self._runner is None:
            pipeline = PosePipeline(rig, self._config.pipeline)
            self._runner = SetRunner(
                pipeline, self._reader(), self, self._source.moving, self._use_clocks, online=True
            )
        else:
            self._runner.wait()
            self._runner.pipeline.with_rig(rig)
            self._use_clocks(self._runner.pipeline.clocks())
        if not self._only_keypoints:
            self._runner.pipeline.load()
        self._rig = rig

    def _reader(self) -> MessageReader[bytes]:
        keypoints_cameras = [name for name in self._names if transport_of(self._config, name) == 'keypoints']
        skeleton = get_skeleton(self._config.keypoints_skeleton)
        return MessageReader(
            self._decode, self._config.pipeline.detector, skeleton, keypoints_cameras, self._bridge, self._note_size,
            self.depths,
        )

    def _note_size(self, camera: str, text: str) -> None:
        self._statistics.happened(f'camera {camera}', 'size', text.rstrip('.'), monotonic_ns())

    def _decode(self, camera: Camera, cdr: bytes) -> PointCloud2 | SimpleNamespace:
        transport = transport_of(self._config, camera.name)
        if transport == 'keypoints':
            return deserialize_message(cdr, PointCloud2)
        message = read_image(cdr) if transport == 'raw' else read_compressed_image(cdr)
        frame_id = str(message.header.frame_id).lstrip('/')
        if frame_id != camera.frame_id and not self._config.rig:
            of_frame = f"are of frame '{frame_id}'" if frame_id else "name no frame (frame_id is '')"
            text = (
                f"Camera '{camera.name}': its images {of_frame}, its camera_info is of '{camera.frame_id}', whose "
                'pose is used. Let its driver name the optical frame in both'
            )
            self._statistics.happened(f'camera {camera.name}', 'frame', text, monotonic_ns())
        return message

    def apply(self, config: NodeConfig) -> None:
        """Take over the settings that are live."""
        self._config = config
        if self._runner is not None:
            self._runner.pipeline.use_min_confidence(config.pipeline.detector.min_confidence)

    def publish_skeleton(self) -> None:
        """Publish `~/skeleton`, if there is a rig."""
        if self._rig is not None and self._runner is not None:
            moving = self._source.moving
            described = self._rig if moving is None else replace(self._rig, world_frame_id=moving.output_frame)
            self._outputs.publish_skeleton(described, self._runner.pipeline.model_sha256)

    def process(self, found: StampedSet[bytes]) -> None:
        """Begin to detect, and return when the next set can begin; the runner's thread does the rest."""
        try:
            self._take_changes()
        except GeoPoseError as error:
            self.failed(found.stamp_ns, error)
            return
        if self._rig is None or self._runner is None:
            self._statistics.set_failed('not calibrated', 'no camera is calibrated', monotonic_ns())
            return
        self._runner.process(self._calibrated(found, self._rig))

    def wait(self) -> None:
        """Wait until all sets that were begun are finished."""
        if self._runner is not None:
            self._runner.wait()

    def close(self) -> None:
        """Stop the runner's thread and free the models."""
        if self._runner is not None:
            self._runner.close()
            self._runner.pipeline.close()
        self.lifters.close()
        self.detectors.close()

    def _take_changes(self) -> None:
        """Take another rig, lifter and detector, where there is one."""
        rig = self._source.settled_rig
        if rig is not None and rig is not self._rig:
            self._use_rig(rig)
            self.publish_skeleton()
        if self._runner is not None and (lifter := self.lifters.take()) is not None:
            self._runner.wait()
            self._runner.pipeline.with_lifter(lifter)
            self.publish_skeleton()
        if self._runner is not None and (detector := self.detectors.take()) is not None:
            self._runner.wait()
            self._runner.pipeline.with_detector(detector)

    def _calibrated(self, found: StampedSet[bytes], rig: CameraRig) -> StampedSet[bytes]:
        """Return what the cameras of the rig sent; what is wrong with the others is noted."""
        unknown = [name for name in found.payloads if name not in rig.names]
        for name in unknown:
            why = self._source.problems.get(name, 'not calibrated yet')
            self._statistics.problem(name, 'not calibrated', why, monotonic_ns())
        if not unknown:
            return found
        known = {name: cdr for name, cdr in found.payloads.items() if name in rig.names}
        return replace(found, payloads=known, stamps_ns={name: found.stamps_ns[name] for name in known})

    # What the runner hands over, in its thread.

    def take(self, found: StampedSet[bytes], result: PipelineResult) -> None:
        """Publish a result, and count it."""
        if self._runner is None:
            return
        try:
            self._publish(found, result, self._runner.pipeline)
        except GeoPoseError as error:
            self.failed(found.stamp_ns, error)

    def _publish(self, found: StampedSet[bytes], result: PipelineResult, pipeline: PosePipeline) -> None:
        for name, error in result.views.camera_errors.items():
            self._statistics.problem(name, 'unreadable', f'{error} (at {found.stamp_ns} ns)', monotonic_ns())
        rig, moving = pipeline.rig, self._source.moving
        if moving is not None:
            result = replace(result, scene=replace(result.scene, bodies=moving.published(result.bodies)))
        self._outputs.publish(result, rig)
        self._publish_predictions(found.stamp_ns, pipeline)
        self._on_published(result, rig)
        now_ns = self._node.get_clock().now().nanoseconds
        # Simulated time that nobody publishes stands at 0.
        latency_ns = now_ns - found.stamp_ns if now_ns else None
        self._statistics.processed(result, found.span_ns, latency_ns, monotonic_ns())
        self._outputs.publish_annotated(result, rig)

    def unplaced(self, faults: Mapping[str, TransformError]) -> None:
        """Count the cameras whose poses are not known; what carries several has one fault."""
        carried: dict[tuple[str, str], list[str]] = {}
        for name, fault in faults.items():
            self._statistics.count(name, f'unusable: transform {fault.kind}')
            carried.setdefault((fault.kind, self._source.carrier_of(name)), []).append(name)
        for (kind, frame), names in carried.items():
            text = f'no pose of {", ".join(names)}: {faults[names[0]]}'
            self._statistics.happened('rig', f'transform {kind} {frame}', text, monotonic_ns())

    def failed(self, stamp_ns: int, error: GeoPoseError) -> None:
        """Count a set that gave nothing."""
        self._statistics.set_failed(type(error).__name__, f'set at {stamp_ns} ns: {error}', monotonic_ns())

    def _publish_predictions(self, stamp_ns: int, pipeline: PosePipeline) -> None:
        """Publish who is predicted for the next images: one period from now, if that is known."""
        step_ns, self._last_ns = stamp_ns - self._last_ns, stamp_ns
        if self._outputs.wants_predictions():
            rig, moving = pipeline.rig, self._source.moving
            next_ns = dict.fromkeys(rig.names, stamp_ns + (step_ns if 0 < step_ns < _LONGEST_STEP_NS else 0))
            poses = None if moving is None else moving.poses_about(next_ns)
            self._outputs.publish_predictions(pipeline.predict_people(next_ns, poses), rig)
