# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Human motion as body17 joints, and bodies drawn at random."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ..arrays import FloatArray
from ..errors import ShapeError
from ..skeleton import BODY17


@dataclass(frozen=True, slots=True, eq=False)
class MotionClip:
    """Body17 joints (F, 17, 3), m, world z up; ``validation`` clips are never trained on."""

    name: str
    joints: FloatArray
    fps: float
    validation: bool = False

    def __post_init__(self) -> None:
        if self.joints.ndim != 3 or self.joints.shape[1:] != (len(BODY17), 3):
            raise ShapeError(f"Clip '{self.name}': received {self.joints.shape}, expected (F, 17, 3).")


# Limbs whose length varies from person to person; left and right together.
_GROUPS: Mapping[str, tuple[str, ...]] = {
    'pelvis': ('left_hip', 'right_hip'),
    'thigh': ('left_knee', 'right_knee'),
    'shin': ('left_ankle', 'right_ankle'),
    'torso': ('spine', 'thorax'),
    'head': ('nose', 'head'),
    'shoulders': ('left_shoulder', 'right_shoulder'),
    'upper_arm': ('left_elbow', 'right_elbow'),
    'forearm': ('left_wrist', 'right_wrist'),
}
# From the ankle to the floor and from the head joint to the crown.
BEYOND_JOINTS_M = 0.2


def rescale_bones(joints: FloatArray, factors: FloatArray) -> FloatArray:
    """Return body17 ``joints`` (..., 17, 3) with the bone to each joint multiplied by ``factors`` (..., 17)."""
    scaled = np.array(joints, np.float64)
    for parent, child in BODY17.edges:
        bone = joints[..., child, :] - joints[..., parent, :]
        scaled[..., child, :] = scaled[..., parent, :] + factors[..., child, None] * bone
    return scaled


# Standard deviation of segment lengths relative to stature among people: ANSUR II, men and women in the mean; that of
# torso and head, which are not in it, assumed.
ANSUR: Mapping[str, float] = {
    'pelvis': 0.065, 'thigh': 0.049, 'shin': 0.039, 'torso': 0.03, 'head': 0.03, 'shoulders': 0.0425,
    'upper_arm': 0.033, 'forearm': 0.043,
}


def random_proportions(
    rng: np.random.Generator, spread: float, count: int, limbs: Mapping[str, float] | None = None
) -> FloatArray:
    """Return ``count`` sets of bone factors (count, 17): log-normal by limb, standard deviation ``spread``.

    ``limbs``, as ANSUR, has a factor on the standard deviation of each limb.
    """
    factors = np.ones((count, len(BODY17)))
    for limb, names in _GROUPS.items():
        sigma = spread if limbs is None else spread * limbs[limb]
        factors[:, [BODY17.index(name) for name in names]] = np.exp(sigma * rng.standard_normal(count))[:, None]
    return factors


def stature_m(joints: FloatArray) -> float:
    """Return the standing height of a body from its bones: legs, torso and head, joints (F, 17, 3)."""
    chain = ('right_hip', 'right_knee', 'right_ankle'), ('pelvis', 'spine', 'thorax', 'nose', 'head')
    total = BEYOND_JOINTS_M
    for names in chain:
        for a, b in pairwise(names):
            bone = joints[:, BODY17.index(b)] - joints[:, BODY17.index(a)]
            total += float(np.median(np.linalg.norm(bone, axis=-1)))
    return total


def random_body(
    clip: MotionClip, rng: np.random.Generator, *, low_m: float, high_m: float, spread: float
) -> FloatArray:
    """Return the clip (F, 17, 3) acted by a body of random stature and proportions, heading at random.

    The motion stays around the origin of the floor: the mean of the pelvis is moved to x = y = 0, and the height
    above the floor scales with the legs.
    """
    factors = random_proportions(rng, spread, 1)[0]
    reshaped = rescale_bones(clip.joints, factors)
    scale = rng.uniform(low_m, high_m) / stature_m(reshaped)
    lift = clip.joints[:, :, 2].min(1) - reshaped[:, :, 2].min(1)
    reshaped[..., 2] += lift[:, None]
    reshaped *= scale
    reshaped[..., :2] -= reshaped[:, 0, :2].mean(0)
    angle = rng.uniform(0.0, 2.0 * np.pi)
    c, s = np.cos(angle), np.sin(angle)
    return np.asarray(reshaped @ np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]]).T)
