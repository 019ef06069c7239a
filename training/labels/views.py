# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Keypoints of one person in C views over F frames, and their triangulation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geo_pose_ros.arrays import BoolArray, FloatArray
from geo_pose_ros.geometry.triangulation import triangulate_dlt

from ..data.recording import PersonRecording


@dataclass(frozen=True, slots=True, eq=False)
class SeenJoints:
    """Normalised body17 keypoints of one person.

    Attributes:
        cam_from_world: (C, 3, 4).
        rays: (F, C, J, 2) normalised, NaN = not seen.
        confidence: (F, C, J), 0 = not seen.
        fps: frames per second.
    """

    cam_from_world: FloatArray
    rays: FloatArray
    confidence: FloatArray
    fps: float

    @classmethod
    def of(cls, recording: PersonRecording) -> SeenJoints:
        """Return what the views of a recording saw."""
        return cls(recording.cam_from_world, recording.rays(), recording.confidence, recording.fps)

    @property
    def seen(self) -> BoolArray:
        """(F, C, J) whether a view saw a joint."""
        return np.isfinite(self.rays).all(-1) & (self.confidence > 0.0)

    def extent(self) -> FloatArray:
        """Return (F, C) the largest side of the box around the seen joints; NaN where there are fewer than two."""
        seen = self.seen
        high = np.where(seen[..., None], self.rays, -np.inf).max(2)
        low = np.where(seen[..., None], self.rays, np.inf).min(2)
        return np.where(seen.sum(-1) >= 2, np.maximum((high - low).max(-1), 1e-3), np.nan)


def by_point(rays: FloatArray, values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return (C, F * J, 2) and (C, F * J) of (F, C, J, 2) and (F, C, J)."""
    views = rays.shape[1]
    return np.moveaxis(rays, 1, 0).reshape(views, -1, 2), np.moveaxis(values, 1, 0).reshape(views, -1)


def triangulated(cam_from_world: FloatArray, rays: FloatArray, confidence: FloatArray) -> FloatArray:
    """Return confidence-weighted DLT joints (F, J, 3), m, of rays (F, C, J, 2); NaN with fewer than two views."""
    points, weights = by_point(rays, confidence)
    return triangulate_dlt(cam_from_world, points, weights).reshape(len(rays), -1, 3)
