"""Bodies from their views: sides repaired, noise measured in the body's size, support and confidence."""

import numpy as np
import pytest

from geo_pose_ros.config import SolverConfig
from geo_pose_ros.fusion import estimate
from geo_pose_ros.fusion.estimate import estimate_bodies
from geo_pose_ros.fusion.left_right import limb_groups
from geo_pose_ros.geometry.projection import normalize
from geo_pose_ros.scene.bodies import to_bodies
from geo_pose_ros.scene.tracks import TrackedBodies
from geo_pose_ros.skeleton import BLAZEPOSE33, BODY17

from ..scenes import keypoints, person, ring_rig

LEGS, ARMS = limb_groups(BODY17)


def scene(cameras=4, bodies=1, noise_px=2.0):
    rig = ring_rig(cameras)
    people = [person(2 + b, (0.8 * b, 0.0), 0.5 * b) for b in range(bodies)]
    seen = keypoints(rig, people, noise_px=noise_px)
    xn = np.stack([normalize(c.intrinsics, seen[c.name].xy) for c in rig.cameras])
    P = np.stack([c.cam_from_world for c in rig.cameras])
    return P, np.full(cameras, 902.5), xn, np.ones((cameras, bodies, 17)), np.stack(people)


def run(P, focal, xn, confidence):
    return estimate_bodies(P, focal, xn, confidence, BODY17, SolverConfig(), None)


def swap(xn, view, body, group):
    left, right = np.array(group).T
    xn[view, body, np.concatenate([left, right])] = xn[view, body, np.concatenate([right, left])]


def test_limb_groups():
    assert LEGS == ((4, 1), (5, 2), (6, 3))
    assert ARMS == ((11, 14), (12, 15), (13, 16))
    assert [len(g) for g in limb_groups(BLAZEPOSE33)] == [3, 3]


@pytest.mark.parametrize('groups', [(LEGS,), (ARMS,), (LEGS, ARMS)])
@pytest.mark.parametrize('view', range(4))
def test_swapped_sides_of_one_view_are_exchanged_back(groups, view):
    P, focal, xn, confidence, truth = scene()
    clean = run(P, focal, xn, confidence).solution
    for group in groups:
        swap(xn, view, 0, group)
    found = run(P, focal, xn, confidence)
    assert found.swaps == len(groups)
    np.testing.assert_allclose(found.solution.xyz, clean.xyz, atol=1e-9)
    np.testing.assert_allclose(found.solution.trust, clean.trust, atol=1e-9)
    assert np.linalg.norm(found.solution.xyz - truth, axis=-1).max() < 0.03


def test_only_the_body_that_needs_it_is_repaired_and_confidences_move_along():
    P, focal, xn, confidence, truth = scene(5, 3)
    confidence[3, 1, 13] = 0.5
    swap(xn, 3, 1, ARMS)
    swap(confidence, 3, 1, ARMS)
    found = run(P, focal, xn, confidence)
    assert found.swaps == 1
    assert found.confidence[3, 1, 13] == 0.5 and found.confidence[3, 1, 16] == 1.0
    assert np.linalg.norm(found.solution.xyz - truth, axis=-1).max() < 0.03


def test_nothing_is_exchanged_in_a_clean_body_nor_with_two_views():
    assert run(*scene()[:4]).swaps == 0
    P, focal, xn, confidence, _ = scene(2)
    swap(xn, 0, 0, LEGS)
    assert run(P, focal, xn, confidence).swaps == 0


def test_views_that_disagree_for_another_reason_are_left_alone():
    P, focal, xn, confidence, truth = scene()
    xn[1, 0, list(np.ravel(ARMS))] += 0.2
    found = run(P, focal, xn, confidence)
    assert found.swaps == 0
    assert np.linalg.norm(found.solution.xyz - truth, axis=-1).max() < 0.05


def test_inputs_are_left_alone():
    P, focal, xn, confidence, _ = scene()
    swap(xn, 1, 0, ARMS)
    before = xn.copy(), confidence.copy()
    run(P, focal, xn, confidence)
    np.testing.assert_array_equal(xn, before[0])
    np.testing.assert_array_equal(confidence, before[1])


def test_weights_follow_the_size_in_the_image():
    xn = np.zeros((3, 1, 2, 2))
    xn[0, 0, 1] = (0.0, 0.5)
    xn[1, 0, 1] = (0.25, 0.1)
    xn[2] = np.nan
    confidence = np.array([1.0, 0.5, 0.0])[:, None, None] * np.ones((3, 1, 2))
    weights = estimate._weights(np.full(3, 1200.0), xn, confidence, SolverConfig(noise_px=4.0))
    np.testing.assert_allclose(weights[:, 0], [[0.25, 0.25], [0.25, 0.25], [0.0, 0.0]])


def test_bodies_carry_support_and_confidence_and_predicted_ones_little_of_it():
    P, focal, xn, confidence, _ = scene()
    confidence[0] = 0.4
    xn[1:, :, 16] = np.nan
    found = run(P, focal, xn, confidence)
    solution = found.solution
    assert np.isnan(solution.xyz[0, 16]).all()
    xyz = np.concatenate([solution.xyz, np.zeros((1, 17, 3))])
    covariance = np.concatenate([solution.covariance, np.broadcast_to(0.1**2 / 3.0 * np.eye(3), (1, 17, 3, 3))])
    bodies = to_bodies(7, 'world', BODY17, found, TrackedBodies(xyz, covariance, np.array([5, 3])))
    assert bodies.confidence[0, 0] == pytest.approx((0.4 + 3.0) / 4.0)
    assert bodies.num_views[0].tolist() == [4] * 16 + [0]
    assert bodies.confidence[0, 16] == 0.0
    assert np.isnan(bodies.reprojection_error[0, 16])
    # Predicted only, with a standard deviation of 0.1 m: half of the half that no view supports.
    assert bodies.confidence[1] == pytest.approx(0.25)
    assert (bodies.num_views[1] == 0).all() and np.isnan(bodies.reprojection_error[1]).all()
    assert (bodies.stamp_ns, bodies.frame_id, bodies.body_ids.tolist()) == (7, 'world', [5, 3])
