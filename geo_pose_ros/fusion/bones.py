"""What the solver may know of bone lengths."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..skeleton import FloatArray, Skeleton
from ..types import IntArray


@dataclass(frozen=True, slots=True, eq=False)
class BonePrior:
    """What is known of the bone lengths of B bodies, bones in the order of the skeleton's edges.

    Attributes:
        length: (B, E) m; 0 where nothing is known.
        variance: (B, E) m^2 of ``length``; infinite where nothing is known.
        incidence: (E, J) -1 at the parent and 1 at the child of each bone.
    """

    length: FloatArray
    variance: FloatArray
    incidence: FloatArray

    def select(self, kept: NDArray[np.bool_] | IntArray) -> BonePrior:
        """Return the bodies of the mask or indices ``kept``."""
        return BonePrior(self.length[kept], self.variance[kept], self.incidence)


def incidence(skeleton: Skeleton) -> FloatArray:
    """Return (E, J): -1 at the parent and 1 at the child of each bone."""
    matrix = np.zeros((len(skeleton.edges), len(skeleton)))
    for row, (parent, child) in zip(matrix, skeleton.edges, strict=True):
        row[parent], row[child] = -1.0, 1.0
    return matrix
