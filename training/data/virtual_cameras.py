# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Virtual cameras around a person: where they stand, and what a detector would see through them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from geo_pose_ros.arrays import BoolArray, FloatArray
from geo_pose_ros.geometry.projection import project_rays
from geo_pose_ros.geometry.virtual_camera import look_at
from geo_pose_ros.lifting.canonical import canonical_poses
from geo_pose_ros.skeleton import BODY17

from ..settings import VirtualCameraSettings
from .bank import CanonicalViews
from .recording import PersonRecording

# Frames per hidden limb and per edge of the image.
FRAMES_PER_BODY = 25
# Joints of a limb at most: an arm, a leg, neck and head.
_LIMB_JOINTS = 3
# Least number of joints of a cut-off view; outward normals of the image's edges, and probability of each.
_CUT_MIN = 5
_EDGES = np.array(((0.0, 1.0), (0.0, -1.0), (1.0, 0.0), (-1.0, 0.0)))
_EDGE_CHANCES = np.array((0.5, 0.1, 0.2, 0.2))
# Of pixel noise: fields of view, rad, and half the width of the image, px.
_LEAST_FIELD, _LARGEST_FIELD, _HALF_WIDTH_PX = np.radians(30.0), np.radians(100.0), 640.0


@dataclass(frozen=True, slots=True, eq=False)
class Residuals:
    """How detections differ from the projected labels, as samples to put on virtual views.

    Attributes:
        offset: (F, C, J, 2) in units of the pose's size; NaN where not seen.
        confidence: (F, C, J).
    """

    offset: FloatArray
    confidence: FloatArray

    @classmethod
    def of(cls, labels: FloatArray, views: CanonicalViews, rays: FloatArray, confidence: FloatArray) -> Residuals:
        """Return the residuals of ``rays`` (F, C, J, 2) from labels (F, J, 3)."""
        projected = project_rays(views.cam_from_world, labels)
        return cls((rays - projected) / views.poses.size[..., None, None], confidence)

    def frames(self, chosen: slice) -> Residuals:
        """Return the residuals of the ``chosen`` frames."""
        return Residuals(self.offset[chosen], self.confidence[chosen])


@dataclass(frozen=True, slots=True, eq=False)
class VirtualCameras:
    """Cameras around the person of a recording, at the distances and heights that the settings say, or the real ones.

    Attributes:
        recording: whose cameras they resemble.
        settings: where they stand, and how they err.
        up: (3,) of the world, for upright views; None where it is not known.
    """

    recording: PersonRecording
    settings: VirtualCameraSettings
    up: FloatArray | None

    @property
    def vertical(self) -> FloatArray:
        """(3,) up, or the real cameras' mean image vertical where it is not known."""
        if self.up is not None:
            return self.up
        vertical: FloatArray = -self.recording.cam_from_world[:, 1, :3].mean(0)
        return vertical / np.linalg.norm(vertical)

    def see(
        self, xyz: FloatArray, residuals: Residuals, count: int, rng: np.random.Generator, *,
        hidden: BoolArray | None = None, cut_off_share: float = 0.0,
    ) -> CanonicalViews:
        """Return what ``count`` virtual cameras see of the joints (F, J, 3), with the residuals of real views.

        Each takes the residuals and confidences of one real view: noise as detectors make it. Joints of ``hidden``
        (F, V, J) are not seen; an edge of the image cuts the person off for ``cut_off_share`` of the time.
        """
        known = np.isfinite(xyz).all(-1)
        if not known.any():
            known, xyz = np.ones_like(known), np.zeros_like(xyz)
        cameras = self._cameras(np.median(xyz[known], axis=0), count, rng)
        exact = project_rays(cameras, xyz)
        size = canonical_poses(exact, np.where(np.isfinite(exact).all(-1), 1.0, 0.0)).size
        donor = rng.integers(len(self.recording.rig), size=count)
        factor = np.ones((1, 1, 1))
        if self.settings.residual_spread:
            factor = np.exp(self.settings.residual_spread * rng.standard_normal((count, 1, 1)))
        rays = exact + factor * residuals.offset[:, donor] * size[..., None, None]
        if self.settings.pixel_noise:
            focal_px = _HALF_WIDTH_PX / np.tan(0.5 * rng.uniform(_LEAST_FIELD, _LARGEST_FIELD, (count, 1, 1)))
            rays += self.settings.pixel_noise / focal_px * rng.standard_normal(rays.shape)
        seen = np.isfinite(rays).all(-1)
        if hidden is not None:
            seen &= ~hidden
        if cut_off_share:
            seen &= ~cut_off(rng, cut_off_share, exact)
        local_up = None
        if self.up is not None:
            error = np.radians(self.settings.up_error_deg) * rng.standard_normal((count, 3))
            local_up = cameras[..., :3] @ self.up + error
            local_up /= np.linalg.norm(local_up, axis=-1, keepdims=True)
        poses = canonical_poses(rays, np.where(seen, residuals.confidence[:, donor], 0.0), local_up)
        return CanonicalViews(poses, cameras, np.full(count, self.recording.focal_px.mean()))

    def _cameras(self, centre: FloatArray, count: int, rng: np.random.Generator) -> FloatArray:
        """Return extrinsics (V, 3, 4) of cameras all around ``centre`` (3,), which look at it."""
        vertical = self.vertical
        distance_m, elevation_rad = self._ranges(centre)
        tilt = rng.uniform(*elevation_rad, count).clip(-1.3, 1.3)
        sector = 2.0 * np.pi / count
        azimuth = rng.uniform(0.0, 2.0 * np.pi) + sector * (np.arange(count) + rng.uniform(0.0, 1.0, count))
        side = np.cross(vertical, np.eye(3)[np.abs(vertical).argmin()])
        side /= np.linalg.norm(side)
        front = np.cross(side, vertical)
        level = np.cos(azimuth)[:, None] * side + np.sin(azimuth)[:, None] * front
        direction = np.cos(tilt)[:, None] * level + np.sin(tilt)[:, None] * vertical
        away = rng.uniform(*distance_m, count)
        if self.settings.far_share:
            far = distance_m[1] * (self.settings.far_m / distance_m[1]) ** rng.uniform(0.0, 1.0, count)
            away = np.where(rng.random(count) < self.settings.far_share, far, away)
        position = centre + away[:, None] * direction
        roll = np.radians(self.settings.roll_deg) * rng.standard_normal((count, 1))
        rolled = Rotation.from_rotvec(roll * direction).apply(vertical)
        return look_at(position, np.broadcast_to(centre, position.shape), rolled)

    def _ranges(self, centre: FloatArray) -> tuple[tuple[float, float], tuple[float, float]]:
        """Return the least and largest distance, m, and elevation, rad, of cameras around ``centre`` (3,)."""
        settings = self.settings
        offset = np.stack([c.position_m for c in self.recording.rig.cameras]) - centre
        away = np.linalg.norm(offset, axis=-1)
        distance_m = away.min(), away.max()
        if settings.farthest_m:
            distance_m = settings.nearest_m, settings.farthest_m
        if settings.lowest_deg or settings.highest_deg:
            return distance_m, (np.radians(settings.lowest_deg), np.radians(settings.highest_deg))
        elevation = np.arcsin(np.clip(offset @ self.vertical / away, -1.0, 1.0))
        margin = np.radians(settings.elevation_margin_deg)
        return distance_m, (elevation.min() - margin, elevation.max() + margin)


