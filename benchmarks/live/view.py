# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""What looking costs: the viewer's first image and smoothness, the report of ten minutes, live view beside a node.

    make bench-view      ->  a few lines, and docs/benchmarks/view.json
    python -m benchmarks.live.view --parts open report live large

Bags are made first: four cameras and two bodies at 30 Hz; 1280 x 960 images in the minute that is viewed, and in the
one bag of 10 GB of the part `large`, which needs so much room in the folder for temporary files. A browser (Debian's
chromium and playwright, as `make test-browser` installs them) draws with the processor; without one the server's own
numbers are given alone. Linux only: memory is read from /proc.

`first_image_s` is from the command to the frame that shows the bodies: the browser, already running, opens the page
as soon as it is served. `fps` counts the frames that are drawn while the recording plays.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import psutil

from benchmarks.harness import ROOT, answers, free_port, parser_of, resident_mb, write_json
from benchmarks.live.node import Cameras, cpu_s, node_of, running, start, watch
from geo_pose_ros.bags.read import BagReader
from geo_pose_ros.bags.write import BagWriter
from geo_pose_ros.messages.factory import Message
from geo_pose_ros.messages.image import compressed_from_frame
from geo_pose_ros.messages.stamps import to_time
from geo_pose_ros.rigs.rig_file import dump_rig
from geo_pose_ros.types import CameraRig, Frame
from test.evaluation.moving import MAKE, RATE_HZ, pose, seen_by, stamp_of, write_walk
from test.scenes import ring_rig

if TYPE_CHECKING:
    from playwright.sync_api import Page

OUT = ROOT / 'docs' / 'benchmarks' / 'view.json'
GEO_POSE = [sys.executable, '-m', 'geo_pose_ros.cli']
# A processor draws WebGL.
CHROMIUM_FLAGS = [
    '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync', '--use-gl=angle',
    '--use-angle=swiftshader', '--enable-unsafe-swiftshader',
]
# A body's joints and bones are one call that draws more than twenty of a thing; it is seen when the frame ends.
WATCH_DRAWING = """
window.drawn = 0; let now = false;
const draw = WebGL2RenderingContext.prototype.drawElementsInstanced;
WebGL2RenderingContext.prototype.drawElementsInstanced = function (...how) {
  now ||= how[4] > 20;
  return draw.apply(this, how);
};
const frame = () => {
  if (now) { window.drawn++; window.first ??= performance.timeOrigin + performance.now(); now = false }
  requestAnimationFrame(frame);
};
requestAnimationFrame(frame);
"""
LARGE_BYTES = 10_000_000_000
WATCH_S, LIVE_S, LIVE_ROUNDS, LIVE_HZ = 8.0, 15.0, 3, 20.0


def write_images(writer: BagWriter, rig: CameraRig, number: int) -> int:
    """Write the images of all cameras of one set, the same noisy image every time; return their bytes."""
    written = 0
    for camera in rig.cameras:
        message = noisy_image(camera.name, camera.frame_id)
        message.header.stamp = to_time(MAKE, stamp_of(number))
        writer.write(f'/{camera.name}/image_raw/compressed', message, stamp_of(number))
        written += len(message.data)
    return written


@cache
def noisy_image(name: str, frame_id: str) -> Message:
    """Return a CompressedImage of a camera."""
    coarse = np.random.default_rng(0).integers(0, 255, (60, 80, 3)).astype(np.uint8)
    image = np.asarray(cv2.resize(coarse, (1280, 960), interpolation=cv2.INTER_CUBIC), np.uint8)
    return compressed_from_frame(MAKE, Frame(name, stamp_of(0), image), frame_id)


def write_large(path: Path, folder: Path) -> int:
    """Write one bag of LARGE_BYTES with results and images, as a recorder of everything does; return its bytes."""
    rig = ring_rig(4)
    with BagWriter(folder / 'probe') as writer:
        per_set = write_images(writer, rig, 0)
    sets = LARGE_BYTES // per_set
    write_walk(folder / 'results', sets=sets, people=2, rig=rig)
    number = 0
    with BagReader(folder / 'results') as reader, BagWriter(path) as writer:
        for message in reader.messages():
            while number < sets and stamp_of(number) <= message.time_ns:
                write_images(writer, rig, number)
                number += 1
            writer.write_raw(message.topic, message.message_type, message.raw, message.time_ns)
    return sum(file.stat().st_size for file in path.iterdir())


def measure_opening(folder: Path) -> dict[str, object]:
    """Return what it takes to look at a minute: seconds to the page and to the first bodies, frames per second."""
    sets = round(60 * RATE_HZ)
    rig = write_walk(folder / 'result', sets=sets, people=2)
    with BagWriter(folder / 'images') as writer:
        for number in range(sets):
            write_images(writer, rig, number)
    return measure_viewing([folder / 'result', folder / 'images'])


def measure_viewing(bags: list[Path]) -> dict[str, object]:
    """Return seconds to the page and to the first bodies, frames per second while it plays, memory and time used."""
    with browsing() as page:
        began_s = time.time()
        with viewing([str(bag) for bag in bags]) as (viewer, port, page_s):
            result: dict[str, object] = {'page_s': page_s}
            if page is None:
                time.sleep(WATCH_S)
            else:
                page.goto(f'http://127.0.0.1:{port}', wait_until='commit')
                page.wait_for_function('window.first', timeout=120_000)
                result['first_image_s'] = round(page.evaluate('window.first') / 1e3 - began_s, 2)
                page.wait_for_timeout(3000)
                result |= watched(page, viewer.pid)
            return result | {'viewer_peak_mb': round(resident_mb(viewer.pid, most=True), 1)}


