# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The trainer: overfits, resumes bit for bit, stops on nonsense, and on request."""

from __future__ import annotations

import json
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import torch
from geo_pose_training import batches as batches_module
from geo_pose_training.batches import EpochDraw, epoch_batches
from geo_pose_training.data.bank import Bank
from geo_pose_training.data.prepare import prepare
from geo_pose_training.fit import CHECKPOINT, DATA, METRICS, RECIPE, fit, load_run
from geo_pose_training.settings import DataSettings, LossSettings, ModelSettings, OptimSettings, Recipe, load_recipe
from geo_pose_training.trainer import BAD_BATCH, Trainer, TrainingError

from geo_pose_ros.errors import ConfigError
from test.training.people import recorded_person

INFO: dict[str, Any] = {'hash': 'abc', 'sources': ['none']}


def _recipe(steps: int = 6, **loss: Any) -> Recipe:
    return Recipe(
        model=ModelSettings(width=32, blocks=1, dropout=0.1),
        data=DataSettings(labels='truth'),
        loss=LossSettings(label=1.0, sigma=0.01, **loss),
        optim=OptimSettings(steps=steps, steps_per_epoch=2, batch=16, learning_rate=3e-3),
    )


def _bank() -> Bank:
    return prepare([recorded_person(frames=20, noise_px=1.0)], DataSettings(labels='truth'), 0)


def _weights(trainer: Trainer) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in trainer.networks.state_dict().values()])


def test_a_run_may_be_resumed_with_more_steps(tmp_path: Path) -> None:
    bank = _bank()
    fit(Trainer(_recipe(4), bank, seed=3), tmp_path, INFO, progress=False)
    longer = Trainer(_recipe(8), bank, seed=3)
    assert fit(longer, tmp_path, INFO, resume=True, progress=False).steps == 8
    data = json.loads((tmp_path / DATA).read_text())
    assert data['resumed'] == [{'at_step': 4, 'steps_before': 4, 'steps': 8}]
    assert load_run(tmp_path)[0].optim.steps == 8


@pytest.mark.parametrize('kind', ['label', 'two branches', 'closed form', 'temporal'])
def test_one_batch_overfits(kind: str) -> None:
    recipe = _recipe(150)
    recipe = replace(
        recipe, model=replace(recipe.model, width=128, dropout=0.0), data=replace(recipe.data, flip=False)
    )
    optim = replace(recipe.optim, lifted_views=2, batch=8)
    if kind == 'two branches':
        loss = LossSettings(root='branch', reprojection=1.0, transform=1.0, confidence='source', pretrain_share=0.1)
        recipe = replace(recipe, loss=loss, optim=optim)
    elif kind == 'closed form':
        recipe = replace(recipe, loss=LossSettings(transform=1.0), optim=replace(optim, lifted_views=1))
    elif kind == 'temporal':
        recipe = replace(recipe, model=replace(recipe.model, backbone='temporal_dilated', receptive_field=9))
    trainer = Trainer(recipe, _bank(), seed=0)
    batch = next(epoch_batches(trainer.source, recipe, EpochDraw(0, 0, share=8, steps=1)))
    before = trainer.train_step(batch)
    for _ in range(recipe.optim.steps - 1):
        after = trainer.train_step(batch)
    name = 'label' if 'label' in after else 'transform'
    assert float(after[name].detach()) < (0.02 if name == 'label' else 5.0)
    if kind != 'two branches':
        assert float(after[name].detach()) < 0.1 * float(before[name].detach())


def test_batches_do_not_depend_on_how_many_are_gathered_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    bank, recipe = _bank(), _recipe()
    found = []
    for gathered in (1, 20, 4096):
        monkeypatch.setattr(batches_module, '_GATHERED', gathered)
        batches = list(epoch_batches(bank, recipe, EpochDraw(0, 0, share=8, steps=5)))
        assert [len(batch.window) for batch in batches] == [8] * 5
        found.append(torch.stack([batch.window for batch in batches]))
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])
    assert not torch.equal(found[0][0], found[0][1])
    repeated = list(epoch_batches(bank, recipe, EpochDraw(0, 0, share=8, steps=3, overfit=True)))
    assert torch.equal(repeated[0].window, repeated[2].window)


def test_only_whole_views_are_lifted() -> None:
    bank = _bank()
    bank.valid[:, 2] = False
    bank.pose2d[:, 2] = 99.0
    for batch in epoch_batches(bank, _recipe(), EpochDraw(0, 0, share=64, steps=3)):
        assert float(batch.window.abs().max()) < 50.0
    bank.valid[:] = False
    with pytest.raises(ConfigError, match='No frame'):
        next(epoch_batches(bank, _recipe(), EpochDraw(0, 0, share=8, steps=1)))


