# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The lifter at run time: one batch, cameras' frames, absolute roots, and models that do not fit."""

import contextlib
import shutil
from pathlib import Path

import numpy as np
import pytest

from geo_pose_ros.errors import BackendError, ShapeError
from geo_pose_ros.geometry.projection import normalize
from geo_pose_ros.inference.model_card import default_model
from geo_pose_ros.lifting.canonical import canonical_poses, within_range
from geo_pose_ros.lifting.lifter import PoseLifter
from geo_pose_ros.lifting.settings import LifterConfig
from geo_pose_ros.skeleton import BODY17

from ..inference import onnx_models
from ..scenes import keypoints, person, ring_rig


@pytest.fixture(scope='module')
def lifter():
    loaded = PoseLifter(LifterConfig())
    yield loaded
    loaded.close()


def views(cameras=4, bodies=2):
    rig = ring_rig(cameras)
    people = [person(b, (0.4 * b, 0.2), 0.9 * b) for b in range(bodies)]
    seen = keypoints(rig, people)
    xn = np.stack([normalize(c.intrinsics, seen[c.name].xy) for c in rig.cameras])
    local = np.stack([np.stack(people) @ c.cam_from_world[:, :3].T + c.cam_from_world[:, 3] for c in rig.cameras])
    return xn, np.ones(xn.shape[:-1]), local


def up_in_cam(cameras=4):
    """Return the unit vectors (C, 3) of the world's up in the cameras of ``views``."""
    return np.stack([c.cam_from_world[:, 2] for c in ring_rig(cameras).cameras])


def test_the_shipped_model_lifts_a_standing_person(lifter):
    xn, confidence, local = views()
    lifted = lifter.lift(xn, confidence, up_in_cam=up_in_cam())
    assert lifter.provider == 'CPUExecutionProvider'
    assert (np.abs(lifted.pose[:, :, 0]) < 1e-6).all()
    error = np.linalg.norm(lifted.pose - local + local[:, :, :1], axis=-1)
    assert error.mean() < 0.15
    assert np.linalg.norm(lifted.root - local[:, :, 0], axis=-1).max() < 1.0
    # The root puts the pose where the camera sees it.
    placed = lifted.pose + lifted.root[:, :, None]
    assert np.abs(placed[..., :2] / placed[..., 2:] - xn).mean() < 0.02
    assert (lifted.sigma > 0.0).all()


def test_a_batch_gives_what_single_views_give(lifter):
    xn, confidence, _ = views()
    up = up_in_cam()
    together = lifter.lift(xn, confidence, up_in_cam=up)
    for c, b in np.ndindex(4, 2):
        alone = lifter.lift(xn[c : c + 1, b : b + 1], confidence[c : c + 1, b : b + 1], up_in_cam=up[c : c + 1])
        np.testing.assert_allclose(alone.pose[0, 0], together.pose[c, b], atol=1e-5)
        np.testing.assert_allclose(alone.root[0, 0], together.root[c, b], atol=1e-4)
        np.testing.assert_allclose(alone.sigma[0, 0], together.sigma[c, b], rtol=1e-4)


def test_a_turned_camera_turns_the_pose(lifter):
    """A rotation about the camera's centre that keeps the person's ray upright changes only the frame."""
    xn, confidence, _ = views(1, 1)
    up = up_in_cam(1)
    first = lifter.lift(xn, confidence, up_in_cam=up)
    c, s = np.cos(0.2), np.sin(0.2)
    turn = np.array([[1.0, 0.0, 0.0], [0.0, c, -s], [0.0, s, c]])
    rays = np.concatenate([xn, np.ones_like(xn[..., :1])], -1) @ turn.T
    second = lifter.lift(rays[..., :2] / rays[..., 2:], confidence, up_in_cam=up @ turn.T)
    np.testing.assert_allclose(second.pose, first.pose @ turn.T, atol=0.02)
    np.testing.assert_allclose(second.root, first.root @ turn.T, atol=0.1)


