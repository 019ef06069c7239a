"""The trainer: batches from a bank, losses by name, checkpoints, resume.

An epoch is a fixed number of steps. All randomness of an epoch follows from (seed, epoch, rank), so a run that is
resumed at an epoch's end continues bit for bit as if it had never stopped. Under torchrun every process trains on its
own share of each batch (DistributedDataParallel, distributed.py); rank 0 writes.
"""

from __future__ import annotations

import json
import math
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import chain, islice
from pathlib import Path
from types import FrameType
from typing import Any

import torch
import yaml
from torch import Tensor, nn
from tqdm import tqdm

from geo_pose_ros.errors import ConfigError, GeoPoseError
from geo_pose_ros.settings import build, flatten
from geo_pose_ros.skeleton import BODY17, Skeleton

from .data.bank import Bank, Batch, gather
from .data.store.stream import Stream
from .distributed import mean_over_processes, rank, world
from .losses import compute_losses
from .model import Lifted, Lifter, RootBranch
from .settings import MOST_LANES, OptimSettings, Recipe

CHECKPOINT = 'checkpoint.pt'
RECIPE = 'recipe.yaml'
DATA = 'data.json'
METRICS = 'metrics.jsonl'
BAD_BATCH = 'nonfinite_batch.pt'
# Single poses of windows gathered at once, for several steps.
_GATHERED = 4096


class TrainingError(GeoPoseError):
    """Training cannot go on."""


class Networks(nn.Module):
    """The lifting branch and, if the recipe has one, the root branch."""

    def __init__(self, recipe: Recipe, skeleton: Skeleton) -> None:
        super().__init__()
        joints = len(skeleton)
        self.lifter = Lifter(joints, recipe.model)
        self.branch = RootBranch(joints, recipe.model) if recipe.loss.root == 'branch' else None

    def forward(self, window: Tensor, window_size: Tensor, view: Tensor) -> tuple[Lifted, Tensor | None]:
        """Lift ``window`` (N, K, T, J, 3), ``window_size`` (N, K, T), ``view`` (N, K, 2): poses (N, K, J, 3) and roots
        (N, K, 3)."""
        leading = window.shape[:2]
        poses = window.flatten(0, 1)
        flat = self.lifter(poses, view.flatten(0, 1))
        lifted = Lifted(flat.xyz.unflatten(0, leading), flat.sigma.unflatten(0, leading))
        if self.branch is None:
            return lifted, None
        return lifted, self.branch(poses, window_size.flatten(0, 1)).unflatten(0, leading)


