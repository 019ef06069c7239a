# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Lifting networks: residual MLPs on one frame (Martinez et al. 2017, Li et al. 2020) and TemporalDilated on many.

Every network maps the canonical 2D input (see geo_pose_ros.lifting.canonical) to root-relative joints in the
virtual camera's frame, metres, and a standard deviation per joint, metres.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from geo_pose_ros.arrays import IntArray
from geo_pose_ros.errors import ConfigError, ShapeError
from geo_pose_ros.inference.model_card import VIEW_SIZE

from .distributed import SharedBatchNorm1d
from .settings import ModelSettings

# log of the standard deviation (m) that an untrained network reports.
_INITIAL_LOG_SIGMA_M = -2.5


@dataclass(frozen=True, slots=True)
class InputWindow:
    """The input of a lifter.

    Attributes:
        receptive_field: T, the number of frames, odd.
        causal: the lifted frame is the last one of the window, not the middle one.
        up: the axis of the world that points upwards, '' for a lifter that does not know gravity.
    """

    receptive_field: int = 1
    causal: bool = False
    up: str = ''

    @classmethod
    def of(cls, settings: ModelSettings, up: str = 'z') -> InputWindow:
        """Return the input of a network in a world with that upward axis."""
        return cls(settings.receptive_field, settings.causal, up if settings.gravity else '')

    @property
    def lifted_frame(self) -> int:
        """Index of the lifted frame in the window."""
        return self.receptive_field - 1 if self.causal else self.receptive_field // 2

    @property
    def offsets(self) -> IntArray:
        """(T,) frames of the window relative to the lifted one."""
        return np.arange(self.receptive_field) - self.lifted_frame

    def rows(self, frames: int) -> IntArray:
        """Return the frames (F, T) of each frame's window; beyond the ends the first or last frame repeats."""
        return np.asarray(np.clip(np.arange(frames)[:, None] + self.offsets, 0, frames - 1))


class ResidualBlock(nn.Module):
    """y = x + f(x), f = ``layers`` times (linear, batch norm, ReLU, dropout)."""

    def __init__(self, width: int, layers: int, dropout: float) -> None:
        super().__init__()
        parts: list[nn.Module] = []
        for _ in range(layers):
            parts += [nn.Linear(width, width), SharedBatchNorm1d(width), nn.ReLU()]
            if dropout:
                parts.append(nn.Dropout(dropout))
        self.layers = nn.Sequential(*parts)

    def forward(self, x: Tensor) -> Tensor:
        """(B, W) -> (B, W)."""
        y: Tensor = x + self.layers(x)
        return y


