# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Joint angles of the human model of REP-155, by inverse kinematics from body17 joints.

The model is that of REP-155's human_description (urdf/human-tpl.xacro): frames of the body, x forward, y left, z up
when standing; a limb that hangs points to -z. Its rotations, from the trunk outwards, with s = 1 on the left and -1 on
the right, are

- head: Rx(r_head) Rz(y_head) Ry(-p_head), about a neck 1/11 of the trunk above the thorax;
- upper arm: Rz(-s y_shoulder) Rx(s p_shoulder) Rz(s r_shoulder); forearm: then Ry(-elbow);
- thigh: Rz(-y_hip) Rx(s p_hip) Ry(-r_hip); shank: then Ry(-knee).

Joints do not show how the pelvis tilts in the trunk: z of the body's frame points to the thorax, so ``waist`` is 0.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..arrays import FloatArray
from ..skeleton import BODY17
from .body_frame import world_from_body
from .rigid import invert, transform_points

_HEAD = ('r_head', 'y_head', 'p_head')
_ARM = ('y_shoulder', 'p_shoulder', 'r_shoulder', 'elbow')
_LEG = ('y_hip', 'p_hip', 'r_hip', 'knee')
# By letter in the joints' names: the word in body17's, and s.
_SIDES = {'l': ('left', 1.0), 'r': ('right', -1.0)}
JOINT_NAMES = (
    'waist', *_HEAD, *(f'{side}_{joint}' for limb in (_ARM, _LEG) for side in _SIDES for joint in limb),
)
_THORAX, _NOSE, _EARS = BODY17.index('thorax'), BODY17.index('nose'), BODY17.index('head')
# The model's neck is so much of its trunk above the thorax: neck_length / torso_height.
NECK_SHARE = 0.25 / 2.75
# A nose nearer to the line from neck to ears than this part of the trunk, about 5 cm, does not show where the face
# points: in some data, motion capture among them, `nose` is the base of the neck.
_ASIDE = 0.1
# Limits of the model, rad. Its hips (y -0.1 .. 0.6, r -0.4 .. 0.7) are those of somebody who stands; these let people
# sit and squat. Of the two solutions of a shoulder's rotation the one within its limits is taken.
_LIMITS: Mapping[str, tuple[float, float]] = {
    'waist': (-0.2, 1.0), 'r_head': (-1.0, 1.0), 'y_head': (-1.4, 1.4), 'p_head': (-1.5, 1.5),
    'y_shoulder': (-1.1, 1.9), 'p_shoulder': (-0.4, 3.3), 'r_shoulder': (-1.7, 1.5), 'elbow': (0.0, 2.5),
    'y_hip': (-0.8, 0.8), 'p_hip': (-0.4, 3.3), 'r_hip': (-0.6, 2.2), 'knee': (-2.5, 0.0),
}
# (20, 2) lowest and highest of JOINT_NAMES, rad.
JOINT_LIMITS: FloatArray = np.array([_LIMITS[n] if n in _LIMITS else _LIMITS[n[2:]] for n in JOINT_NAMES])
_SHOULDER_LOW, _SHOULDER_HIGH = np.array([_LIMITS[name] for name in _ARM[:3]]).T
# A limb that is bent less than this (sine of 15 degrees) shows its twist less and less, and at last not at all.
_BENT = 0.26
# Lengths below are zero.
_EPSILON = 1e-6


def joint_angles(xyz: FloatArray) -> FloatArray:
    """Return the angles (..., 20) rad, in the order of ``JOINT_NAMES``, of bodies of body17 joints (..., 17, 3) m.

    NaN where a joint that an angle needs is unknown; all where the trunk is unknown. ``world_from_body`` places the
    model. Angles describe the joints as they are, also outside of the model's limits (``within_limits``). A straight
    limb does not show its twist; it is taken as turned the shortest way from hanging down. A knee may bend forwards
    where the joints do, an elbow not. ``p_head`` is the direction of the nose from ``head``, the middle of the ears.
    """
    with np.errstate(invalid='ignore'):
        local = transform_points(invert(world_from_body(xyz)), xyz)
        waist = 0.0 * local[..., _THORAX, :1]
        limbs = [
            solve(*_directions(local, word, chain), s)
            for solve, chain in ((_arm, ('shoulder', 'elbow', 'wrist')), (_leg, ('hip', 'knee', 'ankle')))
            for word, s in _SIDES.values()
        ]
        return np.concatenate([waist, _head(local), *limbs], -1)


def within_limits(angles: FloatArray) -> FloatArray:
    """Return ``joint_angles`` (..., 20) rad with each at the limit that it exceeds (``JOINT_LIMITS``); NaN stays."""
    return np.asarray(np.clip(angles, *JOINT_LIMITS.T))


def _head(local: FloatArray) -> FloatArray:
    """Return the angles (..., 3) of the head, whose plane is that of neck, ears' middle and nose."""
    neck = local[..., _THORAX, :] * (1.0 + NECK_SHARE)
    to_nose = local[..., _NOSE, :] - local[..., _EARS, :]
    aside = np.cross(_unit(local[..., _EARS, :] - neck), to_nose)
    is_clear = np.linalg.norm(aside, axis=-1, keepdims=True) > _ASIDE * local[..., _THORAX, 2:]
    x, y = _unit(to_nose), np.where(is_clear, _unit(aside), np.nan)
    z = np.cross(x, y)
    return np.stack(
        [
            np.arctan2(y[..., 2], y[..., 1]), np.arcsin(np.clip(-y[..., 0], -1.0, 1.0)),
            np.arctan2(-z[..., 0], x[..., 0]),
        ], -1,
    )


