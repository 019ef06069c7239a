# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The two networks of a top-down detector: one finds people in an image, one estimates the keypoints of one person.

Both run on an inference engine, in calls of at most its largest batch (``Batches``).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..arrays import Float32Array, FloatArray, UInt8Array
from ..errors import BackendError, DetectorError, GeoPoseError
from ..inference.base import InferenceBackend, create_backend
from ..inference.settings import EngineConfig
from ..skeleton import Skeleton
from .regions import Crop, Regions, regions_around

# An image (H, W, 3) BGR, and regions of it, px.
ImageRegions = tuple[UInt8Array, Regions]
_Read = TypeVar('_Read')
# A CPU gains nothing by more, and needs memory for each.
_LARGEST_ON_CPU = 16


class FoundPeople(NamedTuple):
    """The people that a finder sees in one image, best first.

    Attributes:
        regions: (R) of the keypoint network.
        joints: (R, 17, 2) px, body17, NaN = not seen; None if the finder reads none.
    """

    regions: Regions
    joints: FloatArray | None = None


@dataclass(frozen=True, slots=True, eq=False)
class RegionKeypoints:
    """The keypoints in R regions of one image.

    Attributes:
        xy: (R, J, 2) px of the image.
        confidence: (R, J) in [0, 1].
        presence: (R,) probability that the region shows a person at all.
        next_regions: (R) where each person is read in the next image.
    """

    xy: FloatArray
    confidence: FloatArray
    presence: FloatArray
    next_regions: Regions


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


@contextmanager
def loading(detector: str) -> Iterator[list[Batches | CropNetwork]]:
    """Let networks be loaded into a list; after an error free them, and raise DetectorError that names ``detector``."""
    loaded: list[Batches | CropNetwork] = []
    try:
        yield loaded
    except GeoPoseError as error:
        for network in loaded:
            network.close()
        named = str(error) if str(error).startswith('Detector ') else f"Detector '{detector}': {error}"
        raise DetectorError(named) from error


class CropNetwork:
    """A network that takes crops of image regions, on an engine. Several threads may use it unless ``on_gpu``."""

    def __init__(self, network: Batches, crop: Crop) -> None:
        """Take over ``network``, whose input is made as ``crop`` says."""
        self._network, self._crop = network, crop
        self.on_gpu = network.on_gpu

    def close(self) -> None:
        """Free the network."""
        self._network.close()

    def _read(self, images: Sequence[ImageRegions], decode: Callable[..., _Read]) -> list[_Read]:
        """Return what ``decode`` makes of each image, its regions and their outputs; all images make one call."""
        if not images:
            return []
        cut = [self._crop.cut(image, regions) for image, regions in images]
        outputs = self._network.infer(self._crop.to_tensor(cut[0] if len(cut) == 1 else np.concatenate(cut)))
        ends = np.cumsum([len(part) for part in cut])[:-1]
        parts = {name: np.split(value, ends) for name, value in outputs.items()}
        return [
            decode(image, regions, {name: part[row] for name, part in parts.items()})
            for row, (image, regions) in enumerate(images)
        ]


class KeypointReader(CropNetwork, ABC):
    """A network that reads the one person, or hand, that a region shows.

    Attributes:
        skeleton: the joints that it estimates.
    """

    skeleton: Skeleton

    def propose_regions(self, body17_xy: FloatArray, sigma_px: FloatArray) -> Regions:
        """Return the regions (P) in which to look for predicted people.

        Args:
            body17_xy: (P, 17, 2) px, NaN = unknown.
            sigma_px: (P, 17) standard deviations.
        """
        return regions_around(body17_xy, sigma_px)

    def estimate_keypoints(self, images: Sequence[ImageRegions]) -> list[RegionKeypoints]:
        """Return the keypoints in the regions of each image.

        Raises:
            BackendError, ShapeError: if the engine fails.
        """
        return self._read(images, lambda _, regions, outputs: self._decode(regions, outputs))

    @abstractmethod
    def _decode(self, regions: Regions, outputs: Mapping[str, Float32Array]) -> RegionKeypoints:
        """Return the keypoints that the outputs (R, ...) of ``regions`` (R) say."""


class PersonFinder(CropNetwork, ABC):
    """A network that finds the people in squares of images."""

    def find_people(self, images: Sequence[ImageRegions]) -> list[FoundPeople]:
        """Return the people in the squares of each image; those that several squares of one image show are one.

        Raises:
            BackendError, ShapeError: if the engine fails.
        """
        return self._read(images, self._people)

    @abstractmethod
    def _people(self, image: UInt8Array, squares: Regions, outputs: Mapping[str, Float32Array]) -> FoundPeople:
        """Return the people that the outputs (R, ...) of ``squares`` (R) say."""
