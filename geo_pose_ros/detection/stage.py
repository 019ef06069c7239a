# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""From undecoded images of one set to keypoints: one detector, and the threads it runs on."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, as_completed, wait
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from time import perf_counter
from typing import NoReturn

from ..errors import DetectorError, FrameError, GeoPoseError
from ..skeleton import WHOLEBODY
from ..types import Frame, Keypoints2D, PredictedPeople
from .appearance import describe
from .base import Adjustable, Detector, create_detector
from .checks import checked
from .hands import with_hands
from .models.profiles import choose_profile
from .settings import DetectorConfig

_LOG = logging.getLogger(__name__)

FrameLoader = Callable[[], Frame]
# Stamps by camera name -> the people predicted at these instants, by camera name.
Predictor = Callable[[Mapping[str, int]], Mapping[str, PredictedPeople]]


@dataclass(frozen=True, slots=True, eq=False)
class Views:
    """What the cameras of one set saw.

    Attributes:
        keypoints: raw px per camera, of the detector's skeleton.
        frames: decoded frames per camera.
        camera_errors: per camera whose frame could not be used, why.
        stage_ms: ``decode`` and ``detect`` are summed over the cameras, which run in parallel; ``views`` is the wall
            time of both.
    """

    keypoints: Mapping[str, Keypoints2D]
    frames: Mapping[str, Frame]
    camera_errors: Mapping[str, str]
    stage_ms: Mapping[str, float]

    @classmethod
    def of(cls, keypoints: Mapping[str, Keypoints2D]) -> Views:
        """Return views of keypoints that were detected elsewhere."""
        return cls(keypoints, {}, {}, {})

    def select(self, cameras: Collection[str]) -> Views:
        """Return the views of ``cameras``."""
        return replace(
            self, keypoints={name: seen for name, seen in self.keypoints.items() if name in cameras},
            frames={name: frame for name, frame in self.frames.items() if name in cameras},
        )


# A decoded frame, and how many ms that took.
_Loaded = tuple[Frame, float]


@dataclass(frozen=True, slots=True)
class _View:
    """What one camera saw, and when its job was done."""

    frame: Frame
    keypoints: Keypoints2D
    decode_ms: float
    detect_ms: float
    done_s: float


# Loaded images -> views, by camera name.
_DetectLoaded = Callable[[Mapping[str, _Loaded]], dict[str, _View]]


class Detection:
    """The cameras of one set, being loaded and detected."""

    def __init__(
        self, jobs: Mapping[str, Future[_View]], busy: Collection[Future[_View] | Future[_Loaded]], workers: int,
        began_s: float,
    ) -> None:
        """Take over ``jobs`` of ``began_s``; ``busy`` are those that keep one of the ``workers`` threads each."""
        self._jobs, self._busy, self._workers, self._began_s = jobs, busy, workers, began_s

    def wait_for_a_worker(self) -> None:
        """Wait until a worker has nothing left to do here, so that it could begin with the next set."""
        for _ in islice(as_completed(self._busy), max(0, len(self._busy) - self._workers + 1)):
            pass

    def views(self) -> Views:
        """Wait for all cameras and return what they saw."""
        seen: dict[str, _View] = {}
        errors: dict[str, str] = {}
        for name, job in self._jobs.items():
            # Raised here, its traceback would hold the images of this set for as long as the job is known.
            error = job.exception()
            if error is None:
                seen[name] = job.result()
            elif isinstance(error, GeoPoseError):
                errors[name] = str(error)
            else:
                raise error
        stage_ms = {
            'decode': sum(view.decode_ms for view in seen.values()),
            'detect': sum(view.detect_ms for view in seen.values()),
            'views': max((view.done_s - self._began_s for view in seen.values()), default=0.0) * 1e3,
        }
        keypoints = {name: view.keypoints for name, view in seen.items()}
        return Views(keypoints, {name: view.frame for name, view in seen.items()}, errors, stage_ms)


