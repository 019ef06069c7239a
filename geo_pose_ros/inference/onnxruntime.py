"""ONNX Runtime: on the CPU by default, on CUDA when asked."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import BackendError
from .base import Tensors, TensorSpec, check_inputs
from .settings import EngineConfig

_PROVIDERS = {'cpu': 'CPUExecutionProvider', 'cuda': 'CUDAExecutionProvider'}
_DTYPES = {
    'tensor(float)': np.float32, 'tensor(float16)': np.float16, 'tensor(double)': np.float64,
    'tensor(int64)': np.int64, 'tensor(int32)': np.int32, 'tensor(uint8)': np.uint8, 'tensor(bool)': np.bool_,
}


def available_providers() -> tuple[str, ...]:
    """Return what ONNX Runtime can run models on here."""
    import onnxruntime

    return tuple(str(name) for name in onnxruntime.get_available_providers())


class OnnxRuntimeBackend:
    """A model in ONNX Runtime."""

    def __init__(self, model: Path, config: EngineConfig) -> None:
        """Load ``model``.

        Raises:
            BackendError: if ONNX Runtime is missing, cannot read the model, or would run it on another device.
        """
        try:
            import onnxruntime
        except ImportError as error:
            raise BackendError(
                f"Engine 'onnxruntime' cannot be imported ({error}). Install it: pip install onnxruntime."
            ) from error
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
        self._model = model.name
        # ONNX Runtime raises its own types, unrelated to each other.
        try:
            self._session: Any = onnxruntime.InferenceSession(str(model), options, providers=[provider])
        except Exception as error:
            raise BackendError(
                f"ONNX Runtime cannot load '{model}': {error}. Check that it is a complete ONNX file."
            ) from error
        self.inputs = tuple(_spec(tensor) for tensor in self._session.get_inputs())
        self.outputs = tuple(_spec(tensor) for tensor in self._session.get_outputs())
        self.provider: str = self._session.get_providers()[0]
        if self.provider != provider:
            self.close()
            raise BackendError(
                f"ONNX Runtime runs '{model.name}' on {self.provider} instead of {provider}: the device cannot be "
                'used (see its log above). Repair the CUDA installation, or set device to cpu.'
            )

    def infer(self, tensors: Tensors) -> dict[str, NDArray[Any]]:
        """See InferenceBackend."""
        if self._session is None:
            raise BackendError(f"Model '{self._model}' is closed; load it again.")
        check_inputs(self.inputs, tensors, self._model)
        names = [spec.name for spec in self.outputs]
        try:
            return dict(zip(names, self._session.run(names, dict(tensors)), strict=True))
        except Exception as error:
            raise BackendError(f"ONNX Runtime failed on '{self._model}': {error}") from error

    def close(self) -> None:
        """See InferenceBackend."""
        self._session = None

    def __enter__(self) -> OnnxRuntimeBackend:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _spec(tensor: Any) -> TensorSpec:
    if tensor.type not in _DTYPES:
        raise BackendError(f"Tensor '{tensor.name}' is {tensor.type}, expected one of {', '.join(_DTYPES)}.")
    shape = tuple(n if isinstance(n, int) else None for n in tensor.shape)
    return TensorSpec(tensor.name, np.dtype(_DTYPES[tensor.type]), shape)
