# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Cameras, crowds and what the cameras detect of them, seeded, with exact truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geo_pose_ros.arrays import FloatArray, IntArray
from geo_pose_ros.fusion.views import Cameras, Detections
from geo_pose_ros.geometry.virtual_camera import look_at

from ..scenes import person

FOCAL_PX = 1000.0
JOINTS = 17


def ring(
    cameras: int, radius_m: float = 5.0, dt_s: FloatArray | None = None, rng: np.random.Generator | None = None
) -> Cameras:
    """Return cameras in a ring that look at its middle, with pictures of 90 degrees."""
    rng = rng or np.random.default_rng(cameras)
    angle = 2.0 * np.pi * np.arange(cameras) / max(cameras, 3) + rng.uniform(0.0, 0.2, cameras)
    height = rng.uniform(1.2, 2.8, cameras)
    position = np.stack([radius_m * np.cos(angle), radius_m * np.sin(angle), height], 1)
    pose = look_at(position, np.tile([0.0, 0.0, 1.0], (cameras, 1)), np.array([0.0, 0.0, 1.0]))
    bounds = np.tile([-1.0, -1.0, 1.0, 1.0], (cameras, 1))
    return Cameras(
        pose, np.full(cameras, FOCAL_PX), bounds, np.zeros(cameras) if dt_s is None else dt_s, np.ones(cameras, bool)
    )


def crowd(people: int, spacing_m: float = 1.2, seed: int = 0) -> FloatArray:
    """Return people (P, 17, 3) m in the cells of a grid, each turned another way."""
    rng = np.random.default_rng(seed)
    side = int(np.ceil(np.sqrt(people)))
    cell = spacing_m * (np.stack(np.divmod(rng.permutation(side * side)[:people], side), -1) - 0.5 * (side - 1))
    turns = rng.uniform(0.0, 6.28, people)
    return np.stack([person(seed + p, (cell[p, 0], cell[p, 1]), turns[p]) for p in range(people)])


@dataclass(frozen=True)
class Seen:
    """``detections``, and whose each is: ``owner`` (D,)."""

    detections: Detections
    owner: IntArray

    def people(self, views: IntArray) -> list[set[int]]:
        """Return whose detections each row of ``views`` (B, C) holds."""
        return [{int(self.owner[d]) for d in row if d >= 0} for row in views]


def observe(
    cameras: Cameras, bodies: FloatArray, noise: float = 0.0, missing: float = 0.0, seed: int = 0,
    velocity: FloatArray | None = None,
) -> Seen:
    """Return what the cameras detect of ``bodies`` (P, J, 3), shuffled; a share ``missing`` is not detected."""
    rng = np.random.default_rng(seed)
    local = cameras.see(bodies, velocity)
    xn, owner = [], []
    for view in local:
        found = rng.permutation(np.flatnonzero(rng.random(len(bodies)) >= missing))
        image = view[found, :, :2] / view[found, :, 2:]
        xn.append(image + rng.normal(0.0, noise, image.shape))
        owner.append(found)
    return Seen(Detections.of(xn, [np.ones(x.shape[:2]) for x in xn]), np.concatenate(owner))
