# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""From sets to results: the one way that a node, a bag and a test make bodies of what cameras sent.

Steps of a set, in this order: read what the cameras sent, detect people in their images, look up where moving cameras
were, fuse, and tell the synchroniser the cameras' clocks. A ``Sink`` takes the result.

    with PosePipeline(rig, config) as pipeline:
        runner = SetRunner(pipeline, read, sink, use_clocks=synchronizer.use_clocks)
        for found in sets:
            runner.process(found)
        runner.wait()

Who wants views alone, without bodies, calls ``begin_views``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from functools import partial
from time import perf_counter
from typing import Any, Generic, Protocol, TypeVar

from .arrays import FloatArray, UInt8Array
from .detection.checks import checked
from .detection.settings import DetectorConfig
from .detection.stage import Detection, FrameLoader, Views
from .errors import GeoPoseError, TransformError
from .messages.clouds.keypoints import keypoints_from_cloud
from .messages.image import frame_from_message
from .pipeline import PipelineResult, PosePipeline
from .rigs.moving import CameraPoses
from .scene.sync import StampedSet
from .scene.sync.depths import DepthImages
from .skeleton import Skeleton
from .types import Camera, ClockModel, Frame, Keypoints2D

T = TypeVar('T')
# Reads what one camera sent: keypoints of a detector elsewhere, or a call that decodes an image, made in a thread of
# the detector's. Either raises GeoPoseError for what cannot be used.
Read = Callable[[Camera, T], Keypoints2D | FrameLoader]


def _ignore(*_: object) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True)
class MessageReader(Generic[T]):
    """Reads ROS messages: sensor_msgs Image or CompressedImage, or the package's keypoint clouds.

    Attributes:
        decode: returns the message of a payload; also called in threads of the detector's.
        detector: limits of image size and number of people.
        skeleton: of the keypoint clouds.
        keypoints_cameras: the cameras that send keypoint clouds; the others send images.
        bridge: converts a sensor_msgs/Image to BGR (H, W, 3) in place of the package's own code.
        note: gets the camera, and what is to be said of an image that can be used; from threads of the detector's.
        depths: the depth images beside the images; None: none are used.
    """

    decode: Callable[[Camera, T], Any]
    detector: DetectorConfig
    skeleton: Skeleton
    keypoints_cameras: Collection[str] = ()
    bridge: Callable[[Any], UInt8Array] | None = None
    note: Callable[[str, str], None] = field(default=_ignore, repr=False)
    depths: DepthImages[T] | None = None

    def __call__(self, camera: Camera, payload: T) -> Keypoints2D | FrameLoader:
        """Return the keypoints that ``camera`` sent, or what decodes its image.

        Raises:
            GeoPoseError: if the keypoints cannot be used.
        """
        if camera.name not in self.keypoints_cameras:
            return partial(self._frame, camera, payload)
        cloud = self.decode(camera, payload)
        lens = camera.intrinsics
        return checked(
            keypoints_from_cloud(cloud, camera.name, self.skeleton), self.detector.max_people, lens.width, lens.height
        )

    def _frame(self, camera: Camera, payload: T) -> Frame:
        message = self.decode(camera, payload)
        note = partial(self.note, camera.name)
        frame = frame_from_message(
            message, camera.name, camera.intrinsics, self.detector.max_side_px, self.bridge, note
        )
        return frame if self.depths is None else self.depths.with_depth(frame, note)


@dataclass(frozen=True, slots=True)
class PendingViews:
    """What cameras see, being detected."""

    keypoints: Mapping[str, Keypoints2D]
    camera_errors: Mapping[str, str]
    detection: Detection | None

    def views(self) -> Views:
        """Wait for all cameras and return what they see; a camera that cannot be used is in ``camera_errors``."""
        seen = Views.of({}) if self.detection is None else self.detection.views()
        return replace(
            seen, keypoints={**seen.keypoints, **self.keypoints},
            camera_errors={**seen.camera_errors, **self.camera_errors},
        )

    def wait_for_a_worker(self) -> None:
        """Wait until a thread of the detector has nothing left to do here."""
        if self.detection is not None:
            self.detection.wait_for_a_worker()


def begin_views(
    pipeline: PosePipeline, read: Read[T], payloads: Mapping[str, T],
    cam_from_world: Mapping[str, FloatArray] | None = None,
) -> PendingViews:
    """Begin to read and detect with the detector and the rig of ``pipeline``; the next call may come before the end.

    Args:
        pipeline: see above.
        read: reads what one camera sent.
        payloads: what was sent, by camera.
        cam_from_world: (3, 4) m of cameras that move, about where they are now.

    Raises:
        CalibrationError: if a camera is not in the rig.
        DetectorError: if the detector cannot be loaded.
    """
    keypoints: dict[str, Keypoints2D] = {}
    loaders: dict[str, FrameLoader] = {}
    errors: dict[str, str] = {}
    for name, payload in payloads.items():
        camera = pipeline.rig[name]
        try:
            seen = read(camera, payload)
        except GeoPoseError as error:
            errors[name] = str(error)
            continue
        if isinstance(seen, Keypoints2D):
            keypoints[name] = seen
        else:
            loaders[name] = seen
    return PendingViews(keypoints, errors, pipeline.begin(loaders, cam_from_world) if loaders else None)


