# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""`geo_pose retrain --detector`, end to end with a tiny network."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from geo_pose_training.cli import main
from geo_pose_training.commands import retrain_detector
from geo_pose_training.retraining.check import RetrainError

from geo_pose_ros.errors import ConfigError
from geo_pose_ros.inference.model_card import sha256
from test.training.conftest import set_options
from test.training.detector.test_crops import stamped, write_images
from test.training.detector.tiny import write_network

_QUICK = {'steps': 20, 'batch': 4, 'copies': 1, 'rehearsed': 1, 'learning_rate': 0.02}


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a teaching that learns something; who is in the bag is known."""
    whole = stamped()
    monkeypatch.setattr(retrain_detector, 'load_people', lambda path, rig=None: [whole])
    bag, network = write_images(tmp_path / 'walk', whole), write_network(tmp_path / 'tiny.onnx')
    return [
        'retrain', '--detector', '--from', str(network), '--bag', str(bag), '--out', str(tmp_path / 'new.onnx'),
        '--elsewhere', str(bag), *set_options(_QUICK),
    ]


@pytest.mark.slow
def test_a_taught_detector_is_written_with_its_card_and_a_report(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # So small a network cannot tell sides.
    assert main([*command, '--held-out', 'cam2', '--replay', f'bag:{tmp_path / "walk"}', '--force']) == 0
    text = capsys.readouterr().out
    assert 'crops to learn from, 3 to check on' in text and 'pipeline.detector.model' in text
    assert text.index('before') < text.index('after')
    card = json.loads((tmp_path / 'new.json').read_text())
    assert card['sha256'] == sha256(tmp_path / 'new.onnx')
    assert card['training']['fine_tuned_from'] == sha256(tmp_path / 'tiny.onnx')
    assert card['metrics']['kept_aside'] == ['cam2']
    assert card['metrics']['after']['mean_px'] < card['metrics']['before']['mean_px']
    written = json.loads((tmp_path / 'new_report' / 'report.json').read_text())
    assert (written['written'], written['after']['crops']) == (True, 3)
    assert written['recordings'][0]['trained_on'] == ['cam0', 'cam1', 'cam3']
    page = (tmp_path / 'new_report' / 'index.html').read_text()
    assert 'limb joints, mean px' in page and 'Above: bodies that the other cameras give' in page


def test_a_detector_that_learnt_nothing_is_not_written(command: list[str], tmp_path: Path) -> None:
    with pytest.raises(RetrainError, match=r'kept aside the mean error of limb joints went from .* --force'):
        main([*command, *set_options({'steps': 2, 'learning_rate': 0.0})])
    assert not (tmp_path / 'new.onnx').exists()
    assert 'Not written: the mean error' in (tmp_path / 'new_report' / 'index.html').read_text()


def test_what_is_for_lifters_or_for_detectors_is_said(command: list[str], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match='--data, --recipe and --resume are for lifters'):
        main([*command, '--resume'])
    with pytest.raises(ConfigError, match='Give --bag BAG, with images'):
        main(['retrain', '--detector', '--out', str(tmp_path / 'new.onnx')])
    with pytest.raises(ConfigError, match='--elsewhere is for --detector'):
        main([one for one in command if one != '--detector'])
