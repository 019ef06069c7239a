# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""`geo_pose process` over 200 small bags, by one worker and by two: how much faster two are.

    python benchmarks/live/fleet.py [--bags 200] [--sets 40]

Prints a line per number of workers, and writes docs/benchmarks/fleet.json. Each bag holds keypoints of one synthetic
person (exact projections and 1 px of noise) before four cameras, and is processed as by default, with the lifter. Both
numbers of workers take the same bags, one after the other; times are the command's, from its start to its end.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import parser_of, provenance, write_json
from geo_pose_ros.arrays import FloatArray
from geo_pose_ros.geometry.projection import project_world
from geo_pose_ros.simulation.cameras import ring_rig
from geo_pose_ros.simulation.recordings import record_people, write_keypoints_bag
from geo_pose_ros.simulation.walks import walker
from geo_pose_ros.types import Camera

OUT = Path('docs/benchmarks/fleet.json')
WORKERS = (1, 2)
LIMIT = 1.8
FPS = 30.0


def write_bag(path: Path, sets: int, seed: int) -> None:
    """Write what four cameras saw of one person, with 1 px of noise."""
    rng = np.random.default_rng(seed)
    rig = ring_rig(4, 1.0, rng)

    def detect(camera: Camera, joints: FloatArray) -> tuple[FloatArray, FloatArray]:
        xy = project_world(camera, joints)
        return xy + rng.standard_normal(xy.shape), np.ones(xy.shape[:-1])

    clip = walker(rng, sets / FPS)
    write_keypoints_bag(path, rig, record_people(rig, [clip.joints], FPS, detect, rng))


def process(bags: Path, out: Path, workers: int) -> dict[str, Any]:
    """Process all bags with the command; return what it took and made."""
    command = [
        sys.executable, '-m', 'geo_pose_ros.cli', 'process', str(bags / '*'), '--out', str(out), '--workers',
        str(workers),
    ]
    before, began = os.times(), time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wall_s, after = time.perf_counter() - began, os.times()
    if done.returncode:
        sys.exit(f'{done.stdout.splitlines()[-1:]}\n{done.stderr}')
    cpu_s = after.children_user + after.children_system - before.children_user - before.children_system
    return {'wall_s': wall_s, 'cpu_s': cpu_s, 'summary': done.stdout.splitlines()[-1]}


def main() -> None:
    """Measure, print and write."""
    parser = parser_of(__doc__)
    parser.add_argument('--bags', type=int, default=200)
    parser.add_argument('--sets', type=int, default=40, help='sets in each bag')
    arguments = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(arguments.bags):
            write_bag(folder / 'bags' / f'bag{number:04d}', arguments.sets, number)
        runs = {}
        for workers in WORKERS:
            runs[workers] = process(folder / 'bags', folder / f'out{workers}', workers)
            print(
                f'{workers} worker(s): {runs[workers]["wall_s"]:.1f} s, {runs[workers]["cpu_s"]:.1f} s of CPU; '
                f'{runs[workers]["summary"]}', flush=True,
            )
    one, two = (runs[workers]['wall_s'] for workers in WORKERS)
    print(f'2 workers are {one / two:.2f} x as fast ({LIMIT} asked); load before: {load:.1f}')
    write_json(OUT, {
        **provenance('python benchmarks/live/fleet.py'), 'bags': arguments.bags,
        'sets_per_bag': arguments.sets, 'cores': os.cpu_count(), 'load_before': load, 'runs': runs,
        'speed_up': one / two, 'asked': LIMIT,
    })


if __name__ == '__main__':
    main()
