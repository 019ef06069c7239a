# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""From videos to files in one call: import, process, smooth, report, export. What is done is not done again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from time import perf_counter

import yaml

from ..bags.calibrate import FOCAL_GUESS, CalibrationBag, calibrate_bag
from ..bags.fleet import Outcome, bag_state
from ..bags.import_videos import import_videos
from ..bags.process import ProcessConfig, process_bag
from ..calibration.task import CalibrateTask, ScaleSource
from ..detection.models.profiles import choose_profile
from ..errors import BagError, CalibrationError, ConfigError, GeoPoseError
from ..rigs.files import read_calibration, read_calibration_file
from ..settings import build
from ..types import CameraRig
from ..view.report import write_report
from .bodies import SessionBodies
from .folder import EXPORT, IMAGES, PROCESSED, REPORT, export_session, load

VIDEO_SUFFIXES = ('.mp4', '.avi', '.mov', '.mkv', '.m4v', '.webm')
CONFIG = 'geo_pose.yaml'
_DONE = 'session.json'
# The step that is geo_pose process.
_PROCESS = 'finding people'
_CALIBRATION_SUFFIXES = ('.toml', '.yaml', '.yml', '.json', '.txt', '.xcp', '.xml')


@dataclass(frozen=True, slots=True)
class RunTask:
    """What is to be made of videos.

    Attributes:
        videos: one per camera, named after it.
        out: the session's folder.
        calibration: file of any kind that `geo_pose rig` reads; None: calibrated from the people, ``from_scratch``.
        from_scratch: find the cameras from the people who walk before them.
        stature_m: of the person seen longest: gives the scale from scratch.
        formats: of the export.
        settings: names and values of ProcessConfig, as 'pipeline.detector.profile'.
    """

    videos: tuple[Path, ...]
    out: Path
    calibration: Path | None = None
    from_scratch: bool = False
    stature_m: float | None = None
    formats: tuple[str, ...] = ('csv', 'trc')
    settings: dict[str, object] = field(default_factory=dict)

    @property
    def bag(self) -> Path:
        """The folder of the videos; what the fleet names a session by."""
        return self.videos[0].parent

    @property
    def config(self) -> ProcessConfig:
        """The settings, smoothed unless they say otherwise; raise ConfigError for unknown ones."""
        config = build(ProcessConfig, {'smoothing.enabled': True, **self.settings})
        detector, _ = choose_profile(config.pipeline.detector)
        return replace(config, pipeline=replace(config.pipeline, detector=detector))

    def fingerprint(self) -> str:
        """Return the sha256 of all that the result depends on but the program."""
        files = [*self.videos, *([self.calibration] if self.calibration else [])]
        how = [bag_state(file) for file in files], self.from_scratch, self.stature_m, self.formats, self.settings
        return hashlib.sha256(repr(how).encode()).hexdigest()

    def done(self) -> Outcome | None:
        """Return the outcome of a session that is complete and was made from the same; else None."""
        return Outcome.read(self.out / _DONE, self.fingerprint)

    def run(self) -> Outcome:
        """Make the session; what cannot be made is an outcome."""
        try:
            return run_task(self)
        except (GeoPoseError, OSError) as error:
            return Outcome(str(self.bag), str(self.out), str(error))


def run_task(task: RunTask, show: Callable[[str], object] = lambda text: None) -> Outcome:
    """Make a session: its bags, `report.html` and `export`; ``show`` gets a line per step, and what each took.

    Raises:
        GeoPoseError: for what cannot be read, calibrated, detected or written.
    """
    out, config = task.out, task.config
    if task.calibration is None and not task.from_scratch:
        raise ConfigError('There is no calibration: give one with --calibration, or --from-scratch with --stature.')
    steps = _Steps(show)
    out.mkdir(parents=True, exist_ok=True)
    (out / _DONE).unlink(missing_ok=True)
    images, processed = out / IMAGES, out / PROCESSED
    rig = None if task.calibration is None else read_calibration(task.calibration)
    steps.begin('reading the videos')
    import_videos(task.videos, rig, images, overwrite=True)
    if rig is None:
        steps.begin('finding the cameras from the people')
        rig = _calibrated(task, images)
    steps.begin(_PROCESS)
    summary = process_bag(images, processed, config=config, rig=rig, overwrite=True)
    steps.begin('report and export')
    verdict, _ = write_report([processed, images], out / REPORT)
    if summary.bodies:
        export_session([out], task.formats, out / EXPORT, overwrite=True)
    outcome = Outcome(
        str(task.bag), str(out), sets=summary.sets, bodies=summary.bodies, reprojection_px=summary.median_px,
        seconds=steps.end(), fingerprint=task.fingerprint(), headline=verdict.headline,
    )
    outcome.write(out / _DONE)
    return outcome


