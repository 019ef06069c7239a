# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""A training run in its folder: checkpoints, metrics, description of the data; interrupt and resume; rank 0 writes."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import torch
import yaml
from tqdm import tqdm

from geo_pose_ros.errors import ConfigError

from .model import Lifter
from .settings import Recipe, stored_recipe
from .trainer import Networks, Trainer

CHECKPOINT = 'checkpoint.pt'
RECIPE = 'recipe.yaml'
DATA = 'data.json'
METRICS = 'metrics.jsonl'
# What a run was fed and how it was started, as JSON.
RunData = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands: steps done, and why it stopped."""

    steps: int
    interrupted: bool


@contextmanager
def finish_epoch_on_interrupt() -> Iterator[list[bool]]:
    """Turn the first SIGINT into a flag, so that the epoch can finish and be saved; the second one kills."""
    flag: list[bool] = []

    def remember(_signal: int, _frame: FrameType | None) -> None:
        flag.append(True)
        signal.signal(signal.SIGINT, previous)
        print('\nInterrupted: finishing this epoch and saving; press Ctrl-C again to stop at once.', file=sys.stderr)

    previous = signal.signal(signal.SIGINT, remember)
    try:
        yield flag
    finally:
        signal.signal(signal.SIGINT, previous)


def fit(
    trainer: Trainer, folder: Path, data: RunData, *, resume: bool = False, overfit: bool = False,
    progress: bool = True, tensorboard: bool = False,
) -> Progress:
    """Train to the recipe's number of steps, with a checkpoint, metrics and the data's identity in ``folder``.

    Args:
        trainer: fresh, or to be resumed.
        folder: made if needed; must hold no run unless ``resume``.
        data: what the run was fed (its 'hash' must be the same to resume); written beside the checkpoint.
        resume: continue from the checkpoint in ``folder``.
        overfit: train on one batch, to see that the loss can go to zero.
        progress: show a bar with the remaining time.
        tensorboard: also write TensorBoard events.

    Raises:
        ConfigError: if ``folder`` holds another run, or none to resume.
        TrainingError: for a loss that is not finite.
    """
    optim = trainer.recipe.optim
    chief = trainer.rank == 0
    _open_folder(trainer, folder, data, resume)
    writer = _tensorboard(folder) if tensorboard and chief else None
    bar = tqdm(
        total=optim.steps, initial=trainer.step, unit='step', desc='train', disable=None if progress and chief else True
    )
    with finish_epoch_on_interrupt() as interrupted, bar:
        while trainer.step < optim.steps and not interrupted:
            start, before = time.perf_counter(), trainer.step
            losses = trainer.train_epoch(overfit=overfit, bar=bar, folder=folder if chief else None)
            bar.set_postfix({name: f'{value:.4g}' for name, value in losses.items()})
            if not chief:
                continue
            rate = (trainer.step - before) * optim.batch / (time.perf_counter() - start)
            with (folder / METRICS).open('a', encoding='utf-8') as file:
                file.write(json.dumps({'step': trainer.step, **losses, 'poses_per_s': rate}) + '\n')
            if writer is not None:
                for name, value in losses.items():
                    writer.add_scalar(f'loss/{name}', value, trainer.step)
            _save(trainer, folder)
    if writer is not None:
        writer.close()
    return Progress(trainer.step, bool(interrupted))


def _open_folder(trainer: Trainer, folder: Path, data: RunData, resume: bool) -> None:
    checkpoint = folder / CHECKPOINT
    if resume:
        if not checkpoint.is_file():
            raise ConfigError(f"'{folder}' holds no {CHECKPOINT} to resume; leave out --resume to start there.")
        stored = json.loads((folder / DATA).read_text(encoding='utf-8'))
        if stored['hash'] != data['hash']:
            raise ConfigError(
                f"The data's hash is {data['hash'][:12]}, the run in '{folder}' was fed {stored['hash'][:12]}; "
                'resume with the same data.'
            )
        state = torch.load(checkpoint, map_location=trainer.device, weights_only=True)
        trainer.restore(state)
        if trainer.rank == 0 and state['recipe']['optim']['steps'] != trainer.recipe.optim.steps:
            _write_description(trainer, folder, {**stored, 'resumed': [*stored.get('resumed', []), {
                'at_step': trainer.step, 'steps_before': state['recipe']['optim']['steps'],
                'steps': trainer.recipe.optim.steps,
            }]})
    elif trainer.rank == 0:
        if checkpoint.exists():
            raise ConfigError(f"'{folder}' already holds a run; give --resume to continue it, or another folder.")
        folder.mkdir(parents=True, exist_ok=True)
        _write_description(trainer, folder, data)
        (folder / METRICS).unlink(missing_ok=True)


def _write_description(trainer: Trainer, folder: Path, data: RunData) -> None:
    (folder / RECIPE).write_text(yaml.safe_dump(asdict(trainer.recipe), sort_keys=False), encoding='utf-8')
    (folder / DATA).write_text(json.dumps(data, indent=1), encoding='utf-8')


def _save(trainer: Trainer, folder: Path) -> None:
    """Write the checkpoint so that a crash leaves the old one or the new one, never half of one."""
    partial = folder / f'{CHECKPOINT}.partial'
    torch.save(trainer.state(), partial)
    partial.replace(folder / CHECKPOINT)


def _tensorboard(folder: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ConfigError('TensorBoard is missing; pip install tensorboard, or leave out --tensorboard.') from error
    return SummaryWriter(str(folder))


def losses_of_run(folder: Path) -> list[dict[str, float]]:
    """Return the losses of a run, epoch by epoch, each with its 'step'."""
    return [json.loads(line) for line in (folder / METRICS).read_text(encoding='utf-8').splitlines()]


def load_run(folder: Path) -> tuple[Recipe, Lifter, RunData]:
    """Return recipe, lifter (in evaluation mode) and data description of a finished or running run.

    Raises:
        ConfigError: if ``folder`` holds no run.
    """
    checkpoint = folder / CHECKPOINT
    if not checkpoint.is_file():
        raise ConfigError(f"'{folder}' holds no {CHECKPOINT}; give the folder that `geo_pose train` wrote.")
    state = torch.load(checkpoint, map_location='cpu', weights_only=True)
    recipe = stored_recipe(state['recipe'])
    networks = Networks(recipe)
    networks.load_state_dict(state['networks'])
    data: RunData = json.loads((folder / DATA).read_text(encoding='utf-8'))
    return recipe, networks.lifter.eval(), data
