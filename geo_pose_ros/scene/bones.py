# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Bone lengths of tracked bodies: learned while several views see them, kept when they do not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..arrays import FloatArray, IntArray
from ..fusion.prior import BonePrior
from ..fusion.table import gather
from ..skeleton import BODY17
from .kernels.bones import learn_lengths, write_lengths
from .tracks import rows_of


class BoneLengths:
    """The lengths of all tracked bodies."""

    def __init__(self, edges: Sequence[tuple[int, int]] = BODY17.edges) -> None:
        """Start with no body; bones are the ``edges`` (parent, child)."""
        self.edges: IntArray = np.array(edges, np.int64).reshape(-1, 2)
        # Of the bodies ``_ids`` (N,): (N, 2, E), see ``kernels.bones.write_lengths``.
        self._ids: IntArray = np.zeros(0, np.int64)
        self._sums: FloatArray = np.zeros((0, 2, len(edges)))

    def prior(self, body_ids: IntArray) -> BonePrior | None:
        """Return what is known of ``body_ids`` (B,), -1 for a body without an id; None if nothing is of any."""
        length = np.empty((len(body_ids), len(self.edges)))
        variance = np.empty(length.shape)
        known = write_lengths(self._sums, rows_of(self._ids, body_ids), length, variance)
        return BonePrior(length, variance) if known else None

    def rename(self, body_id: int, known_id: int) -> None:
        """Take ``body_id`` for the body ``known_id``: what was learned of that goes on, or else of this."""
        if (self._ids == known_id).any():
            kept = self._ids != body_id
            self._ids, self._sums = self._ids[kept], self._sums[kept]
        else:
            self._ids = np.where(self._ids == body_id, known_id, self._ids)

    def learn(self, body_ids: IntArray, tracked: IntArray, xyz: FloatArray, covariance: FloatArray) -> None:
        """Take in bodies as measured, and forget those that are no longer tracked.

        Args:
            body_ids: (B,) of the measured bodies.
            tracked: (T,) ids of all bodies that are still known, those included.
            xyz: (B, J, 3) m, from the views alone, NaN = unknown: nothing that already depends on bone lengths.
            covariance: (B, J, 3, 3) m^2.
        """
        self._sums, self._ids = gather(self._sums, rows_of(self._ids, tracked), 0.0), tracked.copy()
        rows = rows_of(self._ids, body_ids)
        learn_lengths(self.edges, np.ascontiguousarray(xyz), np.ascontiguousarray(covariance), rows, self._sums)
