# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Peak memory of `geo_pose train` from a store and from one of twenty times its size: it must not grow.

    python -m benchmarks.training.store_memory [--times 20] [--recipe pseudo_label ...]

Prints a line per recipe, and writes docs/benchmarks/train_memory.json. Synthetic people (exact projections and 1 px of
noise) before four cameras; the smaller store fills the buffer once. Each training is a process of its own, of the same
steps for both sizes; its peak is what the kernel counted. `memory` is the first recipe on the same data without a
stream, as other data are trained on. Times are the processes' CPU seconds, as ratios.
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


def train(kind: str, recipe: str, store: Path, folder: Path) -> dict[str, float]:
    """Train once in a process of its own; return its peak memory and its CPU time."""
    command = [
        sys.executable, '-c', CHILD, kind, 'train', '--recipe', recipe, '--data', f'store:{store}', '--out',
        str(folder), '--quiet',
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


def main() -> None:
    """Measure, print and write."""
    parser = parser_of(__doc__)
    parser.add_argument('--times', type=int, default=20, help='how much larger the larger store is')
    parser.add_argument('--recipe', nargs='+', default=['pseudo_label', 'li2020', 'retrain', 'geo'])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        compare_memory(Path(name), arguments.recipe, arguments.times)


if __name__ == '__main__':
    main()
