# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Networks: shapes, receptive fields, and what must not change."""

from __future__ import annotations

import pytest
import torch
from geo_pose_training.model import Lifter, RootBranch, prime_factors
from geo_pose_training.settings import ModelSettings

from geo_pose_ros.errors import ConfigError

SMALL = ModelSettings(width=32, blocks=2)


def _temporal(frames: int, causal: bool = False) -> Lifter:
    torch.manual_seed(0)
    settings = ModelSettings(backbone='temporal_dilated', width=16, receptive_field=frames, causal=causal)
    return Lifter(17, settings).eval()


def test_pose_is_root_relative_and_sigma_positive() -> None:
    lifted = Lifter(17, SMALL)(torch.randn(5, 1, 17, 3))
    assert lifted.xyz.shape == (5, 17, 3)
    assert torch.equal(lifted.xyz[:, 0], torch.zeros(5, 3))
    assert (lifted.sigma > 0.0).all()
    assert lifted.sigma.shape == (5, 17)


def test_paper_backbone_and_reslinear_have_the_published_size() -> None:
    # Martinez et al.: 4.29 M parameters for 16 joints in 2D; two blocks of two 1024 x 1024 layers.
    def weights(blocks: int) -> int:
        lifter = Lifter(17, ModelSettings(width=1024, blocks=blocks))
        return sum(
            p.numel() for name, p in lifter.named_parameters() if name.startswith('trunk.blocks') and p.ndim == 2
        )

    assert weights(2) == 4 * 1024 * 1024
    assert weights(4) == 8 * 1024 * 1024


def test_sigma_does_not_shape_the_features() -> None:
    lifter = Lifter(17, SMALL)
    lifter(torch.randn(4, 1, 17, 3)).sigma.sum().backward()
    assert lifter.log_sigma.weight.grad is not None
    assert all(p.grad is None for p in lifter.trunk.parameters())


@pytest.mark.parametrize('frames', [1, 3, 7, 9, 15, 27])
def test_temporal_output_depends_on_exactly_its_receptive_field(frames: int) -> None:
    lifter = _temporal(frames)
    window = torch.randn(1, frames, 17, 3, requires_grad=True)
    lifter(window).xyz.square().sum().backward()
    assert window.grad is not None
    assert lifter.receptive_field == frames
    assert (window.grad.abs().sum((0, 2, 3)) > 0.0).all()


def test_strided_convolutions_equal_dilated_ones() -> None:
    # The residual path shows which frame is the output's: with zero convolutions only that frame is left.
    for causal, kept in ((False, 4), (True, 8)):
        lifter = _temporal(9, causal)
        for layer in lifter.trunk.pointwise:
            torch.nn.init.zeros_(layer[1].weight)
            torch.nn.init.zeros_(layer[1].bias)
        # The stem's kernel covers 3 frames; make it look at its own output frame only.
        weight = lifter.trunk.stem[0].weight
        own = 2 if causal else 1
        with torch.no_grad():
            weight[:, :, [i for i in range(3) if i != own]] = 0.0
        window = torch.randn(1, 9, 17, 3, requires_grad=True)
        lifter(window).xyz.square().sum().backward()
        used = window.grad.abs().sum((0, 2, 3)) > 0.0
        assert used.nonzero()[:, 0].tolist() == [kept]


def test_even_receptive_field_and_residual_window_are_refused() -> None:
    with pytest.raises(ConfigError, match='odd'):
        ModelSettings(receptive_field=4)
    with pytest.raises(ConfigError, match='one frame'):
        Lifter(17, ModelSettings(receptive_field=3))


def test_prime_factors() -> None:
    assert prime_factors(243) == (3, 3, 3, 3, 3)
    assert prime_factors(1) == (1,)
    assert prime_factors(15) == (3, 5)
    assert prime_factors(13) == (13,)


def test_root_branch_starts_metres_away_and_in_front() -> None:
    torch.manual_seed(0)
    root = RootBranch(17, SMALL)(torch.randn(64, 1, 17, 3), torch.full((64, 1), 0.1))
    assert (root[:, 2] > 0.5).all()
    assert 2.0 < float(root[:, 2].detach().mean()) < 8.0
