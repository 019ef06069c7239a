# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The solver: robust triangulation without lifted poses, the lifted pose at its root with one view, both in between."""

import dataclasses

import numpy as np
import pytest
from scipy.optimize import least_squares

from geo_pose_ros.errors import ShapeError
from geo_pose_ros.fusion.kernels.lifted import read_prior
from geo_pose_ros.fusion.prior import BodyPrior, BonePrior, LiftedViews
from geo_pose_ros.fusion.settings import SolverConfig
from geo_pose_ros.fusion.solver import model_table, prior_table, solve
from geo_pose_ros.fusion.views import Noise
from geo_pose_ros.geometry.rigid import transform_points
from geo_pose_ros.geometry.stats import INSIDE_95, distance2
from geo_pose_ros.geometry.virtual_camera import look_at
from geo_pose_ros.skeleton import BODY17

from ..scenes import person
from .reference import prior_of, solve_body

FOCAL_PX = 1000.0
SIGMA_PX = 4.0
CONFIG = SolverConfig()
LEFT_ARM = [11, 12, 13]
# Of two bodies in two views.
TOO_MANY = LiftedViews(np.zeros((2, 2, 17, 3)), np.zeros((2, 2, 17)), np.zeros((2, 2, 3)), np.zeros((2, 2, 3)))


def ring(cameras: int) -> np.ndarray:
    angle = 2.0 * np.pi * np.arange(cameras) / max(cameras, 3) + 0.3
    position = np.stack([4.0 * np.cos(angle), 4.0 * np.sin(angle), 1.6 + 0.2 * (np.arange(cameras) % 3)], 1)
    return look_at(position, np.tile([0.0, 0.0, 1.0], (cameras, 1)), np.array([0.0, 0.0, 1.0]))


def crowd(bodies: int) -> np.ndarray:
    return np.stack([person(b, (0.3 * b, -0.2 * b), 0.7 * b) for b in range(bodies)])


def observe(cams: np.ndarray, xyz: np.ndarray, noise_px: float = 0.0, seed: int = 0):
    """Normalised keypoints (C, B, J, 2) and weights (C, B, J)."""
    local = np.stack([transform_points(cam, xyz) for cam in cams])
    noise = np.random.default_rng(seed).normal(0.0, noise_px, (*local.shape[:-1], 2))
    return local[..., :2] / local[..., 2:] + noise / FOCAL_PX, np.full(local.shape[:-1], 1.0 / SIGMA_PX)


def lift(cams: np.ndarray, xyz: np.ndarray, error_m: np.ndarray | float = 0.0, sigma_m: float = 0.03) -> LiftedViews:
    """What a lifter would say: the truth plus ``error_m`` (C, B, J, 3) in the camera frame, in the world's axes."""
    R = cams[:, None, :, :3]
    local = np.stack([transform_points(cam, xyz) for cam in cams]) + error_m
    root = local[:, :, 0]
    axis = root / np.linalg.norm(root, axis=-1, keepdims=True)
    world = (local - cams[:, None, None, :, 3]) @ R
    return LiftedViews(
        world - world[:, :, :1], np.full(local.shape[:-1], sigma_m), world[:, :, 0], (axis[..., None, :] @ R)[:, :, 0]
    )


def run(cams, xn, weights, lifted=None, config=CONFIG, shared=0.0, level=1.0, persistent=0.0, **known):
    noise = Noise(level, np.ones(len(cams)), np.broadcast_to(shared, len(cams)), persistent)
    return solve(cams, np.full(len(cams), FOCAL_PX), xn, weights, config, BodyPrior(lifted, **known), noise)


@pytest.mark.parametrize(('cameras', 'bodies'), [(2, 1), (4, 1), (4, 3), (12, 8)])
@pytest.mark.parametrize('lifted', [False, True])
def test_exact_keypoints_give_the_exact_joints(cameras, bodies, lifted):
    cams, truth = ring(cameras), crowd(bodies)
    found = run(cams, *observe(cams, truth), lift(cams, truth) if lifted else None)
    np.testing.assert_allclose(found.xyz, truth, atol=1e-6)
    assert (found.num_views == cameras).all()
    np.testing.assert_allclose(found.residual_px, 0.0, atol=1e-3)


