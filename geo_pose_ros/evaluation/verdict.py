# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The one verdict: what is wrong by the numbers of a recording, of a run of `process`, or of a node's last seconds.

Offline ``verdict_of`` takes the report of the whole recording. A node adds its sets to ``RecentVerdict``, which makes
the same report of the last ones. What only a node or `process` can know (images that cannot be used, topics that are
silent) is handed over as ``noted``: a node that is busy passes sets over, so that gaps between them tell nothing of its
cameras. A finding of a node begins with an error, or with a warning that two looks in a row find, and ends when a whole
window no longer has it, also by more careful limits: what lies about a limit is said once.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from ..arrays import NS_PER_S
from ..findings import Finding, Severity, Verdict
from ..page import clock
from ..types import CameraRig
from .findings import CALIBRATION, TimeName, find_problems, where_is
from .quality import ObservedSet
from .report import RecordingReport
from .settings import ReportConfig
from .statistics import RecordingStatistics

# A running node is judged by its last sets: by so many seconds, and so many sets.
_WINDOW_NS, _MOST_SETS = 12 * NS_PER_S, 800
# Its course of time has so many points, each of several sets also on a busy machine.
_BINS = 48
# It is judged anew after so long, from so many sets on; what is no longer found is held for so long.
_PERIOD_NS, _LEAST_SETS, _HELD_NS = 4 * NS_PER_S, 10, _WINDOW_NS
# A calibration is judged by so many sets.
_SURE_SETS = 30
# Who walks is not followed by fewer sets per second: what is unmatched, how limbs change and which detector errs tells
# of the gaps then.
_FOLLOWED_HZ, _FOLLOWED = 5.0, {'unmatched', 'bones', 'ids', 'detector'}
# What was found stays so down to this part of the limits.
_STAYS = 0.6
# It takes so many cameras to contradict each other; ids that lived for so long are people.
_JUDGING, _LIVED_S = 3, 1.0


def verdict_of(
    report: RecordingReport, config: ReportConfig, name_time: TimeName = clock, noted: Iterable[Finding] = ()
) -> Verdict:
    """Return the verdict of a recording.

    Args:
        report: its numbers.
        config: the least numbers that are reported.
        name_time: turns seconds from the start into words.
        noted: what was found beside the numbers; it replaces findings of the same place and kind.
    """
    return Verdict(headline_of(report), find_problems(report, config, name_time, noted))


def headline_of(report: RecordingReport) -> str:
    """Return how many people there were at once, how well their joints are known, mm, and what that rests on, px.

    Nothing gets better by fewer cameras: numbers are given only where cameras can contradict each other, by three or
    more that see bodies.
    """
    people = report.most_people
    if not people:
        return 'nobody'
    words = f'{people} {"person" if people == 1 else "people"}'
    ids = sum(body.seen_s >= _LIVED_S for body in report.bodies)
    words += f' ({ids} ids)' if ids > people else ''
    seeing = sum(camera.matched > 0 for camera in report.cameras.values())
    if seeing < _JUDGING:
        by = {0: 'without a rig', 1: 'with one camera', 2: 'with two cameras'}[seeing]
        return f'{words}; how well their joints are known cannot be judged {by}'
    return (
        f'{words}, joints \N{PLUS-MINUS SIGN}{_sigma_mm(report):.0f} mm; '
        f'{seeing} cameras agree to {report.error_px:.1f} px'
    )


def _sigma_mm(report: RecordingReport) -> float:
    return float(1e3 * np.nanmedian(report.sigma_m)) if np.isfinite(report.sigma_m).any() else float('nan')


