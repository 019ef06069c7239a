# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The trainer: batches from a bank, losses by name, optimiser steps.

An epoch is a fixed number of steps. All randomness of an epoch follows from (seed, epoch, rank), so a run that is
resumed at an epoch's end continues bit for bit as if it had never stopped. Under torchrun every process trains on its
own share of each batch (DistributedDataParallel, distributed.py).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict
from itertools import chain, islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from geo_pose_ros.errors import ConfigError, GeoPoseError
from geo_pose_ros.skeleton import BODY17

from .batches import EpochDraw, epoch_batches
from .data.bank import Bank, Batch
from .data.store.stream import Stream
from .distributed import mean_over_processes, rank, world
from .losses import compute_losses
from .model import Lifted, Lifter, RootBranch
from .settings import OptimSettings, Recipe, stored_recipe

BAD_BATCH = 'nonfinite_batch.pt'


class TrainingError(GeoPoseError):
    """Training cannot go on."""


class Networks(nn.Module):
    """The lifting branch and, if the recipe has one, the root branch."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        joints = len(BODY17)
        self.lifter = Lifter(joints, recipe.model)
        self.branch = RootBranch(joints, recipe.model) if recipe.loss.root == 'branch' else None

    def forward(self, window: Tensor, window_size: Tensor, view: Tensor) -> tuple[Lifted, Tensor | None]:
        """Lift to poses (N, K, J, 3) and roots (N, K, 3).

        ``window`` is (N, K, T, J, 3), ``window_size`` (N, K, T), ``view`` (N, K, 2).
        """
        leading = window.shape[:2]
        poses = window.flatten(0, 1)
        flat = self.lifter(poses, view.flatten(0, 1))
        lifted = Lifted(flat.xyz.unflatten(0, leading), flat.sigma.unflatten(0, leading))
        if self.branch is None:
            return lifted, None
        return lifted, self.branch(poses, window_size.flatten(0, 1)).unflatten(0, leading)


def learning_rate(step: int, settings: OptimSettings) -> float:
    """Return the learning rate of ``step``: a tenth of the run up, then cosine down; or x0.1 after each third."""
    progress = step / settings.steps
    if settings.schedule == 'steps':
        return settings.learning_rate * 0.1 ** int(3.0 * progress)
    warm_up = 0.1
    if progress < warm_up:
        return settings.learning_rate * (0.04 + 0.96 * progress / warm_up)
    cosine = math.cos(math.pi * (progress - warm_up) / (1.0 - warm_up))
    return settings.learning_rate * 0.5 * (1.0 + cosine) + 1e-8


class Trainer:
    """One run: networks, optimiser and counters over a bank.

    Args:
        recipe: what to do.
        source: the data, or the stream that it comes from.
        seed: of the initial weights and of every epoch.
        device: 'cpu' or 'cuda[:n]'.
        rehearsal: what every other step is taken on; None: nothing.
        freeze_normalisation: batch norm uses and keeps the statistics it has.
    """

    def __init__(
        self, recipe: Recipe, source: Bank | Stream, *, seed: int, device: str = 'cpu', rehearsal: Bank | None = None,
        freeze_normalisation: bool = False,
    ) -> None:
        self.recipe, self.source, self.seed, self.device = recipe, source, seed, torch.device(device)
        self.rank, self.world = rank(), world()
        self.step = 0
        self._rehearsal = rehearsal
        self._freeze_normalisation = freeze_normalisation
        torch.manual_seed(seed)
        self.networks = Networks(recipe).to(self.device)
        self._parameters = list(self.networks.parameters())
        self.wrapped: nn.Module = self.networks
        if self.world > 1:
            self.wrapped = nn.parallel.DistributedDataParallel(self.networks, find_unused_parameters=True)
        self.optimiser = torch.optim.AdamW(
            self._parameters, lr=recipe.optim.learning_rate, weight_decay=recipe.optim.weight_decay,
            fused=True,
        )

    @property
    def lifter(self) -> Lifter:
        """The lifting branch: what is used at run time."""
        return self.networks.lifter

    def state(self) -> dict[str, Any]:
        """Return everything that a resumed run needs, as torch.save takes it."""
        return {
            'networks': self.networks.state_dict(), 'optimiser': self.optimiser.state_dict(), 'step': self.step,
            'seed': self.seed, 'rng': torch.get_rng_state(), 'recipe': asdict(self.recipe),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from ``state``; raise ConfigError if it belongs to another recipe or seed.

        The number of steps may be another: the rest of the run follows the schedule of the new one.
        """
        # Settings that are newer than the checkpoint had their defaults.
        stored = stored_recipe(state['recipe'], {'optim.steps': self.recipe.optim.steps})
        if stored != self.recipe or state['seed'] != self.seed:
            raise ConfigError(
                'The checkpoint was made by another recipe or seed; resume with the same, or start a new folder.'
            )
        self.networks.load_state_dict(state['networks'])
        self.optimiser.load_state_dict(state['optimiser'])
        self.step = int(state['step'])
        torch.set_rng_state(state['rng'])

    def train_step(self, batch: Batch) -> dict[str, Tensor]:
        """Take one optimiser step and return its losses by name."""
        optim = self.recipe.optim
        for group in self.optimiser.param_groups:
            group['lr'] = learning_rate(self.step, optim)
        losses = self.compute_gradients(batch)
        if optim.clip_norm:
            nn.utils.clip_grad_norm_(self._parameters, optim.clip_norm)
        self.optimiser.step()
        self.step += 1
        return losses

    def compute_gradients(self, batch: Batch) -> dict[str, Tensor]:
        """Go forward and backward and return the losses by name."""
        lifted, root = self.wrapped(batch.window, batch.window_size, batch.view)
        losses = compute_losses(
            lifted, root, batch, self.recipe.loss,
            pretraining=self.step < self.recipe.loss.pretrain_share * self.recipe.optim.steps,
        )
        # What zero_grad() does, without its walk through all modules and groups at every step.
        for parameter in self._parameters:
            parameter.grad = None
        total = losses['total']
        if self.world > 1:
            # DistributedDataParallel waits for the gradient of every output, also of one that no loss uses.
            total = total + 0.0 * lifted.sigma.sum()
        total.backward()  # type: ignore[no-untyped-call]
        return losses

    def train_epoch(
        self, *, overfit: bool = False, bar: tqdm | None = None, folder: Path | None = None
    ) -> dict[str, float]:
        """Run to the end of the current epoch and return the mean losses by name.

        Raises:
            TrainingError: for a loss that is not finite; the batch is in ``folder``.
        """
        optim = self.recipe.optim
        epoch = self.step // optim.steps_per_epoch
        steps = min((epoch + 1) * optim.steps_per_epoch, optim.steps) - self.step
        torch.manual_seed(self.seed * 7919 + epoch * self.world + self.rank)
        self.networks.train()
        if self._freeze_normalisation:
            for module in self.networks.modules():
                if isinstance(module, nn.BatchNorm1d):
                    module.eval()
        sums: dict[str, Tensor] = {}
        for batch in self._batches(epoch, steps, overfit):
            batch = batch.to(self.device)
            losses = self.train_step(batch)
            if not torch.isfinite(losses['total']):
                self._stop_on(batch, losses, folder)
            for name, value in losses.items():
                sums[name] = sums.get(name, torch.zeros((), device=self.device)) + value.detach()
            if bar is not None:
                bar.update()
        return {name: float(mean_over_processes(value)) / steps for name, value in sums.items()}

    def _batches(self, epoch: int, steps: int, overfit: bool) -> Iterator[Batch]:
        sources = [self.source] if self._rehearsal is None else [self.source, self._rehearsal]
        draw = EpochDraw(
            self.seed, 0 if overfit else epoch, max(self.recipe.optim.batch // self.world, 2),
            -(-steps // len(sources)), overfit, self.rank, self.world,
        )
        turns = (epoch_batches(source, self.recipe, draw) for source in sources)
        return islice(chain.from_iterable(zip(*turns, strict=True)), steps)

    def _stop_on(self, batch: Batch, losses: dict[str, Tensor], folder: Path | None) -> None:
        where = 'not saved (no run folder)'
        if folder is not None:
            torch.save({name: getattr(batch, name).clone() for name in Batch.__slots__}, folder / BAD_BATCH)
            where = f"saved as '{folder / BAD_BATCH}'"
        values = ', '.join(f'{name} {value.item():g}' for name, value in losses.items())
        raise TrainingError(
            f'Step {self.step}: the loss is not finite ({values}); the batch is {where}. '
            'Lower optim.learning_rate, set optim.clip_norm, or look for wrong calibration in that batch.'
        )
