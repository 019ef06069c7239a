"""What of the TensorRT engine can be tested without a GPU: sidecars, refusals, and the order of calls against fakes.

The fakes have the names and signatures that the code uses of TensorRT 10/11 and cuda-python; "device" memory is
ordinary memory and the "engine" doubles its input. They prove the bookkeeping, not that a GPU likes it.
"""

import ctypes
import dataclasses
import json
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from geo_pose_ros.cli import main
from geo_pose_ros.errors import BackendError, ShapeError
from geo_pose_ros.inference import tensorrt as engine
from geo_pose_ros.inference.base import create_backend
from geo_pose_ros.inference.model_card import sha256
from geo_pose_ros.inference.settings import EngineConfig

from .. import onnx_models

CONFIG = EngineConfig(engine='tensorrt', max_batch=8)


class FakeCuda(ModuleType):
    """cuda.bindings.runtime: every call returns (error, value...); device memory is host memory."""

    cudaMemcpyKind = SimpleNamespace(cudaMemcpyHostToDevice=1, cudaMemcpyDeviceToHost=2)
    cudaStreamCaptureMode = SimpleNamespace(cudaStreamCaptureModeThreadLocal=1)

    def __init__(self):
        super().__init__('cuda.bindings.runtime')
        self.memory, self.capturing, self.graphs, self.launched, self.fail = {}, None, {}, 0, ''
        self.streams = 0

    def _do(self, action):
        self.capturing.append(action) if self.capturing is not None else action()
        return (0,)

    def _allocate(self, size):
        block = (ctypes.c_byte * size)()
        self.memory[ctypes.addressof(block)] = block
        return 0, ctypes.addressof(block)

    cudaMalloc = cudaMallocHost = _allocate

    def _free(self, pointer):
        del self.memory[pointer]
        return (0,)

    cudaFree = cudaFreeHost = _free

    def cudaMemcpyAsync(self, target, source, size, kind, stream):
        if self.fail == 'copy':
            return (700,)
        return self._do(lambda: ctypes.memmove(target, source, size))

    def cudaStreamCreate(self):
        self.streams += 1
        return 0, 77

    def cudaStreamDestroy(self, stream):
        self.streams -= 1
        return (0,)

    def cudaStreamSynchronize(self, stream):
        assert self.capturing is None
        return (0,)

    def cudaStreamBeginCapture(self, stream, mode):
        self.capturing = []
        return (0,)

    def cudaStreamEndCapture(self, stream):
        captured, self.capturing = self.capturing, None
        return 0, captured

    def cudaGraphInstantiate(self, graph, flags):
        self.graphs[id(graph)] = graph
        return 0, graph

    def cudaGraphDestroy(self, graph):
        return (0,)

    def cudaGraphExecDestroy(self, graph):
        del self.graphs[id(graph)]
        return (0,)

    def cudaGraphLaunch(self, graph, stream):
        self.launched += 1
        for action in graph:
            action()
        return (0,)

    def cudaGetDevice(self):
        return 0, 0

    def cudaGetDeviceProperties(self, device):
        return 0, SimpleNamespace(name=b'Fake GPU', major=9, minor=0)

    def cudaDriverGetVersion(self):
        return 0, 13010


class FakeEngine:
    """x (batch, 3) -> doubled (batch, 3)."""

    def __init__(self, cuda, most, output=(-1, 3)):
        self.cuda, self.most, self.shape, self.address, self.output = cuda, most, {}, {}, output
        self.num_io_tensors, self.ok = 2, True

    def get_tensor_name(self, i):
        return ('x', 'doubled')[i]

    def get_tensor_mode(self, name):
        return 'in' if name == 'x' else 'out'

    def get_tensor_dtype(self, name):
        return 'float'

    def get_tensor_profile_shape(self, name, profile):
        return (1, 3), (4, 3), (self.most, 3)

    def create_execution_context(self):
        return FakeContext(self)

    def get_tensor_shape(self, name):
        return (-1, 3)


class FakeContext:
    def __init__(self, engine):
        self.engine, self.shape, self.address, self.runs = engine, None, {}, 0

    def set_input_shape(self, name, shape):
        self.shape = tuple(shape)

    def get_tensor_shape(self, name):
        return (-1, 3) if self.engine.output is None else self.shape

    def set_tensor_address(self, name, pointer):
        self.address[name] = pointer

    def execute_async_v3(self, stream):
        assert stream == 77
        if not self.engine.ok:
            return False
        size = int(np.prod(self.shape))
        view = {n: np.frombuffer((ctypes.c_float * size).from_address(p), np.float32) for n, p in self.address.items()}

        def run():
            self.runs += 1
            view['doubled'][:] = 2.0 * view['x']

        self.engine.cuda._do(run)
        return True


