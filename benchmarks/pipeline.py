"""Cost per set of everything outside 2D detection, on the demo's real keypoints (4 cameras, 1 body).

    python benchmarks/pipeline.py                  ->  a table, and out/bench/pipeline.json
    python benchmarks/pipeline.py --against REV    ->  the ratio to another commit, measured in turns

One core; with and without the lifter, of each the round with the least median: the speed of a shared machine changes
within a minute, and what disturbs only adds. Each stage is also given in units of a small numpy call (sum and finite
check of 136 numbers) timed in the same round: that carries over between machines, and between the moments of a
shared one, better than milliseconds do.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from time import perf_counter

import cv2
import numpy as np

from benchmarks.harness import (
    CACHE,
    OUT,
    ROOT,
    parser_of,
    percentiles_ms,
    provenance,
    show,
    use_one_thread,
    write_json,
)
from geo_pose_ros.bags.message_factory import RosbagsFactory
from geo_pose_ros.demo.footage import fetch_footage
from geo_pose_ros.detection import create_detector
from geo_pose_ros.detection.settings import DetectorConfig
from geo_pose_ros.lifting.settings import LifterConfig
from geo_pose_ros.messages.clouds.bodies import bodies_to_cloud
from geo_pose_ros.messages.clouds.keypoints import keypoints_to_cloud
from geo_pose_ros.messages.markers import bodies_to_markers
from geo_pose_ros.pipeline import PosePipeline
from geo_pose_ros.rigs.files import read_calibration
from geo_pose_ros.scene.settings import PipelineConfig
from geo_pose_ros.skeleton import BLAZEPOSE33
from geo_pose_ros.types import CameraRig, Frame, Keypoints2D

PERIOD_NS = 100_000_000
ROUNDS = 12


def detect(videos: tuple[Path, ...], rig: CameraRig) -> tuple[list[dict[str, Keypoints2D]], float]:
    """Return the keypoints of every set and the median ms of one detection; detections are cached."""
    cache = OUT / 'demo_keypoints.npz'
    cache.parent.mkdir(parents=True, exist_ok=True)
    if not cache.exists():
        arrays, spent_ms = {}, []
        for path in videos:
            detector = create_detector(DetectorConfig())
            capture = cv2.VideoCapture(str(path))
            found = []
            while True:
                ok, image = capture.read()
                if not ok:
                    break
                half = cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
                frame = Frame(path.stem, len(found) * PERIOD_NS, half, 2)
                began = perf_counter()
                k = detector.detect({path.stem: frame}, {})[path.stem]
                spent_ms.append((perf_counter() - began) * 1e3)
                shape = (1, len(BLAZEPOSE33))
                empty = np.full((*shape, 2), np.nan), np.zeros(shape)
                xy, confidence = (k.xy[:1], k.confidence[:1]) if len(k.xy) else empty
                found.append(np.concatenate([xy[0], confidence[0, :, None]], 1))
            detector.close()
            arrays[path.stem] = np.stack(found)
        np.savez(cache, detect_ms=np.median(spent_ms), **arrays)
    stored = np.load(cache)
    sets = []
    for i in range(min(len(stored[name]) for name in rig.names)):
        found = {name: stored[name][i, None] for name in rig.names}
        sets.append({
            name: Keypoints2D(name, i * PERIOD_NS, BLAZEPOSE33, marks[..., :2], marks[..., 2])
            for name, marks in found.items()
        })
    return sets, float(stored['detect_ms'])


def main() -> None:
    """Measure, print and write."""
    parser = parser_of(__doc__)
    parser.add_argument('--against', metavar='REV', help='measure a commit too, in turns, and print the ratio')
    parser.add_argument('--turns', type=int, default=3, help='with --against: turns of each')
    arguments = parser.parse_args()
    use_one_thread()
    if arguments.against:
        compare(arguments.against, arguments.turns)
    else:
        measure_all()


def compare(revision: str, turns: int) -> None:
    """Print the ratio of this tree's cost to that of ``revision``, each by its own benchmark, in turns."""
    there = CACHE / 'worktrees' / revision
    if not there.is_dir():
        subprocess.run(['git', 'worktree', 'add', '--detach', str(there), revision], check=True)
    (there / CACHE.name).mkdir(exist_ok=True)
    for kept in CACHE.iterdir():
        link = there / CACHE.name / kept.name
        if kept.name != 'worktrees' and not link.exists():
            link.symlink_to(kept.resolve())
    spent: dict[str, dict[str, list[float]]] = {}
    for _ in range(turns):
        for name, root in (('this', ROOT), (revision, there.resolve())):
            environment = {**os.environ, 'PYTHONPATH': str(root)}
            script = [sys.executable, str(root / 'benchmarks' / 'pipeline.py')]
            subprocess.run(script, cwd=root, env=environment, check=True, stdout=subprocess.DEVNULL)
            found = json.loads((root / OUT / 'pipeline.json').read_text())
            for variant in ('triangulation', 'lifter'):
                spent.setdefault(variant, {}).setdefault(name, []).append(found[variant]['stages']['total']['p50_ms'])
    for variant, times in spent.items():
        ours, theirs = min(times['this']), min(times[revision])
        print(f'{variant}: {ours:.2f} ms a set, {revision} {theirs:.2f} ms, ratio {ours / theirs:.3f}')