class ResidualTrunk(nn.Module):
    """Features of one frame: a linear layer to ``width``, then residual blocks.

    ``blocks=2, width=1024, dropout=0.5`` is ResLinear (Martinez et al. 2017); ``blocks=4`` Li et al.'s backbone.
    """

    receptive_field = 1

    def __init__(self, inputs: int, settings: ModelSettings) -> None:
        super().__init__()
        width, dropout = settings.width, settings.dropout
        self.stem = nn.Sequential(nn.Linear(inputs, width), SharedBatchNorm1d(width), nn.ReLU())
        self.blocks = nn.Sequential(
            *(ResidualBlock(width, settings.layers_per_block, dropout) for _ in range(settings.blocks))
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, 1, inputs) -> (B, W)."""
        features: Tensor = self.blocks(self.stem(x[:, 0]))
        return features


class TemporalDilated(nn.Module):
    """Features of one frame from a window of ``receptive_field`` frames (Pavllo et al. 2019, section 3).

    One convolution per prime factor of the receptive field, so any odd number works; 243 = 3^5 is the paper's. The
    output belongs to the window's middle frame, or to its last one if ``causal``. For a single output, strided
    convolutions compute the same numbers as dilated ones without the unused rest.
    """

    def __init__(self, inputs: int, settings: ModelSettings) -> None:
        super().__init__()
        width, dropout = settings.width, settings.dropout
        self.receptive_field = settings.receptive_field
        self.causal = settings.causal
        self.widths = prime_factors(settings.receptive_field)
        self.stem = self._layer(inputs, width, self.widths[0], dropout)
        self.convolutions = nn.ModuleList(self._layer(width, width, kernel, dropout) for kernel in self.widths[1:])
        self.pointwise = nn.ModuleList(self._layer(width, width, 1, dropout) for _ in self.widths[1:])

    @staticmethod
    def _layer(inputs: int, outputs: int, kernel: int, dropout: float) -> nn.Sequential:
        return nn.Sequential(
            nn.Conv1d(inputs, outputs, kernel, stride=kernel, bias=False),
            SharedBatchNorm1d(outputs), nn.ReLU(), nn.Dropout(dropout),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, receptive_field, inputs) -> (B, W)."""
        h: Tensor = self.stem(x.transpose(1, 2))
        for kernel, convolution, pointwise in zip(self.widths[1:], self.convolutions, self.pointwise, strict=True):
            kept = h[..., kernel - 1 :: kernel] if self.causal else h[..., kernel // 2 :: kernel]
            h = kept + pointwise(convolution(h))
        return h[..., 0]


def prime_factors(number: int) -> tuple[int, ...]:
    """Return the prime factors of ``number`` in ascending order; (1,) for 1."""
    factors, rest, candidate = [], number, 2
    while rest > 1:
        while rest % candidate == 0:
            factors.append(candidate)
            rest //= candidate
        candidate += 1
    return tuple(factors) or (1,)


def make_trunk(inputs: int, settings: ModelSettings) -> ResidualTrunk | TemporalDilated:
    """Return the backbone that ``settings`` names."""
    if settings.backbone == 'temporal_dilated':
        return TemporalDilated(inputs, settings)
    if settings.receptive_field != 1:
        raise ConfigError(
            f"Backbone '{settings.backbone}' sees one frame, but receptive_field is {settings.receptive_field}; "
            'set it to 1 or choose temporal_dilated.'
        )
    return ResidualTrunk(inputs, settings)


@dataclass(frozen=True, slots=True)
class Lifted:
    """What a lifter says about B poses: ``xyz`` (B, J, 3) m, pelvis at 0; ``sigma`` (B, J) m, per axis."""

    xyz: Tensor
    sigma: Tensor


class Lifter(nn.Module):
    """The lifting branch: canonical 2D poses to root-relative 3D poses in the virtual camera's frame."""

    def __init__(self, joints: int, settings: ModelSettings, root: int = 0) -> None:
        super().__init__()
        self.joints, self.root, self.settings = joints, root, settings
        self.trunk = make_trunk(joints * 3 + VIEW_SIZE * settings.gravity, settings)
        self.pose = nn.Linear(settings.width, joints * 3)
        spread = nn.Linear(settings.sigma_width or settings.width, joints)
        nn.init.zeros_(spread.weight)
        nn.init.constant_(spread.bias, _INITIAL_LOG_SIGMA_M)
        self.log_sigma: nn.Module = spread
        if settings.sigma_width:
            self.log_sigma = nn.Sequential(nn.Linear(settings.width, settings.sigma_width), nn.ReLU(), spread)

    @property
    def receptive_field(self) -> int:
        """Frames of input per output."""
        return self.trunk.receptive_field

    def forward(self, pose2d: Tensor, view: Tensor | None = None) -> Lifted:
        """Lift ``pose2d`` (B, T, J, 3), T the receptive field; ``view`` (B, 2) of that frame where gravity counts.

        Raises:
            ShapeError: if the network needs ``view`` and it is None.
        """
        given = pose2d.flatten(2)
        if self.settings.gravity:
            if view is None:
                raise ShapeError('Lifter: received no view, expected (B, 2): this network has to know which way is up.')
            given = torch.cat((given, view[:, None].expand(-1, given.shape[1], -1)), -1)
        features = self.trunk(given)
        xyz = self.pose(features).unflatten(-1, (self.joints, 3))
        # The sigma head reads the features but does not shape them: the pose must not pay for it.
        log_sigma = self.log_sigma(features.detach())
        return Lifted(xyz - xyz[:, self.root : self.root + 1], log_sigma.clamp(-7.0, 2.0).exp())


class RootBranch(nn.Module):
    """The paper's second branch: the root position in the camera frame; same architecture, no shared weights.

    It also sees where the person is and how large, which the canonical input has lost. Depth is positive by
    softplus and starts a few metres away; clamping would kill its gradient.
    """

    _START_DEPTH_M = 4.0

    def __init__(self, joints: int, settings: ModelSettings) -> None:
        super().__init__()
        self.trunk = make_trunk(joints * 3 + 2, settings)
        self.root = nn.Linear(settings.width, 3)

    def forward(self, pose2d: Tensor, size: Tensor) -> Tensor:
        """Return the root (B, 3), m, in the virtual camera's frame, from ``pose2d`` (B, T, J, 3), ``size`` (B, T)."""
        placed = torch.cat((pose2d.flatten(2), size[..., None] * 10.0, 0.1 / size[..., None]), -1)
        x, y, z = self.root(self.trunk(placed)).unbind(-1)
        return torch.stack((x, y, nn.functional.softplus(z + self._START_DEPTH_M)), -1)