def test_without_lifter_it_agrees_with_reprojection_refinement():
    cams, truth = ring(4), crowd(2)
    xn, weights = observe(cams, truth, noise_px=2.0)
    found = run(cams, xn, weights, config=SolverConfig(robust_sigmas=100.0, iterations=10))
    for body, joint in np.ndindex(2, 17):
        def residual(xyz, body=body, joint=joint):
            local = cams[:, :, :3] @ xyz + cams[:, :, 3]
            error_px = FOCAL_PX * (local[:, :2] / local[:, 2:] - xn[:, body, joint])
            return (weights[:, body, joint, None] * error_px).ravel()

        reference = least_squares(residual, truth[body, joint])
        np.testing.assert_allclose(found.xyz[body, joint], reference.x, atol=2e-4)
        covariance = np.linalg.inv(reference.jac.T @ reference.jac)
        np.testing.assert_allclose(found.covariance[body, joint], covariance, rtol=0.02, atol=1e-6)


def test_a_gross_outlier_is_not_believed():
    cams, truth = ring(4), crowd(1)
    xn, weights = observe(cams, truth)
    xn[2, 0, 13] += 0.15
    found = run(cams, xn, weights)
    assert np.linalg.norm(found.xyz - truth, axis=-1).max() < 0.005
    assert not found.inlier[2, 0, 13]
    assert found.num_views[0, 13] == 3
    assert found.residual_px[2, 0, 13] > 100.0


def test_a_joint_of_one_view_is_nan_without_lifter_and_complete_with_it():
    cams, truth = ring(3), crowd(1)
    xn, weights = observe(cams, truth)
    xn[1:, 0, 13] = np.nan
    bare, full = run(cams, xn, weights), run(cams, xn, weights, lift(cams, truth))
    assert np.isnan(bare.xyz[0, 13]).all()
    assert np.isnan(bare.covariance[0, 13]).all()
    assert bare.num_views[0, 13] == 0
    assert np.isfinite(np.delete(bare.xyz[0], 13, 0)).all()
    np.testing.assert_allclose(full.xyz, truth, atol=1e-5)
    assert full.num_views[0, 13] == 1


def test_parallel_rays_determine_nothing():
    cams = np.repeat(ring(1), 2, 0)
    xn, weights = observe(cams, crowd(1))
    assert np.isnan(run(cams, xn, weights).xyz).all()


def test_nothing_seen_and_nobody():
    cams = ring(2)
    xn = np.full((2, 1, 17, 2), np.nan)
    nan = np.full((2, 1, 17, 3), np.nan)
    nowhere = LiftedViews(nan, nan[..., 0], nan[:, :, 0], nan[:, :, 0])
    for lifted in (None, nowhere):
        found = run(cams, xn, np.ones((2, 1, 17)), lifted)
        assert np.isnan(found.xyz).all()
        assert (found.num_views == 0).all()
        assert (found.robust_weight == 0.0).all()
    nobody = np.zeros((2, 0, 17, 2)), np.zeros((2, 0, 17))
    assert run(cams, *nobody).xyz.shape == (0, 17, 3)
    none = np.zeros((2, 0, 17, 3))
    lifted = LiftedViews(none, none[..., 0], none[:, :, 0], none[:, :, 0])
    assert run(cams, *nobody, lifted).xyz.shape == (0, 17, 3)


def test_one_camera_is_the_lifted_pose_at_its_absolute_root():
    cams, truth = ring(1), crowd(2)
    error = np.random.default_rng(3).normal(0.0, 0.02, (1, 2, 17, 3))
    lifted = lift(cams, truth, error)
    found = run(cams, *observe(cams, truth, noise_px=1.0), lifted)
    np.testing.assert_allclose(found.xyz - found.xyz[:, :1], lifted.pose[0], atol=0.12)
    relative = np.linalg.norm(found.xyz - found.xyz[:, :1] - truth + truth[:, :1], axis=-1).mean()
    alone = np.linalg.norm(lifted.pose[0] - lift(cams, truth).pose[0], axis=-1).mean()
    assert relative < 1.02 * alone
    assert np.linalg.norm(found.xyz[:, 0] - truth[:, 0], axis=-1).max() < 0.25
    # and it knows that it does not know the distance
    along = np.linalg.eigvalsh(found.covariance[0, 0])
    assert np.sqrt(along[2]) > 5.0 * np.sqrt(along[0])


