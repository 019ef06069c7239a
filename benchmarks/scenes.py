# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Scenes as they are, in simulated time: who is found, how well, and what it costs. docs/scenes.md explains it.

    python benchmarks/scenes.py     ->  a table, and out/bench/scenes.json

Complete, it also writes docs/benchmarks/scenes.json, and the results in docs/scenes.md.
`--only TEXT` runs the rows whose name contains TEXT, `--group` those of a group,
`--seeds A-B` runs other seeds than a row's own, `--seconds S` cuts every scene to S seconds, `--jobs N` runs N rows at
a time. Rows that were run with the same sources are not run again (`--fresh` does). One core: the threads of numpy and
of the lifter are limited to one.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, replace
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np

from benchmarks.harness import (
    OUT,
    RESULTS,
    ROOT,
    markdown_table,
    parser_of,
    provenance,
    replace_section,
    use_one_thread,
    write_json,
)
from benchmarks.scene_design import Row, Target, rows
from geo_pose_ros.ros.settings import NodeConfig
from geo_pose_ros.settings import build as config_of
from geo_pose_ros.simulation.metrics import ORACLE_SETS, Metrics, association_ratio, measure, oracle_ratio
from geo_pose_ros.simulation.scenario import Scenario, build
from geo_pose_ros.simulation.simulate import Alone, run

STORE, RESULT = OUT / 'scenes.json', RESULTS / 'scenes.json'
DOCUMENT = Path('docs/scenes.md')
# Times until something is found, and what may not happen: the worst of the seeds; all else: their mean.
WORST = ('clock_error_ms', 'clock_found_s', 'knock_found_s')
Result = Mapping[str, float | None]


def sources_digest() -> str:
    """Return a digest of everything that a result depends on."""
    digest = hashlib.sha256()
    for folder, pattern in (('geo_pose_ros', '**/*.py'), ('geo_pose_ros/models', '*'), ('benchmarks', 'scene*.py')):
        for path in sorted((ROOT / folder).glob(pattern)):
            if path.is_file():
                digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def run_once(scenario: Scenario, config: NodeConfig, row: Row) -> Metrics:
    """Return the metrics of one scenario of a row, those of its oracle and of what else the row asks included."""
    world = build(scenario)
    recording = run(world, config)
    metrics = replace(
        measure(recording),
        oracle_ratio=oracle_ratio(
            recording, lambda person: run(world, config, alone=Alone(person), limit=ORACLE_SETS)
        ),
    )
    if any(target.metric == 'association_ratio' for target in row.targets):
        ratio = association_ratio(recording, lambda person: run(world, config, alone=Alone(person, clean=False)))
        metrics = replace(metrics, association_ratio=ratio)
    return metrics


def run_row(row: Row) -> tuple[dict[str, float | None], float]:
    """Return the metrics of a row over its seeds, None where they do not apply, and the CPU time it took, s."""
    began_s = process_time()
    config = config_of(NodeConfig, dict(row.settings))
    runs = [asdict(run_once(replace(row.scenario, seed=seed), config, row)) for seed in row.seeds]
    result: dict[str, float | None] = {}
    for name in runs[0]:
        values = np.array([found[name] for found in runs])
        values = values[~np.isnan(values)]
        total = float(values.max() if name in WORST else values.mean()) if values.size else None
        # JSON knows no infinity: never found.
        result[name] = total if total is None or np.isfinite(total) else 1e9
    return result, process_time() - began_s


def reached(target: Target, result: Result, results: Mapping[str, Result]) -> tuple[float, bool] | None:
    """Return the value a target is about and whether it is met; None if it does not apply (yet)."""
    value = result.get(target.metric)
    if value is None:
        return None
    if target.of:
        reference = results.get(target.of, {}).get(target.metric)
        if not reference:
            return None
        value = value / reference
    return value, target.low <= value <= target.high


def verdicts(row: Row, results: Mapping[str, Result]) -> Iterator[tuple[Target, float | None, str]]:
    """Yield every target of a row with its value and 'met', 'short' or 'n/a'."""
    for target in row.targets:
        found = reached(target, results[row.name], results)
        if found is None:
            yield target, None, 'n/a'
        else:
            yield target, found[0], 'met' if found[1] else 'short'


