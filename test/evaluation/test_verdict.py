# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The one verdict: of a recording, of the last sets of a node, and what others contribute to it."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from geo_pose_ros.evaluation import statistics, verdict
from geo_pose_ros.evaluation.quality import ObservedSet
from geo_pose_ros.evaluation.settings import ReportConfig
from geo_pose_ros.evaluation.verdict import RecentVerdict, headline_of, verdict_of
from geo_pose_ros.findings import RAYS, Finding, Severity, Verdict

from ..scenes import ring_rig
from .moving import bodies_at, pose, recorded, seen_by, stamp_of

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
    monkeypatch.setattr(statistics, 'contributions_for', lambda rig, config: (Rays(),))
    verdict = verdict_of(recorded(), ReportConfig())
    assert verdict.findings == (FAR,) and verdict.severity == Severity.ERROR


def test_what_is_noted_replaces_the_same_place_and_kind(monkeypatch):
    monkeypatch.setattr(statistics, 'contributions_for', lambda rig, config: (Rays(),))
    noted = Finding(Severity.WARNING, 'noted', '', 'rig', 'rays')
    beside = Finding(Severity.WARNING, 'beside', '', 'rig', 'frames')
    assert verdict_of(recorded(), ReportConfig(), noted=[noted, beside]).findings == (noted, beside)


def test_without_a_set_a_node_says_what_is_noted():
    assert RecentVerdict().verdict([FAR]) == Verdict('no set yet', (FAR,))


def headline(cameras):
    return headline_of(recorded(90, rig=ring_rig(cameras)))


def test_the_headline_says_people_first_and_no_number_that_cannot_be_judged():
    assert headline(4) == '1 person, joints \N{PLUS-MINUS SIGN}20 mm; 4 cameras agree to 0.0 px'
    assert headline(2) == '1 person; how well their joints are known cannot be judged with two cameras'
    assert headline(1) == '1 person; how well their joints are known cannot be judged with one camera'


def sets_of(rig, numbers, shift=(0.0, 0.0)):
    """Return sets in which cam0 is off by ``shift`` px."""
    for number in numbers:
        joints, stamp_ns = pose(number / 30.0), stamp_of(number)
        keypoints = {
            name: seen_by(rig, name, joints, stamp_ns, shift if name == 'cam0' else (0.0, 0.0)) for name in rig.names
        }
        yield ObservedSet(stamp_ns, keypoints, bodies_at(number, [joints]))


def test_a_node_is_judged_by_its_last_seconds_and_what_is_over_is_held_for_some():
    rig, recent = ring_rig(4), RecentVerdict()
    said = {}
    for numbers, shift in ((range(150), (30.0, 0.0)), (range(150, 900), (0.0, 0.0))):
        for seen in sets_of(rig, numbers, shift):
            recent.add(seen, rig)
            number = round((seen.stamp_ns - stamp_of(0)) * 30 / 1e9)
            if number % 15 == 0:
                said[number] = {(f.where, f.kind) for f in recent.verdict().findings}
    moved = {('camera cam0', 'calibration')}
    assert said[0] == set() and said[135] == moved and said[165] == moved
    assert said[885] == set()
    # Another rig begins anew.
    for seen in sets_of(rig, range(900, 1050), (30.0, 0.0)):
        recent.add(seen, rig)
    assert recent.verdict().severity == Severity.ERROR
    other = ring_rig(4)
    for seen in sets_of(other, range(1050, 1070)):
        recent.add(seen, other)
    assert recent.verdict().findings == ()


@pytest.mark.parametrize('silent', [
    pytest.param(('cam0',), id='one camera'),
    pytest.param(('cam0', 'cam1', 'cam2', 'cam3'), id='all, as on a busy machine'),
])
def test_what_is_not_in_the_sets_of_a_node_is_no_fault_of_cameras(silent):
    rig, recent = ring_rig(4), RecentVerdict()
    for seen in sets_of(rig, range(240)):
        number = round((seen.stamp_ns - stamp_of(0)) * 30 / 1e9)
        heard = {name: k for name, k in seen.keypoints.items() if name not in silent or not 60 <= number < 150}
        if heard and not 160 < number < 200:
            recent.add(replace(seen, keypoints=heard), rig)
    assert recent.verdict().findings == ()


@pytest.mark.parametrize(('is_complete', 'kinds'), [(True, {'missing'}), (False, set())])
def test_frames_that_there_was_no_time_for_are_not_missed(is_complete, kinds):
    rig, recent = ring_rig(4), RecentVerdict()
    for number, seen in enumerate(sets_of(rig, range(150))):
        heard = {n: k for n, k in seen.keypoints.items() if n != 'cam0' and (n != 'cam1' or number % 3)}
        recent.add(replace(seen, keypoints=heard), rig)
        found = recent.verdict(is_complete=is_complete)
    assert {finding.kind for finding in found.findings} == kinds


