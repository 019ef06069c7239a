"""Labels from geometry, extrinsics from joints, virtual views."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from geo_pose_training.data.prepare import prepare
from geo_pose_training.data.sequence import Sequence, data_hash, window_rate_hz
from geo_pose_training.labels.extrinsics import extrinsics_from_joints, relative_pose
from geo_pose_training.labels.triangulation import refined, triangulated
from geo_pose_training.settings import DataSettings

from geo_pose_ros.arrays import FloatArray
from geo_pose_ros.errors import CalibrationError, ConfigError, ShapeError
from geo_pose_ros.geometry.rigid import transform_points
from geo_pose_ros.skeleton import BODY17
from geo_pose_ros.types import CameraRig
from test.training.people import sequence


def _errors(labels: FloatArray, seen: Sequence) -> FloatArray:
    assert seen.truth is not None
    distances: FloatArray = 1e3 * np.linalg.norm(labels - seen.truth, axis=-1)
    return distances


def _rig_error(estimated: CameraRig, given: CameraRig) -> tuple[float, float]:
    """Return the mean rotation error, degrees, and position error, m, of the cameras after the first."""
    angles, distances = [], []
    for a, b in zip(estimated.cameras[1:], given.cameras[1:], strict=True):
        R = a.cam_from_world[:, :3] @ b.cam_from_world[:, :3].T
        angles.append(np.degrees(np.arccos(np.clip(0.5 * (np.trace(R) - 1.0), -1.0, 1.0))))
        distances.append(np.linalg.norm(a.position_m - b.position_m))
    return float(np.mean(angles)), float(np.mean(distances))


def _refined(seen: Sequence) -> tuple[FloatArray, FloatArray]:
    return refined(seen.cam_from_world, seen.focal_px, seen.rays(), seen.confidence, seen.fps)


def _with_outliers(seen: Sequence, share: float) -> Sequence:
    rng = np.random.default_rng(5)
    spoiled = rng.random(seen.xy.shape[:3]) < share
    return replace(seen, xy=seen.xy + 150.0 * spoiled[..., None] * rng.uniform(-1.0, 1.0, seen.xy.shape))


def test_triangulation_of_exact_views_is_exact() -> None:
    seen = sequence(frames=5)
    assert _errors(triangulated(seen.cam_from_world, seen.rays(), seen.confidence), seen).max() < 1e-3


def test_refined_labels_follow_exact_views() -> None:
    labels, weight = _refined(sequence(frames=40))
    # Smoothness in time costs a few millimetres where a hand turns around.
    assert np.median(_errors(labels, sequence(frames=40))) < 3.0
    assert weight.min() > 0.5


@pytest.mark.parametrize('cameras', [4, 2])
def test_refined_labels_withstand_outliers_better_than_triangulation(cameras: int) -> None:
    seen = _with_outliers(sequence(frames=60, cameras=cameras, noise_px=2.0), 0.05)
    plain = np.nanmean(_errors(triangulated(seen.cam_from_world, seen.rays(), seen.confidence), seen))
    labels, _ = _refined(seen)
    assert np.mean(_errors(labels, seen)) < 0.6 * plain


def test_refined_labels_bridge_gaps_with_low_weight() -> None:
    seen = sequence(frames=40)
    xy, confidence = seen.xy.copy(), seen.confidence.copy()
    xy[10:14, :, 13], confidence[10:14, :, 13] = np.nan, 0.0
    labels, weight = _refined(replace(seen, xy=xy, confidence=confidence))
    assert _errors(labels, seen)[10:14, 13].max() < 100.0
    assert weight[10:14, 13].max() < 0.2
    assert weight[30, 13] > 0.5


def test_nothing_seen_gives_no_labels() -> None:
    seen = sequence(frames=5)
    labels, weight = _refined(
        replace(seen, xy=np.full_like(seen.xy, np.nan), confidence=np.zeros_like(seen.confidence))
    )
    assert np.isnan(labels).all()
    assert (weight == 0.0).all()


def test_extrinsics_from_joints_and_one_baseline() -> None:
    seen = sequence(frames=90, noise_px=1.0)
    degrees, metres = _rig_error(extrinsics_from_joints([seen]), seen.rig)
    assert degrees < 0.5
    assert metres < 0.06


def test_extrinsics_use_only_the_first_camera_and_the_baseline() -> None:
    seen = sequence(frames=90)
    cameras = list(seen.rig.cameras)
    wrong = np.concatenate((cameras[2].cam_from_world[:, :3], cameras[3].cam_from_world[:, 3:]), 1)
    misled = replace(
        seen, rig=replace(seen.rig, cameras=(*cameras[:2], replace(cameras[2], cam_from_world=wrong), cameras[3]))
    )
    _, metres = _rig_error(extrinsics_from_joints([misled]), seen.rig)
    assert metres < 0.02


def test_extrinsics_need_enough_and_consistent_joints() -> None:
    with pytest.raises(CalibrationError, match='at least 50'):
        extrinsics_from_joints([sequence(frames=2)])
    rng = np.random.default_rng(0)
    with pytest.raises(CalibrationError, match='fit one pose'):
        relative_pose(np.zeros((60, 2)), rng.random((60, 2)), 900.0, 900.0)


def test_bank_holds_canonical_input_and_labels_in_the_same_frames() -> None:
    seen = sequence(frames=4)
    bank = prepare([seen], DataSettings(labels='truth'), 0)
    local = transform_points(bank.view_from_world[2, 1].numpy().astype(float), seen.truth[2])
    rays = bank.pose2d[2, 1, :, :2].numpy() * float(bank.size[2, 1])
    np.testing.assert_allclose(local[:, :2] / local[:, 2:], rays, atol=1e-5)
    assert bank.valid.all()


def test_windows_do_not_cross_sequences() -> None:
    bank = prepare([sequence(frames=4), sequence(frames=3, seed=2)], DataSettings(), 0)
    assert bank.first.tolist() == [0, 0, 0, 0, 4, 4, 4]
    assert bank.last.tolist() == [3, 3, 3, 3, 6, 6, 6]


def test_virtual_views_stand_beside_the_real_ones_and_see_the_person() -> None:
    bank = prepare([sequence(frames=10)], DataSettings(labels='triangulated', virtual_views=8), 0)
    assert bank.pose2d.shape == (10, 12, 17, 3)
    local = (
        torch.einsum('fvab,fjb->fvja', bank.view_from_world[..., :3], bank.label)
        + bank.view_from_world[..., None, :, 3]
    )
    rays = bank.pose2d[..., :2] * bank.size[..., None, None]
    # Exact keypoints have no residuals, so virtual views see exactly the label.
    torch.testing.assert_close(local[..., :2] / local[..., 2:], rays, atol=1e-4, rtol=0)
    assert bank.valid.all()


def test_virtual_views_carry_the_residuals_of_real_ones() -> None:
    noisy = sequence(frames=60, noise_px=6.0)
    bank = prepare([noisy], DataSettings(labels='refined', virtual_views=4), 0)
    local = (
        torch.einsum('fvab,fjb->fvja', bank.view_from_world[..., :3], bank.label)
        + bank.view_from_world[..., None, :, 3]
    )
    off = (local[..., :2] / local[..., 2:] - bank.pose2d[..., :2] * bank.size[..., None, None]).norm(dim=-1)
    real, virtual = off[:, :4].mean(), off[:, 4:].mean()
    assert float(virtual / real) == pytest.approx(1.0, abs=0.25)


def test_reshaped_copies_have_other_bodies_and_consistent_views() -> None:
    bank = prepare(
        [sequence(frames=50)], DataSettings(labels='refined', reshaped_copies=1, proportions=0.1, statures=0.1), 0
    )
    assert len(bank) == 100
    thigh = (bank.label[:, 2] - bank.label[:, 1]).norm(dim=-1)
    assert float((thigh[50:] / thigh[:50] - 1.0).abs().max()) > 0.03
    assert float((thigh[50] / thigh[0]) / (thigh[60] / thigh[10])) == pytest.approx(1.0, abs=1e-4)
    local = (
        torch.einsum('fvab,fjb->fvja', bank.view_from_world[..., :3], bank.label)
        + bank.view_from_world[..., None, :, 3]
    )
    rays = bank.pose2d[..., :2] * bank.size[..., None, None]
    assert float((local[..., :2] / local[..., 2:] - rays).norm(dim=-1)[50:].median()) < 2e-3


def test_hidden_limbs_are_whole_branches_before_virtual_cameras_only() -> None:
    frames = 3000
    settings = DataSettings(labels='truth', reshaped_copies=1, hidden_limbs=0.3, min_joints=10)
    bank = prepare([sequence(frames=frames)], settings, 0)
    seen = (bank.pose2d[..., 2] > 0.0).numpy()
    assert seen[:frames].all(), 'real views hide nothing'
    hidden = ~seen[frames:]
    # 120 runs of 25 frames in 4 views: the standard error of the share is 0.02.
    assert hidden.any(-1).mean() == pytest.approx(0.3, abs=0.06)
    runs = hidden.reshape(-1, 25, 4, len(BODY17))
    assert (runs == runs[:, :1]).all(), 'a limb is hidden for 25 frames'
    found = {tuple(np.flatnonzero(joints)) for joints in runs[:, 0].reshape(-1, len(BODY17)) if joints.any()}
    arms, legs = ((11, 12, 13), (14, 15, 16)), ((1, 2, 3), (4, 5, 6))
    assert found == {limb[start:] for limb in (*arms, *legs) for start in range(3)} | {(9, 10), (10,)}
    assert bank.valid[frames:].all()
    # The label knows the hidden joints: it is what the lifter must learn to fill in.
    assert float(bank.label_weight[frames:].min()) > 0.0


def test_nothing_is_hidden_unless_asked_for() -> None:
    bank = prepare([sequence(frames=50)], DataSettings(labels='truth', reshaped_copies=1), 0)
    assert float(bank.pose2d[..., 2].min()) == 1.0


def test_two_cameras_only() -> None:
    bank = prepare([sequence(frames=4)], DataSettings(cameras=2, labels='triangulated'), 0)
    assert bank.pose2d.shape[:2] == (4, 2)


def test_extrinsics_setting_replaces_the_rig() -> None:
    seen = sequence(frames=60)
    bank = prepare([seen], DataSettings(extrinsics='joints', labels='triangulated'), 0)
    assert seen.truth is not None
    np.testing.assert_allclose(bank.label.numpy(), seen.truth, atol=0.02)


def test_what_cannot_be_prepared_is_refused() -> None:
    with pytest.raises(ConfigError, match='no sequence'):
        prepare([], DataSettings(), 0)
    with pytest.raises(ConfigError, match=r'data\.cameras'):
        prepare([sequence(frames=3), sequence(frames=3, cameras=3)], DataSettings(), 0)
    with pytest.raises(ConfigError, match='no 3D truth'):
        prepare([replace(sequence(frames=3), truth=None)], DataSettings(labels='truth'), 0)


def test_sequences_check_their_shapes_and_select() -> None:
    seen = sequence(frames=5)
    with pytest.raises(ShapeError, match='confidence'):
        replace(seen, confidence=seen.confidence[:, :2])
    with pytest.raises(ShapeError, match='truth'):
        replace(seen, truth=np.zeros((5, 16, 3)))
    part = seen.views(('cam2', 'cam0')).frames(slice(1, 3))
    np.testing.assert_array_equal(part.xy, seen.xy[1:3][:, [2, 0]])
    assert part.rig.names == ('cam2', 'cam0')
    assert part.truth is not None and len(part.truth) == 2
    assert len(BODY17) == part.xy.shape[2]


def test_data_hash_follows_the_data() -> None:
    assert data_hash([sequence()]) == data_hash([sequence()])
    assert data_hash([sequence()]) != data_hash([sequence(seed=1)])
    assert data_hash([sequence()]) != data_hash([sequence(cameras=3)])


def test_a_camera_without_common_joints_cannot_be_placed() -> None:
    seen = sequence(frames=90)
    xy = seen.xy.copy()
    # The third camera shares joints with the first only where the second sees nothing.
    xy[:45, 1], xy[45:, 2] = np.nan, np.nan
    with pytest.raises(CalibrationError, match='shares no joint'):
        extrinsics_from_joints([replace(seen, xy=xy)])


def test_correspondences_that_fit_no_pose_are_refused() -> None:
    rng = np.random.default_rng(1)
    with pytest.raises(CalibrationError, match='fit one pose'):
        relative_pose(rng.random((200, 2)), rng.random((200, 2)), 900.0, 900.0)


def test_windows_have_one_rate_and_single_frames_none():
    slow, fast = sequence(frames=3), replace(sequence(frames=3), fps=60.0)
    assert window_rate_hz([fast, fast], 9) == 60.0
    assert window_rate_hz([slow, fast], 1) == 0.0
    with pytest.raises(ConfigError, match=rf'of 9 frames from sequences of \[{slow.fps}, 60.0\] frames per second'):
        window_rate_hz([slow, fast], 9)
