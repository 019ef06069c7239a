"""The two networks of a top-down detector: one finds people in an image, one estimates the keypoints of one person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ..arrays import Float32Array, FloatArray, UInt8Array
from ..skeleton import Skeleton
from .batches import Batches
from .regions import Crop, Regions

# An image (H, W, 3) BGR, and regions of it, px.
ImageRegions = tuple[UInt8Array, Regions]


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


class Network(Protocol):
    """What both kinds have in common. Several threads may use it unless it is ``on_gpu``."""

    @property
    def on_gpu(self) -> bool:
        """Whether it runs on a GPU."""
        ...

    def close(self) -> None:
        """Free the network."""
        ...


class PersonNetwork(Network, Protocol):
    """Finds people in images."""

    def find_people(self, images: Sequence[ImageRegions]) -> list[tuple[Regions, FloatArray]]:
        """Return the regions (R) of people and their scores (R,), best first, in the given squares of each image.

        Raises:
            BackendError, ShapeError: if the engine fails.
        """
        ...


class KeypointNetwork(Network, Protocol):
    """Estimates the keypoints of the one person that a region shows."""

    @property
    def skeleton(self) -> Skeleton:
        """The joints it estimates."""
        ...

    def estimate_keypoints(self, images: Sequence[ImageRegions]) -> list[RegionKeypoints]:
        """Return the keypoints in the regions of each image.

        Raises:
            BackendError, ShapeError: if the engine fails.
        """
        ...

    def propose_regions(self, body17_xy: FloatArray, sigma_px: FloatArray) -> Regions:
        """Return the regions (P) in which to look for predicted people.

        Args:
            body17_xy: (P, 17, 2) px, NaN = unknown.
            sigma_px: (P, 17) standard deviations.
        """
        ...


class EngineNetwork:
    """A network on an inference engine."""

    def __init__(self, network: Batches) -> None:
        """Take over ``network``."""
        self._network = network

    @property
    def on_gpu(self) -> bool:
        """Whether the engine runs on a GPU."""
        return self._network.on_gpu

    def close(self) -> None:
        """Free the network."""
        self._network.close()


class CropNetwork(EngineNetwork):
    """A network on an inference engine that takes crops of image regions."""

    def __init__(self, network: Batches, crop: Crop) -> None:
        """Take over ``network``, whose input is made as ``crop`` says."""
        super().__init__(network)
        self._crop = crop

    def _infer(self, images: Sequence[ImageRegions]) -> list[dict[str, Float32Array]]:
        """Return the outputs of each image's regions by name, each (R, ...); all images make one call."""
        if not images:
            return []
        cut = np.concatenate([self._crop.cut(image, regions) for image, regions in images])
        outputs = self._network.infer(self._crop.to_tensor(cut))
        ends = np.cumsum([len(regions) for _, regions in images])[:-1]
        parts = {name: np.split(value, ends) for name, value in outputs.items()}
        return [{name: part[index] for name, part in parts.items()} for index in range(len(images))]
