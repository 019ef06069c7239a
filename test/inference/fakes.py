# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""TensorRT 10/11 and cuda-python as far as the code uses them, without a GPU.

"Device" memory is ordinary memory, and the "engine" doubles its input and sums it. They prove the bookkeeping, not that
a GPU likes it; ``test_tensorrt_contract`` looks the names up in the real bindings.
"""

from __future__ import annotations

import ctypes
import sys
from types import ModuleType, SimpleNamespace
from unittest.mock import MagicMock

import numpy as np


class FakeCuda(ModuleType):
    """cuda.bindings.runtime: every call returns (error, value...)."""

    cudaMemcpyKind = SimpleNamespace(cudaMemcpyHostToDevice=1, cudaMemcpyDeviceToHost=2)
    cudaStreamCaptureMode = SimpleNamespace(cudaStreamCaptureModeThreadLocal=1)

    def __init__(self):
        super().__init__('cuda.bindings.runtime')
        self.memory, self.capturing, self.graphs, self.launched, self.fails = {}, None, {}, 0, False
        self.streams = 0

    def do(self, action):
        self.capturing.append(action) if self.capturing is not None else action()
        return (0,)

    def cudaMalloc(self, size):
        block = (ctypes.c_byte * size)()
        self.memory[ctypes.addressof(block)] = block
        return 0, ctypes.addressof(block)

    cudaMallocHost = cudaMalloc

    def cudaFree(self, pointer):
        del self.memory[pointer]
        return (0,)

    cudaFreeHost = cudaFree

    def cudaMemcpyAsync(self, target, source, size, kind, stream):
        return (700,) if self.fails else self.do(lambda: ctypes.memmove(target, source, size))

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
    """x (batch, 3) -> doubled (batch, 3) and total (batch,), for at most ``most`` rows; its own context."""

    num_io_tensors = 3

    def __init__(self, cuda, most):
        self.cuda, self.most, self.rows, self.address = cuda, most, -1, {}
        self.runs_fine = self.knows_sizes = True

    def get_tensor_name(self, i):
        return ('x', 'doubled', 'total')[i]

    def get_tensor_mode(self, name):
        return 'in' if name == 'x' else 'out'

    def get_tensor_dtype(self, name):
        return 'float'

    def get_tensor_profile_shape(self, name, profile):
        return (1, 3), (4, 3), (self.most, 3)

    def get_tensor_shape(self, name):
        rows = self.rows if self.knows_sizes else -1
        return (rows,) if name == 'total' else (rows, 3)

    def create_execution_context(self):
        context = FakeEngine(self.cuda, self.most)
        context.runs_fine, context.knows_sizes = self.runs_fine, self.knows_sizes
        return context

    def set_input_shape(self, name, shape):
        self.rows = shape[0]

    def set_tensor_address(self, name, pointer):
        self.address[name] = pointer

    def execute_async_v3(self, stream):
        assert stream == 77
        shapes = {name: self.get_tensor_shape(name) for name in self.address}
        view = {
            name: np.frombuffer((ctypes.c_float * int(np.prod(shapes[name]))).from_address(pointer), np.float32)
            for name, pointer in self.address.items()
        }

        def run():
            view['doubled'][:] = 2.0 * view['x']
            view['total'][:] = view['x'].reshape(-1, 3).sum(1)

        if self.runs_fine:
            self.cuda.do(run)
        return self.runs_fine


def fake_tensorrt(monkeypatch, most=64):
    """Put both libraries into sys.modules; return ``trt``, a mock, ``cuda`` and ``engine``."""
    cuda, trt = FakeCuda(), MagicMock(name='tensorrt')
    engine = FakeEngine(cuda, most)
    trt.__version__ = '10.13.0'
    trt.TensorIOMode.INPUT, trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED = 'in', 1
    trt.nptype.return_value = np.float32
    builder = trt.Builder.return_value
    builder.create_network.return_value = SimpleNamespace(
        num_inputs=1, get_input=lambda i: SimpleNamespace(name='x', shape=(-1, 3))
    )
    builder.build_serialized_network.return_value = b'engine'
    builder.create_builder_config.return_value.get_timing_cache.return_value.serialize.return_value = b'timings'
    parser = trt.OnnxParser.return_value
    parser.num_errors, parser.get_error.return_value = 1, 'unknown operator'
    trt.Runtime.return_value.deserialize_cuda_engine.side_effect = {b'engine': engine}.get
    bindings = ModuleType('cuda.bindings')
    bindings.runtime = cuda
    for name, module in (
        ('tensorrt', trt), ('cuda', ModuleType('cuda')), ('cuda.bindings', bindings), ('cuda.bindings.runtime', cuda)
    ):
        monkeypatch.setitem(sys.modules, name, module)
    return SimpleNamespace(trt=trt, builder=builder, parser=parser, cuda=cuda, engine=engine)
