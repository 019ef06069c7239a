# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Several detector_node processes and pose_node over live topics: what is lost, what a killed one costs.

    python benchmarks/live/detector_nodes.py [--cameras 12] [--rate-hz 10] [--processes 3] [--seconds 20]

The demo's four cameras stand for any number: each further one sends the same images again. After half of the time one
detector is killed (-9) and started again two seconds later. Printed as JSON: messages by camera, drops as the nodes
count them, sets with a body before, during and after, when the loss was reported and when its cameras were back, and
bytes per message.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.publisher import Publisher
from sensor_msgs.msg import CompressedImage, PointCloud2

from benchmarks.harness import CACHE, parser_of
from geo_pose_ros.bags.cameras import choose_cameras
from geo_pose_ros.bags.read import BagReader
from geo_pose_ros.demo.live import prepare
from geo_pose_ros.messages.cdr import with_header_stamp
from geo_pose_ros.rigs.rig_file import dump_rig
from geo_pose_ros.ros.io.middleware import large_data_environment
from geo_pose_ros.ros.io.qos import profile
from geo_pose_ros.types import Camera, CameraRig

OUT = Path('out/detector_nodes')
_DEAD_S = 2.0
_START_S = 60.0


def read_images(bag: Path, rig: CameraRig) -> dict[str, list[bytes]]:
    """Return the serialised images of each camera of ``bag``, in order."""
    found: dict[str, list[bytes]] = {name: [] for name in rig.names}
    with BagReader(bag) as reader:
        topics = {t.image: name for name, t in choose_cameras(reader, rig.names).items()}
        for message in reader.messages(tuple(topics)):
            found[topics[message.topic]].append(message.raw)
    return found


def many(rig: CameraRig, count: int) -> dict[str, Camera]:
    """Return ``count`` cameras that repeat those of ``rig``, by name, with their lenses and poses."""
    made = {}
    for index in range(count):
        source = rig.cameras[index % len(rig)]
        name = f'c{index:02d}'
        made[name] = Camera(name, source.frame_id, source.intrinsics, source.cam_from_world)
    return made


def main() -> None:
    """Run and print."""
    parser = parser_of(__doc__)
    parser.add_argument('--cameras', type=int, default=12)
    parser.add_argument('--rate-hz', type=float, default=10.0)
    parser.add_argument('--processes', type=int, default=3)
    parser.add_argument('--seconds', type=float, default=20.0)
    arguments = parser.parse_args()
    material = prepare(OUT, CACHE, 'person')
    cameras = many(material.rig, arguments.cameras)
    rig = CameraRig(tuple(cameras.values()), material.rig.world_frame_id)
    (OUT / 'many.yaml').write_text(dump_rig(rig))
    sent = read_images(material.bag, material.rig)
    sources = {name: sent[material.rig.names[index % len(material.rig)]] for index, name in enumerate(cameras)}
    os.environ.update(large_data_environment(os.environ))
    os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    os.environ['ROS_DOMAIN_ID'] = str(random.SystemRandom().randrange(1, 100))
    print(json.dumps(run(arguments, sources), indent=1))


class Nodes:
    """pose_node and detector_nodes as processes; each detector_node has its share of the cameras."""

    def __init__(self, names: Sequence[str], processes: int) -> None:
        self.shares = [list(names[index::processes]) for index in range(processes)]
        self._pose = self._start('pose_node', 'pose_node', f'rig:={OUT / "many.yaml"}', 'transport:=keypoints')
        self._detectors = [self._detector(index) for index in range(processes)]

    def _start(self, module: str, name: str, *parameters: str) -> subprocess.Popen[bytes]:
        options = [word for p in parameters for word in ('-p', p)]
        command = [
            sys.executable, '-m', f'geo_pose_ros.ros.nodes.{module}', '--ros-args', '-r', f'__node:={name}', *options,
        ]
        return subprocess.Popen(command, stdout=(OUT / f'{name}.log').open('w'), stderr=subprocess.STDOUT)

    def _detector(self, index: int) -> subprocess.Popen[bytes]:
        cameras = f'cameras:={self.shares[index]}'
        return self._start('detector_node', f'detector_{index}', cameras, 'detector.workers:=1')

    def kill_first(self) -> None:
        """Kill the first detector_node."""
        self._detectors[0].send_signal(signal.SIGKILL)
        self._detectors[0].wait()

    def restart_first(self) -> None:
        """Start the first detector_node again."""
        self._detectors[0] = self._detector(0)

    def stop(self) -> None:
        """End all."""
        for process in (*self._detectors, self._pose):
            process.send_signal(signal.SIGINT)
        for process in (*self._detectors, self._pose):
            process.wait(20.0)


