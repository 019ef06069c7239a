# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Identities that last: who is somebody, who is remembered, and ids that are never used twice."""

import numpy as np
import pytest

from geo_pose_ros.errors import ShapeError
from geo_pose_ros.fusion.solver import Solution
from geo_pose_ros.scene.kernels.tracks import choose_published
from geo_pose_ros.scene.settings import TrackingConfig
from geo_pose_ros.scene.tracks import Tracks, rows_of

DT_NS = 33_000_000
JOINTS = 5
SIGMA_M = 0.02


def covariance(bodies: int, sigma_m: float = SIGMA_M) -> np.ndarray:
    return np.broadcast_to(sigma_m**2 * np.eye(3), (bodies, JOINTS, 3, 3)).copy()


def at(*x_m: float) -> np.ndarray:
    return np.zeros((len(x_m), JOINTS, 3)) + np.array(x_m)[:, None, None] * (1.0, 0.0, 0.0)


def measure(
    tracks: Tracks, stamp_ns: int, rows, xyz=None, views=2, standing=1.0, alone=False, num_views=2, lasting=0.0
) -> list[int]:
    """Take in a set at ``stamp_ns`` and return the ids of the bodies measured; others keep the places of ``rows``."""
    tracks.predict(stamp_ns)
    bodies = len(rows)
    xyz = at(*([0.0] * bodies)) if xyz is None else xyz
    random, agreed = covariance(bodies), np.ones((num_views, bodies, JOINTS))
    solution = Solution(
        xyz, random + lasting * np.eye(3), random, 0.0 * agreed, agreed, agreed >= 0.25, xyz, random
    )
    tracks.update(np.array(rows, np.int64), solution, np.full(bodies, views), np.full(bodies, standing), alone)
    return tracks.ids[:bodies].tolist()


def test_ids_follow_the_order_of_the_measured_bodies_and_the_others_stay_behind():
    tracks = Tracks(TrackingConfig(), JOINTS)
    assert measure(tracks, 0, [-1, -1], at(0.0, 5.0)) == [0, 1]
    # The second body is measured alone: it comes first, the other is predicted.
    assert measure(tracks, DT_NS, [1], at(5.0)) == [1]
    assert tracks.ids.tolist() == [1, 0]
    np.testing.assert_allclose(tracks.filter.position[:, 0, 0], [5.0, 0.0])
    np.testing.assert_allclose(tracks.unseen_s, [0.0, 1e-9 * DT_NS])
    assert measure(tracks, 2 * DT_NS, [-1], at(9.0)) == [2]
    assert tracks.ids.tolist() == [2, 1, 0]


@pytest.mark.parametrize(
    ('views', 'standing', 'alone', 'sets'),
    [
        # Three cameras agree: at once. Two do: at once only where nobody else is about.
        (3, 1.0, False, 1), (3, 0.75, False, 1), (2, 1.0, True, 1), (2, 1.0, False, 2), (1, 1.0, True, 1),
        # Half of the cameras that should see it: after two sets; fewer: after it has lasted for 0.6 s.
        (3, 0.5, False, 2), (2, 0.5, True, 2), (1, 0.3, False, 20),
    ],
)
def test_a_body_is_confirmed_when_enough_of_the_cameras_see_it(views, standing, alone, sets):
    tracks = Tracks(TrackingConfig(), JOINTS)
    confirmed = 0
    for k in range(30):
        measure(tracks, k * DT_NS, [0 if k else -1], views=views, standing=standing, alone=alone)
        if tracks.confirmed[0]:
            confirmed = k + 1
            break
    assert confirmed == sets


def test_a_tentative_body_that_is_not_seen_again_was_nobody():
    tracks = Tracks(TrackingConfig(), JOINTS)
    measure(tracks, 0, [-1])
    tracks.predict(290_000_000)
    assert len(tracks) == 1
    tracks.predict(310_000_000)
    assert len(tracks) == 0


def test_a_confirmed_body_is_predicted_then_remembered_then_gone():
    config = TrackingConfig(max_gap_s=0.5, remember_s=4.0)
    tracks = Tracks(config, JOINTS)
    measure(tracks, 0, [-1], views=3)
    for stamp_ns, lost in ((490_000_000, False), (510_000_000, True), (3_990_000_000, True)):
        tracks.predict(stamp_ns)
        assert np.isfinite(tracks.predicted()).all() != lost
        assert tracks.lost.tolist() == [lost] and tracks.ids.tolist() == [0]
    tracks.predict(4_010_000_000)
    assert len(tracks) == 0


def test_who_was_remembered_is_wherever_it_is_found():
    tracks = Tracks(TrackingConfig(), JOINTS)
    measure(tracks, 0, [-1], views=3)
    assert measure(tracks, 2 * 10**9, [0], at(3.0)) == [0]
    np.testing.assert_array_equal(tracks.filter.position, at(3.0))
    assert not tracks.lost.any() and tracks.unseen_s.tolist() == [0.0]


def test_ids_are_never_used_again():
    tracks = Tracks(TrackingConfig(), JOINTS)
    assert measure(tracks, 10**9, [-1, -1], at(0.0, 2.0)) == [0, 1]
    tracks.reset()
    assert len(tracks) == 0 and tracks.stamp_ns is None
    assert measure(tracks, 2 * 10**9, [-1]) == [2]
    # Time that runs backwards forgets everybody.
    tracks.predict(0)
    assert len(tracks) == 0
    assert measure(tracks, 1, [-1]) == [3]
    assert tracks.predict(DT_NS + 1) == pytest.approx(1e-9 * DT_NS)


