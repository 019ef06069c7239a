# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Bodies that are one person, and cameras in which everybody is beside their place."""

from dataclasses import replace

import numpy as np
import pytest

from geo_pose_ros.fusion.merging import find_duplicate_bodies, find_duplicate_views, find_gross_errors, merge_lone_views

from .people import crowd, observe, ring

GATE_M, NEW_GATE_M = 0.25, 0.12


def view(seen, camera, person):
    """The detection of a person in a camera."""
    return int(np.flatnonzero((seen.detections.camera == camera) & (seen.owner == person))[0])


def merged(cameras, bodies, seen, views, settled=0):
    local = cameras.see(bodies)
    return merge_lone_views(
        cameras, local, seen.detections, np.array(views), (GATE_M, NEW_GATE_M), settled=settled
    ).tolist()


def test_a_lone_view_becomes_part_of_the_body_that_lacks_it():
    cameras, bodies = ring(3), crowd(1)
    seen = observe(cameras, bodies)
    a, b, c = (view(seen, camera, 0) for camera in range(3))
    ghost = bodies[0] + 0.4
    both = np.stack([bodies[0], ghost])
    assert merged(cameras, both, seen, [[a, b, -1], [-1, -1, c]]) == [[a, b, c], [-1, -1, -1]]
    # Also if the lone one is the senior.
    assert merged(cameras, both[::-1], seen, [[-1, -1, c], [a, b, -1]]) == [[-1, -1, -1], [a, b, c]]


def test_of_two_lone_views_of_one_person_the_senior_stays():
    cameras, bodies = ring(2), crowd(1)
    seen = observe(cameras, bodies)
    a, b = view(seen, 0, 0), view(seen, 1, 0)
    # Each is placed along its own ray, half a metre off.
    centres = -np.einsum('cji,cj->ci', cameras.cam_from_world[:, :, :3], cameras.cam_from_world[:, :, 3])
    off = np.stack([centre + 1.15 * (bodies[0] - centre) for centre in centres])
    assert merged(cameras, off, seen, [[a, -1], [-1, b]]) == [[a, b], [-1, -1]]
    assert merged(cameras, off, seen, [[a, -1], [-1, b]], settled=1) == [[a, b], [-1, -1]]
    # Two who were people of their own before stay so.
    assert merged(cameras, off, seen, [[a, -1], [-1, b]], settled=2) == [[a, -1], [-1, b]]


def test_lone_views_of_two_people_stay_apart_and_so_does_one_whose_place_is_taken():
    cameras, bodies = ring(3), crowd(2)
    seen = observe(cameras, bodies)
    alone = [[view(seen, 0, 0), view(seen, 1, 0), -1], [-1, -1, view(seen, 2, 1)]]
    assert merged(cameras, bodies, seen, alone) == alone
    taken = [[view(seen, 0, 0), view(seen, 1, 0), view(seen, 2, 0)], [-1, -1, view(seen, 2, 1)]]
    assert merged(cameras, np.stack([bodies[0], bodies[0]]), seen, taken) == taken


def test_two_bodies_in_one_place_are_one_unless_a_camera_sees_both():
    body = crowd(1)[0]
    xyz = np.stack([body, body + 0.05, body + 1.0])
    apart = np.array([[0, 1, -1, -1], [-1, -1, 4, 5], [-1, 2, 6, -1]])
    assert find_duplicate_bodies(xyz, apart, 0.2).tolist() == [False, True, False]
    both = apart.copy()
    both[1, 0] = 3
    assert not find_duplicate_bodies(xyz, both, 0.2).any()
    assert not find_duplicate_bodies(xyz, apart, 0.05).any()
    assert find_duplicate_bodies(xyz[:1], apart[:1], 0.2).tolist() == [False]
    assert find_duplicate_bodies(xyz[:0], apart[:0], 0.2).tolist() == []
    # Three in one place: all are the first.
    alone = np.where(np.eye(3, dtype=bool), np.arange(3), -1)
    assert find_duplicate_bodies(np.stack([body] * 3), alone, 0.2).tolist() == [False, True, True]


def test_a_view_on_somebody_near_who_is_better_established_may_be_a_duplicate():
    cameras, (body,) = ring(3), crowd(1)
    # A pose half as large, half a metre away, and somebody beside the first.
    small = body.mean(0) + 0.5 * (body - body.mean(0))
    beside = body + np.array([0.0, 0.7, 0.0])
    seen = observe(cameras, np.stack([body, small, beside]))
    views = np.array([[view(seen, camera, who) for camera in range(3)] for who in range(3)])
    views[1, 2] = -1
    xyz = np.stack([body, small + 0.3, beside])

    def found(rank, places=xyz):
        return find_duplicate_views(places, views, np.array(rank), seen.detections, 0.8).tolist()

    nowhere = [False, False, False]
    assert found([40, 10, 40]) == [nowhere, [True, True, False], nowhere]
    # Of who is not better established, or farther away than an arm's length, it is none.
    assert found([10, 10, 40]) == [nowhere, nowhere, nowhere]
    assert found([40, 10, 40], np.stack([body, small + 0.6, beside + 1.0])) == [nowhere, nowhere, nowhere]
    assert find_duplicate_views(xyz[:1], views[:1], np.array([40]), seen.detections, 0.8).tolist() == [nowhere]


@pytest.mark.parametrize('pixels', [40.0, 200.0])
@pytest.mark.parametrize('people', [1, 4])
def test_the_error_of_a_turned_camera_is_found(people, pixels):
    cameras, bodies = ring(4), crowd(people)
    seen = observe(cameras, bodies, noise=0.001)
    truth = pixels / 1000.0 * np.array([0.8, -0.6])
    xn = seen.detections.xn.copy()
    turned = np.flatnonzero(seen.detections.camera == 1)
    xn[turned] += truth
    detections = replace(seen.detections, xn=xn)
    views = np.stack([[view(seen, c, p) for c in range(4)] for p in range(people)])
    views[:, 1] = -1
    expected = np.ones((people, 4), bool)
    found = find_gross_errors(cameras.see(bodies), detections, views, expected, GATE_M, 0.35)
    np.testing.assert_allclose(found[1], truth, atol=1e-3)
    assert np.isnan(np.delete(found, 1, 0)).all()
    if people == 1:
        # Not beyond its reach; of several people, one may fit another's place.
        reach = 0.9 * pixels / 1000.0
        assert np.isnan(find_gross_errors(cameras.see(bodies), detections, views, expected, GATE_M, reach)).all()


def test_no_gross_error_where_people_are_in_place_nor_with_two_cameras():
    cameras, bodies = ring(4), crowd(3)
    seen = observe(cameras, bodies)
    views = np.stack([[view(seen, c, p) for c in range(4)] for p in range(3)])
    expected = np.ones((3, 4), bool)
    assert np.isnan(find_gross_errors(cameras.see(bodies), seen.detections, views, expected, GATE_M, 0.35)).all()
    # One of three was missed: two are in their place.
    views[0, 1] = -1
    assert np.isnan(find_gross_errors(cameras.see(bodies), seen.detections, views, expected, GATE_M, 0.35)).all()
    # Whom the camera need not see is not missed.
    views[:, 1] = -1
    assert np.isnan(find_gross_errors(cameras.see(bodies), seen.detections, views, ~expected, GATE_M, 0.35)).all()
    pair, seen = ring(2), observe(ring(2), bodies)
    views = np.array([[view(seen, 0, p), -1] for p in range(3)])
    found = find_gross_errors(pair.see(bodies), seen.detections, views, np.ones((3, 2), bool), GATE_M, 0.35)
    assert np.isnan(found).all()
