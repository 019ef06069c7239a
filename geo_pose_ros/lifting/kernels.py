# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Compiled geometry around the lifter's network: its input, and where the pose that it returns is."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..arrays import Float32Array, FloatArray
from ..compiled import Bool1D, Float1D, Float2D, Float3D, Int1D, Single3D, helper, kernel
from ..geometry.kernels import insert_sorted
from ..skeleton import BODY17

# A pose seen through fewer joints has no meaningful centre and size.
MIN_JOINTS = 4
# Depth (z of a bearing of length about 1) below which a joint has no image.
_OFF_AXIS = 0.05
# Nearer to the vertical than this (sine) a view's roll is not defined by it; the camera's own is kept.
_NADIR = 0.05

# log of the size of a person some 5 m away: about the mean over rooms.
_USUAL_LOG_SIZE = -2.5

_ANKLES = np.array([BODY17.index('right_ankle'), BODY17.index('left_ankle')])
_EDGES = np.array(BODY17.edges)
# Standard deviation of the logarithm: of people's sizes about the lifter's guess; of a distance solved from a pose of
# the right size, whose foreshortening is wrong. Both as measured on mocap.
SIZE_SPREAD = 0.08
SHAPE_SPREAD = 0.05
# ... of a person's size by bone lengths, about the size that fits the view: a detector's bones are not a lifter's.
# Measured on a/ and c/ of mocap17, two cameras' lengths of 2 s: 0.059, of which 0.035 is the pose's shape.
_BONES_SPREAD = 0.05
# The ankle above the floor that it stands on, m, and its standard deviation: heels rise, people walk.
_ANKLE_HEIGHT_M = 0.09
_ANKLE_HEIGHT_SPREAD_M = 0.04
# By what a detector errs at an ankle, across its ray, m.
_ANKLE_SEEN_SPREAD_M = 0.015
# A floor by which somebody is larger than lifted by more standard deviations is not what the foot stands on: she jumps,
# or climbs. Smaller people may be children, which the lifter takes for adults farther away.
_GATE, _GATE_SMALLER = 3.0, 5.0
# Squares of sines below this are 0.
_ROUNDING = 1e-12


class CanonicalPoses(NamedTuple):
    """2D poses in the frames of their virtual cameras.

    Attributes:
        pose2d: (..., J, 3) float32: x / size, y / size, confidence; a joint that was not seen is all zero.
        view_from_cam: (..., 3, 3) rotation from the real camera's optical frame to the virtual one.
        size: (...,) median distance of the seen joints from the centre, in normalised image units (tangents);
            NaN where fewer than MIN_JOINTS joints were seen, and there pose2d is all zero.
        steepness: (...,) sine of the angle by which the virtual camera looks down; NaN where up is not known.
    """

    pose2d: Single3D
    view_from_cam: Float3D
    size: Float1D
    steepness: Float1D

    @property
    def view(self) -> Float32Array:
        """(..., 2) float32, what a lifter that knows gravity reads beside ``pose2d``: steepness, and log of the size.

        Both are about 0 in the mean; 0 where unknown.
        """
        made = np.zeros((*self.size.shape, 2), np.float32)
        usable = np.isfinite(self.size + self.steepness)
        made[usable, 0] = self.steepness[usable]
        made[usable, 1] = np.log(self.size[usable]) - _USUAL_LOG_SIZE
        return made

    @property
    def rays(self) -> FloatArray:
        """(..., J, 2) normalised image coordinates x/z, y/z in the virtual camera; 0 where not seen."""
        size = np.where(np.isfinite(self.size), self.size, 0.0)
        return np.asarray(self.pose2d[..., :2] * size[..., None, None], np.float64)


class SeenPoses(NamedTuple):
    """N lifted poses of J joints, and where they were seen; arguments of ``root.locate_root``.

    Attributes:
        pose, sigma, rays, weights: (N, J, 3) m, (N, J) m, (N, J, 2) and (N, J); rays may be NaN.
        up, height_m: (N, 3) and (N,) of the floor; (0, 3) and (0,) for none.
        lengths: (N, E) m of the bones, NaN = unknown; (0, E) for none.
    """

    pose: Float3D
    sigma: Float2D
    rays: Float3D
    weights: Float2D
    up: Float2D
    height_m: Float1D
    lengths: Float2D