def cut_off(rng: np.random.Generator, share: float, projected: FloatArray) -> BoolArray:
    """Return (F, V, J) for ``projected`` (F, V, J, 2): joints beyond an edge of the image, for ``share`` of the time.

    The edge is straight, mostly the lower one, and leaves 5 to all but one of the joints.
    """
    frames, views, joints = projected.shape[:3]
    runs = -(-frames // FRAMES_PER_BODY), views
    row = np.arange(frames) // FRAMES_PER_BODY
    outward = _EDGES[rng.choice(len(_EDGES), runs, p=_EDGE_CHANCES)][row]
    left = rng.integers(_CUT_MIN, joints, runs)[row]
    beyond = (np.nan_to_num(projected) * outward[..., None, :]).sum(-1)
    rank = beyond.argsort(-1).argsort(-1)
    return np.asarray((rank >= left[..., None]) & (rng.random(runs) < share)[row][..., None])


def hidden_limbs(rng: np.random.Generator, share: float, shape: tuple[int, int]) -> BoolArray:
    """Return (F, V, J) for F frames of V views: a random limb, or the end of one, for ``share`` of the time.

    Furniture and bodies hide limbs as a whole; a lifter that never missed a limb in training puts it anywhere. Branches
    are drawn in proportion to their joints: the end of a limb follows from its beginning, a whole limb hardly does.
    """
    frames, views = shape
    limbs = _limbs()
    joints = limbs.sum(1)
    runs = -(-frames // FRAMES_PER_BODY), views
    chosen = rng.choice(len(limbs), size=runs, p=joints / joints.sum())
    hidden: BoolArray = limbs[chosen] & (rng.random(runs) < share)[..., None]
    return hidden[np.arange(frames) // FRAMES_PER_BODY]


def _limbs() -> BoolArray:
    """Return (L, J): every branch of body17 of at most _LIMB_JOINTS joints, from one of its joints to its end."""
    branch = np.eye(len(BODY17), dtype=bool)
    # Edges run from the pelvis outwards, so that backwards a child's branch is complete before its parent's.
    for parent, child in reversed(BODY17.edges):
        branch[parent] |= branch[child]
    return np.asarray(branch[branch.sum(1) <= _LIMB_JOINTS])