def test_unseen_joints_are_left_to_the_lifter_and_views_with_too_few_are_nan(lifter):
    xn, confidence, _ = views(2, 2)
    xn[0, 0, 11:14] = np.nan
    confidence[1, 1, 3:] = 0.0
    up = up_in_cam(2)
    lifted = lifter.lift(xn, confidence, up_in_cam=up)
    assert np.isfinite(lifted.pose[0]).all()
    assert all(np.isnan(values[1, 1]).all() for values in (lifted.pose, lifted.root, lifted.sigma))
    nothing = lifter.lift(np.full((2, 1, 17, 2), np.nan), np.zeros((2, 1, 17)), up_in_cam=up)
    assert np.isnan(nothing.pose).all()
    empty = lifter.lift(np.zeros((2, 0, 17, 2)), np.zeros((2, 0, 17)), up_in_cam=up)
    assert empty.pose.shape == (2, 0, 17, 3)


@pytest.mark.parametrize(
    ('xn', 'confidence'), [((2, 1, 17, 3), (2, 1, 17)), ((2, 1, 5, 2), (2, 1, 5)), ((17, 2), (17,))]
)
def test_wrong_shapes_are_refused(lifter, xn, confidence):
    with pytest.raises(ShapeError, match=r'expected \(C, B, 17, 2\)'):
        lifter.lift(np.zeros(xn), np.zeros(confidence))


def shipped(path: Path, **card) -> Path:
    """Return a copy of the shipped lifter, with a card of its own if anything of it is given."""
    shutil.copy(default_model(), path)
    return onnx_models.with_card(path, **card) if card else path


@pytest.mark.parametrize(('make', 'settings', 'message'), [
    (lambda path: shipped(path, receptive_field=27, rate_hz=30.0), {},
     r'looks at 27 frames around the one it lifts; .* model.causal true'),
    (lambda path: shipped(path, skeleton='coco17', root_joint='nose'), {}, r'lifts coco17, the pipeline body17'),
    (lambda path: onnx_models.with_card(onnx_models.double(path)), {},
     r'takes x float32 \(any, 3\), its card says pose2d'),
    (lambda path: path, {}, 'does not exist'),
    (shipped, {}, 'has no card'),
    (onnx_models.gravity_lifter, {'up': 'none'}, r"which way is up, but lifter.up is 'none'; name the axis"),
    (lambda path: onnx_models.temporal_lifter(path, 1), {'floor': True, 'up': 'none'},
     r"lifter.floor needs to know which way is up, but lifter.up is 'none'"),
], ids=['looks ahead', 'skeleton', 'input', 'missing', 'no card', 'gravity', 'floor'])
def test_models_and_settings_that_do_not_fit_are_refused(tmp_path, make, settings, message):
    with pytest.raises(BackendError, match=message):
        PoseLifter(LifterConfig(model=str(make(tmp_path / 'model.onnx')), **settings))


def test_a_causal_model_of_several_frames_gets_windows(tmp_path):
    model = onnx_models.temporal_lifter(tmp_path / 'temporal.onnx', 3)
    xn, confidence, _ = views()
    made = canonical_poses(xn, confidence)
    turn = made.view_from_cam
    with contextlib.closing(PoseLifter(LifterConfig(model=str(model)))) as lifter:
        repeated = lifter.lift(xn, confidence)
        np.testing.assert_allclose(repeated.pose, made.pose2d @ turn, atol=1e-6)
        windowed = lifter.lift(xn, confidence, lambda poses: np.stack([0.0 * poses, 0.0 * poses, poses], 2))
        np.testing.assert_allclose(windowed.pose, made.pose2d @ turn / 3.0, atol=1e-6)
    np.testing.assert_allclose(windowed.sigma, 0.5)


@pytest.fixture
def gravity_model(tmp_path):
    return onnx_models.gravity_lifter(tmp_path / 'gravity.onnx')


