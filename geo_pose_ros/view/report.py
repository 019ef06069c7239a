"""`geo_pose report`: one page that says whether a recording is good, what is wrong and what to do."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from ..arrays import NS_PER_S
from ..bags.recording import BODIES, DIAGNOSTICS, IMAGE, KEYPOINTS, Recording, Source
from ..errors import ConfigError, GeoPoseError
from ..evaluation.findings import find_outlier_runs, find_problems
from ..evaluation.report import CameraSummary, RecordingReport, Series
from ..evaluation.settings import ReportConfig
from ..evaluation.statistics import RecordingStatistics
from ..findings import Finding, Severity
from ..messages.diagnostics import Level, Status
from ..page import clock, number, percent, render
from ..rigs.files import read_calibration
from ..skeleton import BODY17
from . import charts
from .drawing import overlay
from .playback import Playback

# Stamps below 2001 are of a simulated or a monotonic clock: their time of day says nothing.
_FIRST_DATE_NS = 978_307_200 * NS_PER_S
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
_IMAGE_HEIGHT_PX = 400


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
    values: dict[str, Mapping[str, str]] = field(default_factory=dict)

    def take(self, statuses: Sequence[Status], time_ns: int) -> None:
        """Take a DiagnosticArray into account; a complaint whose numbers alone differ is the same one."""
        for status in statuses:
            self.values[status.name] = status.values
            if status.level == Level.OK:
                continue
            key = status.name, int(status.level), _without_numbers(status.message)
            known = self.complaints.get(key)
            if known is None:
                self.complaints[key] = Complaint(*key[:2], status.message, time_ns, time_ns)
            else:
                known.message, known.last_ns, known.count = status.message, time_ns, known.count + 1


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """A recording that was read: its numbers, what nodes said, and when bodies were received, by their stamps."""

    report: RecordingReport
    reported: Reported
    received_ns: Mapping[int, int]


def judge(recording: Recording, config: ReportConfig) -> Judged:
    """Read a recording once and return what it is like.

    Images are not read where a camera has keypoints: their stamps say the same.
    """
    statistics = RecordingStatistics(BODY17, recording.rig, config, recording.counts[Source(BODIES)])
    reported = Reported()
    received_ns: dict[int, int] = {}
    with_keypoints = {source.camera for source, n in recording.counts.items() if source.kind == KEYPOINTS and n}
    only_images = {source.camera for source in recording.counts if source.kind == IMAGE} - with_keypoints
    kinds = {BODIES, KEYPOINTS, DIAGNOSTICS} | ({IMAGE} if only_images else set())
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
                reported.take(one.statuses(), one.time_ns)
            elif one.source.camera in only_images:
                statistics.add_frame(one.source.camera, one.message.stamp_ns)
        except GeoPoseError as error:
            recording.count_damaged(one, error)
    return Judged(statistics.report(), reported, received_ns)


def build_page(recording: Recording, judged: Judged, config: ReportConfig) -> str:
    """Return the page of a recording as HTML."""
    report = judged.report
    times = Times(report.start_ns)
    found = [*find_problems(report, config, times.name), *_reading_findings(recording)]
    return render(
        'report.html.j2', title=f'Recording {recording.title}', lead=_lead(recording, report, times),
        made_by='geo_pose report', numbers=_key_numbers(judged), found=sorted(found, key=lambda one: -one.severity),
        report=report, **_cameras(report), **_residuals(recording, report, config), **_bodies(report),
        **_joints(report), **_worst(recording, judged, times), **_reported(judged.reported, times),
    )


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
        moment = datetime.fromtimestamp(self.start_ns / NS_PER_S + offset_s, timezone.utc)
        return f'{moment:%H:%M:%S} ({offset})'

    def of(self, stamp_ns: int) -> str:
        """Return the moment of a stamp in words."""
        return self.name((stamp_ns - self.start_ns) / NS_PER_S)


def _lead(recording: Recording, report: RecordingReport, times: Times) -> str:
    parts = [', '.join(str(path) for path in recording.paths), clock(report.duration_s)]
    if times.dated:
        begin = datetime.fromtimestamp(report.start_ns / NS_PER_S, timezone.utc)
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


def _reading_findings(recording: Recording) -> list[Finding]:
    """Return what stood in the way of judging."""
    found = []
    if recording.damage:
        found.append(Finding(Severity.ERROR, recording.damage,
                             'If it is still being recorded, make the report again later.'))
    if recording.damaged:
        named = ', '.join(f'{topic} {count}' for topic, count in sorted(recording.damaged.items()))
        found.append(Finding(Severity.WARNING, f'Messages that could not be read: {named}.'))
    if recording.rig is None:
        found.append(Finding(Severity.WARNING, 'There is no rig, so that cameras cannot be judged. '
                             f'{recording.rig_fault}', 'Give the calibration with --rig RIG.yaml.'))
    elif not recording.has(KEYPOINTS):
        found.append(Finding(Severity.WARNING, 'There are no keypoints, so that cameras cannot be judged.',
                             'Record .../keypoints/<camera> with the bodies, or run geo_pose process.'))
    return found


def _cameras(report: RecordingReport) -> dict[str, object]:
    rows = [
        (
            camera.name, camera.frames, number(camera.rate_hz), camera.missing,
            number(sum(b - a for a, b in camera.gaps_ns) / NS_PER_S), _clock_words(camera),
            number(camera.residual_px), number(camera.p95_px), number(100.0 * camera.residual_ratio),
            number(camera.left_out_px), percent(camera.unmatched), percent(camera.exchanged),
        )
        for camera in report.cameras.values()
    ]
    rates = {name: camera.rate for name, camera in report.cameras.items()}
    gaps = {name: _seconds(camera.gaps_ns, report) for name, camera in report.cameras.items() if camera.gaps_ns}
    return {
        'camera_rows': rows,
        'rates': charts.lines(rates, unit='1/s', duration_s=report.duration_s) if rates else None,
        'gaps': charts.spans(gaps, duration_s=report.duration_s) if gaps else None,
    }


def _residuals(recording: Recording, report: RecordingReport, config: ReportConfig) -> dict[str, object]:
    judged = [camera for camera in report.cameras.values() if np.isfinite(camera.residual_px)]
    if not judged or recording.rig is None:
        return {'residuals': None}
    shaded = [(run.begin_s, run.end_s) for run in find_outlier_runs(report, config).values()]
    fields = {
        camera.name: camera.field for camera in judged
        if camera.field is not None and np.isfinite(camera.field.size_px).any()
    }
    darkest_px = max((float(np.nanpercentile(field.size_px, 95)) for field in fields.values()), default=0.0)
    lenses = {camera.name: camera.intrinsics for camera in recording.rig.cameras}
    return {
        'residuals': charts.lines({camera.name: camera.residual for camera in judged}, unit='px',
                                  duration_s=report.duration_s, shaded=shaded),
        'darkest_px': darkest_px,
        'fields': [
            (report.cameras[name],
             charts.arrows(field, lenses[name].width, lenses[name].height, darkest_px=darkest_px))
            for name, field in fields.items()
        ],
    }


def _bodies(report: RecordingReport) -> dict[str, object]:
    if not report.bodies:
        return {}
    shown, longest = report.bodies[:_MOST_ROWS], report.bodies[:_MOST_BODIES]
    limbs = []
    for body in longest:
        lengths: dict[str, Series] = {}
        for (parent, child), series, mean in zip(report.skeleton.edges, body.lengths, body.length_m, strict=True):
            limb = _LIMBS.get((report.skeleton.joint_names[parent], report.skeleton.joint_names[child]))
            if limb is not None and np.isfinite(mean):
                lengths[limb] = Series(series.time_s, 100.0 * series.value)
        if lengths:
            limbs.append((body, charts.lines(lengths, unit='cm', duration_s=report.duration_s)))
    return {
        'people': charts.lines({'people': report.people}, unit='people', duration_s=report.duration_s, height=1.5,
                               top=max(1.0, float(report.most_people)) * 1.1),
        'ids': charts.spans({f'id {body.body_id}': _seconds(body.spans_ns, report) for body in shown},
                            duration_s=report.duration_s),
        'num_ids_shown': len(shown),
        'limbs': limbs,
        'bone_head': [f'body {body.body_id}' for body in longest],
        'bone_rows': [
            (bone, *(f'{100 * body.length_m[i]:.1f} cm ± {body.length_cv[i]:.1%}' if np.isfinite(body.length_m[i])
                     else '-' for body in longest))
            for i, bone in enumerate(report.skeleton.bones)
        ],
    }


def _joints(report: RecordingReport) -> dict[str, object]:
    if not report.with_bodies:
        return {}
    names = report.skeleton.joint_names
    labels = [f'{n} view{"" if n == 1 else "s"}' for n in range(report.views.shape[1])]
    return {
        'views': charts.shares(names, report.views, labels),
        'sigma_rows': [(name, number(100.0 * sigma)) for name, sigma in zip(names, report.sigma_m, strict=True)],
    }


def _worst(recording: Recording, judged: Judged, times: Times) -> dict[str, object]:
    playback = Playback(recording, 2 * _IMAGE_HEIGHT_PX, images_hz=math.inf)
    worst = []
    for stamp_ns, px in zip(judged.report.worst_ns, judged.report.worst_px, strict=True):
        instant = playback.at(judged.received_ns.get(stamp_ns, stamp_ns))
        shown = None
        if instant.frames and recording.rig is not None and instant.bodies is not None:
            shown = overlay(recording.rig, instant.frames, instant.keypoints, instant.bodies,
                            height_px=_IMAGE_HEIGHT_PX)
        worst.append((times.of(stamp_ns), px, shown))
    return {'worst': worst, 'has_images': recording.has(IMAGE)}


def _reported(reported: Reported, times: Times) -> dict[str, object]:
    complaints = sorted(reported.complaints.values(), key=lambda one: (-one.level, one.first_ns))
    unused = {
        name: ', '.join(f'{key} {value}' for key, value in values.items()
                        if key.startswith(('dropped: ', 'unusable: ')) and value not in ('', '0'))
        for name, values in reported.values.items()
    }
    pipeline = reported.values.get('pipeline', {})
    return {
        'complaints': [
            (one.name, _LEVELS[min(one.level, 3)], _offset(times, one.first_ns), _offset(times, one.last_ns),
             one.count, one.message) for one in complaints[:_MOST_ROWS]
        ],
        'unused': [(name, words) for name, words in unused.items() if words],
        'stages': {
            key.removeprefix('stage_ms '): f'{value} ms' for key, value in pipeline.items()
            if key.startswith('stage_ms ')
        },
    }


def _offset(times: Times, stamp_ns: int) -> str:
    return clock((stamp_ns - times.start_ns) / NS_PER_S)


def _seconds(stretches: Sequence[tuple[int, int]], report: RecordingReport) -> list[tuple[float, float]]:
    return [((a - report.start_ns) / NS_PER_S, (b - report.start_ns) / NS_PER_S) for a, b in stretches]


def _clock_words(camera: CameraSummary) -> str:
    if not np.isfinite(camera.clock_ms):
        return '-'
    error = f' ± {camera.clock_sigma_ms:.1f}' if np.isfinite(camera.clock_sigma_ms) else ''
    return f'{camera.clock_ms:+.1f}{error}'


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
        found = find_problems(judged.report, config, Times(judged.report.start_ns).name)
    try:
        out.write_text(html, encoding='utf-8')
    except OSError as error:
        raise ConfigError(f"'{out}' cannot be written: {error.strerror}. Choose another file with --out.") from error
    return {'sets': judged.report.sets, 'findings': found, 'bytes': len(html.encode())}
