"""What is said about a recording: each sentence where it is true, none where nothing is wrong."""

import numpy as np
import pytest

from geo_pose_ros.evaluation.findings import find_outlier_runs, find_problems
from geo_pose_ros.evaluation.settings import ReportConfig
from geo_pose_ros.evaluation.statistics import RecordingStatistics
from geo_pose_ros.findings import Severity
from geo_pose_ros.skeleton import BODY17
from geo_pose_ros.types import Keypoints2D

from ..scenes import person, ring_rig
from .moving import RATE_HZ, bodies_at, pose, recorded, seen_by

CONFIG = ReportConfig()


def said(report):
    return [(f.severity, f.what, f.remedy) for f in find_problems(report, CONFIG, lambda s: f'{s:.1f} s')]


def one(report, words):
    """Return the only finding that holds ``words``."""
    [found] = [entry for entry in said(report) if words in entry[1]]
    return found


def test_nothing_wrong_is_one_good_word():
    [(severity, text, remedy)] = said(recorded())
    assert severity == Severity.OK and text.startswith('Nothing stands out') and remedy == ''


def test_a_camera_that_was_moved_is_named_with_its_time_size_and_side():
    report = recorded(shift=lambda name, number: (14.0, 0.0) if name == 'cam3' and number >= 150 else (0.0, 0.0))
    severity, text, remedy = one(report, 'cam3 is off')
    assert severity == Severity.ERROR
    assert text == 'cam3 is off by 14 px since 4.7 s (the others: 0 px).'
    assert 'geo_pose calibrate' in remedy
    assert len(said(report)) == 1


@pytest.mark.parametrize(
    ('moved', 'when'),
    [(range(300), 'all the time'), (range(100), 'until 3.3 s'), (range(90, 211), 'from 3.1 s to 7.1 s')],
)
def test_when_it_was_off(moved, when):
    report = recorded(shift=lambda name, number: (14.0, 3.0) if name == 'cam0' and number in moved else (0.0, 0.0))
    run = find_outlier_runs(report, CONFIG)['cam0']
    assert run.own_px == pytest.approx(np.hypot(14.0, 3.0), abs=0.1) and run.others_px == pytest.approx(0.0, abs=1e-6)
    assert run.begin_s == pytest.approx(moved[0] / RATE_HZ, abs=0.6)
    assert run.end_s == pytest.approx((moved[-1] + 1) / RATE_HZ, abs=0.6)
    words = one(report, 'cam0 is off')[1]
    assert when.split()[0] in words
    if when == 'all the time':
        assert 'all the time' in words and '14 px to the right and 3 px down' in words


def test_a_blink_is_not_reported_and_two_cameras_cannot_tell():
    blink = recorded(shift=lambda name, number: (30.0, 0.0) if name == 'cam0' and 100 <= number < 130 else (0.0, 0.0))
    assert find_outlier_runs(blink, CONFIG) == {}
    pair = recorded(rig=ring_rig(2), shift=lambda name, number: (14.0, 0.0) if name == 'cam0' else (0.0, 0.0))
    assert find_outlier_runs(pair, CONFIG) == {}


def test_clocks():
    severity, text, remedy = one(recorded(late_ms={'cam1': 40.0}), 'The stamps of')
    assert severity == Severity.ERROR and text.startswith('The stamps of cam1 are about ') and 'too late' in text
    assert float(text.split(' about ')[1].split()[0]) == pytest.approx(40.0, abs=2.0)
    assert 'PTP' in remedy
    severity, text, _ = one(recorded(late_ms={'cam2': -12.0}), 'The stamps of')
    assert severity == Severity.WARNING and 'cam2 are about 12 ms too early' in text
    assert not [text for _, text, _ in said(recorded(late_ms={'cam1': 4.0})) if 'stamps' in text]


