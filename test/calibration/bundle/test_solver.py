# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Bundle adjustment: exact data, derivatives, what noise and outliers leave, and the covariance."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import least_squares

from geo_pose_ros.calibration.bundle.normal import gauge, normal_equations
from geo_pose_ros.calibration.bundle.residuals import project_with_jacobian
from geo_pose_ros.calibration.bundle.solver import adjust, pose_problem
from geo_pose_ros.calibration.people.tracklets import link_detections
from geo_pose_ros.calibration.people.views import PoseViews, triangulate_views, view_people
from geo_pose_ros.calibration.settings import AdjustConfig, CalibrateConfig
from geo_pose_ros.errors import CalibrationError, ShapeError
from geo_pose_ros.geometry.projection import project, project_world
from geo_pose_ros.geometry.rigid import compose, from_rotation_vector
from geo_pose_ros.types import CameraRig

from ...scenes import intrinsics, ring_rig
from ..walking import START_NS, images, perturbed, pose_errors, walk

FIXED = AdjustConfig(clocks=False)


def views(rig, people, every=4, **how):
    """What the cameras see of ``people``, who is who known, every so many images."""
    recordings = [images(rig, [person], **how) for person in people]
    config = CalibrateConfig()
    seen = [{name: link_detections(k, START_NS, config)[0] for name, k in one.items()} for one in recordings]
    time_s = np.arange(0, len(people[0]), every) / 20.0
    return view_people(seen, rig, time_s)


@pytest.mark.parametrize('model', ['plumb_bob', 'rational_polynomial', 'equidistant'])
def test_projection_and_its_derivatives(model):
    lens = intrinsics(model)
    points = np.random.default_rng(0).uniform((-1, -1, 2), (1, 1, 5), (20, 3))
    px, by_point, by_focal, by_distortion = project_with_jacobian(lens, points)
    np.testing.assert_allclose(px, project(lens, points), atol=1e-9)
    step = 1e-6
    for axis in range(3):
        ahead, behind = points.copy(), points.copy()
        ahead[:, axis] += step
        behind[:, axis] -= step
        slope = (project(lens, ahead) - project(lens, behind)) / (2 * step)
        np.testing.assert_allclose(by_point[..., axis], slope, rtol=1e-5, atol=1e-4)
    K = lens.K.copy()
    K[[0, 1], [0, 1]] *= np.exp(step)
    np.testing.assert_allclose(by_focal, (project(replace(lens, K=K), points) - px) / step, rtol=1e-3, atol=1e-3)
    for k in range(2):
        D = lens.D.copy()
        D[k] += step
        slope = (project(replace(lens, D=D), points) - px) / step
        np.testing.assert_allclose(by_distortion[..., k], slope, rtol=1e-3, atol=1e-3)


def test_exact_keypoints_give_the_exact_rig_and_bones_up_to_scale():
    truth = ring_rig(4)
    start = perturbed(truth, 2.0, 0.05)
    assert pose_errors(start, truth)[0].max() > 1.0
    people = [walk(6.0), walk(6.0, seed=3) * 1.2]
    found = adjust(views(truth, people), start, replace(FIXED, bone_spread=0.01))
    turns, moves, _ = pose_errors(found.rig, truth)
    assert turns.max() < 1e-4
    assert moves.max() < 0.01
    np.testing.assert_allclose(found.bones_m[1] / found.bones_m[0], 1.2, rtol=1e-4)


def test_outliers_do_not_matter_and_are_named():
    truth = ring_rig(4)
    seen = views(truth, [walk(16.0)], every=2, noise_px=1.0, outliers=0.05)
    found = adjust(seen, perturbed(truth, 2.0, 0.05), FIXED)
    turns, moves, _ = pose_errors(found.rig, truth)
    assert turns.max() < 0.06
    assert moves.max() < 3.0
    assert 0.03 < np.mean(found.robust_weight[np.isfinite(found.robust_weight)] < 0.25) < 0.08


def test_clock_offsets():
    truth = ring_rig(4)
    offsets = (0.0, 0.005, -0.009, 0.0125)
    found = adjust(views(truth, [walk(10.0)], offsets_s=offsets), perturbed(truth, 1.0, 0.03), AdjustConfig())
    # One adjustment is linear in time, and people accelerate: some 6 % of an offset is left.
    np.testing.assert_allclose([c.clock.offset_s for c in found.rig.cameras], offsets, atol=1e-3)


