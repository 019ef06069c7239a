"""What a run is fed: a bank of all sequences in memory, or a stream from a store."""

from __future__ import annotations

from collections.abc import Sequence as Items
from dataclasses import dataclass
from typing import Any

from .data.bank import Bank
from .data.prepare import prepare
from .data.sequence import Sequence, data_hash
from .data.store.shards import Shard
from .data.store.stream import Stream, store_hash
from .distributed import rank, world
from .settings import Recipe


@dataclass(frozen=True, slots=True)
class Feed:
    """What a run trains on, and what identifies it.

    Attributes:
        source: to draw batches from.
        hash: sha256 over all keypoints and rigs.
        frames, sequences: how many.
    """

    source: Bank | Stream
    hash: str
    frames: int
    sequences: int

    @classmethod
    def in_memory(cls, sequences: Items[Sequence], recipe: Recipe, seed: int) -> Feed:
        """Feed all of ``sequences``; raise ConfigError if the recipe cannot be trained on them."""
        bank = prepare(sequences, recipe.data, seed, gravity=recipe.model.gravity)
        return cls(bank, data_hash(sequences), sum(map(len, sequences)), len(sequences))

    @classmethod
    def streamed(cls, shards: Items[Shard], recipe: Recipe, seed: int) -> Feed:
        """Feed this process's part of ``shards``; raise ConfigError or StoreError as Stream does."""
        stream = Stream(shards, recipe, seed, rank=rank(), world=world())
        return cls(stream, store_hash(shards), sum(shard.frames for shard in shards), len(shards))

    @property
    def identity(self) -> dict[str, Any]:
        """What a run folder and a model card keep."""
        return {'hash': self.hash, 'frames': self.frames, 'sequences': self.sequences}