def window_offsets(recipe: Recipe) -> Tensor:
    """Return the frames (T,) of the recipe's window relative to the lifted frame."""
    frames = recipe.model.receptive_field
    return torch.arange(frames) - (frames - 1 if recipe.model.causal else frames // 2)


def epoch_batches(
    bank: Bank, recipe: Recipe, *, seed: int, epoch: int, share: int, steps: int, overfit: bool = False,
    rank: int = 0, world: int = 1,
) -> Iterator[Batch]:
    """Yield ``steps`` random batches of ``share`` lifted poses, every other one mirrored if the recipe says so.

    They are the ``rank``-th of ``world`` shares of larger batches, those that one process would draw.
    Of each frame K views are lifted. They are measured in each other (the paper's way: the target view is drawn at
    random among the others), or, if only one is lifted, in all views. ``overfit`` repeats the first batch.
    """
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    lifted, views = recipe.optim.lifted_views, bank.valid.shape[1]
    frames = (bank.valid.sum(1) >= lifted).nonzero()[:, 0]
    if not len(frames):
        raise ConfigError(
            f'No frame has {lifted} views with enough joints among {len(bank)} frames of {views} views; '
            'lower data.min_joints or optim.lifted_views.'
        )
    crosses = recipe.loss.transform > 0.0
    measured = views if lifted == 1 and crosses else lifted
    count, offsets = max(share // lifted, 1), window_offsets(recipe)
    together = max(_GATHERED // (count * lifted * len(offsets)), 1)
    # Drawn for the whole epoch at once: small operations per step cost more than they compute.
    drawn = 1 if overfit else steps
    whole, own = count * world, slice(rank * count, (rank + 1) * count)
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
        for _ in range(steps if overfit else 1):
            yield from batches


def stream_batches(
    stream: Stream, recipe: Recipe, *, seed: int, epoch: int, share: int, steps: int, overfit: bool = False
) -> Iterator[Batch]:
    """Yield as epoch_batches does, of a stream: each batch holds equal parts of all its lanes of this process."""
    banks = stream.banks(epoch)
    lanes = [
        epoch_batches(
            bank, recipe, seed=seed * MOST_LANES + lane, epoch=epoch, share=share // len(banks), steps=steps,
            overfit=overfit,
        )
        for lane, bank in banks.items()
    ]
    yield from map(Batch.join, zip(*lanes, strict=True))


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


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands: steps done, and why it stopped."""

    steps: int
    interrupted: bool


class Trainer:
    """One run: networks, optimiser and counters over a bank.

    Args:
        recipe: what to do.
        bank: the data, or the stream that it comes from.
        seed: of the initial weights and of every epoch.
        device: 'cpu' or 'cuda[:n]'.
        skeleton: of the bank's joints.
        rehearsal: what every other step is taken on; None: nothing.
    """

    def __init__(
        self, recipe: Recipe, bank: Bank | Stream, *, seed: int, device: str = 'cpu', skeleton: Skeleton = BODY17,
        rehearsal: Bank | None = None,
    ) -> None:
        self.recipe, self.bank, self.seed, self.device = recipe, bank, seed, torch.device(device)
        self.rank, self.world = rank(), world()
        self.step = 0
        self._rehearsal = rehearsal
        self._frozen_normalisation = False
        torch.manual_seed(seed)
        self.networks = Networks(recipe, skeleton).to(self.device)
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

    def freeze_normalisation(self) -> None:
        """Let batch norm use and keep the statistics it has."""
        self._frozen_normalisation = True

    def state(self) -> dict[str, Any]:
        """Return everything that a resumed run needs."""
        return {
            'networks': self.networks.state_dict(), 'optimiser': self.optimiser.state_dict(), 'step': self.step,
            'seed': self.seed, 'rng': torch.get_rng_state(), 'recipe': asdict(self.recipe),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from ``state``; raise ConfigError if it belongs to another recipe or seed.

        The number of steps may be another: the rest of the run follows the schedule of the new one.
        """
        # Settings that are newer than the checkpoint had their defaults.
        stored = build(Recipe, {**flatten(state['recipe']), 'optim.steps': self.recipe.optim.steps})
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
        self, *, overfit: bool = False, bar: tqdm[Any] | None = None, folder: Path | None = None
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
        if self._frozen_normalisation:
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
        banks = [self.bank] if self._rehearsal is None else [self.bank, self._rehearsal]
        epoch = 0 if overfit else epoch
        share, each = max(self.recipe.optim.batch // self.world, 2), -(-steps // len(banks))
        turns = [
            stream_batches(
                bank, self.recipe, seed=self.seed, epoch=epoch, share=share, steps=each, overfit=overfit
            )
            if isinstance(bank, Stream) else epoch_batches(
                bank, self.recipe, seed=self.seed, epoch=epoch, rank=self.rank, world=self.world, share=share,
                steps=each, overfit=overfit,
            )
            for bank in banks
        ]
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
    trainer: Trainer,
    folder: Path,
    data: dict[str, Any],
    *,
    resume: bool = False,
    overfit: bool = False,
    progress: bool = True,
    tensorboard: bool = False,
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
    bar = tqdm(total=optim.steps, initial=trainer.step, unit='step', disable=not (progress and chief))
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


def _open_folder(trainer: Trainer, folder: Path, data: dict[str, Any], resume: bool) -> None:
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


def _write_description(trainer: Trainer, folder: Path, data: dict[str, Any]) -> None:
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


def load_run(folder: Path) -> tuple[Recipe, Lifter, dict[str, Any]]:
    """Return recipe, lifter (in evaluation mode) and data description of a finished or running run.

    Raises:
        ConfigError: if ``folder`` holds no run.
    """
    checkpoint = folder / CHECKPOINT
    if not checkpoint.is_file():
        raise ConfigError(f"'{folder}' holds no {CHECKPOINT}; give the folder that `geo_pose train` wrote.")
    state = torch.load(checkpoint, map_location='cpu', weights_only=True)
    recipe = build(Recipe, flatten(state['recipe']))
    networks = Networks(recipe, BODY17)
    networks.load_state_dict(state['networks'])
    data: dict[str, Any] = json.loads((folder / DATA).read_text(encoding='utf-8'))
    return recipe, networks.lifter.eval(), data
