# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""More motion from the motion there is: limbs and halves of bodies from other clips, joints bent within limits.

Li, S. et al. (CVPR 2020) make new 3D labels so; here what several virtual cameras see of the new bodies is made, and
the label stays one from geometry. Bones keep the lengths of the body that they become part of.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from geo_pose_ros.arrays import BoolArray, FloatArray, IntArray
from geo_pose_ros.errors import ConfigError
from geo_pose_ros.skeleton import BODY17, mirror_of

_PARENT, _CHILD = np.array(BODY17.edges).T
_BONE = {int(child): bone for bone, child in enumerate(_CHILD)}


def _bones(*joints: str) -> BoolArray:
    """Return a mask (E,) of the bones that end in these joints."""
    chosen = np.zeros(len(_CHILD), bool)
    chosen[[_BONE[BODY17.index(joint)] for joint in joints]] = True
    return chosen


_ARMS = tuple(_bones(f'{side}_elbow', f'{side}_wrist') for side in ('left', 'right'))
_LEGS = tuple(_bones(f'{side}_knee', f'{side}_ankle') for side in ('left', 'right'))
_HEAD = _bones('nose', 'head')
_UPPER = ~(_LEGS[0] | _LEGS[1] | _bones('left_hip', 'right_hip'))
# What may come from elsewhere. The upper body keeps its lean to the vertical, limbs their pose at the trunk.
_PARTS = np.stack((_UPPER, *_ARMS, _ARMS[0] | _ARMS[1], *_LEGS, _LEGS[0] | _LEGS[1], _HEAD | _ARMS[0] | _ARMS[1]))
_CHANCES = np.array((0.35, 0.1, 0.1, 0.15, 0.05, 0.05, 0.1, 0.1))
# Limbs as bones (upper, lower), and whether they hang from the hips.
_LIMBS = tuple(
    (_BONE[BODY17.index(f'{side}_{upper}')], _BONE[BODY17.index(f'{side}_{lower}')], legs)
    for side in ('left', 'right') for upper, lower, legs in (('elbow', 'wrist', False), ('knee', 'ankle', True))
)


def exchange_parts(
    joints: FloatArray, others: Sequence[FloatArray], share: float, up: FloatArray, frames_per_piece: int,
    rng: np.random.Generator,
) -> FloatArray:
    """Return body17 ``joints`` (F, 17, 3) with parts of the body from ``others``, each (F', 17, 3).

    Every ``frames_per_piece`` frames anew, for ``share`` of the pieces, a part is chosen, and the clip, the time and
    the side (mirrored or not) that it comes from. ``up`` (3,) is the world's. Frames with an unknown joint stay.

    Raises:
        ConfigError: if there is no other clip.
    """
    if not others:
        raise ConfigError('There is no clip to take limbs from; set data.copies.motion.exchanged_parts to 0.')
    frames = len(joints)
    piece = np.arange(frames) // frames_per_piece
    pieces = int(piece[-1]) + 1 if frames else 0
    donor = np.concatenate([_piece(others, frames_per_piece, up, rng) for _ in range(pieces)])[:frames]
    part = _PARTS[rng.choice(len(_PARTS), pieces, p=_CHANCES)] & (rng.random(pieces) < share)[:, None]
    mask = part[piece]
    own, foreign = _vectors(joints), _vectors(donor)
    length = np.linalg.norm(own, axis=-1, keepdims=True)
    direction = foreign / np.maximum(np.linalg.norm(foreign, axis=-1, keepdims=True), 1e-6)
    upright = _between(_heading(joints, up), _heading(donor, up))
    legs, arms = _between(_pelvis(joints), _pelvis(donor)), _between(_shoulders(joints), _shoulders(donor))
    leg_bones = _LEGS[0] | _LEGS[1]
    turned = np.where(leg_bones[:, None], direction @ legs, direction @ arms)
    turned = np.where(mask[:, _BONE[BODY17.index('spine')], None, None], direction @ upright, turned)
    moved = _joints(joints[:, :1], np.where(mask[..., None], length * turned, own))
    return np.where(np.isfinite(moved).all((1, 2), keepdims=True), moved, joints)


