"""`geo_pose report`: one page that says whether a recording is good, what is wrong and what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from ..bags.recording import BODIES, DIAGNOSTICS, IMAGE, KEYPOINTS, Recorded, Recording, Source, status_values
from ..errors import ConfigError, GeoPoseError
from ..evaluation.report import CameraReport, RecordingReport, RecordingStatistics, ReportConfig, Series
from ..evaluation.report_findings import findings, outlier_runs
from ..page import (
    Html,
    Page,
    Verdict,
    figure,
    heading,
    picture,
    side_by_side,
    table,
    text,
    tiles,
    verdicts,
)
from ..rigs.files import read_calibration
from ..skeleton import BODY17
from ..types import Bodies3D, Frame, Keypoints2D
from . import charts
from .figures import overlay
from .tables import clock

_NS_PER_S = 1_000_000_000
# Stamps below 2001 are of a simulated or a monotonic clock: their time of day says nothing.
_FIRST_DATE_NS = 978_307_200 * _NS_PER_S
_LEVELS = ('ok', 'warning', 'error', 'stale')
# The bones whose lengths are drawn: what a tape measures.
_LIMBS = {
    ('left_shoulder', 'left_elbow'): 'left upper arm', ('left_elbow', 'left_wrist'): 'left forearm',
    ('right_shoulder', 'right_elbow'): 'right upper arm', ('right_elbow', 'right_wrist'): 'right forearm',
    ('left_hip', 'left_knee'): 'left thigh', ('left_knee', 'left_ankle'): 'left shank',
    ('right_hip', 'right_knee'): 'right thigh', ('right_knee', 'right_ankle'): 'right shank',
}
_MOST_BODIES = 3
_MOST_ROWS = 24
_PICTURE_HEIGHT_PX = 400
# A picture belongs to a moment if its stamp is this near; it is looked for among what was received around it.
_PICTURE_NEAR_NS, _AROUND_NS = 100_000_000, 2 * _NS_PER_S


@dataclass(slots=True)
class Complaint:
    """One thing a node said about itself: how bad, when first and last, how often."""

    name: str
    level: int
    message: str
    first_ns: int
    last_ns: int
    count: int = 1


@dataclass(slots=True)
class Reported:
    """What nodes said in /diagnostics: every complaint, and the last values by status."""

    complaints: dict[tuple[str, int, str], Complaint] = field(default_factory=dict)
    values: dict[str, dict[str, str]] = field(default_factory=dict)

    def take(self, message: Any, time_ns: int) -> None:
        """Take a DiagnosticArray into account; a complaint whose numbers alone differ is the same one."""
        for name, level, said, values in status_values(message):
            self.values[name] = values
            if level == 0:
                continue
            key = name, level, _without_numbers(said)
            known = self.complaints.get(key)
            if known is None:
                self.complaints[key] = Complaint(name, level, said, time_ns, time_ns)
            else:
                known.message, known.last_ns, known.count = said, time_ns, known.count + 1


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """A recording that was read: its numbers, what nodes said, and when bodies were received, by their stamps."""

    report: RecordingReport
    reported: Reported
    received_ns: Mapping[int, int]


def judge(recording: Recording, config: ReportConfig) -> Judged:
    """Read a recording once and return what it is like.

    Pictures are not read where a camera has keypoints: their stamps say the same.
    """
    statistics = RecordingStatistics(BODY17, recording.rig, config, recording.counts[Source(BODIES)])
    reported = Reported()
    received_ns: dict[int, int] = {}
    with_keypoints = {source.camera for source, n in recording.counts.items() if source.kind == KEYPOINTS and n}
    only_pictures = {source.camera for source in recording.counts if source.kind == IMAGE} - with_keypoints
    kinds = {BODIES, KEYPOINTS, DIAGNOSTICS} | ({IMAGE} if only_pictures else set())
    total = sum(count for source, count in recording.counts.items() if source.kind in kinds)
    for one in tqdm(recording.stream(kinds), desc='report', total=total, unit='message', disable=None, leave=False):
        try:
            if one.source.kind == BODIES:
                bodies = one.bodies()
                received_ns[bodies.stamp_ns] = one.time_ns
                statistics.add_bodies(bodies)
            elif one.source.kind == KEYPOINTS:
                keypoints = one.keypoints()
                statistics.add_frame(keypoints.camera, keypoints.stamp_ns)
                statistics.add_keypoints(keypoints)
            elif one.source.kind == DIAGNOSTICS:
                reported.take(one.message.decode(), one.time_ns)
            elif one.source.camera in only_pictures:
                statistics.add_frame(one.source.camera, one.message.stamp_ns)
        except GeoPoseError as error:
            recording.count_damaged(one, error)
    return Judged(statistics.report(), reported, received_ns)


def build_page(recording: Recording, judged: Judged, config: ReportConfig) -> str:
    """Return the page of a recording as HTML."""
    report = judged.report
    times = Times(report.start_ns)
    page = Page(f'Recording {recording.title}', _lead(recording, report, times))
    found = [
        Verdict(int(one.severity), one.text, one.remedy) for one in findings(report, config, times.name)
    ] + _reading_verdicts(recording)
    found.sort(key=lambda verdict: -verdict.level)
    page.section('In short', tiles(_key_numbers(judged)), verdicts(found))
    page.section('Cameras', *_cameras(recording, report, config, times))
    page.section('Reprojection', *_residuals(recording, report, config))
    page.section('Bodies', *_bodies(report))
    page.section('Joints', *_joints(report))
    page.section('Worst moments', *_worst(recording, judged, times))
    page.section('What the node reported', *_reported(judged.reported, times))
    return page.html('Made by geo_pose report. The page needs no network and sends nothing.')


class Times:
    """Names moments of a recording: by the time of day (UTC) where the stamps are of a real clock."""

    def __init__(self, start_ns: int) -> None:
        self.start_ns = start_ns
        self.dated = start_ns >= _FIRST_DATE_NS

    def name(self, offset_s: float) -> str:
        """Return the moment ``offset_s`` after the start as '12:03:10 (4:05)': time of day (UTC) and time into it."""
        offset = clock(offset_s)
        if not self.dated:
            return offset
        moment = datetime.fromtimestamp(self.start_ns / _NS_PER_S + offset_s, timezone.utc)
        return f'{moment:%H:%M:%S} ({offset})'

    def of(self, stamp_ns: int) -> str:
        """Return the moment of a stamp in words."""
        return self.name((stamp_ns - self.start_ns) / _NS_PER_S)


def _lead(recording: Recording, report: RecordingReport, times: Times) -> str:
    parts = [', '.join(str(path) for path in recording.paths), clock(report.duration_s)]
    if times.dated:
        begin = datetime.fromtimestamp(report.start_ns / _NS_PER_S, timezone.utc)
        parts.append(f'from {begin:%Y-%m-%d %H:%M:%S} UTC')
    parts.append(f'{len(report.cameras)} cameras' if len(report.cameras) != 1 else '1 camera')
    return '; '.join(parts)


def _key_numbers(judged: Judged) -> list[tuple[str, str]]:
    report = judged.report
    cameras = report.cameras.values()
    residuals = [camera.residual_px for camera in cameras if np.isfinite(camera.residual_px)]
    left_out = [camera.left_out_px for camera in cameras if np.isfinite(camera.left_out_px)]
    variation = [float(np.nanmedian(body.length_cv)) for body in report.bodies[:1] if np.isfinite(body.length_cv).any()]
    numbers = [
        (clock(report.duration_s), 'long'),
        (f'{report.sets / report.duration_s:.1f} /s' if report.duration_s else '-', 'sets of bodies'),
        (str(report.most_people), 'people at once at most'),
        (f'{np.median(residuals):.1f} px' if residuals else '-', 'reprojection, median'),
        (f'{np.median(left_out):.1f} px' if left_out else '-', 'left-out camera'),
        (f'{variation[0]:.1%}' if variation else '-', 'bone lengths vary'),
    ]
    # Offline results are stamped as received; a clock that is not the recorder's tells nothing.
    delays = np.array([(received - stamp) / 1e6 for stamp, received in judged.received_ns.items()])
    if len(delays) and 0.0 < np.median(delays) < 10_000.0:
        p50, p95 = np.percentile(delays, (50, 95))
        numbers.append((f'{p50:.0f} ms', f'latency, p95 {p95:.0f} ms'))
    return numbers


def _reading_verdicts(recording: Recording) -> list[Verdict]:
    """Return what stood in the way of judging."""
    found = []
    if recording.damage:
        found.append(Verdict(2, recording.damage, 'If it is still being recorded, make the report again later.'))
    if recording.damaged:
        named = ', '.join(f'{topic} {count}' for topic, count in sorted(recording.damaged.items()))
        found.append(Verdict(1, f'Messages that could not be read: {named}.'))
    if recording.rig is None:
        found.append(Verdict(1, f'There is no rig, so that cameras cannot be judged. {recording.rig_fault}',
                             'Give the calibration with --rig RIG.yaml.'))
    elif not recording.has(KEYPOINTS):
        found.append(Verdict(1, 'There are no keypoints, so that cameras cannot be judged.',
                             'Record .../keypoints/<camera> with the bodies, or run geo_pose process.'))
    return found


def _cameras(recording: Recording, report: RecordingReport, config: ReportConfig, times: Times) -> list[Html]:
    if not report.cameras:
        return []
    head = ('camera', 'frames', 'rate /s', 'missing', 'silent s', 'clock ms', 'reprojection px', 'p95 px', '% of body',
            'left out px', 'somebody else', 'sides exchanged')
    rows = [
        (
            camera.name, str(camera.frames), _number(camera.rate_hz), str(camera.missing),
            _number(sum(b - a for a, b in camera.gaps_ns) / _NS_PER_S), _clock_words(camera),
            _number(camera.residual_px), _number(camera.p95_px), _number(100.0 * camera.residual_ratio),
            _number(camera.left_out_px), _share(camera.strangers), _share(camera.exchanged),
        )
        for camera in report.cameras.values()
    ]
    parts = [table(head, rows), text(
        'Rate and missing frames are of what was recorded: keypoints of the frames that were processed, or pictures '
        'where there are none. Clock: how much a camera\'s stamps are too late (+), from how people move in its '
        'picture, with its standard error. Left out: distance to bodies made from the other cameras alone, on '
        f'{report.left_out_sets} sets. Somebody else: people it found who are no body of the others.', soft=True)]
    rates = {name: camera.rate for name, camera in report.cameras.items()}
    parts += [heading('Frames per second'), figure(charts.lines(rates, unit='1/s', duration_s=report.duration_s))]
    gaps = {name: _seconds(camera.gaps_ns, report) for name, camera in report.cameras.items() if camera.gaps_ns}
    if gaps:
        parts += [heading('Silent'), figure(charts.spans(gaps, duration_s=report.duration_s))]
    return parts


def _residuals(recording: Recording, report: RecordingReport, config: ReportConfig) -> list[Html]:
    judged = {name: camera for name, camera in report.cameras.items() if camera.field is not None and
              np.isfinite(camera.residual_px)}
    if not judged or recording.rig is None:
        return []
    shaded = [(run.begin_s, run.end_s) for run, _, _ in outlier_runs(report, config).values()]
    over_time = {name: camera.residual for name, camera in judged.items()}
    parts = [
        figure(charts.lines(over_time, unit='px', duration_s=report.duration_s, shaded=shaded),
               'Median distance from reprojected to found joints, over time; marked where a camera stands out.'),
        heading('Over the picture'),
    ]
    longest = max(float(np.nanpercentile(camera.field.size_px, 95)) if np.isfinite(camera.field.size_px).any() else 0.0
                  for camera in judged.values() if camera.field is not None)
    fields = []
    for name, camera in judged.items():
        lens = recording.rig[name].intrinsics
        if camera.field is not None and np.isfinite(camera.field.size_px).any():
            chart = charts.arrows(camera.field, lens.width, lens.height, longest_px=longest)
            x, y = camera.bias_px
            fields.append(figure(chart, f'{name}: {camera.residual_px:.1f} px, mean ({x:+.1f}, {y:+.1f}) px'))
    if fields:
        parts += [side_by_side(*fields), text(
            f'The darker, the farther off (up to {longest:.0f} px). Arrows: mean way from the reprojection to what '
            'was found. Arrows all one way: the camera was moved. A pattern from the middle outwards: its lens. '
            'No order: the detector\'s noise.', soft=True)]
    return parts


def _bodies(report: RecordingReport) -> list[Html]:
    if not report.bodies:
        return []
    shown = report.bodies[:_MOST_ROWS]
    parts = [
        heading('People over time'),
        figure(charts.lines({'people': report.people}, unit='people', duration_s=report.duration_s, height=1.5,
                            top=max(1.0, float(report.most_people)) * 1.1)),
        heading('Ids over time'),
        figure(charts.spans({f'id {body.body_id}': _seconds(body.spans_ns, report) for body in shown},
                            duration_s=report.duration_s),
               f'The {len(shown)} longest seen of {len(report.bodies)}.' if len(report.bodies) > len(shown) else ''),
    ]
    for body in report.bodies[:_MOST_BODIES]:
        lengths: dict[str, Series] = {}
        for (parent, child), series, mean in zip(report.skeleton.edges, body.lengths, body.length_m, strict=True):
            limb = _LIMBS.get((report.skeleton.joint_names[parent], report.skeleton.joint_names[child]))
            if limb is not None and np.isfinite(mean):
                lengths[limb] = Series(series.time_s, 100.0 * series.value)
        if lengths:
            parts += [heading(f'Bone lengths of body {body.body_id}'),
                      figure(charts.lines(lengths, unit='cm', duration_s=report.duration_s))]
    rows = [
        (bone, *(f'{100 * body.length_m[i]:.1f} cm ± {body.length_cv[i]:.1%}' if np.isfinite(body.length_m[i]) else '-'
                 for body in report.bodies[:_MOST_BODIES]))
        for i, bone in enumerate(report.skeleton.bones)
    ]
    parts.append(table(('bone', *(f'body {body.body_id}' for body in report.bodies[:_MOST_BODIES])), rows))
    return parts


def _joints(report: RecordingReport) -> list[Html]:
    if not report.with_bodies:
        return []
    count = report.views.shape[1]
    labels = [f'{n} view{"" if n == 1 else "s"}' for n in range(count)]
    rows = [(name, _number(100.0 * sigma)) for name, sigma in zip(report.skeleton.joint_names, report.sigma_m,
                                                                    strict=True)]
    return [
        heading('Views per joint'),
        figure(charts.shares(report.skeleton.joint_names, report.views, labels),
               'How many cameras support a joint; with none it is lifted or predicted.'),
        heading('Standard deviation'),
        table(('joint', 'mean sigma cm'), rows),
    ]


def _worst(recording: Recording, judged: Judged, times: Times) -> list[Html]:
    parts = []
    for stamp_ns, px in zip(judged.report.worst_ns, judged.report.worst_px, strict=True):
        moment = moment_at(recording, stamp_ns, judged.received_ns.get(stamp_ns, stamp_ns))
        parts.append(heading(f'{times.of(stamp_ns)}: {px:.0f} px'))
        if moment.frames and recording.rig is not None and moment.bodies is not None:
            shown = overlay(recording.rig, moment.frames, moment.keypoints, moment.bodies,
                            height_px=_PICTURE_HEIGHT_PX)
            parts.append(figure(picture(shown, f'The cameras at {times.of(stamp_ns)}')))
    if parts:
        words = 'The sets with the largest residual of a camera. Rings: found; skeleton: reprojected.'
        if not recording.has(IMAGE):
            words += ' To see their pictures, name the bag that has them too: geo_pose report RESULT PICTURES.'
        parts.append(text(words, soft=True))
    return parts


@dataclass(slots=True)
class Moment:
    """What a recording holds of one instant."""

    stamp_ns: int
    bodies: Bodies3D | None = None
    keypoints: dict[str, Keypoints2D] = field(default_factory=dict)
    frames: dict[str, Frame] = field(default_factory=dict)


def moment_at(
    recording: Recording, stamp_ns: int, received_ns: int, max_side_px: int = 2 * _PICTURE_HEIGHT_PX
) -> Moment:
    """Return the bodies of a set, which were received at a time, and the keypoints and pictures nearest to it."""
    moment = Moment(stamp_ns)
    nearest: dict[Source, tuple[int, Recorded]] = {}
    kinds = (BODIES, KEYPOINTS, IMAGE)
    for one in recording.stream(kinds, received_ns - _AROUND_NS, received_ns + _AROUND_NS):
        try:
            distance = abs(one.message.stamp_ns - stamp_ns)
        except GeoPoseError as error:
            recording.count_damaged(one, error)
            continue
        if distance <= _PICTURE_NEAR_NS and distance < nearest.get(one.source, (_NS_PER_S, one))[0]:
            nearest[one.source] = distance, one
    for source, (_, one) in nearest.items():
        try:
            if source.kind == BODIES:
                moment.bodies = one.bodies()
            elif source.kind == KEYPOINTS:
                moment.keypoints[source.camera] = one.keypoints()
            else:
                moment.frames[source.camera] = one.frame(max_side_px)
        except GeoPoseError as error:
            recording.count_damaged(one, error)
    return moment


def _reported(reported: Reported, times: Times) -> list[Html]:
    parts = []
    complaints = sorted(reported.complaints.values(), key=lambda one: (-one.level, one.first_ns))
    if complaints:
        parts.append(table(
            ('what', 'level', 'first', 'last', 'times', 'message'),
            [(one.name, _LEVELS[min(one.level, 3)], _offset(times, one.first_ns), _offset(times, one.last_ns),
              str(one.count), one.message) for one in complaints[:_MOST_ROWS]], wide=(5,),
        ))
    drops = {
        name: {key: value for key, value in values.items() if key.startswith(('dropped: ', 'unusable: ')) and
               value not in ('', '0')}
        for name, values in reported.values.items()
    }
    rows = [(name, ', '.join(f'{key} {value}' for key, value in kept.items())) for name, kept in drops.items() if kept]
    if rows:
        parts += [heading('Frames not used'), table(('what', 'why and how many'), rows, wide=(1,))]
    timed = {key.removeprefix('stage_ms '): value for key, value in reported.values.get('pipeline', {}).items()
             if key.startswith('stage_ms ')}
    if timed:
        parts += [heading('Time per stage'), table(tuple(timed), [tuple(f'{value} ms' for value in timed.values())])]
    return parts


def _offset(times: Times, stamp_ns: int) -> str:
    return clock((stamp_ns - times.start_ns) / _NS_PER_S)


def _seconds(stretches: Sequence[tuple[int, int]], report: RecordingReport) -> list[tuple[float, float]]:
    return [((a - report.start_ns) / _NS_PER_S, (b - report.start_ns) / _NS_PER_S) for a, b in stretches]


def _clock_words(camera: CameraReport) -> str:
    if not np.isfinite(camera.clock_ms):
        return '-'
    error = f' ± {camera.clock_sigma_ms:.1f}' if np.isfinite(camera.clock_sigma_ms) else ''
    return f'{camera.clock_ms:+.1f}{error}'


def _share(value: float) -> str:
    return f'{value:.0%}' if np.isfinite(value) else '-'


def _number(value: float) -> str:
    return f'{value:.1f}' if np.isfinite(value) else '-'


def _without_numbers(words: str) -> str:
    return ''.join(letter for letter in words if not (letter.isdigit() or letter == '.'))


def write_report(
    bags: Sequence[Path], out: Path, *, config: ReportConfig | None = None, rig: Path | None = None, unit: str = 'm'
) -> Mapping[str, Any]:
    """Write the page of a recording to ``out``; return its key numbers.

    Args:
        bags: one or several of the same time, see ``bags.recording``.
        out: the HTML file; replaced if it is there.
        config: settings.
        rig: calibration instead of the bags' own.
        unit: of its lengths.

    Raises:
        BagError: if a bag cannot be read.
        ConfigError: if the page cannot be written.
    """
    config = config or ReportConfig()
    with Recording(bags, read_calibration(rig, unit) if rig is not None else None) as recording:
        judged = judge(recording, config)
        html = build_page(recording, judged, config)
        found = findings(judged.report, config, Times(judged.report.start_ns).name)
    try:
        out.write_text(html, encoding='utf-8')
    except OSError as error:
        raise ConfigError(f"'{out}' cannot be written: {error.strerror}. Choose another file with --out.") from error
    return {'sets': judged.report.sets, 'findings': found, 'bytes': len(html.encode())}