def measure_all() -> None:
    """Measure this tree."""
    footage = fetch_footage(CACHE)
    rig = read_calibration(footage.calibration)
    sets, detect_ms = detect(footage.videos, rig)
    report: dict[str, object] = {**provenance('python benchmarks/pipeline.py'), 'detect_ms': detect_ms}
    print(f'{len(sets)} sets, {len(rig)} cameras, one 2D detection {detect_ms:.1f} ms')
    rounds: dict[str, list[tuple[float, float, dict[str, list[float]]]]] = {}
    for _ in range(ROUNDS):
        for variant, lifter in (('triangulation', LifterConfig(enabled=False)), ('lifter', LifterConfig())):
            call_us = small_call_us()
            spent = measure(rig, sets, PipelineConfig(lifter=lifter))
            found = float(np.median(spent['total'])), min(call_us, small_call_us()), spent
            rounds.setdefault(variant, []).append(found)
    for variant, measured in rounds.items():
        _, call_us, spent = min(measured, key=lambda found: found[0])
        rows = {}
        for stage, values in spent.items():
            times = percentiles_ms(values)
            rows[stage] = {
                'p50_ms': times['p50'], 'p99_ms': times['p99'], 'p50_calls': round(times['p50'] * 1e3 / call_us, 1),
            }
        show(f'per set, {variant}; a small numpy call takes {call_us:.1f} us', rows)
        report[variant] = {'small_call_us': round(call_us, 2), 'stages': rows}
    write_json(OUT / 'pipeline.json', report)


def measure(rig: CameraRig, sets: list[dict[str, Keypoints2D]], config: PipelineConfig) -> dict[str, list[float]]:
    """Return ms per stage of every set."""
    make = RosbagsFactory()
    spent: dict[str, list[float]] = {}
    with PosePipeline(rig, config) as pipeline:
        previous: tuple[int, ...] = ()
        for i, keypoints in enumerate(sets):
            began = perf_counter()
            result = pipeline.fuse(i * PERIOD_NS, keypoints)
            fused = perf_counter()
            bodies_to_cloud(make, result.bodies)
            bodies_to_markers(make, result.bodies, previous)
            for name, k in result.keypoints.items():
                keypoints_to_cloud(make, k, f'{name}_optical_frame')
            done = perf_counter()
            previous = tuple(result.bodies.body_ids.tolist())
            stages = {**result.stage_ms, 'messages': (done - fused) * 1e3, 'total': (done - began) * 1e3}
            for stage, value in stages.items():
                spent.setdefault(stage, []).append(value)
    return spent


def small_call_us() -> float:
    """Return the time of a small numpy call, us."""
    values = np.ones((4, 17, 2))
    began = perf_counter()
    for _ in range(2000):
        np.isfinite(values.sum(-1))
    return (perf_counter() - began) / 2000 * 1e6


if __name__ == '__main__':
    main()
