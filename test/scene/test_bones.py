# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Bone lengths of tracked bodies: what is learned, how sure it is, when it is given up, and what the solver does."""


import json

import numpy as np
import pytest

from geo_pose_ros.errors import ConfigError
from geo_pose_ros.fusion.prior import BodyPrior, BonePrior
from geo_pose_ros.fusion.solver import solve
from geo_pose_ros.ros.settings import NodeConfig
from geo_pose_ros.scene.bones import BoneLengths, read_people
from geo_pose_ros.settings import build as config_of
from geo_pose_ros.simulation.scenario import Scenario, build
from geo_pose_ros.simulation.simulate import run
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


def file_of(folder, **people):
    path = folder / 'people.json'
    path.write_text(json.dumps({'people': people}))
    return str(path)


def lengths_in(xyz):
    return {'lengths_m': dict(zip(BODY17.bones, lengths_of(xyz).tolist(), strict=True))}


def test_the_only_known_person_is_everybody_who_is_not_seen_to_be_another(tmp_path):
    body = person(1)
    bones = BoneLengths(people=file_of(tmp_path, anna=lengths_in(body)))
    for ids in ([-1], [7]):
        prior = bones.prior(np.array(ids))
        np.testing.assert_allclose(prior.length[0], lengths_of(body))
        np.testing.assert_allclose(prior.variance[0], (0.02 * lengths_of(body)) ** 2)
    feed(bones, 1.3 * body[None], 7, 50)
    np.testing.assert_allclose(bones.prior(np.array([7])).length[0], 1.3 * lengths_of(body), atol=0.002)


def test_of_several_known_people_somebody_is_who_has_the_same_lengths(tmp_path):
    body = person(1)
    bones = BoneLengths(people=file_of(tmp_path, anna=lengths_in(body), ben=lengths_in(1.2 * body)))
    assert bones.prior(np.array([7])) is None
    # The forearm is not seen, but ben's is known.
    seen = 1.2 * body[None]
    seen[:, 13] = np.nan
    feed(bones, seen, 7, 50)
    np.testing.assert_allclose(bones.prior(np.array([7])).length[0, FOREARM], 1.2 * lengths_of(body)[FOREARM])


def test_a_stature_gives_the_lengths_of_limbs(tmp_path):
    [[length, sigma]] = read_people(file_of(tmp_path, child={'stature_m': 1.2}))
    assert length[FOREARM] == pytest.approx(0.146 * 1.2) and sigma[FOREARM] == pytest.approx(0.05 * 0.146 * 1.2)
    assert (length > 0.0).sum() == 8 and not sigma[length == 0.0].any()


@pytest.mark.parametrize(('people', 'message'), [
    ({}, 'expected people'), ({'anna': {'lengths_m': {}}}, 'expected people'),
    ({'anna': {'stature_m': 162}}, 'expected people'), ({'anna': {'lengths_m': {'tail': 0.3}}}, 'is not what .*tail'),
    ({'anna': 1.62}, 'is not what'), ({'anna': {}}, 'stature_m'),
    ({'anna': {'lengths_m': {'left_hip-left_knee': 0.4, 'left_knee-left_ankle': np.nan}}}, 'expected people'),
], ids=['nobody', 'no bones', 'centimetres', 'no such bone', 'a number', 'nothing', 'not a number'])
def test_a_file_that_names_no_people_is_refused(tmp_path, people, message):
    with pytest.raises(ConfigError, match=message):
        read_people(file_of(tmp_path, **people))


def test_a_file_of_people_that_is_missing_is_named():
    with pytest.raises(ConfigError, match=r"people: 'nowhere\.json' cannot be read"):
        BoneLengths(people='nowhere.json')


def test_one_camera_places_a_known_person_by_the_bones_of_an_earlier_session(tmp_path):
    world = build(Scenario(cameras=1, people=1, duration_s=0.4, seed=3))
    truth = np.concatenate([world.truth(int(stamp)) for stamp in world.cameras[0].stamp_ns])
    anna = dict(zip(BODY17.bones, lengths_of(truth).mean(0).tolist(), strict=True))

    def distance_error(**settings) -> float:
        sets = run(world, config_of(NodeConfig, settings)).sets
        off = [s.bodies.xyz[0].mean(0) - world.truth(s.stamp_ns)[0].mean(0) for s in sets if len(s.bodies)]
        return float(np.linalg.norm(np.mean(off, 0)))

    known = distance_error(**{'pipeline.tracking.people': file_of(tmp_path, anna={'lengths_m': anna})})
    assert known < 0.6 * distance_error()
