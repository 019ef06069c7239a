# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Losses: zero at the truth, weights, and the twins of the runtime's functions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from geo_pose_training.data.bank import Batch, gather, mirror
from geo_pose_training.data.prepare import prepare
from geo_pose_training.losses import (
    agreement,
    compute_losses,
    project,
    reprojection,
    sigma_likelihood,
    solve_root,
    to_view,
    to_world,
)
from geo_pose_training.model import Lifted
from geo_pose_training.settings import DataSettings, LossSettings

from geo_pose_ros.geometry.rigid import transform_points
from geo_pose_ros.lifting.root import solve_root as numpy_solve_root
from geo_pose_ros.skeleton import BODY17
from test.training.people import recorded_person

L_T = LossSettings(transform=1.0, reprojection=1.0)


def _batch(views: int = 4, mirrored: bool = False) -> tuple[Batch, torch.Tensor]:
    """Return a batch of exact measurements and the true poses (N, K, J, 3) in the views, double precision."""
    bank = prepare([recorded_person(frames=6)], DataSettings(labels='truth'), 0)
    flip = torch.full((6, views), mirrored)
    batch = gather(
        bank, torch.arange(6), torch.arange(views).expand(6, views), views, torch.zeros(1, dtype=torch.long), flip
    )
    numbers = {name: getattr(batch, name).double() for name in Batch.__slots__ if name != 'flip'}
    batch = replace(batch, **numbers)
    truth = to_view(batch.view_from_world, bank.label.double()[:, None].expand(-1, views, -1, -1))
    return batch, truth


def test_root_equals_the_runtimes() -> None:
    batch, truth = _batch()
    rng = np.random.default_rng(0)
    pose = (truth - truth[:, :, :1]).numpy() + 0.03 * rng.standard_normal(truth.shape)
    weights = rng.uniform(0.0, 1.0, truth.shape[:-1])
    weights[:, :, 3] = 0.0
    expected = numpy_solve_root(pose, batch.rays.numpy(), weights)
    found = solve_root(torch.from_numpy(pose), batch.rays, torch.from_numpy(weights))
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5)


def test_root_has_a_gradient() -> None:
    batch, truth = _batch()
    pose = (truth - truth[:, :, :1])[:1, :1].clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda p: solve_root(p, batch.rays[:1, :1], batch.confidence[:1, :1]), (pose,))


def test_view_changes_are_inverse_and_equal_the_runtimes() -> None:
    batch, truth = _batch()
    world = to_world(batch.view_from_world, truth)
    torch.testing.assert_close(world, world[:, :1].expand_as(world), atol=1e-6, rtol=0)
    expected = transform_points(batch.view_from_world.numpy(), world.numpy())
    np.testing.assert_allclose(to_view(batch.view_from_world, world).numpy(), expected, atol=1e-9)


def test_the_true_pose_has_no_reprojection_loss_and_one_that_slides_along_its_rays_has_in_other_views() -> None:
    batch, truth = _batch()
    for scale, least, most in ((1.0, 0.0, 1e-2), (1.1, 20.0, 1e9)):
        own, crossed = reprojection(to_world(batch.view_from_world, scale * truth), batch, L_T)
        assert float(own) < 1e-2
        assert least <= float(crossed) < most


@pytest.mark.parametrize(('kind', 'counted'), [('none', 34), ('target', 0), ('source', 33), ('product', 0)])
def test_confidence_weights_decide_which_views_count(kind: str, counted: int) -> None:
    batch, truth = _batch(2)
    # The second view measures joint 5 far off, and its detector says so.
    rays, confidence = batch.rays.clone(), batch.confidence.clone()
    rays[:, 1, 5] += 1.0
    confidence[:, 1, 5] = 1e-9
    batch = replace(batch, rays=rays, confidence=confidence)
    _, crossed = reprojection(to_world(batch.view_from_world, truth), batch, replace(L_T, confidence=kind))
    pixels = float(batch.focal_px[0, 1]) * 2.0**0.5
    assert float(crossed) == pytest.approx(pixels / counted if counted else 0.0, rel=0.05, abs=0.05)


def test_unseen_joints_never_count() -> None:
    batch, truth = _batch(2)
    rays, confidence = batch.rays.clone(), batch.confidence.clone()
    rays[:, 1, 5], confidence[:, 1, 5] = 9.0, 0.0
    batch = replace(batch, rays=rays, confidence=confidence)
    for kind in ('none', 'source', 'target', 'product'):
        own, crossed = reprojection(to_world(batch.view_from_world, truth), batch, replace(L_T, confidence=kind))
        assert float(own + crossed) < 2e-2


def test_saturation_bounds_the_loss_of_an_outlier() -> None:
    batch, truth = _batch(2)
    rays = batch.rays.clone()
    rays[:, 1, 5] += 1.0
    batch = replace(batch, rays=rays)
    world = to_world(batch.view_from_world, truth)
    _, plain = reprojection(world, batch, L_T)
    _, bounded = reprojection(world, batch, replace(L_T, saturation_px=20.0))
    assert float(plain) > 30.0
    assert float(bounded) < 20.0 / 34.0 + 0.01


def test_depth_stays_positive_with_a_gradient_behind_the_camera() -> None:
    point = torch.tensor([[0.1, 0.2, -1.0]], requires_grad=True)
    project(point).abs().sum().backward()
    assert point.grad is not None
    assert float(point.grad[0, 2]) != 0.0
    torch.testing.assert_close(
        project(torch.tensor([[1.0, 2.0, 4.0]])), torch.tensor([[0.25, 0.5]]), atol=1e-6, rtol=0
    )


