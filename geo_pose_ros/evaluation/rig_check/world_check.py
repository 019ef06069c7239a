# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Whether the rig can be, and people stand in its world as people do: upright, on the floor, their left on their left.

What is improbable of the rig alone is said until people show that it is so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from ...arrays import FloatArray
from ...findings import Finding, Severity
from ...geometry.alignment import UP_AXES
from ...geometry.body_frame import world_from_body
from ...geometry.stats import nan_mean
from ...rigs.plausibility import turn_world
from ...skeleton import BODY17
from ...types import CameraRig
from ..quality import ObservedSet, measured
from .samples import SpreadSample

# Sets that are looked at, at least, and twice as many at most; fewer bodies tell nothing.
_SETS, _LEAST_BODIES = 32, 8
# People agree about an axis if the mean of their axes is so long; it is another one if its cosine is below the next.
_AGREED, _OTHER = 0.75, 0.5
# Cosine above which people are upright in the images.
_UPRIGHT = 0.6
# The ankle of a standing foot above the floor, m; and how much lower the lower ankles of most may be, and how much
# higher those of nearly all, m: people step down seldom, but walk on steps, beams and toes.
_ANKLE_M, _LOWER_M, _HIGHER_M = 0.09, 0.06, 0.12
_NEARLY_ALL = 0.1
# A camera nearer to the world's origin than this, m, is the origin.
_AT_ORIGIN_M = 0.05
# Share of bodies that look as in a mirror.
_MOST = 0.75
_PELVIS, _THORAX, _HEAD, _NOSE = (BODY17.index(name) for name in ('pelvis', 'thorax', 'head', 'nose'))
_ANKLES = [BODY17.index('left_ankle'), BODY17.index('right_ankle')]
# Hip, knee, ankle and shoulder, elbow, wrist of both sides.
_LEGS, _ARMS = (
    np.array([[BODY17.index(f'{side}_{joint}') for joint in limb] for side in ('left', 'right')])
    for limb in (('hip', 'knee', 'ankle'), ('shoulder', 'elbow', 'wrist'))
)