@pytest.mark.parametrize(
    ('silent', 'words'),
    [
        (range(60, 150), 'cam0 was silent for 3.0 s from 2.0 s on'),
        (range(200, 300), 'cam0 delivered nothing from 6.6 s on'),
        (range(60), 'cam0 delivered nothing for the first 2.0 s'),
        ([*range(60, 150), *range(200, 260)], 'cam0 was silent for 3.0 s from 2.0 s on, and once more, 5.1 s in all'),
    ],
)
def test_silence(silent, words):
    severity, text, remedy = one(recorded(there=lambda name, number: name != 'cam0' or number not in silent), 'cam0')
    assert severity == Severity.ERROR and text == words + '.' and 'cable' in remedy


def test_missing_frames():
    report = recorded(there=lambda name, number: name == 'cam1' or number % 5)
    severity, text, _ = one(report, 'Frames are missing')
    assert severity == Severity.WARNING and 'cam0 20%, cam2 20%, cam3 20%.' in text


def test_no_bodies_and_few_bodies():
    nothing = RecordingStatistics(BODY17, ring_rig(3), CONFIG)
    nothing.add_frame('cam0', 0)
    severity, _, remedy = one(nothing.report(), 'no bodies')
    assert severity == Severity.ERROR and 'geo_pose process' in remedy
    assert one(recorded(bodies=lambda number: bodies_at(number, ())), 'None of the 300 sets')[0] == Severity.ERROR
    seldom = recorded(bodies=lambda number: bodies_at(number, (pose(number / RATE_HZ),) if number < 75 else ()))
    assert 'Only 25% of the sets' in one(seldom, 'Only')[1]


def test_ids_that_change():
    report = recorded(bodies=lambda number: bodies_at(number, (pose(number / RATE_HZ),), (number // 20,)))
    severity, text, _ = one(report, 'body ids')
    assert severity == Severity.WARNING
    assert text == '15 body ids for at most 1 people at once; 15 of them lived less than 1 s.'


def test_limbs_that_stretch():
    def bodies(number):
        joints = pose(number / RATE_HZ).copy()
        joints[13] += (joints[13] - joints[12]) * (0.2 if number % 2 else -0.2)
        return bodies_at(number, (joints,))

    severity, text, _ = one(recorded(bodies=bodies), 'Limbs')
    assert severity == Severity.WARNING and text == 'Limbs change their length: body 0 left_elbow-left_wrist 20%.'


def test_bystanders_and_exchanged_sides():
    far, rig = person(5, (0.0, 3.0)), ring_rig(4)
    flip = np.arange(17)
    for left, right in BODY17.flip_pairs:
        flip[[left, right]] = right, left

    def change(name, number, found):
        if name == 'cam3':
            both = np.concatenate([found.xy, seen_by(rig, name, far, found.stamp_ns).xy])
            return Keypoints2D(name, found.stamp_ns, BODY17, both, np.ones((2, 17)))
        if name == 'cam1' and number % 2:
            return Keypoints2D(name, found.stamp_ns, BODY17, found.xy[:, flip], found.confidence)
        return found

    report = recorded(change=change)
    assert one(report, 'are none of the bodies')[1] == '50% of the people that cam3 finds are none of the bodies.'
    assert 'cam1 in 50% of the bodies' in one(report, 'exchanges left and right')[1]


def test_few_views_and_large_residuals():
    single = recorded(bodies=lambda number: bodies_at(number, (pose(number / RATE_HZ),), views=1))
    assert 'pelvis 100%' in one(single, 'fewer than two cameras')[1]
    off = recorded(shift=lambda name, number: (25.0, 0.0))
    severity, text, remedy = one(off, 'Reprojections miss')
    assert severity == Severity.WARNING and 'in 4 of 4 cameras' in text and 'to one side' in text
    assert 'geo_pose calibrate' in remedy


def test_the_worst_comes_first():
    report = recorded(late_ms={'cam1': 40.0}, there=lambda name, number: name != 'cam0' or number % 5)
    severities = [severity for severity, _, _ in said(report)]
    assert severities == sorted(severities, reverse=True) and len(severities) >= 2
