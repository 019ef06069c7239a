# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""`geo_pose train`, `evaluate` and `export`, end to end on small data."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from geo_pose_training.cli import main
from geo_pose_training.commands import options
from geo_pose_training.fit import load_run

from geo_pose_ros.errors import ConfigError
from geo_pose_ros.inference import tensorrt
from geo_pose_ros.inference.model_card import load_card
from geo_pose_ros.inference.settings import EngineConfig
from test.training.conftest import TINY, set_options


def test_train_evaluate_export_evaluate(
    tiny_run: Path, tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = json.loads((tiny_run / 'data.json').read_text())
    assert data['frames'] == 20 and not data['uses_3d_labels'] and len(data['hash']) == 64
    (source,) = data['sources']
    numbers = []
    for model in (tiny_run, tiny_model):
        written = tmp_path / 'numbers.json'
        assert main(['evaluate', str(model), '--data', source, '--json', str(written), '--overwrite']) == 0
        numbers.append(json.loads(written.read_text()))
    assert numbers[0]['mpjpe_mm'] == pytest.approx(numbers[1]['mpjpe_mm'], abs=0.01)
    assert 'mpjpe_mm' in capsys.readouterr().out
    card = load_card(tiny_model)
    assert card.metrics['mpjpe_mm'] == pytest.approx(numbers[0]['mpjpe_mm'])
    assert card.training['recipe']['model']['width'] == 32
    assert 'mocap.cs.cmu.edu' in card.acknowledgement
    # The card says what was trained on, as the run measured it.
    low, high = card.input_range['log_size']
    assert (list(card.input_range['log_size']), low < high) == (data['input_range']['log_size'], True)
    with pytest.raises(ConfigError, match='already holds'):
        main(['train', '--data', source, '--out', str(tiny_run), *set_options(TINY), '--quiet'])


def test_wrong_arguments_and_folders_are_refused(tiny_run: Path, tmp_path: Path) -> None:
    assert load_run(tiny_run)[0].model.width == 32
    with pytest.raises(ConfigError, match='--every 0: expected 1 or more'):
        main(['evaluate', str(tiny_run), '--data', 'bag:x', '--every', '0'])
    with pytest.raises(ConfigError, match='NAME=VALUE'):
        main(['train', '--data', 'bag:x', '--out', str(tmp_path / 'y'), '--set', 'optim.steps'])
    with pytest.raises(ConfigError, match='holds no'):
        main(['models', 'export', str(tmp_path), '--out', str(tmp_path / 'm.onnx')])


def test_tensorrt_format_builds_the_engine_from_the_onnx(
    tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[tuple[Path, str]] = []

    def build(model: Path, config: EngineConfig) -> Path:
        built.append((model, config.engine))
        return model.with_suffix('.engine')

    monkeypatch.setattr(tensorrt, 'build_engine', build)
    model = tmp_path / 'm.onnx'
    assert main(['models', 'export', str(tiny_run), '--out', str(model), '--format', 'tensorrt']) == 0
    assert built == [(model, 'tensorrt')]
    assert load_card(model).skeleton == 'body17'


def test_commit_of_this_tree_and_of_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = options.source_commit()
    assert commit == '' or len(commit) == 40
    monkeypatch.setattr(options, '__file__', str(tmp_path / 'options.py'))
    monkeypatch.setenv('GIT_CEILING_DIRECTORIES', str(tmp_path))
    assert options.source_commit() == ''
    monkeypatch.setenv('PATH', str(tmp_path))
    assert options.source_commit() == ''


def test_a_run_begins_with_a_model(tiny_run: Path, tiny_model: Path, motion: str, tmp_path: Path) -> None:
    run = tmp_path / 'on'
    on = ['train', '--recipe', 'geo', '--data', motion, '--out', str(run), '--from', str(tiny_model), '--quiet']
    assert main([*on, *set_options({**TINY, 'optim.learning_rate': 0.0})]) == 0
    assert json.loads((run / 'data.json').read_text())['fine_tuned_from'] == load_card(tiny_model).sha256
    before, after = (load_run(folder)[1].pose.weight for folder in (tiny_run, run))
    torch.testing.assert_close(before, after, atol=1e-6, rtol=0.0)
