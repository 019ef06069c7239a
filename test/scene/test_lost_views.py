"""Which views follow something else than the body the others see."""

import numpy as np
import pytest

from geo_pose_ros.geometry.projection import normalize
from geo_pose_ros.scene.lost_views import lost_views

from ..scenes import keypoints, person, ring_rig


def scene(people=1):
    rig = ring_rig(4)
    bodies = [person(i, (1.2 * i, 0.0)) for i in range(people)]
    seen = keypoints(rig, bodies)
    xn = np.stack([normalize(c.intrinsics, seen[c.name].xy) for c in rig.cameras])
    P = np.stack([c.cam_from_world for c in rig.cameras])
    return P, xn, np.stack(bodies), np.full((people, 17), 4)


def test_views_that_follow_are_not_lost():
    assert not lost_views(*scene(2)).any()


@pytest.mark.parametrize('view', range(4))
def test_a_view_on_a_bystander_or_on_nobody_is_lost(view):
    P, xn, xyz, num_views = scene()
    xn[view, 0] += 0.3
    assert lost_views(P, xn, xyz, num_views - 1).tolist() == [c == view for c in range(4)]
    xn[view, 0] = np.nan
    assert lost_views(P, xn, xyz, num_views - 1).tolist() == [c == view for c in range(4)]


def test_a_few_joints_astray_are_not_lost_and_one_of_two_bodies_is_enough():
    P, xn, xyz, num_views = scene(2)
    xn[1, 0, :8] += 0.3
    assert not lost_views(P, xn, xyz, num_views).any()
    xn[1, 0] = np.nan
    assert not lost_views(P, xn, xyz, num_views).any()


def test_nobody_and_a_body_that_only_one_view_sees_accuse_no_view():
    P, xn, xyz, num_views = scene()
    assert not lost_views(P, xn[:, :0], xyz[:0], num_views[:0]).any()
    xn[2:] = np.nan
    assert not lost_views(P, xn, xyz, np.ones((1, 17), int)).any()


def test_known_support_in_all_views_settles_it_and_in_some_does_not():
    P, xn, xyz, num_views = scene()
    xn[2, 0] += 0.3
    support = np.ones((4, 1, 17), bool)
    assert not lost_views(P, xn, xyz, num_views, support).any()
    support[2, 0, :9] = False
    assert lost_views(P, xn, xyz, num_views, support).tolist() == [False, False, True, False]