class Sink(Protocol[T]):
    """Takes what a SetRunner makes, set by set in their order; from one thread."""

    def take(self, found: StampedSet[T], result: PipelineResult) -> None:
        """Take the result of a set; cameras that could not be used are in ``camera_errors`` of its views."""

    def unplaced(self, faults: Mapping[str, TransformError]) -> None:
        """Take why the poses of some moving cameras are not known; the set is made without them."""

    def failed(self, stamp_ns: int, error: GeoPoseError) -> None:
        """Take why a set gave nothing."""


class MovingPoses(Protocol):
    """Where cameras that move are, as (3, 4) m from the frame of the bodies to the camera's."""

    def poses_about(self, stamps_ns: Mapping[str, int]) -> Mapping[str, FloatArray]:
        """Return about where the cameras of ``stamps_ns`` are, as far as it is known; does not wait."""

    def poses_at(self, stamps_ns: Mapping[str, int]) -> CameraPoses:
        """Return where the cameras of ``stamps_ns`` were then, on the clock of the transforms."""


# A set whose images are being detected.
Begun = tuple[StampedSet[T], PendingViews]


@dataclass(slots=True, eq=False)
class SetRunner(Generic[T]):
    """Makes results of sets, one after the other; while one is fused, the next is detected already.

    Offline, ``process`` finishes the set before in the caller's thread, so that results do not depend on the machine's
    speed. Online, a second thread finishes each set as soon as it is detected, and ``process`` returns when the next
    set can begin.

    Attributes:
        pipeline: whose rig, detector and scene are used; its rig may change after ``wait``.
        read: reads what cameras sent; may change after ``wait``.
        sink: takes the results.
        moving: where cameras are that move; None where they stand.
        use_clocks: gets the cameras' clocks after each set.
        online: see above.
    """

    pipeline: PosePipeline
    read: Read[T]
    sink: Sink[T]
    moving: MovingPoses | None = None
    use_clocks: Callable[[Mapping[str, ClockModel]], None] = _ignore
    online: bool = False
    _waiting: Begun[T] | None = field(init=False, default=None)
    _finisher: ThreadPoolExecutor | None = field(init=False, default=None)
    _finished: Future[None] = field(init=False, default_factory=Future)

    def __post_init__(self) -> None:
        """Tell the clocks that the rig knows, and start the second thread of an online runner."""
        self._finished.set_result(None)
        if self.online:
            self._finisher = ThreadPoolExecutor(1, thread_name_prefix='fuse')
        self.use_clocks(self.pipeline.clocks())

    def process(self, found: StampedSet[T]) -> None:
        """Begin with a set; the sink gets the error of a set that cannot be used."""
        begun = self._begin(found)
        if self._finisher is None:
            waiting, self._waiting = self._waiting, begun
            self._finish(waiting)
        elif begun is not None:
            before, self._finished = self._finished, self._finisher.submit(self._finish, begun)
            before.result()
            begun[1].wait_for_a_worker()

    def wait(self) -> None:
        """Finish all sets that were begun."""
        waiting, self._waiting = self._waiting, None
        self._finish(waiting)
        wait([self._finished])

    def close(self) -> None:
        """Finish, and stop the second thread."""
        self.wait()
        if self._finisher is not None:
            self._finisher.shutdown()

    def _begin(self, found: StampedSet[T]) -> Begun[T] | None:
        poses = None if self.moving is None else self.moving.poses_about(self._common_stamps_ns(found.stamps_ns))
        try:
            return found, begin_views(self.pipeline, self.read, found.payloads, poses)
        except GeoPoseError as error:
            self.sink.failed(found.stamp_ns, error)
            return None

    def _finish(self, begun: Begun[T] | None) -> None:
        if begun is None:
            return
        found, pending = begun
        try:
            result = self._fuse(found.stamp_ns, pending.views())
        except GeoPoseError as error:
            self.sink.failed(found.stamp_ns, error)
            return
        self.use_clocks(self.pipeline.clocks())
        self.sink.take(found, result)

    def _fuse(self, stamp_ns: int, views: Views) -> PipelineResult:
        """Fuse the views of the cameras whose poses are known."""
        if self.moving is None:
            return self.pipeline.finish(stamp_ns, views)
        began = perf_counter()
        stamps_ns = {name: seen.stamp_ns for name, seen in views.keypoints.items()}
        poses = self.moving.poses_at(self._common_stamps_ns(stamps_ns))
        if poses.faults:
            self.sink.unplaced(poses.faults)
        stage_ms = {**views.stage_ms, 'transforms': 1e3 * (perf_counter() - began)}
        placed = replace(views.select(poses.cam_from_tracking), stage_ms=stage_ms)
        return self.pipeline.finish(stamp_ns, placed, poses.cam_from_tracking)

    def _common_stamps_ns(self, stamps_ns: Mapping[str, int]) -> dict[str, int]:
        """Return stamps on the cameras' common clock, which the transforms' is."""
        clocks = self.pipeline.clocks()
        return {name: clocks[name].common_ns(stamp_ns) for name, stamp_ns in stamps_ns.items()}
