# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""What several cameras see of people at chosen instants, and the joints that these views give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...arrays import BoolArray, FloatArray, IntArray
from ...errors import ShapeError
from ...geometry.projection import normalize
from ...geometry.rigid import transform_points
from ...geometry.triangulation import triangulate_dlt
from ...skeleton import BODY17
from ...types import CameraRig
from .tracklets import Tracklet, evenly, extent_px, sample

# One person's tracklets by camera.
Person = Mapping[str, Tracklet]

# A keypoint of confidence 1 of a person of this size in the image has weight 1.
UNIT_EXTENT_PX = 75.0
_LEAST_EXTENT_PX = 60.0
# A view of fewer joints says nothing.
LEAST_JOINTS = 4
_LEAST_DEPTH_M = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class PoseViews:
    """M poses (one person at one instant) as C cameras see them.

    Attributes:
        time_s: (M,) when.
        person: (M,) whose, 0..P-1.
        xy: (C, M, J, 2) raw px, NaN = not seen.
        velocity: (C, M, J, 2) px/s, NaN where unknown.
        weight: (C, M, J) 1 / standard deviation up to a common factor, 1/px; 0 = not used.
    """

    time_s: FloatArray
    person: IntArray
    xy: FloatArray
    velocity: FloatArray
    weight: FloatArray

    def __post_init__(self) -> None:
        poses = len(self.time_s)
        shape = self.xy.shape
        if (
            len(shape) != 4 or shape[1] != poses or shape[2:] != (len(BODY17), 2) or self.velocity.shape != shape
            or self.weight.shape != shape[:3] or self.person.shape != (poses,)
        ):
            raise ShapeError(
                f'PoseViews: received {poses} times, person {self.person.shape}, xy {shape}, velocity '
                f'{self.velocity.shape}, weight {self.weight.shape}; expected (M,), (M,), (C, M, 17, 2) twice and '
                '(C, M, 17).'
            )

    def __len__(self) -> int:
        return len(self.time_s)

    @property
    def seen(self) -> BoolArray:
        """(C, M) whether a camera sees the pose."""
        return np.asarray((self.weight > 0.0).sum(-1) >= LEAST_JOINTS)

    @property
    def extent_px(self) -> FloatArray:
        """(C, M, J) the person's size in the image over the keypoint's confidence, NaN where not used."""
        return np.where(self.weight > 0.0, UNIT_EXTENT_PX / np.where(self.weight > 0.0, self.weight, 1.0), np.nan)

    def select(self, kept: BoolArray) -> PoseViews:
        """Return the poses of the mask (M,)."""
        return PoseViews(
            self.time_s[kept], self.person[kept], self.xy[:, kept], self.velocity[:, kept], self.weight[:, kept]
        )

    def thinned(self, most: int) -> PoseViews:
        """Return at most so many poses, evenly chosen."""
        return self.select(np.isin(np.arange(len(self)), evenly(len(self), most)))

    def without(self, camera: int) -> PoseViews:
        """Return the poses as all cameras but one see them."""
        weight = self.weight.copy()
        weight[camera] = 0.0
        return replace(self, weight=weight)

    @classmethod
    def joined(cls, parts: Sequence[PoseViews]) -> PoseViews:
        """Return the poses of all parts, each of which is one person's."""
        return cls(
            np.concatenate([part.time_s for part in parts]),
            np.concatenate([np.full(len(part), number) for number, part in enumerate(parts)]),
            *(np.concatenate([getattr(part, name) for part in parts], 1) for name in ('xy', 'velocity', 'weight')),
        )


def view_person(person: Person, rig: CameraRig, time_s: FloatArray) -> PoseViews:
    """Return what the cameras see of a person at instants (T,); poses that fewer than two see are left out.

    Sampled at the times that the cameras' clocks say. The weight is the confidence over the size in the image, as
    detectors look at a crop of the person.
    """
    shape = len(rig), len(time_s), len(BODY17)
    xy, velocity = np.full((2, *shape, 2), np.nan)
    weight = np.zeros(shape)
    for c, camera in enumerate(rig.cameras):
        if camera.name in person:
            xy[c], velocity[c], confidence = sample(person[camera.name], camera.clock.stamp_s(time_s))
            size = np.fmax(np.nan_to_num(extent_px(xy[c])), _LEAST_EXTENT_PX)
            weight[c] = UNIT_EXTENT_PX * confidence / size[:, None]
    views = PoseViews(time_s, np.zeros(len(time_s), np.int64), xy, velocity, weight)
    return views.select(views.seen.sum(0) >= 2)


def view_people(people: Sequence[Person], rig: CameraRig, time_s: FloatArray) -> PoseViews:
    """Return what the cameras see of at least one person at instants (T,); see ``view_person``."""
    return PoseViews.joined([view_person(person, rig, time_s) for person in people])


def shared_instants(views: PoseViews) -> FloatArray:
    """Return (C, C): how many poses each two cameras see together; the diagonal, each with any other."""
    seen = views.seen.astype(float)
    shared = seen @ seen.T
    together = seen.sum(0) >= 2
    shared[np.diag_indices(len(shared))] = (seen * together).sum(1)
    return np.asarray(shared)


def at_clocks(rig: CameraRig, views: PoseViews) -> FloatArray:
    """Return the keypoints (C, M, J, 2) px at the instants that the clocks say; ``views`` were sampled without."""
    late_s = np.stack([camera.clock.offset_s + camera.clock.drift * views.time_s for camera in rig.cameras])
    moved: FloatArray = views.xy + np.nan_to_num(views.velocity) * late_s[..., None, None]
    return moved


def triangulate_views(rig: CameraRig, views: PoseViews) -> FloatArray:
    """Return the joints (M, J, 3) m that the views give linearly; NaN with fewer than two.

    Views far from the joint count less in a second pass.
    """
    seen = at_clocks(rig, views)
    xn = np.stack([normalize(c.intrinsics, xy) for c, xy in zip(rig.cameras, seen, strict=True)])
    cams = np.stack([camera.cam_from_world for camera in rig.cameras])
    cameras, poses, joints = views.weight.shape
    flat, weight = xn.reshape(cameras, -1, 2), views.weight.reshape(cameras, -1)
    xyz = triangulate_dlt(cams, flat, weight)
    for _ in range(2):
        local = transform_points(cams, xyz)
        depth = np.maximum(local[..., 2], _LEAST_DEPTH_M)
        distance = np.linalg.norm(local[..., :2] / depth[..., None] - flat, axis=-1) * depth
        typical = np.nanmedian(distance) if np.isfinite(distance).any() else 1.0
        share = 1.0 / (1.0 + np.nan_to_num(distance / (3.0 * typical + 1e-12), nan=0.0) ** 2)
        xyz = triangulate_dlt(cams, flat, weight * share / np.nan_to_num(depth, nan=1.0))
    return xyz.reshape(poses, joints, 3)
