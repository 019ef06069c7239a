"""From a frame set to what is published: decode, detect, fuse, in the worker's thread and a finisher's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from time import monotonic_ns
from typing import Any

from rclpy.serialization import deserialize_message
from sensor_msgs.msg import PointCloud2

from ..config import NodeConfig
from ..detection import create_detector
from ..errors import GeoPoseError
from ..messages.image import frame_from_message
from ..messages.keypoints import keypoints_from_cloud
from ..pipeline import Detection, PipelineResult, PosePipeline
from ..scene.sync import StampedSet
from ..skeleton import get_skeleton
from ..types import Camera, CameraRig, Frame, Keypoints2D
from .cdr import read_compressed_image, read_image
from .outputs import Outputs
from .rig_source import RigSource
from .statistics import NodeStatistics


class SetProcessor:
    """Owns the pipeline; ``process`` begins with a set, a second thread finishes and publishes it."""

    def __init__(
        self, node: Any, cameras: Sequence[str], config: NodeConfig, source: RigSource, statistics: NodeStatistics
    ) -> None:
        """Find out now whether the detector works; with a rig already, load it for all cameras.

        Raises:
            GeoPoseError: if the models cannot be loaded.
        """
        self._node, self._config = node, config
        self._source, self._statistics = source, statistics
        self._pipeline: PosePipeline | None = None
        self._pipeline_rig: CameraRig | None = None
        self.outputs: Outputs | None = None
        if source.rig is not None:
            self._use_rig(source.rig)
        elif config.transport != 'keypoints':
            create_detector(config.pipeline.detector, cameras[0]).close()
        self._finisher = ThreadPoolExecutor(1, thread_name_prefix='fuse')
        self._finished: Future[None] = self._finisher.submit(lambda: None)

    def _use_rig(self, rig: CameraRig) -> None:
        pipeline = PosePipeline(rig, self._config.pipeline)
        if self._config.transport != 'keypoints':
            pipeline.load()
        if self._pipeline is not None:
            self._pipeline.close()
        self._pipeline, self._pipeline_rig = pipeline, rig

    def publish_skeleton(self) -> None:
        """Publish `~/skeleton`, if there is a rig."""
        if self._pipeline is not None and self.outputs is not None:
            self.outputs.publish_skeleton(self._pipeline.rig, self._pipeline.model_sha256)

    def process(self, found: StampedSet[bytes]) -> None:
        """Begin to detect, and return when the next set could begin; the finisher's thread does the rest."""
        try:
            pipeline, rig = self._current_pipeline()
            if pipeline is None or rig is None:
                self._statistics.set_failed('not calibrated', 'no camera is calibrated', monotonic_ns())
                return
            usable = self._calibrated(rig, found)
            if self._config.transport == 'keypoints':
                keypoints = self._read_keypoints(usable, found.stamp_ns)
                self._submit(partial(pipeline.fuse, found.stamp_ns, keypoints), rig, found)
                return
            detection = pipeline.begin(
                {name: partial(self._decode, rig[name], cdr) for name, cdr in usable.items()}
            )
        except GeoPoseError as error:
            self._set_failed(error, found.stamp_ns)
            return
        self._submit(partial(self._fuse, pipeline, detection, found.stamp_ns), rig, found)
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

    def _fuse(self, pipeline: PosePipeline, detection: Detection, stamp_ns: int) -> PipelineResult:
        views = detection.views()
        for name, error in views.camera_errors.items():
            self._camera_failed(name, error, stamp_ns)
        return pipeline.finish(stamp_ns, views)

    def _finish(self, finish: Callable[[], PipelineResult], rig: CameraRig, found: StampedSet[bytes]) -> None:
        if self.outputs is None:
            return
        try:
            result = finish()
            self.outputs.publish(result, rig)
            latency_ns = self._node.get_clock().now().nanoseconds - found.stamp_ns
            self._statistics.processed(result, found.span_ns, latency_ns, monotonic_ns())
            self.outputs.publish_annotated(result, rig)
        except GeoPoseError as error:
            self._set_failed(error, found.stamp_ns)

    def _set_failed(self, error: GeoPoseError, stamp_ns: int) -> None:
        text = f'frame set at {stamp_ns} ns: {error}'
        self._statistics.set_failed(type(error).__name__, text, monotonic_ns())

    def _current_pipeline(self) -> tuple[PosePipeline | None, CameraRig | None]:
        rig = self._source.settled_rig
        if rig is not None and rig is not self._pipeline_rig:
            wait([self._finished])
            self._use_rig(rig)
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
            message, camera.name, camera.intrinsics, self._config.pipeline.detector.max_side_px
        )

    def _read_keypoints(self, received: dict[str, bytes], stamp_ns: int) -> dict[str, Keypoints2D]:
        skeleton = get_skeleton(self._config.keypoints_skeleton)
        keypoints = {}
        for name, cdr in received.items():
            try:
                keypoints[name] = keypoints_from_cloud(deserialize_message(cdr, PointCloud2), name, skeleton)
            except GeoPoseError as error:
                self._camera_failed(name, str(error), stamp_ns)
        return keypoints

    def _camera_failed(self, camera: str, error: str, stamp_ns: int) -> None:
        self._statistics.problem(camera, 'unreadable', f'{error} (at {stamp_ns} ns)', monotonic_ns())
