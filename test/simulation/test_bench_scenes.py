# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The benchmark of scenes: its design, and what it makes of numbers."""

from __future__ import annotations

import pytest

from benchmarks.scene_design import CELLS, FACTORS, Row, Target, cells, rows, sweep_name
from benchmarks.scenes import in_words, markdown, reached, run_row, verdicts, wanted
from geo_pose_ros.ros.settings import NodeConfig
from geo_pose_ros.settings import build
from geo_pose_ros.simulation.detector import CLEAN
from geo_pose_ros.simulation.metrics import METRICS
from geo_pose_ros.simulation.scenario import Scenario

SMALL = Scenario(cameras=2, people=1, duration_s=0.5, recorded=False, noise=CLEAN, miss=0.0)


def test_every_row_has_a_name_of_its_own_and_targets_that_exist() -> None:
    names = [row.name for row in rows()]
    assert len(set(names)) == len(names)
    for row in rows():
        build(NodeConfig, dict(row.settings))
        for target in row.targets:
            assert target.metric in METRICS
            assert not target.of or target.of in names
            assert target.low > float('-inf') or target.high < float('inf')


def test_every_value_of_the_matrix_is_run() -> None:
    names = {row.name for row in rows()}
    assert all(sweep_name(factor, value) in names for factor, values in FACTORS for value in values)
    assert len(list(cells())) == CELLS
    assert [row.scenario for row in cells()] == [row.scenario for row in cells()]
    # Every four-camera row is compared with the oracle.
    assert all(any(t.metric == 'oracle_ratio' for t in r.targets) for r in rows() if r.scenario.cameras == 4)


@pytest.mark.parametrize(
    ('target', 'value', 'verdict'),
    [
        (Target('recall', 0.98), 0.98, True), (Target('recall', 0.98), 0.979, False),
        (Target('ghosts', high=0.02), 0.021, False), (Target('inside_2', 0.9, 0.99), 0.995, False),
        (Target('inside_2', 0.9, 0.99), 0.95, True), (Target('mpjpe_m', high=1.25, of='other'), 0.024, True),
        (Target('mpjpe_m', high=1.25, of='other'), 0.026, False),
    ],
)
def test_a_target_is_met_or_short(target: Target, value: float, verdict: bool) -> None:
    row = Row('row', 'named', SMALL, (target,))
    results = {'row': {target.metric: value}, 'other': {'mpjpe_m': 0.02}}
    found = reached(target, results['row'], results)
    assert found is not None and found[1] is verdict
    (_, shown, word), = verdicts(row, results)
    assert word == ('met' if verdict else 'short')
    assert word in in_words(target, shown, word)
    lines = '\n'.join(markdown([row], results))
    assert ('1 of 1 targets met' in lines) is verdict
    listed = lines.split('### Short')[1].split('### Named')[0].splitlines()
    assert any(line.startswith('| row | ') and 'what' not in line for line in listed) is not verdict


@pytest.mark.parametrize('results', [{'row': {'recall': None}}, {'row': {}}])
def test_what_does_not_apply_is_not_met(results: dict[str, dict[str, float | None]]) -> None:
    row = Row('row', 'named', SMALL, (Target('recall', 0.5),))
    assert [word for *_, word in verdicts(row, results)] == ['n/a']
    missing = Row('row', 'named', SMALL, (Target('mpjpe_m', high=1.0, of='never run'),))
    assert [word for *_, word in verdicts(missing, {'row': {'mpjpe_m': 0.01}})] == ['n/a']


def test_a_row_is_run_over_its_seeds_with_its_oracle_and_perfect_association() -> None:
    row = Row(
        'row', 'named', SMALL, (Target('association_ratio', 0.97),), seeds=(0, 1),
        settings=(('pipeline.lifter.enabled', False), ('pipeline.tracking.enabled', False)),
    )
    metrics, seconds = run_row(row)
    assert set(metrics) == set(METRICS) and seconds > 0.0
    assert metrics['mpjpe_m'] is not None and metrics['mpjpe_m'] < 1e-3
    assert metrics['same_id'] is None
    assert metrics['oracle_ratio'] == metrics['association_ratio'] == pytest.approx(1.0)


def test_a_row_comes_with_the_rows_it_is_compared_with() -> None:
    chosen = [row.name for row in wanted(only='half a period', group='', seconds=0.0)]
    assert chosen == ['2 cameras, one trigger', '2 cameras, half a period apart']
    cut = wanted(only='', group='cell', seconds=1.0, seeds='4-6')
    assert len(cut) == CELLS and all(row.scenario.duration_s <= 1.0 and row.seeds == (4, 5, 6) for row in cut)