def test_two_cameras_with_an_occluded_arm_give_the_lifted_arm_in_its_place():
    cams, truth = ring(2), crowd(1)
    xn, weights = observe(cams, truth, noise_px=2.0)
    xn[:, :, LEFT_ARM] = np.nan
    # The lifter errs by a rotation of 10 degrees about the vertical and a scale of 4 %, which the rest reveals.
    local = lift(cams, truth)
    c, s = np.cos(0.17), np.sin(0.17)
    turned = 1.04 * local.pose @ np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]]).T
    found = run(cams, xn, weights, dataclasses.replace(local, pose=turned))
    assert np.isfinite(found.xyz).all()
    assert (found.num_views[0, LEFT_ARM] == 0).all()
    blunt = np.linalg.norm(turned[0, 0, LEFT_ARM] - local.pose[0, 0, LEFT_ARM], axis=-1)
    assert np.linalg.norm(found.xyz[0, LEFT_ARM] - truth[0, LEFT_ARM], axis=-1).max() < 0.04 < blunt.max()
    spread = np.trace(found.covariance[0], axis1=-2, axis2=-1)
    assert spread[LEFT_ARM].min() > 2.0 * np.delete(spread, LEFT_ARM).max()


def test_a_body_without_lifted_pose_beside_one_with_it():
    cams, truth = ring(2), crowd(2)
    xn, weights = observe(cams, truth)
    xn[:, :, LEFT_ARM] = np.nan
    lifted = lift(cams, truth)
    lifted.pose[:, 1], lifted.root[:, 1] = np.nan, np.nan
    found = run(cams, xn, weights, lifted)
    np.testing.assert_allclose(found.xyz[0], truth[0], atol=1e-5)
    assert np.isnan(found.xyz[1, LEFT_ARM]).all()
    np.testing.assert_allclose(np.delete(found.xyz[1], LEFT_ARM, 0), np.delete(truth[1], LEFT_ARM, 0), atol=1e-5)


@pytest.mark.parametrize('lifted', [False, True])
def test_covariance_matches_the_error(lifted):
    rng = np.random.default_rng(4)
    bodies = 300
    cams, truth = ring(3), np.repeat(crowd(1), bodies, 0)
    xn, weights = observe(cams, truth, noise_px=SIGMA_PX, seed=5)
    prior = None
    config = SolverConfig(robust_sigmas=100.0, lifter_across=1.0, lifter_along=2.0, lifter_rotation_rad=0.0,
                          lifter_scale=0.0)
    if lifted:
        # one lifted view, errors as the model has them: sigma across, twice that along the view axis
        clean = lift(cams, truth, sigma_m=0.02)
        error = rng.normal(0.0, 0.02, clean.pose.shape)
        axis = clean.axis[..., None, :]
        along = (error * axis).sum(-1, keepdims=True) * axis
        pose = clean.pose + error + along
        pose[1:] = np.nan
        prior = dataclasses.replace(clean, pose=pose)
    found = run(cams, xn, weights, prior, config)
    assert distance2(found.xyz - truth, found.covariance).mean() == pytest.approx(3.0, abs=0.15)
    np.testing.assert_allclose(found.covariance, np.swapaxes(found.covariance, -1, -2), atol=1e-12)


def test_marginalising_the_shared_errors_equals_inverting_the_full_covariance():
    cams, truth = ring(2), crowd(1)
    lifted = lift(cams, truth, np.random.default_rng(6).normal(0.0, 0.05, (2, 1, 17, 3)))
    expected = np.zeros((51, 51))
    for pose, axis in zip(lifted.pose[:, 0], lifted.axis[:, 0], strict=True):
        joint = CONFIG.lifter_across**2 * np.eye(3)
        joint += (CONFIG.lifter_along**2 - CONFIG.lifter_across**2) * np.outer(axis, axis)
        covariance = np.kron(np.eye(17), 0.03**2 * joint)
        arm = pose - pose.mean(0)
        modes = [np.tile(e, 17) * 1e3 for e in np.eye(3)]
        modes += [CONFIG.lifter_rotation_rad * np.cross(e, arm).ravel() for e in np.eye(3)]
        modes.append(CONFIG.lifter_scale * arm.ravel())
        covariance += sum(np.outer(m, m) for m in modes)
        expected += np.linalg.inv(covariance) / np.sqrt(2.0)
    known = read_prior(prior_table(BodyPrior(lifted), 17), model_table(CONFIG, None, 2), 0)
    np.testing.assert_allclose(dense(known), expected, atol=2e-2, rtol=1e-3)
    np.testing.assert_allclose(dense(known), prior_of(BodyPrior(lifted), CONFIG)[0], atol=1e-7)


