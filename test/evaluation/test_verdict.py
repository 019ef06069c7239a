"""The one verdict: of a recording, of the last sets of a node, and what others contribute to it."""

from __future__ import annotations

from geo_pose_ros.evaluation import statistics
from geo_pose_ros.evaluation.settings import ReportConfig
from geo_pose_ros.evaluation.verdict import RecentVerdict, verdict_of
from geo_pose_ros.findings import Finding, Severity, Verdict

from .moving import recorded

FAR = Finding(Severity.ERROR, 'their rays pass by 3.1 m', 'Are they exchanged?', 'rig', 'rays')


class Rays:
    """Finds something as soon as it has seen a set."""

    def __init__(self):
        self.sets = 0

    def add(self, seen):
        self.sets += 1

    def findings(self):
        return [FAR] if self.sets else []


def test_what_contributes_is_said(monkeypatch):
    monkeypatch.setattr(statistics, 'contributions_for', lambda rig: (Rays(),))
    verdict = verdict_of(recorded(), ReportConfig())
    assert verdict.findings == (FAR,) and verdict.severity == Severity.ERROR


def test_what_is_noted_replaces_the_same_place_and_kind(monkeypatch):
    monkeypatch.setattr(statistics, 'contributions_for', lambda rig: (Rays(),))
    noted = Finding(Severity.WARNING, 'noted', '', 'rig', 'rays')
    beside = Finding(Severity.WARNING, 'beside', '', 'rig', 'frames')
    assert verdict_of(recorded(), ReportConfig(), noted=[noted, beside]).findings == (noted, beside)


def test_without_a_set_a_node_says_what_is_noted():
    assert RecentVerdict().verdict([FAR]) == Verdict('no set yet', (FAR,))
