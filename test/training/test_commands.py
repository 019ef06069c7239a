"""The commands, end to end on small data: train, evaluate, export, retrain."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from geo_pose_training import export as export_module
from geo_pose_training.cli import main
from geo_pose_training.data.bag import load_people
from geo_pose_training.evaluate import Predictor, SigmaScale, torch_predictor
from geo_pose_training.export import export, onnx_predictor
from geo_pose_training.fit import Trainer, load_run
from geo_pose_training.model import Lifter
from geo_pose_training.retraining.proof import RetrainError, check, keep_aside
from geo_pose_training.retraining.retrain import load_exported
from geo_pose_training.settings import ModelSettings

from geo_pose_ros.errors import BackendError, ConfigError
from geo_pose_ros.inference.model_card import card_path, default_model, load_card, sha256
from geo_pose_ros.skeleton import BODY17
from test.training.people import sequence
from test.training.test_bag import write_bag
from test.training.test_synthetic import _write_motion, _write_rigs

_SMALL = [
    '--set',
    'model.width=32',
    '--set',
    'model.blocks=1',
    '--set',
    'optim.batch=16',
    '--set',
    'optim.steps=4',
    '--set',
    'optim.steps_per_epoch=2',
    '--quiet',
]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    data = f'motion:{_write_motion(tmp_path)},rigs:{_write_rigs(tmp_path)}'
    assert main(['train', '--recipe', 'geo', '--data', data, '--out', str(tmp_path / 'run'), *_SMALL]) == 0
    return tmp_path / 'run'


def test_train_evaluate_export_evaluate(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = json.loads((run / 'data.json').read_text())
    assert data['frames'] == 20 and not data['uses_3d_labels'] and len(data['hash']) == 64
    spec = data['sources'][0]
    model = tmp_path / 'out' / 'small.onnx'
    assert main(['export', str(run), '--out', str(model)]) == 0
    numbers = []
    for what in (run, model):
        assert main(['evaluate', str(what), '--data', spec, '--json', str(tmp_path / 'numbers.json')]) == 0
        numbers.append(json.loads((tmp_path / 'numbers.json').read_text()))
    assert numbers[0]['mpjpe_mm'] == pytest.approx(numbers[1]['mpjpe_mm'], abs=0.01)
    assert 'mpjpe_mm' in capsys.readouterr().out
    card = load_card(model)
    assert card.metrics['mpjpe_mm'] == pytest.approx(numbers[0]['mpjpe_mm'])
    assert card.training['recipe']['model']['width'] == 32
    assert 'mocap.cs.cmu.edu' in card.acknowledgement
    with pytest.raises(ConfigError, match='already holds'):
        main(['train', '--data', spec, '--out', str(run), *_SMALL])


def test_exported_sigma_is_scaled_and_batches_are_free(tmp_path: Path) -> None:
    torch.manual_seed(0)
    lifter = Lifter(17, ModelSettings(backbone='temporal_dilated', width=16, receptive_field=9, causal=True)).eval()
    given = np.random.default_rng(0).standard_normal((7, 9, 17, 3)).astype(np.float32)
    given[3, 8, 12, 2] = 0.0
    given[..., 2] = np.where(given[..., 2] == 0.0, 0.0, np.abs(given[..., 2]))
    given[4, 4, 12, 2] = 0.0
    card = export(
        lifter, tmp_path / 'm.onnx', training={}, metrics={}, samples=(given,), sigma_scale=SigmaScale(2.0, 3.0),
        rate_hz=50.0,
    )
    assert (card.receptive_field, card.causal, card.input_shape, card.rate_hz) == (9, True, (9, 17, 3), 50.0)
    with pytest.raises(ConfigError, match='rate_hz 0 for 9 frames'):
        export(lifter, tmp_path / 'n.onnx', training={}, metrics={}, samples=(given,))
    xyz, sigma = onnx_predictor(tmp_path / 'm.onnx')(given[:5])
    want_xyz, want_sigma = torch_predictor(lifter)(given[:5])
    np.testing.assert_allclose(xyz, want_xyz, atol=1e-5)
    # Only the output's own frame, the last of a causal window, says what is hidden.
    scale = np.full((5, 17), 2.0)
    scale[3, 12] = 3.0
    np.testing.assert_allclose(sigma, scale * want_sigma, atol=1e-5)


def test_an_export_that_disagrees_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(model: Path) -> Predictor:
        predict = onnx_predictor(model)
        return lambda pose2d: (predict(pose2d)[0] + np.float32(2e-4), predict(pose2d)[1])

    monkeypatch.setattr(export_module, 'onnx_predictor', wrong)
    lifter = Lifter(17, ModelSettings(width=16, blocks=1))
    with pytest.raises(BackendError, match='differs by'):
        export(lifter, tmp_path / 'm.onnx', training={}, metrics={}, samples=(np.zeros((1, 1, 17, 3), np.float32),))


@pytest.mark.parametrize('backbone', ['residual', 'temporal_dilated'])
def test_weights_come_back_from_onnx(tmp_path: Path, backbone: str) -> None:
    torch.manual_seed(1)
    settings = ModelSettings(backbone=backbone, width=16, blocks=1, receptive_field=9 if backbone[0] == 't' else 1)
    lifter = Lifter(17, settings)
    shape = (8, settings.receptive_field, 17, 3)
    lifter.train()(torch.randn(shape))
    given = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    recipe = {'model': {name: getattr(settings, name) for name in settings.__dataclass_fields__}}
    rate_hz = 30.0 if settings.receptive_field > 1 else 0.0
    export(lifter, tmp_path / 'm.onnx', training={'recipe': recipe}, metrics={}, samples=(given,), rate_hz=rate_hz)
    back = load_exported(tmp_path / 'm.onnx')
    np.testing.assert_allclose(torch_predictor(back)(given)[0], torch_predictor(lifter.eval())(given)[0], atol=1e-6)


def test_models_without_recipe_or_weights_cannot_be_retrained(tmp_path: Path) -> None:
    lifter = Lifter(17, ModelSettings(width=16, blocks=1))
    samples = np.zeros((1, 1, 17, 3), np.float32)
    export(lifter, tmp_path / 'm.onnx', training={}, metrics={}, samples=(samples,))
    with pytest.raises(ConfigError, match=r'training\.recipe\.model'):
        load_exported(tmp_path / 'm.onnx')
    recipe = {'model': {'width': 16, 'blocks': 2}}
    export(lifter, tmp_path / 'm.onnx', training={'recipe': recipe}, metrics={}, samples=(samples,))
    with pytest.raises(ConfigError, match='lacks the weights'):
        load_exported(tmp_path / 'm.onnx')


_RETRAIN = [
    '--set', 'optim.steps=40', '--set', 'optim.steps_per_epoch=20', '--set', 'optim.batch=32', '--set',
    'optim.learning_rate=0.01', '--set', 'data.reshaped_copies=2', '--set',
    'optim.rehearsal_poses=60',
]  # fmt: skip


@pytest.fixture
def recording(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Write a bag and export a model; return the arguments of a retraining that learns something."""
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    write_bag(tmp_path / 'walk', sequence(frames=30, noise_px=1.0))
    assert main(['export', str(run), '--out', str(tmp_path / 'small.onnx')]) == 0
    return [
        'retrain', '--from', str(tmp_path / 'small.onnx'), '--bag', str(tmp_path / 'walk'), '--out',
        str(tmp_path / 'new.onnx'), *_RETRAIN,
    ]  # fmt: skip


