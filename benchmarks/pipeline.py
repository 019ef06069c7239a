# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Cost per set of everything outside 2D detection: keypoints in, bodies out; 4 to 32 cameras, 1 to 30 people.

    python benchmarks/pipeline.py                  ->  a table, and out/bench/pipeline.json
    python benchmarks/pipeline.py --against REV    ->  and another commit, measured in turns, with the ratio
    python benchmarks/pipeline.py --images         ->  of whole sets of images, and out/bench/live.json

One core, its own time. Simulated people (``simulation``), with and without the lifter. ``best``: the median over the
warm sets of each set's fastest turn, as what disturbs only adds; ``median`` over all turns; ``cold``: a process's first
set, its pipeline made; ``worst``: the slowest set, of its fastest turns (`--only 12x200`: a crowd in every camera). The
machine's speed changes within a minute: of two commits each case runs in turns. ``calls``: of Python and C functions in
a warm set, the median, by stage.

``--images``: JPEG images of both demos' four cameras at 30 Hz, decoded, detected and fused as the node does it, by each
profile of a CPU; then the ratio is of sets per second.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, cast

import cv2
import numpy as np

from benchmarks.eyes import SCENES, videos_of
from benchmarks.harness import CACHE, OUT, ROOT, parser_of, provenance, show, use_one_thread, write_json
from geo_pose_ros.simulation.scenario import Scenario, build
from geo_pose_ros.simulation.simulate import arrivals
from geo_pose_ros.types import CameraRig

SIZES = ((4, 1), (12, 8), (12, 30), (32, 30))
# Sets before this are not warm: people are new, and few cameras are known.
WARM = 20
SETS = 50
# Sets of images of a demo, at half of its 60 Hz; what a CPU runs live, at a high rate and at a low one.
IMAGES, EVERY = 45, 2
PROFILES = ('fast', 'balanced')


def store(cameras: int, people: int) -> Path:
    """Return the file with the rig and the keypoints of a scene; it is made at the first call."""
    path = OUT / f'sets_{cameras}x{people}.npz'
    if path.exists():
        return path
    crowd = people > 8
    world = build(Scenario(
        cameras=cameras, people=people, motion='cell' if crowd else 'walk', spacing_m=1.2 if crowd else 1.0,
        duration_s=3.0,
    ))
    rig, period_ns = world.given_rig, world.period_s * 1e9
    seen = sorted((k.stamp_ns, k.camera, k) for _, k in arrivals(world))
    first_ns = seen[0][0]
    index = [round((stamp_ns - first_ns) / period_ns) for stamp_ns, _, _ in seen]
    kept = [(i, k) for i, (_, _, k) in zip(index, seen, strict=True) if i < SETS]
    return _save(path, rig, {
        'views': [
            (first_ns + round(i * period_ns), k.stamp_ns, rig.names.index(k.camera), len(k.xy)) for i, k in kept
        ],
        'xy': np.concatenate([k.xy for _, k in kept]), 'confidence': np.concatenate([k.confidence for _, k in kept]),
    })


def store_images(scene: str) -> Path:
    """Return the file with the rig and the JPEG images of a demo; it is made at the first call."""
    path = OUT / f'images_{scene}.npz'
    if path.exists():
        return path
    rig, videos = videos_of(scene)
    captures = [cv2.VideoCapture(str(next(v for v in videos if v.stem == name))) for name in rig.names]
    files = []
    for index in range(IMAGES * EVERY):
        read = [capture.read()[1] for capture in captures]
        if index % EVERY == 0:
            files += [cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, 90])[1] for image in read]
    return _save(path, rig, {'jpeg': np.concatenate(files), 'length': [len(one) for one in files]})


