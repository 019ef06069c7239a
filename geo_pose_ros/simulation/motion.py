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
_BONE: Mapping[str, int] = {BODY17.joint_names[child]: bone for bone, (_, child) in enumerate(BODY17.edges)}
# From the ankle to the floor and from the head joint to the crown.
BEYOND_JOINTS_M = 0.2


def rescale_bones(joints: FloatArray, factors: FloatArray) -> FloatArray:
    """Return body17 ``joints`` (..., 17, 3) with the bone to each joint multiplied by ``factors`` (..., 17)."""
    scaled = np.array(joints, np.float64)
    for parent, child in BODY17.edges:
        bone = joints[..., child, :] - joints[..., parent, :]
        scaled[..., child, :] = scaled[..., parent, :] + factors[..., child, None] * bone
    return scaled


# Standard deviation of segment lengths relative to stature among people: ANSUR II (Gordon et al. 2014), men and women
# in the mean. The trunk takes what the legs leave of the stature: so the two correlate as they must.
ANSUR: Mapping[str, float] = {
    'pelvis': 0.065, 'thigh': 0.049, 'shin': 0.039, 'shoulders': 0.0425, 'upper_arm': 0.033, 'forearm': 0.043,
}
# Assumed: the spread of heads, and by how much upper arms go with thighs and forearms with shanks (correlation).
_HEAD_SPREAD, _ARMS_WITH_LEGS = 0.03, 0.4
# 1 % of a Gaussian lies beyond so many standard deviations.
_ONE_PERCENT = 2.326
# Statures of children, m; at the shortest, factors on limbs and head relative to stature, from 1 (heads: 1.05) at the
# tallest: after Snyder et al. 1977 (UM-HSRI-77-17), where sitting height falls from 56 to 52 % of the stature.
_CHILDREN_M, _YOUNG_LEGS, _YOUNG_ARMS, _YOUNG_HEAD = (1.0, 1.45), 0.92, 0.97, 1.3


def random_proportions(rng: np.random.Generator, spread: float, count: int) -> FloatArray:
    """Return ``count`` sets of bone factors (count, 17): log-normal by limb, standard deviation ``spread``."""
    return _of_joints({limb: np.exp(spread * rng.standard_normal(count)) for limb in _GROUPS})


def random_people(
    rng: np.random.Generator, lengths_m: FloatArray, count: int, *, spread: float = 1.0, children: float = 0.0,
    hips: tuple[float, float] = (0.0, 0.0), extreme: bool = False,
) -> FloatArray:
    """Return bone factors (count, 17) that make other people of a body: of the same stature, or children.

    Args:
        rng: where they are drawn from.
        lengths_m: (16,) m, the body's bones along the edges of body17.
        count: of people.
        spread: factor on the standard deviations of ``ANSUR``.
        children: share of people of 1.0 to 1.45 m, with the proportions of that age.
        hips: least and largest distance of a hip from the pelvis, of the stature; both 0: as ``ANSUR`` says.
        extreme: every limb is as short or long as that of 1 % of the people, at random.
    """
    drawn = {limb: rng.standard_normal(count) for limb in ('head', *ANSUR)}
    for arm, leg in (('upper_arm', 'thigh'), ('forearm', 'shin')):
        drawn[arm] = _ARMS_WITH_LEGS * drawn[leg] + np.sqrt(1.0 - _ARMS_WITH_LEGS**2) * drawn[arm]
    if extreme:
        drawn = {limb: _ONE_PERCENT * np.sign(values) for limb, values in drawn.items()}
    factors = {limb: np.exp(spread * ANSUR.get(limb, _HEAD_SPREAD) * values) for limb, values in drawn.items()}
    own_m = {limb: lengths_m[[_BONE[name] for name in names]] for limb, names in _GROUPS.items()}
    stature = BEYOND_JOINTS_M + sum(own_m[limb].mean() for limb in ('thigh', 'shin'))
    stature += own_m['torso'].sum() + own_m['head'].sum()
    is_child = rng.random(count) < children
    child_m = rng.uniform(*_CHILDREN_M, count)
    young = np.where(is_child, (_CHILDREN_M[1] - child_m) / (_CHILDREN_M[1] - _CHILDREN_M[0]), 0.0)
    for limb, youngest in (
        ('thigh', _YOUNG_LEGS), ('shin', _YOUNG_LEGS), ('upper_arm', _YOUNG_ARMS), ('forearm', _YOUNG_ARMS)
    ):
        factors[limb] *= 1.0 + (youngest - 1.0) * young
    left_m = sum((1.0 - factors[limb]) * own_m[limb].mean() for limb in ('thigh', 'shin'))
    trunk_m, head_m = own_m['torso'].sum(), own_m['head'].sum()
    factors['head'] *= 1.0 + left_m / (trunk_m + head_m)
    factors['head'] *= np.where(is_child, 1.05 + (_YOUNG_HEAD - 1.05) * young, 1.0)
    factors['torso'] = 1.0 + (left_m + (1.0 - factors['head']) * head_m) / trunk_m
    if hips[1]:
        factors['pelvis'] = rng.uniform(*hips, count) * stature / own_m['pelvis'].mean()
    return np.where(is_child, child_m / stature, 1.0)[:, None] * _of_joints(factors)


def _of_joints(factors: Mapping[str, FloatArray]) -> FloatArray:
    """Return factors (N, 17) of the bones to each joint from those (N,) of the limbs."""
    made = np.ones((len(next(iter(factors.values()))), len(BODY17)))
    for limb, values in factors.items():
        made[:, [BODY17.index(name) for name in _GROUPS[limb]]] = values[:, None]
    return made


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
    """Return the clip (F, 17, 3) acted by a body of random stature and proportions; see ``act``."""
    factors = random_proportions(rng, spread, 1)[0]
    return act(clip, factors, rng.uniform(low_m, high_m), rng)


def act(clip: MotionClip, factors: FloatArray, height_m: float, rng: np.random.Generator) -> FloatArray:
    """Return the clip (F, 17, 3) acted by a body with bone ``factors`` (17,) and a stature, heading at random.

    The motion stays around the origin of the floor: the mean of the pelvis is moved to x = y = 0, and the height
    above the floor scales with the legs.
    """
    reshaped = rescale_bones(clip.joints, factors)
    scale = height_m / stature_m(reshaped)
    lift = clip.joints[:, :, 2].min(1) - reshaped[:, :, 2].min(1)
    reshaped[..., 2] += lift[:, None]
    reshaped *= scale
    reshaped[..., :2] -= reshaped[:, 0, :2].mean(0)
    angle = rng.uniform(0.0, 2.0 * np.pi)
    c, s = np.cos(angle), np.sin(angle)
    return np.asarray(reshaped @ np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]]).T)
