"""`make bench-lifter`: all recipes under one protocol, resumable; prints a table and writes out/bench/lifter.json.

Protocol: CMU motion (mocap17.npz) seen by Human3.6M's rigs through the detector noise model; training clips before
the rigs of S1, 5, 6, 7, 8; validation clips before those of S9, 11, before `pose2sim_demo` as the rig never
trained on, and before cameras under a ceiling. The clips a/ and c/ show skeletons and actions that are trained on too,
those of b/ other people and other moves: they are apart. The same backbone, batch and number of optimiser steps for
every recipe; what a recipe adds (a root branch, virtual views) is its own. Each run is kept in out/bench/lifter_runs,
keyed by all that defines it, and not repeated.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import math
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import Any

import torch

from geo_pose_ros.inference.model_card import VIEW_SIZE
from geo_pose_ros.simulation.cameras import ceiling_rig
from geo_pose_ros.simulation.detector import CLEAN
from geo_pose_ros.simulation.motion import MotionClip
from geo_pose_ros.simulation.motion_files import load_motion

from .data.bank import Bank, Batch
from .data.prepare import prepare
from .data.sequence import Sequence
from .data.synthetic import SyntheticSettings, load_rigs, synthesise_all
from .evaluate import evaluate, input_options, torch_predictor
from .fit import Trainer, epoch_batches
from .model import Lifter
from .provenance import source_commit
from .settings import Recipe, load_recipe

TRAIN_RIGS = ('h36m_S1', 'h36m_S5', 'h36m_S6', 'h36m_S7', 'h36m_S8')
TEST_RIGS = ('h36m_S9', 'h36m_S11')
UNSEEN_RIGS = ('pose2sim_demo',)
SEEDS = (0, 1, 2)
# The test rig under a ceiling is made from this seed; no choice was made on it.
CEILING_RIGS = ('ceiling',)
CEILING_SEED = 2026
METRICS = ('mpjpe_mm', 'n_mpjpe_mm', 'p_mpjpe_mm', 'root_mm')
# Of the other parts only this, by the name that it has in the table.
ELSEWHERE: Mapping[str, str] = {
    'unseen': 'unseen_rig_mpjpe_mm', 'ceiling': 'ceiling_mpjpe_mm', 'b': 'b_mpjpe_mm', 'b_ceiling': 'b_ceiling_mpjpe_mm'
}
# The same for every run: a small backbone, so that the whole table is a matter of an hour or two.
PROTOCOL: Mapping[str, object] = {
    'model.width': 256, 'model.blocks': 3, 'model.dropout': 0.0, 'optim.batch': 192, 'optim.steps': 6000,
}
# Every third frame of the validation clips: neighbours at 30 Hz are nearly the same pose.
_TEST_STRIDE = 3


@dataclass(frozen=True, slots=True)
class Cell:
    """One row: a recipe with changes, on noisy or clean keypoints, and how many seeds it gets."""

    name: str
    recipe: str
    changes: Mapping[str, object] = field(default_factory=dict)
    seeds: tuple[int, ...] = SEEDS
    clean: bool = False

    def settings(self) -> Recipe:
        """Return the recipe under the protocol."""
        return load_recipe(self.recipe, {**PROTOCOL, **self.changes})

    def key(self, seed: int) -> str:
        """Return what identifies a run of this cell."""
        text = json.dumps([asdict(self.settings()), self.clean, seed, _TEST_STRIDE], sort_keys=True)
        return f'{self.name}-{seed}-{hashlib.sha256(text.encode()).hexdigest()[:12]}'


HEADLINE = (
    Cell('supervised', 'supervised'),
    Cell('pseudo_label', 'pseudo_label'),
    Cell('geo', 'geo'),
    Cell('geo_canonical', 'geo_canonical'),
    Cell('li2020_real_views', 'li2020_real_views'),
    Cell('li2020', 'li2020'),
    Cell('reprojection_only', 'reprojection_only'),
    Cell('pseudo_label_2views', 'pseudo_label', {'data.cameras': 2}),
    Cell('geo_2views', 'geo', {'data.cameras': 2}),
)
# Ablations compare with a base row of their own, after fewer steps and with one seed: their differences are large.
_ABLATION: Mapping[str, object] = {'optim.steps': 1000}


def _ablation(name: str, recipe: str, changes: Mapping[str, object] | None = None, *, clean: bool = False) -> Cell:
    return Cell(f'{recipe}: {name}', recipe, {**_ABLATION, **(changes or {})}, (0,), clean)


_CLOSED_FORM: Mapping[str, object] = {'loss.root': 'closed_form', 'loss.pretrain_share': 0.0}
ABLATIONS = (
    _ablation('base (weights: source; two branches; pre-training)', 'li2020_real_views'),
    *(
        _ablation(f'weights: {kind}', 'li2020_real_views', {'loss.confidence': kind})
        for kind in ('none', 'target', 'product')
    ),
    _ablation('8 virtual cameras', 'li2020'),
    _ablation('8 virtual cameras that see refined labels', 'li2020', {'data.labels': 'refined'}),
    _ablation('no pre-training', 'li2020_real_views', {'loss.pretrain_share': 0.0}),
    _ablation('one branch (closed-form root)', 'li2020_real_views', {'loss.root': 'closed_form'}),
    _ablation('one branch, no pre-training', 'li2020_real_views', _CLOSED_FORM),
    _ablation(
        'one branch, no pre-training, weights: target, saturated, learning rate of geo', 'li2020_real_views',
        {
            **_CLOSED_FORM, 'loss.confidence': 'target', 'loss.saturation_px': 30.0, 'optim.lifted_views': 1,
            'optim.schedule': 'one_cycle', 'optim.learning_rate': 0.01,
        },
    ),
    _ablation(
        'learning rate of geo (one cycle, 1e-2)', 'li2020_real_views',
        {'optim.schedule': 'one_cycle', 'optim.learning_rate': 0.01},
    ),
    _ablation('2 views', 'li2020_real_views', {'data.cameras': 2}),
    _ablation('3 views', 'li2020_real_views', {'data.cameras': 3}),
    _ablation('base', 'geo'),
    _ablation(
        'no copies before virtual cameras', 'geo',
        {'data.reshaped_copies': 0, 'data.ansur': 0.0, 'data.exchanged_parts': 0.0, 'data.bent_joints_deg': 0.0},
    ),
    _ablation('no motion but that of the clips', 'geo', {'data.exchanged_parts': 0.0, 'data.bent_joints_deg': 0.0}),
    _ablation('gravity not known', 'geo', {'model.gravity': False}),
    _ablation('labels meet at the root', 'geo', {'loss.label_origin': 'root'}),
    _ablation('base', 'pseudo_label'),
    _ablation('3 views', 'pseudo_label', {'data.cameras': 3}),
    _ablation('2 views', 'pseudo_label', {'data.cameras': 2}),
    _ablation('2 views', 'geo', {'data.cameras': 2}),
    _ablation('clean 2D', 'pseudo_label', clean=True),
    _ablation('clean 2D', 'li2020_real_views', clean=True),
    _ablation('clean 2D', 'supervised', clean=True),
    _ablation('clean 2D', 'geo', clean=True),
    _ablation('3 views', 'geo', {'data.cameras': 3}),
    _ablation('extrinsics from joints', 'li2020_real_views', {'data.extrinsics': 'joints'}),
    _ablation('27 frames', 'li2020_temporal', {'model.receptive_field': 27}),
)


def parts() -> dict[str, tuple[bool, tuple[str, ...]]]:
    """Return the validation parts by name: whether of other people (b/), and the rigs."""
    return {
        'test': (False, TEST_RIGS), 'unseen': (False, UNSEEN_RIGS), 'ceiling': (False, CEILING_RIGS),
        'b': (True, TEST_RIGS), 'b_ceiling': (True, CEILING_RIGS),
    }


class Data:
    """The protocol's sequences, made when first asked for."""

    def __init__(self, motion: Path, rigs: Path, folder: Path) -> None:
        self._motion, self._rigs, self._folder = motion, rigs, folder
        self._made: dict[bool, dict[str, list[Sequence]]] = {}
        self._bank: tuple[str, Bank] | None = None

    def sequences(self, clean: bool) -> dict[str, list[Sequence]]:
        """Return the training sequences and those of all parts."""
        if clean not in self._made:
            clips = load_motion(self._motion)
            rigs = {**load_rigs(self._rigs), 'ceiling': ceiling_rig(CEILING_SEED)}
            settings = SyntheticSettings(noise=CLEAN) if clean else SyntheticSettings()

            def seen(chosen: list[MotionClip], names: tuple[str, ...], seed: int) -> list[Sequence]:
                return synthesise_all(chosen, {name: rigs[name] for name in names}, settings, seed)

            made = {'train': seen([clip for clip in clips if not clip.validation], TRAIN_RIGS, 0)}
            for part, (others, names) in parts().items():
                chosen = [clip for clip in clips if clip.validation and clip.name.startswith('b/') == others]
                made[part] = seen(chosen, names, 1)
            self._made[clean] = made
        return self._made[clean]

    def test(self, clean: bool, part: str, receptive_field: int) -> tuple[list[Sequence], int]:
        """Return what to evaluate on, every third frame, and the stride that is left: windows need their neighbours."""
        sequences = self.sequences(clean)[part]
        if receptive_field > 1:
            return sequences, _TEST_STRIDE
        return [sequence.frames(slice(None, None, _TEST_STRIDE)) for sequence in sequences], 1

    def bank(self, cell: Cell) -> Bank:
        """Return the cell's training data; kept in memory until another is asked for, and on disk."""
        recipe = cell.settings()
        key = repr((recipe.data, recipe.model.gravity, cell.clean))
        if self._bank is not None and self._bank[0] == key:
            return self._bank[1]
        self._bank = None
        file = self._folder / f'bank-{hashlib.sha256(key.encode()).hexdigest()[:12]}.pt'
        if file.is_file():
            bank = Bank(**torch.load(file, weights_only=True))
        else:
            bank = prepare(self.sequences(cell.clean)['train'], recipe.data, 0, gravity=recipe.model.gravity)
            torch.save({f.name: getattr(bank, f.name) for f in fields(bank)}, file)
        self._bank = key, bank
        return bank


