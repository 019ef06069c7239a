"""PosePipeline: frames of one instant in, bodies out. Knows neither ROS nor files."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from itertools import islice
from threading import Lock
from time import perf_counter
from types import TracebackType

import numpy as np

from .config import PipelineConfig
from .detection import Detector, create_detector
from .errors import CalibrationError, GeoPoseError
from .lifting.lifter import PoseLifter
from .scene.cameras import CameraState
from .scene.scene import Scene
from .skeleton import BODY17, FloatArray, map_to_body17
from .types import Bodies3D, CameraRig, ExpectedPeople, Frame, FrameSet, Keypoints2D

FrameLoader = Callable[[], Frame]
_NS_PER_S = 1_000_000_000
_LOOK_AGAIN_NS = _NS_PER_S // 2


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
    """

    bodies: Bodies3D
    keypoints: Mapping[str, Keypoints2D]
    frames: Mapping[str, Frame]
    camera_errors: Mapping[str, str]
    stage_ms: Mapping[str, float]
    residuals_px: Mapping[str, FloatArray]
    cameras: Mapping[str, CameraState]
    unexplained: Mapping[str, int]


@dataclass(frozen=True, slots=True, eq=False)
class Views:
    """What the cameras of one frame set saw, before fusion; fields as of PipelineResult, keypoints of any skeleton."""

    keypoints: Mapping[str, Keypoints2D]
    frames: Mapping[str, Frame]
    camera_errors: Mapping[str, str]
    stage_ms: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class _View:
    """What one camera saw, and when its job was done."""

    frame: Frame
    keypoints: Keypoints2D
    decode_ms: float
    detect_ms: float
    done_s: float


class Detection:
    """The cameras of one frame set, being loaded and detected by a pipeline's workers."""

    def __init__(self, jobs: Mapping[str, Future[_View]], workers: int) -> None:
        """Take over ``jobs`` that have just been handed to ``workers`` threads."""
        self._jobs, self._workers = jobs, workers
        self._began_s = perf_counter()

    def wait_for_a_worker(self) -> None:
        """Wait until a worker has nothing left to do here, so that it could begin with the next set."""
        for _ in islice(as_completed(self._jobs.values()), max(0, len(self._jobs) - self._workers + 1)):
            pass

    def views(self) -> Views:
        """Wait for all cameras and return what they saw."""
        seen: dict[str, _View] = {}
        errors: dict[str, str] = {}
        for name, job in self._jobs.items():
            try:
                seen[name] = job.result()
            except GeoPoseError as error:
                errors[name] = str(error)
        stage_ms = {
            'decode': sum(view.decode_ms for view in seen.values()),
            'detect': sum(view.detect_ms for view in seen.values()),
            'views': max((view.done_s - self._began_s for view in seen.values()), default=0.0) * 1e3,
        }
        keypoints = {name: view.keypoints for name, view in seen.items()}
        return Views(keypoints, {name: view.frame for name, view in seen.items()}, errors, stage_ms)


