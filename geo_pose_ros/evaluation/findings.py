# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""What a recording's numbers mean, in words: what is wrong, since when, and what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..arrays import BoolArray, FloatArray
from ..findings import Finding, Severity
from ..geometry.stats import nan_median
from .report import BodySummary, CameraSummary, RecordingReport
from .settings import ReportConfig

_MOST_NAMED = 4
_ALWAYS = 'all the time'
# A wrong clock makes at least this part of what a camera's residuals have more than the others'.
_CLOCK_PART = 0.5
# Places and kinds of findings; a camera's place is ``where_is(name)``.
RIG, PEOPLE = 'rig', 'people'
CALIBRATION = 'calibration'
# The kinds that the numbers of a recording show; a node and `process` note others.
COMPUTED = frozenset({
    'none', 'few sets', 'ids', 'bones', 'silent', 'missing', 'clock', 'no overlap', 'sees nobody', CALIBRATION,
    'detector', 'residuals', 'unmatched', 'exchanged', 'few views',
})
NO_BODIES = Finding(Severity.ERROR, 'There are no bodies in this recording.',
                    'If it holds images or keypoints, make them: geo_pose process BAG --out RESULT', PEOPLE, 'none')
_GOOD = Finding(Severity.OK, 'Nothing stands out: every camera delivers and sees the bodies, agrees with the others '
                             'and keeps time, and bones keep their lengths.')
# What a calibration needs, s, with what is lost to its judgement; see calibration/settings.py.
_TO_CALIBRATE_S = 10.0


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
_Found = Iterator[Finding]


def find_problems(
    report: RecordingReport, config: ReportConfig, name_time: TimeName, noted: Iterable[Finding] = ()
) -> tuple[Finding, ...]:
    """Return what is wrong with a recording, the worst first; one good word if nothing is.

    A camera gets the first cause that explains it: what was noted, then silence, its clock, that it sees nobody, then
    its calibration or its detector. Consequences of a cause are not found once more.

    Args:
        report: the numbers.
        config: the least numbers that are reported.
        name_time: turns seconds from the start into words.
        noted: what was found beside the numbers; it replaces findings of the same place and kind.
    """
    noted = list(noted)
    if not report.sets:
        found = [*noted, *report.contributed, NO_BODIES]
        return tuple(sorted(found, key=lambda finding: -finding.severity))
    blamed = {finding.where for finding in noted if finding.severity == Severity.ERROR}
    causes: list[Finding] = [*noted, *report.contributed]
    # What contributes looks at the cameras together: a rig that cannot be right explains its cameras.
    blamed |= {finding.where for finding in report.contributed if finding.severity == Severity.ERROR}
    for look in (_silent, _clocks, _sights, _residuals):
        if RIG in blamed and look is not _silent:
            break
        new = [found for found in look(report, config, name_time) if found.where not in blamed]
        causes += new
        blamed |= {found.where for found in new if look is not _residuals or found.kind == CALIBRATION}
    named = blamed - {''}
    rest = [*_missing(report, config), *_exchanged(report, config)]
    rest += [found for found in _unmatched(report, config) if found.where not in blamed and RIG not in blamed]
    rest += _people(report, config, explained=bool(named))
    if not named:
        rest += [*_bones(report, config), *_few_views(report)]
    unique = {(finding.where, finding.kind): finding for finding in [*rest, *reversed(causes)]}
    problems = [finding for finding in unique.values() if finding.severity > Severity.OK]
    return tuple(sorted(problems, key=lambda finding: -finding.severity)) or (_GOOD,)


def where_is(camera: str) -> str:
    """Return the place of a camera's findings."""
    return f'camera {camera}'


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


def _people(report: RecordingReport, config: ReportConfig, *, explained: bool) -> _Found:
    """Find too few people, and ids that do not last; the former only if nothing else explains it."""
    share = report.with_bodies / report.sets
    if not share:
        if not explained:
            yield Finding(Severity.ERROR, f'none of the {report.sets} sets has a body.',
                          'Look at the images: do two cameras see a person, and is the light good enough?', PEOPLE,
                          'none')
        return
    if share < 0.5 and not explained:
        yield Finding(Severity.WARNING, f'only {share:.0%} of the sets have a body.',
                      'If somebody was there all the time, look at the images of a set without.', PEOPLE, 'few sets')
    brief = [body for body in report.bodies if body.seen_s < config.short_life_s]
    if len(report.bodies) > 2 * report.most_people and len(brief) > report.most_people:
        yield Finding(
            Severity.WARNING,
            f'{len(report.bodies)} body ids for at most {report.most_people} people at once; {len(brief)} of them '
            f'lived less than {config.short_life_s:g} s.',
            'People are lost and found again, or things are taken for people. More cameras that overlap help; '
            'tracking.new_body_views raises how many cameras must see somebody new.', PEOPLE, 'ids',
        )