COLUMNS: Sequence[tuple[str, str, float, int]] = (
    ('instants', 'instants %', 100.0, 1), ('latency_p95_ms', 'latency p95 ms', 1.0, 0), ('recall', 'recall', 1.0, 3),
    ('bodies', 'bodies / people', 1.0, 3),
    ('ghosts', 'ghosts / set', 1.0, 3), ('ids', 'ids / person', 1.0, 2), ('views', 'views', 1.0, 2),
    ('mpjpe_m', 'MPJPE mm', 1e3, 1), ('oracle_ratio', '/ oracle', 1.0, 2), ('wrist_p95_m', 'wrist p95 mm', 1e3, 0),
    ('jitter_m_s2', 'jitter m/s2', 1.0, 1),
    ('inside_2', '95 %: 2+', 1.0, 2), ('inside_1', '1', 1.0, 2), ('inside_0', '0', 1.0, 2),
    ('cpu_warm_ms', 'warm ms', 1.0, 1), ('cpu_cold_ms', 'cold ms', 1.0, 0),
)


def cell(result: Result, key: str, scale: float, digits: int) -> str:
    """Return one number of a table."""
    value = result.get(key)
    return '-' if value is None else f'{value * scale:.{digits}f}'


def in_words(target: Target, value: float | None, verdict: str) -> str:
    """Return a target with its value."""
    scale, unit = (1e3, ' mm') if target.metric.endswith('_m') and not target.of else (1.0, '')
    bounds = [f'{word} {bound * scale:.4g}' for word, bound in (('>=', target.low), ('<=', target.high))
              if np.isfinite(bound)]
    name = target.metric.removesuffix('_m').replace('_', ' ')
    of = f' / that of "{target.of}"' if target.of else ''
    shown = 'n/a' if value is None else 'never' if value >= 1e9 else f'{value * scale:.4g}{unit}'
    return f'{name}{of} {shown} ({" and ".join(bounds)}: {verdict})'


def markdown(done: Sequence[Row], results: Mapping[str, Result]) -> list[str]:
    """Return the lines of the document's results."""
    found = [(row, *v) for row in done for v in verdicts(row, results)]
    count = {word: sum(v[3] == word for v in found) for word in ('met', 'short', 'n/a')}
    lines = [
        'Written by `make bench-scenes` from [benchmarks/scenes.json](benchmarks/scenes.json). '
        f'{count["met"]} of {len(found)} targets met, {count["short"]} short, {count["n/a"]} without a value.', '',
        '### Short', '', *markdown_table(('row', 'what'), (
            (row.name, in_words(t, value, verdict)) for row, t, value, verdict in found if verdict == 'short'
        )),
    ]
    for group, title in (('named', 'Named scenes'), ('sweep', 'One factor at a time'), ('cell', 'Random cells')):
        table = []
        for row in (r for r in done if r.group == group):
            words = [v for _, _, v in verdicts(row, results)]
            state = ', '.join(f'{words.count(w)} {w}' for w in ('met', 'short', 'n/a') if w in words)
            numbers = [cell(results[row.name], key, scale, digits) for key, _, scale, digits in COLUMNS]
            table.append([row.name, *numbers, state])
        header = ['row', *(heading for _, heading, _, _ in COLUMNS), 'targets']
        lines += [f'### {title}', '', *markdown_table(header, table)]
    own = [(row, t, value, verdict) for row, t, value, verdict in found if t.metric not in {k for k, *_ in COLUMNS}]
    return [*lines, '### Other targets', '', *markdown_table(('row', 'what'), (
        (row.name, in_words(t, value, verdict)) for row, t, value, verdict in own
        if not (verdict != 'short' and t.metric in ('sets_per_instant', 'false_knocks'))
    ))]


