"""One engine for any number of crops: calls of at most its largest batch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..arrays import Float32Array
from ..errors import BackendError
from ..inference.base import InferenceBackend, create_backend
from ..inference.settings import EngineConfig

# A CPU gains nothing by more, and needs memory for each.
_LARGEST_ON_CPU = 16


class Batches:
    """A network of one image input, of any batch.

    An engine on the CPU serves several threads at a time (ONNX Runtime's sessions do); others one.
    """

    def __init__(self, model: Path, config: EngineConfig) -> None:
        """Load ``model``; raise BackendError as ``create_backend``."""
        self.engine: InferenceBackend = create_backend(model, config)
        self._name = model.name
        on_cpu = config.engine == 'onnxruntime' and config.device == 'cpu'
        self.on_gpu = not on_cpu
        fixed = self.engine.inputs[0].shape[0]
        self._largest = fixed or (_LARGEST_ON_CPU if on_cpu else config.max_batch)
        self._fixed = fixed is not None

    def require(self, image: tuple[int, int], outputs: Mapping[str, tuple[int, ...]]) -> None:
        """Raise BackendError unless the model takes 'image' of (height, width) px and gives ``outputs`` per image."""
        wanted = {name: (None, *shape) for name, shape in outputs.items()}
        given = {spec.name: (None, *spec.shape[1:]) for spec in self.engine.outputs}
        taken = {spec.name: (None, *spec.shape[1:]) for spec in self.engine.inputs}
        if taken != {'image': (None, 3, *image)} or given != wanted:
            raise BackendError(
                f"'{self._name}' takes {taken} and gives {given}, expected image (any, 3, {image[0]}, {image[1]}) and "
                f'{wanted}; it is another kind of model.'
            )

    def infer(self, images: NDArray[np.number]) -> dict[str, Float32Array]:
        """Return all outputs of ``images`` (N, ...) by name, each (N, ...).

        Raises:
            BackendError, ShapeError: as the engine's ``infer``.
        """
        if not len(images):
            return {s.name: np.zeros((0, *(n or 1 for n in s.shape[1:])), np.float32) for s in self.engine.outputs}
        parts = []
        for start in range(0, len(images), self._largest):
            part = images[start : start + self._largest]
            short = self._largest - len(part) if self._fixed else 0
            if short:
                part = np.concatenate([part, np.zeros((short, *part.shape[1:]), part.dtype)])
            found = self.engine.infer({self.engine.inputs[0].name: np.ascontiguousarray(part)})
            parts.append({name: np.asarray(value, np.float32)[: len(value) - short] for name, value in found.items()})
        if len(parts) == 1:
            return parts[0]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def close(self) -> None:
        """Free the engine."""
        self.engine.close()