@pytest.fixture
def fake(monkeypatch):
    """Both libraries, faked; ``fake.trt`` and ``fake.cuda``."""
    cuda = FakeCuda()
    trt = ModuleType('tensorrt')
    state = SimpleNamespace(trt=trt, cuda=cuda, parses=True, builds=True, engine=None, built=0, profiles=[], loads=True,
                            inputs=[SimpleNamespace(name='x', shape=(-1, 3))], parsed=b'')
    trt.__version__ = '10.13.0'
    trt.TensorIOMode = SimpleNamespace(INPUT='in', OUTPUT='out')
    trt.NetworkDefinitionCreationFlag = SimpleNamespace(STRONGLY_TYPED=1)
    trt.MemoryPoolType = SimpleNamespace(WORKSPACE=0)
    trt.nptype = lambda dtype: np.float32

    class Logger:
        WARNING = 2

        def __init__(self, level):
            pass

    class Parser:
        num_errors = 1

        def __init__(self, network, logger):
            pass

        def parse(self, text):
            state.parsed = text
            return state.parses

        def get_error(self, i):
            return 'unknown operator'

    class Settings:
        def set_memory_pool_limit(self, pool, size):
            pass

        def add_optimization_profile(self, profile):
            state.profiles.append(profile)

        def create_timing_cache(self, blob):
            return blob

        def set_timing_cache(self, cache, ignore_mismatch):
            assert ignore_mismatch is False

        def get_timing_cache(self):
            return SimpleNamespace(serialize=lambda: b'timings')

    class Profile(dict):
        def set_shape(self, name, low, best, high):
            self[name] = low, best, high

    class Builder:
        def __init__(self, logger):
            pass

        def create_network(self, flags):
            assert flags == 1 << 1
            return SimpleNamespace(num_inputs=len(state.inputs), get_input=lambda i: state.inputs[i])

        def create_builder_config(self):
            return Settings()

        def create_optimization_profile(self):
            return Profile()

        def build_serialized_network(self, network, settings):
            state.built += 1
            return b'engine' if state.builds else None

    class Runtime:
        def __init__(self, logger):
            pass

        def deserialize_cuda_engine(self, blob):
            assert blob == b'engine'
            state.engine = state.engine or FakeEngine(cuda, 8)
            return state.engine if state.loads else None

    trt.Logger, trt.OnnxParser, trt.Builder, trt.Runtime = Logger, Parser, Builder, Runtime
    bindings = ModuleType('cuda.bindings')
    bindings.runtime = cuda
    for name, module in (
        ('tensorrt', trt), ('cuda', ModuleType('cuda')), ('cuda.bindings', bindings), ('cuda.bindings.runtime', cuda)
    ):
        monkeypatch.setitem(sys.modules, name, module)
    return state


@pytest.fixture
def model(tmp_path):
    return onnx_models.double(tmp_path / 'double.onnx')


def rows(n):
    return np.arange(3 * n, dtype=np.float32).reshape(n, 3)


def test_without_tensorrt_one_line_says_how_to_go_on(model, monkeypatch):
    monkeypatch.setitem(sys.modules, 'tensorrt', None)
    with pytest.raises(BackendError) as caught:
        create_backend(model, CONFIG)
    assert '\n' not in str(caught.value)
    assert 'install tensorrt and cuda-python, or go on with engine:=onnxruntime' in str(caught.value)


def test_without_cuda_python(model, fake, monkeypatch):
    monkeypatch.setitem(sys.modules, 'cuda.bindings', None)
    with pytest.raises(BackendError, match='needs cuda-python'):
        create_backend(model, CONFIG)


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
    assert fake.profiles == [{'x': ((1, 3), (4, 3), (8, 3))}]
    assert fake.parsed == model.read_bytes()


def test_half_precision_is_a_half_precision_onnx_with_single_precision_ends(model, fake):
    import onnx

    path = engine.build_engine(model, dataclasses.replace(CONFIG, fp16=True))
    assert path.name == 'double.fp16.engine'
    halved = onnx.load_from_string(fake.parsed)
    assert {node.op_type for node in halved.graph.node} >= {'Cast', 'Add'}
    assert halved.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.FLOAT


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'parses': False}, 'cannot parse .*unknown operator'),
        ({'builds': False}, 'cannot build'),
        ({'inputs': [SimpleNamespace(name='image', shape=(-1, 3, -1, -1))]}, "'image' .* free extent besides"),
    ],
)
def test_what_cannot_be_built_is_an_error(model, fake, change, message):
    for name, value in change.items():
        setattr(fake, name, value)
    with pytest.raises(BackendError, match=message):
        engine.build_engine(model, CONFIG)
    assert not engine.sidecar_path(engine.engine_path(model, CONFIG)).exists()


SIDECAR = engine.Sidecar('A', '8.9', '10.13.0', '13010', 'a' * 64, 'fp32', 8)


