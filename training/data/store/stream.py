# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Banks of some pieces of a store at a time, so that memory does not grow with the data.

An epoch is drawn from a buffer of pieces, the next ones of an endless series of shuffles of all; the buffer follows
from (seed, epoch) alone, so a resumed run continues with the same. It is divided into lanes, of which each batch holds
equal parts: a process reads and prepares its own lanes only, and however many there are they see the same batches.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

import numpy as np

from geo_pose_ros.errors import ConfigError

from ...settings import Recipe
from ..bank import Bank
from ..prepare import check_cameras, prepare
from .shards import Shard, StoreError, read_recording, seen_joints


class Stream:
    """What a recipe trains on of the shards of a store.

    Args:
        shards: to train on.
        recipe: number of pieces in memory, and how they are prepared.
        seed: of the shuffles and of synthetic data.
        rank, world: which of how many processes this is.

    Raises:
        ConfigError: if the recipe cannot be streamed, or the processes do not divide its lanes.
        StoreError: if a shard is damaged, or no frame can be lifted.
    """

    def __init__(self, shards: Sequence[Shard], recipe: Recipe, seed: int, *, rank: int = 0, world: int = 1) -> None:
        _check_recipe(recipe, world)
        check_cameras((shard.cameras for shard in shards), recipe.data)
        self._recipe, self._seed = recipe, seed
        self._pieces = [piece for shard in shards for piece in _liftable(shard, recipe)]
        if not self._pieces:
            raise StoreError(
                f'No frame of {len(shards)} shards has {recipe.optim.lifted_views} views with '
                f'{recipe.data.min_joints} joints; lower data.min_joints or optim.lifted_views.'
            )
        own = recipe.stream.lanes // world
        self._own = range(rank * own, (rank + 1) * own)
        self._held: tuple[int, dict[int, Bank]] = (-1, {})

    def __len__(self) -> int:
        """Return the number of pieces."""
        return len(self._pieces)

    def banks(self, epoch: int) -> dict[int, Bank]:
        """Return the banks of this process's lanes, by lane, in this epoch."""
        if self._held[0] != epoch:
            # The old ones go before the new ones come.
            self._held = (-1, {})
            self._held = (epoch, {lane: self._bank(numbers) for lane, numbers in self._numbers(epoch).items()})
        return self._held[1]

    def _numbers(self, epoch: int) -> dict[int, list[int]]:
        """Return the numbers of the pieces in each of this process's lanes."""
        count, lanes = len(self._pieces), self._recipe.stream.lanes
        per_lane = max(min(self._recipe.stream.pieces, count) // lanes, 1)
        start = epoch * lanes * per_lane
        drawn = {lane: range(start + lane * per_lane, start + (lane + 1) * per_lane) for lane in self._own}
        orders = {
            shuffle: np.random.default_rng((self._seed, shuffle)).permutation(count)
            for shuffle in {draw // count for own in drawn.values() for draw in own}
        }
        return {lane: [int(orders[draw // count][draw % count]) for draw in own] for lane, own in drawn.items()}

    def _bank(self, numbers: Sequence[int]) -> Bank:
        recordings = [read_recording(*self._pieces[number]) for number in numbers]
        return prepare(recordings, self._recipe.data, self._seed, gravity=self._recipe.model.gravity, numbers=numbers)


def store_hash(shards: Sequence[Shard]) -> str:
    """Return the sha256 over all keypoints and rigs of the shards, in order."""
    return sha256('\n'.join(shard.hash for shard in shards).encode()).hexdigest()


def _check_recipe(recipe: Recipe, world: int) -> None:
    if recipe.data.labels == 'truth':
        raise ConfigError('A store holds no 3D truth; choose other data.labels, or train on data in memory.')
    if recipe.data.extrinsics != 'given':
        raise ConfigError(
            'Extrinsics are estimated from all frames before a rig, and a store is read piece by piece; set '
            'data.extrinsics to given, or train on data in memory.'
        )
    lanes = recipe.stream.lanes
    if lanes % world:
        raise ConfigError(f'{world} processes do not divide stream.lanes, {lanes}; set it to a multiple of {world}.')
    if recipe.optim.batch % (lanes * recipe.optim.lifted_views):
        raise ConfigError(
            f'optim.batch is {recipe.optim.batch}; expected a multiple of stream.lanes x optim.lifted_views, '
            f'{lanes} x {recipe.optim.lifted_views}.'
        )


def _liftable(shard: Shard, recipe: Recipe) -> list[tuple[Shard, int]]:
    """Return the pieces in which some frame has as many whole views as the recipe lifts together."""
    cameras, data = slice(recipe.data.cameras or None), recipe.data
    return [
        (shard, index) for index, seen in enumerate(seen_joints(shard))
        if ((seen[:, cameras] >= data.min_joints).sum(1) >= recipe.optim.lifted_views).any()
    ]
