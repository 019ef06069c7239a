# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The TensorRT engine without a GPU: sidecars, refusals, and the order of calls; its values are in test_engines."""

import dataclasses
import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from geo_pose_ros.cli import main
from geo_pose_ros.errors import BackendError
from geo_pose_ros.inference import tensorrt as engine
from geo_pose_ros.inference.base import create_backend
from geo_pose_ros.inference.model_card import sha256
from geo_pose_ros.inference.settings import EngineConfig

from . import onnx_models
from .fakes import fake_tensorrt

CONFIG = EngineConfig(engine='tensorrt', max_batch=8)


@pytest.fixture
def fake(monkeypatch):
    return fake_tensorrt(monkeypatch, most=8)


@pytest.fixture
def model(tmp_path):
    return onnx_models.double(tmp_path / 'double.onnx')


def rows(n):
    return np.arange(3 * n, dtype=np.float32).reshape(n, 3)


@pytest.mark.parametrize(
    ('module', 'message'),
    [
        ('tensorrt', 'install tensorrt and cuda-python, or go on with engine:=onnxruntime'),
        ('cuda.bindings', 'needs cuda-python'),
    ],
)
def test_without_a_library_one_line_says_how_to_go_on(model, fake, monkeypatch, capsys, module, message):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(BackendError, match=message):
        create_backend(model, CONFIG)
    assert main(['models', 'export', str(model), '--format', 'tensorrt']) == 2
    assert capsys.readouterr().err.count('\n') == 1


@pytest.mark.parametrize('version', ['8.6.1', '12.0.0'])
def test_other_versions_are_refused(model, fake, version):
    fake.trt.__version__ = version
    with pytest.raises(BackendError, match=f'TensorRT {version}: expected 10.x or 11.x'):
        create_backend(model, CONFIG)


def test_building_writes_engine_timings_and_a_true_sidecar(model, fake):
    path = engine.build_engine(model, CONFIG)
    assert path.name == 'double.fp32.engine'
    assert path.read_bytes() == b'engine'
    assert path.with_suffix('.timings').read_bytes() == b'timings'
    assert json.loads((path.parent / 'double.fp32.engine.json').read_text()) == {
        'gpu': 'Fake GPU', 'compute_capability': '9.0', 'tensorrt': '10.13.0', 'driver': '13010',
        'onnx_sha256': sha256(model), 'precision': 'fp32', 'max_batch': 8,
    }
    fake.builder.create_network.assert_called_once_with(1 << 1)
    fake.builder.create_optimization_profile.return_value.set_shape.assert_called_once_with('x', (1, 3), (4, 3), (8, 3))
    fake.parser.parse.assert_called_once_with(model.read_bytes())
    settings = fake.builder.create_builder_config.return_value
    # Timings of another GPU are not combined.
    settings.set_timing_cache.assert_called_once_with(settings.create_timing_cache.return_value, False)


def test_half_precision_is_a_half_precision_onnx_with_single_precision_ends(model, fake, monkeypatch):
    import onnx

    half = dataclasses.replace(CONFIG, fp16=True)
    assert engine.build_engine(model, half).name == 'double.fp16.engine'
    halved = onnx.load_from_string(fake.parser.parse.call_args.args[0])
    assert {node.op_type for node in halved.graph.node} >= {'Cast', 'Add'}
    assert halved.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    monkeypatch.setitem(sys.modules, 'onnx', None)
    with pytest.raises(BackendError, match='pip install onnx onnxruntime'):
        engine.build_engine(model, half)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'OnnxParser.return_value.parse.return_value': False}, 'cannot parse .*unknown operator'),
        ({'Builder.return_value.build_serialized_network.return_value': None}, 'cannot build'),
        ({'Builder.return_value.create_network.return_value': SimpleNamespace(
            num_inputs=1, get_input=lambda i: SimpleNamespace(name='image', shape=(-1, 3, -1, -1))
        )}, "'image' .* free extent besides"),
    ],
    ids=['parse', 'build', 'free extent'],
)  # fmt: skip
def test_what_cannot_be_built_is_an_error(model, fake, change, message):
    fake.trt.configure_mock(**change)
    with pytest.raises(BackendError, match=message):
        engine.build_engine(model, CONFIG)
    assert not engine.sidecar_path(engine.engine_path(model, CONFIG)).exists()


SIDECAR = engine.Sidecar('A', '8.9', '10.13.0', '13010', 'a' * 64, 'fp32', 8)


