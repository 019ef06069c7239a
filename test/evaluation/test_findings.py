"""What is said about a recording: each sentence where it is true, none where nothing is wrong."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from geo_pose_ros.evaluation.findings import find_outlier_runs, find_problems
from geo_pose_ros.evaluation.report import Series
from geo_pose_ros.evaluation.settings import ReportConfig
from geo_pose_ros.evaluation.statistics import RecordingStatistics
from geo_pose_ros.findings import Severity
from geo_pose_ros.skeleton import BODY17

from ..scenes import ring_rig
from .moving import recorded, stamp_of

CONFIG = ReportConfig()
WARNING, ERROR = Severity.WARNING, Severity.ERROR


@cache
def sound():
    """Return the report of ten seconds in which nothing is wrong."""
    return recorded()


def changed(cameras='cam0', **fields):
    """Return that report with other numbers of the cameras named."""
    report = sound()
    return replace(report, cameras={
        name: replace(camera, **fields) if name in cameras.split() else camera
        for name, camera in report.cameras.items()
    })


def off_by(px, begin_s=0.0, end_s=10.0, cameras='cam0', bias_px=(0.0, 0.0)):
    """Return that report with cameras whose residual is ``px`` for a while."""
    time_s = sound().cameras['cam0'].residual.time_s
    residual = Series(time_s, np.where((time_s > begin_s) & (time_s < end_s), px, 1.0))
    ratio = px / 400.0 if (begin_s, end_s) == (0.0, 10.0) else 0.0
    return changed(cameras, residual=residual, residual_px=px, residual_ratio=ratio, bias_px=np.array(bias_px))


def silent(*sets):
    return changed(gaps_ns=tuple((stamp_of(first), stamp_of(last)) for first, last in sets))


def with_bodies(*lives_s, cv=0.0):
    """Return that report with bodies that live so long; their left forearms vary by ``cv``."""
    [body] = sound().bodies
    length_cv = np.where(np.array(BODY17.bones) == 'left_elbow-left_wrist', cv, 0.01)
    return replace(sound(), bodies=tuple(
        replace(body, body_id=i, spans_ns=((0, round(life * 1e9)),), length_cv=length_cv)
        for i, life in enumerate(lives_s)
    ))


def with_views(*shares):
    return replace(sound(), views=np.tile(shares, (17, 1)))


def said(report):
    return [(f.severity, f.what, f.remedy) for f in find_problems(report, CONFIG, lambda s: f'{s:.1f} s')]


def test_nothing_wrong_is_one_good_word():
    [(severity, text, remedy)] = said(sound())
    assert severity == Severity.OK and text.startswith('Nothing stands out') and remedy == ''


@pytest.mark.parametrize(
    ('report', 'severity', 'text', 'remedy'),
    [
        (lambda: off_by(14.0, 4.9), ERROR,
         'cam0 is off by 14 px since 4.7 s (the others: 0 px).', 'geo_pose calibrate'),
        (lambda: off_by(14.0, 0.0, 3.3), ERROR, 'cam0 is off by 14 px until 3.1 s (the others: 0 px).', 'its mount'),
        (lambda: off_by(14.0, 3.0, 7.0), ERROR,
         'cam0 is off by 14 px from 3.1 s to 6.8 s (the others: 0 px).', 'its mount'),
        (lambda: off_by(14.0, bias_px=(13.0, -5.0)), ERROR,
         'cam0 is off by 14 px all the time (the others: 0 px); what it shows lies 13 px to the right and 5 px up '
         'of the reprojection on the mean.', 'its mount'),
        (lambda: off_by(20.0, cameras='cam0 cam1 cam2 cam3', bias_px=(19.0, 0.0)), WARNING,
         "Reprojections miss by more than 2% of a body's size in 4 of 4 cameras (cam0 20 px, cam1 20 px, cam2 20 "
         'px, cam3 20 px). cam0, cam1, cam2 and cam3 err to one side, as by a calibration.', 'geo_pose calibrate'),
        (lambda: changed(clock_ms=40.0, clock_sigma_ms=1.0), ERROR,
         'The stamps of cam0 are about 40 ms too late, by how people move in its image.', 'PTP'),
        (lambda: changed(clock_ms=-12.0, clock_sigma_ms=1.0), WARNING,
         'The stamps of cam0 are about 12 ms too early, by how people move in its image.', 'PTP'),
        (lambda: silent((59, 150)), ERROR, 'cam0 was silent for 3.0 s from 2.0 s on.', 'cable'),
        (lambda: silent((199, 299)), ERROR, 'cam0 delivered nothing from 6.6 s on.', 'cable'),
        (lambda: silent((0, 60)), ERROR, 'cam0 delivered nothing for the first 2.0 s.', 'cable'),
        (lambda: silent((59, 150), (199, 260)), ERROR,
         'cam0 was silent for 3.0 s from 2.0 s on, and once more, 5.1 s in all.', 'cable'),
        (lambda: changed(frames=0), ERROR, 'cam0 delivered nothing.', 'topic'),
        (lambda: changed('cam0 cam2', missing=75), WARNING,
         'Frames are missing between the recorded ones: cam0 20%, cam2 20%.', 'geo_pose doctor'),
        (lambda: replace(sound(), with_bodies=0), ERROR, 'None of the 300 sets has a body.', 'images'),
        (lambda: replace(sound(), with_bodies=75), WARNING, 'Only 25% of the sets have a body.', 'images'),
        (lambda: with_bodies(*[0.7] * 15), WARNING,
         '15 body ids for at most 1 people at once; 15 of them lived less than 1 s.', 'new_body_views'),
        (lambda: with_bodies(9.9, cv=0.2), WARNING,
         'Limbs change their length: body 0 left_elbow-left_wrist 20%.', 'views'),
        (lambda: changed(unmatched=0.5), WARNING,
         '50% of the people that cam0 finds are none of the bodies.', 'Bystanders'),
        (lambda: changed('cam1 cam2', exchanged=0.3), WARNING,
         'The detector exchanges left and right: cam1 in 30%, cam2 in 30% of the bodies.', 'Fusion'),
        (lambda: with_views(0.0, 0.6, 0.4), WARNING,
         'Most of the time fewer than two cameras see pelvis 60%, right_hip 60%, right_knee 60%, right_ankle 60%, '
         'left_hip 60% and left_knee 60%, ....', 'Add a camera'),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) and value.endswith('.') else '',
)
def test_what_is_wrong_is_said_once(report, severity, text, remedy):
    [found] = said(report())
    assert found[:2] == (severity, text) and remedy in found[2]


@pytest.mark.parametrize(
    'report',
    [
        lambda: off_by(30.0, 3.0, 4.0), lambda: off_by(3.0), lambda: changed(clock_ms=12.0, clock_sigma_ms=5.0),
        lambda: changed(clock_ms=4.0), lambda: with_bodies(0.5, cv=0.2), lambda: changed(missing=10),
    ],
    ids=['blink', 'small', 'unsure', 'in time', 'brief', 'few missing'],
)
def test_what_may_be_chance_is_not_said(report):
    assert said(report()) == said(sound())


def test_outliers_take_three_cameras_and_recorded_ones_are_found():
    pair = recorded(rig=ring_rig(2), shift=lambda name, number: (14.0, 0.0) if name == 'cam0' else (0.0, 0.0))
    assert find_outlier_runs(pair, CONFIG) == {}
    moved = recorded(shift=lambda name, number: (14.0, 3.0) if name == 'cam0' and 90 <= number < 211 else (0.0, 0.0))
    run = find_outlier_runs(moved, CONFIG)['cam0']
    assert run.own_px == pytest.approx(np.hypot(14.0, 3.0), abs=0.1) and run.others_px == pytest.approx(0.0, abs=1e-6)
    assert (run.begin_s, run.end_s) == pytest.approx((3.0, 7.03), abs=0.6) and not run.to_end


def test_no_bodies():
    nothing = RecordingStatistics(BODY17, ring_rig(3), CONFIG)
    nothing.add_frame('cam0', 0)
    [(severity, text, remedy)] = said(nothing.report())
    assert severity == ERROR and 'no bodies' in text and 'geo_pose process' in remedy


def test_the_worst_comes_first():
    report = changed('cam0 cam1', missing=75, clock_ms=40.0, clock_sigma_ms=1.0)
    assert [severity for severity, _, _ in said(report)] == [ERROR, ERROR, WARNING]
