"""From a frame set to what is published: decode, detect, fuse, in the worker's thread and a finisher's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from functools import partial
from time import monotonic_ns, perf_counter
from typing import Any

from rclpy.serialization import deserialize_message
from sensor_msgs.msg import PointCloud2

from ...arrays import FloatArray
from ...detection import create_detector
from ...detection.checks import checked
from ...detection.stage import Detection, Views
from ...errors import GeoPoseError
from ...messages.clouds.keypoints import keypoints_from_cloud
from ...messages.image import frame_from_message
from ...pipeline import PipelineResult, PosePipeline
from ...rigs.moving import CameraPoses, Mount
from ...scene.sync import StampedSet
from ...skeleton import get_skeleton
from ...types import Camera, CameraRig, ClockModel, Frame, Keypoints2D
from ..health.statistics import NodeStatistics
from ..io.bridge import raw_converter
from ..io.cdr import read_compressed_image, read_image
from ..io.topics import sends_only_keypoints, transport_of
from .lifter_changes import LifterChanges
from .outputs import Outputs
from .rig_source import RigSource
from .settings import NodeConfig

# Sets farther apart than this do not tell when the next one will be.
_LONGEST_STEP_NS = 500_000_000


class SetProcessor:
    """Owns the pipeline; ``process`` begins with a set, a second thread finishes and publishes it."""

    def __init__(
        self, node: Any, cameras: Sequence[str], config: NodeConfig, source: RigSource, statistics: NodeStatistics,
        lifters: LifterChanges,
    ) -> None:
        """Find out now whether the detector works; with a rig already, load it for all cameras.

        Raises:
            GeoPoseError: if the models cannot be loaded.
        """
        self._node, self._config = node, config
        self._only_keypoints = sends_only_keypoints(config, cameras)
        self._source, self._statistics, self._lifters = source, statistics, lifters
        self._bridge = raw_converter() if config.transport == 'raw' else None
        # Gets the cameras' clock offsets with every set: the synchroniser's.
        self.on_clocks: Callable[[Mapping[str, ClockModel]], None] | None = None
        self._pipeline: PosePipeline | None = None
        self._pipeline_rig: CameraRig | None = None
        self.outputs: Outputs | None = None
        # Gets every set that was published, and the rig that it was made with.
        self.on_published: Callable[[PipelineResult, CameraRig], None] | None = None
        self._told_ns = 0
        if source.rig is not None:
            self._use_rig(source.rig)
        elif not self._only_keypoints:
            create_detector(config.pipeline.detector).close()
        self._finisher = ThreadPoolExecutor(1, thread_name_prefix='fuse')
        self._finished: Future[None] = self._finisher.submit(lambda: None)

    def _use_rig(self, rig: CameraRig) -> None:
        """Take ``rig`` from now on; people and their ids stay."""
        if self._pipeline is not None:
            self._pipeline.with_rig(rig)
        else:
            self._pipeline = PosePipeline(rig, self._config.pipeline)
        if not self._only_keypoints:
            self._pipeline.load()
        self._pipeline_rig = rig
        self.tell_clocks()

    def use_cameras(self, cameras: Sequence[str], config: NodeConfig) -> None:
        """Go on with other cameras, as far as their rig is known; people and their ids stay. Not while a set is made.

        Raises:
            GeoPoseError: if a detector is needed that was not before, and cannot be loaded.
        """
        self._config, self._only_keypoints = config, sends_only_keypoints(config, cameras)
        rig = self._source.rig
        if rig is None:
            # Of cameras that are gone.
            self._pipeline_rig = None
        elif self._pipeline is not None:
            self._use_rig(rig)
            self.publish_skeleton()

    def apply(self, config: NodeConfig) -> None:
        """Take over the settings that are live."""
        self._config = config
        if self._pipeline is not None:
            self._pipeline.use_min_confidence(config.pipeline.detector.min_confidence)

    def publish_skeleton(self) -> None:
        """Publish `~/skeleton`, if there is a rig."""
        if self._pipeline is not None and self.outputs is not None:
            rig, moving = self._pipeline.rig, self._source.moving
            described = rig if moving is None else replace(rig, world_frame_id=moving.output_frame)
            self.outputs.publish_skeleton(described, self._pipeline.model_sha256)

    def process(self, found: StampedSet[bytes]) -> None:
        """Begin to detect, and return when the next set could begin; the finisher's thread does the rest."""
        try:
            pipeline, rig = self._current_pipeline()
            if pipeline is None or rig is None:
                self._statistics.set_failed('not calibrated', 'no camera is calibrated', monotonic_ns())
                return
            usable = self._calibrated(rig, found)
            from_elsewhere = {
                name: cdr for name, cdr in usable.items() if transport_of(self._config, name) == 'keypoints'
            }
            keypoints = self._read_keypoints(from_elsewhere, found.stamp_ns, rig)
            if len(from_elsewhere) == len(usable):
                self._submit(partial(self._fuse, pipeline, Views.of(keypoints), found.stamp_ns), rig, found)
                return
            detection = pipeline.begin({
                name: partial(self._decode, rig[name], cdr)
                for name, cdr in usable.items() if name not in from_elsewhere
            }, self._newest_poses())
        except GeoPoseError as error:
            self._set_failed(error, found.stamp_ns)
            return
        self._submit(partial(self._detected, pipeline, detection, keypoints, found.stamp_ns), rig, found)
        detection.wait_for_a_worker()

    def wait(self) -> None:
        """Wait until all sets that were begun are finished."""
        wait([self._finished])

    def close(self) -> None:
        """Stop the finisher and free the models."""
        self._finisher.shutdown()
        if self._pipeline is not None:
            self._pipeline.close()

    def _submit(self, finish: Callable[[], PipelineResult], rig: CameraRig, found: StampedSet[bytes]) -> None:
        """Hand a set to the finisher, and wait until it is done with the one before."""
        before, self._finished = self._finished, self._finisher.submit(self._finish, finish, rig, found)
        before.result()

    def _detected(
        self, pipeline: PosePipeline, detection: Detection, keypoints: dict[str, Keypoints2D], stamp_ns: int
    ) -> PipelineResult:
        seen = detection.views()
        views = replace(seen, keypoints={**seen.keypoints, **keypoints})
        for name, error in views.camera_errors.items():
            self._camera_failed(name, error, stamp_ns)
        return self._fuse(pipeline, views, stamp_ns)

    def _fuse(self, pipeline: PosePipeline, views: Views, stamp_ns: int) -> PipelineResult:
        """Fuse the views whose cameras' places are known."""
        moving = self._source.moving
        if moving is None:
            return pipeline.finish(stamp_ns, views)
        began = perf_counter()
        # Transforms are on the cameras' common clock.
        clocks = pipeline.clocks()
        stamps_ns = {name: clocks[name].common_ns(seen.stamp_ns) for name, seen in views.keypoints.items()}
        mounts = self._source.mounts
        poses = moving.poses_at(mounts, stamps_ns)
        self._not_placed(mounts, poses)
        stage_ms = {**views.stage_ms, 'transforms': 1e3 * (perf_counter() - began)}
        placed = replace(views.select(poses.cam_from_tracking), stage_ms=stage_ms)
        result = pipeline.finish(stamp_ns, placed, poses.cam_from_tracking)
        return replace(result, scene=replace(result.scene, bodies=moving.published(result.bodies)))

    def _not_placed(self, mounts: Mapping[str, Mount], poses: CameraPoses) -> None:
        """Count the cameras whose places are not known; what carries several has one fault."""
        carried: dict[tuple[str, str], list[str]] = {}
        for name, fault in poses.faults.items():
            self._statistics.unusable(name, f'transform {fault.kind}')
            carrier = mounts[name].frame if name in mounts else name
            carried.setdefault((fault.kind, carrier), []).append(name)
        for (kind, frame), names in carried.items():
            text = f'no place for {", ".join(names)}: {poses.faults[names[0]]}'
            self._statistics.happened('rig', f'transform {kind} {frame}', text, monotonic_ns())

    def _newest_poses(self) -> dict[str, FloatArray]:
        """Return about where cameras are that move, (3, 4) m by name."""
        return self._source.moving.newest(self._source.mounts) if self._source.moving is not None else {}

    def _finish(self, finish: Callable[[], PipelineResult], rig: CameraRig, found: StampedSet[bytes]) -> None:
        if self.outputs is None:
            return
        try:
            result = finish()
            self.outputs.publish(result, rig)
            self._tell_detectors(self.outputs, found, rig)
            self.tell_clocks()
            if self.on_published is not None:
                self.on_published(result, rig)
            latency_ns = self._node.get_clock().now().nanoseconds - found.stamp_ns
            self._statistics.processed(result, found.span_ns, latency_ns, monotonic_ns())
            self.outputs.publish_annotated(result, rig)
        except GeoPoseError as error:
            self._set_failed(error, found.stamp_ns)

    def _tell_detectors(self, outputs: Outputs, found: StampedSet[bytes], rig: CameraRig) -> None:
        """Publish whom the next pictures will show: one period from now, if that is known."""
        step_ns = found.stamp_ns - self._told_ns
        self._told_ns = found.stamp_ns
        if self._pipeline is not None and outputs.wants_expected():
            ahead_ns = found.stamp_ns + (step_ns if 0 < step_ns < _LONGEST_STEP_NS else 0)
            expected = self._pipeline.predict_people(dict.fromkeys(rig.names, ahead_ns), self._newest_poses())
            outputs.publish_expected(expected, rig)

    def tell_clocks(self) -> None:
        """Hand on the cameras' clock offsets."""
        if self._pipeline is not None and self.on_clocks is not None:
            self.on_clocks(self._pipeline.clocks())

    def _set_failed(self, error: GeoPoseError, stamp_ns: int) -> None:
        text = f'frame set at {stamp_ns} ns: {error}'
        self._statistics.set_failed(type(error).__name__, text, monotonic_ns())

    def _current_pipeline(self) -> tuple[PosePipeline | None, CameraRig | None]:
        rig = self._source.settled_rig
        if rig is not None and rig is not self._pipeline_rig:
            wait([self._finished])
            self._use_rig(rig)
            self.publish_skeleton()
        if self._pipeline is not None and (lifter := self._lifters.take()) is not None:
            wait([self._finished])
            self._pipeline.with_lifter(lifter)
            self.publish_skeleton()
        return self._pipeline, self._pipeline_rig

    def _calibrated(self, rig: CameraRig, found: StampedSet[bytes]) -> dict[str, bytes]:
        """Return the payloads of the cameras in the rig; what is wrong with the others is noted."""
        usable = {}
        for name, cdr in found.payloads.items():
            if name in rig.names:
                usable[name] = cdr
            else:
                self._statistics.problem(
                    name, 'not calibrated', self._source.problems.get(name, 'not calibrated yet'), monotonic_ns()
                )
        return usable

    def _decode(self, camera: Camera, cdr: bytes) -> Frame:
        message = read_image(cdr) if self._config.transport == 'raw' else read_compressed_image(cdr)
        frame_id = str(message.header.frame_id).lstrip('/')
        if frame_id and frame_id != camera.frame_id and not self._config.rig:
            text = (
                f"Camera '{camera.name}': its pictures are of frame '{frame_id}', its camera_info of "
                f"'{camera.frame_id}', whose pose is used. Let its driver name the optical frame in both"
            )
            self._statistics.happened(f'camera {camera.name}', 'frame', text, monotonic_ns())
        return frame_from_message(
            message, camera.name, camera.intrinsics, self._config.pipeline.detector.max_side_px, self._bridge
        )

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
        self._statistics.problem(camera, 'unreadable', f'{error} (at {stamp_ns} ns)', monotonic_ns())
