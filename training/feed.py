# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The data of a run: a bank of all recordings in memory, or a stream from a store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from geo_pose_ros.errors import ConfigError
from geo_pose_ros.inference.model_card import InputRange

from .data.bank import Bank, input_range
from .data.prepare import prepare
from .data.recording import PersonRecording, data_hash
from .data.sources import Source, StoreSource, load_all
from .data.store.shards import Shard
from .data.store.stream import Stream, store_hash
from .distributed import rank, world
from .settings import Recipe


@dataclass(frozen=True, slots=True)
class Feed:
    """The data that a run trains on, and their identity.

    Attributes:
        source: to draw batches from.
        hash: sha256 over all keypoints and rigs.
        frames, recordings: how many.
        input_range: least and largest steepness and log size that a lifter is shown, as a model card states them.
    """

    source: Bank | Stream
    hash: str
    frames: int
    recordings: int
    input_range: InputRange

    @classmethod
    def of(cls, sources: Sequence[Source], recipe: Recipe, seed: int) -> Feed:
        """Feed the training part of the data: stores are streamed, all else is in memory.

        Raises:
            ConfigError: if there are stores and other sources.
        """
        stores = [source for source in sources if isinstance(source, StoreSource)]
        if not stores:
            return cls.in_memory(load_all(sources, test=False), recipe, seed)
        if len(stores) < len(sources):
            raise ConfigError('A store is streamed and other data is not; give stores only as --data, or none.')
        return cls.streamed([shard for store in stores for shard in store.shards(test=False)], recipe, seed)

    @classmethod
    def in_memory(cls, recordings: Sequence[PersonRecording], recipe: Recipe, seed: int) -> Feed:
        """Feed all of ``recordings``; raise ConfigError if the recipe cannot be trained on them."""
        bank = prepare(recordings, recipe.data, seed, gravity=recipe.model.gravity)
        return cls(bank, data_hash(recordings), sum(map(len, recordings)), len(recordings), input_range([bank]))

    @classmethod
    def streamed(cls, shards: Sequence[Shard], recipe: Recipe, seed: int) -> Feed:
        """Feed this process's part of ``shards``; raise ConfigError or StoreError as Stream does."""
        stream = Stream(shards, recipe, seed, rank=rank(), world=world())
        ranges = input_range(list(stream.banks(0).values()))
        return cls(stream, store_hash(shards), sum(shard.frames for shard in shards), len(shards), ranges)

    @property
    def identity(self) -> dict[str, object]:
        """What a run folder and a model card keep."""
        return {'hash': self.hash, 'frames': self.frames, 'sequences': self.recordings}
