"""Several detector_node processes and pose_node over live topics: what is lost, what a killed one costs.

    .venv/bin/python benchmarks/live/detector_nodes.py [--cameras 12] [--rate-hz 10] [--processes 3] [--seconds 20]

The demo's four cameras stand for any number: each further one sends the same pictures again. After half of the time one
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
from pathlib import Path

from geo_pose_ros.bags.read import BagReader
from geo_pose_ros.demo.run import prepare
from geo_pose_ros.rigs.rig_file import dump_rig
from geo_pose_ros.rigs.topics import choose_cameras
from geo_pose_ros.ros.io.cdr import with_header_stamp
from geo_pose_ros.ros.io.middleware import large_data_environment
from geo_pose_ros.types import Camera, CameraRig

OUT = Path('out/detector_nodes')
_DEAD_S = 2.0
_START_S = 60.0


def pictures(bag: Path, rig: CameraRig) -> dict[str, list[bytes]]:
    """Return the serialised pictures of each camera of ``bag``, in order."""
    found: dict[str, list[bytes]] = {name: [] for name in rig.names}
    with BagReader(bag) as reader:
        topics = {t.image: name for name, t in choose_cameras(reader, rig.names).items()}
        for message in reader.messages(tuple(topics)):
            found[topics[message.topic]].append(message.raw)
    return found


def many(rig: CameraRig, count: int) -> dict[str, Camera]:
    """Return ``count`` cameras that repeat those of ``rig``, by name, with whose pictures they send as frame_id's."""
    made = {}
    for index in range(count):
        source = rig.cameras[index % len(rig)]
        name = f'c{index:02d}'
        made[name] = Camera(name, source.frame_id, source.intrinsics, source.cam_from_world)
    return made


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--cameras', type=int, default=12)
    parser.add_argument('--rate-hz', type=float, default=10.0)
    parser.add_argument('--processes', type=int, default=3)
    parser.add_argument('--seconds', type=float, default=20.0)
    arguments = parser.parse_args()
    material = prepare(OUT, Path('.cache'), 'person')
    cameras = many(material.rig, arguments.cameras)
    rig = CameraRig(tuple(cameras.values()), material.rig.world_frame_id)
    (OUT / 'many.yaml').write_text(dump_rig(rig))
    sent = pictures(material.bag, material.rig)
    sources = {name: sent[material.rig.names[index % len(material.rig)]] for index, name in enumerate(cameras)}
    os.environ.update(large_data_environment(os.environ))
    os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    os.environ['ROS_DOMAIN_ID'] = str(random.SystemRandom().randrange(1, 100))
    print(json.dumps(run(arguments, list(cameras), sources), indent=1))