@pytest.mark.parametrize(('is_complete', 'kinds'), [(True, {'unmatched'}), (False, set())])
def test_few_sets_of_a_slow_machine_judge_nobody(is_complete, kinds):
    """Three sets a second, the others passed over; one camera finds somebody else beside the person."""
    rig, recent, kept = ring_rig(4), RecentVerdict(), set()
    for seen in sets_of(rig, range(0, 480, 10)):
        cam0 = seen.keypoints['cam0']
        both = replace(
            cam0, xy=np.concatenate([cam0.xy, cam0.xy + 400.0]), confidence=np.tile(cam0.confidence, (2, 1)),
            hints=np.full(2, -1),
        )
        recent.add(replace(seen, keypoints={**seen.keypoints, 'cam0': both}), rig)
        kept |= {finding.kind for finding in recent.verdict(is_complete=is_complete).findings}
    assert kept == kinds


def begun(recent, rig, parts):
    """Return place and kind of each finding that begins while parts of the sets, at their shifts, are taken."""
    known, said = set(), []
    for number, (numbers, shift) in enumerate(parts):
        for seen in sets_of(rig, numbers, shift):
            recent.add(seen, rig)
            if seen.stamp_ns % 500_000_000 < 33_000_000:
                now = {(f.where, f.kind) for f in recent.verdict().findings}
                said += [(number, *key) for key in now - known]
                known = now
    return said


def test_what_lies_about_a_limit_is_said_once():
    calibration = ('camera cam0', 'calibration')
    # By turns above and below the limit of 3 px, for a whole window each.
    parts = [(range(390 * k, 390 * (k + 1)), ((2.7, 5.0)[k % 2], 0.0)) for k in range(6)]
    assert begun(RecentVerdict(), ring_rig(4), parts) == [(1, *calibration)]
    # A node whose recording begins again goes on with what it knows.
    again = [(range(0, 300), (5.0, 0.0)), (range(0, 90), (5.0, 0.0)), (range(0, 300), (5.0, 0.0))]
    assert begun(RecentVerdict(), ring_rig(4), again) == [(0, *calibration)]


@pytest.mark.parametrize(('severity', 'looks', 'found'), [
    pytest.param(Severity.WARNING, (True, False), [], id='a warning of single looks'),
    pytest.param(Severity.WARNING, (True,), [(0, 'rig', 'rays')], id='a warning of two in a row'),
    pytest.param(Severity.ERROR, (False, False, True), [(0, 'rig', 'rays')], id='an error'),
])
def test_a_warning_waits_for_a_second_look(monkeypatch, severity, looks, found):
    # Each look judges twice, by usual and by careful limits.
    turns = itertools.cycle([look for look in looks for _ in range(2)])

    def judge(*given):
        return Verdict('', (replace(FAR, severity=severity),) if next(turns) else ())

    monkeypatch.setattr(verdict, 'verdict_of', judge)
    assert begun(RecentVerdict(), ring_rig(4), [(range(900), (0.0, 0.0))]) == found


@pytest.mark.parametrize(('step', 'sure'), [(2, True), (6, False)])
def test_a_calibration_is_not_judged_by_the_few_sets_of_a_busy_machine(step, sure):
    rig, recent = ring_rig(4), RecentVerdict()
    for seen in sets_of(rig, range(0, 150, step), (30.0, 0.0)):
        recent.add(seen, rig)
    for is_busy in (True, False):
        found = {(f.where, f.kind) for f in recent.verdict(is_busy=is_busy).findings}
        assert (('camera cam0', 'calibration') in found) == (sure and not is_busy)


def test_a_camera_whose_images_cannot_be_used_at_all_is_an_error():
    rig, recent = ring_rig(4), RecentVerdict()
    for seen in sets_of(rig, range(30)):
        recent.add(replace(seen, keypoints={n: k for n, k in seen.keypoints.items() if n != 'cam2'}), rig)
    lens = Finding(Severity.WARNING, 'calibrated for 440x768 px', '', 'camera cam2', 'unreadable')
    assert recent.verdict([lens]).findings == (replace(lens, severity=Severity.ERROR),)


def test_exit_status():
    warning = Finding(Severity.WARNING, 'w')
    rays = replace(FAR, kind=RAYS)
    assert [Verdict('', found).exit_status for found in ((), (warning,), (replace(FAR, kind='clock'),), (rays,))] == [
        0, 0, 1, 3]
