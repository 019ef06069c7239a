# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""TensorRT 10 and 11 through NVIDIA's Python packages ``tensorrt`` and ``cuda-python``; no torch. Not run on a GPU yet.

An engine is built once per model, precision and GPU, and kept with a sidecar that says what it was built from and for.
Networks are strongly typed: half precision comes from a half-precision ONNX, not from a builder flag (TensorRT 11 has
none). TensorRT 8.6 differs in having no strongly typed networks and needing EXPLICIT_BATCH; it is refused.
"""

from __future__ import annotations

import ctypes
import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from ..errors import BackendError
from .base import InferenceBackend, Tensor, Tensors, TensorSpec
from .model_card import sha256
from .settings import EngineConfig

_OLDEST, _NEWEST = 10, 11
_WORKSPACE_BYTES = 1 << 30
# Batch sizes whose CUDA graphs are kept; each holds a little device memory.
_MOST_GRAPHS = 16


@dataclass(frozen=True, slots=True)
class Sidecar:
    """What an engine was built from and for; an engine is used only where all of it still holds."""

    gpu: str
    compute_capability: str
    tensorrt: str
    driver: str
    onnx_sha256: str
    precision: str
    max_batch: int

    def difference(self, wanted: Sidecar) -> str:
        """Return in words why an engine with this sidecar cannot be used where ``wanted`` is; '' if it can."""
        reasons = [
            f'{name} {getattr(self, name)} instead of {getattr(wanted, name)}'
            for name in ('gpu', 'compute_capability', 'tensorrt', 'driver', 'precision')
            if getattr(self, name) != getattr(wanted, name)
        ]
        if self.onnx_sha256 != wanted.onnx_sha256:
            reasons.append(f'onnx_sha256 {self.onnx_sha256[:12]} instead of {wanted.onnx_sha256[:12]}')
        if self.max_batch < wanted.max_batch:
            reasons.append(f'max_batch {self.max_batch} below {wanted.max_batch}')
        return ', '.join(reasons)


def sidecar_path(engine: Path) -> Path:
    """Return where the sidecar of ``engine`` lies."""
    return engine.with_suffix('.engine.json')


def read_sidecar(engine: Path) -> Sidecar | str:
    """Return the sidecar of ``engine``, or in words why there is none."""
    if not engine.is_file():
        return 'there is no engine yet'
    try:
        tree = json.loads(sidecar_path(engine).read_text(encoding='utf-8'))
        return Sidecar(**tree)
    except (OSError, ValueError, TypeError) as error:
        return f'its sidecar cannot be read ({error})'


def engine_path(model: Path, config: EngineConfig) -> Path:
    """Return where the engine of ``model`` is kept: beside it, named after its precision."""
    return model.with_suffix(f'.{_precision(config)}.engine')


def _precision(config: EngineConfig) -> str:
    return 'fp16' if config.fp16 else 'fp32'


def build_engine(model: Path, config: EngineConfig) -> Path:
    """Build the engine of ``model`` for this machine's GPU, with a timing cache and a sidecar; return its path.

    Raises:
        BackendError: if TensorRT or a GPU is missing, or the model cannot be built.
    """
    trt, cuda = _import_tensorrt(), _Cuda()
    engine = engine_path(model, config)
    wanted = _wanted(model, config, trt, cuda)
    logger = trt.Logger(trt.Logger.WARNING)
    builder = trt.Builder(logger)
    # Required in TensorRT 10, accepted and ignored in 11.
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(_half_precision(model) if config.fp16 else model.read_bytes()):
        errors = '; '.join(str(parser.get_error(i)) for i in range(parser.num_errors))
        raise BackendError(f"TensorRT cannot parse '{model}': {errors}. Use engine onnxruntime for this model.")
    settings = builder.create_builder_config()
    settings.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, _WORKSPACE_BYTES)
    profile = builder.create_optimization_profile()
    for i in range(network.num_inputs):
        given = network.get_input(i)
        shape = tuple(given.shape)
        if any(n < 0 for n in shape[1:]):
            raise BackendError(
                f"'{model.name}': input '{given.name}' {shape} has a free extent besides the batch; export it with "
                'fixed sizes, or use engine onnxruntime.'
            )
        batches = (1, min(4, config.max_batch), config.max_batch) if shape[0] < 0 else (shape[0],) * 3
        profile.set_shape(given.name, *((n, *shape[1:]) for n in batches))
    settings.add_optimization_profile(profile)
    timings = engine.with_suffix('.timings')
    cache = settings.create_timing_cache(timings.read_bytes() if timings.is_file() else b'')
    # A cache of another GPU or version is not combined, and all is timed anew.
    settings.set_timing_cache(cache, False)
    built = builder.build_serialized_network(network, settings)
    if built is None:
        raise BackendError(f"TensorRT cannot build '{model}' (see its log above). Use engine onnxruntime.")
    timings.write_bytes(bytes(settings.get_timing_cache().serialize()))
    # The sidecar last: an engine whose writing was cut off has none and is built again.
    sidecar_path(engine).unlink(missing_ok=True)
    engine.write_bytes(bytes(built))
    sidecar_path(engine).write_text(json.dumps(dataclasses.asdict(wanted), indent=1) + '\n', encoding='utf-8')
    return engine


def _half_precision(model: Path) -> bytes:
    try:
        import onnx
        from onnxruntime.transformers.float16 import convert_float_to_float16
    except ImportError as error:
        raise BackendError(
            f'Half precision needs onnx and onnxruntime ({error}): pip install onnx onnxruntime.'
        ) from error
    converted: bytes = convert_float_to_float16(onnx.load(str(model)), keep_io_types=True).SerializeToString()
    return converted


def _import_tensorrt() -> ModuleType:
    try:
        tensorrt = import_module('tensorrt')
    except ImportError as error:
        raise BackendError(
            f"Engine 'tensorrt' cannot be imported ({error}); install tensorrt and cuda-python, or go on with "
            'engine:=onnxruntime.'
        ) from error
    major = int(str(tensorrt.__version__).split('.')[0])
    if not _OLDEST <= major <= _NEWEST:
        raise BackendError(
            f'TensorRT {tensorrt.__version__}: expected {_OLDEST}.x or {_NEWEST}.x; install one of them, or go on '
            'with engine:=onnxruntime.'
        )
    return tensorrt


class _Cuda:
    """The CUDA runtime through cuda-python, whose calls return (error, value...)."""

    def __init__(self) -> None:
        try:
            try:
                from cuda.bindings import runtime
            except ImportError:
                # cuda-python before 12.6
                from cuda import cudart as runtime
        except ImportError as error:
            raise BackendError(
                f"Engine 'tensorrt' needs cuda-python ({error}); pip install cuda-python, or go on with "
                'engine:=onnxruntime.'
            ) from error
        self.api: ModuleType = runtime

    def __call__(self, name: str, *arguments: object) -> Any:
        """Call the runtime's ``name`` and return its value; raise BackendError if it fails."""
        error, *values = getattr(self.api, name)(*arguments)
        if int(error) != 0:
            raise BackendError(
                f'CUDA: {name} failed with {error}. Check the GPU with nvidia-smi, or go on with engine:=onnxruntime.'
            )
        return values[0] if values else None