class DetectionStage:
    """Loads and detects sets of images; call it from one thread.

    On the CPU each camera is a job of its own, so that all cores work and nobody waits for the slowest to load. On a
    GPU all images of a set make one call.

    Attributes:
        description: which networks it runs, and why.
    """

    def __init__(
        self, config: DetectorConfig, cameras: int, detector: Detector | None = None,
        sizes: Mapping[str, tuple[int, int]] | None = None, hands: bool = False, appearance: bool = False,
    ) -> None:
        """Start the threads.

        Args:
            config: which detector, made by ``load``.
            cameras: how many there are.
            detector: to use one made elsewhere.
            sizes: width and height px of calibrated cameras; of others the image's own size is used.
            hands: whether the detector that is made reads hands too.
            appearance: whether it is described what people wear.
        """
        self._config, self.description = choose_profile(config, cameras)
        self._detector, self._sizes, self._hands = detector, sizes or {}, hands
        self._appearance = appearance
        self._start(cameras)
        self._caller = ThreadPoolExecutor(max_workers=1, thread_name_prefix='detect batches')
        # A detector sees its camera's frames one at a time, in order: the job of each camera's frame before.
        self._before: dict[str, Future[_View]] = {}

    def _start(self, cameras: int) -> None:
        self._workers = min(self._config.workers or os.cpu_count() or 1, cameras)
        self._pool = ThreadPoolExecutor(max_workers=self._workers, thread_name_prefix='detect')

    def use_cameras(self, cameras: int, sizes: Mapping[str, tuple[int, int]]) -> None:
        """Go on with another number of cameras, and other ``sizes``, once all that was begun is done."""
        self._sizes = sizes
        self._pool.shutdown()
        self._start(cameras)

    def use_min_confidence(self, min_confidence: float) -> None:
        """Go on with another threshold; any thread may call. A detector that is not Adjustable keeps its own."""
        self._config = replace(self._config, min_confidence=min_confidence)
        if isinstance(self._detector, Adjustable):
            self._detector.use_min_confidence(min_confidence)

    def load(self) -> Detector:
        """Return the detector, created at the first call; raise DetectorError if it cannot be."""
        if self._detector is None:
            self._detector = _create(self._config, self._hands)
            _LOG.info('%s', self.description)
        return self._detector

    def use_detector(self, detector: Detector) -> None:
        """Go on with another detector, which is the stage's to close; while nothing that was begun is left to do."""
        before, self._detector = self._detector, detector
        if isinstance(detector, Adjustable):
            detector.use_min_confidence(self._config.min_confidence)
        if before is not None:
            before.close()

    def begin(self, loaders: Mapping[str, FrameLoader], predict: Predictor) -> Detection:
        """Begin to load and detect; the next set may begin before this one is done.

        A camera whose image or keypoints fail costs only itself.

        Args:
            loaders: by camera name, a call that decodes its frame.
            predict: called from the threads, with the stamps of images just loaded. Its answer must be determined now:
                a set is detected alike however fast the one before is fused.
        """
        detector, began_s = self.load(), perf_counter()
        if not detector.is_batched:
            jobs = {
                name: self._pool.submit(
                    self._view, partial(self._detect, detector, predict), name, load, self._before.get(name)
                )
                for name, load in loaders.items()
            }
            self._before.update(jobs)
            return Detection(jobs, jobs.values(), self._workers, began_s)
        loads = {name: self._pool.submit(_load, name, load) for name, load in loaders.items()}
        views: dict[str, Future[_View]] = {name: Future() for name in loaders}
        self._caller.submit(self._view_batch, partial(self._detect, detector, predict), loads, views)
        return Detection(views, loads.values(), self._workers, began_s)

    def close(self) -> None:
        """Stop the threads and free the model."""
        self._pool.shutdown()
        self._caller.shutdown()
        if self._detector is not None:
            self._detector.close()
        self._detector = None

    def _view(
        self, detect: _DetectLoaded, name: str, load: FrameLoader, before: Future[_View] | None
    ) -> _View:
        try:
            loaded = _load(name, load)
            if before is not None:
                # It has a worker already: jobs begin in order.
                wait([before])
            return detect({name: loaded})[name]
        finally:
            # The traceback of an error holds this frame: while a camera fails, all its jobs would hang on each other.
            del before

    def _view_batch(
        self, detect: _DetectLoaded, loads: Mapping[str, Future[_Loaded]], views: Mapping[str, Future[_View]]
    ) -> None:
        """Fulfil ``views``."""
        loaded: dict[str, _Loaded] = {}
        for name, job in loads.items():
            error = job.exception()
            if error is None:
                loaded[name] = job.result()
            else:
                views[name].set_exception(error)
        try:
            found = detect(loaded)
        except DetectorError:
            # One of them, or all: find out which.
            found = {}
            for name, one in loaded.items():
                try:
                    found |= detect({name: one})
                except DetectorError as error:
                    views[name].set_exception(error)
        for name, view in found.items():
            views[name].set_result(view)

    def _detect(
        self, detector: Detector, predict: Predictor, loaded: Mapping[str, _Loaded]
    ) -> dict[str, _View]:
        """Return the views of ``loaded``; raise DetectorError for whatever goes wrong."""
        began = perf_counter()
        frames = {name: frame for name, (frame, _) in loaded.items()}
        if not frames:
            return {}
        try:
            found = detector.detect(frames, predict({name: frame.stamp_ns for name, frame in frames.items()}))
            keypoints = {
                name: checked(found[name], self._config.max_people, *self._sizes.get(name, frame.raw_size))
                for name, frame in frames.items()
            }
            if self._appearance:
                keypoints = {
                    name: replace(k, appearance=describe(frames[name], k, self._config.min_confidence))
                    for name, k in keypoints.items()
                }
        # Whatever a plugin or its library raises costs its cameras only, and is reported.
        except Exception as error:  # noqa: BLE001 - handed on as DetectorError
            _refuse(frames, error)
        done = perf_counter()
        each_ms = (done - began) * 1e3 / len(frames)
        return {
            name: _View(frame, keypoints[name], decode_ms, each_ms, done) for name, (frame, decode_ms) in loaded.items()
        }


def load_detector(config: DetectorConfig, cameras: int, skeleton: str) -> Detector:
    """Return the detector that ``config`` names for so many live cameras, as a stage makes it.

    Raises:
        ConfigError: if there is no such plugin or model.
        DetectorError: if its library or model is missing, or is of another kind.
    """
    return _create(choose_profile(config, cameras)[0], skeleton == WHOLEBODY.name)


def _create(config: DetectorConfig, hands: bool) -> Detector:
    detector = create_detector(config)
    return with_hands(detector, config) if hands else detector


def _refuse(frames: Mapping[str, Frame], error: Exception) -> NoReturn:
    if isinstance(error, DetectorError) and len(frames) == 1:
        raise error
    reason = str(error) if isinstance(error, GeoPoseError) else f'{type(error).__name__}: {error}'
    raise DetectorError(f"The detector failed on camera '{', '.join(frames)}': {reason}") from error


def _load(name: str, load: FrameLoader) -> _Loaded:
    began = perf_counter()
    try:
        frame = load()
    except GeoPoseError:
        raise
    # A damaged image may make a decoder raise anything.
    except Exception as error:
        raise FrameError(f"Camera '{name}': its image cannot be read: {type(error).__name__}: {error}") from error
    return frame, (perf_counter() - began) * 1e3