def dense(known) -> np.ndarray:
    """Return the information (3J, 3J) of the kernels' ``Gaussian``."""
    total = np.zeros((len(known.right), len(known.right)))
    for j, six in enumerate(known.own):
        total[3 * j:3 * j + 3, 3 * j:3 * j + 3] = six[np.array([[0, 1, 2], [1, 3, 4], [2, 4, 5]])]
    negative = 7 * known.lifted
    return total - known.columns[:, :negative] @ known.columns[:, :negative].T + (
        known.columns[:, negative:] @ known.columns[:, negative:].T
    )


@pytest.mark.parametrize('shared', [0.0, 0.003], ids=['own', 'shared'])
@pytest.mark.parametrize('known', ['nothing', 'lifted', 'everything', 'not lifted', 'bones'])
@pytest.mark.parametrize('cameras', [1, 2, 4])
def test_it_agrees_with_dense_matrices(cameras, known, shared):
    rng = np.random.default_rng(cameras)
    cams, truth = ring(cameras), crowd(1)
    xn, weights = observe(cams, truth, noise_px=3.0, seed=cameras)
    weights *= rng.uniform(0.5, 1.0, weights.shape)
    xn[rng.random(weights.shape) < 0.1] = np.nan
    xn[rng.random(weights.shape) < 0.05] += 0.1
    if known in ('not lifted', 'bones'):
        # Otherwise a joint of one view hangs on bones alone, and rounding decides.
        xn[np.isnan(xn)] = 0.0
    prior = {} if known in ('nothing', 'bones') else {
        'lifted': lift(cams, truth, rng.normal(0.0, 0.03, (cameras, 1, 17, 3)))
    }
    if known == 'not lifted':
        prior['lifted'].pose[:] = np.nan
    if known not in ('nothing', 'lifted'):
        bones = np.linalg.norm(np.diff(truth[:, np.array(BODY17.edges)], axis=2)[:, :, 0], axis=-1)
        unknown = np.arange(16) == 5
        prior |= {
            'bones': BonePrior(np.where(unknown, 0.0, 1.03 * bones), np.where(unknown, np.inf, np.full((1, 16), 1e-4))),
            'centre': truth.mean(1) + 0.02, 'centre_variance': np.full(1, 0.01),
            'displacement': rng.normal(0.0, 0.02, (cameras, 1, 17, 3)),
        }
    found = run(cams, xn, weights, shared=shared, level=1.3, persistent=0.3, **prior)
    noise = Noise(1.3, np.ones(cameras), np.full(cameras, shared), 0.3)
    focal_px = np.full(cameras, FOCAL_PX)
    wanted = solve_body(cams, focal_px, xn[:, 0], weights[:, 0], CONFIG, BodyPrior(**prior), noise)
    for name, value in wanted.items():
        ours = getattr(found, name)
        ours = ours[:, 0] if name in ('residual_px', 'robust_weight', 'inlier') else ours[0]
        if name == 'random_covariance':
            value, ours = (np.where(np.isfinite(wanted['covariance']), v, 0.0) for v in (value, ours))
        np.testing.assert_allclose(ours, value, atol=1e-7, rtol=1e-6, err_msg=name)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'xn': np.zeros((2, 1, 17, 3))}, 'expected \\(C, 3, 4\\)'),
        ({'weights': np.zeros((3, 1, 17))}, 'expected \\(C, 3, 4\\)'),
        ({'focal_px': np.zeros(3)}, 'expected \\(C, 3, 4\\)'),
        ({'prior': BodyPrior(TOO_MANY)}, 'received lifted poses'),
    ],
)
def test_arrays_that_do_not_agree_are_refused(change, message):
    cams = ring(2)
    xn, weights = observe(cams, crowd(1))
    arguments = {'cam_from_world': cams, 'focal_px': np.full(2, FOCAL_PX), 'xn': xn, 'weights': weights,
                 'config': CONFIG} | change
    with pytest.raises(ShapeError, match=message):
        solve(**arguments)