def _wanted(model: Path, config: EngineConfig, trt: ModuleType, cuda: _Cuda) -> Sidecar:
    device = cuda('cudaGetDeviceProperties', cuda('cudaGetDevice'))
    name = device.name.decode() if isinstance(device.name, bytes) else str(device.name)
    return Sidecar(
        gpu=name.rstrip('\0'), compute_capability=f'{device.major}.{device.minor}', tensorrt=str(trt.__version__),
        driver=str(cuda('cudaDriverGetVersion')), onnx_sha256=sha256(model), precision=_precision(config),
        max_batch=config.max_batch,
    )


class _Buffer:
    """Device memory of ``elements`` of one tensor, with page-locked host memory of the same size."""

    def __init__(self, cuda: _Cuda, spec: TensorSpec, elements: int) -> None:
        self.elements, self._dtype = elements, spec.dtype
        size = self.bytes_of((elements,))
        self.device = int(cuda('cudaMalloc', size))
        self.pinned = int(cuda('cudaMallocHost', size))
        self._host = np.frombuffer(memoryview((ctypes.c_byte * size).from_address(self.pinned)), spec.dtype)

    def bytes_of(self, shape: tuple[int, ...]) -> int:
        return int(np.prod(shape)) * self._dtype.itemsize

    def view(self, shape: tuple[int, ...]) -> Tensor:
        """Return the first elements of the host memory as ``shape``."""
        return self._host[: int(np.prod(shape))].reshape(shape)

    def free(self, cuda: _Cuda) -> None:
        cuda('cudaFree', self.device)
        cuda('cudaFreeHost', self.pinned)


