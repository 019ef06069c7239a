# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Several processes that train on their shares of a batch as one would on the whole: torchrun, one host or more.

For the same batch they take the same steps, up to rounding, unless the recipe has dropout: batch norm sees the whole
batch, and a mean over joints that count differently is a mean over all of them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce


def rank() -> int:
    """Return which of the processes this is."""
    return dist.get_rank() if dist.is_initialized() else 0


def world() -> int:
    """Return how many processes there are."""
    return dist.get_world_size() if dist.is_initialized() else 1


def mean_over_processes(value: Tensor) -> Tensor:
    """Return the mean of ``value`` over all processes; not to be differentiated."""
    if world() == 1:
        return value
    total = value.detach().clone()
    dist.all_reduce(total)
    return total / world()


class SharedBatchNorm1d(nn.BatchNorm1d):
    """Batch norm over what all processes see; torch's own that does needs GPUs. All see equally much."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C) or (B, C, T), of each process, to the same."""
        if not self.training or world() == 1:
            return super().forward(x)
        axes = [0, *range(2, x.ndim)]
        shape = (1, -1, *[1] * (x.ndim - 2))
        mean = all_reduce(x.mean(axes)) / world()  # type: ignore[no-untyped-call]
        centred = x - mean.view(shape)
        variance = all_reduce(centred.square().mean(axes)) / world()  # type: ignore[no-untyped-call]
        self._remember(mean.detach(), variance.detach(), x.numel() // x.shape[1] * world())
        scaled: Tensor = centred * ((variance + self.eps).rsqrt() * self.weight).view(shape) + self.bias.view(shape)
        return scaled

    def _remember(self, mean: Tensor, variance: Tensor, count: int) -> None:
        """Follow mean and variance (C,) of ``count`` values, as nn.BatchNorm1d does."""
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
        for running, found in ((self.running_mean, mean), (self.running_var, variance * (count / max(count - 1, 1)))):
            if running is not None and self.momentum is not None:
                running.lerp_(found, self.momentum)


@contextmanager
def process_group() -> Iterator[str]:
    """Join torchrun's process group if there is one, and yield the device of this process."""
    cuda = torch.cuda.is_available()
    if int(os.environ.get('WORLD_SIZE', '1')) == 1:
        yield 'cuda' if cuda else 'cpu'
        return
    dist.init_process_group('nccl' if cuda else 'gloo')
    try:
        yield f'cuda:{os.environ["LOCAL_RANK"]}' if cuda else 'cpu'
    finally:
        dist.destroy_process_group()