def show(row: Row, results: Mapping[str, Result], seconds: float) -> None:
    """Print one row."""
    numbers = '  '.join(
        f'{heading} {cell(results[row.name], key, scale, digits)}' for key, heading, scale, digits in COLUMNS
    )
    print(f'{row.name}  [{seconds:.0f} s]\n    {numbers}')
    for target, value, verdict in verdicts(row, results):
        if verdict != 'met' or target.metric not in ('instants', 'sets_per_instant', 'false_knocks'):
            print(f'    {in_words(target, value, verdict)}')
    sys.stdout.flush()


def load_store(digest: str, fresh: bool) -> dict[str, Any]:
    """Return the rows already run with the same sources."""
    if fresh or not STORE.is_file():
        return {}
    stored = json.loads(STORE.read_text())
    return dict(stored['rows']) if stored['sources'] == digest else {}


def save(path: Path, digest: str, done: Mapping[str, Any]) -> None:
    """Write rows with what made them."""
    write_json(path, {**provenance('make bench-scenes'), 'sources': digest, 'rows': done})


def wanted(only: str, group: str, seconds: float, seeds: str = '') -> list[Row]:
    """Return the rows asked for, and those that they are compared with; ``seconds`` 0, ``seeds`` '': as designed."""
    names = {
        row.name for row in rows()
        if only in row.name and group in ('', row.group)
    }
    names |= {target.of for row in rows() if row.name in names for target in row.targets if target.of}
    chosen = [row for row in rows() if row.name in names]
    if seeds:
        first, _, last = seeds.partition('-')
        chosen = [replace(row, seeds=tuple(range(int(first), int(last or first) + 1))) for row in chosen]
    return chosen if not seconds else [
        replace(row, scenario=replace(row.scenario, duration_s=min(seconds, row.scenario.duration_s)))
        for row in chosen
    ]


def main() -> None:
    """Run what is missing, print, and write."""
    use_one_thread()
    parser = parser_of(__doc__)
    parser.add_argument('--only', default='', help='rows whose name contains this')
    parser.add_argument('--group', default='', choices=('', 'named', 'sweep', 'cell'), help='rows of this group')
    parser.add_argument('--seconds', type=float, default=0.0, help='cut every scene to this; 0: as designed')
    parser.add_argument('--seeds', default='', help='seeds, as 0-9; empty: as designed')
    parser.add_argument('--jobs', type=int, default=1, help='rows at a time')
    parser.add_argument('--fresh', action='store_true', help='run again what was run with the same sources')
    arguments = parser.parse_args()
    chosen = wanted(arguments.only, arguments.group, arguments.seconds, arguments.seeds)
    digest = sources_digest() + (f'-{arguments.seconds:g}s' if arguments.seconds else '') + arguments.seeds
    done = load_store(digest, arguments.fresh)
    results: dict[str, Result] = {name: stored['metrics'] for name, stored in done.items()}
    missing = [row for row in chosen if row.name not in done]
    # Modules that are loaded when first used are not the cost of a set.
    context = multiprocessing.get_context('spawn')
    with ProcessPoolExecutor(arguments.jobs, mp_context=context, initializer=_warm_up) as pool:
        jobs = {pool.submit(run_row, row): row for row in missing}
        for job in as_completed(jobs):
            row, (metrics, seconds) = jobs[job], job.result()
            results[row.name] = metrics
            done[row.name] = {
                'group': row.group, 'scenario': asdict(row.scenario), 'seeds': list(row.seeds),
                'cpu_s': round(seconds, 1), 'metrics': metrics,
            }
            save(STORE, digest, done)
            show(row, results, seconds)
    print()
    for row in chosen:
        for target, value, verdict in verdicts(row, results):
            if verdict == 'short':
                print(f'{row.name}: {in_words(target, value, verdict)}')
    total_s = sum(stored['cpu_s'] for stored in done.values())
    print(f'{len(chosen)} rows, {total_s:.0f} s of CPU time')
    if all(row.name in done for row in rows()) and not (arguments.seconds or arguments.seeds):
        save(RESULT, digest, done)
        replace_section(DOCUMENT, markdown(rows(), results))


def _warm_up() -> None:
    run(build(Scenario(cameras=2, people=1, duration_s=0.2, recorded=False)))


if __name__ == '__main__':
    main()
