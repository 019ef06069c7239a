# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""What is said about a recording: each sentence where it is true, none where nothing is wrong."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from geo_pose_ros.arrays import NS_PER_S
from geo_pose_ros.evaluation.findings import COMPUTED, find_outlier_runs, find_problems
from geo_pose_ros.evaluation.report import Series
from geo_pose_ros.evaluation.settings import ReportConfig
from geo_pose_ros.evaluation.statistics import RecordingStatistics
from geo_pose_ros.findings import Finding, Severity
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


def off_by(px, begin_s=0.0, end_s=10.0, cameras='cam0', bias_px=(0.0, 0.0), shared=0.9, **fields):
    """Return that report with cameras whose residual is ``px``, of 3 mm, for a while; all joints share most of it."""
    time_s = sound().cameras['cam0'].residual.time_s
    residual = Series(time_s, np.where((time_s > begin_s) & (time_s < end_s), px, 1.0))
    ratio = px / 400.0 if (begin_s, end_s) == (0.0, 10.0) else 0.0
    return changed(cameras, residual=residual, residual_px=px, residual_ratio=ratio, bias_px=np.array(bias_px),
                   residual_mm=3.0 * px, shared=shared, **fields)


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
    return [(f.severity, f.in_words, f.remedy) for f in find_problems(report, CONFIG, lambda s: f'{s:.1f} s')]


def test_nothing_wrong_is_one_good_word():
    [(severity, text, remedy)] = said(sound())
    assert severity == Severity.OK and text.startswith('Nothing stands out') and remedy == ''


def test_of_a_short_recording_the_advice_is_to_record_more():
    """Calibrate would refuse it."""
    short = off_by(14.0)
    long = replace(short, end_ns=short.start_ns + 30 * NS_PER_S)
    [[(_, _, of_short)], [(_, _, of_long)]] = said(short), said(long)
    assert 'wrong: record half a minute of somebody who walks through all views, run geo_pose calibrate' in of_short
    assert 'wrong: run geo_pose calibrate' in of_long