class Placement(NamedTuple):
    """Roots and sizes of N bodies, from all that is known.

    Attributes:
        root: (N, 3) m, the pelvis in the frame of the pose; NaN where undefined.
        scale: (N,) to multiply the pose by: of that size perspective alone puts it at ``root``.
        spread: (N,) standard deviation of the logarithm of the root's distance.
        grounded: (N,) whether the floor was used.
    """

    root: Float2D
    scale: Float1D
    spread: Float1D
    grounded: Bool1D


@kernel()
def find_canonical_poses(rays: Float3D, confidence: Float2D, up: Float2D, found: CanonicalPoses) -> None:
    """Turn N 2D poses into the lifter's input; ``canonical.canonical_poses`` says how.

    Args:
        rays: (N, J, 2), NaN where not seen.
        confidence: (N, J).
        up: (N, 3) the world's up in the cameras' frames; (0, 3) where it is not known.
        found: to be written.
    """
    joints = confidence.shape[1]
    kept, rough, centre, turned = np.empty(joints, np.bool_), np.eye(3), np.empty(3), np.empty((joints, 2))
    for n in range(len(rays)):
        x, R, pose2d, count = rays[n], found.view_from_cam[n], found.pose2d[n], 0
        for j in range(joints):
            kept[j] = math.isfinite(x[j, 0] + x[j, 1]) and confidence[n, j] > 0.0
            count += 1 if kept[j] else 0
        usable = count >= MIN_JOINTS
        kept &= usable
        rough[:] = np.eye(3)
        _find_centre(x, kept, rough, centre)
        if len(up):
            # A median per axis turns with the camera's roll: it is taken again in the upright image.
            _turn_upright(centre, up[n], rough)
            _find_centre(x, kept, rough, centre)
            found.steepness[n] = _turn_upright(centre, up[n], R)
        else:
            _turn_least(centre, R)
            found.steepness[n] = np.nan
        size = max(_write_turned(x, kept, R, turned), 1e-4)
        found.size[n] = size if usable else np.nan
        for j in range(joints):
            for k in range(2):
                pose2d[j, k] = turned[j, k] / size if kept[j] else 0.0
            pose2d[j, 2] = confidence[n, j] if kept[j] else 0.0


