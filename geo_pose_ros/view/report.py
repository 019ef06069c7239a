# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""`geo_pose report`: one page that says whether a recording is good, what is wrong and what to do."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ..arrays import NS_PER_S, UInt8Array
from ..bags.recording import BODIES, DIAGNOSTICS, IMAGE, KEYPOINTS, Recording, Source
from ..errors import ConfigError, GeoPoseError
from ..evaluation.findings import COMPUTED, find_outlier_runs
from ..evaluation.report import RecordingReport, Series
from ..evaluation.settings import ReportConfig
from ..evaluation.statistics import RecordingStatistics
from ..evaluation.verdict import verdict_of
from ..findings import Finding, Severity, Verdict
from ..messages.diagnostics import VERDICT, Level, Status, verdict_from_statuses
from ..page import clock, render
from ..types import CameraRig
from . import charts
from .drawing import overlay
from .playback import Playback, find_missing

# Stamps below 2001 are of a simulated or a monotonic clock: their time of day says nothing.
_FIRST_DATE_NS = 978_307_200 * NS_PER_S
# The bones whose lengths are drawn: what a tape measures.
_LIMBS = {
    f'{side}_{parent}-{side}_{child}': f'{side} {limb}' for side in ('left', 'right') for parent, child, limb in (
        ('shoulder', 'elbow', 'upper arm'), ('elbow', 'wrist', 'forearm'), ('hip', 'knee', 'thigh'),
        ('knee', 'ankle', 'shank'),
    )
}
_MOST_BODIES, _MOST_ROWS = 3, 24
_IMAGE_HEIGHT_PX = 400


@dataclass(slots=True)
class Complaint:
    """A status that is not ok: the last of several whose numbers alone differ, when first and last, how often."""

    status: Status
    first_ns: int
    last_ns: int
    count: int = 1


@dataclass(slots=True)
class Reported:
    """What nodes said in /diagnostics: every complaint, the last values by status, and verdicts with their times."""

    complaints: dict[tuple[str, Level, str], Complaint] = field(default_factory=dict)
    values: dict[str, Mapping[str, str]] = field(default_factory=dict)
    verdicts: list[tuple[int, Verdict]] = field(default_factory=list)

    def add(self, statuses: Sequence[Status], time_ns: int) -> None:
        """Take a DiagnosticArray into account."""
        verdict = verdict_from_statuses(statuses)
        if verdict is not None:
            self.verdicts.append((time_ns, verdict))
        for status in (one for one in statuses if one.name != VERDICT):
            self.values[status.name] = status.values
            if status.level == Level.OK:
                continue
            key = status.name, status.level, status.message.translate(_WITHOUT_NUMBERS)
            known = self.complaints.setdefault(key, Complaint(status, time_ns, time_ns, 0))
            known.status, known.last_ns, known.count = status, time_ns, known.count + 1

    def noted(self, start_ns: int, end_ns: int) -> list[Finding]:
        """Return the last of each finding that verdicts said while there were bodies, if they said it for a while."""
        within = [verdict for time_ns, verdict in self.verdicts if start_ns <= time_ns <= end_ns]
        within = within or [verdict for _, verdict in self.verdicts[-1:]]
        said = Counter((found.where, found.kind) for verdict in within for found in verdict.findings)
        last = {(found.where, found.kind): found for verdict in within for found in verdict.findings if found.severity}
        return [found for key, found in last.items() if said[key] >= _LASTING * len(within)]

    @property
    def unused(self) -> dict[str, str]:
        """Why frames were not used, and how many, in words by status."""
        said = {
            name: ', '.join(f'{key} {value}' for key, value in values.items()
                            if key.startswith(('dropped: ', 'unusable: ')) and value not in ('', '0'))
            for name, values in self.values.items()
        }
        return {name: words for name, words in said.items() if words}

    @property
    def stages(self) -> dict[str, str]:
        """Time per stage of the pipeline, in words."""
        prefix, values = 'stage_ms ', self.values.get('pipeline', {})
        return {key.removeprefix(prefix): f'{value} ms' for key, value in values.items() if key.startswith(prefix)}


# What fewer of the verdicts said came and went.
_LASTING = 0.1
_WITHOUT_NUMBERS = str.maketrans('', '', '0123456789.')


@dataclass(frozen=True, slots=True, eq=False)
class MeasuredRecording:
    """A recording that was read: its numbers, what nodes said, and when bodies were received, by their stamps."""

    report: RecordingReport
    reported: Reported
    received_ns: Mapping[int, int]

    def verdict(self, config: ReportConfig) -> Verdict:
        """Return the verdict: by the numbers, and by what the node or `process` noted and the numbers do not show."""
        report, received = self.report, self.received_ns.values()
        noted = self.reported.noted(min(received, default=0), max(received, default=0))
        computed = verdict_of(report, config, partial(name_moment, report.start_ns))
        known = {(found.where, found.kind) for found in computed.findings}
        # A clock that is refused leaves no frames to compute it from.
        beside = [
            found for found in noted
            if (found.where, found.kind) not in known and (found.kind not in COMPUTED or found.kind == 'clock')
        ]
        if not beside:
            return computed
        return verdict_of(report, config, partial(name_moment, report.start_ns), beside)


