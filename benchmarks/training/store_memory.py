# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Peak memory of `geo_pose train` from a store and from one of twenty times its size: it must not grow.

    python -m benchmarks.training.store_memory [--times 20] [--recipe pseudo_label ...]
    python -m benchmarks.training.store_memory --seeds 3 [--recipe pseudo_label]

Prints a line per recipe, and writes docs/benchmarks/train_memory.json. Synthetic people (exact projections and 1 px of
noise) before four cameras; the smaller store fills the buffer once. Each training is a process of its own, of the same
steps for both sizes; its peak is what the kernel counted. `memory` is the first recipe on the same data without a
stream, as other data are trained on. Times are the processes' CPU seconds, as ratios.

With --seeds, instead, the accuracy of lifters of the first recipe, from a store larger than the buffer and from the
same data in memory: the difference, and the spread of seeds, on other people with truth; a line per way, and
docs/benchmarks/train_stream.json.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from geo_pose_training.data.store.shards import SUFFIX, StoreSettings, write_shard
from geo_pose_training.evaluation.metrics import evaluate
from geo_pose_training.evaluation.predictor import Predictor

from benchmarks.harness import RESULTS, parser_of, provenance, write_json
from test.training.people import recorded_person

LIMIT = 1.05
PIECE_FRAMES, PIECES, LANES = 512, 16, 4
# Of one recording: two pieces.
FRAMES = 2 * PIECE_FRAMES
SETTINGS = {
    'model.width': 256, 'model.blocks': 3, 'optim.batch': 128, 'optim.steps': 300, 'optim.steps_per_epoch': 50,
    'stream.pieces': PIECES, 'stream.lanes': LANES,
}
# Recordings to compare accuracies: two and a half times what the buffer holds; every fifth is the test part.
BAGS = 25
# People that nobody was trained on: their seeds come after those of the recordings.
OTHERS = range(1000, 1006)
# Trains, as the command does, and says what it took; "memory": as if a store were no store.
CHILD = """
import resource, sys
from geo_pose_training import cli, feed
if sys.argv[1] == 'memory':
    feed.StoreSource = ()
status = cli.main(sys.argv[2:])
used = resource.getrusage(resource.RUSAGE_SELF)
print('USED', used.ru_maxrss, used.ru_utime + used.ru_stime)
sys.exit(status)
"""


def make_store(folder: Path, bags: int) -> None:
    """Write a store of ``bags`` recordings, each of another person."""
    for number in range(bags):
        seen = recorded_person(FRAMES, noise_px=1.0, seed=number, name=f'bag{number:04d}')
        # Labels that cost nothing here: what is measured is training.
        labelled = replace(seen, refined=(seen.truth, np.ones(seen.truth.shape[:2])))
        write_shard(folder / f'{seen.name}{SUFFIX}', labelled, StoreSettings(PIECE_FRAMES), {})


def train(kind: str, recipe: str, store: Path, folder: Path, seed: int = 0) -> dict[str, float]:
    """Train once in a process of its own; return its peak memory and its CPU time."""
    command = [
        sys.executable, '-c', CHILD, kind, 'train', '--recipe', recipe, '--data', f'store:{store}', '--out',
        str(folder), '--quiet', '--seed', str(seed),
        *(part for name, value in SETTINGS.items() for part in ('--set', f'{name}={value}')),
    ]
    # One arena: what glibc keeps for several threads is luck.
    environment = {**os.environ, 'OMP_NUM_THREADS': '1', 'OPENBLAS_NUM_THREADS': '1', 'MALLOC_ARENA_MAX': '1'}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        sys.exit(done.stderr)
    _, peak_kib, seconds = next(line for line in done.stdout.splitlines() if line.startswith('USED')).split()
    return {'peak_mib': int(peak_kib) / 1024.0, 'cpu_s': float(seconds)}


def compare_memory(folder: Path, recipes: Sequence[str], more: int) -> None:
    """Measure the peak memory with a store and with one ``more`` times as large; print and write."""
    found: dict[str, Any] = {
        **provenance('python -m benchmarks.training.store_memory'), 'times': more, 'settings': SETTINGS, 'runs': {},
    }
    stores = {times: folder / f'store{times}' for times in (1, more)}
    for times, store in stores.items():
        # Every fifth is the test part.
        bags = times * PIECES // 2 * 5 // 4
        make_store(store, bags)
        found[f'frames_{times}x'] = bags * FRAMES
        found[f'store_mib_{times}x'] = sum(path.stat().st_size for path in store.iterdir()) / 2**20
    for kind, recipe in [('stream', recipe) for recipe in recipes] + [('memory', recipes[0])]:
        one, many = (train(kind, recipe, store, folder / f'{kind}{recipe}{times}') for times, store in stores.items())
        ratio = many['peak_mib'] / one['peak_mib']
        found['runs'][f'{kind} {recipe}'] = {'1x': one, f'{more}x': many, 'peak_ratio': ratio}
        print(
            f'{kind} {recipe:<14} {one["peak_mib"]:7.1f} -> {many["peak_mib"]:7.1f} MiB, x {ratio:.3f}'
            f'{"" if ratio <= LIMIT else " (more than 5 %)"}; CPU x {many["cpu_s"] / one["cpu_s"]:.2f}', flush=True,
        )
    write_json(RESULTS / 'train_memory.json', found)


def compare_accuracy(folder: Path, recipe: str, seeds: int) -> None:
    """Measure lifters trained from a store and from memory, ``seeds`` of each; print and write."""
    others = [recorded_person(frames=120, noise_px=1.0, seed=seed) for seed in OTHERS]
    make_store(folder / 'store', BAGS)
    errors: dict[str, list[float]] = {'stream': [], 'memory': []}
    for kind, found in errors.items():
        for seed in range(seeds):
            train(kind, recipe, folder / 'store', folder / f'{kind}{seed}', seed)
            lifter = Predictor.load(folder / f'{kind}{seed}')
            found.append(evaluate(lifter, others, cross_views=False)['mpjpe_mm'])
        print(f'{kind}: {np.mean(found):.1f} +- {np.std(found):.1f} mm over {seeds} seeds', flush=True)
    write_json(RESULTS / 'train_stream.json', {
        **provenance(f'python -m benchmarks.training.store_memory --seeds {seeds}'), 'settings': SETTINGS,
        'recipe': recipe, 'frames': BAGS * FRAMES, 'buffer_pieces': PIECES, 'mpjpe_mm': errors,
    })


def main() -> None:
    """Measure, print and write."""
    parser = parser_of(__doc__)
    parser.add_argument('--times', type=int, default=20, help='how much larger the larger store is')
    parser.add_argument('--recipe', nargs='+', default=['pseudo_label', 'li2020', 'retrain', 'geo'])
    parser.add_argument('--seeds', type=int, default=0, help='compare accuracies, with this number of seeds each')
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        if arguments.seeds:
            compare_accuracy(Path(name), arguments.recipe[0], arguments.seeds)
        else:
            compare_memory(Path(name), arguments.recipe, arguments.times)


if __name__ == '__main__':
    main()
