"""PosePipeline: frames of one instant in, bodies out. Knows neither ROS nor files."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from threading import Lock
from time import perf_counter
from types import TracebackType

import numpy as np

from .config import PipelineConfig
from .detection import Detector, create_detector
from .errors import CalibrationError, GeoPoseError
from .fusion.association import associate
from .fusion.estimate import Lift, estimate_bodies
from .fusion.solver import LiftedViews
from .geometry.projection import normalize
from .lifting.lifter import PoseLifter
from .scene.bodies import to_bodies
from .scene.bones import BoneLengths
from .scene.history import PoseHistory
from .scene.lost_views import lost_views
from .scene.tracks import Tracker
from .skeleton import BODY17, FloatArray, map_to_body17
from .types import Bodies3D, CameraRig, Frame, FrameSet, IntArray, Keypoints2D

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
    """

    bodies: Bodies3D
    keypoints: Mapping[str, Keypoints2D]
    frames: Mapping[str, Frame]
    camera_errors: Mapping[str, str]
    stage_ms: Mapping[str, float]
    residuals_px: Mapping[str, FloatArray]


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


class _Clock:
    """Wall time of consecutive stages, ms."""

    def __init__(self) -> None:
        self.stage_ms: dict[str, float] = {}
        self._last = perf_counter()

    def lap(self, stage: str) -> None:
        now = perf_counter()
        self.stage_ms[stage] = (now - self._last) * 1e3
        self._last = now


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
        self._cam_from_world = np.stack([camera.cam_from_world for camera in rig.cameras])
        self._focal_px = np.array([np.diag(camera.intrinsics.K)[:2].mean() for camera in rig.cameras])
        # Cameras whose detector is to look at the whole picture again; written by finish, read by detect.
        self._lost: set[str] = set()
        self._looked_ns: dict[str, int] = {}
        # Stamps of the first set and of each camera's last one.
        self._began_ns = float('inf')
        self._delivered_ns: dict[str, int] = {}
        self._tracker = Tracker(self._config.tracking, len(BODY17))
        self._lifter = PoseLifter(self._config.lifter) if self._config.lifter.enabled else None
        self._up_in_cam = None if self._lifter is None else self._lifter.up_in_cam(self._cam_from_world)
        # The solver uses bone lengths only where a lifter couples the joints.
        self._bones = BoneLengths(BODY17) if self._lifter is not None and self._config.solver.bone_spread else None
        self._history: PoseHistory | None = None
        if self._lifter is not None and self._lifter.card.receptive_field > 1:
            self._history = PoseHistory(self._lifter.card.receptive_field, self._lifter.card.rate_hz)

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

    def fuse(self, stamp_ns: int, keypoints: Mapping[str, Keypoints2D]) -> PipelineResult:
        """Fuse 2D keypoints of one instant, of any skeleton that maps to body17, into bodies.

        Args:
            stamp_ns: the set's acquisition time.
            keypoints: by camera name; cameras may be missing.

        Raises:
            CalibrationError: if a name is not in the rig.
            ConfigError: if a skeleton has no map to body17.
        """
        clock = _Clock()
        body17 = _to_body17(keypoints)
        xn, confidence = [], []
        least = self._config.detector.min_confidence
        for camera in self._rig.cameras:
            k = body17.get(camera.name)
            if k is None:
                xn.append(np.zeros((0, len(BODY17), 2)))
                confidence.append(np.zeros((0, len(BODY17))))
                continue
            xn.append(normalize(camera.intrinsics, k.xy))
            confidence.append(k.confidence * (k.confidence >= least))
        unknown = set(body17) - set(self._rig.names)
        if unknown:
            raise CalibrationError(f'Keypoints of {sorted(unknown)}: the rig has only {", ".join(self._rig.names)}.')
        clock.lap('undistort')
        found = associate(self._cam_from_world, xn, confidence, self._tracker.predict(stamp_ns))
        # A person seen by fewer cameras may be a false detection; known ones may go on with one.
        needed = min(self._config.tracking.new_body_views, self._delivering(stamp_ns, keypoints))
        people = found.select((found.tracks >= 0) | (found.num_views >= needed))
        gathered = people.gather(xn, np.nan)
        # -1, of new people, is the id that is appended.
        ids = np.append(self._tracker.body_ids, -1)[people.tracks]
        bones = None if self._bones is None else self._bones.prior(ids)
        clock.lap('associate')
        estimate = estimate_bodies(
            self._cam_from_world, self._focal_px, gathered, people.gather(confidence, 0.0), BODY17,
            self._config.solver, self._lift_of(stamp_ns, ids), bones,
        )
        known = np.asarray(np.isfinite(estimate.solution.xyz).any((1, 2)))
        if not known.all():
            people, estimate, gathered = people.select(known), estimate.select(known), gathered[:, known]
            bones = None if bones is None else bones.select(known)
        clock.lap('solve')
        tracked = self._tracker.update(stamp_ns, people.tracks, estimate.solution.xyz, estimate.solution.covariance)
        bodies = to_bodies(stamp_ns, self._rig.world_frame_id, BODY17, estimate, tracked)
        solution, support = estimate.solution, estimate.solution.support
        seen_ids = bodies.body_ids[: len(people)]
        if self._bones is not None:
            self._bones.learn(seen_ids, bodies.body_ids, solution.seen_xyz, solution.seen_covariance, bones)
        if self._history is not None and self._lifter is not None:
            poses = self._lifter.canonical(estimate.xn, estimate.confidence, self._up_in_cam).pose2d
            self._history.remember(stamp_ns, seen_ids, bodies.body_ids, poses)
        # Where sides were exchanged, support is not of the keypoints as detected.
        lost = lost_views(
            self._cam_from_world, gathered, solution.xyz, bodies.num_views[: len(people)],
            None if estimate.swaps else support,
        )
        self._lost.update(self._rig.names[c] for c in np.flatnonzero(lost) if self._rig.names[c] in body17)
        clock.lap('track')
        residuals = {
            name: solution.residual_px[c][support[c]] for c, name in enumerate(self._rig.names) if len(people)
        }
        if self._lifter is not None:
            # The solver calls the lifter; their times are shown apart.
            clock.stage_ms['lift'] = estimate.lift_ms
            clock.stage_ms['solve'] -= estimate.lift_ms
        return PipelineResult(bodies, body17, {}, {}, clock.stage_ms, residuals)

    def _lift_of(self, stamp_ns: int, body_ids: IntArray) -> Lift | None:
        """Return the lifter for the people ``body_ids`` (B,), -1 for new ones; None without a lifter."""
        lifter, history = self._lifter, self._history
        if lifter is None:
            return None

        def lift(xn: FloatArray, confidence: FloatArray, bodies: IntArray) -> LiftedViews:
            windows = None if history is None else partial(history.windows, stamp_ns, body_ids[bodies])
            lifted = lifter.lift(xn, confidence, windows, up_in_cam=self._up_in_cam)
            return LiftedViews(lifted.pose, lifted.sigma, lifted.root)

        return lift

    def _delivering(self, stamp_ns: int, names: Iterable[str]) -> int:
        """Return how many cameras delivered within the last second; in the first second all count."""
        if not self._began_ns <= stamp_ns:
            self._began_ns = stamp_ns
            self._delivered_ns.clear()
        self._delivered_ns.update(dict.fromkeys(names, stamp_ns))
        if stamp_ns - self._began_ns < _NS_PER_S:
            return len(self._rig)
        return sum(stamp_ns - last_ns < _NS_PER_S for last_ns in self._delivered_ns.values())

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
