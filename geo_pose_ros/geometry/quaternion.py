"""Rotations and poses of single frames as tuples of numbers: for one pose at a time, arrays cost more than the sums."""

from __future__ import annotations

import math

import numpy as np

from ..arrays import FloatArray

# x, y, z, w of a unit quaternion, as in geometry_msgs.
Quaternion = tuple[float, float, float, float]
Vector = tuple[float, float, float]
# b_from_a: rotation, translation m.
Pose = tuple[Quaternion, Vector]

IDENTITY: Pose = ((0.0, 0.0, 0.0, 1.0), (0.0, 0.0, 0.0))
# Rotations closer than this (cosine of half the angle) are interpolated along the chord.
_PARALLEL = 1.0 - 1e-9


def unit(quaternion: Quaternion) -> Quaternion:
    """Return ``quaternion`` at length 1."""
    x, y, z, w = quaternion
    # Of any size without overflow.
    length = math.hypot(x, y, z, w)
    return x / length, y / length, z / length, w / length


def multiply(a: Quaternion, b: Quaternion) -> Quaternion:
    """Return the rotation ``b``, then ``a``."""
    ax, ay, az, aw = a
    bx, by, bz, bw = b
    return (
        aw * bx + ax * bw + ay * bz - az * by, aw * by - ax * bz + ay * bw + az * bx,
        aw * bz + ax * by - ay * bx + az * bw, aw * bw - ax * bx - ay * by - az * bz,
    )


def rotate(q: Quaternion, v: Vector) -> Vector:
    """Return ``v`` turned by ``q``: v + 2 w (u x v) + 2 u x (u x v), u the vector part."""
    x, y, z, w = q
    vx, vy, vz = v
    cx, cy, cz = 2.0 * (y * vz - z * vy), 2.0 * (z * vx - x * vz), 2.0 * (x * vy - y * vx)
    return (
        vx + w * cx + y * cz - z * cy, vy + w * cy + z * cx - x * cz, vz + w * cz + x * cy - y * cx
    )


def compose(c_from_b: Pose, b_from_a: Pose) -> Pose:
    """Return c_from_a."""
    (turn, shift), (turn_a, shift_a) = c_from_b, b_from_a
    moved = rotate(turn, shift_a)
    return multiply(turn, turn_a), (moved[0] + shift[0], moved[1] + shift[1], moved[2] + shift[2])


def invert(b_from_a: Pose) -> Pose:
    """Return a_from_b."""
    (x, y, z, w), (tx, ty, tz) = b_from_a
    back = (-x, -y, -z, w)
    return back, rotate(back, (-tx, -ty, -tz))


def interpolate(before: Pose, after: Pose, part: float) -> Pose:
    """Return the pose ``part`` (0 .. 1) of the way from ``before`` to ``after``.

    Translations go straight, rotations the shorter way at constant speed (Shoemake 1985, slerp).
    """
    (qa, ta), (qb, tb) = before, after
    cosine = sum(a * b for a, b in zip(qa, qb, strict=True))
    # Both signs of a quaternion are one rotation.
    sign = -1.0 if cosine < 0.0 else 1.0
    cosine = min(abs(cosine), 1.0)
    if cosine > _PARALLEL:
        first, second = 1.0 - part, part
    else:
        angle = math.acos(cosine)
        first, second = math.sin((1.0 - part) * angle), math.sin(part * angle)
    second *= sign
    turn = unit((
        first * qa[0] + second * qb[0], first * qa[1] + second * qb[1], first * qa[2] + second * qb[2],
        first * qa[3] + second * qb[3],
    ))
    return turn, (
        ta[0] + part * (tb[0] - ta[0]), ta[1] + part * (tb[1] - ta[1]), ta[2] + part * (tb[2] - ta[2])
    )


def angle_between(a: Quaternion, b: Quaternion) -> float:
    """Return the angle, rad, by which two rotations differ."""
    return 2.0 * math.acos(min(abs(sum(p * q for p, q in zip(a, b, strict=True))), 1.0))


def matrix(b_from_a: Pose) -> FloatArray:
    """Return the pose as (3, 4)."""
    (x, y, z, w), (tx, ty, tz) = b_from_a
    return np.array((
        (1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y - z * w), 2.0 * (x * z + y * w), tx),
        (2.0 * (x * y + z * w), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z - x * w), ty),
        (2.0 * (x * z - y * w), 2.0 * (y * z + x * w), 1.0 - 2.0 * (x * x + y * y), tz),
    ))
