# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Kalman filters of joints, and of the roots of bodies that only a lone view sees; ``filters`` says why.

Model: ``constant_velocity``. Blocks of a covariance, (3, 3, 3): position, position-velocity, velocity.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ...compiled import Bool1D, Float1D, Float2D, Float3D, Float4D, Float5D, Int1D, helper, kernel
from ...geometry.kernels import quadratic_form
from .constant_velocity import (
    GATE,
    INFORMATION,
    NOISE,
    STEP,
    WORK,
    begin,
    correct,
    grow,
    information_of,
    predict_blocks,
    wander,
)

# A body that one camera sees, or whose joints have more variance than this (a standard deviation of 0.2 m), has a lone
# view: its root is filtered, its shape is taken as it is. Not where a quarter of them have less than a quarter of it: a
# depth camera measures these, however many joints lie outside the image.
_SHARED_M2 = 0.04
# Innovations of a filter that keeps up point anywhere; their running mean (half of it new) has a third of their
# variance. Three times its squared Mahalanobis distance beyond which the joint moves more briskly than a quiet filter
# can follow (3 degrees of freedom, 99.9 %). A stray measurement alone does not get there.
_LAG_KEPT = 0.5
_BRISK = 16.3
# Joints of a body that nobody sees soon move as the body does, and the body comes to rest.
_STIFFENS_S = 0.1
_RESTS_S = 1.0
# A body that two views have placed, and a lone view goes on with, comes to rest sooner: what moves along the ray is
# rather the lifter's idea of its size than the body.
_LONE_RESTS_S = 0.5
# Least variance of a measurement, m^2.
_LEAST_M2 = 0.002**2
# Square root of the spectral density of a person's acceleration, m/s^2/sqrt(Hz): who walks stops within half a second,
# with something to spare for errors that drift. With half of it roots jump a little less, but err by more than their
# covariance says; with twice as much they jump more (benchmarks/training/one_camera.py).
_ROOT_ACCELERATION = 4.0
# Errors of a root in successive sets are alike: so many count as one.
_ALIKE_SETS = 4.0
# Variances of the root of a body whose joints were known, m^2 and m^2/s^2: it is known well.
_ROOT_M2, _ROOT_M2_S2 = 0.01, 1.0
# Least variance of a root's measurement, m^2.
_LEAST_ROOT_M2 = 1e-6


class JointStates(NamedTuple):
    """The joints of T bodies, and their roots.

    Attributes:
        position, velocity: (T, J, 3) m, NaN = unknown, and m/s.
        blocks: (T, J, 3, 3, 3).
        age_s: (T, J) since the joint was measured.
        lag: (T, J, 3) m, running mean of the innovations.
        root_velocity: (T, 3) m/s.
        root_blocks: (T, 3, 3, 3), NaN where the body's joints are filtered.
    """

    position: Float3D
    velocity: Float3D
    blocks: Float5D
    age_s: Float2D
    lag: Float3D
    root_velocity: Float2D
    root_blocks: Float4D


@kernel()
def predict_joints(joints: JointStates, unseen: Bool1D, placed: Bool1D, dt_s: float, density: float) -> None:
    """Predict all bodies by ``dt_s``; those ``unseen`` (T,) in the last set move as a whole, and slow down.

    ``placed`` (T,): whether two views ever placed the body. ``density`` (m^2/s^3) is the spectral density of a joint's
    acceleration.
    """
    growth, root_growth, rest = np.empty(3), np.empty(3), math.exp(-dt_s / _LONE_RESTS_S)
    wander(dt_s, density, growth)
    wander(dt_s, _ROOT_ACCELERATION**2, root_growth)
    bodies, count = joints.age_s.shape
    for t in range(bodies):
        if unseen[t]:
            _slow_down(joints.velocity[t], dt_s)
        if placed[t] and math.isfinite(joints.root_blocks[t, 0, 0, 0]):
            joints.root_velocity[t] *= rest
            joints.velocity[t] *= rest
        for j in range(count):
            joints.age_s[t, j] += dt_s
            for k in range(3):
                joints.position[t, j, k] += dt_s * joints.velocity[t, j, k]
            predict_blocks(joints.blocks[t, j], dt_s, growth)
        predict_blocks(joints.root_blocks[t], dt_s, root_growth)


