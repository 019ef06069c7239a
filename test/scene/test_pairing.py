# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Pairs of views that two cameras have of people: which are exchanged, and when."""

import numpy as np
import pytest

from geo_pose_ros.scene.kernels.pairing import PairMemory, exchange_views, judge_new

from ..fusion.people import crowd, observe, ring
from ..fusion.test_merging import view

DT_S = 0.01


def memory(held):
    """What is remembered of bodies that have ``held`` (T, C) their views for so many sets."""
    held = np.array(held, float)
    return PairMemory(held, np.zeros(len(held)), np.zeros(2), np.zeros(len(held), bool))


def exchanged(views, held, sets, people=2, cameras=None, seen=None, dt_s=DT_S):
    """Return the views, the memory and the distances after so many sets that all show the same."""
    cameras = cameras or ring(2)
    seen = seen or observe(cameras, crowd(people, spacing_m=0.6))
    kept, changed = memory(held), []
    views, nearest = np.array(views), np.zeros(len(seen.detections))
    for _ in range(sets):
        exchange_views(cameras.cam_from_world, seen.detections.arrays, kept, dt_s, views, nearest)
        changed.append(kept.changed.copy())
    return views.tolist(), kept, nearest, np.array(changed)


@pytest.fixture(scope='module')
def pair():
    """The detections of two people in two cameras, (person, camera)."""
    seen = observe(ring(2), crowd(2, spacing_m=0.6))
    return [[view(seen, camera, person) for camera in range(2)] for person in range(2)]


def test_wrong_pairs_are_exchanged_when_they_have_lasted_and_ids_stay_where_they_were_longer(pair):
    (a, b), (c, d) = pair
    # What pairs that are right gain in a set, 0.02 taken off, and the sets until that is more than 0.04 s.
    _, after_one, *_ = exchanged([[a, d], [c, b]], [[30, 20], [30, 20]], 1)
    assert (after_one.gain > 0.3 * DT_S).all() and (after_one.gain < DT_S).all()
    needed = int(0.04 / after_one.gain.max()) + 1
    early, *_, changed = exchanged([[a, d], [c, b]], [[30, 20], [30, 20]], needed - 1)
    assert early == [[a, d], [c, b]] and not changed.any()
    late, done, nearest, changed = exchanged([[a, d], [c, b]], [[30, 20], [30, 20]], needed)
    assert late == [[a, b], [c, d]] and changed[-1].all()
    assert (done.gain == 0.0).all() and np.isinf(nearest).all()
    assert done.held.tolist() == [[30 + needed, 1], [30 + needed, 1]]
    # However long there was no set, one alone exchanges nothing.
    assert not exchanged([[a, d], [c, b]], [[30, 20], [30, 20]], 1, dt_s=5.0)[3].any()
    # Who has held the other view longer goes with that, even where it is left alone.
    assert exchanged([[a, d], [c, b]], [[20, 30], [20, 30]], needed)[0] == [[c, d], [a, b]]


def test_right_pairs_and_those_that_a_third_camera_sees_stay(pair):
    (a, b), (c, d) = pair
    views, kept, _, changed = exchanged([[a, b], [c, d]], [[1, 1], [1, 1]], 40)
    assert views == [[a, b], [c, d]] and not changed.any() and (kept.gain == 0.0).all()
    cameras = ring(3)
    seen = observe(cameras, crowd(2, spacing_m=0.6))
    wrong = [[view(seen, c, p if c != 1 else 1 - p) for c in range(3)] for p in range(2)]
    assert exchanged(wrong, np.ones((2, 3)), 40, cameras=cameras, seen=seen)[0] == wrong


def test_a_new_view_that_does_not_fit_the_old_one_is_refused_at_once(pair):
    (a, _), (_, d) = pair
    views, kept, nearest, changed = exchanged([[a, d]], [[50, 2]], 1)
    assert views == [[a, -1]] and kept.held.tolist() == [[51, 0]] and not changed.any()
    assert np.isinf(nearest[d]) and nearest[a] == 0.0


def test_two_views_begin_a_body_only_if_they_fit_as_is_usual_in_the_rig(pair):
    (a, b), (c, d) = pair
    cameras = ring(2)
    seen, kept, usual = observe(cameras, crowd(2, spacing_m=0.6)), np.empty(4, bool), np.zeros(2)
    judge_new(cameras.cam_from_world, seen.detections.arrays, usual, np.array([[a, b], [a, d], [c, d], [c, -1]]), kept)
    assert kept.tolist() == [True, False, True, True]
    # Three pairs have been judged, of which two fit well.
    assert usual[1] == pytest.approx(2.9701) and 1.9 < usual[0] < 2.6
    # Where all pairs fit poorly, as in a rig that was knocked, they are usual.
    judge_new(cameras.cam_from_world, seen.detections.arrays, np.array([10.0, 100.0]), np.array([[a, d]]), kept[:1])
    assert kept[0]


@pytest.mark.parametrize(('views', 'held', 'after'), [
    # The other view is nobody's, and is another lone body's, which ends.
    ([[0, -1]], [[50, 0]], [[0, 1]]),
    ([[0, -1], [-1, 1]], [[50, 0], [0, 9]], [[0, 1], [-1, -1]]),
], ids=['free', 'lone'])
def test_a_lone_view_takes_the_partner_that_nobody_else_needs(pair, views, held, after):
    names = [*pair[0], -1]
    given = [[names[k] for k in row] for row in views]
    assert exchanged(given, held, 20)[0] == [[names[k] for k in row] for row in after]


def test_who_is_alone_before_two_cameras_takes_the_other_view_too():
    seen = observe(ring(2), crowd(1))
    assert exchanged([[0, -1]], [[50, 0]], 20, seen=seen)[0] == [[0, 1]]


def test_views_with_few_joints_in_common_are_not_judged():
    cameras, bodies = ring(2), crowd(2, spacing_m=0.6)
    bodies[:, 4:] = np.nan
    seen = observe(cameras, bodies)
    wrong = [[view(seen, 0, 0), view(seen, 1, 1)], [view(seen, 0, 1), view(seen, 1, 0)]]
    views, kept, *_ = exchanged(wrong, [[50, 2], [50, 2]], 40, seen=seen)
    assert views == wrong and (kept.gain == 0.0).all()
