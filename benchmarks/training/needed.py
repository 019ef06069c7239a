# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Lifting all views, as many as a body needs, or none, with bone lengths and without: accuracy and honesty.

    python benchmarks/training/needed.py [--data ../shared/data] [--only PART ...]   ->  tables, out/bench/needed.json

- mocap: validation clips of mocap17 before the rigs of S9 and S11, as benchmarks/fusion.py makes them (`--every`);
- scenes: simulated people (``simulation``), `--seconds` of each;
- demos: what BlazePose sees in the demos' recordings (test/golden), each camera predicted by the others.

Errors are those of the joints that all ways publish. ``inside``: share of those joints in their 95 % ellipsoids.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.fusion import FULL, NO_LIFTER, Inputs, footage
from benchmarks.harness import OUT, SHARED_DATA, parser_of, provenance, show, use_one_thread, write_json
from geo_pose_ros.arrays import FloatArray
from geo_pose_ros.evaluation.quality import ObservedSet, leave_one_out_compared
from geo_pose_ros.geometry.stats import INSIDE_95, distance2
from geo_pose_ros.pipeline import PosePipeline
from geo_pose_ros.ros.settings import NodeConfig
from geo_pose_ros.simulation.metrics import match
from geo_pose_ros.simulation.scenario import Scenario, build
from geo_pose_ros.simulation.simulate import run
from geo_pose_ros.skeleton import BODY17
from geo_pose_ros.types import Bodies3D, Keypoints2D

WAYS = {
    'always': replace(FULL, lifter=replace(FULL.lifter, when='always')),
    'needed': FULL,
    'needed, no bones': replace(FULL, solver=replace(FULL.solver, bone_spread=0.0)),
    'no lifter': NO_LIFTER,
    'no bones': replace(NO_LIFTER, solver=replace(NO_LIFTER.solver, bone_spread=0.0)),
}
SCENES = {
    '2 x 2': Scenario(cameras=2, people=2),
    '4 x 1': Scenario(cameras=4, people=1),
    '5 x 2, 0.25 deg': Scenario(cameras=5, people=2, calibration_error_deg=0.25),
    '4 x 4, random, 0.25 deg': Scenario(cameras=4, people=4, phase='random', calibration_error_deg=0.25),
    '3 x 2, loss 10 %': Scenario(cameras=3, people=2, loss=0.1),
    '6 x 2, fast': Scenario(cameras=6, people=2, speed=2.5),
    '12 x 8': Scenario(cameras=12, people=8, motion='cell', spacing_m=1.2),
}


def judge(found: Bodies3D, truth: FloatArray) -> FloatArray:
    """Return (P, J, 2) of the joints of people (P, J, 3) m: error, m, and ``distance2``; NaN = not published."""
    matched = match(found.xyz, truth)
    error = matched.xyz - truth
    covariance = np.append(found.covariance, np.full((1, *found.covariance.shape[1:]), np.nan), 0)[matched.body]
    return np.stack([np.linalg.norm(error, axis=-1), distance2(error, covariance)], -1)


def rows_of(judged: Mapping[str, list[FloatArray]]) -> dict[str, dict[str, float]]:
    """Return the table of one case: per way MPJPE, its ratio to lifting always, and what is published and honest."""
    numbers = {way: np.concatenate(found) for way, found in judged.items()}
    error = {way: found[..., 0] for way, found in numbers.items()}
    common = np.isfinite(np.stack(list(error.values()))).all(0)
    always = error['always'][common].mean()
    return {
        way: {
            'mpjpe_mm': round(1e3 * float(error[way][common].mean()), 2),
            'ratio': round(float(error[way][common].mean() / always), 4),
            'p95_mm': round(1e3 * float(np.percentile(error[way][common], 95)), 2),
            'complete': round(float(np.isfinite(error[way]).mean()), 4),
            'inside': round(float((found[common, 1] <= INSIDE_95).mean()), 4),
        }
        for way, found in numbers.items()
    }


def mocap(inputs: Inputs, _: float) -> dict[str, Any]:
    """Return the table of real motion."""
    judged: dict[str, list[FloatArray]] = {way: [] for way in WAYS}
    for clip in inputs.clips:
        for way, config in WAYS.items():
            with PosePipeline(clip.rig, config) as pipeline:
                for i in range(len(clip)):
                    stamp_ns = int(i * 1e9 / clip.fps)
                    seen = {
                        name: Keypoints2D(name, stamp_ns, BODY17, clip.xy[i, c, None], clip.confidence[i, c, None])
                        for c, name in enumerate(clip.rig.names)
                    }
                    judged[way].append(judge(pipeline.fuse(stamp_ns, seen).bodies, clip.truth[i, None]))
    return {'mocap17': rows_of(judged)}


def scenes(_: Inputs, seconds: float) -> dict[str, Any]:
    """Return the tables of simulated people."""
    tables = {}
    for name, scenario in SCENES.items():
        world = build(replace(scenario, duration_s=seconds))
        tables[name] = rows_of({
            way: [judge(s.bodies, world.truth(s.stamp_ns)) for s in run(world, NodeConfig(pipeline=config)).sets]
            for way, config in WAYS.items()
        })
    return tables


def demos(_: Inputs, __: float) -> dict[str, Any]:
    """Return the px between each camera's keypoints and the bodies of the others, on what both ways predict."""
    tables = {}
    for name in ('single', 'multi'):
        rig, sets = footage(name)
        with PosePipeline(rig, FULL) as pipeline:
            seen = [ObservedSet(at, (found := pipeline.fuse(at, k)).keypoints, found.bodies) for at, k in sets]
        tables[f'demo, {name}'] = rows = {}
        for way, config in WAYS.items():
            ours, always = leave_one_out_compared(rig, seen, config, FULL)
            rows[way] = {
                'mean_px': round(float(ours.mean()), 3), 'median_px': round(float(np.median(ours)), 3),
                'ratio': round(float(ours.mean() / always.mean()), 4), 'keypoints': len(ours),
            }
    return tables


PARTS: Mapping[str, Callable[[Inputs, float], dict[str, Any]]] = {
    'mocap': mocap, 'scenes': scenes, 'demos': demos,
}


def main() -> None:
    """Measure, print and write."""
    use_one_thread()
    parser = parser_of(__doc__)
    parser.add_argument('--data', type=Path, default=SHARED_DATA)
    parser.add_argument('--every', type=int, default=1, help='every N-th clip of mocap17')
    parser.add_argument('--seconds', type=float, default=6.0)
    parser.add_argument('--only', nargs='*', choices=tuple(PARTS), default=list(PARTS))
    args = parser.parse_args()
    result: dict[str, Any] = provenance('python benchmarks/training/needed.py')
    for part in args.only:
        for title, rows in PARTS[part](Inputs(args.data, args.every), args.seconds).items():
            show(title, rows)
            result[title] = rows
    write_json(OUT / 'needed.json', result)


if __name__ == '__main__':
    main()
