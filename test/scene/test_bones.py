# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Bone lengths of tracked bodies: what is learned, how sure it is, when it is given up, and what the solver does."""


import numpy as np
import pytest

from geo_pose_ros.fusion.prior import BodyPrior, BonePrior
from geo_pose_ros.fusion.solver import solve
from geo_pose_ros.scene.bones import BoneLengths
from geo_pose_ros.skeleton import BODY17

from ..fusion.test_solver import CONFIG, FOCAL_PX, SIGMA_PX, lift, observe, ring
from ..scenes import person

SIGMA_M = 0.001
EDGES = np.array(BODY17.edges)
FOREARM = BODY17.bones.index('left_elbow-left_wrist')


def lengths_of(xyz: np.ndarray) -> np.ndarray:
    return np.linalg.norm(xyz[..., EDGES[:, 1], :] - xyz[..., EDGES[:, 0], :], axis=-1)


def covariance(bodies: int) -> np.ndarray:
    return np.tile(SIGMA_M**2 * np.eye(3), (bodies, 17, 1, 1))


def feed(bones: BoneLengths, xyz: np.ndarray, body_id: int, sets: int, seed: int = 0) -> None:
    ids, rng = np.array([body_id]), np.random.default_rng(seed)
    for _ in range(sets):
        bones.learn(ids, ids, xyz + rng.normal(0.0, SIGMA_M, xyz.shape), covariance(1))


def test_lengths_are_means_and_the_more_sets_the_surer():
    body, bones = person(1)[None], BoneLengths()
    assert bones.prior(np.array([7])) is None
    feed(bones, body, 7, 4)
    early = bones.prior(np.array([7]))
    feed(bones, body, 7, 200, seed=1)
    late = bones.prior(np.array([7]))
    np.testing.assert_allclose(late.length, lengths_of(body), atol=0.002)
    # Both ends err by SIGMA_M along the bone, and ten sets count as one.
    np.testing.assert_allclose(early.variance, 10.0 * 2.0 * SIGMA_M**2 / 4.0, rtol=0.02)
    kept = (1.0 - 0.995**204) / 0.005
    np.testing.assert_allclose(late.variance, 10.0 * 2.0 * SIGMA_M**2 / kept, rtol=0.02)


def test_bones_that_are_not_seen_are_unknown_and_bodies_without_id_too():
    body, bones = person(2)[None], BoneLengths()
    body[:, 13] = np.nan
    feed(bones, body, 0, 3)
    prior = bones.prior(np.array([-1, 0]))
    assert np.isinf(prior.variance[0]).all() and not prior.length[0].any()
    assert np.isinf(prior.variance[1, FOREARM]) and prior.length[1, FOREARM] == 0.0
    assert np.isfinite(np.delete(prior.variance[1], FOREARM)).all()
    chosen = prior.select(np.array([1]))
    np.testing.assert_array_equal(chosen.length, prior.length[1:])
    assert bones.prior(np.array([-1])) is None


def test_bodies_that_are_gone_are_forgotten():
    body, bones = person(3)[None], BoneLengths()
    feed(bones, body, 0, 3)
    feed(bones, body, 1, 3)
    assert bones.prior(np.array([0])) is None
    assert bones.prior(np.array([1])) is not None


@pytest.mark.parametrize(('ratio', 'left'), [(0.85, 0.25), (0.99, 0.75)])
def test_another_person_is_learned_within_a_few_sets_and_a_little_difference_slowly(ratio, left):
    """What is left of the difference of the lengths after twenty sets of a body ``ratio`` as large."""
    body, bones = person(4)[None], BoneLengths()
    feed(bones, body, 0, 100)
    feed(bones, ratio * body, 0, 20, seed=1)
    found = bones.prior(np.array([0])).length / lengths_of(body)
    share = (np.median(found) - ratio) / (1.0 - ratio)
    assert (share < left) == (ratio < 0.9)


def known(body: np.ndarray, sigma_m: float = 0.002) -> BonePrior:
    return BonePrior(lengths_of(body), np.full((len(body), len(EDGES)), sigma_m**2))


def test_known_lengths_make_joints_better_and_bones_steadier():
    cams, truth = ring(2), np.repeat(person(5)[None], 200, 0)
    xn, weights = observe(cams, truth, noise_px=SIGMA_PX, seed=2)
    lifted = lift(cams, truth, np.random.default_rng(3).normal(0.0, 0.06, (2, 200, 17, 3)), sigma_m=0.06)
    focal = np.full(2, FOCAL_PX)
    without = solve(cams, focal, xn, weights, CONFIG, BodyPrior(lifted))
    found = solve(cams, focal, xn, weights, CONFIG, BodyPrior(lifted, known(truth)))
    error, error_without = (np.linalg.norm(s.xyz - truth, axis=-1).mean() for s in (found, without))
    assert error < 0.9 * error_without
    spread, spread_without = (lengths_of(s.xyz).std(0).mean() for s in (found, without))
    assert spread < 0.6 * spread_without


def test_the_length_of_an_unseen_forearm_comes_from_its_bones():
    cams, truth = ring(3), person(6)[None]
    xn, weights = observe(cams, truth)
    xn[:, :, 13] = np.nan
    weights[:, :, 13] = 0.0
    # The lifter makes the forearm half as long again.
    wrong = truth.copy()
    wrong[:, 13] += 0.5 * (truth[:, 13] - truth[:, 12])
    lifted = lift(cams, wrong, sigma_m=0.1)
    focal = np.full(3, FOCAL_PX)
    true = lengths_of(truth)[0, FOREARM]
    blunt = solve(cams, focal, xn, weights, CONFIG, BodyPrior(lifted))
    assert lengths_of(blunt.xyz)[0, FOREARM] == pytest.approx(1.5 * true, rel=0.05)
    found = solve(cams, focal, xn, weights, CONFIG, BodyPrior(lifted, known(truth)))
    assert lengths_of(found.xyz)[0, FOREARM] == pytest.approx(true, rel=0.02)
    # Nobody saw the wrist: nothing to learn from.
    assert np.isnan(found.seen_xyz[0, 13]).all() and np.isnan(found.seen_covariance[0, 13]).all()
    np.testing.assert_allclose(np.delete(found.seen_xyz, 13, 1), np.delete(truth, 13, 1), atol=1e-6)