def _save(path: Path, rig: CameraRig, arrays: Mapping[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(
        path, K=[c.intrinsics.K for c in rig.cameras], D=[c.intrinsics.D for c in rig.cameras],
        size=[(c.intrinsics.width, c.intrinsics.height) for c in rig.cameras],
        cam_from_world=[c.cam_from_world for c in rig.cameras], **arrays,
    )
    return path


class Worker:
    """A process that fuses the sets of one case by the package of one tree; a context manager."""

    def __init__(self, root: Path, sets: Path, lifter: bool, *words: str) -> None:
        """Start it; ``words``: see benchmarks/fuse.py."""
        self._process = subprocess.Popen(
            [sys.executable, str(ROOT / 'benchmarks' / 'fuse.py'), str(sets.resolve()), str(int(lifter)), *words],
            cwd=root,
            env={**os.environ, 'PYTHONPATH': str(root)}, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )

    def ask(self, word: str) -> list[Any]:
        """Return what the process answers; see benchmarks/fuse.py."""
        print(word, file=self._process.stdin, flush=True)
        return list(json.loads(cast(IO[str], self._process.stdout).readline()))

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()


def measure(roots: Mapping[str, Path], sets: Path, lifter: bool, turns: int) -> dict[str, dict[str, float]]:
    """Return of each tree the best, median and cold ms of a set, and its calls by stage."""
    workers = {name: Worker(root, sets, lifter) for name, root in roots.items()}
    spent: dict[str, list[Sequence[float]]] = {name: [] for name in roots}
    found = {}
    for _ in range(turns):
        for name, worker in workers.items():
            spent[name].append(worker.ask('time'))
    for name, worker in workers.items():
        with worker:
            counts = worker.ask('count')[WARM:]
        warm = np.array(spent[name])[:, WARM:]
        best = float(np.median(warm.min(0)))
        calls = {f'calls {stage}': float(np.median([c.get(stage, 0) for c in counts])) for stage in counts[-1]}
        found[name] = {
            'best': round(best, 3), 'median': round(float(np.median(warm)), 3), 'cold': round(spent[name][0][0], 3),
            'cold/best': round(spent[name][0][0] / best, 2), 'worst': round(float(np.min(spent[name], 0).max()), 3),
            'calls': round(sum(calls.values())), **calls,
        }
    return found


def measure_live(roots: Mapping[str, Path], images: Path, turns: int) -> dict[str, dict[str, float]]:
    """Return, of each profile and of the other tree, what a set of images costs, and the ratio."""
    workers = {profile: Worker(ROOT, images, True, profile) for profile in PROFILES}
    workers |= {name: Worker(root, images, True) for name, root in roots.items() if root != ROOT}
    asked: dict[str, list[list[float]]] = {name: [] for name in workers}
    for _ in range(turns):
        for name, worker in workers.items():
            asked[name].append(worker.ask('live'))
    found: dict[str, dict[str, float]] = {}
    for name, worker in workers.items():
        with worker:
            median = np.median(asked[name], 0).round(2).tolist()
            found[name] = dict(zip(('CPU ms', 'wall ms', 'bodies', 'people in images'), median, strict=True))
    for profile, time in ((p, t) for p in PROFILES for t in ('CPU ms', 'wall ms') if len(found) > len(PROFILES)):
        found[profile][f'sets/s by {time}, ratio'] = round(found[[*found][-1]][time] / found[profile][time], 3)
    return found


def tree_of(revision: str) -> Path:
    """Return the root of a commit's working tree, which is made at the first call."""
    there = CACHE / 'worktrees' / revision
    if not there.is_dir():
        subprocess.run(['git', 'worktree', 'add', '--detach', str(there), revision], check=True)
    return there.resolve()


def main() -> None:
    """Measure, print and write."""
    parser = parser_of(__doc__)
    parser.add_argument('--against', metavar='REV', help='measure a commit too, in turns, and print the ratio')
    parser.add_argument('--turns', type=int, default=5, help='runs of each case')
    parser.add_argument('--images', action='store_true', help='whole sets of images of the demos')
    parser.add_argument('--only', metavar='CxP', nargs='*', default=(), help='these sizes alone, as 12x8 12x200')
    arguments = parser.parse_args()
    use_one_thread()
    roots = {'this': ROOT}
    if arguments.against:
        roots[arguments.against] = tree_of(arguments.against)
    report: dict[str, object] = provenance('python benchmarks/pipeline.py')
    for scene in SCENES if arguments.images else ():
        live = report[scene] = measure_live(roots, store_images(scene), arguments.turns)
        show(f'{scene}, live; of a set', live)
        write_json(OUT / 'live.json', report)
    if arguments.images:
        return
    only = [tuple(map(int, size.split('x'))) for size in arguments.only]
    for cameras, people in only or SIZES:
        for lifter in (True, False):
            case = f'{cameras}x{people}, lifter {"on" if lifter else "off"}'
            found = measure(roots, store(cameras, people), lifter, arguments.turns)
            report[case] = found
            rows = dict(found)
            if arguments.against:
                ours, theirs = found['this'], found[arguments.against]
                rows['ratio'] = {key: round(ours[key] / theirs[key], 3) for key in ('best', 'median', 'calls')}
            show(f'{case}; ms a set', rows)
            write_json(OUT / 'pipeline.json', report)


if __name__ == '__main__':
    main()