class Observer:
    """What came over the topics, and when (monotonic s)."""

    def __init__(self, node: Node, names: Iterable[str]) -> None:
        self.messages: Counter[str] = Counter()
        self.sizes: list[int] = []
        self.arrived_s: dict[str, float] = {}
        self.bodies: list[tuple[float, int]] = []
        self.values: dict[str, dict[str, str]] = {}
        self.levels: list[tuple[float, str, str]] = []
        for name in names:
            node.create_subscription(
                PointCloud2, f'{name}/keypoints', partial(self._on_keypoints, name), profile(50), raw=True
            )
        node.create_subscription(PointCloud2, '/pose_node/bodies', self._on_bodies, profile(50))
        node.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, profile(50))

    def _on_keypoints(self, name: str, raw: bytes) -> None:
        self.messages[name] += 1
        self.arrived_s[name] = time.monotonic()
        self.sizes.append(len(raw))

    def _on_bodies(self, message: PointCloud2) -> None:
        self.bodies.append((time.monotonic(), message.height))

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            self.values[status.name] = {pair.key: pair.value for pair in status.values}
            self.levels.append((time.monotonic(), status.name, status.message))

    def sets_with_a_body(self, low_s: float, high_s: float = float('inf')) -> list[int]:
        """Return how many sets between two times had a body, and how many there were."""
        counts = [count for at, count in self.bodies if low_s <= at < high_s]
        return [sum(map(bool, counts)), len(counts)]

    def reported_s(self, names: Iterable[str], since_s: float) -> float | None:
        """Return how long after ``since_s`` the first of the cameras was reported silent."""
        statuses = {f'pose_node: camera {name}' for name in names}
        return next((
            round(at - since_s, 2) for at, name, text in self.levels
            if at > since_s and 'silent' in text and name in statuses
        ), None)


def run(arguments: argparse.Namespace, sources: dict[str, list[bytes]]) -> dict[str, Any]:
    """Start all, play, kill one, and return what was seen."""
    names = list(sources)
    nodes = Nodes(names, arguments.processes)
    rclpy.init()
    node = Node('driver')
    publishers = {n: node.create_publisher(CompressedImage, f'{n}/image_raw/compressed', profile(5)) for n in names}
    observer = Observer(node, names)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    thread = threading.Thread(target=executor.spin, daemon=True)
    thread.start()
    try:
        ends_s = time.monotonic() + _START_S
        while time.monotonic() < ends_s and not all(p.get_subscription_count() for p in publishers.values()):
            time.sleep(0.1)
        began_s, half_s = time.monotonic(), arguments.seconds / 2.0
        published = play(publishers, sources, arguments.rate_hz, half_s)
        killed_s = time.monotonic()
        nodes.kill_first()
        published += play(publishers, sources, arguments.rate_hz, _DEAD_S)
        back_s = time.monotonic()
        nodes.restart_first()
        returned: dict[str, float] = {}
        for _ in range(round((half_s - _DEAD_S) * arguments.rate_hz)):
            published += play(publishers, sources, arguments.rate_hz, 1.0 / arguments.rate_hz)
            for name in nodes.shares[0]:
                if observer.arrived_s.get(name, 0.0) > back_s:
                    returned.setdefault(name, round(observer.arrived_s[name] - back_s, 2))
        time.sleep(1.5)
    finally:
        nodes.stop()
        executor.shutdown()
        thread.join()
        rclpy.try_shutdown()
    return {
        'cameras': len(names), 'rate_hz': arguments.rate_hz, 'processes': arguments.processes,
        'images per camera': published,
        'keypoint messages, of cameras never killed': {
            n: observer.messages[n] for n in names if n not in nodes.shares[0]
        },
        'dropped by detectors': {
            name: {key: value for key, value in values.items() if key.startswith('dropped: ')}
            for name, values in observer.values.items() if name.startswith('detector_')
        },
        'sets with a body': {
            'before': observer.sets_with_a_body(began_s, killed_s),
            'while one was dead': observer.sets_with_a_body(killed_s, back_s),
            'after': observer.sets_with_a_body(back_s),
        },
        'reported after, s': observer.reported_s(nodes.shares[0], killed_s), 'back after the restart, s': returned,
        'bytes per message, median': sorted(observer.sizes)[len(observer.sizes) // 2] if observer.sizes else None,
    }


def play(publishers: dict[str, Publisher], sources: dict[str, list[bytes]], rate_hz: float, seconds: float) -> int:
    """Publish the next images of all cameras for so long; return how many of each."""
    count = max(1, round(seconds * rate_hz))
    due_s = time.monotonic()
    for _ in range(count):
        stamp_ns = time.time_ns()
        for name, publisher in publishers.items():
            images = sources[name]
            images.append(images.pop(0))
            publisher.publish(with_header_stamp(images[-1], stamp_ns))
        due_s += 1.0 / rate_hz
        time.sleep(max(0.0, due_s - time.monotonic()))
    return count


if __name__ == '__main__':
    main()