def _arm(upper: FloatArray, lower: FloatArray, s: float) -> FloatArray:
    """Return the angles (..., 4) of an arm from the directions (..., 3) of its two parts."""
    hinge = -np.cross(upper, lower)
    rotation = _upper_part(upper, _settled(hinge, _untwisted(upper)))
    p = np.arctan2(np.hypot(upper[..., 0], upper[..., 1]), -upper[..., 2])
    # Hanging straight down, or up, y and r turn about one axis: r does.
    pole = np.sin(p) < _EPSILON
    y = np.where(pole, 0.0, np.arctan2(upper[..., 0], s * upper[..., 1]))
    r = np.where(
        pole, s * np.arctan2(-rotation[..., 0, 1], rotation[..., 0, 0]),
        np.arctan2(rotation[..., 2, 0], s * rotation[..., 2, 1]),
    )
    one = np.stack([y, p, r], -1)
    other = np.stack([_wrapped(y + np.pi), -p, _wrapped(r + np.pi)], -1)
    shoulder = np.where((_beyond(other) < _beyond(one))[..., None], other, one)
    return np.concatenate([shoulder, _bend(rotation, lower)], -1)


def _leg(upper: FloatArray, lower: FloatArray, s: float) -> FloatArray:
    """Return the angles (..., 4) of a leg from the directions (..., 3) of its two parts."""
    hinge, untwisted = np.cross(upper, lower), _untwisted(upper)
    # No thigh is twisted by a right angle: such a hinge is of a knee that seems to bend forwards.
    hinge = np.where(_dot(hinge, untwisted) < 0.0, -hinge, hinge)
    rotation = _upper_part(upper, _settled(hinge, untwisted))
    y = np.arctan2(rotation[..., 0, 1], rotation[..., 1, 1])
    p = s * np.arcsin(np.clip(rotation[..., 2, 1], -1.0, 1.0))
    r = np.arctan2(rotation[..., 2, 0], rotation[..., 2, 2])
    return np.concatenate([np.stack([y, p, r], -1), _bend(rotation, lower)], -1)


def _directions(local: FloatArray, word: str, chain: tuple[str, str, str]) -> tuple[FloatArray, FloatArray]:
    """Return the directions (..., 3) of both parts of a limb."""
    root, middle, tip = (local[..., BODY17.index(f'{word}_{joint}'), :] for joint in chain)
    return _unit(middle - root), _unit(tip - middle)


def _untwisted(along: FloatArray) -> FloatArray:
    """Return y (..., 3) of a part of a limb that turned from -z to ``along`` (..., 3) the shortest way."""
    x, y, z = np.moveaxis(along, -1, 0)
    # Straight up, all turns are as short: about x.
    turned = x / np.maximum(1.0 - z, _EPSILON)
    return np.stack([-turned * y, -z + turned * x, y], -1)


def _settled(hinge: FloatArray, untwisted: FloatArray) -> FloatArray:
    """Return the axis (..., 3) that a limb bends about: ``hinge``, as long as the sine of the bend, if bent."""
    lacking: FloatArray = np.maximum(_BENT - np.linalg.norm(hinge, axis=-1, keepdims=True), 0.0)
    return hinge + lacking * untwisted


def _upper_part(along: FloatArray, hinge: FloatArray) -> FloatArray:
    """Return the rotation (..., 3, 3) of a part that points ``along`` its -z and bends about its y."""
    y = _unit(hinge)
    return np.stack([np.cross(along, y), y, -along], -1)


def _bend(rotation: FloatArray, lower: FloatArray) -> FloatArray:
    """Return how far (..., 1) the ``lower`` part is turned about -y of the upper one's ``rotation``."""
    return np.arctan2(_dot(lower, rotation[..., 0]), -_dot(lower, rotation[..., 2]))


def _beyond(shoulder: FloatArray) -> FloatArray:
    """Return by how much angles (..., 3) exceed the shoulder's limits, summed; unknown angles do not."""
    outside = np.maximum(_SHOULDER_LOW - shoulder, 0.0) + np.maximum(shoulder - _SHOULDER_HIGH, 0.0)
    total: FloatArray = np.nansum(outside, -1)
    return total


def _wrapped(angle: FloatArray) -> FloatArray:
    """Return ``angle`` within -pi .. pi."""
    wrapped: FloatArray = np.mod(angle + np.pi, 2.0 * np.pi) - np.pi
    return wrapped


def _unit(vector: FloatArray) -> FloatArray:
    """Return ``vector`` (..., 3) at length 1; NaN where it is zero."""
    length = np.linalg.norm(vector, axis=-1, keepdims=True)
    return vector / np.where(length > _EPSILON, length, np.nan)


def _dot(a: FloatArray, b: FloatArray) -> FloatArray:
    """Return the inner products (..., 1)."""
    total: FloatArray = (a * b).sum(-1, keepdims=True)
    return total