@pytest.mark.parametrize(
    ('change', 'reason'),
    [
        ({}, ''),
        ({'max_batch': 16}, ''),
        ({'max_batch': 4}, 'max_batch 4 below 8'),
        ({'gpu': 'B'}, 'gpu B instead of A'),
        ({'compute_capability': '9.0'}, 'compute_capability 9.0 instead of 8.9'),
        ({'tensorrt': '11.0.0'}, 'tensorrt 11.0.0 instead of 10.13.0'),
        ({'driver': '1'}, 'driver 1 instead of 13010'),
        ({'precision': 'fp16'}, 'precision fp16 instead of fp32'),
        ({'onnx_sha256': 'b' * 64}, 'onnx_sha256 bbbbbbbbbbbb instead of aaaaaaaaaaaa'),
    ],
)
def test_sidecars_say_what_differs(change, reason):
    assert dataclasses.replace(SIDECAR, **change).difference(SIDECAR) == reason


@pytest.mark.parametrize('damage', ['nothing', 'no sidecar', 'not json', 'other gpu', 'other model'])
def test_an_engine_that_does_not_fit_is_refused_or_built_again(model, fake, damage):
    path = engine.build_engine(model, CONFIG)
    sidecar = engine.sidecar_path(path)
    if damage == 'no sidecar':
        sidecar.unlink()
    elif damage == 'not json':
        sidecar.write_text('{')
    elif damage == 'other gpu':
        sidecar.write_text(json.dumps(json.loads(sidecar.read_text()) | {'gpu': 'Other'}))
    elif damage == 'other model':
        onnx_models.double(model)
        model.write_bytes(model.read_bytes() + b'\x9a\x01\x00')
    fixed = dataclasses.replace(CONFIG, rebuild=False)
    if damage == 'nothing':
        create_backend(model, fixed).close()
        assert fake.built == 1
    else:
        with pytest.raises(BackendError, match=r'cannot be used: .*geo_pose export'):
            create_backend(model, fixed)
        create_backend(model, CONFIG).close()
        assert fake.built == 2
        assert isinstance(engine.read_sidecar(path), engine.Sidecar)


@pytest.mark.parametrize('graphs', [True, False])
def test_inference_copies_runs_and_replays(model, fake, graphs):
    with create_backend(model, dataclasses.replace(CONFIG, cuda_graph=graphs)) as backend:
        assert backend.provider == 'TensorRT'
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
        with pytest.raises(ShapeError, match='expected x float32'):
            backend.infer({'x': rows(1).astype(np.float64)})
    assert fake.cuda.memory == {} and fake.cuda.graphs == {} and fake.cuda.streams == 0
    with pytest.raises(BackendError, match='is closed'):
        backend.infer({'x': rows(1)})


def test_failures_of_the_gpu_are_errors(model, fake):
    backend = create_backend(model, CONFIG)
    fake.engine.ok = False
    with pytest.raises(BackendError, match='TensorRT failed on'):
        backend.infer({'x': rows(1)})
    fake.cuda.fail = 'copy'
    with pytest.raises(BackendError, match='cudaMemcpyAsync failed with 700'):
        backend.infer({'x': rows(1)})


def test_an_engine_that_cannot_be_loaded_or_whose_output_size_is_unknown(model, fake):
    fake.loads = False
    with pytest.raises(BackendError, match='delete it to have it built again'):
        create_backend(model, CONFIG)
    fake.loads, fake.engine = True, FakeEngine(fake.cuda, 8, output=None)
    with pytest.raises(BackendError, match="'doubled' depends on the data"):
        create_backend(model, CONFIG)


def test_half_precision_without_onnx(model, fake, monkeypatch):
    monkeypatch.setitem(sys.modules, 'onnx', None)
    with pytest.raises(BackendError, match='pip install onnx onnxruntime'):
        engine.build_engine(model, dataclasses.replace(CONFIG, fp16=True))


def test_export_builds_an_engine_from_an_onnx_file_without_torch(model, fake, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, 'torch', None)
    assert main(['export', str(model), '--format', 'tensorrt', '--fp16', '--max-batch', '16']) == 0
    assert 'double.fp16.engine' in capsys.readouterr().out
    sidecar = engine.read_sidecar(model.with_suffix('.fp16.engine'))
    assert (sidecar.precision, sidecar.max_batch) == ('fp16', 16)
    assert main(['export', str(model.with_name('none.onnx')), '--format', 'tensorrt']) == 1
    assert 'does not exist' in capsys.readouterr().err


def test_export_without_tensorrt_says_so_in_one_line(model, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, 'tensorrt', None)
    assert main(['export', str(model), '--format', 'tensorrt']) == 1
    assert capsys.readouterr().err.count('\n') == 1
