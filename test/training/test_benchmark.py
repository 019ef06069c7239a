"""The benchmark: what identifies a run, the summary, the targets, and that it goes on where it stopped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from geo_pose_training import benchmark
from geo_pose_training.benchmark import ABLATIONS, HEADLINE, Cell, check_targets, summarise, table
from geo_pose_training.data.prepare import prepare
from geo_pose_training.settings import load_recipe

from test.scenes import ring_rig
from test.training.people import moving_person, sequence


def _run(mpjpe: float, unseen: float = 50.0) -> dict[str, Any]:
    return {
        'mpjpe_mm': mpjpe, 'n_mpjpe_mm': 1.0, 'p_mpjpe_mm': 1.0, 'root_mm': 100.0, 'unseen_rig_mpjpe_mm': unseen,
        'pck150': 90.0, 'auc': 50.0, 'train_s': 2.0, 'poses_per_s': 10.0,
    }  # fmt: skip


def test_summary_has_mean_spread_and_seeds() -> None:
    found = summarise([_run(40.0), _run(44.0)])
    assert found['mpjpe_mm'] == {'mean': 42.0, 'std': pytest.approx(8.0**0.5), 'seeds': 2}
    assert found['train_s'] == 2.0
    assert summarise([_run(40.0)])['mpjpe_mm']['std'] is None


def test_targets_are_ratios_and_say_whether_they_are_reached() -> None:
    recipes = {'geo': summarise([_run(41.0, 48.0)]), 'supervised': summarise([_run(40.0)])}
    found = {row['what']: row for row in check_targets(recipes)}
    assert len(found) == 3
    assert found['geo / supervised, MPJPE'] == {
        'what': 'geo / supervised, MPJPE', 'ratio': pytest.approx(1.025), 'limit': 1.02, 'reached': False,
    }  # fmt: skip
    unseen = found['geo on an unseen rig / on S9, S11, MPJPE']
    assert unseen['ratio'] == pytest.approx(48.0 / 41.0)
    assert not unseen['reached']


def test_table_has_a_row_per_recipe() -> None:
    text = table({'geo': summarise([_run(40.0), _run(44.0)])})
    assert text.splitlines()[0].startswith('| recipe | mpjpe_mm')
    assert '| geo | 42.0 ± 2.8 |' in text


def test_runs_are_identified_by_all_that_defines_them() -> None:
    cell = Cell('geo', 'geo')
    keys = {
        cell.key(0), cell.key(1), Cell('geo', 'geo', clean=True).key(0),
        Cell('geo', 'geo', {'data.cameras': 2}).key(0), Cell('geo', 'supervised').key(0),
    }  # fmt: skip
    assert len(keys) == 5
    assert cell.key(0) == Cell('geo', 'geo').key(0)


def test_all_rows_share_backbone_batch_and_steps() -> None:
    for cell in (*HEADLINE, *ABLATIONS):
        recipe = cell.settings()
        steps = benchmark.PROTOCOL['optim.steps'] if cell in HEADLINE else 1000
        assert recipe.optim.steps == steps
        assert recipe.model.width == benchmark.PROTOCOL['model.width']
        assert recipe.optim.batch == benchmark.PROTOCOL['optim.batch']
    assert all(len(cell.seeds) >= 3 for cell in HEADLINE)


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Cut the protocol down to a few steps on one clip per split before one rig; return the arguments."""
    np.savez(
        tmp_path / 'motion.npz', joints=np.concatenate([moving_person(12), moving_person(12, 1)]), clip_start=[0, 12],
        clip_length=[12, 12], clip_name=['a/walk_1', 'a/run_1'], validation=[False, True], fps=30.0,
    )  # fmt: skip
    cameras = {
        c.name: {
            'width': 1280, 'height': 960, 'K': c.intrinsics.K.tolist(), 'distortion_model': 'plumb_bob',
            'D': c.intrinsics.D.tolist(), 'cam_from_world_R': c.cam_from_world[:, :3].tolist(),
            'cam_from_world_t': c.cam_from_world[:, 3].tolist(),
        }
        for c in ring_rig().cameras
    }  # fmt: skip
    (tmp_path / 'rigs.json').write_text(json.dumps({'ring': cameras}))
    for name in ('TRAIN_RIGS', 'TEST_RIGS', 'UNSEEN_RIGS'):
        monkeypatch.setattr(benchmark, name, ('ring',))
    protocol = {'model.width': 16, 'model.blocks': 1, 'optim.batch': 8, 'optim.steps': 2}
    monkeypatch.setattr(benchmark, 'PROTOCOL', protocol)
    monkeypatch.setattr(benchmark, 'SEEDS', (0,))
    monkeypatch.setattr(benchmark, 'HEADLINE', (Cell('geo', 'geo', seeds=(0,)), Cell('li2020', 'li2020', seeds=(0,))))
    monkeypatch.setattr(
        benchmark,
        'throughput',
        lambda *_, **__: {
            'width': 16,
            'blocks': 1,
            'batch': 8,
            'training_poses_per_s': 9.0,
            'plain_poses_per_s': 10.0,
            'ratio': 0.9,
            'ratio_without_optimiser': 0.95,
        },
    )
    return [
        '--motion', str(tmp_path / 'motion.npz'), '--rigs', str(tmp_path / 'rigs.json'), '--no-ablations', '--out',
        str(tmp_path / 'bench' / 'lifter.json'),
    ]  # fmt: skip


def test_it_goes_on_where_it_stopped(
    small: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert benchmark.main([*small, '--only', 'geo']) == 0
    result = Path(small[-1])
    found = json.loads(result.read_text())['recipes']
    assert set(found) == {'geo'}
    # There is no clip of b/ here.
    assert {'ceiling_mpjpe_mm', 'unseen_rig_mpjpe_mm'} <= set(found['geo'])
    assert 'b_mpjpe_mm' not in found['geo']
    original, ran = benchmark.run_cell, []

    def counted(cell: Cell, seed: int, data: benchmark.Data) -> dict[str, Any]:
        ran.append(cell.name)
        return original(cell, seed, data)

    monkeypatch.setattr(benchmark, 'run_cell', counted)
    assert benchmark.main(small) == 0
    assert ran == ['li2020']
    written = json.loads(result.read_text())
    assert set(written['recipes']) == {'geo', 'li2020'}
    assert written['throughput'][0]['ratio'] == 0.9
    assert {'commit', 'machine', 'date', 'targets', 'protocol'} <= set(written)
    assert 'geo / li2020, MPJPE' in capsys.readouterr().out
    assert benchmark.main([*small, '--report']) == 0
    assert ran == ['li2020']


def test_throughput_compares_with_the_bare_network() -> None:
    recipe = load_recipe('geo', {'model.width': 16, 'model.blocks': 1, 'optim.batch': 8})
    found = benchmark.throughput(prepare([sequence(frames=10)], recipe.data, 0), recipe, blocks=2, steps=2)
    assert (found['width'], found['batch']) == (16, 8)
    assert found['training_poses_per_s'] > 0.0
    assert 0.0 < found['ratio'] < 10.0
    assert 0.0 < found['ratio_without_optimiser'] < 10.0
