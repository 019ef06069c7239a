# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime: on the CPU by default, on CUDA when asked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from ..errors import BackendError, needing
from .base import InferenceBackend, Tensor, Tensors, TensorSpec
from .settings import EngineConfig

_PROVIDERS = {'cpu': 'CPUExecutionProvider', 'cuda': 'CUDAExecutionProvider'}
_DTYPES = {
    'tensor(float)': np.float32, 'tensor(float16)': np.float16, 'tensor(double)': np.float64,
    'tensor(int64)': np.int64, 'tensor(int32)': np.int32, 'tensor(uint8)': np.uint8, 'tensor(bool)': np.bool_,
}


class _NodeArg(Protocol):
    """onnxruntime.NodeArg: a declared input or output."""

    name: str
    type: str
    shape: Sequence[int | str | None]


def available_providers() -> tuple[str, ...]:
    """Return the names of what ONNX Runtime can run models on here."""
    import onnxruntime

    return tuple(str(name) for name in onnxruntime.get_available_providers())


class OnnxRuntimeBackend(InferenceBackend):
    """A model in ONNX Runtime."""

    def __init__(self, model: Path, config: EngineConfig) -> None:
        """Load ``model``.

        Raises:
            BackendError: if ONNX Runtime is missing, cannot read the model, or would run it on another device.
        """
        with needing('onnxruntime', "Engine 'onnxruntime'", BackendError):
            import onnxruntime
        provider = _PROVIDERS[config.device]
        available = onnxruntime.get_available_providers()
        if provider not in available:
            raise BackendError(
                f'ONNX Runtime has no {provider} here, only {", ".join(available)}. '
                'Install onnxruntime-gpu and a matching CUDA, or set device to cpu.'
            )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = config.threads
        options.inter_op_num_threads = 1
        # Idle worker threads that spin would take the cores that other cameras are detected on.
        options.add_session_config_entry('session.intra_op.allow_spinning', '0')
        options.log_severity_level = 3
        self.model = model.name
        # ONNX Runtime raises its own types, unrelated to each other.
        try:
            self._session = onnxruntime.InferenceSession(str(model), options, providers=[provider])
        except Exception as error:
            raise BackendError(
                f"ONNX Runtime cannot load '{model}': {error}. Check that it is a complete ONNX file."
            ) from error
        self.inputs = tuple(_spec(tensor) for tensor in self._session.get_inputs())
        self.outputs = tuple(_spec(tensor) for tensor in self._session.get_outputs())
        self.provider: str = self._session.get_providers()[0]
        self._is_open = True
        if self.provider != provider:
            self.close()
            raise BackendError(
                f"ONNX Runtime runs '{model.name}' on {self.provider} instead of {provider}: the device cannot be "
                'used (see its log above). Repair the CUDA installation, or set device to cpu.'
            )

    def _infer(self, tensors: Tensors) -> dict[str, Tensor]:
        names = [spec.name for spec in self.outputs]
        try:
            return dict(zip(names, self._session.run(names, dict(tensors)), strict=True))
        except Exception as error:
            raise BackendError(f"ONNX Runtime failed on '{self.model}': {error}") from error

    def _free(self) -> None:
        self._session = None


def _spec(tensor: _NodeArg) -> TensorSpec:
    if tensor.type not in _DTYPES:
        raise BackendError(f"Tensor '{tensor.name}' is {tensor.type}, expected one of {', '.join(_DTYPES)}.")
    shape = tuple(n if isinstance(n, int) else None for n in tensor.shape)
    return TensorSpec(tensor.name, np.dtype(_DTYPES[tensor.type]), shape)