def test_retrain_writes_a_model_that_is_better_and_says_so(
    recording: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*recording, '--set', 'optim.rehearsal_poses=0', '--held-out', 'cam3', '--frames', '0-20']) == 0
    text = capsys.readouterr().out
    assert 'before' in text and 'after' in text
    card = load_card(tmp_path / 'new.onnx')
    assert card.metrics['kept_aside'] == ['cam3']
    # The last 40 % of 30 frames.
    assert card.metrics['after']['poses'] == 12
    assert card.metrics['after']['mpjpe_mm'] < card.metrics['before']['mpjpe_mm']
    assert card.training['fine_tuned_from'] == load_card(tmp_path / 'small.onnx').sha256
    report = tmp_path / 'new_report'
    told = json.loads((report / 'report.json').read_text())
    assert (told['written'], told['objections']) == (True, [])
    assert told['after']['mpjpe_mm'] == pytest.approx(card.metrics['after']['mpjpe_mm'])
    assert told['before']['elsewhere_mm'] is None
    page = (report / 'index.html').read_text()
    assert 'The new model is better on what was kept aside.' in page
    assert 'src="data:image/png;base64,' in page
    assert '://' not in page
    # What the card says of the model that was written is what that model does.
    (whole,) = load_people(tmp_path / 'walk')
    kept = keep_aside(whole, camera='cam3', train=slice(0, 20))
    again = check(onnx_predictor(tmp_path / 'new.onnx'), [kept], up='z')
    assert again.mpjpe_mm == pytest.approx(card.metrics['after']['mpjpe_mm'], abs=0.1)
    assert again.inside_percent == pytest.approx(card.metrics['after']['inside_percent'], abs=0.5)
    data, numbers = f'bag:{tmp_path / "walk"}', tmp_path / 'numbers.json'
    kept_aside = ['--held-out', 'cam3', '--frames', '0-20', '--json', str(numbers)]
    assert main(['evaluate', str(tmp_path / 'new.onnx'), '--data', data, *kept_aside]) == 0
    assert json.loads(numbers.read_text())['mpjpe_mm'] == pytest.approx(again.mpjpe_mm)