@helper
def _slow_down(velocity: Float2D, dt_s: float) -> None:
    """Let the velocities (J, 3) of a body's joints approach their mean, and that 0."""
    stiff, rest = math.exp(-dt_s / _STIFFENS_S), math.exp(-dt_s / _RESTS_S)
    for k in range(3):
        mean = 0.0
        for j in range(len(velocity)):
            mean += velocity[j, k]
        mean /= len(velocity)
        for j in range(len(velocity)):
            velocity[j, k] = stiff * (velocity[j, k] - mean) + rest * mean


@helper
def _add_least(noise: Float2D, floor: float, out: Float2D) -> None:
    """Write ``noise`` (3, 3) with ``floor`` more variance."""
    for r in range(3):
        for k in range(3):
            out[r, k] = noise[r, k]
        out[r, r] += floor


@kernel('velocity')
def velocities_given(
    joints: JointStates, rows: Int1D, xyz: Float3D, noise: Float4D, quick: Float1D, velocity: Float3D
) -> None:
    """Write what the velocity of the bodies ``rows`` (B,) would be once measured, (B, J, 3) m/s.

    Args:
        joints: T bodies.
        rows: of the measured ones.
        xyz, noise: (B, J, 3) m and (B, J, 3, 3) m^2; where unknown the velocity stays.
        quick: (3,) what a brisk joint's blocks grow by more than a quiet one's.
        velocity: to be written.
    """
    R, G, innovation, blocks = np.empty((3, 3)), np.empty((3, 3)), np.empty(3), np.empty((3, 3, 3))
    for b in range(len(rows)):
        for j in range(xyz.shape[1]):
            for k in range(3):
                innovation[k] = xyz[b, j, k] - joints.position[rows[b], j, k]
                velocity[b, j, k] = joints.velocity[rows[b], j, k]
            if not math.isfinite(innovation[0] + innovation[1] + innovation[2] + noise[b, j, 0, 0]):
                continue
            _add_least(noise[b, j], _LEAST_M2, R)
            blocks[:] = joints.blocks[rows[b], j]
            information_of(blocks[0], R, 1.0, G)
            if 3.0 * quadratic_form(G, innovation) > _BRISK:
                grow(blocks, quick)
                information_of(blocks[0], R, 1.0, G)
            for r in range(3):
                for k in range(3):
                    for i in range(3):
                        velocity[b, j, k] += blocks[1, i, k] * G[i, r] * innovation[r]


