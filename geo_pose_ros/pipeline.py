# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""PosePipeline: frames of one instant in, bodies out. Knows neither ROS nor files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from types import TracebackType

import numpy as np

from .arrays import FloatArray
from .detection import Detector
from .detection.stage import Detection, DetectionStage, FrameLoader, Views
from .fusion.depth import sample_depths
from .geometry.projection import project_world
from .geometry.virtual_camera import look_at
from .lifting.lifter import PoseLifter
from .scene.predictions import Predictions
from .scene.scene import Scene, SceneResult
from .scene.settings import PipelineConfig
from .skeleton import WHOLEBODY, Skeleton, map_to_output, mirror_of
from .types import (
    Bodies3D,
    Camera,
    CameraRig,
    ClockModel,
    Frame,
    FrameSet,
    Intrinsics,
    Keypoints2D,
    PredictedPeople,
)

# What the rehearsal has rehearsed: the skeleton, and whether nothing is lifted. The cameras are learned about by then.
_rehearsed: set[tuple[str, bool]] = set()
_REHEARSED_SETS = 9


@dataclass(frozen=True, slots=True, eq=False)
class PipelineResult:
    """What one set gave.

    Attributes:
        scene: what the scene made of the keypoints.
        views: what was loaded and detected; only ``keypoints`` where keypoints came from elsewhere.
    """

    scene: SceneResult
    views: Views = field(default_factory=lambda: Views.of({}))

    @property
    def bodies(self) -> Bodies3D:
        """In the world frame."""
        return self.scene.bodies

    @property
    def keypoints(self) -> Mapping[str, Keypoints2D]:
        """Keypoints per camera, of every camera whose frame could be used; of the bodies' skeleton."""
        return self.scene.keypoints

    @property
    def stage_ms(self) -> dict[str, float]:
        """Time per stage: those of the views, and those of the scene."""
        return {**self.views.stage_ms, **self.scene.stage_ms}