class PosePipeline:
    """The whole way from frames to bodies, for one rig; a context manager.

    Call it from one thread; or ``detect`` from one and ``finish`` from another, set after set.
    """

    def __init__(
        self,
        rig: CameraRig,
        config: PipelineConfig | None = None,
        *,
        detectors: Mapping[str, Detector] | None = None,
    ) -> None:
        """Load the models.

        Args:
            rig: the cameras frames may come from.
            config: settings; None for the defaults.
            detectors: by camera; None to create those that ``config`` names when the first frame comes.

        Raises:
            CalibrationError: if ``detectors`` names another set of cameras than ``rig``.
        """
        self._rig = rig
        self._config = config or PipelineConfig()
        if detectors is not None and set(detectors) != set(rig.names):
            raise CalibrationError(
                f'PosePipeline: received detectors for {sorted(detectors)}, expected for {sorted(rig.names)}.'
            )
        self._detectors: dict[str, Detector] = dict(detectors or {})
        self._workers = min(self._config.detector.workers or os.cpu_count() or 1, len(rig))
        self._pool = ThreadPoolExecutor(max_workers=self._workers, thread_name_prefix='detect')
        # A detector sees its camera's frames one at a time, in order.
        self._turns = {name: Lock() for name in rig.names}
        # Cameras whose detector is to look at the whole picture again; written by finish, read by detect.
        self._lost: set[str] = set()
        self._looked_ns: dict[str, int] = {}
        self._lifter = PoseLifter(self._config.lifter) if self._config.lifter.enabled else None
        self._scene = Scene(rig, self._config, self._lifter)

    @property
    def rig(self) -> CameraRig:
        """The cameras it was built for."""
        return self._rig

    @property
    def model_sha256(self) -> str:
        """The lifter's weights; '' without a lifter."""
        return '' if self._lifter is None else self._lifter.card.sha256

    def load(self) -> None:
        """Create the detectors now rather than at the first frame; raise DetectorError if one cannot be."""
        for name in self._rig.names:
            if name not in self._detectors:
                self._detectors[name] = create_detector(self._config.detector, name)

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

    def begin(self, loaders: Mapping[str, FrameLoader]) -> Detection:
        """Begin with what ``detect`` does; the next set may begin before this one is done.

        Raises:
            CalibrationError: if a name is not in the rig.
        """
        self.load()
        wanted = {self._rig[name].name: load for name, load in loaders.items()}
        jobs = {name: self._pool.submit(self._view, name, load) for name, load in wanted.items()}
        return Detection(jobs, self._workers)

    def finish(self, stamp_ns: int, views: Views) -> PipelineResult:
        """Fuse what ``detect`` returned; see ``fuse``."""
        fused = self.fuse(stamp_ns, views.keypoints)
        return replace(
            fused, frames=views.frames, camera_errors=views.camera_errors,
            stage_ms={**views.stage_ms, **fused.stage_ms},
        )

    def _view(self, name: str, load: FrameLoader) -> _View:
        began = perf_counter()
        frame = load()
        loaded = perf_counter()
        with self._turns[name]:
            found = self._look(name, frame)
        raw = Keypoints2D(found.camera, found.stamp_ns, found.skeleton, frame.to_raw(found.xy), found.confidence)
        done = perf_counter()
        return _View(frame, raw, (loaded - began) * 1e3, (done - loaded) * 1e3, done)

    def _look(self, name: str, frame: Frame) -> Keypoints2D:
        detector = self._detectors[name]
        if name in self._lost:
            self._lost.discard(name)
            # Looking at the whole picture costs as much as a detection, and may find the same again.
            if abs(frame.stamp_ns - self._looked_ns.get(name, -_NS_PER_S)) >= _LOOK_AGAIN_NS:
                self._looked_ns[name] = frame.stamp_ns
                detector.reset()
        return detector.detect(frame)

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
        self._lost.update(name for name, count in done.unexplained.items() if count)
        return PipelineResult(
            done.bodies, done.keypoints, {}, {}, done.stage_ms, done.residuals_px, done.cameras, done.unexplained
        )

    def expected(self, stamps_ns: Mapping[str, int]) -> dict[str, ExpectedPeople]:
        """Return where everybody is expected in pictures taken at ``stamps_ns``, by camera; see ``Scene.expected``."""
        return self._scene.expected(stamps_ns)

    def clock_offsets_ns(self) -> dict[str, int]:
        """Return how far each camera's stamps are ahead, as far as it is known; see ``Scene.clock_offsets_ns``."""
        return self._scene.clock_offsets_ns()

    def close(self) -> None:
        """Stop the workers and free the models."""
        self._pool.shutdown()
        if self._lifter is not None:
            self._lifter.close()
        for detector in self._detectors.values():
            detector.close()
        self._detectors.clear()

    def __enter__(self) -> PosePipeline:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


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
