# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""What a camera can see of people: a body is a set of capsules, and hides what stands behind it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..arrays import BoolArray, FloatArray, IntArray
from ..geometry.projection import project
from ..geometry.rigid import transform_points
from ..skeleton import BODY17
from ..types import Camera

_J = BODY17.index
# (joint, joint, radius m): torso, shoulders, hips, legs, arms, and the head as a sphere.
CAPSULES: tuple[tuple[int, int, float], ...] = (
    (_J('pelvis'), _J('thorax'), 0.15), (_J('head'), _J('head'), 0.12), (_J('thorax'), _J('nose'), 0.07),
    (_J('left_shoulder'), _J('right_shoulder'), 0.1), (_J('left_hip'), _J('right_hip'), 0.12),
    *((_J(f'{side}_{a}'), _J(f'{side}_{b}'), r) for side in ('left', 'right') for a, b, r in (
        ('hip', 'knee', 0.09), ('knee', 'ankle', 0.07), ('shoulder', 'elbow', 0.06), ('elbow', 'wrist', 0.05),
    )),
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """What one camera can see of P people in F images.

    Attributes:
        xy: (F, P, 17, 2) exact raw px, NaN behind the camera.
        visible: (F, P, 17) inside the image and not behind another person.
        hidden_by: (F, P, 17) who hides a joint, -1 nobody.
    """

    xy: FloatArray
    visible: BoolArray
    hidden_by: IntArray


def render_depth(
    camera: Camera, joints: FloatArray, behind_m: float, rng: np.random.Generator, noise_per_m: float,
    thick: float = 1.0,
) -> NDArray[np.float32]:
    """Return (H, W) m, the depth image that a camera with an ideal lens takes of bodies before a wall.

    Args:
        camera: see above.
        joints: (P, 17, 3) m in the world.
        behind_m: depth of the wall, m.
        rng: draws the noise, Gaussian in each pixel.
        noise_per_m: its standard deviation at depth z is this times z^2.
        thick: the bodies' radii are those of CAPSULES times this.
    """
    lens = camera.intrinsics
    image = np.full((lens.height, lens.width), behind_m)
    ray_x = (np.arange(lens.width) - lens.K[0, 2]) / lens.K[0, 0]
    ray_y = (np.arange(lens.height) - lens.K[1, 2]) / lens.K[1, 1]
    for body in transform_points(camera.cam_from_world, joints):
        for a, b, radius in CAPSULES:
            r = radius * thick
            # A capsule is a row of spheres.
            for share in np.linspace(0.0, 1.0, 1 + int(np.linalg.norm(body[b] - body[a]) / (0.3 * r))):
                _draw_sphere(image, ray_x, ray_y, body[a] + share * (body[b] - body[a]), r)
    return np.asarray(image + noise_per_m * image**2 * rng.standard_normal(image.shape), np.float32)


def _draw_sphere(image: FloatArray, ray_x: FloatArray, ray_y: FloatArray, centre: FloatArray, radius: float) -> None:
    """Draw a sphere into a depth image (H, W) m whose rays are (x, y, 1), where it is nearer than what is there."""
    x, y, z = centre
    if z < 2.0 * radius:
        return
    wide = 1.2 * radius / z
    rows = slice(*np.searchsorted(ray_y, (y / z - wide, y / z + wide)))
    columns = slice(*np.searchsorted(ray_x, (x / z - wide, x / z + wide)))
    u, v = ray_x[columns], ray_y[rows, None]
    # |t (u, v, 1) - centre| = radius, the nearer solution.
    square, along = u * u + v * v + 1.0, u * x + v * y + z
    inside = along * along - square * (centre @ centre - radius * radius)
    depth = np.where(inside >= 0.0, (along - np.sqrt(np.maximum(inside, 0.0))) / square, np.inf)
    image[rows, columns] = np.minimum(image[rows, columns], depth)


def find_occluders(camera: Camera, joints: FloatArray) -> IntArray:
    """Return who hides each of ``joints`` (F, P, 17, 3) from the camera, (F, P, 17), -1 nobody.

    A joint is hidden if the ray to it passes another person's capsule nearer to the camera. In the ideal image a
    capsule is about the band of radius r / z around its bone's projection; z is taken where the joint is closest.
    """
    people = joints.shape[1]
    hidden_by = np.full(joints.shape[:3], -1, np.int64)
    if people < 2:
        return hidden_by
    seen = transform_points(camera.cam_from_world, joints)
    depth = seen[..., 2]
    ahead = depth.min(-1) > 0.2
    flat = seen[..., :2] / np.maximum(depth, 0.2)[..., None]
    low, high, near = flat.min(2), flat.max(2), depth.min(-1)
    margin = (0.15 / np.maximum(near, 0.2))[..., None]
    a_low, a_high = low[:, :, None], high[:, :, None]
    b_low, b_high = (low - margin)[:, None], (high + margin)[:, None]
    meet = (a_low <= b_high).all(-1) & (b_low <= a_high).all(-1) & ahead[:, :, None] & ahead[:, None]
    # Person b may hide a.
    meet &= (near[:, None] < depth.max(-1)[:, :, None]) & ~np.eye(people, dtype=bool)
    index = np.argwhere(meet)
    if not len(index):
        return hidden_by
    # Pairs are sorted by image and person a: of each, the nearest that blocks.
    z_block = np.concatenate([_blocked_at(flat, depth, part) for part in np.array_split(index, len(index) // 4000 + 1)])
    first = np.flatnonzero(np.r_[True, (np.diff(index[:, :2], axis=0) != 0).any(1)])
    nearest = np.minimum.reduceat(z_block, first)
    blocks = np.isfinite(z_block) & (z_block == np.repeat(nearest, np.diff(np.r_[first, len(index)]), 0))
    hidden_by[index[first, 0], index[first, 1]] = np.maximum.reduceat(np.where(blocks, index[:, 2:], -1), first)
    return hidden_by


def _blocked_at(flat: FloatArray, depth: FloatArray, pairs: IntArray) -> FloatArray:
    """Return how far from the camera b's capsules block the joints of a, (N, 17) m, inf where they do not.

    Args:
        flat, depth: joints in the ideal image (F, P, 17, 2), and their distance (F, P, 17) m.
        pairs: (N, 3) image, a, b.
    """
    starts, ends, radii = (np.array(column) for column in zip(*CAPSULES, strict=True))
    f, a, b = pairs.T
    point = flat[f, a][:, :, None]
    origin, tip = flat[f, b][:, None, starts], flat[f, b][:, None, ends]
    bone = tip - origin
    along = ((point - origin) * bone).sum(-1) / np.maximum((bone * bone).sum(-1), 1e-12)
    along = np.clip(along, 0.0, 1.0)
    off = point - origin - along[..., None] * bone
    z = (1.0 - along) * depth[f, b][:, None, starts] + along * depth[f, b][:, None, ends]
    # A tenth of a metre before the joint, so that bodies that touch do not hide their own outline.
    blocks = ((off * off).sum(-1) < (radii / z) ** 2) & (z < depth[f, a][:, :, None] - 0.1)
    return np.asarray(np.where(blocks, z, np.inf).min(-1))


def see_people(camera: Camera, joints: FloatArray) -> Sight:
    """Return what the camera can see of ``joints`` (F, P, 17, 3) m."""
    xy = project(camera.intrinsics, transform_points(camera.cam_from_world, joints))
    hidden_by = find_occluders(camera, joints)
    inside = is_inside(xy, (camera.intrinsics.width, camera.intrinsics.height))
    return Sight(xy, inside & (hidden_by < 0), hidden_by)


def is_inside(xy: FloatArray, size_px: tuple[int, int]) -> BoolArray:
    """Return which points (..., 2) px are inside an image of that width and height; NaN is not."""
    with np.errstate(invalid='ignore'):
        return np.asarray(((xy >= 0.0) & (xy <= np.subtract(size_px, 1.0))).all(-1))