def _piece(others: Sequence[FloatArray], frames: int, up: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Return ``frames`` successive frames of another clip, mirrored or not; its last frame repeats."""
    clip = others[int(rng.integers(len(others)))]
    start = int(rng.integers(max(len(clip) - frames, 0) + 1))
    taken: FloatArray = clip[np.minimum(np.arange(start, start + frames), len(clip) - 1)]
    if rng.random() < 0.5:
        # Through a plane that holds the vertical.
        side = np.eye(3)[np.abs(up).argmin()]
        side = side - (side @ up) * up
        side /= np.linalg.norm(side)
        taken = (taken - 2.0 * (taken @ side)[..., None] * side)[:, mirror_of(BODY17)]
    return taken


def _vectors(joints: FloatArray) -> FloatArray:
    """Return the bones (F, E, 3) of joints (F, J, 3)."""
    return np.asarray(joints[:, _CHILD] - joints[:, _PARENT])


def _joints(pelvis: FloatArray, bones: FloatArray) -> FloatArray:
    """Return the joints (F, J, 3) that bones (F, E, 3) reach from the ``pelvis`` (F, 1, 3)."""
    joints = np.repeat(pelvis, len(BODY17), 1)
    for bone, (parent, child) in enumerate(BODY17.edges):
        joints[:, child] = joints[:, parent] + bones[:, bone]
    return joints


def _frame(across: FloatArray, along: FloatArray) -> FloatArray:
    """Return rotations (F, 3, 3), world to body: their rows are the axis nearest to ``across``, a third, ``along``."""
    z = along / np.maximum(np.linalg.norm(along, axis=-1, keepdims=True), 1e-6)
    x = across - (across * z).sum(-1, keepdims=True) * z
    x = x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-6)
    return np.stack((x, np.cross(z, x), z), -2)


def _side(joints: FloatArray, what: str) -> FloatArray:
    return np.asarray(joints[:, BODY17.index(f'left_{what}')] - joints[:, BODY17.index(f'right_{what}')])


def _heading(joints: FloatArray, up: FloatArray) -> FloatArray:
    return _frame(_side(joints, 'hip'), np.broadcast_to(up, (len(joints), 3)))


def _pelvis(joints: FloatArray) -> FloatArray:
    return _frame(_side(joints, 'hip'), joints[:, BODY17.index('spine')] - joints[:, 0])


def _shoulders(joints: FloatArray) -> FloatArray:
    return _frame(_side(joints, 'shoulder'), joints[:, BODY17.index('thorax')] - joints[:, BODY17.index('spine')])


def _between(to: FloatArray, of: FloatArray) -> FloatArray:
    """Return (F, 3, 3) M, so that row vectors times M go from the body frame ``of`` into the same pose in ``to``."""
    return np.swapaxes(of, -1, -2) @ to


def _sphere(count: int) -> FloatArray:
    """Return ``count`` unit vectors (count, 3), evenly spread (a Fibonacci spiral)."""
    height = 1.0 - 2.0 * (np.arange(count) + 0.5) / count
    angle = np.pi * (1.0 + np.sqrt(5.0)) * np.arange(count)
    radius = np.sqrt(1.0 - height**2)
    return np.stack((radius * np.cos(angle), radius * np.sin(angle), height), -1)


# Some 11 degrees apart.
_DIRECTIONS = _sphere(400)


@dataclass(frozen=True, slots=True, eq=False)
class JointLimits:
    """Which directions limbs were seen in: upper bones at the trunk, lower ones at the upper.

    Attributes:
        upper, lower: (4, D) of each limb, whether any frame had its bone in that direction.
    """

    upper: BoolArray
    lower: BoolArray

    @classmethod
    def none(cls) -> JointLimits:
        """Return limits that allow everything."""
        everything = np.ones((len(_LIMBS), len(_DIRECTIONS)), bool)
        return cls(everything, everything)

    @classmethod
    def measured(cls, joints: FloatArray) -> JointLimits:
        """Return what poses (F, 17, 3) show; frames with an unknown joint are left out."""
        joints = joints[np.isfinite(joints).all((1, 2))]
        bones = _vectors(joints)
        upper, lower = np.zeros((2, len(_LIMBS), len(_DIRECTIONS)), bool)
        for limb, (first, second, legs) in enumerate(_LIMBS):
            trunk = _pelvis(joints) if legs else _shoulders(joints)
            upper[limb, _nearest(trunk, bones[:, first])] = True
            lower[limb, _nearest(_frame(trunk[:, 0], bones[:, first]), bones[:, second])] = True
        return cls(upper, lower)


def _nearest(frames: FloatArray, vectors: FloatArray) -> IntArray:
    """Return (F,), the direction nearest to each of ``vectors`` (F, 3) in its frame (F, 3, 3)."""
    local = (frames @ vectors[..., None])[..., 0]
    nearest: IntArray = np.concatenate(
        [(part @ _DIRECTIONS.T).argmax(-1) for part in np.array_split(local, -(-len(local) // 4096) or 1)]
    )
    return nearest


def bend_joints(
    joints: FloatArray, limits: JointLimits, spread_rad: float, frames_per_piece: int, rng: np.random.Generator
) -> FloatArray:
    """Return body17 ``joints`` (F, 17, 3) with arms and legs turned at their joints at random, within ``limits``.

    One rotation per joint and piece of ``frames_per_piece`` frames, ``spread_rad`` its standard deviation per axis;
    where it leads out of the limits, the joint is left as it is. Frames with an unknown joint stay.
    """
    known: BoolArray = np.asarray(np.isfinite(joints).all((1, 2)))
    safe = np.where(known[:, None, None], joints, 0.0)
    bones = _vectors(safe)
    piece = np.arange(len(joints)) // frames_per_piece
    vectors = -spread_rad * rng.standard_normal((2, len(_LIMBS), int(piece[-1]) + 1 if len(piece) else 0, 3))
    for limb, (first, second, legs) in enumerate(_LIMBS):
        trunk = _pelvis(safe) if legs else _shoulders(safe)
        at_trunk, at_middle = (Rotation.from_rotvec(angles[limb])[piece] for angles in vectors)
        upper, lower = at_trunk.apply(bones[:, first]), at_trunk.apply(bones[:, second])
        # The lower bone goes along, and is then elsewhere in the frame that its limits are in.
        allowed = limits.upper[limb, _nearest(trunk, upper)]
        allowed &= limits.lower[limb, _nearest(_frame(trunk[:, 0], upper), lower)]
        bones[:, first] = np.where(allowed[:, None], upper, bones[:, first])
        bones[:, second] = np.where(allowed[:, None], lower, bones[:, second])
        bent = at_middle.apply(bones[:, second])
        allowed = limits.lower[limb, _nearest(_frame(trunk[:, 0], bones[:, first]), bent)]
        bones[:, second] = np.where(allowed[:, None], bent, bones[:, second])
    return np.where(known[:, None, None], _joints(safe[:, :1], bones), joints)
