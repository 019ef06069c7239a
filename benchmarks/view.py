"""What looking costs: the viewer's first picture and smoothness, the report of ten minutes, live view beside a node.

    python benchmarks/view.py [--parts open report live]    ->  a few lines, and out/bench/view.json

Bags are made first: four cameras and two bodies at 30 Hz, 1280 x 960 pictures in the minute that is viewed. A browser
(Debian's chromium and playwright, as `make test-browser` installs them) draws with the processor; without one the
server's own rate is given alone. Linux only: processor time is read from /proc.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from geo_pose_ros.bags.write import BagWriter
from geo_pose_ros.calibration.rig_file import dump_rig
from geo_pose_ros.messages.image import compressed_from_frame
from geo_pose_ros.types import CameraRig, Frame
from test.evaluation.moving import RATE_HZ, pose, seen_by, stamp_of
from test.scenes import ring_rig
from test.view.recordings import MAKE, write_walk

OUT = Path('out/bench')
GEO_POSE = [sys.executable, '-m', 'geo_pose_ros.cli']
FLAGS = [
    '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync', '--use-gl=angle',
    '--use-angle=swiftshader', '--enable-unsafe-swiftshader',
]
COUNT_FRAMES = '() => { window.drawn = 0; const f = () => { window.drawn++; requestAnimationFrame(f) }; f() }'
WATCH_S, LIVE_S, LIVE_ROUNDS, LIVE_HZ = 8.0, 15.0, 3, 20.0


def write_pictures(path: Path, rig: CameraRig, sets: int) -> None:
    """Write the cameras' own bag; every camera shows one noisy picture all the time."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 255, (60, 80, 3)).astype(np.uint8)
    picture = cv2.resize(coarse, (1280, 960), interpolation=cv2.INTER_CUBIC)
    with BagWriter(path) as writer:
        for number in range(sets):
            for camera in rig.cameras:
                if number == 0:
                    frame = Frame(camera.name, stamp_of(0), picture)
                    message = compressed_from_frame(MAKE, frame, camera.frame_id)
                message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_of(number), 1_000_000_000)
                writer.write(f'/{camera.name}/image_raw/compressed', message, stamp_of(number))


@contextmanager
def running(command: list[str], environment: dict[str, str] | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process until the block ends."""
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)


def free_port() -> int:
    """Return a port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return int(probe.getsockname()[1])


def answers(port: int) -> bool:
    """Return whether somebody serves a page there."""
    try:
        with urllib.request.urlopen(f'http://127.0.0.1:{port}', timeout=1.0) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def measure_opening(folder: Path) -> dict[str, Any]:
    """Return seconds from the command to the page, and to the drawn scene, and pictures per second while playing."""
    rig = write_walk(folder / 'result', sets=round(60 * RATE_HZ), people=2)
    write_pictures(folder / 'pictures', rig, round(60 * RATE_HZ))
    port, began_s = free_port(), time.monotonic()
    command = [*GEO_POSE, 'view', str(folder / 'result'), str(folder / 'pictures'), '--port', str(port)]
    with running(command) as viewer:
        while not answers(port):
            time.sleep(0.01)
        result: dict[str, Any] = {
            'page_s': round(time.monotonic() - began_s, 2), 'page_cpu_s': round(cpu_s(viewer.pid), 2),
        }
        if shutil.which('chromium') is None:
            return result
        from playwright.sync_api import sync_playwright

        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which('chromium'), args=FLAGS)
            page = browser.new_page(viewport={'width': 1280, 'height': 800})
            opened_s = time.monotonic()
            page.goto(f'http://127.0.0.1:{port}')
            page.wait_for_selector('canvas')
            page.get_by_role('button', name='Pause', exact=True).wait_for()
            result['browser_s'] = round(time.monotonic() - opened_s, 2)
            page.wait_for_timeout(3000)
            page.evaluate(COUNT_FRAMES)
            began_cpu_s, browser_cpu_s = cpu_s(viewer.pid), cpu_of_chromium_s()
            page.wait_for_timeout(WATCH_S * 1000)
            drawn = page.evaluate('window.drawn')
            result |= {
                'browser_fps': round(drawn / WATCH_S, 1),
                'browser_cpu_ms_per_frame': round(1e3 * (cpu_of_chromium_s() - browser_cpu_s) / max(1, drawn), 1),
                'viewer_cpu_percent': round(100.0 * (cpu_s(viewer.pid) - began_cpu_s) / WATCH_S, 1),
            }
            browser.close()
    return result


def cpu_of_chromium_s() -> float:
    """Return the processor time of all of this program's browser processes, descendants of this one."""
    parents, names = {}, {}
    for stat in Path('/proc').glob('[0-9]*/stat'):
        try:
            name, rest = stat.read_text().rsplit(')', 1)
        except OSError:
            continue
        pid = int(stat.parent.name)
        parents[pid], names[pid] = int(rest.split()[1]), name.split('(', 1)[1]
    total_s = 0.0
    for pid, name in names.items():
        ancestor = pid
        while ancestor in parents and ancestor != os.getpid():
            ancestor = parents[ancestor]
        if ancestor == os.getpid() and 'chrom' in name:
            with contextlib.suppress(OSError):
                total_s += cpu_s(pid)
    return total_s


