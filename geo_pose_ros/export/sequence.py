# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Bodies over time as arrays: what a recording holds, and what every format is written from.

S sets, U people, J joints.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ..arrays import NS_PER_S, BoolArray, FloatArray, IntArray
from ..bags.recording import BODIES, DETAILS, Recorded, Recording
from ..errors import BagError, ShapeError
from ..evaluation.bodies import BodyTracks
from ..geometry.isb_angles import isb_angles
from ..messages.clouds.details import with_details
from ..skeleton import BODY17, Skeleton, map_to_body17
from ..types import Bodies3D

if TYPE_CHECKING:
    from typing_extensions import Self

# A gap of less than this, in periods, is a set that is missing: the joints are interpolated over it.
_ONE_MISSING = 2.5
# Stamps that lie this near to a regular grid, in periods, are on it.
_ON_GRID = 0.1


@dataclass(frozen=True, eq=False)
class BodySequence(BodyTracks):
    """Bodies of consecutive sets, with all that is known of them.

    Attributes:
        stamps_ns: (S,).
        ids: (U,) of all people.
        xyz: (S, U, J, 3) m in the world ``frame_id``, NaN where a joint is unknown.
        skeleton: J joints.
        frame_id: the world frame.
        up: (3,) the direction of the world that points upwards.
        covariance: (S, U, J, 3, 3) m^2, NaN where unknown.
        confidence: (S, U, J) in [0, 1], 0 where unknown.
        num_views: (S, U, J) inlier views.
        reprojection_error: (S, U, J) px, NaN where there is no view.
    """

    skeleton: Skeleton
    frame_id: str
    up: FloatArray
    covariance: FloatArray
    confidence: FloatArray
    num_views: IntArray
    reprojection_error: FloatArray

    @classmethod
    def from_sets(cls, sets: Sequence[Bodies3D], up: FloatArray) -> Self:
        """Return the bodies of sets, in the order of their stamps; ``up`` (3,) points upwards.

        Raises:
            ShapeError: for no set, or sets of several skeletons.
        """
        skeletons = {bodies.skeleton.name: bodies.skeleton for bodies in sets}
        if len(skeletons) != 1:
            raise ShapeError(
                f'BodySequence: received {len(sets)} sets of the skeletons {sorted(skeletons)}, expected at least one '
                'set, all of one skeleton.'
            )
        sets = sorted(sets, key=lambda bodies: bodies.stamp_ns)
        [skeleton] = skeletons.values()
        tracks = BodyTracks.of(sets, skeleton)
        shape = tracks.xyz.shape[:3]
        found = cls(
            tracks.stamps_ns, tracks.ids, tracks.xyz, skeleton, sets[0].frame_id, up, np.full((*shape, 3, 3), np.nan),
            np.zeros(shape), np.zeros(shape, np.int64), np.full(shape, np.nan),
        )
        for row, bodies in enumerate(sets):
            people = np.searchsorted(tracks.ids, bodies.body_ids)
            for name in ('covariance', 'confidence', 'num_views', 'reprojection_error'):
                getattr(found, name)[row, people] = getattr(bodies, name)
        return found

    def __repr__(self) -> str:
        return (f'BodySequence({len(self.ids)} people, {len(self.stamps_ns)} sets of {self.skeleton.name}, '
                f'{self.times_s[-1]:.2f} s)')

    @property
    def times_s(self) -> FloatArray:
        """Seconds (S,) since the first set."""
        times: FloatArray = (self.stamps_ns - self.stamps_ns[0]) / NS_PER_S
        return times

    @property
    def known(self) -> BoolArray:
        """Which joints (S, U, J) are known."""
        return np.asarray(np.isfinite(self.xyz).all(-1))

    def regular(self) -> tuple[float, FloatArray]:
        """Return a rate, Hz, and the joints (F, U, J, 3) m at it from the first set on.

        Files of markers and of animation have one rate. Sets whose stamps are regular are as they are; others are
        interpolated between neighbours, over one missing set and no longer gap.
        """
        count = len(self.stamps_ns)
        if count < 2:
            return 1.0, self.xyz
        at = self.times_s
        period_s = float(np.median(np.diff(at)))
        frames = round(at[-1] / period_s) + 1
        period_s = float(at[-1]) / (frames - 1)
        grid = np.arange(frames) * period_s
        rate_hz = round(1.0 / period_s, 3)
        if frames == count and np.abs(grid - at).max() < _ON_GRID * period_s:
            return rate_hz, self.xyz
        after = np.clip(np.searchsorted(at, grid), 1, count - 1)
        near = np.where(grid - at[after - 1] < at[after] - grid, after - 1, after)
        share = (grid - at[after - 1]) / (at[after] - at[after - 1])
        share = share[:, None, None, None]
        between = (1.0 - share) * self.xyz[after - 1] + share * self.xyz[after]
        between[at[after] - at[after - 1] > _ONE_MISSING * period_s] = np.nan
        is_near = np.abs(grid - at[near]) < _ON_GRID * period_s
        return rate_hz, np.where(is_near[:, None, None, None], self.xyz[near], between)

    def turned(self, up: str) -> BodySequence:
        """Return the same in a world whose ``up`` axis, 'y' or 'z', points upwards; right-handed.

        For 'y' the axes are those of OpenSim and Pose2Sim: of a world whose z is up, x y z become z x y.
        """
        z = self.up / np.linalg.norm(self.up)
        x = np.eye(3)[int(np.abs(z).argmin())] if abs(z[2]) < 1.0 - 1e-9 else np.eye(3)[0]
        x = x - z * (x @ z)
        x /= np.linalg.norm(x)
        y = np.cross(z, x)
        rotation = np.stack([y, z, x] if up == 'y' else [x, y, z])
        turned = np.einsum('ij,...j->...i', rotation, self.xyz)
        covariance = rotation @ self.covariance @ rotation.T
        return replace(self, xyz=turned, covariance=covariance, up=rotation @ z, frame_id=f'{self.frame_id}_{up}_up')

    def angles(self) -> dict[str, FloatArray]:
        """Return joint angles by name, each (S, U) degrees, after ISB; see ``geometry.isb_angles``.

        Raises:
            ConfigError: if the skeleton has no map to body17.
        """
        xyz = self.xyz
        if self.skeleton.name != BODY17.name:
            xyz, _ = map_to_body17(self.skeleton).apply(xyz, self.confidence)
        return {name: np.degrees(values) for name, values in isb_angles(xyz).items()}


def read_sets(recording: Recording) -> list[Bodies3D]:
    """Return the bodies of an open recording, set by set, with covariances where `~/details` was recorded.

    Raises:
        BagError: if there is not one body.
    """
    found = {bodies.stamp_ns: bodies for bodies in recording.read(BODIES, Recorded.bodies)}

    def detailed(one: Recorded) -> Bodies3D | None:
        plain = found.get(one.message.stamp_ns)
        return None if plain is None else with_details(plain, one.message.decode())

    found |= {bodies.stamp_ns: bodies for bodies in recording.read(DETAILS, detailed) if bodies is not None}
    if not any(map(len, found.values())):
        raise BagError(
            f"'{recording.title}' has no body in {len(found)} sets; run geo_pose process over the bag of images."
        )
    return list(found.values())