def run_cell(cell: Cell, seed: int, data: Data) -> dict[str, Any]:
    """Train and evaluate one run; return its numbers."""
    recipe = cell.settings()
    bank = data.bank(cell)
    trainer = Trainer(recipe, bank, seed=seed)
    start = time.perf_counter()
    while trainer.step < recipe.optim.steps:
        losses = trainer.train_epoch()
    train_s = time.perf_counter() - start
    predict = torch_predictor(trainer.lifter)
    windows = input_options(recipe)
    measured = {}
    for part in parts():
        sequences, stride = data.test(cell.clean, part, recipe.model.receptive_field)
        if sequences:
            measured[part] = evaluate(predict, sequences, **windows, stride=stride, cross_views=False)
    test = measured['test']
    return {
        **{name: test[name] for name in METRICS},
        **{name: measured[part]['mpjpe_mm'] for part, name in ELSEWHERE.items() if part in measured},
        'pck150': test['pck150'], 'auc': test['auc'], 'train_s': train_s,
        'poses_per_s': recipe.optim.steps * recipe.optim.batch / train_s, 'losses': losses, 'seed': seed,
    }


def throughput(bank: Bank, recipe: Recipe, *, blocks: int = 7, steps: int) -> dict[str, float]:
    """Return lifted poses per second of training, and of the bare network (forward + backward), and the ratio.

    Also the ratio without the optimiser, which is neither data nor losses. The loops alternate block by block, so that
    other load on the machine meets all; ratios are the blocks' medians.
    """
    trainer = Trainer(recipe, bank, seed=0)
    bare = Lifter(17, recipe.model)
    given = torch.randn(recipe.optim.batch, 1, 17, 3), torch.randn(recipe.optim.batch, VIEW_SIZE)

    def seconds(block: int, step: Callable[[Batch], object]) -> float:
        start = time.perf_counter()
        for batch in epoch_batches(bank, recipe, seed=0, epoch=block, share=recipe.optim.batch, steps=steps):
            step(batch)
        return time.perf_counter() - start

    def plain() -> float:
        start = time.perf_counter()
        for _ in range(steps):
            bare.zero_grad()
            bare(*given).xyz.abs().mean().backward()
        return time.perf_counter() - start

    # The first block warms up.
    timed = [
        (seconds(block, trainer.train_step), seconds(block, trainer.compute_gradients), plain())
        for block in range(blocks + 1)
    ][1:]
    poses = steps * recipe.optim.batch
    return {
        'width': recipe.model.width, 'blocks': recipe.model.blocks, 'batch': recipe.optim.batch,
        'training_poses_per_s': poses / statistics.median(training for training, _, _ in timed),
        'plain_poses_per_s': poses / statistics.median(bare_s for _, _, bare_s in timed),
        'ratio': statistics.median(bare_s / training for training, _, bare_s in timed),
        'ratio_without_optimiser': statistics.median(bare_s / gradients for _, gradients, bare_s in timed),
    }