def judge_recording(
    paths: Sequence[Path], rig: CameraRig | None = None, stop: Callable[[], bool] = lambda: False
) -> Verdict:
    """Return the verdict of the bags ``paths``, as their report says it; ``stop`` ends it early.

    Raises:
        BagError: if a bag cannot be read.
    """
    config = ReportConfig(left_out_sets=0)
    with Recording(paths, rig) as recording:
        return measure_recording(recording, config, stop).verdict(config)


def measure_recording(
    recording: Recording, config: ReportConfig, stop: Callable[[], bool] | None = None
) -> MeasuredRecording:
    """Read a recording once and return what it is like; without ``stop``, which ends it early, it shows progress.

    Images are not read where a camera has keypoints: their stamps say the same.
    """
    statistics = RecordingStatistics(recording.skeleton, recording.rig, config, recording.counts[Source(BODIES)])
    reported = Reported()
    received_ns: dict[int, int] = {}
    with_keypoints = {source.camera for source, n in recording.counts.items() if source.kind == KEYPOINTS and n}
    only_images = {source.camera for source in recording.counts if source.kind == IMAGE} - with_keypoints
    kinds = {BODIES, KEYPOINTS, DIAGNOSTICS} | ({IMAGE} if only_images else set())
    total = sum(count for source, count in recording.counts.items() if source.kind in kinds)
    messages = recording.stream(kinds)
    if stop is None:
        messages = tqdm(messages, desc='report', total=total, unit='message', disable=None, leave=False)
    for one in messages:
        if stop is not None and stop():
            break
        try:
            if one.source.kind == BODIES:
                bodies = one.bodies()
                received_ns[bodies.stamp_ns] = one.time_ns
                statistics.add_bodies(bodies)
            elif one.source.kind == KEYPOINTS:
                statistics.add_keypoints(one.keypoints())
            elif one.source.kind == DIAGNOSTICS:
                reported.add(one.statuses(), one.time_ns)
            elif one.source.camera in only_images:
                statistics.add_frame(one.source.camera, one.message.stamp_ns)
        except GeoPoseError as error:
            recording.count_damaged(one, error)
    return MeasuredRecording(statistics.report(), reported, received_ns)


def write_report(
    bags: Sequence[Path], out: Path, config: ReportConfig | None = None, rig: CameraRig | None = None
) -> tuple[Verdict, MeasuredRecording]:
    """Write the page of a recording; return its verdict, and what was measured.

    Args:
        bags: one or several of the same time, see ``bags.recording``.
        out: the HTML file; replaced if it is there.
        config: settings.
        rig: calibration instead of the bags' own.

    Raises:
        BagError: if a bag cannot be read.
        ConfigError: if the page cannot be written.
    """
    config = config or ReportConfig()
    with Recording(bags, rig) as recording:
        measured = measure_recording(recording, config)
        verdict = measured.verdict(config)
        missing = find_missing(recording, KEYPOINTS)
        if recording.damaged:
            named = ', '.join(f'{topic} {count}' for topic, count in sorted(recording.damaged.items()))
            missing.append(Finding(Severity.WARNING, f'messages could not be read: {named}.', '', 'bag', 'damaged'))
        verdict = replace(verdict, findings=tuple(sorted(
            dict.fromkeys([*verdict.findings, *missing]), key=lambda one: -one.severity)))
        page = build_page(recording, measured, config, verdict).encode()
    try:
        out.write_bytes(page)
    except OSError as error:
        raise ConfigError(f"'{out}' cannot be written: {error.strerror}. Choose another file with --out.") from error
    return verdict, measured


def build_page(
    recording: Recording, measured: MeasuredRecording, config: ReportConfig, verdict: Verdict
) -> str:
    """Return the page of a recording as HTML."""
    report = measured.report
    bodies = report.bodies[:_MOST_BODIES]
    complaints = sorted(measured.reported.complaints.values(), key=lambda one: (-one.status.level, one.first_ns))
    return render(
        'report.html.j2', title=f'Recording {recording.title}', lead=_lead(recording, report),
        made_by='geo_pose report', numbers=key_numbers(measured),
        verdict=verdict, report=report,
        bodies=bodies, body_names=[f'body {body.body_id}' for body in bodies], has_images=recording.has(IMAGE),
        worst=_worst(recording, measured), complaints=complaints[:_MOST_ROWS], reported=measured.reported,
        **_cameras(report), **_residuals(recording, report, config), **_bodies(report),
    )


