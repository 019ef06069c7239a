"""What the two kinds of networks of a top-down detector do: find people in a picture, read the keypoints of one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..arrays import FloatArray, UInt8Array
from ..skeleton import Skeleton
from .regions import Regions


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """What R regions of one picture show.

    Attributes:
        xy: (R, J, 2) px of the picture.
        confidence: (R, J) in [0, 1].
        presence: (R,) probability that there is a person at all.
        next_regions: where to look for each person in the next picture.
    """

    xy: FloatArray
    confidence: FloatArray
    presence: FloatArray
    next_regions: Regions

    def __len__(self) -> int:
        return len(self.xy)

    @classmethod
    def nothing(cls, skeleton: Skeleton) -> Reading:
        """Return the reading of no region."""
        joints = len(skeleton)
        return cls(np.zeros((0, joints, 2)), np.zeros((0, joints)), np.zeros(0), Regions.none())

    @classmethod
    def concatenate(cls, parts: Sequence[Reading]) -> Reading:
        """Return the readings of all ``parts``, at least one, in order."""
        return cls(
            np.concatenate([part.xy for part in parts]), np.concatenate([part.confidence for part in parts]),
            np.concatenate([part.presence for part in parts]),
            Regions.concatenate([part.next_regions for part in parts]),
        )

    def select(self, index: NDArray[np.generic]) -> Reading:
        """Return the readings of a mask (R,) or of indices."""
        return Reading(
            self.xy[index], self.confidence[index], self.presence[index], self.next_regions.select(index)
        )


class PersonNetwork(Protocol):
    """Finds people in pictures. May be used by several threads unless it is ``on_gpu``."""

    @property
    def on_gpu(self) -> bool:
        """Whether it runs on a GPU."""
        ...

    def find(self, pictures: Sequence[tuple[UInt8Array, Regions]]) -> list[tuple[Regions, FloatArray]]:
        """Return the regions (R) of people and their scores (R,), best first, for each picture.

        Args:
            pictures: images (H, W, 3) BGR with the squares of them to look at.

        Raises:
            BackendError, ShapeError: if the engine fails.
        """
        ...

    def close(self) -> None:
        """Free the network."""
        ...


class KeypointNetwork(Protocol):
    """Reads the keypoints of the one person that a region shows. Threads as of PersonNetwork."""

    @property
    def skeleton(self) -> Skeleton:
        """The joints it reads."""
        ...

    @property
    def on_gpu(self) -> bool:
        """Whether it runs on a GPU."""
        ...

    def read(self, pictures: Sequence[tuple[UInt8Array, Regions]]) -> list[Reading]:
        """Return what the regions of each picture show.

        Args:
            pictures: images (H, W, 3) BGR with regions of them.

        Raises:
            BackendError, ShapeError: if the engine fails.
        """
        ...

    def around(self, body17_xy: FloatArray, sigma_px: FloatArray) -> Regions:
        """Return the regions (P) to read people in who are expected somewhere.

        Args:
            body17_xy: (P, 17, 2) px, NaN = unknown.
            sigma_px: (P, 17) standard deviations.
        """
        ...

    def close(self) -> None:
        """Free the network."""
        ...