@kernel()
def update_joints(
    joints: JointStates, xyz: Float3D, noise: Float4D, covariance: Float4D, lone_view: Bool1D, quick: Float1D
) -> None:
    """Measure the first B bodies; a joint without a state starts at its measurement.

    Args:
        joints: T bodies.
        xyz: (B, J, 3) m, NaN = not measured.
        noise: (B, J, 3, 3) m^2, the random part of ``covariance``.
        covariance: (B, J, 3, 3) m^2 of ``xyz``.
        lone_view: (B,) whether one camera sees the body: its depth is what was predicted, rather than measured.
        quick: (3,) what a brisk joint's blocks grow by more than a quiet one's.
    """
    bodies, count = xyz.shape[:2]
    variance, offset = np.empty(count), np.empty(3)
    z, work = np.empty(3), np.empty((WORK, 3, 3))
    for b in range(bodies):
        unknown = 0
        for j in range(count):
            # A sum is finite only if all its terms are.
            trace = covariance[b, j, 0, 0] + covariance[b, j, 1, 1] + covariance[b, j, 2, 2]
            known = math.isfinite(xyz[b, j, 0] + xyz[b, j, 1] + xyz[b, j, 2] + trace)
            variance[j] = trace if known else 0.0
            unknown += not known
        # The error of such a body is shared by its joints: smoothed each alone, they would bend it.
        uncertain = median(variance) > _SHARED_M2
        lone = (lone_view[b] or uncertain) and variance[unknown + (count - unknown) // 4] > 0.25 * _SHARED_M2
        offset[:] = 0.0
        if lone:
            _update_root(joints, b, xyz[b], covariance[b], offset)
        else:
            joints.root_blocks[b] = np.nan
        for j in range(count):
            trace = covariance[b, j, 0, 0] + covariance[b, j, 1, 1] + covariance[b, j, 2, 2]
            for k in range(3):
                z[k] = xyz[b, j, k] + offset[k]
                joints.lag[b, j, k] *= _LAG_KEPT
            if math.isfinite(z[0] + z[1] + z[2] + trace):
                _add_least(noise[b, j], _LEAST_M2, work[NOISE])
                _update_joint(joints, b, j, z, lone, quick, work)
            if lone:
                joints.velocity[b, j] = joints.root_velocity[b]


@helper
def median(values: Float1D) -> float:
    """Return the median of ``values`` (n,), which are sorted in place; 0 of none."""
    count = len(values)
    for i in range(1, count):
        value, k = values[i], i
        while k > 0 and values[k - 1] > value:
            values[k] = values[k - 1]
            k -= 1
        values[k] = value
    return 0.5 * (values[(count - 1) // 2] + values[count // 2]) if count else 0.0


@helper
def _update_joint(joints: JointStates, b: int, j: int, z: Float1D, lone: bool, quick: Float1D, work: Float3D) -> None:
    """Measure joint ``j`` of body ``b`` at ``z`` (3,) m, with the noise in ``work``; its ``lag`` has faded already."""
    blocks, lag = joints.blocks[b, j], joints.lag[b, j]
    position, velocity = joints.position[b, j], joints.velocity[b, j]
    joints.age_s[b, j] = 0.0
    if lone or not math.isfinite(position[0]):
        for k in range(3):
            position[k], velocity[k] = z[k], 0.0
        begin(blocks, work[NOISE])
        return
    G = work[INFORMATION]
    for k in range(3):
        z[k] -= position[k]
    information_of(blocks[0], work[NOISE], 1.0, G)
    within = math.sqrt(GATE / max(quadratic_form(G, z), GATE))
    for k in range(3):
        lag[k] += (1.0 - _LAG_KEPT) * within * z[k]
    if 3.0 * quadratic_form(G, lag) > _BRISK:
        grow(blocks, quick)
        information_of(blocks[0], work[NOISE], 1.0, G)
    correct(blocks, z, work)
    for k in range(3):
        position[k] += work[STEP, 0, k]
        velocity[k] += work[STEP, 1, k]


@helper
def _update_root(joints: JointStates, b: int, xyz: Float2D, covariance: Float3D, offset: Float1D) -> None:
    """Measure the root of body ``b``; write (3,) m, what brings the body where the filter has it.

    Of joints ``xyz`` (J, 3) m, NaN = not measured, and their ``covariance`` (J, 3, 3) m^2. The joints' mean velocity
    is that of a body whose joints were filtered until now.
    """
    blocks, ahead, work = joints.root_blocks[b], np.zeros(3), np.zeros((WORK, 3, 3))
    R = work[NOISE]
    common = measured = 0
    for j in range(len(xyz)):
        if not math.isfinite(xyz[j, 0] + xyz[j, 1] + xyz[j, 2]):
            continue
        measured += 1
        R += covariance[j]
        apart = xyz[j] - joints.position[b, j]
        if math.isfinite(apart[0] + apart[1] + apart[2]):
            common += 1
            ahead += apart
    R *= _ALIKE_SETS / max(measured, 1)
    _add_least(R, _LEAST_ROOT_M2, R)
    if not common:
        begin(blocks, R)
        joints.root_velocity[b] = 0.0
        return
    ahead /= common
    if not math.isfinite(blocks[0, 0, 0]):
        for k in range(3):
            joints.root_velocity[b, k] = joints.velocity[b, :, k].mean()
        blocks[:] = 0.0
        for r in range(3):
            blocks[0, r, r], blocks[2, r, r] = _ROOT_M2, _ROOT_M2_S2
    information_of(blocks[0], R, 1.0, work[INFORMATION])
    correct(blocks, ahead, work)
    for k in range(3):
        joints.root_velocity[b, k] += work[STEP, 1, k]
        offset[k] = work[STEP, 0, k] - ahead[k]