def name_moment(start_ns: int, offset_s: float) -> str:
    """Return the moment ``offset_s`` after the start as '12:03:10 (4:05)': time of day (UTC) and time into it.

    Where the stamps are not of a real clock, there is no time of day.
    """
    offset = clock(offset_s)
    return f'{_date(start_ns, offset_s):%H:%M:%S} ({offset})' if start_ns >= _FIRST_DATE_NS else offset


def _date(start_ns: int, offset_s: float) -> datetime:
    return datetime.fromtimestamp(start_ns / NS_PER_S + offset_s, timezone.utc)


def _lead(recording: Recording, report: RecordingReport) -> str:
    parts = [', '.join(str(path) for path in recording.paths), clock(report.duration_s)]
    if report.start_ns >= _FIRST_DATE_NS:
        parts.append(f'from {_date(report.start_ns, 0.0):%Y-%m-%d %H:%M:%S} UTC')
    parts.append(f'{len(report.cameras)} cameras' if len(report.cameras) != 1 else '1 camera')
    return '; '.join(parts)


def key_numbers(measured: MeasuredRecording) -> list[tuple[str, str]]:
    """Return the few numbers that say most, each with what it is of."""
    report = measured.report
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
    delays = np.array([(received - stamp) / 1e6 for stamp, received in measured.received_ns.items()])
    if len(delays) and 0.0 < np.median(delays) < 10_000.0:
        p50, p95 = np.percentile(delays, (50, 95))
        numbers.append((f'{p50:.0f} ms', f'latency, p95 {p95:.0f} ms'))
    return numbers


def _cameras(report: RecordingReport) -> dict[str, object]:
    rates = {name: camera.rate for name, camera in report.cameras.items()}
    gaps = {name: report.spans_s(camera.gaps_ns) for name, camera in report.cameras.items() if camera.gaps_ns}
    return {
        'rates': charts.lines(rates, unit='1/s', duration_s=report.duration_s) if rates else None,
        'gaps': charts.spans(gaps, duration_s=report.duration_s) if gaps else None,
    }


def _residuals(recording: Recording, report: RecordingReport, config: ReportConfig) -> dict[str, object]:
    seen = [camera for camera in report.cameras.values() if np.isfinite(camera.residual_px)]
    if not seen or recording.rig is None:
        return {'residuals': None}
    shaded = [(run.begin_s, run.end_s) for run in find_outlier_runs(report, config).values()]
    fields = {
        camera.name: camera.field for camera in seen
        if camera.field is not None and np.isfinite(camera.field.size_px).any()
    }
    darkest_px = max((float(np.nanpercentile(field.size_px, 95)) for field in fields.values()), default=0.0)
    lenses = {camera.name: camera.intrinsics for camera in recording.rig.cameras}
    return {
        'residuals': charts.lines({camera.name: camera.residual for camera in seen}, unit='px',
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
    shown = report.bodies[:_MOST_ROWS]
    limbs = []
    for body in report.bodies[:_MOST_BODIES]:
        lengths = {
            _LIMBS[bone]: Series(series.time_s, 100.0 * series.value)
            for bone, series, mean in zip(report.skeleton.bones, body.lengths, body.length_m, strict=True)
            if bone in _LIMBS and np.isfinite(mean)
        }
        if lengths:
            limbs.append((body, charts.lines(lengths, unit='cm', duration_s=report.duration_s)))
    labels = [f'{n} view{"" if n == 1 else "s"}' for n in range(report.views.shape[1])]
    return {
        'people': charts.lines({'people': report.people}, unit='people', duration_s=report.duration_s, height=1.5,
                               top=max(1.0, float(report.most_people)) * 1.1),
        'ids': charts.spans({f'id {body.body_id}': report.spans_s(body.spans_ns) for body in shown},
                            duration_s=report.duration_s, body_ids=[body.body_id for body in shown]),
        'num_ids_shown': len(shown), 'limbs': limbs,
        'views': charts.shares(report.skeleton.joint_names, report.views, labels),
    }


def _worst(recording: Recording, measured: MeasuredRecording) -> list[tuple[str, float, UInt8Array | None]]:
    """Return name, residual px and image (None without one) of the worst moments."""
    report, worst = measured.report, []
    playback = Playback(recording, 2 * _IMAGE_HEIGHT_PX, images_hz=math.inf)
    for stamp_ns, px in zip(report.worst_ns, report.worst_px, strict=True):
        instant = playback.at(measured.received_ns.get(stamp_ns, stamp_ns))
        image = None
        if instant.frames and recording.rig is not None and instant.bodies is not None:
            image = overlay(recording.rig, instant.frames, instant.keypoints, instant.bodies,
                            height_px=_IMAGE_HEIGHT_PX)
        worst.append((name_moment(report.start_ns, report.offset_s(stamp_ns)), px, image))
    return worst