def run(arguments: argparse.Namespace, names: list[str], sources: dict[str, list[bytes]]) -> dict:
    """Start all, play, kill one, and return what was seen."""
    import rclpy
    from diagnostic_msgs.msg import DiagnosticArray
    from rclpy.executors import SingleThreadedExecutor
    from rclpy.node import Node
    from sensor_msgs.msg import CompressedImage, PointCloud2

    from geo_pose_ros.ros.io.qos import profile

    shares = [names[index :: arguments.processes] for index in range(arguments.processes)]

    def start(module: str, name: str, *parameters: str) -> subprocess.Popen:
        options = [word for p in parameters for word in ('-p', p)]
        log = (OUT / f'{name}.log').open('w')
        return subprocess.Popen(
            [sys.executable, '-m', f'geo_pose_ros.ros.{module}', '--ros-args', '-r', f'__node:={name}', *options],
            stdout=log, stderr=subprocess.STDOUT,
        )

    def detector(index: int) -> subprocess.Popen:
        return start('detector_node', f'detector_{index}', f'cameras:={shares[index]}', 'detector.workers:=1')

    pose = start('pose_node', 'pose_node', f'rig:={OUT / "many.yaml"}', 'transport:=keypoints')
    detectors = [detector(index) for index in range(arguments.processes)]
    rclpy.init()
    node = Node('driver')
    publishers = {n: node.create_publisher(CompressedImage, f'{n}/image_raw/compressed', profile(5)) for n in names}
    messages: dict[str, Counter] = {name: Counter() for name in names}
    sizes: list[int] = []
    arrived: dict[str, float] = {}
    bodies: list[tuple[float, int]] = []
    said: dict[str, dict[str, str]] = {}
    levels: list[tuple[float, str, str]] = []
    phase = {'name': 'before'}

    def on_keypoints(name: str, raw: bytes) -> None:
        messages[name][phase['name']] += 1
        arrived[name] = time.monotonic()
        sizes.append(len(raw))

    def on_diagnostics(message: DiagnosticArray) -> None:
        for status in message.status:
            said[status.name] = {pair.key: pair.value for pair in status.values}
            levels.append((time.monotonic(), status.name, status.message))

    for name in names:
        node.create_subscription(
            PointCloud2, f'{name}/keypoints', lambda raw, n=name: on_keypoints(n, raw), profile(50), raw=True
        )
    node.create_subscription(
        PointCloud2, '/pose_node/bodies', lambda m: bodies.append((time.monotonic(), m.height)), profile(50)
    )
    node.create_subscription(DiagnosticArray, '/diagnostics', on_diagnostics, profile(50))
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    thread = threading.Thread(target=executor.spin, daemon=True)
    thread.start()
    try:
        began = time.monotonic()
        while time.monotonic() - began < _START_S and not all(p.get_subscription_count() for p in publishers.values()):
            time.sleep(0.1)
        began = due = time.monotonic()
        killed = back = None
        number = published = 0
        marks = {}
        while time.monotonic() - began < arguments.seconds:
            stamp_ns = time.time_ns()
            for name, publisher in publishers.items():
                publisher.publish(with_header_stamp(sources[name][number % len(sources[name])], stamp_ns))
            number += 1
            published += 1
            now = time.monotonic()
            if killed is None and now - began > arguments.seconds / 2.0:
                detectors[0].send_signal(signal.SIGKILL)
                killed, phase['name'] = now, 'during'
            if killed is not None and back is None and now - killed > _DEAD_S:
                detectors[0].wait()
                detectors[0] = detector(0)
                back, phase['name'] = now, 'after'
            if back is not None:
                for name in shares[0]:
                    if arrived.get(name, 0.0) > back:
                        marks.setdefault(name, arrived[name] - back)
            due += 1.0 / arguments.rate_hz
            time.sleep(max(0.0, due - time.monotonic()))
        time.sleep(1.5)
    finally:
        for process in (*detectors, pose):
            process.send_signal(signal.SIGINT)
        for process in (*detectors, pose):
            process.wait(20.0)
        executor.shutdown()
        thread.join()
        rclpy.try_shutdown()
    reported = [
        at - killed for at, name, text in levels
        if killed and at > killed and 'silent' in text and name in {f'pose_node: camera {n}' for n in shares[0]}
    ]

    def between(low: float, high: float) -> list[int]:
        return [count for at, count in bodies if low <= at < high]

    return {
        'cameras': len(names), 'rate_hz': arguments.rate_hz, 'processes': arguments.processes,
        'pictures per camera': published,
        'keypoint messages, of cameras never killed': {
            n: sum(messages[n].values()) for n in names if n not in shares[0]
        },
        'dropped by detectors': {
            key: values.get('dropped: a newer picture came before it was taken', '0')
            for key, values in said.items() if key.startswith('detector_')
        },
        'sets with a body': {
            'before': [sum(map(bool, between(began, killed))), len(between(began, killed))],
            'while one was dead': [sum(map(bool, between(killed, back))), len(between(killed, back))],
            'after': [sum(map(bool, between(back, 1e12))), len(between(back, 1e12))],
        },
        'reported after, s': round(min(reported), 2) if reported else None,
        'back after the restart, s': {name: round(value, 2) for name, value in marks.items()},
        'bytes per message, median': sorted(sizes)[len(sizes) // 2] if sizes else None,
    }


if __name__ == '__main__':
    main()
