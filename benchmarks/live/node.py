# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""A live pose_node that is sent keypoints: what its start takes, its memory, its share of a core, and sets lost.

    python benchmarks/live/node.py                  ->  a table, and out/bench/node.json
    python benchmarks/live/node.py --against REV    ->  and another commit, in turns, with the ratio

Keypoints of ``benchmarks/pipeline.py`` go to and fro over DDS, by default 12 cameras x 8 people at 30 Hz. A start is
from the process to its first bodies, in seconds of wall time and of the process' own; ``--cold`` starts with no
compiled code too. ``rss`` counts the pages of shared libraries, ``private`` what the process alone has. Linux only.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil

from benchmarks.fuse import Sets, load
from benchmarks.harness import OUT, ROOT, parser_of, provenance, resident_mb, show, write_json
from benchmarks.pipeline import store, tree_of
from geo_pose_ros.rigs.rig_file import dump_rig
from geo_pose_ros.types import CameraRig

START_S = 180.0


class Cameras:
    """Sends sets of keypoints to and fro at a rate, and hears which bodies come; a context manager."""

    def __init__(self, rig: CameraRig, sets: Sets, rate_hz: float) -> None:
        """Start to send, apart from what else runs on this machine."""
        os.environ['ROS_DOMAIN_ID'] = str(random.SystemRandom().randrange(1, 100))
        os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
        import rclpy
        from sensor_msgs.msg import PointCloud2

        from geo_pose_ros.messages.clouds.keypoints import keypoints_to_cloud
        from geo_pose_ros.messages.stamps import stamp_of
        from geo_pose_ros.ros.io.message_factory import RclpyFactory
        from geo_pose_ros.ros.io.qos import profile

        rclpy.init()
        self.sent: list[int] = []
        self.received: set[int] = set()
        self.rate_hz, self._stop, self._make = rate_hz, threading.Event(), RclpyFactory()
        node, counter = rclpy.create_node('cameras'), rclpy.create_node('counter')
        self._publishers = {
            name: node.create_publisher(PointCloud2, f'{name}/keypoints', profile(5)) for name in rig.names
        }
        self._sets = [
            {name: keypoints_to_cloud(self._make, seen, rig[name].frame_id) for name, seen in keypoints.items()}
            for _, keypoints in sets
        ]
        counter.create_subscription(
            PointCloud2, '/pose_node/bodies', lambda bodies: self.received.add(stamp_of(bodies)), profile(50)
        )
        threading.Thread(target=lambda: rclpy.spin(counter), daemon=True).start()
        self._sender = threading.Thread(target=self._send, daemon=True)
        self._sender.start()

    def _send(self) -> None:
        from geo_pose_ros.messages.stamps import to_time

        turns = [*self._sets, *self._sets[-2:0:-1]]
        next_s, number = time.monotonic(), 0
        while not self._stop.wait(max(0.0, next_s - time.monotonic())):
            next_s += 1.0 / self.rate_hz
            stamp_ns = time.time_ns()
            for name, cloud in turns[number % len(turns)].items():
                cloud.header.stamp = to_time(self._make, stamp_ns)
                self._publishers[name].publish(cloud)
            self.sent.append(stamp_ns)
            number += 1

    def __enter__(self) -> Cameras:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._sender.join()


@contextmanager
def running(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process until the block ends."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)


def cpu_s(pid: int) -> float:
    """Return the processor time a process has used; 0 once it has ended."""
    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)


@contextmanager
def node_of(root: Path, rig: Path, cache: str) -> Iterator[int]:
    """Run the pose_node of a tree until the block ends; yield its process id."""
    command = [
        'env', f'--chdir={root}', f'PYTHONPATH={root}', f'NUMBA_CACHE_DIR={cache}', 'OMP_NUM_THREADS=1',
        sys.executable, '-m', 'geo_pose_ros.cli', 'node', '--ros-args', '-p', f'rig:={rig}', '-p',
        'transport:=keypoints',
    ]
    with running(command) as process:
        yield process.pid


def start(pid: int, cameras: Cameras) -> dict[str, float]:
    """Return how long a node just started takes to its first bodies."""
    began_s, before = time.monotonic(), len(cameras.received)
    while len(cameras.received) == before:
        if time.monotonic() - began_s > START_S or not psutil.pid_exists(pid):
            sys.exit(f'The node gave no bodies within {START_S:.0f} s.')
        time.sleep(0.01)
    return {'start_s': time.monotonic() - began_s, 'start_cpu_s': cpu_s(pid)}


def watch(pid: int, cameras: Cameras, seconds: float) -> dict[str, float]:
    """Return a node's share of a core while it runs, its memory, and the sets that gave no bodies."""
    began_s, began_cpu_s, first = time.monotonic(), cpu_s(pid), len(cameras.sent)
    time.sleep(seconds)
    elapsed_s, last = time.monotonic() - began_s, len(cameras.sent)
    share, memory = (cpu_s(pid) - began_cpu_s) / elapsed_s, psutil.Process(pid).memory_full_info()
    # What was sent last is still on its way.
    time.sleep(1.0)
    # A set's stamp is within its views'.
    came, least_ns = np.array(sorted(cameras.received)), 0.3e9 / cameras.rate_hz
    lost = sum(not np.abs(came - stamp_ns).min(initial=2**62) < least_ns for stamp_ns in cameras.sent[first:last])
    return {
        'cpu_percent': 100.0 * share, 'sets_per_s': (last - first) / elapsed_s, 'sets_lost': lost,
        'rss_mb': resident_mb(pid), 'private_mb': memory.uss / 2**20,
    }


def main() -> None:
    """Measure, print and write."""
    parser = parser_of(__doc__)
    parser.add_argument('--against', metavar='REV', help='measure a commit too, in turns, and print the ratio')
    parser.add_argument('--turns', type=int, default=3, help='starts of each')
    parser.add_argument('--seconds', type=float, default=60.0, help='of each start, once it runs')
    parser.add_argument('--rate-hz', type=float, default=30.0)
    parser.add_argument('--cameras', type=int, default=12)
    parser.add_argument('--people', type=int, default=8)
    parser.add_argument('--cold', action='store_true', help='start this tree once with no compiled code first')
    given = parser.parse_args()
    roots: Mapping[str, Path] = {'this': ROOT, **({given.against: tree_of(given.against)} if given.against else {})}
    rig, sets, _ = load(store(given.cameras, given.people))
    report: dict[str, object] = provenance('python benchmarks/live/node.py')
    found: dict[str, list[dict[str, float]]] = {name: [] for name in roots}
    with tempfile.TemporaryDirectory() as folder, Cameras(rig, sets, given.rate_hz) as cameras:
        path = Path(folder) / 'rig.yaml'
        path.write_text(dump_rig(rig))
        if given.cold:
            with node_of(ROOT, path, folder) as pid:
                report['cold'] = start(pid, cameras)
            show('no compiled code', {'this': report['cold']})
        for _ in range(given.turns):
            for name, root in roots.items():
                with node_of(root, path, '') as pid:
                    found[name].append(start(pid, cameras) | watch(pid, cameras, given.seconds))
    rows = {
        name: {key: round(float(np.median([one[key] for one in turns])), 2) for key in turns[0]}
        for name, turns in found.items()
    }
    report |= {'nodes': rows, 'load_average': os.getloadavg()[0]}
    show(f'{given.cameras} x {given.people} at {given.rate_hz:g} Hz, load {os.getloadavg()[0]:.1f}', rows)
    write_json(OUT / 'node.json', report)


if __name__ == '__main__':
    main()
