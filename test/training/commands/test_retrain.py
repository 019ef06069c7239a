# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""`geo_pose retrain`, end to end on small data."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from geo_pose_training.cli import main
from geo_pose_training.data.bag import load_people
from geo_pose_training.evaluation.predictor import Predictor
from geo_pose_training.fit import losses_of_run
from geo_pose_training.retraining.check import RetrainError, check
from geo_pose_training.retraining.hold_out import hold_out
from geo_pose_training.trainer import Trainer

from geo_pose_ros.inference.model_card import load_card, sha256
from test.training.conftest import set_options
from test.training.people import recorded_person, write_bag

_QUICK = {
    'optim.steps': 20, 'optim.steps_per_epoch': 10, 'optim.batch': 32, 'optim.learning_rate': 0.01,
    'data.copies.count': 2, 'optim.rehearsal_poses': 0,
}


@pytest.fixture(scope='module')
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp('bags') / 'walk'
    write_bag(path, recorded_person(frames=30, noise_px=1.0))
    return path


@pytest.fixture
def command(bag: Path, tiny_model: Path, tmp_path: Path) -> list[str]:
    """Return a retraining that learns something, without rehearsal."""
    return [
        'retrain', '--from', str(tiny_model), '--bag', str(bag), '--out', str(tmp_path / 'new.onnx'),
        *set_options(_QUICK),
    ]


def test_retrain_writes_a_model_that_is_better_and_says_so(
    command: list[str], bag: Path, tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, '--held-out', 'cam3', '--frames', '0-20']) == 0
    text = capsys.readouterr().out
    assert 'before' in text and 'after' in text
    card = load_card(tmp_path / 'new.onnx')
    assert card.metrics['kept_aside'] == ['cam3']
    # The last 40 % of 30 frames.
    assert card.metrics['after']['poses'] == 12
    assert card.metrics['after']['mpjpe_mm'] < card.metrics['before']['mpjpe_mm']
    assert card.training['fine_tuned_from'] == load_card(tiny_model).sha256
    report = tmp_path / 'new_report'
    written = json.loads((report / 'report.json').read_text())
    assert (written['written'], written['objections']) == (True, [])
    assert written['after']['mpjpe_mm'] == pytest.approx(card.metrics['after']['mpjpe_mm'])
    assert written['before']['elsewhere_mm'] is None
    page = (report / 'index.html').read_text()
    assert 'The new model is better on what was kept aside, but little was compared: ' in page
    assert 'src="data:image/png;base64,' in page
    assert '<h2>Each joint</h2>' in page and '<td>left wrist</td>' in page and '<h3>Sum of all losses</h3>' in page
    joints = [written[when]['joints'] for when in ('before', 'after')]
    assert sum(joints[1].values()) / 17 == pytest.approx(written['after']['mpjpe_mm'])
    assert joints[0]['pelvis'] == joints[1]['pelvis'] == 0.0
    # Two epochs of ten steps.
    assert [row['step'] for row in losses_of_run(report / 'run')] == [10, 20]
    # What the card says of the model that was written is what that model does.
    (whole,) = load_people(bag)
    again = check(Predictor.load(tmp_path / 'new.onnx'), [hold_out(whole, camera='cam3', train=slice(0, 20))])
    assert again.mpjpe_mm == pytest.approx(card.metrics['after']['mpjpe_mm'], abs=0.1)
    assert again.inside_percent == pytest.approx(card.metrics['after']['inside_percent'], abs=0.5)
    numbers = tmp_path / 'numbers.json'
    held_out = ['--held-out', 'cam3', '--frames', '0-20', '--json', str(numbers)]
    assert main(['evaluate', str(tmp_path / 'new.onnx'), '--data', f'bag:{bag}', *held_out]) == 0
    assert json.loads(numbers.read_text())['mpjpe_mm'] == pytest.approx(again.mpjpe_mm)


def test_a_model_that_is_not_better_is_not_written_unless_forced(command: list[str], tmp_path: Path) -> None:
    # Nothing is learnt.
    spoil = set_options({'optim.learning_rate': 0.0, 'optim.steps': 2})
    with pytest.raises(RetrainError, match=r'is not written: on what was kept aside MPJPE went from .* --force'):
        main([*command, *spoil])
    assert not (tmp_path / 'new.onnx').exists()
    assert 'Not written: MPJPE went from' in (tmp_path / 'new_report' / 'index.html').read_text()
    assert main([*command, *spoil, '--force', '--report', str(tmp_path / 'forced')]) == 0
    assert (tmp_path / 'new.onnx').is_file()
    assert 'Written all the same' in (tmp_path / 'forced' / 'index.html').read_text()


def test_an_interrupted_retraining_goes_on_bit_for_bit(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = [*command, *set_options({'optim.rehearsal_poses': 60}), '--force']
    other = [str(tmp_path / 'whole.onnx') if a.endswith('new.onnx') else a for a in command]
    assert main(other) == 0
    original = Trainer.train_epoch

    def interrupted(self: Trainer, **options: Any) -> dict[str, float]:
        losses = original(self, **options)
        if self.step == 10:
            os.kill(os.getpid(), signal.SIGINT)
        return losses

    with monkeypatch.context() as patched:
        patched.setattr(Trainer, 'train_epoch', interrupted)
        assert main(command) == 130
    assert not (tmp_path / 'new.onnx').exists()
    assert main([*command, '--resume']) == 0
    assert sha256(tmp_path / 'new.onnx') == sha256(tmp_path / 'whole.onnx')


def test_replayed_data_are_checked_as_well(command: list[str], motion: str, tmp_path: Path) -> None:
    assert main([*command, '--replay', motion, '--force']) == 0
    written = json.loads((tmp_path / 'new_report' / 'report.json').read_text())
    assert written['before']['elsewhere_mm'] > 0.0
    assert written['settings']['replay'] == [motion]
