# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Bone lengths of tracked bodies: learned while several views see them, kept when they do not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..arrays import FloatArray, IntArray
from ..fusion.prior import BonePrior
from ..fusion.table import gather
from ..skeleton import BODY17, HAND21, Skeleton
from .kernels.bones import learn_lengths, write_lengths
from .tracks import rows_of

# Lengths, mm, of HAND21's bones, in their order: Buryanov and Kotiuk, "Proportions of hand segments", 2010, with a
# carpus of 30 mm and the tips' soft tissue; bases of fingers are 21 to 24 mm apart. By how much bones and hands vary.
_HAND_BONES = (
    30, 98, 95, 88, 84, 46, 32, 27, 40, 22, 20, 45, 26, 21, 41, 26, 21, 33, 18, 20, 24, 21, 21,
)
_BONE_SPREAD, _HAND_SPREAD = 0.08, 0.2


def typical_hand_bones(skeleton: Skeleton, edges: Sequence[tuple[int, int]]) -> FloatArray:
    """Return the lengths (E,) m of the ``edges`` that are bones of hands, of a medium hand; 0 for others."""
    bones: dict[tuple[int, ...], int] = {}
    for side in ('left', 'right'):
        joints = [f'{side}_{joint}' for joint in HAND21.joint_names]
        if set(joints) <= set(skeleton.joint_names):
            ends = [tuple(skeleton.index(joints[end]) for end in edge) for edge in HAND21.edges]
            bones |= dict(zip(ends, _HAND_BONES, strict=True))
    return 1e-3 * np.array([bones.get(edge, 0.0) for edge in edges])


class BoneLengths:
    """The lengths of all tracked bodies."""

    def __init__(self, skeleton: Skeleton = BODY17, first: int = 0) -> None:
        """Start with no body; bones are the edges of ``skeleton`` that have an end at joint ``first`` or later."""
        edges = [edge for edge in skeleton.edges if max(edge) >= first]
        self.edges: IntArray = np.array(edges, np.int64).reshape(-1, 2)
        self._typical = typical_hand_bones(skeleton, edges)
        # Of the bodies ``_ids`` (N,): (N, 3, E), see ``kernels.bones.write_lengths``.
        self._ids: IntArray = np.zeros(0, np.int64)
        self._sums: FloatArray = np.zeros((0, 3, len(edges)))

    def prior(self, body_ids: IntArray) -> BonePrior | None:
        """Return what is known of ``body_ids`` (B,), -1 for a body without an id; None if nothing is of any."""
        length = np.empty((len(body_ids), len(self.edges)))
        variance = np.empty(length.shape)
        known = write_lengths(self._sums, self._typical, rows_of(self._ids, body_ids), length, variance)
        if known and self._typical.any():
            self._add_proportions(length, variance)
        return BonePrior(length, variance) if known else None

    def _add_proportions(self, length: FloatArray, variance: FloatArray) -> None:
        """Take in what all bones of a body (B, E) that grow alike say of each of them, in place."""
        typical = self._typical
        weight = np.where(typical > 0.0, 1.0 / (variance + (_BONE_SPREAD * typical) ** 2), 0.0)
        size = (weight * length * typical).sum(1) + 1.0 / _HAND_SPREAD**2
        size /= (weight * typical**2).sum(1) + 1.0 / _HAND_SPREAD**2
        medium = size[:, None] * typical
        with np.errstate(divide='ignore', invalid='ignore'):
            own, of_all = 1.0 / variance, np.where(typical > 0.0, 1.0 / (_BONE_SPREAD * medium) ** 2, 0.0)
            length[:] = np.where(own + of_all > 0.0, (own * length + of_all * medium) / (own + of_all), 0.0)
            variance[:] = 1.0 / (own + of_all)

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
