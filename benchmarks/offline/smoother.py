# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The offline smoother against the filter, on simulated people with exact truth.

    python -m benchmarks.offline.smoother [--seeds N] [--seconds S]    ->  a table

Gaps: each person in turn is in no image for half a second. Jitter: RMS of the joint error's change from set to set.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from benchmarks.harness import markdown_table, parser_of, use_one_thread
from geo_pose_ros.geometry.stats import INSIDE_95, distance2
from geo_pose_ros.scene.settings import SmoothingConfig
from geo_pose_ros.scene.smoother import smooth_people
from geo_pose_ros.simulation.metrics import match, measure
from geo_pose_ros.simulation.scenario import EPOCH_NS, Hidden, Scenario, build
from geo_pose_ros.simulation.simulate import SimulatedRun, run

GAP_S = 0.5


def scenes(seeds: int, seconds: float) -> dict[str, list[Scenario]]:
    """Return the scenes by name."""
    hidden = tuple(Hidden(person, 2.0 + person, 2.0 + person + GAP_S) for person in range(2))
    kinds = {
        'two people, four cameras': Scenario(people=2, duration_s=seconds),
        'gaps of 0.5 s': Scenario(people=2, duration_s=seconds, hidden=hidden),
        'three cameras, 60 Hz': Scenario(cameras=3, people=1, rate_hz=60.0, duration_s=seconds),
    }
    return {name: [replace(scenario, seed=seed) for seed in range(seeds)] for name, scenario in kinds.items()}


def smoothed(simulated: SimulatedRun, config: SmoothingConfig) -> SimulatedRun:
    """Return the run with its bodies smoothed."""
    bodies = smooth_people([s.measured for s in simulated.sets], [s.bodies for s in simulated.sets], config)
    return replace(simulated, sets=tuple(replace(s, bodies=b) for s, b in zip(simulated.sets, bodies, strict=True)))


def numbers(simulated: SimulatedRun, like: SimulatedRun) -> dict[str, float]:
    """Return error, jitter, recall of the first half second and of gaps, and the share inside the 95 % ellipsoid.

    Errors are of the people that ``like`` has too: what the filter lacks is not counted.
    """
    world = simulated.world
    matched = [match(s.bodies.xyz, world.truth(s.stamp_ns)) for s in simulated.sets]
    error = np.array([m.xyz - m.truth for m in matched])
    there = np.array([m.body >= 0 for m in matched])
    both = np.array([match(s.bodies.xyz, world.truth(s.stamp_ns)).body >= 0 for s in like.sets]) & there
    times_s = np.array([(s.stamp_ns - EPOCH_NS) / 1e9 for s in simulated.sets])
    inside = []
    in_gap = np.zeros(there.shape, bool)
    for hidden in world.scenario.hidden:
        in_gap[(times_s >= hidden.start_s) & (times_s < hidden.end_s), hidden.person] = True
    for s, m, e in zip(simulated.sets, matched, error, strict=True):
        for person in np.flatnonzero(m.body >= 0):
            off = distance2(e[person], s.bodies.covariance[m.body[person]])
            inside += (off[np.isfinite(off)] <= INSIDE_95).tolist()
    error[~both] = np.nan
    step = np.linalg.norm(np.diff(error, axis=0), axis=-1)
    early = times_s < times_s[0] + 0.5
    return {
        'mpjpe_mm': 1e3 * float(np.nanmean(np.linalg.norm(error, axis=-1))),
        'jitter_mm': 1e3 * float(np.sqrt(np.nanmean(step**2))),
        'first 0.5 s': float(there[early].mean()), 'gap': float(there[in_gap].mean()) if in_gap.any() else float('nan'),
        'inside 95 %': float(np.mean(inside)), 'ids': measure(simulated).ids,
    }


def main() -> None:
    """Run and print."""
    parser = parser_of(__doc__)
    parser.add_argument('--seeds', type=int, default=2)
    parser.add_argument('--seconds', type=float, default=6.0)
    arguments = parser.parse_args()
    use_one_thread()
    table = []
    for name, scenarios in scenes(arguments.seeds, arguments.seconds).items():
        runs = [run(build(scenario)) for scenario in scenarios]
        later = [smoothed(one, SmoothingConfig()) for one in runs]
        filtered = [numbers(one, other) for one, other in zip(runs, later, strict=True)]
        smooth = [numbers(other, one) for one, other in zip(runs, later, strict=True)]
        for key in filtered[0]:
            a, b = (float(np.mean([one[key] for one in found])) for found in (filtered, smooth))
            table.append((name, key, f'{a:.3f}', f'{b:.3f}', f'{b / a:.2f}' if a else '-'))
    print(*markdown_table(('scene', 'what', 'filter', 'smoother', 'ratio'), table), sep='\n')


if __name__ == '__main__':
    main()
