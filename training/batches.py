# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Batches of lifted poses, drawn at random from a bank or from the lanes of a stream."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch

from geo_pose_ros.errors import ConfigError

from .data.bank import Bank, Batch, gather
from .data.store.stream import Stream
from .model import InputWindow
from .settings import MOST_LANES, Recipe

# Single poses of windows gathered at once, for several steps.
_GATHERED = 4096


@dataclass(frozen=True, slots=True)
class EpochDraw:
    """What is drawn in an epoch.

    Attributes:
        seed, epoch: of all random choices.
        share: lifted poses per batch of this process.
        steps: number of batches.
        overfit: repeat the first batch.
        rank, world: the batches are the ``rank``-th of ``world`` shares of larger ones, which one process would draw.
    """

    seed: int
    epoch: int
    share: int
    steps: int
    overfit: bool = False
    rank: int = 0
    world: int = 1


def epoch_batches(source: Bank | Stream, recipe: Recipe, draw: EpochDraw) -> Iterator[Batch]:
    """Yield random batches, every other pose mirrored if the recipe says so.

    Of each frame K views are lifted. They are measured in each other (the paper's way: the target view is drawn at
    random among the others), or, if only one is lifted, in all views. A batch of a stream holds equal parts of all
    its lanes of this process.
    """
    if isinstance(source, Bank):
        return _bank_batches(source, recipe, draw)
    banks = source.banks(draw.epoch)
    lanes = (
        _bank_batches(bank, recipe, replace(
            draw, seed=draw.seed * MOST_LANES + lane, share=draw.share // len(banks), rank=0, world=1,
        ))
        for lane, bank in banks.items()
    )
    return map(Batch.join, zip(*lanes, strict=True))


def _bank_batches(bank: Bank, recipe: Recipe, draw: EpochDraw) -> Iterator[Batch]:
    generator = torch.Generator().manual_seed(draw.seed * 1_000_003 + draw.epoch)
    lifted, views = recipe.optim.lifted_views, bank.valid.shape[1]
    frames = (bank.valid.sum(1) >= lifted).nonzero()[:, 0]
    if not len(frames):
        raise ConfigError(
            f'No frame has {lifted} views with enough joints among {len(bank)} frames of {views} views; '
            'lower data.min_joints or optim.lifted_views.'
        )
    crosses = recipe.loss.transform > 0.0
    measured = views if lifted == 1 and crosses else lifted
    offsets = torch.from_numpy(InputWindow.of(recipe.model, recipe.data.up).offsets)
    count = max(draw.share // lifted, 1)
    together = max(_GATHERED // (count * lifted * len(offsets)), 1)
    # Drawn for the whole epoch at once: small operations per step cost more than they compute.
    drawn = 1 if draw.overfit else draw.steps
    whole, own = count * draw.world, slice(draw.rank * count, (draw.rank + 1) * count)
    rows = frames[torch.randint(len(frames), (drawn, whole), generator=generator)]
    # Random order of the views, those that cannot be lifted last.
    order = torch.rand(drawn, whole, views, generator=generator) + 2.0 * (~bank.valid[rows])
    chosen = order.argsort(-1)[..., :measured]
    flips = torch.rand(drawn, whole, lifted, generator=generator) < (0.5 if recipe.data.flip else 0.0)
    rows, chosen, flips = rows[:, own], chosen[:, own], flips[:, own]
    for start in range(0, drawn, together):
        some = slice(start, start + together)
        batches = gather(
            bank, rows[some].flatten(), chosen[some].flatten(0, 1), lifted, offsets, flips[some].flatten(0, 1)
        ).split(count)
        for _ in range(draw.steps if draw.overfit else 1):
            yield from batches
