# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""From recordings to the bank: canonical input, labels, virtual views and copies."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from geo_pose_training.data.bank import Bank
from geo_pose_training.data.prepare import prepare
from geo_pose_training.data.virtual_cameras import cut_off
from geo_pose_training.settings import (
    BodySettings,
    CopySettings,
    DataSettings,
    OcclusionSettings,
    VirtualCameraSettings,
    load_recipe,
)

from geo_pose_ros.errors import ConfigError
from geo_pose_ros.skeleton import BODY17
from test.training.people import recorded_person

_UP = np.array((0.0, 0.0, 1.0))


def _off_labels(bank: Bank) -> torch.Tensor:
    """Return how far (F, V, J) the views' joints are from the projected labels, normalised."""
    local = (
        torch.einsum('fvab,fjb->fvja', bank.view_from_world[..., :3], bank.label)
        + bank.view_from_world[..., None, :, 3]
    )
    rays = bank.pose2d[..., :2] * bank.size[..., None, None]
    return (local[..., :2] / local[..., 2:] - rays).norm(dim=-1)


def test_windows_do_not_cross_sequences() -> None:
    bank = prepare([recorded_person(frames=4), recorded_person(frames=3, seed=2)], DataSettings(), 0)
    assert bank.first.tolist() == [0, 0, 0, 0, 4, 4, 4]
    assert bank.last.tolist() == [3, 3, 3, 3, 6, 6, 6]


def test_virtual_views_stand_beside_the_real_ones_and_see_the_person() -> None:
    settings = DataSettings(labels='triangulated', virtual_cameras=VirtualCameraSettings(count=8))
    bank = prepare([recorded_person(frames=10)], settings, 0)
    assert bank.pose2d.shape[1] == 12
    # Exact keypoints have no residuals, so virtual views see exactly the label.
    assert float(_off_labels(bank).max()) < 1e-4
    assert bank.valid.all()


def test_virtual_views_carry_the_residuals_of_real_ones() -> None:
    settings = DataSettings(labels='refined', virtual_cameras=VirtualCameraSettings(count=4))
    off = _off_labels(prepare([recorded_person(frames=60, noise_px=6.0)], settings, 0))
    assert float(off[:, 4:].mean() / off[:, :4].mean()) == pytest.approx(1.0, abs=0.25)


def test_copies_have_other_bodies_and_consistent_views() -> None:
    copies = CopySettings(1, BodySettings(proportions=0.1, statures=0.1))
    bank = prepare([recorded_person(frames=50)], DataSettings(labels='refined', copies=copies), 0)
    assert len(bank) == 100
    thigh = (bank.label[:, 2] - bank.label[:, 1]).norm(dim=-1)
    assert float((thigh[50:] / thigh[:50] - 1.0).abs().max()) > 0.03
    assert float((thigh[50] / thigh[0]) / (thigh[60] / thigh[10])) == pytest.approx(1.0, abs=1e-4)
    assert float(_off_labels(bank)[50:].median()) < 2e-3
    assert float(bank.pose2d[..., 2].min()) == 1.0, 'nothing is hidden unless asked for'


def test_hidden_limbs_are_whole_branches_before_virtual_cameras_only() -> None:
    frames = 3000
    settings = DataSettings(
        labels='truth', min_joints=10, copies=CopySettings(1, occlusion=OcclusionSettings(limbs=0.3))
    )
    bank = prepare([recorded_person(frames=frames)], settings, 0)
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


def test_an_edge_cuts_off_what_lies_beyond_it() -> None:
    xy = np.random.default_rng(0).standard_normal((500, 2, 17, 2))
    gone = cut_off(np.random.default_rng(1), 0.5, xy)
    cut = gone.any(-1)
    assert 0.3 < cut.mean() < 0.7
    kept = (~gone).sum(-1)[cut]
    assert (kept.min(), kept.max()) == (5, 15)
    # Some straight edge along an axis has all that is gone on one side and all that is left on the other.
    for frame, view in np.argwhere(cut)[:50]:
        inside, outside = xy[frame, view][~gone[frame, view]], xy[frame, view][gone[frame, view]]
        signs = ((1, 0), (1, 1), (-1, 0), (-1, 1))
        assert any((s * inside[:, a]).max() <= (s * outside[:, a]).min() for s, a in signs)


def test_upright_virtual_cameras_stand_where_the_settings_say() -> None:
    recipe = load_recipe('body17')
    one = recorded_person(frames=60)
    bank = prepare([one], recipe.data, 0, gravity=True)
    copies = len(bank) - len(one)
    assert copies == recipe.data.copies.count * len(one)
    view_from_world = bank.view_from_world[len(one) :].numpy()
    up = view_from_world[..., :3] @ _UP
    # Up but for its error of 2 degrees; the virtual cameras do not roll.
    assert np.abs(up[..., 0]).max() < 0.2
    assert (up[..., 1] < 0.0).all()
    valid = bank.valid[len(one) :].numpy()
    np.testing.assert_allclose(bank.view[len(one) :, :, 0][valid], -up[..., 2][valid], atol=0.1)
    position = -(view_from_world[..., :3].swapaxes(-1, -2) @ view_from_world[..., 3:])[..., 0]
    centre = bank.label.mean(1)[len(one) :, None].numpy()
    away = np.linalg.norm(position - centre, axis=-1)
    assert (away.min() > 1.5, away.max() < 41.0) == (True, True)
    assert np.mean(away > 8.5) == pytest.approx(0.35, abs=0.2)
    elevation = np.degrees(np.arcsin((position - centre)[..., 2] / away))
    assert elevation.min() < 5.0
    assert elevation.max() > 50.0
    # Other cameras after 50 frames, and without gravity no view at all.
    assert len(np.unique(position[:60, 0].round(3), axis=0)) == 2
    assert not prepare([one], load_recipe('geo').data, 0).view.any()


def test_two_cameras_only() -> None:
    bank = prepare([recorded_person(frames=4)], DataSettings(cameras=2, labels='triangulated'), 0)
    assert bank.pose2d.shape[:2] == (4, 2)


def test_extrinsics_setting_replaces_the_rig() -> None:
    seen = recorded_person(frames=60)
    bank = prepare([seen], DataSettings(extrinsics='joints', labels='triangulated'), 0)
    assert seen.truth is not None
    np.testing.assert_allclose(bank.label.numpy(), seen.truth, atol=0.02)


def test_what_cannot_be_prepared_is_refused() -> None:
    with pytest.raises(ConfigError, match='no recording'):
        prepare([], DataSettings(), 0)
    with pytest.raises(ConfigError, match=r'data\.cameras'):
        prepare([recorded_person(frames=3), recorded_person(frames=3, cameras=3)], DataSettings(), 0)
    with pytest.raises(ConfigError, match='no 3D truth'):
        prepare([replace(recorded_person(frames=3), truth=None)], DataSettings(labels='truth'), 0)