def test_a_joint_that_is_not_measured_though_its_body_is_is_forgotten_after_the_gap():
    tracks = Tracks(TrackingConfig(max_gap_s=0.2), JOINTS)
    half = at(1.0)
    half[0, 0] = np.nan
    for k in range(10):
        measure(tracks, k * DT_NS, [0 if k else -1], at(1.0))
    for k in range(10, 16):
        measure(tracks, k * DT_NS, [0], half)
        assert np.isfinite(tracks.filter.position[0]).all()
    measure(tracks, 16 * DT_NS, [0], half)
    assert np.isnan(tracks.filter.position[0, 0]).all()
    np.testing.assert_allclose(tracks.filter.position[0, 1:], at(1.0)[0, 1:])


def test_standing_is_an_average_and_priority_follows_it():
    tracks = Tracks(TrackingConfig(), JOINTS)
    measure(tracks, 0, [-1, -1], at(0.0, 2.0), views=3)
    np.testing.assert_allclose(tracks.detection_rate, 1.0)
    measure(tracks, DT_NS, [0, 1], at(0.0, 2.0), standing=0.0)
    kept = np.exp(-1e-9 * DT_NS / 0.5)
    np.testing.assert_allclose(tracks.detection_rate, kept)
    np.testing.assert_allclose(tracks.priority(), kept)
    # Somebody just found counts half as much, and at least a fifth of that; who was not seen for a while less.
    measure(tracks, 2 * DT_NS, [0, -1], at(0.0, 4.0), standing=0.1)
    assert tracks.ids.tolist() == [0, 2, 1] and not tracks.confirmed[1]
    assert tracks.priority()[1] == pytest.approx(0.5 * 0.2)
    before = tracks.priority()[2]
    measure(tracks, 7 * DT_NS, [0], at(0.0))
    assert tracks.priority()[tracks.ids.tolist().index(1)] == pytest.approx(0.6 * before)


def test_where_a_body_is_is_certain_while_two_views_see_it():
    tracks = Tracks(TrackingConfig(), JOINTS)
    measure(tracks, 0, [-1], views=1, num_views=1)
    assert np.isinf(tracks.centre_variance[0])
    measure(tracks, DT_NS, [0])
    np.testing.assert_allclose(tracks.centre_variance, 0.05**2)
    measure(tracks, DT_NS + 10**9, [0], num_views=1)
    np.testing.assert_allclose(tracks.centre_variance, 0.05**2 + 0.08)


def test_what_lasts_of_the_covariance_is_kept_apart():
    tracks = Tracks(TrackingConfig(), JOINTS)
    for k in range(20):
        measure(tracks, k * DT_NS, [0 if k else -1], lasting=0.03**2)
    np.testing.assert_allclose(tracks.systematic[0], np.tile(0.03**2 * np.eye(3), (JOINTS, 1, 1)), atol=1e-12)
    assert tracks.sigma_m()[0] < SIGMA_M
    assert Tracks(TrackingConfig(), JOINTS).sigma_m().shape == (0,)


@pytest.mark.parametrize(('sets', 'bent_m'), [(1, 0.01), (31, 0.1)], ids=['a missed detection', 'a second'])
def test_the_pose_of_a_lone_view_is_smoothed_while_two_views_have_just_placed_it(sets, bent_m):
    tracks, bent = Tracks(TrackingConfig(), JOINTS), at(0.0)
    bent[0, 0, 2] = 0.1
    for k in range(20):
        measure(tracks, k * DT_NS, [0 if k else -1])
    for k in range(20, 20 + sets):
        measure(tracks, k * DT_NS, [0], bent, views=1, num_views=1, lasting=0.1**2)
    assert np.ptp(tracks.filter.position[0, :, 2]) == pytest.approx(bent_m, rel=0.1)


@pytest.mark.parametrize('rows', [[0, 0], [7, -1]])
def test_impossible_tracks_are_refused(rows):
    tracks = Tracks(TrackingConfig(), JOINTS)
    measure(tracks, 0, [-1])
    with pytest.raises(ShapeError, match='expected each of 1 once'):
        measure(tracks, DT_NS, rows)


def test_wrong_shapes_are_refused():
    with pytest.raises(ShapeError, match=r'xyz \(1, 2, 3\)'):
        measure(Tracks(TrackingConfig(), JOINTS), 0, [-1], np.zeros((1, 2, 3)))


def test_a_joints_sigma_is_of_both_parts_of_its_covariance():
    tracks = Tracks(TrackingConfig(), JOINTS)
    measure(tracks, 0, [-1, -1], at(0.0, 5.0), lasting=3e-4)
    whole = tracks.filter.covariance[1] + tracks.systematic[1]
    expected = np.sqrt(np.trace(whole, axis1=-2, axis2=-1) / 3.0)
    np.testing.assert_allclose(tracks.joint_sigma_m(np.array([1])), expected[None], rtol=1e-12)


def test_rows_are_found_by_id():
    assert rows_of(np.array([4, 2, 9]), np.array([9, 7, 4, -1])).tolist() == [2, -1, 0, -1]


def test_whom_two_views_have_placed_and_one_goes_on_with_is_published_while_it_is_certain_where():
    tracks, rows = Tracks(TrackingConfig(max_sigma_m=0.2), JOINTS), np.empty(1, np.int64)

    def is_published(number: int, views: int, lasting: float) -> bool:
        body = [-1 if not number else 0]
        measure(tracks, number * DT_NS, body, views=views, num_views=views, lasting=lasting, alone=True)
        return bool(choose_published(tracks.columns, tracks.filter.joints, 1, tracks.limits, rows))

    # Whom one view alone has ever seen is published, as in a rig of one camera.
    assert is_published(0, 1, 0.3**2)
    found = [is_published(1 + k, *seen) for k, seen in enumerate([(2, 0.3**2), (1, 0.1**2), (1, 0.3**2), (2, 0.3**2)])]
    assert found == [True, True, False, True]