class _Steps:
    """Says what is done, and in the end what each step took."""

    def __init__(self, show: Callable[[str], object]) -> None:
        self._show = show
        self._began_s: dict[str, float] = {}

    def begin(self, step: str) -> None:
        """Say that a step begins."""
        self._show(step)
        self._began_s[step] = perf_counter()

    def end(self) -> float:
        """Say what each step took; return the seconds of all."""
        bounds_s = [*self._began_s.values(), perf_counter()]
        took_s = {step: after - before for step, (before, after) in zip(self._began_s, pairwise(bounds_s), strict=True)}
        total_s = sum(took_s.values())
        each = ', '.join(f'{step} {seconds:.1f}' for step, seconds in took_s.items())
        ratio = total_s / max(took_s[_PROCESS], 1e-9)
        self._show(f'{total_s:.1f} s: {each}; {ratio:.2f} times what geo_pose process takes')
        return total_s


def _calibrated(task: RunTask, images: Path) -> CameraRig:
    scale = None if task.stature_m is None else ScaleSource(stature_m=task.stature_m)
    detector = task.config.pipeline.detector
    bag = CalibrationBag(images, focal_guess=FOCAL_GUESS, detector=detector)
    found = calibrate_bag(
        bag, task.out / 'calibration.yaml', CalibrateTask(from_scratch=True, scale=scale), overwrite=True
    )
    return found.rig


def find_task(inputs: Sequence[Path], out: Path | None, **given: object) -> RunTask:
    """Return the task of videos, or of a folder with videos.

    A `geo_pose.yaml` beside the videos may name `calibration`, `from_scratch`, `stature_m`, `formats` and `settings`;
    what is ``given`` and not None goes before. Without ``from_scratch``, the one calibration beside the videos is used.

    Raises:
        BagError: if there is no video.
        ConfigError: for an unknown key of geo_pose.yaml, or where several files beside the videos are calibrations.
    """
    missing = [str(path) for path in inputs if not path.exists()]
    if missing:
        raise BagError(f'There is no file {", ".join(missing)}.')
    folder = inputs[0] if inputs[0].is_dir() else inputs[0].parent
    videos = [path for path in (sorted(folder.iterdir()) if inputs[0].is_dir() else inputs)
              if path.suffix.lower() in VIDEO_SUFFIXES]
    if not videos:
        raise BagError(f"'{inputs[0]}' has no video ({', '.join(VIDEO_SUFFIXES)}), expected one per camera.")
    stated = _stated(folder / CONFIG) | {name: value for name, value in given.items() if value is not None}
    calibration = stated.pop('calibration', None)
    formats = stated.pop('formats', None)
    if calibration is not None:
        path = Path(str(calibration))
        stated['calibration'] = path if path.is_absolute() or given.get('calibration') else (
            folder / path)
    elif not stated.get('from_scratch'):
        stated['calibration'] = _calibration_in(folder)
    if formats is not None:
        stated['formats'] = tuple(formats.split(',') if isinstance(formats, str) else formats)  # type: ignore[arg-type]
    return RunTask(tuple(videos), out or folder / 'session', **stated)  # type: ignore[arg-type]


def _calibration_in(folder: Path) -> Path | None:
    """Return the file of a folder that is a calibration, None if there is none."""
    found = []
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in _CALIBRATION_SUFFIXES and path.name != CONFIG:
            with suppress(CalibrationError):
                read_calibration_file(path)
                found.append(path)
    if len(found) > 1:
        names = ', '.join(path.name for path in found)
        raise ConfigError(f"'{folder}' has several calibrations: {names}. Name one with --calibration.")
    return found[0] if found else None


def _stated(path: Path) -> dict[str, object]:
    """Return the keys of geo_pose.yaml; none if there is no file."""
    if not path.is_file():
        return {}
    try:
        tree = yaml.safe_load(path.read_text(encoding='utf-8')) or {}
    except (yaml.YAMLError, OSError) as error:
        raise ConfigError(f"'{path}' is not YAML: {error}") from error
    known = ('calibration', 'from_scratch', 'stature_m', 'formats', 'settings')
    unknown = sorted(set(tree) - set(known)) if isinstance(tree, dict) else [type(tree).__name__]
    if unknown:
        raise ConfigError(f"'{path}': unknown {', '.join(map(str, unknown))}; known: {', '.join(known)}.")
    return dict(tree)


def run(
    videos: Sequence[Path | str] | Path | str, calibration: Path | str | None = None, out: Path | str | None = None, *,
    stature_m: float | None = None, formats: Sequence[str] | None = None, settings: dict[str, object] | None = None,
) -> SessionBodies:
    """Make a session of videos, as `geo_pose run` does, and return its bodies; what is done is not done again.

    Args:
        videos: one per camera, named after it; or their folder.
        calibration: file of the cameras; None: that of geo_pose.yaml, else found from the people.
        out: folder of the session; None: `session` beside the videos.
        stature_m: without a calibration, the height of the person seen longest.
        formats: of the export; None: csv and trc.
        settings: names and values of ProcessConfig.

    Raises:
        GeoPoseError: for what cannot be read, calibrated, detected or written, and if nobody is found.
    """
    paths = [videos] if isinstance(videos, (str, Path)) else videos
    task = find_task(
        [Path(path) for path in paths], None if out is None else Path(out),
        calibration=None if calibration is None else Path(calibration), stature_m=stature_m,
        from_scratch=None if stature_m is None else True, formats=formats, settings=settings,
    )
    if task.done() is None:
        run_task(task)
    return load(task.out)