class PosePipeline:
    """The whole way from frames to bodies, for one rig; a context manager.

    ``process`` takes frames, ``fuse`` keypoints that somebody else detected. A caller that detects a set while the set
    before is fused uses ``begin`` from one thread and ``finish`` from another, set after set.
    """

    def __init__(
        self,
        rig: CameraRig,
        config: PipelineConfig | None = None,
        *,
        detector: Detector | None = None,
    ) -> None:
        """Load the models.

        Args:
            rig: the cameras frames may come from.
            config: settings; None for the defaults.
            detector: None to create the one that ``config`` names when the first frame comes.
        """
        self._rig = rig
        self._config = config or PipelineConfig()
        self._stage = DetectionStage(
            self._config.detector, len(rig), detector, _sizes(rig), self._config.skeleton == WHOLEBODY.name,
            self._config.tracking.recognise_s > 0.0,
        )
        self._lifter = PoseLifter(self._config.lifter) if self._config.lifter.enabled else None
        self._scene = Scene(rig, self._config, self._lifter, self._config.detector.min_confidence)
        _rehearse(self._config, self._lifter)
        # Of the last set; replaced as a whole when a set is finished, read by the detector's threads.
        self._predictions = self._scene.predictions()

    @property
    def rig(self) -> CameraRig:
        """The cameras."""
        return self._rig

    def with_rig(self, rig: CameraRig) -> None:
        """Go on with other cameras, or with better calibrated ones; people, their ids and the models stay.

        To be called while no set is being detected or fused.
        """
        self._rig = rig
        self._stage.use_cameras(len(rig), _sizes(rig))
        self._scene.with_rig(rig)
        self._predictions = self._scene.predictions()

    def with_lifter(self, lifter: PoseLifter) -> None:
        """Go on with another lifter, which is the pipeline's to close; people, their ids and bone lengths stay.

        To be called while no set is being fused.
        """
        before, self._lifter = self._lifter, lifter
        self._scene.with_lifter(lifter)
        if before is not None:
            before.close()

    def with_detector(self, detector: Detector) -> None:
        """Go on with another detector, which is the pipeline's to close; while no set is detected."""
        self._stage.use_detector(detector)

    def use_min_confidence(self, min_confidence: float) -> None:
        """Use keypoints from ``min_confidence`` on from the next set; any thread may call. Nobody is forgotten."""
        self._stage.use_min_confidence(min_confidence)
        self._scene.use_min_confidence(min_confidence)

    @property
    def skeleton(self) -> Skeleton:
        """Of the bodies."""
        return self._scene.skeleton

    @property
    def model_sha256(self) -> str:
        """The lifter's weights; '' without a lifter."""
        return '' if self._lifter is None else self._lifter.card.sha256

    def load(self) -> None:
        """Create the detector now rather than at the first frame; raise DetectorError if it cannot be."""
        self._stage.load()

    def predict_people(
        self, stamps_ns: Mapping[str, int], cam_from_world: Mapping[str, FloatArray] | None = None
    ) -> dict[str, PredictedPeople]:
        """Return where the last set predicts people in the images of ``stamps_ns``. Any thread may call.

        Args:
            stamps_ns: by camera name.
            cam_from_world: (3, 4) of cameras that move, about then; the others are where the rig says.

        Raises:
            CalibrationError: if a name is not in the rig.
        """
        return _in_images(self._predictions, self._rig, cam_from_world or {}, stamps_ns)

    def process(self, frames: FrameSet) -> PipelineResult:
        """Return the bodies of decoded frames.

        Raises:
            CalibrationError: if a camera is not in the rig.
        """
        detection = self.begin({name: partial(frames.frames.__getitem__, name) for name in frames.frames})
        return self.finish(frames.stamp_ns, detection.views())

    def begin(
        self, loaders: Mapping[str, FrameLoader], cam_from_world: Mapping[str, FloatArray] | None = None
    ) -> Detection:
        """Begin to load and detect one set; the next set may begin before this one is finished.

        Cameras are loaded and detected in parallel. A camera whose loader or detector raises GeoPoseError is left
        out and named in ``camera_errors`` of the detection's views; it costs only itself.

        Args:
            loaders: by camera name, a call that decodes its frame.
            cam_from_world: (3, 4) of cameras that move, about where they are now: for the predictions of people.

        Raises:
            CalibrationError: if a name is not in the rig.
        """
        wanted = {self._rig[name].name: load for name, load in loaders.items()}
        # As it is now, whether or not the set before is done when an image has been loaded.
        return self._stage.begin(wanted, partial(_in_images, self._predictions, self._rig, cam_from_world or {}))

    def finish(
        self, stamp_ns: int, views: Views, cam_from_world: Mapping[str, FloatArray] | None = None
    ) -> PipelineResult:
        """Fuse what ``begin`` detected; see ``fuse``."""
        keypoints = to_output(views.keypoints, self._scene.skeleton)
        if self._config.depth.enabled:
            keypoints = _with_depths(keypoints, views.frames)
        done = self._scene.step(stamp_ns, keypoints, cam_from_world)
        self._predictions = self._scene.predictions()
        return PipelineResult(done, views)

    def fuse(
        self,
        stamp_ns: int,
        keypoints: Mapping[str, Keypoints2D],
        cam_from_world: Mapping[str, FloatArray] | None = None,
    ) -> PipelineResult:
        """Fuse 2D keypoints of one set, of any skeleton that maps to body17, into bodies.

        Args:
            stamp_ns: the set's instant; every view has its own, its keypoints' stamp.
            keypoints: by camera name; cameras may be missing.
            cam_from_world: (3, 4) of cameras that move, at their view's instant; the others are where the rig says.

        Raises:
            CalibrationError: if a name is not in the rig.
            ConfigError: if a skeleton has no map to body17.
        """
        return self.finish(stamp_ns, Views.of(keypoints), cam_from_world)

    def clocks(self) -> Mapping[str, ClockModel]:
        """Return each camera's clock, as far as it is known; see ``Scene.clocks``."""
        return self._scene.clocks()

    def close(self) -> None:
        """Stop the workers and free the models."""
        self._stage.close()
        if self._lifter is not None:
            self._lifter.close()

    def __enter__(self) -> PosePipeline:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _rehearse(config: PipelineConfig, lifter: PoseLifter | None) -> None:
    """Fuse sets of two people of no shape, once in a process, so that no live set pays for what first calls resolve.

    These are the types of compiled functions and much of numpy: several times the cost of a set.
    """
    case = config.skeleton, lifter is None
    if case in _rehearsed:
        return
    _rehearsed.add(case)
    K, up = np.array([[500.0, 0.0, 320.0], [0.0, 500.0, 240.0], [0.0, 0.0, 1.0]]), np.array((0.0, 0.0, 1.0))
    intrinsics = Intrinsics(K, np.zeros(5), 'plumb_bob', 640, 480)
    positions_m = 4.0 * np.array(((1.0, 0.0, 0.2), (0.0, 1.0, 0.2), (-1.0, 0.3, 0.2), (0.2, -1.0, 0.2)))
    cameras = tuple(
        Camera(f'camera{c}', 'camera', intrinsics, look_at(position_m, np.zeros(3), up))
        for c, position_m in enumerate(positions_m)
    )
    scene = Scene(CameraRig(cameras), config, lifter)
    joints, mirror = len(scene.skeleton), np.array(mirror_of(scene.skeleton))
    shape = 0.4 * np.sin(np.arange(joints)[:, None] * (1.0, 2.0, 3.0))
    for i in range(_REHEARSED_SETS):
        stamp_ns, keypoints = i * 50_000_000, {}
        for c, camera in enumerate(cameras):
            xy = project_world(camera, np.stack([shape, shape + (0.0, 1.5, 0.0)]) + 0.02 * i)
            if c == 0 and i % 3 == 2:
                # The sides of a person are exchanged in a view.
                xy[0] = xy[0, mirror]
            keypoints[camera.name] = Keypoints2D(
                camera.name, stamp_ns + c * 4_000_000, scene.skeleton, xy, 1.0 * np.isfinite(xy[..., 0])
            )
        scene.step(stamp_ns, keypoints)
        scene.predictions()


