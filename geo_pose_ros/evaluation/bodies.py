# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Bodies over a recording: where they are and how fast they move, ids, bone lengths, views and accuracy per joint.

S sets, U bodies, J joints, B bones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..arrays import NS_PER_S, Float32Array, FloatArray, IntArray
from ..geometry.stats import nan_mean
from ..skeleton import Skeleton
from ..types import Bodies3D
from .report import BodySummary, TimeBins

# A joint's velocity is not taken over a longer gap.
_VELOCITY_SPAN_S = 0.3


@dataclass(frozen=True, eq=False)
class BodyTracks:
    """Bodies of consecutive sets.

    Attributes:
        stamps_ns: (S,).
        ids: (U,) of all bodies.
        xyz: (S, U, J, 3) m, NaN where a body is not measured.
    """

    stamps_ns: IntArray
    ids: IntArray
    xyz: FloatArray

    @classmethod
    def of(cls, sets: Sequence[Bodies3D], skeleton: Skeleton) -> BodyTracks:
        """Return the bodies of sets in the order of their stamps."""
        ids = np.unique(np.concatenate([np.zeros(0, np.int64), *(bodies.body_ids for bodies in sets)]))
        xyz = np.full((len(sets), len(ids), len(skeleton), 3), np.nan)
        for row, bodies in zip(xyz, sets, strict=True):
            row[np.searchsorted(ids, bodies.body_ids)] = bodies.xyz
        return cls(np.array([bodies.stamp_ns for bodies in sets], np.int64), ids, xyz)

    @cached_property
    def velocity(self) -> FloatArray:
        """The velocity (S, U, J, 3) m/s by central differences, NaN where a neighbour is missing or far."""
        velocity = np.full(self.xyz.shape, np.nan)
        if len(self.xyz) >= 3:
            span_s = (self.stamps_ns[2:] - self.stamps_ns[:-2]) / NS_PER_S
            usable = (span_s > 0.0) & (span_s < _VELOCITY_SPAN_S)
            velocity[1:-1] = (self.xyz[2:] - self.xyz[:-2]) / np.where(usable, span_s, np.nan)[:, None, None, None]
        return velocity


def bone_lengths(skeleton: Skeleton, xyz: FloatArray) -> FloatArray:
    """Return the lengths (..., B) m of the bones of joints (..., J, 3) m."""
    parent, child = np.array(skeleton.edges).T
    lengths: FloatArray = np.linalg.norm(xyz[..., parent, :] - xyz[..., child, :], axis=-1)
    return lengths


def mean_and_variation(lengths: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return mean (B,) and coefficient of variation (B,) of lengths (S, B); NaN where fewer than two are known."""
    mean = nan_mean(lengths, 0, 2)
    spread = np.sqrt(nan_mean((lengths - mean) ** 2, 0, 2))
    with np.errstate(invalid='ignore', divide='ignore'):
        return mean, np.asarray(spread / mean)


class BodyStatistics:
    """Takes measured bodies, and says what they are like by id and by joint."""

    def __init__(self, skeleton: Skeleton) -> None:
        """Begin with nothing."""
        self._skeleton = skeleton
        self._rows: list[tuple[IntArray, IntArray, Float32Array]] = []
        self._views = np.zeros((len(skeleton), 2), np.int64)
        self._sigma_m = np.zeros((2, len(skeleton)))

    def add(self, sets: Sequence[Bodies3D], tracks: BodyTracks) -> None:
        """Take sets, and the same bodies as tracks, into account."""
        for bodies in sets:
            self._add_joints(bodies)
        rows, columns = np.nonzero(np.isfinite(tracks.xyz).any((2, 3)))
        lengths = bone_lengths(self._skeleton, tracks.xyz[rows, columns]).astype(np.float32)
        self._rows.append((tracks.stamps_ns[rows], tracks.ids[columns], lengths))

    def _add_joints(self, bodies: Bodies3D) -> None:
        most = int(bodies.num_views.max(initial=0)) + 1
        if most > self._views.shape[1]:
            self._views = np.pad(self._views, ((0, 0), (0, most - self._views.shape[1])))
        known = np.isfinite(bodies.xyz).all(-1)
        np.add.at(self._views, (np.nonzero(known)[1], bodies.num_views[known]), 1)
        sigma_m = np.sqrt(np.trace(bodies.covariance, axis1=-2, axis2=-1) / 3.0)
        self._sigma_m += np.nansum(sigma_m, 0), np.isfinite(sigma_m).sum(0)

    def view_shares(self) -> FloatArray:
        """Return the share (J, N) of measured joints with 0, 1, ... N-1 views."""
        with np.errstate(invalid='ignore', divide='ignore'):
            return np.asarray(self._views / self._views.sum(1, keepdims=True))

    def sigma_m(self) -> FloatArray:
        """Return the mean standard deviation (J,) of the joints."""
        with np.errstate(invalid='ignore', divide='ignore'):
            return np.asarray(self._sigma_m[0] / self._sigma_m[1])

    def summaries(self, bins: TimeBins) -> tuple[BodySummary, ...]:
        """Return a summary per body id, the longest seen first."""
        if not self._rows:
            return ()
        stamps_ns, ids, lengths = (np.concatenate(parts) for parts in zip(*self._rows, strict=True))
        summaries = []
        for body_id in np.unique(ids).tolist():
            at_ns, table = stamps_ns[ids == body_id], lengths[ids == body_id].astype(float)
            breaks = np.flatnonzero(np.diff(at_ns) > NS_PER_S)
            firsts, lasts = np.append(0, breaks + 1), np.append(breaks, len(at_ns) - 1)
            spans = tuple(zip(at_ns[firsts].tolist(), at_ns[lasts].tolist(), strict=True))
            series = tuple(bins.medians(at_ns, bone) for bone in table.T)
            summaries.append(BodySummary(body_id, len(at_ns), spans, series, *mean_and_variation(table)))
        return tuple(sorted(summaries, key=lambda body: -body.sets))