def measure_report(folder: Path) -> dict[str, Any]:
    """Return seconds and megabytes of the report of ten minutes."""
    write_walk(folder / 'ten_minutes', sets=round(600 * RATE_HZ), people=2)
    began_s, began_cpu = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    page = folder / 'report.html'
    subprocess.run([*GEO_POSE, 'report', str(folder / 'ten_minutes'), '--out', str(page)], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    used_s = ended.ru_utime - began_cpu.ru_utime + ended.ru_stime - began_cpu.ru_stime
    return {
        'report_s': round(time.monotonic() - began_s, 1), 'report_cpu_s': round(used_s, 1),
        'page_mb': round(page.stat().st_size / 1e6, 2),
    }


def cpu_s(pid: int) -> float:
    """Return the processor time a process has used."""
    fields = Path(f'/proc/{pid}/stat').read_text().rsplit(')', 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def measure_live(folder: Path) -> dict[str, Any]:
    """Return a node's processor time per set, and sets per second, alone and with a live view, in turns."""
    os.environ['ROS_DOMAIN_ID'] = str(random.SystemRandom().randrange(1, 100))
    os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
    import rclpy
    from sensor_msgs.msg import PointCloud2

    from geo_pose_ros.messages.keypoints import keypoints_to_cloud
    from geo_pose_ros.ros.message_factory import RclpyFactory
    from geo_pose_ros.ros.qos import profile

    rig = ring_rig(4)
    (folder / 'rig.yaml').write_text(dump_rig(rig))
    rclpy.init()
    node, make = rclpy.create_node('cameras'), RclpyFactory()
    publishers = {name: node.create_publisher(PointCloud2, f'{name}/keypoints', profile(2)) for name in rig.names}
    stop, sets = threading.Event(), [0]

    def send() -> None:
        began_s = time.time()
        while not stop.wait(1.0 / LIVE_HZ):
            stamp_ns = time.time_ns()
            for name, publisher in publishers.items():
                seen = seen_by(rig, name, pose(time.time() - began_s), stamp_ns)
                publisher.publish(keypoints_to_cloud(make, seen, rig[name].frame_id))

    counter = rclpy.create_node('counter')
    counter.create_subscription(PointCloud2, '/pose_node/bodies', lambda _: sets.__setitem__(0, sets[0] + 1), 20)
    threading.Thread(target=lambda: rclpy.spin(counter), daemon=True).start()
    threading.Thread(target=send, daemon=True).start()
    command = [*GEO_POSE, 'node', '--ros-args', '-p', f'rig:={folder / "rig.yaml"}', '-p', 'transport:=keypoints']
    rounds: dict[str, list[tuple[float, float]]] = {'alone': [], 'viewed': []}
    with running(command) as pose_node:
        while sets[0] < 5:
            time.sleep(0.1)
        for _ in range(LIVE_ROUNDS):
            rounds['alone'].append(over(pose_node.pid, sets))
            port = free_port()
            with running([*GEO_POSE, 'view', '--live', '--rig', str(folder / 'rig.yaml'), '--port', str(port)]):
                while not answers(port):
                    time.sleep(0.1)
                time.sleep(3.0)
                rounds['viewed'].append(over(pose_node.pid, sets))
    stop.set()
    result: dict[str, Any] = {}
    for name, measured in rounds.items():
        result[f'{name}_cpu_percent'] = [round(100.0 * cpu, 1) for cpu, _ in measured]
        result[f'{name}_sets_per_s'] = [round(rate, 2) for _, rate in measured]
    result['cpu_percent_more'] = round(
        float(np.median(result['viewed_cpu_percent']) - np.median(result['alone_cpu_percent'])), 1)
    return result


def over(pid: int, sets: list[int]) -> tuple[float, float]:
    """Return a process' share of a core and the sets per second over LIVE_S seconds."""
    began_s, began_cpu_s, began_sets = time.monotonic(), cpu_s(pid), sets[0]
    time.sleep(LIVE_S)
    elapsed_s = time.monotonic() - began_s
    return (cpu_s(pid) - began_cpu_s) / elapsed_s, (sets[0] - began_sets) / elapsed_s


PARTS = {'open': measure_opening, 'report': measure_report, 'live': measure_live}


def main() -> None:
    """Measure and write out/bench/view.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--parts', nargs='+', choices=tuple(PARTS), default=tuple(PARTS))
    parts = parser.parse_args().parts
    OUT.mkdir(parents=True, exist_ok=True)
    path = OUT / 'view.json'
    results: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    for part in parts:
        load_before = os.getloadavg()[0]
        with tempfile.TemporaryDirectory() as folder:
            results[part] = PARTS[part](Path(folder))
        loads = [round(load_before, 1), round(os.getloadavg()[0], 1)]
        results[part] |= {'cores': os.cpu_count(), 'load_average': loads}
        print(part, json.dumps(results[part]), flush=True)
    path.write_text(json.dumps(results, indent=2) + '\n')


if __name__ == '__main__':
    main()