def _sizes(rig: CameraRig) -> dict[str, tuple[int, int]]:
    """Return width and height of the cameras' images, px, by name."""
    return {camera.name: (camera.intrinsics.width, camera.intrinsics.height) for camera in rig.cameras}


def _in_images(
    predictions: Predictions, rig: CameraRig, cam_from_world: Mapping[str, FloatArray], stamps_ns: Mapping[str, int]
) -> dict[str, PredictedPeople]:
    """Return the predicted people in the images of ``stamps_ns``, by camera name."""
    return {
        name: predictions.in_image(rig[name], stamp_ns, cam_from_world.get(name))
        for name, stamp_ns in stamps_ns.items()
    }


def _with_depths(keypoints: Mapping[str, Keypoints2D], frames: Mapping[str, Frame]) -> dict[str, Keypoints2D]:
    """Return the keypoints with the depths of the surface there, of the cameras that measure them."""
    measured = dict(keypoints)
    for name, seen in keypoints.items():
        frame = frames.get(name)
        if frame is not None and frame.depth_m is not None:
            measured[name] = replace(seen, depth_m=sample_depths(frame.depth_m, seen.xy, frame.raw_size))
    return measured


def to_output(keypoints: Mapping[str, Keypoints2D], output: Skeleton) -> dict[str, Keypoints2D]:
    """Return the keypoints of all cameras as those of ``output``; those of one skeleton are mapped together."""
    mapped = dict(keypoints)
    for skeleton in {k.skeleton.name: k.skeleton for k in keypoints.values() if k.skeleton is not output}.values():
        group = {name: k for name, k in keypoints.items() if k.skeleton is skeleton}
        xy, confidence = map_to_output(
            skeleton, output, np.concatenate([k.xy for k in group.values()]),
            np.concatenate([k.confidence for k in group.values()]),
        )
        start = 0
        for name, k in group.items():
            rows = slice(start, start := start + len(k.xy))
            mapped[name] = Keypoints2D(k.camera, k.stamp_ns, output, xy[rows], confidence[rows], k.hints, k.appearance)
    return mapped