def test_run_folder_holds_what_made_it(tmp_path: Path) -> None:
    trainer = Trainer(_recipe(4), _bank(), seed=0)
    progress = fit(trainer, tmp_path / 'run', INFO, progress=False)
    assert (progress.steps, progress.interrupted) == (4, False)
    assert json.loads((tmp_path / 'run' / DATA).read_text()) == INFO
    rows = [json.loads(line) for line in (tmp_path / 'run' / METRICS).read_text().splitlines()]
    assert [row['step'] for row in rows] == [2, 4]
    assert {'label', 'sigma', 'total', 'poses_per_s'} <= set(rows[0])
    assert load_recipe(str(tmp_path / 'run' / RECIPE)) == trainer.recipe
    recipe, lifter, data = load_run(tmp_path / 'run')
    assert recipe == trainer.recipe
    assert data == INFO
    assert torch.equal(lifter.pose.weight, trainer.lifter.pose.weight)
    assert not lifter.training


def test_folders_are_not_overwritten_and_other_runs_not_resumed(tmp_path: Path) -> None:
    bank, recipe = _bank(), _recipe(2)
    fit(Trainer(recipe, bank, seed=0), tmp_path, INFO, progress=False)
    wider = replace(recipe, data=replace(recipe.data, min_joints=4))
    for trainer, folder, info, resume, words in (
        (Trainer(recipe, bank, seed=0), tmp_path, INFO, False, 'already holds a run'),
        (Trainer(recipe, bank, seed=0), tmp_path / 'none', INFO, True, 'to resume'),
        (Trainer(recipe, bank, seed=0), tmp_path, {**INFO, 'hash': 'def'}, True, 'fed abc'),
        (Trainer(recipe, bank, seed=1), tmp_path, INFO, True, 'another recipe or seed'),
        (Trainer(wider, bank, seed=0), tmp_path, INFO, True, 'another recipe or seed'),
    ):
        with pytest.raises(ConfigError, match=words):
            fit(trainer, folder, info, resume=resume, progress=False)
    with pytest.raises(ConfigError, match='holds no'):
        load_run(tmp_path / 'none')


def test_a_loss_that_is_not_finite_stops_with_its_batch(tmp_path: Path) -> None:
    bank = _bank()
    bank.label[:] = float('inf')
    with pytest.raises(TrainingError, match='not finite'):
        fit(Trainer(_recipe(2), bank, seed=0), tmp_path, INFO, progress=False)
    saved = torch.load(tmp_path / BAD_BATCH, weights_only=True)
    assert not torch.isfinite(saved['label']).any()
    assert saved['label'].untyped_storage().nbytes() == saved['label'].nbytes, 'that batch alone'
    assert not (tmp_path / CHECKPOINT).exists()


def test_interrupt_finishes_the_epoch_and_saves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = Trainer(_recipe(10), _bank(), seed=0)
    original = trainer.train_step

    def interrupted(*args: Any) -> dict[str, torch.Tensor]:
        if trainer.step == 4:
            os.kill(os.getpid(), signal.SIGINT)
        return original(*args)

    monkeypatch.setattr(trainer, 'train_step', interrupted)
    handler = signal.getsignal(signal.SIGINT)
    progress = fit(trainer, tmp_path, INFO, progress=False)
    assert (progress.steps, progress.interrupted) == (6, True)
    assert signal.getsignal(signal.SIGINT) is handler
    torch.rand(100)
    resumed = Trainer(_recipe(10), _bank(), seed=0)
    assert not torch.equal(_weights(resumed), _weights(trainer))
    whole = Trainer(_recipe(10), _bank(), seed=0)
    fit(resumed, tmp_path, INFO, resume=True, progress=False)
    fit(whole, tmp_path / 'whole', INFO, progress=False)
    assert torch.equal(_weights(resumed), _weights(whole))


def test_frozen_normalisation_keeps_its_statistics() -> None:
    trainer = Trainer(_recipe(2), _bank(), seed=0, freeze_normalisation=True)
    before = trainer.lifter.trunk.stem[1].running_mean.clone()
    trainer.train_epoch()
    assert torch.equal(trainer.lifter.trunk.stem[1].running_mean, before)


def test_tensorboard_gets_the_losses_or_its_absence_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = Mock()
    monkeypatch.setitem(sys.modules, 'torch.utils.tensorboard', fake)
    fit(Trainer(_recipe(4), _bank(), seed=0), tmp_path / 'run', INFO, progress=False, tensorboard=True)
    fake.SummaryWriter.assert_called_once_with(str(tmp_path / 'run'))
    writer = fake.SummaryWriter.return_value
    written = {(name, step) for name, _, step in (call.args for call in writer.add_scalar.call_args_list)}
    assert {('loss/label', 2), ('loss/total', 4)} <= written
    writer.close.assert_called_once_with()
    monkeypatch.setitem(sys.modules, 'torch.utils.tensorboard', None)
    with pytest.raises(ConfigError, match='pip install tensorboard'):
        fit(Trainer(_recipe(2), _bank(), seed=0), tmp_path / 'other', INFO, progress=False, tensorboard=True)
