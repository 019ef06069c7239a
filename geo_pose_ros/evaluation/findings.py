"""What a recording's numbers mean, in words: what is wrong, since when, and what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..arrays import BoolArray, FloatArray
from ..findings import Finding, Severity
from ..geometry.stats import nan_median
from .report import BodySummary, CameraSummary, RecordingReport
from .settings import ReportConfig

_MOST_NAMED = 4
_ALWAYS = 'all the time'
NO_BODIES = Finding(Severity.ERROR, 'There are no bodies in this recording.',
                    'If it holds images or keypoints, make them: geo_pose process BAG --out RESULT')


@dataclass(frozen=True, slots=True)
class OutlierRun:
    """A stretch of time in which a camera stands out.

    Attributes:
        begin_s, end_s: from the start of the recording.
        to_end: whether it lasts to the end.
        own_px: the camera's median residual then.
        others_px: median residual of the other cameras then.
    """

    begin_s: float
    end_s: float
    to_end: bool
    own_px: float
    others_px: float


TimeName = Callable[[float], str]


def find_problems(report: RecordingReport, config: ReportConfig, name_time: TimeName) -> tuple[Finding, ...]:
    """Return what is wrong with a recording, the worst first; one good word if nothing is.

    ``config`` has the least numbers that are reported; ``name_time`` turns seconds from the start into words.
    """
    found = [
        *_people(report, config), *_streams(report, config, name_time), *_clocks(report, config),
        *_residuals(report, config, name_time), *_unmatched(report, config), *_exchanged(report, config),
        *_bones(report, config), *_few_views(report), *report.contributed,
    ]
    if not found:
        found = [Finding(Severity.OK, 'Nothing stands out: every camera delivers, agrees with the others and keeps '
                                      'time, and bones keep their lengths.')]
    return tuple(sorted(found, key=lambda finding: -finding.severity))


def find_outlier_runs(report: RecordingReport, config: ReportConfig) -> Mapping[str, OutlierRun]:
    """Return per camera that stands out the longest stretch of time in which it does.

    It takes three cameras to tell who is wrong.
    """
    series = {name: camera.residual for name, camera in report.cameras.items() if
              np.isfinite(camera.residual.value).any()}
    if len(series) < 3:
        return {}
    table = np.stack([one.value for one in series.values()])
    found = {}
    for row, (name, one) in enumerate(series.items()):
        own, rest = table[row], np.delete(table, row, 0)
        known = np.isfinite(own) & (np.isfinite(rest).sum(0) >= 2)
        others = np.where(known, nan_median(rest.T), np.nan)
        with np.errstate(invalid='ignore'):
            bad = (own > config.outlier_ratio * others) & (own > others + config.outlier_px)
        run = _longest(one.time_s, bad, known)
        if run is None:
            continue
        first, last = run
        step_s = one.time_s[1] - one.time_s[0] if len(one.time_s) > 1 else report.duration_s
        begin_s, end_s = float(one.time_s[first] - step_s / 2), float(one.time_s[last] + step_s / 2)
        if end_s - begin_s >= min(config.outlier_s, report.duration_s / 2.0):
            own_px, others_px = nan_median(np.stack([own, others])[:, first : last + 1]).tolist()
            found[name] = OutlierRun(begin_s, end_s, not known[last + 1 :].any(), own_px, others_px)
    return found


def _longest(time_s: FloatArray, bad: BoolArray, known: BoolArray) -> tuple[int, int] | None:
    """Return first and last bin of the longest stretch whose known bins are bad, single good bins forgiven."""
    best: tuple[int, int] | None = None
    first = last = -1
    good = 0
    for index in np.flatnonzero(known).tolist():
        if bad[index]:
            first, last, good = (index if first < 0 else first), index, 0
            if best is None or time_s[last] - time_s[first] > time_s[best[1]] - time_s[best[0]]:
                best = first, last
        else:
            good += 1
            if good > 1:
                first = -1
    return best


def _people(report: RecordingReport, config: ReportConfig) -> Iterator[Finding]:
    if not report.sets:
        yield NO_BODIES
        return
    share = report.with_bodies / report.sets
    if not share:
        yield Finding(Severity.ERROR, f'None of the {report.sets} sets has a body.',
                      'Look at the images: do two cameras see a person, and is the light good enough?')
        return
    if share < 0.5:
        yield Finding(Severity.WARNING, f'Only {share:.0%} of the sets have a body.',
                      'If somebody was there all the time, look at the images of a set without.')
    brief = [body for body in report.bodies if body.seen_s < config.short_life_s]
    if len(report.bodies) > 2 * report.most_people and len(brief) > report.most_people:
        yield Finding(
            Severity.WARNING,
            f'{len(report.bodies)} body ids for at most {report.most_people} people at once; {len(brief)} of them '
            f'lived less than {config.short_life_s:g} s.',
            'People are lost and found again, or things are taken for people. More cameras that overlap help; '
            'tracking.new_body_views raises how many cameras must see somebody new.',
        )


def _streams(report: RecordingReport, config: ReportConfig, name_time: TimeName) -> Iterator[Finding]:
    thin = []
    for camera in report.cameras.values():
        if not camera.frames:
            yield Finding(Severity.ERROR, f'{camera.name} delivered nothing.', 'Check its driver, cable and topic.')
        elif camera.gaps_ns:
            yield Finding(
                Severity.ERROR, f'{camera.name} {_silence(camera, report, name_time)}.',
                'Check its cable, power and driver; the log of its driver at that time says more.',
            )
        elif camera.missing > config.missing_ratio * (camera.frames + camera.missing):
            thin.append(f'{camera.name} {camera.missing / (camera.frames + camera.missing):.0%}')
    if thin:
        yield Finding(
            Severity.WARNING,
            f'Frames are missing between the recorded ones: {", ".join(thin)}.',
            'If all cameras miss as many, the node was busier than the computer allows: see the time per stage below. '
            'If one does, see to its USB controller, network or socket buffers: geo_pose doctor',
        )


def _silence(camera: CameraSummary, report: RecordingReport, name_time: TimeName) -> str:
    start, end = max(report.spans_s(camera.gaps_ns), key=lambda gap: gap[1] - gap[0])
    when = name_time(start)
    if end >= report.duration_s:
        words = f'delivered nothing from {when} on'
    elif start <= 0.0:
        words = f'delivered nothing for the first {end - start:.1f} s'
    else:
        words = f'was silent for {end - start:.1f} s from {when} on'
    if len(camera.gaps_ns) > 1:
        more = 'once' if len(camera.gaps_ns) == 2 else f'{len(camera.gaps_ns) - 1} times'
        words += f', and {more} more, {camera.silent_s:.1f} s in all'
    return words


def _clocks(report: RecordingReport, config: ReportConfig) -> Iterator[Finding]:
    if sum(np.isfinite(camera.clock_ms) for camera in report.cameras.values()) < 3:
        return
    for camera in report.cameras.values():
        offset_ms = camera.clock_ms
        unsure_ms = 3.0 * camera.clock_sigma_ms if np.isfinite(camera.clock_sigma_ms) else 0.0
        if np.isfinite(offset_ms) and abs(offset_ms) > max(config.clock_ms, unsure_ms):
            side = 'late' if offset_ms > 0.0 else 'early'
            yield Finding(
                Severity.ERROR if abs(offset_ms) > 2.0 * config.clock_ms else Severity.WARNING,
                f'The stamps of {camera.name} are about {abs(offset_ms):.0f} ms too {side}, by how people move in its '
                'image.',
                'Synchronise the clocks (PTP, chrony) or trigger the cameras together; stamp at exposure, not at '
                'arrival.',
            )


def _residuals(report: RecordingReport, config: ReportConfig, name_time: TimeName) -> Iterator[Finding]:
    outliers = find_outlier_runs(report, config)
    for name, run in outliers.items():
        camera = report.cameras[name]
        when = _when(run, report.duration_s, name_time)
        # The mean residual is of the whole recording.
        side = _side(camera, config) if when == _ALWAYS else ''
        yield Finding(
            Severity.ERROR,
            f'{name} is off by {run.own_px:.0f} px {when} (the others: {run.others_px:.0f} px){side}.',
            'It was moved, or its calibration is wrong: run geo_pose calibrate, and fix its mount. If its image is '
            'blurred, mend focus or light first.',
        )
    rest = [camera for name, camera in report.cameras.items() if name not in outliers]
    high = [camera for camera in rest if camera.residual_ratio > config.residual_ratio]
    if high:
        named = ', '.join(f'{camera.name} {camera.residual_px:.0f} px' for camera in high)
        one_sided = [camera.name for camera in high if _leans(camera, config)]
        text = (
            f'Reprojections miss by more than {config.residual_ratio:.0%} of a body\'s size in {len(high)} of '
            f'{len(report.cameras)} cameras ({named}).'
        )
        if one_sided:
            text += f' {_listed(one_sided)} err{"s" if len(one_sided) == 1 else ""} to one side, as by a calibration.'
        yield Finding(
            Severity.WARNING, text,
            'geo_pose calibrate refines a rig from the people in a recording; where the images below show the '
            'detector wrong, better light or another detector helps.',
        )


def _unmatched(report: RecordingReport, config: ReportConfig) -> Iterator[Finding]:
    for camera in report.cameras.values():
        if camera.unmatched > config.unmatched_ratio:
            yield Finding(
                Severity.WARNING,
                f'{camera.unmatched:.0%} of the people that {camera.name} finds are none of the bodies.',
                'Bystanders, reflections, or people that no other camera sees. If the images show the same person, the '
                'camera was moved far: run geo_pose calibrate.',
            )


def _exchanged(report: RecordingReport, config: ReportConfig) -> Iterator[Finding]:
    named = [
        f'{camera.name} in {camera.exchanged:.0%}' for camera in report.cameras.values()
        if camera.exchanged > config.exchanged_ratio
    ]
    if named:
        yield Finding(
            Severity.WARNING, f'The detector exchanges left and right: {", ".join(named)} of the bodies.',
            'Fusion repairs what the other cameras contradict. It happens to people seen from behind or head down; '
            'another camera from the front, or another detector, helps.',
        )


def _side(camera: CameraSummary, config: ReportConfig) -> str:
    if not _leans(camera, config):
        return ''
    x, y = camera.bias_px
    parts = [f'{abs(x):.0f} px to the {"right" if x > 0 else "left"}'] if abs(x) >= 1.0 else []
    parts += [f'{abs(y):.0f} px {"down" if y > 0 else "up"}'] if abs(y) >= 1.0 else []
    return f'; what it shows lies {" and ".join(parts)} of the reprojection on the mean' if parts else ''


def _leans(camera: CameraSummary, config: ReportConfig) -> bool:
    bias = float(np.hypot(*camera.bias_px))
    return bool(np.isfinite(bias) and bias > config.bias_ratio * camera.residual_px)


def _when(run: OutlierRun, duration_s: float, name_time: TimeName) -> str:
    from_start = run.begin_s < 0.05 * duration_s
    if from_start and run.to_end:
        return _ALWAYS
    if run.to_end:
        return f'since {name_time(run.begin_s)}'
    if from_start:
        return f'until {name_time(run.end_s)}'
    return f'from {name_time(run.begin_s)} to {name_time(run.end_s)}'


def _bones(report: RecordingReport, config: ReportConfig) -> Iterator[Finding]:
    said = []
    for body in report.bodies:
        loose = _loose_limbs(report, body, config) if body.seen_s >= config.short_life_s else []
        if loose:
            said.append(f'body {body.body_id} {", ".join(f"{name} {cv:.0%}" for name, cv in loose[:_MOST_NAMED])}')
    if said:
        more = f'; and {len(said) - _MOST_NAMED} more bodies' if len(said) > _MOST_NAMED else ''
        yield Finding(
            Severity.WARNING, f'Limbs change their length: {"; ".join(said[:_MOST_NAMED])}{more}.',
            'Often a wrong clock or calibration, or limbs that one camera alone sees; the charts of views and '
            'residuals tell which.',
        )


def _loose_limbs(report: RecordingReport, body: BodySummary, config: ReportConfig) -> list[tuple[str, float]]:
    """Return the bones along arms and legs, whose joints detectors find best, that vary too much; the worst first."""
    skeleton = report.skeleton
    sided = {joint for pair in skeleton.flip_pairs for joint in pair}
    limbs = [
        (name, float(cv))
        for (a, b), name, cv in zip(skeleton.edges, skeleton.bones, body.length_cv, strict=True)
        if a in sided and b in sided and cv > config.bone_cv
    ]
    return sorted(limbs, key=lambda limb: -limb[1])


def _few_views(report: RecordingReport) -> Iterator[Finding]:
    if len(report.cameras) < 2 or not report.with_bodies:
        return
    few = report.views[:, :2].sum(1) if report.views.shape[1] >= 2 else np.zeros(len(report.skeleton))
    joints = [
        f'{name} {share:.0%}' for name, share in zip(report.skeleton.joint_names, few, strict=True) if share > 0.5
    ]
    if joints:
        yield Finding(
            Severity.WARNING,
            f'Most of the time fewer than two cameras see {_listed(joints[:6])}'
            f'{", ..." if len(joints) > 6 else ""}.',
            'These joints are guessed from one view or from the pose. Add a camera, or turn one so that views overlap.',
        )


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f'{", ".join(names[:-1])} and {names[-1]}'