def test_focal_length_and_distortion():
    truth = ring_rig(4)
    lens = truth.cameras[0].intrinsics
    K, D = lens.K.copy(), lens.D.copy()
    K[[0, 1], [0, 1]] *= 1.1
    D[0] += 0.05
    start = CameraRig(tuple(replace(camera, intrinsics=replace(lens, K=K, D=D)) for camera in truth.cameras))
    config = replace(FIXED, intrinsics='focal+distortion', bone_spread=0.01)
    found = adjust(views(truth, [walk(12.0, reach_m=2.0)]), start, config)
    for camera in found.rig.cameras:
        assert camera.intrinsics.K[0, 0] == pytest.approx(lens.K[0, 0], rel=0.005)
        np.testing.assert_allclose(camera.intrinsics.D[:2], lens.D[:2], atol=0.03)


def test_the_world_is_free_and_its_seven_directions_are_known():
    """The reduced normal matrix is blind to what ``gauge`` says moves nothing."""
    truth = ring_rig(3)
    config = replace(FIXED, bone_spread=0.0)
    problem = pose_problem(views(truth, [walk(4.0)], every=8), truth, config, None)
    S, _, _ = normal_equations(problem, problem.start).reduced(0.0)
    size = 6 * len(truth)
    G = gauge(problem.start.R, problem.start.t)
    assert np.linalg.matrix_rank(G) == 7
    G = G[problem.free.ravel()]
    change = S[:size, :size] @ G
    assert np.abs(change).max() < 1e-3 * np.abs(S[:size, :size]).max()
    other = np.random.default_rng(0).normal(size=G.shape)
    assert np.abs(S[:size, :size] @ other).max() > 0.1 * np.abs(S[:size, :size]).max()


def test_agrees_with_scipys_least_squares():
    """Without robust loss and bones both minimise the same sum; scipy's has no elimination to get wrong."""
    truth = ring_rig(3)
    seen = views(truth, [walk(2.0)], every=10, noise_px=2.0)
    start = perturbed(truth, 0.5, 0.01)
    found = adjust(seen, start, replace(FIXED, bone_spread=0.0, robust_sigmas=100.0))
    points = triangulate_views(start, seen)

    def moved(x):
        steps = x[: 6 * len(truth)].reshape(-1, 6)
        poses = [
            compose(from_rotation_vector(step[:3], step[3:]), camera.cam_from_world)
            for step, camera in zip(steps, start.cameras, strict=True)
        ]
        return CameraRig(tuple(replace(c, cam_from_world=p) for c, p in zip(start.cameras, poses, strict=True)))

    def residuals(x):
        xyz = points + x[6 * len(truth) :].reshape(points.shape)
        px = np.stack([project_world(camera, xyz) for camera in moved(x).cameras])
        return ((px - seen.xy) * seen.weight[..., None]).ravel()

    solved = least_squares(residuals, np.zeros(6 * len(truth) + points.size), method='trf', x_scale='jac', max_nfev=20)
    turns, moves, _ = pose_errors(found.rig, moved(solved.x))
    assert turns.max() < 0.01
    assert moves.max() < 1.0


def test_claimed_deviations_are_of_the_size_of_the_errors():
    truth = ring_rig(4)
    seen = views(truth, [walk(20.0)], noise_px=3.0, every=2)
    found = adjust(seen, perturbed(truth, 1.0, 0.03), FIXED)
    turns, moves, _ = pose_errors(found.rig, truth)
    assert 0.3 < np.sqrt(np.mean((np.radians(turns) / found.sigma_rotation_rad) ** 2)) < 2.0
    assert 0.3 < np.sqrt(np.mean((moves / 1e3 / found.sigma_position_m) ** 2)) < 2.0
    # Half of the data: surely less sure.
    few = adjust(seen.select(np.arange(len(seen)) % 2 == 0), found.rig, FIXED)
    assert 1.15 < few.sigma_rotation_rad.mean() / found.sigma_rotation_rad.mean() < 2.5


def test_errors_that_last_are_not_taken_for_many():
    """Every keypoint repeated five times in time must not make the rig surer."""
    truth = ring_rig(4)
    seen = views(truth, [walk(12.0)], noise_px=3.0)
    order = np.repeat(np.arange(len(seen)), 5)
    repeated = PoseViews(
        seen.time_s[order] + np.tile(np.arange(5) * 0.01, len(seen)), seen.person[order], seen.xy[:, order],
        seen.velocity[:, order], seen.weight[:, order],
    )
    once, often = (adjust(v, truth, FIXED) for v in (seen, repeated))
    assert often.sigma_rotation_rad.mean() > 0.75 * once.sigma_rotation_rad.mean()


def test_nothing_in_common_and_wrong_shapes_are_refused():
    rig = ring_rig(2)
    with pytest.raises(CalibrationError, match='Not one joint is seen by two cameras'):
        adjust(views(rig, [walk(4.0)]).without(0), rig, FIXED)
    with pytest.raises(ShapeError, match=r'PoseViews: received 2 times'):
        PoseViews(np.zeros(2), np.zeros(1, int), np.zeros((1, 2, 17, 2)), np.zeros((1, 2, 17, 2)), np.zeros((1, 2, 17)))