def watched(page: Page, viewer_pid: int) -> dict[str, float]:
    """Return frames per second, and what browser and viewer use, while a recording plays."""
    drawn, began_s = page.evaluate('window.drawn'), time.monotonic()
    began_cpu_s, browser_cpu_s = cpu_s(viewer_pid), cpu_of_chromium_s()
    page.wait_for_timeout(WATCH_S * 1000)
    drawn, elapsed_s = page.evaluate('window.drawn') - drawn, time.monotonic() - began_s
    return {
        'fps': round(drawn / elapsed_s, 1),
        'browser_cpu_ms_per_frame': round(1e3 * (cpu_of_chromium_s() - browser_cpu_s) / max(1, drawn), 1),
        'viewer_cpu_percent': round(100.0 * (cpu_s(viewer_pid) - began_cpu_s) / elapsed_s, 1),
    }


@contextmanager
def browsing() -> Iterator[Page | None]:
    """Yield an empty page of a browser that counts what it draws; None without a browser."""
    if shutil.which('chromium') is None:
        yield None
        return
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which('chromium'), args=CHROMIUM_FLAGS)
        page = browser.new_page(viewport={'width': 1280, 'height': 800})
        page.add_init_script(WATCH_DRAWING)
        yield page
        browser.close()


@contextmanager
def viewing(words: list[str]) -> Iterator[tuple[subprocess.Popen[bytes], int, float]]:
    """Run `geo_pose view`; yield it, its port and the seconds until it served the page."""
    port, began_s = free_port(), time.monotonic()
    with running([*GEO_POSE, 'view', *words, '--port', str(port)]) as viewer:
        while not answers(port):
            time.sleep(0.01)
        yield viewer, port, round(time.monotonic() - began_s, 2)


def measure_large(folder: Path) -> dict[str, object]:
    """Return what it takes to look at, and to judge, one bag of 10 GB."""
    size = write_large(folder / 'large', folder)
    viewed = measure_viewing([folder / 'large'])
    return {'gb': round(size / 1e9, 2), **viewed, **report_of(folder / 'large', folder / 'report.html')}


def cpu_of_chromium_s() -> float:
    """Return the processor time of all browser processes that this program started."""
    return sum(cpu_s(child.pid) for child in psutil.Process().children(recursive=True) if 'chrom' in child.name())


def measure_report(folder: Path) -> dict[str, object]:
    """Return what the report of ten minutes takes."""
    write_walk(folder / 'ten_minutes', sets=round(600 * RATE_HZ), people=2)
    return report_of(folder / 'ten_minutes', folder / 'report.html')


def report_of(bag: Path, page: Path) -> dict[str, object]:
    """Return seconds, of the clock and of the processor, memory and megabytes of the report of a bag."""
    began_s = time.monotonic()
    process = subprocess.Popen([*GEO_POSE, 'report', str(bag), '--out', str(page)], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f'geo_pose report {bag} ended with status {status}.')
    return {
        'report_s': round(time.monotonic() - began_s, 1), 'report_cpu_s': round(used.ru_utime + used.ru_stime, 1),
        'report_peak_mb': round(used.ru_maxrss / 1024, 1), 'page_mb': round(page.stat().st_size / 1e6, 2),
    }


def measure_live(folder: Path) -> dict[str, object]:
    """Return a node's share of a core, sets per second and sets lost, alone and with a live view, in turns."""
    rig, path = ring_rig(4), folder / 'rig.yaml'
    path.write_text(dump_rig(rig))
    sets = [
        (0, {name: seen_by(rig, name, pose(i / LIVE_HZ), 0) for name in rig.names}) for i in range(round(10 * LIVE_HZ))
    ]
    alone, viewed = [], []
    with Cameras(rig, sets, LIVE_HZ) as cameras, node_of(ROOT, path, '') as pid:
        start(pid, cameras)
        for _ in range(LIVE_ROUNDS):
            alone.append(watch(pid, cameras, LIVE_S))
            with viewing(['--live', '--rig', str(path)]) as (_, port, _), browsing() as page:
                if page is not None:
                    page.goto(f'http://127.0.0.1:{port}')
                time.sleep(3.0)
                viewed.append(watch(pid, cameras, LIVE_S))
    result: dict[str, object] = {
        f'{name}_{number}': [round(one[number], 2) for one in rounds]
        for name, rounds in (('alone', alone), ('viewed', viewed))
        for number in ('cpu_percent', 'sets_per_s', 'sets_lost')
    }
    more = np.median([one['cpu_percent'] for one in viewed]) - np.median([one['cpu_percent'] for one in alone])
    return result | {'cpu_percent_more': round(float(more), 1)}


PARTS = {'open': measure_opening, 'report': measure_report, 'live': measure_live, 'large': measure_large}
# Without the one that needs 10 GB.
USUAL = ('open', 'report', 'live')


def main() -> None:
    """Measure and write docs/benchmarks/view.json."""
    parser = parser_of(__doc__)
    parser.add_argument('--parts', nargs='+', choices=tuple(PARTS), default=USUAL)
    parts = parser.parse_args().parts
    results = json.loads(OUT.read_text()) if OUT.exists() else {}
    results['command'] = 'make bench-view'
    for part in parts:
        load_before = os.getloadavg()[0]
        with tempfile.TemporaryDirectory() as folder:
            results[part] = PARTS[part](Path(folder))
        loads = [round(load_before, 1), round(os.getloadavg()[0], 1)]
        results[part] |= {'cores': os.cpu_count(), 'load_average': loads}
        print(part, json.dumps(results[part]), flush=True)
    write_json(OUT, results)


if __name__ == '__main__':
    main()
