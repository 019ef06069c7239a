# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Reasons to refuse a rig, each with a judgement made by hand."""

import numpy as np
import pytest

from geo_pose_ros.calibration.bundle.residuals import LOG_FOCAL
from geo_pose_ros.calibration.bundle.solver import Adjustment
from geo_pose_ros.calibration.halves import Growth
from geo_pose_ros.calibration.people.views import PoseViews
from geo_pose_ros.calibration.settings import AdjustConfig, CalibrateConfig
from geo_pose_ros.calibration.verdict import (
    Judgement,
    is_measured,
    lens_refusal,
    motion_refusal,
    rig_refusal,
    seen_for_s,
)
from geo_pose_ros.geometry.projection import project_world
from geo_pose_ros.skeleton import BODY17
from geo_pose_ros.types import Intrinsics

from ..scenes import ring_rig
from .walking import walk

CONFIG = CalibrateConfig()


@pytest.mark.parametrize(('times_s', 'seen_s'), [
    (np.arange(0.0, 10.0, 0.25), 9.75), (np.append(np.arange(0.0, 5.0, 0.25), np.arange(60.0, 65.0, 0.25)), 9.5),
    # Of a long recording few instants are drawn, which are seconds apart.
    (np.arange(0.0, 800.0, 2.0), 798.0), (np.zeros(1), 0.0),
], ids=['half a minute', 'with a pause', 'long', 'one'])
def test_people_are_seen_but_in_pauses(times_s, seen_s):
    assert seen_for_s(times_s) == pytest.approx(seen_s)


@pytest.mark.parametrize(
    ('left_out_px', 'reason'),
    [
        ((5.0, 6.0, 25.0), ''),
        ((5.0, 6.0, 60.0), "camera 'cam2' errs by 60 px against what the others see, all cameras by 6.0 px"),
        ((20.0, 20.0, 20.0), "errs by 20.0 px, 7% of the people's extent"),
    ],
    ids=['one is worse', 'one is elsewhere', 'all are bad'],
)
def test_a_rig_is_refused_by_its_errors(left_out_px, reason):
    # People of 300 px.
    shape = (3, 10, len(BODY17))
    xy = np.zeros((*shape, 2))
    views = PoseViews(np.arange(10.0), np.zeros(10, int), xy, xy, np.full(shape, 75.0 / 300.0))
    errors = {f'cam{c}': np.full(10, px) for c, px in enumerate(left_out_px)}
    refusal = rig_refusal(None, Judgement(errors, errors, {}, {}), views, CONFIG)
    assert (refusal is None) == (reason == '')
    assert refusal is None or reason in refusal.what


# What is walked, and what is lacking.
@pytest.mark.parametrize(
    ('seconds', 'scale', 'reasons'),
    [
        pytest.param(20.0, 1.0, (), id='enough'),
        pytest.param(1.6, 1.0, ('1.6 s of people seen by two cameras, expected 5 or more',), id='a moment'),
        pytest.param(20.0, 0.1, ('m between the places where they were', "image of camera 'cam0'"), id='on the spot'),
    ],
)
def test_too_little_motion_is_said_in_words(seconds, scale, reasons):
    rig, xyz = ring_rig(3), walk(20.0, reach_m=2.0)[::10][: round(2 * seconds) + 1]
    xyz = scale * xyz
    xy = np.stack([project_world(camera, xyz) for camera in rig.cameras])
    time_s = np.linspace(0.0, seconds, len(xyz))
    views = PoseViews(time_s, np.zeros(len(xyz), int), xy, np.zeros(xy.shape), np.ones(xy.shape[:3]))
    refusal = motion_refusal(xyz, views, rig, CONFIG)
    assert (refusal is None) == (not reasons)
    assert all(reason in refusal.what for reason in reasons)


@pytest.mark.parametrize(
    ('D', 'cx', 'measured'), [((0.0,) * 5, 639.5, False), ((0.1, 0.0, 0.0, 0.0, 0.0), 639.5, True),
                              ((0.0,) * 5, 655.2, True)], ids=['guess', 'distortion', 'principal point'],
)
def test_a_guess_is_no_measured_lens(D, cx, measured):
    K = np.array(((900.0, 0.0, cx), (0.0, 900.0, 479.5), (0.0, 0.0, 1.0)))
    assert is_measured(Intrinsics(K, np.array(D), 'plumb_bob', 1280, 960)) == measured


def test_a_focal_length_that_stays_uncertain_is_refused():
    rig, free = ring_rig(3), CalibrateConfig(adjust=AdjustConfig(intrinsics='focal'))
    sigma = np.zeros((3, 11))
    sigma[1, LOG_FOCAL] = 0.015
    people = np.zeros((1, 17, 3)), np.zeros((1, 17, 3, 3)), np.ones((1, 16))
    found = Adjustment(rig, *people, 1.0, sigma, np.ones((3, 1, 17)))
    assert lens_refusal(None, found, Growth(np.ones(3), np.ones(3)), free) is None
    refusal = lens_refusal(None, found, Growth(np.ones(3), np.full(3, 2.0)), free)
    assert "focal length of camera 'cam1': it is known to 3.0%, expected 2.0%" in refusal.what


def test_a_gain_of_nothing_keeps_the_rig_given():
    one, other = (Judgement({}, {'cam0': np.full(9, px)}, {}, {}) for px in (5.0, 4.95))
    views = PoseViews(np.zeros(1), np.zeros(1, int), *np.zeros((2, 1, 1, 17, 2)), np.ones((1, 1, 17)))
    assert 'people tell nothing' in rig_refusal(one, other, views, CONFIG).what