def test_a_model_that_is_not_better_is_not_written_unless_forced(
    recording: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Nothing is learnt.
    spoil = ['--set', 'optim.learning_rate=0.0', '--set', 'optim.steps=2', '--set', 'optim.rehearsal_poses=0']
    with pytest.raises(RetrainError, match=r'is not written: on what was kept aside MPJPE went from .* --force'):
        main([*recording, *spoil])
    assert not (tmp_path / 'new.onnx').exists()
    assert 'Not written: MPJPE went from' in (tmp_path / 'new_report' / 'index.html').read_text()
    forced = ['--force', '--report', str(tmp_path / 'forced')]
    assert main([*recording, *spoil, *forced]) == 0
    assert (tmp_path / 'new.onnx').is_file()
    assert 'Written all the same' in (tmp_path / 'forced' / 'index.html').read_text()


def test_an_interrupted_retraining_goes_on_bit_for_bit(
    recording: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = [str(tmp_path / 'whole.onnx') if a.endswith('new.onnx') else a for a in recording]
    assert main([*other, '--force']) == 0
    original = Trainer.train_epoch

    def interrupted(self: Trainer, **options: Any) -> dict[str, float]:
        losses = original(self, **options)
        if self.step == 20:
            os.kill(os.getpid(), signal.SIGINT)
        return losses

    with monkeypatch.context() as patched:
        patched.setattr(Trainer, 'train_epoch', interrupted)
        assert main([*recording, '--force']) == 130
    assert not (tmp_path / 'new.onnx').exists()
    assert main([*recording, '--force', '--resume']) == 0
    assert sha256(tmp_path / 'new.onnx') == sha256(tmp_path / 'whole.onnx')


def test_replayed_data_are_checked_as_well(recording: list[str], tmp_path: Path) -> None:
    spec = f'motion:{_write_motion(tmp_path)},rigs:{_write_rigs(tmp_path)}'
    assert main([*recording, '--replay', spec, '--force']) == 0
    told = json.loads((tmp_path / 'new_report' / 'report.json').read_text())
    assert told['before']['elsewhere_mm'] > 0.0
    assert told['settings']['replay'] == [spec]


def test_the_default_model_ships_with_its_card() -> None:
    card = load_card(default_model())
    assert (card.skeleton, card.receptive_field, card.root_joint) == ('body17', 1, 'pelvis')
    assert default_model().stat().st_size <= 10_000_000
    assert not card.training['uses_3d_labels']
    assert 'mocap.cs.cmu.edu' in card.acknowledgement
    assert 'train' in card.training['command']
    # It lifts a person it never saw better than the mean pose could (about 200 mm).
    from geo_pose_training.evaluate import evaluate

    report = evaluate(onnx_predictor(default_model()), [sequence(frames=20, noise_px=3.0)], up='z')
    assert report['mpjpe_mm'] < 120.0
    assert [len(o.type.tensor_type.shape.dim) for o in onnx.load(str(default_model())).graph.output] == [3, 2]
    assert len(BODY17) == 17


def test_cards_are_checked(tmp_path: Path) -> None:
    lifter = Lifter(17, ModelSettings(width=16, blocks=1))
    model = tmp_path / 'm.onnx'
    with pytest.raises(BackendError, match='does not exist'):
        load_card(model)
    export(lifter, model, training={}, metrics={}, samples=(np.zeros((1, 1, 17, 3), np.float32),))
    card = json.loads(card_path(model).read_text())
    for change, error, words in (
        ({'sha256': '0' * 64}, BackendError, 'different models'),
        ({'format': 99}, ConfigError, 'format 99'),
        ({'input_convention': 'raw'}, ConfigError, 'raw'),
        ({'receptive_field': 2}, ConfigError, 'odd'),
        ({'rate_hz': 30.0}, ConfigError, 'rate_hz 30 for 1 frames'),
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


def test_wrong_settings_and_folders_are_refused(run: Path, tmp_path: Path) -> None:
    assert load_run(run)[0].model.width == 32
    with pytest.raises(ConfigError, match='--every 0: expected 1 or more'):
        main(['evaluate', str(run), '--data', 'bag:x', '--every', '0'])
    with pytest.raises(ConfigError, match='NAME=VALUE'):
        main(['train', '--data', 'bag:x', '--out', str(tmp_path / 'y'), '--set', 'optim.steps'])
    with pytest.raises(ConfigError, match='holds no'):
        main(['export', str(tmp_path), '--out', str(tmp_path / 'm.onnx')])


def test_tensorrt_format_builds_the_engine_from_the_onnx(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from geo_pose_ros.inference import tensorrt
    from geo_pose_ros.inference.settings import EngineConfig

    built: list[tuple[Path, str]] = []

    def build(model: Path, config: EngineConfig) -> Path:
        built.append((model, config.engine))
        return model.with_suffix('.engine')

    monkeypatch.setattr(tensorrt, 'build_engine', build)
    model = tmp_path / 'm.onnx'
    assert main(['export', str(run), '--out', str(model), '--format', 'tensorrt']) == 0
    assert built == [(model, 'tensorrt')]
    assert load_card(model).skeleton == 'body17'
