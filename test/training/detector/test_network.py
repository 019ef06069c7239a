# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""An ONNX network in torch gives the numbers of ONNX Runtime, before and after it was trained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from geo_pose_training.detector.network import OnnxNetwork

from geo_pose_ros.detection.models.catalogue import packaged
from geo_pose_ros.errors import BackendError, ConfigError

from .tiny import write_network


def differences(network: OnnxNetwork, model: Path) -> dict[str, float]:
    """Return the largest difference of each output between torch and ONNX Runtime, on noise."""
    image = np.random.default_rng(0).random((2, 3, 256, 256), np.float32)
    session = onnxruntime.InferenceSession(str(model))
    names = [output.name for output in session.get_outputs()]
    with torch.no_grad():
        found = network(torch.from_numpy(image))
    assert list(found) == names
    wanted = dict(zip(names, session.run(names, {'image': image}), strict=True))
    return {name: float(np.abs(found[name].numpy() - wanted[name]).max()) for name in names}


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return write_network(tmp_path / 'tiny.onnx')


def test_all_operators_give_the_numbers_of_onnx_runtime(tiny: Path) -> None:
    assert max(differences(OnnxNetwork(tiny), tiny).values()) < 1e-4


def test_blazepose_gives_the_numbers_of_onnx_runtime() -> None:
    found = differences(OnnxNetwork(packaged('blazepose_full')), packaged('blazepose_full'))
    # Landmarks are px of 256 (and z, logits).
    assert found['landmarks'] < 0.2 and found['presence'] < 1e-3 and found['heatmap'] < 0.01


def test_trained_weights_are_written_as_they_were_stored(tiny: Path, tmp_path: Path) -> None:
    network = OnnxNetwork(tiny)
    # Those of the layers whole, marks and flag.
    trained = network.train_apart_from('heatmap')
    assert [tuple(weight.shape) for weight in trained[::2]] == [(8, 4, 32, 32), (195, 8, 1, 1), (1, 8, 1, 1)]
    assert sum(weight.requires_grad for weight in network.weights) == len(trained) == 6
    with torch.no_grad():
        assert set(network.features(torch.zeros(2, 3, 256, 256))) == {'small', 'heatmap'}
        for weight in trained:
            weight.mul_(1.5)
    network.save(tmp_path / 'taught' / 'new.onnx')
    # Half precision.
    assert max(differences(network, tmp_path / 'taught' / 'new.onnx').values()) < 0.2
    assert differences(network, tiny)['landmarks'] > 1.0
    assert (tmp_path / 'taught' / 'new.onnx').stat().st_size == tiny.stat().st_size


def test_other_files_and_operators_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r'has the operators Relu; only networks of'):
        OnnxNetwork(write_network(tmp_path / 'other.onnx', operator='Relu'))
    (tmp_path / 'no.onnx').write_text('no model')
    with pytest.raises(BackendError, match=r'cannot be read as ONNX'):
        OnnxNetwork(tmp_path / 'no.onnx')
