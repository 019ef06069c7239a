"""The one verdict: what is wrong by the numbers of a recording, of a run of `process`, or of a node's last seconds.

Offline ``verdict_of`` takes the report of the whole recording. A node adds its sets to ``RecentVerdict``, which makes
the same report of the last ones. What only a node or `process` can know (images that cannot be used, topics that are
silent) is handed over as ``noted``.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable

from ..arrays import NS_PER_S
from ..findings import Finding, Severity, Verdict
from ..page import clock
from ..types import CameraRig
from .findings import TimeName, find_problems
from .quality import ObservedSet
from .report import RecordingReport
from .settings import ReportConfig
from .statistics import RecordingStatistics

# A running node is judged by its last sets: by so many seconds, and so many sets.
_WINDOW_NS, _MOST_SETS = 20 * NS_PER_S, 1200


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
    found = {(finding.where, finding.kind): finding for finding in find_problems(report, config, name_time)}
    found |= {(finding.where, finding.kind): finding for finding in noted}
    findings = sorted(found.values(), key=lambda finding: -finding.severity)
    if findings and findings[0].severity:
        findings = [finding for finding in findings if finding.severity > Severity.OK]
    return Verdict(headline_of(report), tuple(findings))


def headline_of(report: RecordingReport) -> str:
    """Return how many people there were, and how well they are known."""
    return f'{report.most_people} people'


class RecentVerdict:
    """The verdict of the last seconds of a node; any thread may call."""

    def __init__(self, config: ReportConfig | None = None) -> None:
        """Begin without a set."""
        self._config = config or ReportConfig()
        self._lock = threading.Lock()
        self._rig: CameraRig | None = None
        self._sets: deque[ObservedSet] = deque(maxlen=_MOST_SETS)

    def add(self, seen: ObservedSet, rig: CameraRig) -> None:
        """Take one set of ``rig`` into account; sets of another rig are forgotten."""
        with self._lock:
            newest_ns = self._sets[-1].stamp_ns if self._sets else seen.stamp_ns
            if rig is not self._rig or seen.stamp_ns < newest_ns:
                self._rig = rig
                self._sets.clear()
            self._sets.append(seen)
            while self._sets[0].stamp_ns < seen.stamp_ns - _WINDOW_NS:
                self._sets.popleft()

    def verdict(self, noted: Iterable[Finding] = ()) -> Verdict:
        """Return the verdict of now; ``noted``: what was found beside the sets."""
        with self._lock:
            rig, sets = self._rig, list(self._sets)
        if rig is None:
            return Verdict('no set yet', tuple(sorted(noted, key=lambda finding: -finding.severity)))
        statistics = RecordingStatistics(sets[0].bodies.skeleton, rig, self._config)
        for seen in sets:
            statistics.add_set(seen)
        return verdict_of(statistics.report(), self._config, noted=noted)