@pytest.mark.parametrize(
    ('change', 'reason'),
    [
        ({'max_batch': 16}, ''),
        ({'max_batch': 4}, 'max_batch 4 below 8'),
        ({'gpu': 'B', 'driver': '1'}, 'gpu B instead of A, driver 1 instead of 13010'),
        ({'compute_capability': '9.0', 'tensorrt': '11.0.0', 'precision': 'fp16'},
         'compute_capability 9.0 instead of 8.9, tensorrt 11.0.0 instead of 10.13.0, precision fp16 instead of fp32'),
        ({'onnx_sha256': 'b' * 64}, 'onnx_sha256 bbbbbbbbbbbb instead of aaaaaaaaaaaa'),
    ],
)
def test_sidecars_say_what_differs(change, reason):
    assert dataclasses.replace(SIDECAR, **change).difference(SIDECAR) == reason


@pytest.mark.parametrize('damage', [
    lambda model, sidecar: sidecar.unlink(),
    lambda model, sidecar: sidecar.write_text('{'),
    lambda model, sidecar: sidecar.write_text(sidecar.read_text().replace('Fake GPU', 'Other')),
    lambda model, sidecar: model.write_bytes(model.read_bytes() + b'\x9a\x01\x00'),
], ids=['no sidecar', 'not json', 'other gpu', 'other model'])  # fmt: skip
def test_an_engine_that_does_not_fit_is_refused_or_built_again(model, fake, damage):
    path = engine.build_engine(model, CONFIG)
    fixed = dataclasses.replace(CONFIG, rebuild=False)
    create_backend(model, fixed).close()
    assert fake.builder.build_serialized_network.call_count == 1
    damage(model, engine.sidecar_path(path))
    with pytest.raises(BackendError, match=r'cannot be used: .*geo_pose models export'):
        create_backend(model, fixed)
    create_backend(model, CONFIG).close()
    assert fake.builder.build_serialized_network.call_count == 2
    assert isinstance(engine.read_sidecar(path), engine.Sidecar)


@pytest.mark.parametrize('graphs', [True, False], ids=['graphs', 'no graphs'])
def test_buffers_grow_with_the_batch_and_graphs_are_replayed(model, fake, graphs):
    with create_backend(model, dataclasses.replace(CONFIG, cuda_graph=graphs)) as backend:
        assert fake.cuda.memory == {}
        held = []
        for batch in (2, 5, 2, 2, 8):
            given = rows(batch) + batch
            np.testing.assert_allclose(backend.infer({'x': given})['doubled'], 2.0 * given)
            held.append(max(len(bytes(block)) for block in fake.cuda.memory.values()))
        # As large as used, rounded up; what was recorded with the smaller buffers is gone with them.
        assert held == [32, 64, 64, 64, 128]
        assert fake.cuda.launched == (1 if graphs else 0)
        assert len(fake.cuda.graphs) == (1 if graphs else 0)
        with pytest.raises(BackendError, match=r'\(9, 3\) is above the engine.s \(8, 3\); raise max_batch'):
            backend.infer({'x': rows(9)})
    assert fake.cuda.memory == {} and fake.cuda.graphs == {} and fake.cuda.streams == 0


def test_failures_of_the_gpu_are_errors(model, fake):
    fake.engine.runs_fine = False
    backend = create_backend(model, CONFIG)
    with pytest.raises(BackendError, match='TensorRT failed on'):
        backend.infer({'x': rows(1)})
    fake.cuda.fails = True
    with pytest.raises(BackendError, match='cudaMemcpyAsync failed with 700'):
        backend.infer({'x': rows(1)})


def test_an_engine_that_cannot_be_loaded_or_whose_output_size_is_unknown(model, fake):
    fake.engine.knows_sizes = False
    with pytest.raises(BackendError, match="'doubled' depends on the data"):
        create_backend(model, CONFIG)
    fake.trt.Runtime.return_value.deserialize_cuda_engine.side_effect = {}.get
    with pytest.raises(BackendError, match='delete it to have it built again'):
        create_backend(model, CONFIG)


def test_export_builds_an_engine_from_an_onnx_file_without_torch(model, fake, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, 'torch', None)
    assert main(['models', 'export', str(model), '--format', 'tensorrt', '--fp16', '--max-batch', '16']) == 0
    assert 'double.fp16.engine' in capsys.readouterr().out
    sidecar = engine.read_sidecar(model.with_suffix('.fp16.engine'))
    assert (sidecar.precision, sidecar.max_batch) == ('fp16', 16)
    assert main(['models', 'export', str(model.with_name('none.onnx')), '--format', 'tensorrt']) == 2
    assert 'does not exist' in capsys.readouterr().err
