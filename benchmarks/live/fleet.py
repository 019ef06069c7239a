"""`geo_pose process` over 200 small bags, by one worker and by two: how much faster two are.

    python benchmarks/live/fleet.py [--bags 200] [--sets 40]

Prints a line per number of workers, and writes docs/benchmarks/fleet.json. Each bag holds keypoints of one synthetic
person (exact projections and 1 px of noise) before four cameras, and is processed as by default, with the lifter. Both
numbers of workers take the same bags, one after the other; times are the command's, from its start to its end.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from geo_pose_ros.bags.message_factory import RosbagsFactory
from geo_pose_ros.bags.write import BagWriter
from geo_pose_ros.geometry.projection import project_world
from geo_pose_ros.messages.camera_info import camera_info_from_intrinsics
from geo_pose_ros.messages.clouds.keypoints import keypoints_to_cloud
from geo_pose_ros.messages.transforms import rig_to_transforms
from geo_pose_ros.skeleton import BODY17
from geo_pose_ros.types import Keypoints2D
from test.scenes import ring_rig
from test.training.people import moving_person

OUT = Path('docs/benchmarks/fleet.json')
WORKERS = (1, 2)
LIMIT = 1.8
PERIOD_NS = 33_333_333


def write_bag(path: Path, sets: int, seed: int) -> None:
    """Write what four cameras saw of one person."""
    make, rig, rng = RosbagsFactory(), ring_rig(4), np.random.default_rng(seed)
    truth = moving_person(sets, seed)
    with BagWriter(path) as writer:
        writer.write('/tf_static', rig_to_transforms(make, rig, 0), 0)
        for camera in rig.cameras:
            info = camera_info_from_intrinsics(make, camera.intrinsics, PERIOD_NS, camera.frame_id)
            writer.write(f'/{camera.name}/camera_info', info, PERIOD_NS)
        seen = {camera: project_world(camera, truth) for camera in rig.cameras}
        for number in range(sets):
            stamp_ns = PERIOD_NS * (number + 1)
            for camera, exact in seen.items():
                xy = exact[number][None] + rng.standard_normal((1, len(BODY17), 2))
                found = Keypoints2D(camera.name, stamp_ns, BODY17, xy, np.ones(xy.shape[:2]))
                cloud = keypoints_to_cloud(make, found, camera.frame_id)
                writer.write(f'/pose_node/keypoints/{camera.name}', cloud, stamp_ns)


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
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--bags', type=int, default=200)
    parser.add_argument('--sets', type=int, default=40, help='frame sets in each bag')
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
    OUT.write_text(json.dumps({
        'command': 'python benchmarks/live/fleet.py', 'date': time.strftime('%Y-%m-%d'), 'bags': arguments.bags,
        'sets_per_bag': arguments.sets, 'cores': os.cpu_count(), 'load_before': load, 'runs': runs,
        'speed_up': one / two, 'asked': LIMIT,
    }, indent=1) + '\n')


if __name__ == '__main__':
    main()