def test_a_model_that_knows_gravity_gets_upright_poses_and_the_view(gravity_model):
    xn, confidence, _ = views()
    cam_from_world = np.stack([c.cam_from_world for c in ring_rig(4).cameras])
    with contextlib.closing(PoseLifter(LifterConfig(model=str(gravity_model)))) as lifter:
        up = lifter.up_in_cam(cam_from_world)
        np.testing.assert_allclose(up, cam_from_world[:, :, 2])
        lifted = lifter.lift(xn, confidence, up_in_cam=up)
        # Rows that hold views of several cameras.
        camera = np.array([[2], [0], [3], [1]]).repeat(xn.shape[1], 1)
        body = np.arange(xn.shape[1])
        mixed = lifter.lift(
            xn[camera, body], confidence[camera, body], up_in_cam=lifter.up_in_cam(cam_from_world[camera])
        )
        np.testing.assert_array_equal(mixed.pose, lifted.pose[camera, body])
        with pytest.raises(BackendError, match=r"has to know which way is up: give up_in_cam \(C, 3\)"):
            lifter.lift(xn, confidence)
    made = canonical_poses(xn, confidence, up[:, None])
    expected = made.pose2d.copy()
    expected[:, :, 1] = 0.0
    expected[:, :, 1, :2] = made.view
    np.testing.assert_allclose(lifted.pose, expected @ made.view_from_cam, atol=1e-6)


def test_a_floor_places_a_person_and_known_bones_do(tmp_path):
    rig = ring_rig(4)
    cam_from_world = np.stack([c.cam_from_world for c in rig.cameras])
    standing = person(0, (0.3, 0.2), 0.4)
    standing[:, 2] += 0.09 - standing[[3, 6], 2].min()
    seen = keypoints(rig, [standing])
    xn = np.stack([normalize(c.intrinsics, seen[c.name].xy) for c in rig.cameras])
    confidence = np.ones(xn.shape[:-1])
    true = cam_from_world[..., :3] @ standing[0] + cam_from_world[..., 3]
    parents, children = np.array(BODY17.edges).T
    lengths = np.linalg.norm(standing[children] - standing[parents], axis=-1)[None]

    def off(lifted):
        return np.linalg.norm(lifted.root[:, 0] - true, axis=-1).mean()

    with contextlib.closing(PoseLifter(LifterConfig(floor=True))) as lifter:
        up, height_m = lifter.up_in_cam(cam_from_world), lifter.height_m(cam_from_world)
        np.testing.assert_allclose(height_m, [c.position_m[2] for c in rig.cameras])
        alone = lifter.lift(xn, confidence, up_in_cam=up)
        placed = lifter.lift(xn, confidence, up_in_cam=up, height_m=height_m)
        known = lifter.lift(xn, confidence, up_in_cam=up, lengths=lengths)
    assert off(placed) < 0.5 * off(alone)
    # Pose and root are scaled alike by bones.
    scale = np.linalg.norm(known.pose, axis=-1).sum((-1, -2)) / np.linalg.norm(alone.pose, axis=-1).sum((-1, -2))
    np.testing.assert_allclose(known.root, alone.root * scale[:, None, None], rtol=1e-6)
    model = onnx_models.temporal_lifter(tmp_path / 'canonical.onnx', 1)
    with contextlib.closing(PoseLifter(LifterConfig(model=str(model), up='none'))) as lifter:
        assert lifter.height_m(cam_from_world) is None
        assert lifter.up_in_cam(cam_from_world) is None


def test_beyond_the_cards_range_the_input_is_clamped_and_sigma_grows(tmp_path):
    xn, confidence, _ = views(1, 1)
    up, found = up_in_cam(1), []
    steepness, log_size = canonical_poses(xn, confidence, up[:, None]).view[0, 0]
    for low in (log_size - 1.0, log_size + 0.75):
        known = {'steepness': (-1.0, 1.0), 'log_size': (float(low), 3.0)}
        model = onnx_models.gravity_lifter(tmp_path / 'm.onnx', input_range=known)
        with contextlib.closing(PoseLifter(LifterConfig(model=str(model)))) as lifter:
            found.append(lifter.lift(xn, confidence, up_in_cam=up))
    inside, outside = found
    np.testing.assert_allclose(outside.sigma, np.hypot(1.0, 0.75) * inside.sigma, rtol=1e-5)
    assert not np.allclose(outside.pose, inside.pose)
    view = np.array([[steepness, log_size]])
    np.testing.assert_array_equal(within_range(view, {})[0], view)