class WorldCheck:
    """Judges the rig, and its world by the people in it; a contribution to a verdict."""

    def __init__(self, rig: CameraRig, up: str, of_rig: Sequence[Finding]) -> None:
        """Begin without a set.

        Args:
            rig: the cameras.
            up: the axis of the world that points upwards, as `lifter.up`.
            of_rig: what ``check_rig`` says of the cameras.
        """
        self._up, self._num_cameras = up, len(rig)
        self._of_rig = [replace(finding, where='rig') for finding in of_rig if finding.severity]
        # Where a camera is the origin, nobody knows the floor.
        self._has_floor = min(float(np.linalg.norm(camera.position_m)) for camera in rig.cameras) > _AT_ORIGIN_M
        # Upper sides of the images.
        self._above: FloatArray = -np.array([camera.cam_from_world[1, :3] for camera in rig.cameras]).mean(0)
        self._sample: SpreadSample[FloatArray] = SpreadSample(_SETS)

    def add(self, seen: ObservedSet) -> None:
        """Take the bodies of one set into account."""
        bodies = measured(seen.bodies)
        if len(bodies) and bodies.skeleton is BODY17:
            # One view does not say how far away, and so how high, an ankle is.
            sure = bodies.num_views[:, _ANKLES] >= min(2, self._num_cameras)
            xyz = bodies.xyz.copy()
            xyz[:, _ANKLES] = np.where(sure[..., None], xyz[:, _ANKLES], np.nan)
            self._sample.add(xyz)

    def findings(self) -> Iterator[Finding]:
        """Return what is wrong of the rig; that people are upside down, lie, are beside the floor, or mirrored."""
        xyz = np.concatenate([np.zeros((0, len(BODY17), 3)), *self._sample.items])
        along = mean_axis(xyz) if len(xyz) >= _LEAST_BODIES and self._up in UP_AXES else None
        yield from (finding for finding in self._of_rig if finding.kind not in ('up', 'axes') or along is None)
        if along is not None:
            yield from self._check_up(xyz, along, np.array(UP_AXES[self._up]))
        ahead = forward_cues(xyz)
        known = np.isfinite(ahead)
        if known.sum() >= _LEAST_BODIES and (ahead[known] < 0.0).mean() > _MOST:
            yield Finding(
                Severity.ERROR, f'{(ahead[known] < 0.0).mean():.0%} of the people are mirrored: knees and faces point '
                'backward for their left and right',
                'Does the detector name left and right of the person, are images mirrored, or cameras exchanged, or '
                'is the calibration left-handed?', 'rig', 'mirrored',
            )

    def _check_up(self, xyz: FloatArray, along: FloatArray, up: FloatArray) -> Iterator[Finding]:
        cosine = float(along @ up)
        best = max(UP_AXES, key=lambda name: float(along @ UP_AXES[name]))
        remedy = turn_world(best, self._num_cameras)
        if cosine < -_OTHER:
            yield Finding(Severity.ERROR, f'People are upside down: they stand along {best} of the world, and '
                          f'{self._up} is up', f'{remedy} Images upside down must be turned.', 'rig', 'up')
        elif cosine < _OTHER and along @ self._above > _UPRIGHT * np.linalg.norm(self._above):
            yield Finding(Severity.WARNING, f'People lie: upright in the images, they stand along {best} of the world, '
                          f'and {self._up} is up', remedy, 'rig', 'up')
        elif cosine > _OTHER and self._has_floor:
            yield from self._check_floor(np.fmin(*(xyz[:, _ANKLES] @ up).T) - _ANKLE_M)

    def _check_floor(self, off_m: FloatArray) -> Iterator[Finding]:
        """Say where the floor is, by how far (B,), m, lower ankles are from where standing feet have them."""
        off_m = off_m[np.isfinite(off_m)]
        if len(off_m) < _LEAST_BODIES:
            return
        middle_m, low_m = (float(np.quantile(off_m, share)) for share in (0.5, _NEARLY_ALL))
        if middle_m > -_LOWER_M and low_m < _HIGHER_M:
            return
        where = f'{-middle_m:.2f} m below' if middle_m < 0.0 else f'{low_m:.2f} m above'
        yield Finding(
            Severity.WARNING, f'By the ankles of people, the floor is {where} the plane {self._up} = 0',
            'If the floor matters (lifter.floor, RViz), make a world with a floor from people who walk: '
            'geo_pose calibrate --from-scratch; or move the origin to the floor. If people stand on something, all is '
            'well.', 'rig', 'floor',
        )


def mean_axis(xyz: FloatArray) -> FloatArray | None:
    """Return the unit vector (3,) from feet to shoulders of bodies (B, 17, 3) in the mean; None if they differ."""
    spine = xyz[:, _THORAX] - nan_mean(xyz[:, [_PELVIS, *_ANKLES]], 1)
    mean: FloatArray = nan_mean(spine / np.linalg.norm(spine, axis=1, keepdims=True), 0)
    agreed = float(np.linalg.norm(mean))
    return mean / agreed if agreed > _AGREED else None


def forward_cues(xyz: FloatArray) -> FloatArray:
    """Return (B,) how far ahead, m, knees, elbows (behind), nose and head of bodies (B, 17, 3) are in the sum.

    Ahead is what left and right of hips and shoulders say (REP-155): of a mirrored body it is behind, below 0. NaN
    where the trunk is unknown.
    """
    front = world_from_body(xyz)[..., 0]

    def ahead(joint: FloatArray, middle: FloatArray) -> FloatArray:
        return np.asarray(((joint - middle) * front).sum(-1))

    middle = 0.5 * (xyz[:, _THORAX] + xyz[:, _HEAD])
    cues = [ahead(xyz[:, _NOSE], middle), ahead(xyz[:, _HEAD], xyz[:, _THORAX])]
    for sign, limbs in ((1.0, _LEGS), (-1.0, _ARMS)):
        cues += [sign * ahead(xyz[:, b], 0.5 * (xyz[:, a] + xyz[:, c])) for a, b, c in limbs]
    total = np.nan_to_num(np.stack(cues)).sum(0)
    return np.where(np.isfinite(front[:, 0]), total, np.nan)
