# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""One contract for all engines; the real TensorRT runs where a GPU and its packages are, a fake one everywhere."""

import sys

import numpy as np
import pytest

from geo_pose_ros.errors import BackendError, ConfigError, ShapeError
from geo_pose_ros.inference.base import TensorSpec, create_backend, warm_up
from geo_pose_ros.inference.settings import EngineConfig

from . import onnx_models
from .fakes import fake_tensorrt


def tensorrt_missing() -> str:
    """Why TensorRT cannot run here; '' if it can."""
    try:
        import tensorrt  # noqa: F401
        from cuda.bindings import runtime
    except ImportError as error:
        return str(error)
    return '' if int(runtime.cudaGetDeviceCount()[0]) == 0 else 'no GPU'


ENGINES = [
    'onnxruntime',
    'fake tensorrt',
    pytest.param(
        'tensorrt', marks=pytest.mark.skipif(bool(tensorrt_missing()), reason=f'TensorRT skipped: {tensorrt_missing()}')
    ),
]


@pytest.fixture
def model(tmp_path):
    return onnx_models.double(tmp_path / 'double.onnx')


@pytest.fixture(params=ENGINES)
def backend(request, model, monkeypatch):
    if request.param == 'fake tensorrt':
        fake_tensorrt(monkeypatch)
    with create_backend(model, EngineConfig(engine=request.param.split()[-1])) as loaded:
        yield loaded


def rows(n: int) -> np.ndarray:
    return np.arange(3 * n, dtype=np.float32).reshape(n, 3)


def test_any_batch_gives_its_values(backend):
    assert backend.inputs == (TensorSpec('x', np.dtype(np.float32), (None, 3)),)
    assert {spec.name: spec.shape for spec in backend.outputs} == {'doubled': (None, 3), 'total': (None,)}
    assert backend.provider in ('CPUExecutionProvider', 'TensorRT')
    kept = [(batch, backend.infer({'x': rows(batch)})) for batch in (1, 7, 2, 7)]
    # The results are the caller's to keep.
    for batch, found in kept:
        np.testing.assert_allclose(found['doubled'], 2.0 * rows(batch))
        np.testing.assert_allclose(found['total'], rows(batch).sum(1))


@pytest.mark.parametrize(
    ('tensors', 'message'),
    [
        ({}, r"received inputs \[\], expected \['x'\]"),
        ({'x': rows(1), 'y': rows(1)}, r"received inputs \['x', 'y'\]"),
        ({'x': rows(1).astype(np.float64)}, r"'x' is float64 \(1, 3\), expected x float32 \(any, 3\)"),
        ({'x': rows(1)[:, :2]}, r"'x' is float32 \(1, 2\)"),
        ({'x': rows(1)[0]}, r"'x' is float32 \(3,\)"),
        ({'x': [1.0, 2.0, 3.0]}, "'x' is list"),
    ],
)
def test_other_inputs_are_refused_before_inference(backend, tensors, message):
    with pytest.raises(ShapeError, match=message):
        backend.infer(tensors)


def test_warm_up_and_close(backend):
    warm_up(backend, (1, 4))
    backend.close()
    with pytest.raises(BackendError, match='is closed'):
        backend.infer({'x': rows(1)})
    backend.close()


def test_cuda_asked_for_and_absent_is_an_error(model):
    import onnxruntime

    if 'CUDAExecutionProvider' in onnxruntime.get_available_providers():
        pytest.skip('this ONNX Runtime has CUDA')
    with pytest.raises(BackendError, match=r'no CUDAExecutionProvider here.*set device to cpu'):
        create_backend(model, EngineConfig(device='cuda'))


def test_a_silent_fallback_to_the_cpu_is_an_error(model, monkeypatch):
    import onnxruntime

    # As where the CUDA libraries cannot be loaded: CUDA is offered, and the session comes up without it.
    monkeypatch.setattr(
        onnxruntime, 'get_available_providers', lambda: ['CUDAExecutionProvider', 'CPUExecutionProvider']
    )
    real = onnxruntime.InferenceSession
    monkeypatch.setattr(
        onnxruntime, 'InferenceSession', lambda path, options, providers: real(path, options, ['CPUExecutionProvider'])
    )
    with pytest.raises(BackendError, match='on CPUExecutionProvider instead of CUDAExecutionProvider'):
        create_backend(model, EngineConfig(device='cuda'))


def test_a_broken_model_a_missing_one_and_an_unknown_engine(tmp_path):
    broken = tmp_path / 'broken.onnx'
    broken.write_bytes(b'no model')
    with pytest.raises(BackendError, match=r'cannot load .*broken'):
        create_backend(broken, EngineConfig())
    with pytest.raises(BackendError, match='does not exist'):
        create_backend(tmp_path / 'none.onnx', EngineConfig())
    with pytest.raises(ConfigError, match="No inference engine 'abacus'; known: onnxruntime, tensorrt"):
        create_backend(broken, EngineConfig(engine='abacus'))


def test_without_the_library_the_remedy_is_named(model, monkeypatch):
    monkeypatch.setitem(sys.modules, 'onnxruntime', None)
    with pytest.raises(BackendError, match='pip install onnxruntime'):
        create_backend(model, EngineConfig())


def test_an_engine_failure_names_the_model(model, monkeypatch):
    with create_backend(model, EngineConfig()) as loaded:
        class Failing:
            def run(self, *_):
                raise RuntimeError('out of memory')

        monkeypatch.setattr(loaded, '_session', Failing())
        with pytest.raises(BackendError, match=r"failed on 'double.onnx': out of memory"):
            loaded.infer({'x': rows(1)})


def test_a_tensor_of_strings_is_refused():
    from geo_pose_ros.inference.onnxruntime import _spec

    class Strings:
        name, type, shape = 's', 'tensor(string)', [1]

    with pytest.raises(BackendError, match=r"'s' is tensor\(string\)"):
        _spec(Strings())