def test_label_loss_is_zero_at_the_label_and_counts_metres() -> None:
    batch, truth = _batch()
    settings = LossSettings(label=2.0, sigma=0.0)
    pose = truth - truth[:, :, :1]
    sigma = torch.ones(pose.shape[:-1], dtype=torch.float64)
    exact = compute_losses(Lifted(pose, sigma), None, batch, settings, pretraining=False)
    moved = pose.clone()
    moved[..., 1:, 2] += 0.1
    off = compute_losses(Lifted(moved, sigma), None, batch, settings, pretraining=False)
    assert float(exact['label']) < 1e-5
    assert float(off['label']) == pytest.approx(0.1 * 16 / 17, rel=1e-4)
    assert float(off['total']) == pytest.approx(2.0 * float(off['label']))


def test_a_frame_whose_root_label_is_unknown_does_not_count() -> None:
    batch, truth = _batch()
    weight = batch.label_weight.clone()
    weight[:, :, 0] = 0.0
    lifted = Lifted(truth * 0.0, torch.ones(truth.shape[:-1]))
    losses = compute_losses(
        lifted, None, replace(batch, label_weight=weight), LossSettings(label=1.0), pretraining=False
    )
    assert float(losses['label']) == 0.0


def test_pretraining_counts_only_the_mean_distance_between_views() -> None:
    world = torch.zeros(3, 2, 17, 3)
    world[:, 1, :, 0] = 0.5
    assert float(agreement(world)) == pytest.approx(0.5, abs=1e-5)
    batch, truth = _batch(2)
    lifted = Lifted(truth - truth[:, :, :1], torch.ones(truth.shape[:-1]))
    losses = compute_losses(lifted, truth[:, :, 0], batch, replace(L_T, label=1.0), pretraining=True)
    assert set(losses) == {'agreement', 'total'}
    assert float(losses['total']) < 1e-5


def test_sigma_likelihood_is_least_at_the_true_spread() -> None:
    torch.manual_seed(0)
    error = (0.05 * torch.randn(200_000, 3)).norm(dim=-1)
    values = [
        float(sigma_likelihood(error, torch.full_like(error, s)).mean()) for s in (0.04, 0.05, 0.06)
    ]
    assert values[1] < values[0]
    assert values[1] < values[2]


def test_labels_that_meet_at_the_centroid_do_not_spread_the_roots_error() -> None:
    batch, truth = _batch()
    label = batch.label.clone()
    label[:, :, 0, 2] += 0.17
    lifted = Lifted(truth - truth[:, :, :1], torch.ones(truth.shape[:-1], dtype=torch.float64))
    found = {}
    for origin in ('root', 'centroid'):
        settings = LossSettings(label=1.0, label_origin=origin)
        losses = compute_losses(lifted, None, replace(batch, label=label), settings, pretraining=False)
        found[origin] = float(losses['label'])
    # 17 cm on 16 of 17 joints, or 16 cm on one and 1 cm on sixteen.
    assert found['root'] == pytest.approx(0.16, rel=1e-3)
    assert found['centroid'] == pytest.approx((0.16 + 16 * 0.01) / 17, rel=1e-3)
    exact = compute_losses(lifted, None, batch, settings, pretraining=False)
    assert float(exact['label']) < 1e-5


def test_a_mirror_exchanges_sides_and_undoes_itself() -> None:
    _, truth = _batch()
    turned = mirror(truth, torch.ones(truth.shape[:2], dtype=torch.bool))
    left, right = BODY17.index('left_wrist'), BODY17.index('right_wrist')
    torch.testing.assert_close(turned[..., left, 1:], truth[..., right, 1:])
    torch.testing.assert_close(turned[..., left, 0], -truth[..., right, 0])
    torch.testing.assert_close(mirror(turned, torch.ones(truth.shape[:2], dtype=torch.bool)), truth)
    mixed = mirror(truth, torch.arange(truth.shape[1]).expand(truth.shape[:2]) % 2 == 0)
    torch.testing.assert_close(mixed[:, :2], torch.stack((turned[:, 0], truth[:, 1]), 1))


@pytest.mark.parametrize('branch', [True, False])
def test_a_mirrored_pose_has_the_losses_of_the_pose(branch: bool) -> None:
    settings = LossSettings(label=1.0, sigma=1.0, transform=1.0, reprojection=1.0)
    found = []
    for mirrored in (False, True):
        batch, truth = _batch(mirrored=mirrored)
        everything = torch.full(truth.shape[:2], mirrored)
        off = truth + 0.1 * torch.sin(torch.arange(17 * 3)).view(17, 3)
        pose = mirror(off - off[:, :, :1], everything)
        root = mirror(off, everything)[:, :, 0]
        sigma = torch.ones(truth.shape[:-1], dtype=torch.float64)
        losses = compute_losses(Lifted(pose, sigma), root if branch else None, batch, settings, pretraining=False)
        found.append([float(losses[name]) for name in ('label', 'sigma', 'transform', 'reprojection')])
    assert found[1] == pytest.approx(found[0], rel=1e-6)
    assert min(found[0]) > 0.01


def test_windows_are_mirrored_as_poses_are() -> None:
    plain, _ = _batch()
    mirrored, _ = _batch(mirrored=True)
    left, right = BODY17.index('left_knee'), BODY17.index('right_knee')
    torch.testing.assert_close(mirrored.window[..., left, 0], -plain.window[..., right, 0])
    torch.testing.assert_close(mirrored.window[..., left, 1:], plain.window[..., right, 1:])
    torch.testing.assert_close(mirrored.rays, plain.rays)
