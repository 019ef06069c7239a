# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""What all inference engines have in common: declared inputs and outputs, their check, and the registry."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import BackendError, ConfigError, ShapeError
from .settings import EngineConfig

Tensor = NDArray[np.number | np.bool_]
Tensors = Mapping[str, Tensor]


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """A declared input or output: ``shape`` has None where any extent will do."""

    name: str
    dtype: np.dtype[np.generic]
    shape: tuple[int | None, ...]

    def __str__(self) -> str:
        extents = ', '.join('any' if n is None else str(n) for n in self.shape)
        return f'{self.name} {self.dtype} ({extents})'

    def fits(self, array: Tensor) -> bool:
        """Return whether ``array`` has this dtype and shape."""
        return (
            array.dtype == self.dtype
            and array.ndim == len(self.shape)
            and all(want is None or want == have for want, have in zip(self.shape, array.shape, strict=True))
        )


class InferenceBackend(ABC):
    """A loaded model. Serves one thread at a time; use it as a context manager or close it.

    Attributes:
        inputs, outputs: what it takes and gives.
        provider: what it runs on.
        model: its file's name.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    provider: str
    model: str
    _is_open = False

    def infer(self, tensors: Tensors) -> dict[str, Tensor]:
        """Return all outputs by name; they are the caller's to keep.

        Raises:
            ShapeError: if the inputs are not those declared.
            BackendError: if the engine fails or is closed.
        """
        if not self._is_open:
            raise BackendError(f"Model '{self.model}' is closed; load it again.")
        check_inputs(self.inputs, tensors, self.model)
        return self._infer(tensors)

    @abstractmethod
    def _infer(self, tensors: Tensors) -> dict[str, Tensor]:
        """Return ``infer`` of declared inputs of an open model."""

    def close(self) -> None:
        """Free the model; further calls of ``infer`` raise BackendError."""
        if self._is_open:
            self._is_open = False
            self._free()

    @abstractmethod
    def _free(self) -> None:
        """Free the model; called once."""

    def __enter__(self) -> InferenceBackend:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def check_inputs(inputs: Iterable[TensorSpec], tensors: Tensors, model: str) -> None:
    """Raise ShapeError unless ``tensors`` are exactly the declared ``inputs`` of ``model``."""
    specs = {spec.name: spec for spec in inputs}
    if set(specs) != set(tensors):
        raise ShapeError(f"Model '{model}': received inputs {sorted(tensors)}, expected {sorted(specs)}.")
    for name, spec in specs.items():
        array = tensors[name]
        if not isinstance(array, np.ndarray) or not spec.fits(array):
            received = f'{array.dtype} {array.shape}' if isinstance(array, np.ndarray) else type(array).__name__
            raise ShapeError(f"Model '{model}': input '{name}' is {received}, expected {spec}.")


def warm_up(backend: InferenceBackend, batches: Iterable[int]) -> None:
    """Run ``backend`` once per batch size on zeros, so that the first real call is as fast as the rest.

    Free extents other than the batch (the first) are taken as 1.
    """
    for batch in batches:
        zeros = {
            spec.name: np.zeros([batch, *(n or 1 for n in spec.shape[1:])] if spec.shape else (), spec.dtype)
            for spec in backend.inputs
        }
        backend.infer(zeros)


# Engine name -> 'module:factory'; imported when used, so that no vendor library is needed but the chosen one.
_ENGINES: Mapping[str, str] = {
    'onnxruntime': 'geo_pose_ros.inference.onnxruntime:OnnxRuntimeBackend',
    'tensorrt': 'geo_pose_ros.inference.tensorrt:TensorRtBackend',
}


def create_backend(model: Path, config: EngineConfig) -> InferenceBackend:
    """Load ``model`` (ONNX) into the engine that ``config`` names.

    Raises:
        ConfigError: if there is no such engine.
        BackendError: if the engine's library, the device or the model is missing or does not do what is asked.
    """
    if config.engine not in _ENGINES:
        raise ConfigError(f"No inference engine '{config.engine}'; known: {', '.join(_ENGINES)}.")
    if not model.is_file():
        raise BackendError(f"Model '{model}' does not exist; give an existing ONNX file.")
    module, factory = _ENGINES[config.engine].split(':')
    create: Callable[[Path, EngineConfig], InferenceBackend] = getattr(import_module(module), factory)
    return create(model, config)