def _silent(report: RecordingReport, config: ReportConfig, name_time: TimeName) -> _Found:
    if not any(camera.frames for camera in report.cameras.values()):
        # Bodies alone were recorded.
        return
    for camera in report.cameras.values():
        if not camera.frames:
            yield Finding(Severity.ERROR, 'delivered nothing that could be used.', 'Check its driver, cable and topic.',
                          where_is(camera.name), 'silent')
        elif camera.gaps_ns:
            yield Finding(
                Severity.ERROR, f'{_silence(camera, report, name_time)}.',
                'Check its cable, power and driver; the log of its driver at that time says more.',
                where_is(camera.name), 'silent',
            )


def _missing(report: RecordingReport, config: ReportConfig) -> _Found:
    shares = {
        camera.name: camera.missing / (camera.frames + camera.missing) for camera in report.cameras.values()
        if camera.frames and not camera.gaps_ns
    }
    usual = float(np.median(list(shares.values()))) if len(shares) > 2 else 0.0
    for name, share in shares.items():
        # What all cameras miss alike is no camera's fault.
        if share - usual > config.missing_ratio:
            yield Finding(
                Severity.WARNING, f'{share:.0%} of its frames are missing between the recorded ones.',
                'See to its USB controller, network or socket buffers: geo_pose doctor', where_is(name), 'missing',
            )
    if usual > config.busy_ratio:
        yield Finding(
            Severity.WARNING, f'{usual:.0%} of the frames of all cameras are missing between the recorded ones.',
            'The node was busier than the computer allows: see the time per stage.', 'pipeline', 'missing',
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


def _clocks(report: RecordingReport, config: ReportConfig, name_time: TimeName) -> _Found:
    if sum(np.isfinite(camera.clock_ms) for camera in report.cameras.values()) < 3:
        return
    for camera in report.cameras.values():
        offset_ms = camera.clock_ms
        unsure_ms = 3.0 * camera.clock_sigma_ms if np.isfinite(camera.clock_sigma_ms) else 0.0
        large = np.isfinite(offset_ms) and abs(offset_ms) > max(config.clock_ms, unsure_ms)
        if large and not _is_due_to_calibration(camera, report):
            side = 'late' if offset_ms > 0.0 else 'early'
            yield Finding(
                Severity.ERROR if abs(offset_ms) > 2.0 * config.clock_ms else Severity.WARNING,
                f'its stamps are about {abs(offset_ms):.0f} ms too {side}, by how people move in its image.',
                'Synchronise the clocks (PTP, chrony) or trigger the cameras together; stamp at exposure, not at '
                'arrival.', where_is(camera.name), 'clock',
            )


def _is_due_to_calibration(camera: CameraSummary, report: RecordingReport) -> bool:
    """Return whether a clock explains little of a camera's residuals: people who walk one way make both look alike."""
    others_px = float(np.median([one.residual_px for one in report.cameras.values() if one is not camera]))
    excess2 = camera.residual_px**2 - others_px**2
    return bool((1e-3 * camera.clock_ms * camera.speed_px_s) ** 2 < _CLOCK_PART**2 * excess2)


def _sights(report: RecordingReport, config: ReportConfig, name_time: TimeName) -> _Found:
    """Find cameras that deliver and contribute nothing to bodies that the others see in their view."""
    for camera in report.cameras.values():
        where, n = where_is(camera.name), camera.in_view
        if not camera.frames or len(report.cameras) < 2 or not report.with_bodies:
            continue
        if n < max(config.sights, 0.05 * report.with_bodies):
            if not camera.matched and n < config.sights <= report.with_bodies:
                yield Finding(
                    Severity.WARNING, f'none of the bodies is wholly in its view in {report.with_bodies - n} of '
                    f'{report.with_bodies} sets.', 'Turn it to where people are, or check its extrinsics.', where,
                    'no overlap',
                )
        elif camera.found < config.sights_ratio * n:
            yield Finding(
                Severity.ERROR,
                f'found nobody while the others saw somebody in its view in {n - camera.found} of {n} sets.',
                'Is it covered, dark, out of focus or turned away? Look at its image.', where, 'sees nobody',
            )
        elif (run := report.spans_s([camera.blind_ns])[0])[1] - run[0] > config.outlier_s:
            to_end = run[1] > 0.95 * report.duration_s
            when = f'since {name_time(run[0])}' if to_end else f'from {name_time(run[0])} to {name_time(run[1])}'
            yield Finding(
                Severity.ERROR if to_end else Severity.WARNING,
                f'found nobody while the others saw somebody in its view {when}.',
                'Was it covered, turned, or something put before it? Look at its image.', where, 'sees nobody',
            )
        elif camera.matched < config.sights_ratio * n:
            yield Finding(
                Severity.ERROR,
                f'finds people, but not where the others see them in {n - camera.matched} of {n} sets.',
                f'It was moved far, or its calibration is wrong or another camera\'s: {_calibrate(report)}', where,
                CALIBRATION,
            )


def _residuals(report: RecordingReport, config: ReportConfig, name_time: TimeName) -> _Found:
    outliers = find_outlier_runs(report, config)
    for name, run in outliers.items():
        yield _outlier(report.cameras[name], run, report, config, name_time)
    rest = [camera for name, camera in report.cameras.items() if name not in outliers]
    high = [camera for camera in rest if camera.residual_ratio > config.residual_ratio]
    if not high:
        return
    named = ', '.join(f'{camera.name} {_far(camera.residual_mm, camera.residual_px)}' for camera in high)
    one_sided = [camera.name for camera in high if _leans(camera, config)]
    text = (
        f'reprojections miss by more than {config.residual_ratio:.0%} of a body\'s size in {len(high)} of '
        f'{len(report.cameras)} cameras ({named}).'
    )
    if one_sided:
        text += f' {_listed(one_sided)} err{"s" if len(one_sided) == 1 else ""} to one side, as by a calibration.'
    where = where_is(high[0].name) if len(high) == 1 else RIG
    yield Finding(
        Severity.WARNING, text,
        'geo_pose calibrate refines a rig from half a minute of somebody who walks; where the images below show the '
        'detector wrong, better light or another detector helps.', where, CALIBRATION if one_sided else 'detector',
    )


def _outlier(
    camera: CameraSummary, run: OutlierRun, report: RecordingReport, config: ReportConfig, name_time: TimeName
) -> Finding:
    """Return whether a camera that stands out has a wrong calibration or a detector that errs."""
    when = _when(run, report.duration_s, name_time)
    mm = run.own_px * camera.residual_mm / camera.residual_px if camera.residual_px > 0.0 else float('nan')
    text = f'is off by {_far(mm, run.own_px)} {when} (the others: {run.others_px:.0f} px)'
    where = where_is(camera.name)
    if not _leans(camera, config):
        exchanged = f' It exchanges left and right in {camera.exchanged:.0%} of the bodies.' if (
            camera.exchanged > config.exchanged_ratio) else ''
        return Finding(
            Severity.WARNING, f'{text}, to no side that all joints share: its detections err, not its calibration.'
            f'{exchanged}', 'See to focus, light and what stands before people; or take another detector.', where,
            'detector',
        )
    # The mean residual is of the whole recording.
    text += _side(camera) if when == _ALWAYS else ''
    if run.end_s - run.begin_s < config.outlier_s:
        return Finding(
            Severity.WARNING, f'{text}; too short a time to tell a calibration from a detector.',
            f'Record for longer than {config.outlier_s:g} s.', where, 'residuals',
        )
    return Finding(
        Severity.WARNING if mm < config.error_mm else Severity.ERROR, f'{text}.',
        f'It was moved, or its calibration is wrong: {_calibrate(report)}', where, CALIBRATION,
    )


def _unmatched(report: RecordingReport, config: ReportConfig) -> _Found:
    for camera in report.cameras.values():
        if camera.unmatched > config.unmatched_ratio:
            yield Finding(
                Severity.WARNING, f'{camera.unmatched:.0%} of the people that it finds are none of the bodies.',
                'Bystanders, reflections, or people that no other camera sees. If the images show the same person, the '
                f'camera was moved far: {_calibrate(report)}', where_is(camera.name), 'unmatched',
            )


def _exchanged(report: RecordingReport, config: ReportConfig) -> _Found:
    for camera in report.cameras.values():
        if camera.exchanged > config.exchanged_ratio:
            yield exchanged_sides(camera.exchanged, camera.name, 'exchanged')


def exchanged_sides(share: float, camera: str, kind: str) -> Finding:
    """Return the finding that a camera's detector exchanges the sides of a ``share`` of the bodies.

    Args:
        share: in [0, 1].
        camera: its name.
        kind: 'exchanged' for keypoints that are so, 'repaired' for those whose sides were put right.
    """
    return Finding(
        Severity.WARNING, f'the detector exchanges left and right in {share:.0%} of the bodies.',
        'Fusion repairs what the other cameras contradict. It happens to people seen from behind, head down or without '
        'a face; another detector (pipeline.detector.profile accurate) helps, or one that these cameras '
        'taught (geo_pose retrain --detector).', where_is(camera), kind,
    )


def _calibrate(report: RecordingReport) -> str:
    """Return what to do about a calibration, from this recording if it is long enough for that."""
    seen_s = report.duration_s * report.with_bodies / max(report.sets, 1)
    record = 'record half a minute of somebody who walks through all views, ' if seen_s < _TO_CALIBRATE_S else ''
    return f'{record}run geo_pose calibrate (of a node: the service ~/calibrate), and fix its mount.'


def _far(mm: float, px: float) -> str:
    """Return a distance in mm with px second."""
    return f'{mm:.0f} mm ({px:.0f} px)' if np.isfinite(mm) else f'{px:.0f} px'


def _side(camera: CameraSummary) -> str:
    x, y = camera.bias_px
    parts = [f'{abs(x):.0f} px to the {"right" if x > 0 else "left"}'] if abs(x) >= 1.0 else []
    parts += [f'{abs(y):.0f} px {"down" if y > 0 else "up"}'] if abs(y) >= 1.0 else []
    return f'; what it shows lies {" and ".join(parts)} of the reprojection on the mean' if parts else ''


def _leans(camera: CameraSummary, config: ReportConfig) -> bool:
    """Return whether a calibration, not a detector, explains the residuals."""
    return bool(camera.shared > config.bias_ratio)


def _when(run: OutlierRun, duration_s: float, name_time: TimeName) -> str:
    from_start = run.begin_s < 0.05 * duration_s
    if from_start and run.to_end:
        return _ALWAYS
    if run.to_end:
        return f'since {name_time(run.begin_s)}'
    if from_start:
        return f'until {name_time(run.end_s)}'
    return f'from {name_time(run.begin_s)} to {name_time(run.end_s)}'


def _bones(report: RecordingReport, config: ReportConfig) -> _Found:
    said = []
    for body in report.bodies:
        loose = _loose_limbs(report, body, config) if body.seen_s >= config.short_life_s else []
        if loose:
            said.append(f'body {body.body_id} {", ".join(f"{name} {cv:.0%}" for name, cv in loose[:_MOST_NAMED])}')
    if said:
        more = f'; and {len(said) - _MOST_NAMED} more bodies' if len(said) > _MOST_NAMED else ''
        yield Finding(
            Severity.WARNING, f'limbs change their length: {"; ".join(said[:_MOST_NAMED])}{more}.',
            'Often a wrong clock or calibration, or limbs that one camera alone sees; the charts of views and '
            'residuals tell which.', PEOPLE, 'bones',
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


def _few_views(report: RecordingReport) -> _Found:
    if len(report.cameras) < 2 or not report.with_bodies:
        return
    few = report.views[:, :2].sum(1) if report.views.shape[1] >= 2 else np.zeros(len(report.skeleton))
    joints = [
        f'{name} {share:.0%}' for name, share in zip(report.skeleton.joint_names, few, strict=True) if share > 0.5
    ]
    if joints:
        yield Finding(
            Severity.WARNING,
            f'most of the time fewer than two cameras see {_listed(joints[:6])}'
            f'{", ..." if len(joints) > 6 else ""}.',
            'These joints are guessed from one view or from the pose. Add a camera, or turn one so that views overlap.',
            RIG, 'few views',
        )


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f'{", ".join(names[:-1])} and {names[-1]}'
