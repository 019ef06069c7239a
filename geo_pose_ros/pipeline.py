"""PosePipeline: frames of one instant in, bodies out. Knows neither ROS nor files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from types import TracebackType

import numpy as np

from .arrays import FloatArray, IntArray
from .detection import Detector
from .detection.stage import Detection, DetectionStage, FrameLoader, Views
from .lifting.lifter import PoseLifter
from .scene.cameras import CameraState
from .scene.predictions import Foreseen
from .scene.scene import Scene
from .scene.settings import PipelineConfig
from .skeleton import BODY17, map_to_body17
from .types import Bodies3D, CameraRig, ClockModel, Frame, FrameSet, Keypoints2D, PredictedPeople


@dataclass(frozen=True, slots=True, eq=False)
class PipelineResult:
    """What one frame set gave.

    Attributes:
        bodies: in the world frame.
        keypoints: body17 keypoints per camera, of every camera whose frame could be used.
        frames: decoded frames per camera (empty where keypoints came from elsewhere).
        camera_errors: per camera whose frame could not be used, why.
        stage_ms: time per stage. ``decode`` and ``detect`` are summed over the cameras, which run in parallel;
            ``views`` is the wall time of both; the others are wall times.
        residuals_px: per camera, distances (n,) px between its keypoints and the reprojected joints they support.
        cameras: what is known of each camera.
        unexplained: per camera that delivered, detections that belong to no body.
        owners: per camera that delivered, (P,) the id of the body that each detection is of, -1 for none.
    """

    bodies: Bodies3D
    keypoints: Mapping[str, Keypoints2D]
    frames: Mapping[str, Frame]
    camera_errors: Mapping[str, str]
    stage_ms: Mapping[str, float]
    residuals_px: Mapping[str, FloatArray]
    cameras: Mapping[str, CameraState]
    unexplained: Mapping[str, int]
    owners: Mapping[str, IntArray] = field(default_factory=dict)


class PosePipeline:
    """The whole way from frames to bodies, for one rig; a context manager.

    Call it from one thread; or ``detect`` from one and ``finish`` from another, set after set.
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
        self._stage = DetectionStage(self._config.detector, len(rig), detector, _sizes(rig))
        self._lifter = PoseLifter(self._config.lifter) if self._config.lifter.enabled else None
        self._scene = Scene(rig, self._config, self._lifter)
        # What the last set says about the next; replaced as a whole by fuse, read by the detector's threads.
        self._foreseen = self._scene.foresee()

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
        self._foreseen = self._scene.foresee()

    def with_lifter(self, lifter: PoseLifter) -> None:
        """Go on with another lifter, which is the pipeline's to close; people, their ids and bone lengths stay.

        To be called while no set is being fused.
        """
        before, self._lifter = self._lifter, lifter
        self._scene.with_lifter(lifter)
        if before is not None:
            before.close()

    def use_min_confidence(self, min_confidence: float) -> None:
        """Use keypoints from ``min_confidence`` on from the next set; any thread may call. Nobody is forgotten."""
        self._stage.use_min_confidence(min_confidence)
        self._scene.use_min_confidence(min_confidence)

    @property
    def model_sha256(self) -> str:
        """The lifter's weights; '' without a lifter."""
        return '' if self._lifter is None else self._lifter.card.sha256

    def load(self) -> None:
        """Create the detector now rather than at the first frame; raise DetectorError if it cannot be."""
        self._stage.load()

    def expected(
        self, stamps_ns: Mapping[str, int], cam_from_world: Mapping[str, FloatArray] | None = None
    ) -> dict[str, PredictedPeople]:
        """Return whom the last set lets expect in the pictures of ``stamps_ns``, by camera name. Any thread may call.

        Args:
            stamps_ns: by camera name.
            cam_from_world: (3, 4) of cameras that move, about then; the others are where the rig says.

        Raises:
            CalibrationError: if a name is not in the rig.
        """
        return self._seen_by(self._foreseen, cam_from_world or {}, stamps_ns)

    def _seen_by(
        self, foreseen: Foreseen, cam_from_world: Mapping[str, FloatArray], stamps_ns: Mapping[str, int]
    ) -> dict[str, PredictedPeople]:
        return {
            name: foreseen.seen_by(self._rig[name], stamp_ns, cam_from_world.get(name))
            for name, stamp_ns in stamps_ns.items()
        }

    def process_set(self, frames: FrameSet) -> PipelineResult:
        """Return the bodies of decoded frames; see ``process``."""
        return self.process(frames.stamp_ns, {name: _loaded(frame) for name, frame in frames.frames.items()})

    def process(self, stamp_ns: int, loaders: Mapping[str, FrameLoader]) -> PipelineResult:
        """Load, detect, and fuse one frame set: ``detect``, then ``finish``.

        Args:
            stamp_ns: the set's acquisition time.
            loaders: by camera name, a call that decodes its frame.

        Raises:
            CalibrationError: if a name is not in the rig.
        """
        return self.finish(stamp_ns, self.detect(loaders))

    def detect(self, loaders: Mapping[str, FrameLoader]) -> Views:
        """Return what the cameras see; may run while another thread finishes the set before.

        Cameras are loaded and detected in parallel. A camera whose loader or detector raises GeoPoseError is left
        out and named in ``camera_errors``; it costs only itself.

        Raises:
            CalibrationError: if a name is not in the rig.
        """
        return self.begin(loaders).views()

    def begin(
        self, loaders: Mapping[str, FrameLoader], cam_from_world: Mapping[str, FloatArray] | None = None
    ) -> Detection:
        """Begin with what ``detect`` does; the next set may begin before this one is done.

        Args:
            loaders: by camera name, a call that decodes its frame.
            cam_from_world: (3, 4) of cameras that move, about where they are now: people are looked for accordingly.

        Raises:
            CalibrationError: if a name is not in the rig.
        """
        wanted = {self._rig[name].name: load for name, load in loaders.items()}
        # As it is now, whether or not the set before is done when a picture has been loaded.
        return self._stage.begin(wanted, partial(self._seen_by, self._foreseen, cam_from_world or {}))

    def finish(
        self, stamp_ns: int, views: Views, cam_from_world: Mapping[str, FloatArray] | None = None
    ) -> PipelineResult:
        """Fuse what ``detect`` returned; see ``fuse``."""
        fused = self.fuse(stamp_ns, views.keypoints, cam_from_world)
        return replace(
            fused, frames=views.frames, camera_errors=views.camera_errors,
            stage_ms={**views.stage_ms, **fused.stage_ms},
        )

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
        done = self._scene.step(stamp_ns, _to_body17(keypoints), cam_from_world)
        self._foreseen = self._scene.foresee()
        return PipelineResult(
            done.bodies, done.keypoints, {}, {}, done.stage_ms, done.residuals_px, done.cameras, done.unexplained,
            done.owners,
        )

    def clocks(self) -> dict[str, ClockModel]:
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


def _sizes(rig: CameraRig) -> dict[str, tuple[int, int]]:
    """Return width and height of the cameras' pictures, px, by name."""
    return {camera.name: (camera.intrinsics.width, camera.intrinsics.height) for camera in rig.cameras}


def _loaded(frame: Frame) -> FrameLoader:
    return lambda: frame


def _to_body17(keypoints: Mapping[str, Keypoints2D]) -> dict[str, Keypoints2D]:
    """Return the keypoints of all cameras as body17; those of one skeleton are mapped together."""
    mapped = dict(keypoints)
    for skeleton in {k.skeleton.name: k.skeleton for k in keypoints.values() if k.skeleton is not BODY17}.values():
        group = {name: k for name, k in keypoints.items() if k.skeleton is skeleton}
        xy, confidence = map_to_body17(skeleton).apply(
            np.concatenate([k.xy for k in group.values()]), np.concatenate([k.confidence for k in group.values()])
        )
        start = 0
        for name, k in group.items():
            rows = slice(start, start := start + len(k.xy))
            mapped[name] = Keypoints2D(k.camera, k.stamp_ns, BODY17, xy[rows], confidence[rows], k.hints)
    return mapped