@pytest.mark.parametrize('lifted', [False, True])
@pytest.mark.parametrize('cameras', [3, 6])
def test_what_all_joints_of_a_view_share_is_in_the_covariance(cameras, lifted):
    """Views are off by 6 px, the same for all joints, under keypoints with noise of 2 px."""
    rng, bodies, shared_px, own_px = np.random.default_rng(9), 400, 6.0, 2.0
    cams, truth = ring(cameras), np.repeat(crowd(1), bodies, 0)
    xn, _ = observe(cams, truth, noise_px=own_px, seed=10)
    xn = xn + rng.normal(0.0, shared_px / FOCAL_PX, (cameras, bodies, 1, 2))
    weights = np.full(xn.shape[:-1], 1.0 / np.hypot(own_px, shared_px))
    config = SolverConfig(robust_sigmas=100.0)
    prior = lift(cams, truth, rng.normal(0.0, 0.06, (*xn.shape[:-1], 3)), sigma_m=0.06) if lifted else None
    found = run(cams, xn, weights, prior, config, shared=shared_px / FOCAL_PX)
    error = found.xyz - truth
    assert 0.92 < (distance2(error, found.covariance) < INSIDE_95).mean() < 0.985
    # The middle of the body errs as the joints do: what is shared does not average out.
    covariance = (found.covariance - found.random_covariance).mean(1) + found.random_covariance.mean(1) / 17.0
    assert 0.90 < (distance2(error.mean(1), covariance) < INSIDE_95).mean() < 0.99
    # Most of the variance is what views share, so that little of it is new in every set.
    assert np.trace(found.random_covariance, axis1=-2, axis2=-1).mean() < 0.4 * np.trace(
        found.covariance, axis1=-2, axis2=-1).mean()


def test_the_distance_of_a_body_that_one_view_sees_comes_from_its_prediction():
    """The lifter takes the body for one a tenth smaller and nearer."""
    cams, truth = ring(1), crowd(1)
    xn, weights = observe(cams, truth)
    centre = -cams[0, :, :3].T @ cams[0, :, 3]
    near = lift(cams, centre + 0.9 * (truth - centre))
    place = truth.mean(1)
    alone = run(cams, xn, weights, near)
    told = run(cams, xn, weights, near, centre=place, centre_variance=np.array([0.01**2]))
    away = np.linalg.norm(place - centre)
    assert np.linalg.norm(alone.xyz.mean(1) - place) > 0.05 * away
    assert np.linalg.norm(told.xyz.mean(1) - place) < 0.01 * away
    # A place that is not to be relied upon, or unknown, changes nothing.
    for where, variance in ((place, np.inf), (np.full((1, 3), np.nan), 0.01)):
        same = run(cams, xn, weights, near, centre=where, centre_variance=np.array([variance]))
        np.testing.assert_allclose(same.xyz, alone.xyz, atol=1e-4)


def test_a_joint_whose_views_contradict_each_other_is_doubted():
    """Two views of a wrist with a lifted pose, one of them 0.3 m beside it."""
    cams, truth = ring(2), crowd(1)
    xn, weights = observe(cams, truth)
    lifted = lift(cams, truth)
    sure = run(cams, xn, weights, lifted)
    depth = transform_points(cams[1], truth)[0, 13, 2]
    xn[1, 0, 13, 0] += 0.3 / depth
    torn = run(cams, xn, weights, lifted)
    off = np.linalg.norm(torn.xyz[0, 13] - truth[0, 13])
    sigma = np.sqrt(np.trace(torn.covariance[0, 13]) / 3.0)
    assert torn.num_views[0, 13] < 2
    assert sigma > 0.15 and off < 2.8 * sigma
    np.testing.assert_allclose(np.delete(torn.covariance[0], 13, 0), np.delete(sure.covariance[0], 13, 0), rtol=0.05)
    # Against three that agree, one counts for nothing.
    cams = ring(4)
    xn, weights = observe(cams, truth)
    before = run(cams, xn, weights).covariance[0, 13]
    xn[3, 0, 13, 0] += 0.3 / depth
    assert np.trace(run(cams, xn, weights).covariance[0, 13]) < 4.0 * np.trace(before)
