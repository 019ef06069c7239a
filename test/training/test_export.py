# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Export to ONNX: the same numbers, the card, and back again."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from geo_pose_training.evaluation.metrics import evaluate
from geo_pose_training.evaluation.predictor import Predictor, SigmaScale
from geo_pose_training.export import Origin, export
from geo_pose_training.model import InputWindow, Lifter
from geo_pose_training.retraining.retrain import load_exported
from geo_pose_training.settings import ModelSettings

from geo_pose_ros.arrays import Float32Array
from geo_pose_ros.errors import BackendError, ConfigError
from geo_pose_ros.inference.model_card import card_path, default_model, load_card
from test.training.people import recorded_person

_SAMPLES = (np.zeros((1, 1, 17, 3), np.float32),)


def test_exported_sigma_is_scaled_and_batches_are_free(tmp_path: Path) -> None:
    torch.manual_seed(0)
    lifter = Lifter(17, ModelSettings(backbone='temporal_dilated', width=16, receptive_field=9, causal=True)).eval()
    given = np.random.default_rng(0).standard_normal((7, 9, 17, 3)).astype(np.float32)
    given[..., 2] = np.abs(given[..., 2])
    given[3, 8, 12, 2] = given[4, 4, 12, 2] = 0.0
    model = tmp_path / 'm.onnx'
    card = export(lifter, model, Origin(), (given,), sigma_scale=SigmaScale(2.0, 3.0), rate_hz=50.0)
    assert (card.receptive_field, card.causal, card.input_shape, card.rate_hz) == (9, True, (9, 17, 3), 50.0)
    with pytest.raises(ConfigError, match='rate_hz 0 for 9 frames'):
        export(lifter, tmp_path / 'n.onnx', Origin(), (given,))
    xyz, sigma = Predictor.of_onnx(model, InputWindow(9, causal=True))(given[:5])
    want_xyz, want_sigma = Predictor.of_lifter(lifter)(given[:5])
    np.testing.assert_allclose(xyz, want_xyz, atol=1e-5)
    # Only the output's own frame, the last of a causal window, says what is hidden.
    scale = np.full((5, 17), 2.0)
    scale[3, 12] = 3.0
    np.testing.assert_allclose(sigma, scale * want_sigma, atol=1e-5)


def test_an_export_that_disagrees_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of_onnx = Predictor.of_onnx

    def wrong(model: Path, window: InputWindow) -> Predictor:
        def lift(pose2d: Float32Array) -> tuple[Float32Array, Float32Array]:
            xyz, sigma = of_onnx(model, window)(pose2d)
            return xyz + np.float32(2e-4), sigma

        return Predictor(lift)

    monkeypatch.setattr(Predictor, 'of_onnx', wrong)
    with pytest.raises(BackendError, match='differs by'):
        export(Lifter(17, ModelSettings(width=16, blocks=1)), tmp_path / 'm.onnx', Origin(), _SAMPLES)


@pytest.mark.parametrize('backbone', ['residual', 'temporal_dilated'])
def test_weights_come_back_from_onnx(tmp_path: Path, backbone: str) -> None:
    torch.manual_seed(1)
    frames = 9 if backbone == 'temporal_dilated' else 1
    settings = ModelSettings(backbone=backbone, width=16, blocks=1, receptive_field=frames)
    lifter = Lifter(17, settings)
    lifter.train()(torch.randn(8, frames, 17, 3))
    given = np.random.default_rng(0).standard_normal((8, frames, 17, 3)).astype(np.float32)
    origin = Origin({'recipe': {'model': asdict(settings)}})
    export(lifter, tmp_path / 'm.onnx', origin, (given,), rate_hz=30.0 if frames > 1 else 0.0)
    back = Predictor.of_lifter(load_exported(tmp_path / 'm.onnx'))
    np.testing.assert_allclose(back(given)[0], Predictor.of_lifter(lifter.eval())(given)[0], atol=1e-6)


def test_models_without_recipe_or_weights_cannot_be_retrained(tmp_path: Path) -> None:
    lifter = Lifter(17, ModelSettings(width=16, blocks=1))
    for origin, words in (
        (Origin(), r'training\.recipe\.model'),
        (Origin({'recipe': {'model': {'width': 16, 'blocks': 2}}}), 'lacks the weights'),
    ):
        export(lifter, tmp_path / 'm.onnx', origin, _SAMPLES)
        with pytest.raises(ConfigError, match=words):
            load_exported(tmp_path / 'm.onnx')


def test_the_default_model_ships_with_its_card() -> None:
    card = load_card(default_model())
    assert (card.skeleton, card.receptive_field, card.root_joint) == ('body17', 1, 'pelvis')
    assert default_model().stat().st_size <= 10_000_000
    assert not card.training['uses_3d_labels']
    assert 'mocap.cs.cmu.edu' in card.acknowledgement
    assert 'train' in card.training['command']
    # It lifts a person it never saw better than the mean pose could (about 200 mm).
    report = evaluate(Predictor.load(default_model()), [recorded_person(frames=20, noise_px=3.0)])
    assert report['mpjpe_mm'] < 120.0
    assert [len(o.type.tensor_type.shape.dim) for o in onnx.load(str(default_model())).graph.output] == [3, 2]


def test_cards_are_checked(tmp_path: Path) -> None:
    lifter = Lifter(17, ModelSettings(width=16, blocks=1))
    model = tmp_path / 'm.onnx'
    with pytest.raises(BackendError, match='does not exist'):
        load_card(model)
    export(lifter, model, Origin(), _SAMPLES)
    card = json.loads(card_path(model).read_text())
    for change, error, words in (
        ({'sha256': '0' * 64}, BackendError, 'different models'),
        ({'format': 99}, ConfigError, 'format 99'),
        ({'input_convention': 'raw'}, ConfigError, 'raw'),
        ({'receptive_field': 2}, ConfigError, 'odd'),
        ({'rate_hz': 30.0}, ConfigError, 'rate_hz 30 for 1 frames'),
        ({'input_range': {'steepness': [0.0, 1.0]}}, ConfigError, 'expected least and largest of each of steepness'),
        ({'input_range': {'steepness': [0, 1], 'log_size': [1, 0]}}, ConfigError, 'least and largest'),
        ({'skeleton': 'octopus'}, ConfigError, 'octopus'),
        ({'colour': 'red'}, ConfigError, 'expected the fields'),
    ):
        card_path(model).write_text(json.dumps({**card, **change}))
        with pytest.raises(error, match=words):
            load_card(model)
    card_path(model).write_text('{')
    with pytest.raises(ConfigError, match='not JSON'):
        load_card(model)
    card_path(model).unlink()
    with pytest.raises(BackendError, match='no card'):
        load_card(model)
