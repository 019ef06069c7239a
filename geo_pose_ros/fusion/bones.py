"""Bone lengths: what may be known of them, and what that says about joints."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..arrays import FloatArray, IntArray
from ..skeleton import Skeleton
from .views import NEAR_M


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


@dataclass(frozen=True, slots=True, eq=False)
class LinearBones:
    """Bone lengths, linear in the joints: ``rows`` (B, E, 3J) X = ``length`` (B, E, 1), weighted by ``certain``."""

    rows: FloatArray
    length: FloatArray
    certain: FloatArray

    @classmethod
    def of(cls, bones: BonePrior, xyz: FloatArray, spread: float) -> LinearBones:
        """Linearise at joints (3, B, J): a length is |d|, d the bone's vector, and its gradient d / |d|."""
        _, bodies, joints = xyz.shape
        # (3, B, E)
        bone = xyz @ bones.incidence.T
        length = np.sqrt((bone * bone).sum(0))
        direction = bone / np.maximum(length, NEAR_M * NEAR_M)
        rows = direction.transpose(1, 2, 0)[..., None] * bones.incidence[:, None]
        certain = 1.0 / (bones.variance + np.square(spread * bones.length))
        return cls(rows.reshape(bodies, -1, 3 * joints), bones.length[..., None], certain[..., None])

    def add_to(self, information: FloatArray, right: FloatArray) -> None:
        """Add to normal matrices (B, 3J, 3J) and right-hand sides (B, 3J)."""
        weighted = np.swapaxes(self.certain * self.rows, -1, -2)
        information += weighted @ self.rows
        right += (weighted @ self.length)[..., 0]