def summarise(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return mean, standard deviation and number of seeds of each metric."""
    summary: dict[str, Any] = {}
    for name in (*METRICS, *ELSEWHERE.values(), 'pck150', 'auc'):
        values = [run[name] for run in runs if name in run]
        if not values:
            continue
        spread = statistics.stdev(values) if len(values) > 1 else None
        summary[name] = {'mean': statistics.fmean(values), 'std': spread, 'seeds': len(values)}
    for name in ('train_s', 'poses_per_s'):
        summary[name] = statistics.fmean(run[name] for run in runs)
    return summary


def check_targets(recipes: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the numbers to reach as ratios: what, value, limit, reached; rows that are missing are left out."""

    def mean(recipe: str, metric: str = 'mpjpe_mm') -> float:
        return float(recipes[recipe][metric]['mean'])

    wanted: tuple[tuple[str, tuple[str, ...], Callable[[], float], float], ...] = (
        ('geo / supervised, MPJPE', ('geo', 'supervised'), lambda: mean('geo') / mean('supervised'), 1.02),
        *(
            (
                f'geo / supervised, {where}', ('geo', 'supervised'),
                partial(_ratio, recipes, 'geo', 'supervised', metric), 1.0,
            )
            for where, metric in (
                ('b/', 'b_mpjpe_mm'), ('ceiling', 'ceiling_mpjpe_mm'), ('b/, ceiling', 'b_ceiling_mpjpe_mm')
            )
        ),
        ('geo / li2020, MPJPE', ('geo', 'li2020'), lambda: mean('geo') / mean('li2020'), 0.70),
        ('geo / li2020, b/', ('geo', 'li2020'), partial(_ratio, recipes, 'geo', 'li2020', 'b_mpjpe_mm'), 0.75),
        ('geo / pseudo_label, MPJPE', ('geo', 'pseudo_label'), lambda: mean('geo') / mean('pseudo_label'), 1.0),
        (
            'geo / pseudo_label from two views, MPJPE', ('geo_2views', 'pseudo_label_2views'),
            lambda: mean('geo_2views') / mean('pseudo_label_2views'), 0.90,
        ),
        (
            'geo / supervised, absolute root', ('geo', 'supervised'),
            lambda: mean('geo', 'root_mm') / mean('supervised', 'root_mm'), 1.05,
        ),
        (
            'geo on an unseen rig / on S9, S11, MPJPE', ('geo',),
            lambda: mean('geo', 'unseen_rig_mpjpe_mm') / mean('geo'), 1.15,
        ),
        (
            'li2020 / reprojection_only, MPJPE', ('li2020', 'reprojection_only'),
            lambda: mean('li2020') / mean('reprojection_only'), 0.5,
        ),
        (
            'li2020 / without virtual cameras, MPJPE', ('li2020', 'li2020_real_views'),
            lambda: mean('li2020') / mean('li2020_real_views'), 1.0,
        ),
    )
    found = []
    for what, needed, ratio, limit in wanted:
        value = ratio() if all(name in recipes for name in needed) else float('nan')
        # Runs made before a part was measured lack it.
        if math.isfinite(value):
            found.append({'what': what, 'ratio': value, 'limit': limit, 'reached': value <= limit})
    return found


def _ratio(recipes: Mapping[str, Any], first: str, second: str, metric: str) -> float:
    """Return the ratio of two recipes' means; NaN if one has not that metric."""
    values = [recipes[recipe].get(metric, {}).get('mean', math.nan) for recipe in (first, second)]
    return float(values[0] / values[1])


def table(recipes: Mapping[str, Any]) -> str:
    """Return the rows as a Markdown table."""
    names = (*METRICS, *ELSEWHERE.values(), 'auc')
    lines = ['| recipe | ' + ' | '.join(names) + ' | train_s | seeds |', '|---|' + '---:|' * (len(names) + 2)]
    for recipe, found in recipes.items():
        cells = []
        for name in names:
            if name not in found:
                cells.append('')
                continue
            spread = found[name]['std']
            cells.append(f"{found[name]['mean']:.1f}" + ('' if spread is None else f' ± {spread:.1f}'))
        lines.append(f"| {recipe} | {' | '.join(cells)} | {found['train_s']:.0f} | {found['mpjpe_mm']['seeds']} |")
    return '\n'.join(lines)


def report(runs: Mapping[str, list[dict[str, Any]]], speed: list[dict[str, float]]) -> dict[str, Any]:
    """Return the whole result as written to lifter.json."""
    headline = {cell.name for cell in HEADLINE}
    done = {name: summarise(found) for name, found in runs.items() if found}
    recipes = {name: found for name, found in done.items() if name in headline}
    return {
        'recipes': recipes, 'ablations': {name: found for name, found in done.items() if name not in headline},
        'targets': check_targets(recipes), 'throughput': speed, 'protocol': dict(PROTOCOL),
        'commit': source_commit(),
        'machine': f'{_cpu()}, {torch.get_num_threads()} thread(s), shared with other jobs; no GPU',
        'torch': str(torch.__version__),
        'date': datetime.datetime.now(datetime.timezone.utc).isoformat(timespec='seconds'),
    }


def _cpu() -> str:
    info = Path('/proc/cpuinfo')
    lines = info.read_text(encoding='utf-8').splitlines() if info.is_file() else []
    names = [line.split(':', 1)[1].strip() for line in lines if line.startswith('model name')]
    return f'{names[0]} x {len(names)}' if names else platform.processor() or platform.machine()


def main(arguments: list[str] | None = None) -> int:
    """Run what is missing, print the table, write the result."""
    parser = argparse.ArgumentParser(prog='python -m geo_pose_training.benchmark', description=__doc__)
    parser.add_argument('--motion', type=Path, default=Path('../shared/data/mocap17.npz'))
    parser.add_argument('--rigs', type=Path, default=Path('../shared/data/rigs.json'))
    parser.add_argument('--out', type=Path, default=Path('out/bench/lifter.json'))
    parser.add_argument('--only', nargs='*', default=None, help='rows whose names start so')
    parser.add_argument('--no-ablations', action='store_true')
    parser.add_argument('--threads', type=int, default=torch.get_num_threads())
    parser.add_argument('--report', action='store_true', help='run nothing; report what there is')
    args = parser.parse_args(arguments)
    torch.set_num_threads(args.threads)
    kept = args.out.parent / 'lifter_runs'
    kept.mkdir(parents=True, exist_ok=True)
    data = Data(args.motion, args.rigs, kept)
    cells = (*HEADLINE, *(() if args.no_ablations else ABLATIONS))
    runs: dict[str, list[dict[str, Any]]] = {cell.name: [] for cell in cells}
    speed_file = kept / 'throughput.json'
    speed: list[dict[str, float]] = json.loads(speed_file.read_text(encoding='utf-8')) if speed_file.is_file() else []
    # So that a table cut short has every row: headline rows once, then the cheap ones' other seeds, the ablations, and
    # the other seeds of the rows with a root branch, which take three times as long.
    first, later = SEEDS[:1], SEEDS[1:]
    cheap = [cell for cell in HEADLINE if cell.settings().loss.root != 'branch']
    dear = [cell for cell in HEADLINE if cell.settings().loss.root == 'branch']
    turns = [(cell, seed) for cell in (*cheap, *dear) for seed in first]
    turns += [(cell, seed) for seed in later for cell in cheap]
    turns += [(cell, seed) for cell in cells[len(HEADLINE) :] for seed in cell.seeds]
    turns += [(cell, seed) for seed in later for cell in dear]
    for cell, seed in turns:
        file = kept / f'{cell.key(seed).replace("/", "_").replace(" ", "_")}.json'
        if not file.is_file():
            wanted = args.only is None or any(cell.name.startswith(name) for name in args.only)
            if args.report or not wanted:
                continue
            file.write_text(json.dumps(run_cell(cell, seed, data)), encoding='utf-8')
        run = json.loads(file.read_text(encoding='utf-8'))
        runs[cell.name].append(run)
        print(
            f"{cell.name} seed {seed}: MPJPE {run['mpjpe_mm']:.1f} mm, "
            f"unseen rig {run['unseen_rig_mpjpe_mm']:.1f}, root {run['root_mm']:.0f} mm, {run['train_s']:.0f} s",
            flush=True,
        )
        args.out.write_text(json.dumps(report(runs, speed), indent=1) + '\n', encoding='utf-8')
    if not speed and not args.report:
        geo = next(cell for cell in HEADLINE if cell.name == 'geo')
        # The benchmark's small network, and the paper's, which is the recipe's own.
        speed = [
            throughput(data.bank(geo), recipe, steps=steps)
            for recipe, steps in ((geo.settings(), 100), (load_recipe('geo'), 4))
        ]
        speed_file.write_text(json.dumps(speed), encoding='utf-8')
    result = report(runs, speed)
    args.out.write_text(json.dumps(result, indent=1) + '\n', encoding='utf-8')
    print('\n' + table({**result['recipes'], **result['ablations']}))
    for target in result['targets']:
        verdict = 'reached' if target['reached'] else 'MISSED'
        print(f"{verdict:8} {target['what']}: {target['ratio']:.3f} (limit {target['limit']})")
    for row in speed:
        print(
            f"width {row['width']}, {row['blocks']} blocks, batch {row['batch']}: training "
            f"{row['training_poses_per_s']:.0f} poses/s, plain forward + backward {row['plain_poses_per_s']:.0f}: "
            f"{row['ratio']:.2f} of it (at least 0.8), {row['ratio_without_optimiser']:.2f} without the optimiser"
        )
    return 0


if __name__ == '__main__':
    sys.exit(main())
