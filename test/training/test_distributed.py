# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Two processes take the steps that one takes, on a bank and on a store."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from geo_pose_training.data.prepare import prepare
from geo_pose_training.data.store.shards import SUFFIX, StoreSettings, open_store, write_shard
from geo_pose_training.distributed import process_group
from geo_pose_training.feed import Feed
from geo_pose_training.fit import METRICS, fit
from geo_pose_training.settings import Recipe, load_recipe
from geo_pose_training.trainer import Trainer

from test.training.conftest import TINY_STREAM
from test.training.people import recorded_person

CASES = ('label', 'pixels', 'store', 'store with virtual views')


def _case(name: str, store: Path) -> tuple[Recipe, Feed]:
    if name.startswith('store'):
        recipe = load_recipe('pseudo_label', TINY_STREAM) if name == 'store' else load_recipe(
            'li2020', {**TINY_STREAM, 'data.virtual_cameras.count': 2}
        )
        return recipe, Feed.streamed(open_store(store), recipe, 0)
    recipe = load_recipe('supervised', TINY_STREAM) if name == 'label' else load_recipe(
        'li2020', {**TINY_STREAM, 'data.labels': 'truth', 'data.virtual_cameras.count': 0}
    )
    bank = prepare([recorded_person(frames=20, noise_px=1.0)], recipe.data, 0, gravity=recipe.model.gravity)
    # Joints that count differently, so that the mean over shares is not the mean of their means.
    bank.label_weight *= torch.linspace(0.1, 1.0, len(bank))[:, None]
    return recipe, Feed(bank, 'abc', len(bank), 1, {})


def train_cases(folder: Path) -> None:
    """Train all cases; write metrics, and the weights of this process."""
    for name in CASES:
        recipe, feed = _case(name, folder.parent / 'store')
        trainer = Trainer(recipe, feed.source, seed=0)
        fit(trainer, folder / name, {'hash': feed.hash}, progress=False)
        weights = torch.cat([p.detach().flatten() for p in trainer.networks.state_dict().values()])
        torch.save({'weights': weights, 'world': trainer.world}, folder / name / f'rank{trainer.rank}.pt')


@pytest.mark.slow
def test_two_processes_take_the_steps_that_one_takes(tmp_path: Path) -> None:
    for seed in range(3):
        person = recorded_person(20, noise_px=1.0, seed=seed, name=f'walk{seed}')
        write_shard(tmp_path / 'store' / f'{person.name}{SUFFIX}', person, StoreSettings(8), {})
    command = [
        sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc-per-node', '2', '-m',
        'test.training.test_distributed', str(tmp_path / 'two'),
    ]
    environment = {**os.environ, 'PYTHONPATH': os.pathsep.join(p for p in sys.path if p), 'OMP_NUM_THREADS': '1'}
    done = subprocess.run(command, capture_output=True, text=True, timeout=170, env=environment, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    train_cases(tmp_path / 'one')
    for name in CASES:
        first, second = (torch.load(tmp_path / 'two' / name / f'rank{rank}.pt', weights_only=True) for rank in (0, 1))
        assert first['world'] == 2
        assert torch.equal(first['weights'], second['weights'])
        runs = [
            [json.loads(row) for row in (tmp_path / run / name / METRICS).read_text().splitlines()]
            for run in ('one', 'two')
        ]
        assert len(runs[0]) == len(runs[1]) == 2
        # Not the weights: those that normalisation undoes follow the rounding of their gradients.
        for one, two in zip(*runs, strict=True):
            del one['poses_per_s'], two['poses_per_s']
            assert two == pytest.approx(one, rel=1e-4), name


if __name__ == '__main__':
    torch.set_num_threads(1)
    with process_group():
        train_cases(Path(sys.argv[1]))