@helper
def _median(ordered: Float1D, count: int) -> float:
    """Return the median of the first ``count``, which are sorted; 0 of none."""
    return 0.5 * (ordered[(count - 1) // 2] + ordered[count // 2]) if count else 0.0


@helper
def _find_centre(x: Float2D, kept: Bool1D, R: Float2D, centre: Float1D) -> None:
    """Write the median bearing (3,), per axis of the view that ``R`` turns to, of the ``kept`` joints ``x`` (J, 2)."""
    a, b, n = np.empty(len(x)), np.empty(len(x)), 0
    for j in range(len(x)):
        z = R[2, 0] * x[j, 0] + R[2, 1] * x[j, 1] + R[2, 2]
        if kept[j] and z > _OFF_AXIS:
            insert_sorted(a, n, (R[0, 0] * x[j, 0] + R[0, 1] * x[j, 1] + R[0, 2]) / z)
            n = insert_sorted(b, n, (R[1, 0] * x[j, 0] + R[1, 1] * x[j, 1] + R[1, 2]) / z)
    u, v = _median(a, n), _median(b, n)
    for k in range(3):
        centre[k] = u * R[0, k] + v * R[1, k] + R[2, k]


@helper
def _write_turned(x: Float2D, kept: Bool1D, R: Float2D, turned: Float2D) -> float:
    """Write where the ``kept`` joints lie in the view that ``R`` turns to, and return their median distance from 0.

    Joints 90 degrees off its axis, or nearly, are kept no longer.
    """
    ordered, n = np.empty(len(x)), 0
    for j in range(len(x)):
        z = R[2, 0] * x[j, 0] + R[2, 1] * x[j, 1] + R[2, 2]
        kept[j] = kept[j] and z > _OFF_AXIS
        if kept[j]:
            u = (R[0, 0] * x[j, 0] + R[0, 1] * x[j, 1] + R[0, 2]) / z
            v = (R[1, 0] * x[j, 0] + R[1, 1] * x[j, 1] + R[1, 2]) / z
            turned[j, 0], turned[j, 1] = u, v
            n = insert_sorted(ordered, n, math.sqrt(u * u + v * v))
    return _median(ordered, n)


@helper
def _turn_upright(direction: Float1D, up: Float1D, R: Float2D) -> float:
    """Write the rotation that turns ``direction`` onto +z and ``up`` into the upper half of the image's vertical.

    Return the sine of the angle by which ``direction`` points down.
    """
    z = direction / math.sqrt((direction * direction).sum())
    x = np.cross(z, up)
    # Never along z, which looks ahead: as if up were the camera's own.
    if (x * x).sum() <= _NADIR**2:
        x = np.array([z[2], 0.0, -z[0]])
    x /= math.sqrt((x * x).sum())
    R[0], R[1], R[2] = x, np.cross(z, x), z
    return -float((z * up).sum())


@helper
def _turn_least(direction: Float1D, R: Float2D) -> None:
    """Write the smallest rotation that turns ``direction`` onto +z: ``virtual_camera.rotation_to_axis``."""
    d = direction / math.sqrt((direction * direction).sum())
    for r in range(2):
        for k in range(2):
            R[r, k] = (1.0 if r == k else 0.0) - d[r] * d[k] / (1.0 + d[2])
        R[r, 2] = -d[r]
    R[2] = d


@kernel()
def locate_roots(given: SeenPoses, found: Placement) -> None:
    """Write where N poses are and how large; ``root.locate_root`` says how."""
    for n in range(len(given.pose)):
        at, shape2 = found.root[n], solve_root(given, n, found.root[n])
        distance, distance2 = 0.0, SIZE_SPREAD**2
        if len(given.lengths):
            known = _bone_scale(given.pose[n], given.lengths[n], at)
            if known > 0.0:
                gain = distance2 / (distance2 + _BONES_SPREAD**2)
                distance, distance2 = gain * math.log(known), distance2 * (1.0 - gain)
        distance2 += shape2 + SHAPE_SPREAD**2
        found.grounded[n] = False
        if len(given.up):
            below, below2 = _floor(given, n, at)
            gate = _GATE if below > distance else _GATE_SMALLER
            if (below - distance) ** 2 < gate**2 * (below2 + distance2):
                gain = distance2 / (distance2 + below2)
                distance += gain * (below - distance)
                distance2 *= 1.0 - gain
                found.grounded[n] = True
        found.scale[n] = factor = math.exp(distance)
        found.spread[n] = math.sqrt(distance2)
        for k in range(3):
            at[k] *= factor


@helper
def solve_root(given: SeenPoses, n: int, root: Float1D) -> float:
    """Write the root (3,), m, of pose ``n``; return the variance of the logarithm of its distance, by ``sigma``.

    NaN where it is undefined. With u = Y_xy - x Y_z the condition reads T_xy = x T_z - u. Regressing u on x minimises
    the residual in metres and makes T_z too small by the noise in x; regressing x on u minimises it in the image and
    makes T_z too large by the errors of Y. We take their geometric mean, T_z = std(u) / std(x): symmetric, always
    positive and smooth, so that it can also be differentiated in training.
    """
    joints = given.weights.shape[1]
    # Of each joint x and u, side by side, so that their moments are taken at once.
    both, w, mean, variance, count = np.zeros((joints, 4)), np.zeros(joints), np.zeros(4), np.zeros(4), 0
    for j in range(joints):
        x, y, z = given.rays[n, j, 0], given.rays[n, j, 1], given.pose[n, j, 2]
        if math.isfinite(x + y + given.pose[n, j, 0] + given.pose[n, j, 1] + z) and given.weights[n, j] > 0.0:
            count, w[j] = count + 1, given.weights[n, j]
            both[j, 0], both[j, 1] = x, y
            both[j, 2], both[j, 3] = given.pose[n, j, 0] - x * z, given.pose[n, j, 1] - y * z
    w /= w.sum()
    for j in range(joints):
        mean += w[j] * both[j]
    for j in range(joints):
        variance += w[j] * (both[j] - mean) ** 2
    depth = math.sqrt((variance[2] + variance[3]) / (variance[0] + variance[1]))
    if not (count >= 2 and math.isfinite(depth)):
        root[:] = np.nan
        return np.nan
    root[0], root[1], root[2] = mean[0] * depth - mean[2], mean[1] * depth - mean[3], depth
    # First order in the errors of the pose. Few joints, or joints close together, say little about the distance.
    shape, total = 0.0, variance[2] + variance[3]
    for j in range(joints):
        if w[j] > 0.0:
            off = (both[j, 2] - mean[2]) ** 2 + (both[j, 3] - mean[3]) ** 2
            shape += (w[j] * given.sigma[n, j] / total) ** 2 * off
    return shape


@helper
def _bone_scale(pose: Float2D, lengths: Float1D, ray: Float1D) -> float:
    """Return the factor that brings a pose's bones to known ``lengths`` (E,), by least squares; NaN where none is.

    A bone counts the less the more it lies along the ``ray`` (3,) towards the body: there the pose errs, and the
    distance does not depend on it.
    """
    square, both = 0.0, 0.0
    for e in range(len(_EDGES)):
        bone = pose[_EDGES[e, 1]] - pose[_EDGES[e, 0]]
        lifted = math.sqrt((bone * bone).sum())
        along = (bone * ray).sum() / math.sqrt((ray * ray).sum())
        across = 1.0 - (along / max(lifted, 1e-9)) ** 2
        # Of a bone along the ray, nothing but rounding is left.
        if math.isfinite(lengths[e] + lifted) and across > _ROUNDING:
            square += (across * lifted) ** 2
            both += across**2 * lifted * lengths[e]
    return both / square if square > 0.0 else np.nan


@helper
def _floor(given: SeenPoses, n: int, root: Float1D) -> tuple[float, float]:
    """Return the logarithm of the factor on pose and root that puts the lower ankle on the floor, and its variance.

    Of the ankle the ray counts, and from the lifted pose its depth alone: seen at eye level, an error of that hardly
    moves it up or down.
    """
    ankle, depth = -1, -np.inf
    for j in _ANKLES:
        below = -((given.pose[n, j] + root) * given.up[n]).sum()
        if below > depth:
            ankle, depth = j, below
    fall = given.height_m[n] - _ANKLE_HEIGHT_M
    if ankle < 0 or not (depth > 0.1 and fall > 0.1):
        return np.nan, np.nan
    if not (math.isfinite(given.rays[n, ankle, 0]) and given.weights[n, ankle] > 0.0):
        return np.nan, np.nan
    x, y, up = given.rays[n, ankle, 0], given.rays[n, ankle, 1], given.up[n]
    steepness = -(x * up[0] + y * up[1] + up[2])
    depth = steepness * (given.pose[n, ankle, 2] + root[2])
    if not depth > 0.1:
        return np.nan, np.nan
    variance = _ANKLE_HEIGHT_SPREAD_M**2 + _ANKLE_SEEN_SPREAD_M**2 + (steepness * given.sigma[n, ankle]) ** 2
    return math.log(fall / depth), variance / fall**2


@kernel('pose', 'root')
def turn_back(
    rows: Int1D, xyz: Float3D, at: Float2D, scale: Float1D, view_from_cam: Float3D, pose: Float3D, root: Float2D
) -> None:
    """Write poses ``xyz`` (N, J, 3) and roots of virtual cameras in the real ones' frames.

    Args:
        rows: (N,) of each in ``view_from_cam`` (R, 3, 3), ``pose`` (R, J, 3) and ``root`` (R, 3).
        xyz: relative to the pelvis, of the size that the network gives.
        at, scale: (N, 3) m and (N,) as in ``Roots``.
        view_from_cam: rotations.
        pose, root: to be written.
    """
    for n in range(len(rows)):
        R, into, factor = view_from_cam[rows[n]], pose[rows[n]], scale[n]
        for k in range(3):
            for j in range(xyz.shape[1]):
                into[j, k] = factor * (R[0, k] * xyz[n, j, 0] + R[1, k] * xyz[n, j, 1] + R[2, k] * xyz[n, j, 2])
            root[rows[n], k] = R[0, k] * at[n, 0] + R[1, k] * at[n, 1] + R[2, k] * at[n, 2]