class RecentVerdict:
    """The verdict of the last seconds of a node; any thread may call.

    It judges anew every four seconds, which costs a small share of them. What it found stays found for twelve.
    """

    def __init__(self, config: ReportConfig | None = None) -> None:
        """Begin without a set."""
        # Gaps are measured where frames arrive, not by the sets that there was time for.
        self._config = known = replace(
            config or ReportConfig(), bins=_BINS, gap_s=_WINDOW_NS / NS_PER_S, busy_ratio=1.0
        )
        self._careful = replace(
            known, outlier_ratio=1.0 + _STAYS * (known.outlier_ratio - 1.0), outlier_px=_STAYS * known.outlier_px,
            residual_ratio=_STAYS * known.residual_ratio, clock_ms=_STAYS * known.clock_ms,
            unmatched_ratio=_STAYS * known.unmatched_ratio, exchanged_ratio=_STAYS * known.exchanged_ratio,
            bone_cv=_STAYS * known.bone_cv,
        )
        self._lock = threading.Lock()
        self._rig: CameraRig | None = None
        self._sets: deque[ObservedSet] = deque(maxlen=_MOST_SETS)
        # What was found, with the newest stamp then.
        self._found: dict[tuple[str, str], tuple[int, Finding]] = {}
        # What the last look found, also for the first time.
        self._once: set[tuple[str, str]] = set()
        self._headline, self._judged_ns = 'no set yet', 0

    def add(self, seen: ObservedSet, rig: CameraRig) -> None:
        """Take one set of ``rig`` into account; sets of another rig are forgotten."""
        with self._lock:
            newest_ns = self._sets[-1].stamp_ns if self._sets else seen.stamp_ns
            if rig is not self._rig:
                self._rig = rig
                self._sets.clear()
                self._found.clear()
                self._once.clear()
                self._judged_ns = 0
            elif seen.stamp_ns < newest_ns:
                # A recording that begins again is of the same cameras.
                self._sets.clear()
                self._found = {key: (seen.stamp_ns, finding) for key, (_, finding) in self._found.items()}
                self._judged_ns = 0
            self._sets.append(seen)
            while self._sets[0].stamp_ns < seen.stamp_ns - _WINDOW_NS:
                self._sets.popleft()

    def verdict(
        self, noted: Iterable[Finding] = (), *, is_complete: bool = True, is_busy: bool = False
    ) -> Verdict:
        """Return the verdict of now.

        Args:
            noted: what was found beside the sets.
            is_complete: whether there was time for all sets: what frames are missing is judged by no others, and people
                not by few.
            is_busy: whether the machine is too busy to judge anything now.
        """
        noted, least = list(noted), _LEAST_SETS if is_complete else _SURE_SETS
        with self._lock:
            rig, sets = self._rig, list(self._sets)
        is_due = len(sets) >= least and sets[-1].stamp_ns - self._judged_ns >= _PERIOD_NS
        if rig is not None and is_due and not is_busy:
            noted = self._judge(rig, sets, noted, is_complete)
        found = {key: finding for key, (_, finding) in self._found.items()}
        found |= {(finding.where, finding.kind): finding for finding in noted}
        return Verdict(self._headline, tuple(sorted(found.values(), key=lambda finding: -finding.severity)))

    def _judge(
        self, rig: CameraRig, sets: Sequence[ObservedSet], noted: Sequence[Finding], is_complete: bool
    ) -> list[Finding]:
        """Judge the sets, and return what was noted, as an error where nothing of its camera can be used."""
        self._judged_ns = now_ns = sets[-1].stamp_ns
        statistics = RecordingStatistics(sets[0].bodies.skeleton, rig, self._config)
        for seen in sets:
            statistics.add_set(seen)
        useless = {where_is(name) for name in rig.names if not any(name in seen.keypoints for seen in sets)}
        noted = [
            replace(finding, severity=Severity.ERROR) if finding.where in useless else finding for finding in noted
        ]
        report = statistics.report()
        verdict, careful = (
            verdict_of(report, config, lambda time_s: f'{report.duration_s - time_s:.0f} s ago', noted)
            for config in (self._config, self._careful)
        )
        self._headline = verdict.headline
        beside = {(finding.where, finding.kind) for finding in noted}
        # What is too short, or on a busy machine too few, to tell a cause waits for more sets.
        # Silence is named where frames arrive.
        doubtful = {'residuals', 'silent'} | ({CALIBRATION} if len(sets) < _SURE_SETS else set())
        if len(rig) < _JUDGING or not is_complete:
            # Frames of sets that there was no time for are missing; more cameras tell what all miss.
            doubtful.add('missing')
        if not is_complete and len(sets) < _FOLLOWED_HZ * report.duration_s:
            doubtful |= _FOLLOWED
        seen_now = {
            (finding.where, finding.kind): finding for finding in verdict.findings
            if (finding.where, finding.kind) not in beside and finding.severity and finding.kind not in doubtful
        }
        for key, finding in seen_now.items():
            sure = finding.severity == Severity.ERROR or finding in report.contributed
            if sure or key in self._found or key in self._once:
                self._found[key] = now_ns, finding
        self._once = set(seen_now)
        still = {finding.where for finding in careful.findings if finding.severity}
        for key, (_, finding) in self._found.items():
            if finding.where in still:
                self._found[key] = now_ns, finding
        self._found = {
            key: (at_ns, finding) for key, (at_ns, finding) in self._found.items()
            if now_ns - at_ns < _HELD_NS and key not in beside
        }
        return noted
