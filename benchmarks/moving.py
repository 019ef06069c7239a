# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""A rig that drives and turns against one that stands: how well people are found, and what transforms cost.

    python benchmarks/moving.py     ->  a table, and docs/benchmarks/moving.json (--out elsewhere)

Four cameras look at three people who walk, each camera in its own phase. The rig drives a circle at 1 m/s and turns
60 degrees/s; /tf tells where it is 50 times a second. The same people are seen by the same rig at rest, and, to show
what a view's own instant is worth, with all cameras of a set looked up at the set's. `--seeds N`, `--seconds S`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from time import perf_counter

import numpy as np

from benchmarks.harness import RESULTS, parser_of, provenance, show, use_one_thread, write_json
from geo_pose_ros.arrays import FloatArray
from geo_pose_ros.rigs.moving import Mount, MovingCameras
from geo_pose_ros.simulation.carried import base_from_odom, carry_rig
from geo_pose_ros.simulation.metrics import Metrics, measure
from geo_pose_ros.simulation.scenario import Scenario, build
from geo_pose_ros.simulation.simulate import CameraPoses, run

RESULT = RESULTS / 'moving.json'
# What the issue asks for.
MOST_RATIO, MOST_LOOKUP_MS = 1.2, 0.2


def measured(scenario: Scenario) -> tuple[dict[str, Metrics], list[float]]:
    """Return the metrics by case, and the times of the look-ups of one set, ms."""
    standing, driving = build(scenario), build(scenario, base_from_odom)
    took_ms: list[float] = []
    cases = {'standing': measure(run(standing))}
    for case in ('driving', 'driving, all at the set\'s instant'):
        cameras, mounts = carry_rig(driving.rig, scenario.duration_s)

        def at_their_own(
            stamps_ns: Mapping[str, int], cameras: MovingCameras = cameras, mounts: Mapping[str, Mount] = mounts
        ) -> Mapping[str, FloatArray]:
            began = perf_counter()
            where = cameras.poses_at(mounts, stamps_ns)
            took_ms.append(1e3 * (perf_counter() - began))
            return where.cam_from_tracking

        def at_the_sets(stamps_ns: Mapping[str, int], look: CameraPoses = at_their_own) -> Mapping[str, FloatArray]:
            stamps = sorted(stamps_ns.values())
            return look(dict.fromkeys(stamps_ns, stamps[(len(stamps) - 1) // 2]))

        cases[case] = measure(run(driving, camera_poses=at_their_own if case == 'driving' else at_the_sets))
    return cases, took_ms


def main() -> int:
    """Run and write; return 1 if what the issue asks for is not reached."""
    use_one_thread()
    parser = parser_of(__doc__)
    parser.add_argument('--seeds', type=int, default=3)
    parser.add_argument('--seconds', type=float, default=10.0)
    parser.add_argument('--out', type=Path, default=RESULT)
    given = parser.parse_args()
    runs, took_ms = [], []
    for seed in range(given.seeds):
        cases, times = measured(Scenario(phase='random', duration_s=given.seconds, seed=seed))
        runs.append(cases)
        took_ms += times
    table = {
        case: {
            name: float(np.mean([getattr(cases[case], name) for cases in runs]))
            for name in ('mpjpe_m', 'ids', 'recall', 'ghosts', 'views', 'sets', 'clock_error_ms')
        }
        for case in runs[0]
    }
    columns = {
        'mpjpe_m': ('MPJPE mm', 1e3, 1), 'ids': ('ids per person', 1.0, 2), 'recall': ('recall', 1.0, 3),
        'ghosts': ('ghosts per set', 1.0, 3), 'views': ('views per joint', 1.0, 2),
        'clock_error_ms': ('clock error ms', 1.0, 1),
    }
    show('moving rig', {
        case: {heading: round(scale * row[key], digits) for key, (heading, scale, digits) in columns.items()}
        for case, row in table.items()
    })
    ratio = table['driving']['mpjpe_m'] / table['standing']['mpjpe_m']
    lookup_ms = float(np.median(took_ms))
    kept = table['driving']['ids'] <= table['standing']['ids']
    print(
        f'driving / standing {ratio:.3f} (at most {MOST_RATIO}), ids {"kept" if kept else "lost"}; transforms of a '
        f'set {lookup_ms:.3f} ms median, {np.percentile(took_ms, 95.0):.3f} p95 (at most {MOST_LOOKUP_MS})'
    )
    result = {
        'seeds': given.seeds, 'seconds': given.seconds, 'cases': table, 'ratio': ratio,
        'lookup_ms': {'p50': lookup_ms, 'p95': float(np.percentile(took_ms, 95.0))},
    }
    write_json(given.out, provenance('make bench-moving') | result)
    return int(not (ratio <= MOST_RATIO and kept and lookup_ms <= MOST_LOOKUP_MS))


if __name__ == '__main__':
    sys.exit(main())