@pytest.mark.parametrize(
    ('report', 'severity', 'text', 'remedy'),
    [
        (lambda: off_by(14.0, 4.9), ERROR,
         'camera cam0: is off by 42 mm (14 px) since 4.7 s (the others: 0 px).', 'geo_pose calibrate'),
        (lambda: off_by(14.0, 0.0, 3.4), ERROR,
         'camera cam0: is off by 42 mm (14 px) until 3.1 s (the others: 0 px).', 'its mount'),
        (lambda: off_by(14.0, 3.0, 7.0), ERROR,
         'camera cam0: is off by 42 mm (14 px) from 3.1 s to 6.8 s (the others: 0 px).', 'its mount'),
        (lambda: off_by(14.0, bias_px=(13.0, -5.0)), ERROR,
         'camera cam0: is off by 42 mm (14 px) all the time (the others: 0 px); what it shows lies 13 px to the right '
         'and 5 px up of the reprojection on the mean.', 'its mount'),
        (lambda: off_by(10.0), WARNING,
         'camera cam0: is off by 30 mm (10 px) all the time (the others: 0 px).', 'its mount'),
        (lambda: off_by(14.0, shared=0.3), WARNING,
         'camera cam0: is off by 42 mm (14 px) all the time (the others: 0 px), to no side that all joints share: its '
         'detections err, not its calibration.', 'another detector'),
        (lambda: off_by(20.0, cameras='cam0 cam1 cam2 cam3'), WARNING,
         "rig: reprojections miss by more than 2% of a body's size in 4 of 4 cameras (cam0 60 mm (20 px), cam1 60 mm "
         '(20 px), cam2 60 mm (20 px), cam3 60 mm (20 px)). cam0, cam1, cam2 and cam3 err to one side, as by a '
         'calibration.', 'geo_pose calibrate'),
        (lambda: changed(clock_ms=40.0, clock_sigma_ms=1.0), ERROR,
         'camera cam0: its stamps are about 40 ms too late, by how people move in its image.', 'PTP'),
        (lambda: changed(clock_ms=-12.0, clock_sigma_ms=1.0), WARNING,
         'camera cam0: its stamps are about 12 ms too early, by how people move in its image.', 'PTP'),
        (lambda: silent((59, 150)), ERROR, 'camera cam0: was silent for 3.0 s from 2.0 s on.', 'cable'),
        (lambda: silent((199, 299)), ERROR, 'camera cam0: delivered nothing from 6.6 s on.', 'cable'),
        (lambda: silent((0, 60)), ERROR, 'camera cam0: delivered nothing for the first 2.0 s.', 'cable'),
        (lambda: silent((59, 150), (199, 260)), ERROR,
         'camera cam0: was silent for 3.0 s from 2.0 s on, and once more, 5.1 s in all.', 'cable'),
        (lambda: changed(frames=0), ERROR, 'camera cam0: delivered nothing that could be used.', 'topic'),
        (lambda: changed(missing=75), WARNING,
         'camera cam0: 20% of its frames are missing between the recorded ones.', 'geo_pose doctor'),
        (lambda: changed(found=0, matched=0), ERROR,
         'camera cam0: found nobody while the others saw somebody in its view in 300 of 300 sets.', 'covered'),
        (lambda: changed(blind_ns=(stamp_of(90), stamp_of(299))), ERROR,
         'camera cam0: found nobody while the others saw somebody in its view since 3.0 s.', 'covered'),
        (lambda: changed(blind_ns=(stamp_of(90), stamp_of(240))), WARNING,
         'camera cam0: found nobody while the others saw somebody in its view from 3.0 s to 8.0 s.', 'covered'),
        (lambda: changed(matched=3), ERROR,
         'camera cam0: finds people, but not where the others see them in 297 of 300 sets.', 'geo_pose calibrate'),
        (lambda: changed(in_view=2, found=0, matched=0), WARNING,
         'camera cam0: none of the bodies is wholly in its view in 298 of 300 sets.', 'extrinsics'),
        (lambda: replace(sound(), with_bodies=0), ERROR, 'people: none of the 300 sets has a body.', 'images'),
        (lambda: replace(sound(), with_bodies=75), WARNING, 'people: only 25% of the sets have a body.', 'images'),
        (lambda: with_bodies(*[0.7] * 15), WARNING,
         'people: 15 body ids for at most 1 people at once; 15 of them lived less than 1 s.', 'new_body_views'),
        (lambda: with_bodies(9.9, cv=0.2), WARNING,
         'people: limbs change their length: body 0 left_elbow-left_wrist 20%.', 'views'),
        (lambda: changed(unmatched=0.5), WARNING,
         'camera cam0: 50% of the people that it finds are none of the bodies.', 'Bystanders'),
        (lambda: changed(exchanged=0.3), WARNING,
         'camera cam0: the detector exchanges left and right in 30% of the bodies.', 'Fusion'),
        (lambda: with_views(0.0, 0.6, 0.4), WARNING,
         'rig: most of the time fewer than two cameras see pelvis 60%, right_hip 60%, right_knee 60%, right_ankle 60%, '
         'left_hip 60% and left_knee 60%, ....', 'Add a camera'),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) and value.endswith('.') else '',
)
def test_what_is_wrong_is_said_once(report, severity, text, remedy):
    [found] = said(report())
    assert found[0] == severity and found[1].startswith(text) and remedy in found[2]


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
    assert [severity for severity, _, _ in said(report)] == [ERROR, ERROR, WARNING, WARNING]


CAM0 = 'camera cam0'


@pytest.mark.parametrize(
    ('report', 'kinds'),
    [
        (lambda: changed(clock_ms=40.0, clock_sigma_ms=1.0, found=0, matched=0), ['clock']),
        (lambda: off_by(14.0, clock_ms=40.0, clock_sigma_ms=1.0), ['clock']),
        (lambda: off_by(14.0, clock_ms=10.0, clock_sigma_ms=1.0, speed_px_s=400.0), ['calibration']),
        (lambda: changed(frames=0, found=0, matched=0, unmatched=0.5), ['silent']),
        (lambda: off_by(14.0, matched=0), ['calibration']),
        (lambda: off_by(14.0, shared=0.3, exchanged=0.3), ['detector', 'exchanged']),
    ],
    ids=[
        'clock, not its eyes', 'clock, not its calibration', 'calibration, not its clock', 'silence', 'moved far',
        'detector, not calibration',
    ],
)
def test_a_camera_gets_the_cause_that_explains_it(report, kinds):
    found = find_problems(report(), CONFIG, str)
    assert sorted((f.where, f.kind) for f in found) == [(CAM0, kind) for kind in kinds]
    assert {f.kind for f in found} <= COMPUTED


def test_what_is_noted_explains_what_the_numbers_show():
    lens = Finding(ERROR, 'calibrated for 440x768 px', '', CAM0, 'unreadable')
    assert find_problems(changed(frames=0), CONFIG, str, [lens]) == (lens,)
    mild = replace(lens, severity=WARNING)
    assert [f.kind for f in find_problems(changed(frames=0), CONFIG, str, [mild])] == ['silent', 'unreadable']


def test_a_rig_that_cannot_be_explains_its_cameras():
    rays = Finding(ERROR, 'rays pass by 3.1 m', '', 'rig', 'rays')
    report = replace(off_by(14.0, matched=0), contributed=(rays,), with_bodies=0)
    assert find_problems(report, CONFIG, str) == (rays,)