class TensorRtBackend(InferenceBackend):
    """A model as a TensorRT engine on the current GPU, on a stream of its own.

    Buffers grow with the batches that are asked for. With ``cuda_graph`` each batch size is recorded at its first use,
    copies included, and replayed afterwards; a recording ends with the buffers that it was made with.
    """

    def __init__(self, model: Path, config: EngineConfig) -> None:
        """Load the engine of ``model``, building it where there is none that fits this machine.

        Raises:
            BackendError: if TensorRT, cuda-python or a GPU is missing, or the engine does not fit and ``rebuild`` is
                off.
        """
        trt = _import_tensorrt()
        self._cuda = _Cuda()
        self.model = model.name
        path = engine_path(model, config)
        found = read_sidecar(path)
        reason = found if isinstance(found, str) else found.difference(_wanted(model, config, trt, self._cuda))
        if reason:
            if not config.rebuild:
                raise BackendError(
                    f"Engine '{path.name}' cannot be used: {reason}. Build it here with `geo_pose models export "
                    f'{model} --format tensorrt`, or set rebuild.'
                )
            path = build_engine(model, config)
        self._runtime = trt.Runtime(trt.Logger(trt.Logger.WARNING))
        self._engine = self._runtime.deserialize_cuda_engine(path.read_bytes())
        if self._engine is None:
            raise BackendError(f"TensorRT cannot load '{path}' (see its log above); delete it to have it built again.")
        self._context = self._engine.create_execution_context()
        self._stream = self._cuda('cudaStreamCreate')
        self._use_graphs = config.cuda_graph
        self._graphs: dict[tuple[tuple[int, ...], ...], object] = {}
        names = [self._engine.get_tensor_name(i) for i in range(self._engine.num_io_tensors)]
        modes = {name: self._engine.get_tensor_mode(name) for name in names}
        self.inputs = tuple(self._spec(trt, name) for name in names if modes[name] == trt.TensorIOMode.INPUT)
        self.outputs = tuple(self._spec(trt, name) for name in names if modes[name] != trt.TensorIOMode.INPUT)
        self.provider = 'TensorRT'
        self._buffers: dict[str, _Buffer] = {}
        self._largest: dict[str, tuple[int, ...]] = {}
        for spec in self.inputs:
            self._largest[spec.name] = tuple(self._engine.get_tensor_profile_shape(spec.name, 0)[2])
            self._context.set_input_shape(spec.name, self._largest[spec.name])
        for spec in self.outputs:
            self._output_shape(spec)
        self._is_open = True

    def _spec(self, trt: ModuleType, name: str) -> TensorSpec:
        shape = tuple(n if n >= 0 else None for n in self._engine.get_tensor_shape(name))
        return TensorSpec(name, np.dtype(trt.nptype(self._engine.get_tensor_dtype(name))), shape)

    def _output_shape(self, spec: TensorSpec) -> tuple[int, ...]:
        shape = tuple(int(n) for n in self._context.get_tensor_shape(spec.name))
        if any(n < 0 for n in shape):
            raise BackendError(
                f"'{self.model}': the size of output '{spec.name}' depends on the data, which fixed buffers cannot "
                'hold; use engine onnxruntime for this model.'
            )
        return shape

    def _make_room(self, spec: TensorSpec, shape: tuple[int, ...]) -> None:
        """Let the buffer of a tensor hold ``shape``, rounded up to a power of two, so that it seldom grows."""
        elements = int(np.prod(shape))
        old = self._buffers.get(spec.name)
        if old is not None and old.elements >= elements:
            return
        if old is not None:
            # They hold the old address.
            self._forget_graphs()
            self._buffers.pop(spec.name).free(self._cuda)
        room = 1 << (max(elements, 1) - 1).bit_length()
        buffer = _Buffer(self._cuda, spec, room)
        self._buffers[spec.name] = buffer
        self._context.set_tensor_address(spec.name, buffer.device)

    def _forget_graphs(self) -> None:
        for graph in self._graphs.values():
            self._cuda('cudaGraphExecDestroy', graph)
        self._graphs.clear()

    def _infer(self, tensors: Tensors) -> dict[str, Tensor]:
        """Return ``infer``; a batch above ``max_batch`` is a BackendError."""
        for name, array in tensors.items():
            largest = self._largest[name]
            if any(have > most for have, most in zip(array.shape, largest, strict=True)):
                raise BackendError(
                    f"Model '{self.model}': input '{name}' {array.shape} is above the engine's {largest}; raise "
                    'max_batch and build it again.'
                )
        shapes = {spec.name: tensors[spec.name].shape for spec in self.inputs}
        for name, shape in shapes.items():
            self._context.set_input_shape(name, shape)
        shapes |= {spec.name: self._output_shape(spec) for spec in self.outputs}
        for spec in (*self.inputs, *self.outputs):
            self._make_room(spec, shapes[spec.name])
        for name, array in tensors.items():
            self._buffers[name].view(array.shape)[...] = array
        key = tuple(shapes.values())
        if key in self._graphs:
            self._cuda('cudaGraphLaunch', self._graphs[key], self._stream)
        else:
            # TensorRT sets itself up at the first run of a shape, which a capture would not allow.
            self._enqueue(shapes)
            if self._use_graphs and len(self._graphs) < _MOST_GRAPHS:
                self._cuda('cudaStreamSynchronize', self._stream)
                self._graphs[key] = self._recorded(shapes)
        self._cuda('cudaStreamSynchronize', self._stream)
        return {spec.name: self._buffers[spec.name].view(shapes[spec.name]).copy() for spec in self.outputs}

    def _enqueue(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Put the copies in, the inference and the copies out on the stream."""
        kinds = self._cuda.api.cudaMemcpyKind

        def copy(specs: Sequence[TensorSpec], kind: int) -> None:
            for spec in specs:
                buffer = self._buffers[spec.name]
                ends = buffer.device, buffer.pinned
                target, source = ends if kind == kinds.cudaMemcpyHostToDevice else ends[::-1]
                self._cuda('cudaMemcpyAsync', target, source, buffer.bytes_of(shapes[spec.name]), kind, self._stream)

        copy(self.inputs, kinds.cudaMemcpyHostToDevice)
        if not self._context.execute_async_v3(int(self._stream)):
            raise BackendError(f"TensorRT failed on '{self.model}' (see its log above).")
        copy(self.outputs, kinds.cudaMemcpyDeviceToHost)

    def _recorded(self, shapes: Mapping[str, tuple[int, ...]]) -> object:
        """Return an executable graph of ``_enqueue``."""
        mode = self._cuda.api.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        self._cuda('cudaStreamBeginCapture', self._stream, mode)
        try:
            self._enqueue(shapes)
        finally:
            graph = self._cuda('cudaStreamEndCapture', self._stream)
        executable: object = self._cuda('cudaGraphInstantiate', graph, 0)
        self._cuda('cudaGraphDestroy', graph)
        return executable

    def _free(self) -> None:
        self._forget_graphs()
        for buffer in self._buffers.values():
            buffer.free(self._cuda)
        self._buffers.clear()
        self._cuda('cudaStreamDestroy', self._stream)
        self._context = self._engine = self._runtime = None
