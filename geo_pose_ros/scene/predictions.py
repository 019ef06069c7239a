# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Predictions of people in the images of the next set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..arrays import NS_PER_S, FloatArray, IntArray
from ..geometry.alignment import UP_AXES
from ..geometry.projection import project
from ..geometry.rigid import transform_points
from ..skeleton import Skeleton
from ..types import Camera, ClockModel, PredictedPeople

# A body keeps its velocity for about so long, and a joint what it has beyond its body's, s: arms swing back.
_BODY_S, _JOINT_S = 0.5, 0.1
# How much less is known of where a joint will be, as a part of the way it would go, and for how long that grows, s.
_UNSURE_PART, _LONGEST_S = 0.5, 0.5
# Nearer than this a distance in px has no meaning, m.
_NEAR_M = 0.1
# A camera that looks so steeply up or down that less of the unit vector upwards lies in the image has no roll.
_LEAST_UPRIGHT = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """B people at one instant; whoever holds it may read it from any thread.

    Attributes:
        stamp_ns: the instant, of the cameras' common time.
        skeleton: of the joints.
        xyz: (B, J, 3) m in the world, NaN = unknown.
        velocity: (B, J, 3) m/s.
        sigma_m: (B, J) standard deviation of ``xyz``, per axis.
        body_ids: (B,).
        clocks: of the cameras, by name; one that is not named gives the common time.
        up: the world's axis that points upwards, a key of UP_AXES; others: not known.
    """

    stamp_ns: int
    skeleton: Skeleton
    xyz: FloatArray
    velocity: FloatArray
    sigma_m: FloatArray
    body_ids: IntArray
    clocks: Mapping[str, ClockModel]
    up: str = 'none'

    def in_image(
        self, camera: Camera, stamp_ns: int, cam_from_world: FloatArray | None = None
    ) -> PredictedPeople:
        """Return the people in the image of ``camera`` with the stamp ``stamp_ns``.

        ``cam_from_world`` (3, 4) is where the camera is then; None: where it stands.
        """
        pose = camera.cam_from_world if cam_from_world is None else cam_from_world
        clock = self.clocks.get(camera.name, ClockModel())
        ahead_s = (clock.common_ns(stamp_ns) - self.stamp_ns) / NS_PER_S
        xyz_cam = transform_points(pose, self.xyz + self._displacement(ahead_s))
        xy = project(camera.intrinsics, xyz_cam)
        focal_px = float(np.diag(camera.intrinsics.K)[:2].mean())
        with np.errstate(invalid='ignore'):
            speed = np.sqrt((self.velocity * self.velocity).sum(-1))
            sigma_m = self.sigma_m + _UNSURE_PART * min(abs(ahead_s), _LONGEST_S) * speed
            sigma_px = focal_px * sigma_m / np.maximum(xyz_cam[..., 2], _NEAR_M)
        known = np.asarray(np.isfinite(xy).all(-1) & np.isfinite(sigma_px))
        return PredictedPeople(
            camera.name, stamp_ns, self.skeleton, np.where(known[..., None], xy, np.nan),
            np.where(known, sigma_px, np.nan), self.body_ids, self._roll_rad(pose),
        )

    def _roll_rad(self, cam_from_world: FloatArray) -> float:
        """Return by how much the world's upright is turned in the image, 0 where that is not known."""
        x, y, _ = cam_from_world[:, :3] @ UP_AXES.get(self.up, (0.0, 0.0, 0.0))
        return float(np.arctan2(x, -y)) if np.hypot(x, y) >= _LEAST_UPRIGHT else 0.0

    def _displacement(self, ahead_s: float) -> FloatArray:
        """Return how far the joints (B, J, 3) m will have come, with velocities that die away."""
        known = np.isfinite(self.velocity)
        count = np.maximum(known.sum(1, keepdims=True), 1)
        body = np.where(known, self.velocity, 0.0).sum(1, keepdims=True) / count
        body_s, joint_s = (
            np.sign(ahead_s) * tau_s * -np.expm1(-abs(ahead_s) / tau_s) for tau_s in (_BODY_S, _JOINT_S)
        )
        moved: FloatArray = body * body_s + (self.velocity - body) * joint_s
        return moved
