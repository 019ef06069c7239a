# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Bone lengths of tracked bodies: learned while several views see them, kept when they do not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..arrays import FloatArray, IntArray
from ..fusion.prior import BonePrior
from ..skeleton import BODY17
from .kernels.bones import learn_lengths, write_lengths


class BoneLengths:
    """The lengths of all tracked bodies."""

    def __init__(self, edges: Sequence[tuple[int, int]] = BODY17.edges) -> None:
        """Start with no body; bones are the ``edges`` (parent, child)."""
        self.edges: IntArray = np.array(edges, np.int64).reshape(-1, 2)
        self._unknown = np.zeros((2, len(edges)))
        # By body id: (2, E), see ``kernels.bones.write_lengths``.
        self._sums: dict[int, FloatArray] = {}

    def prior(self, body_ids: IntArray) -> BonePrior | None:
        """Return what is known of ``body_ids`` (B,), -1 for a body without an id; None if nothing is of any."""
        ids = body_ids.tolist()
        if not any(body in self._sums for body in ids):
            return None
        sums = np.stack([self._sums.get(body, self._unknown) for body in ids])
        length = np.empty((len(ids), len(self.edges)))
        variance = np.empty(length.shape)
        write_lengths(sums, length, variance)
        return BonePrior(length, variance)

    def learn(self, body_ids: IntArray, tracked: IntArray, xyz: FloatArray, covariance: FloatArray) -> None:
        """Take in bodies as measured, and forget those that are no longer tracked.

        Args:
            body_ids: (B,) of the measured bodies.
            tracked: ids of all bodies that are still known.
            xyz: (B, J, 3) m, from the views alone, NaN = unknown: nothing that already depends on bone lengths.
            covariance: (B, J, 3, 3) m^2.
        """
        if len(self._sums) > len(tracked):
            alive = set(tracked.tolist())
            self._sums = {body: sums for body, sums in self._sums.items() if body in alive}
        ids = body_ids.tolist()
        if not ids:
            return
        sums = np.stack([self._sums.get(body, self._unknown) for body in ids])
        learn_lengths(self.edges, np.ascontiguousarray(xyz), np.ascontiguousarray(covariance), sums)
        # What was never measured is not known.
        self._sums.update((ids[row], sums[row]) for row in np.flatnonzero(sums[:, 1].any(1)).tolist())
