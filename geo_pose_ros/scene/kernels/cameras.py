# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""What a set of bodies says of the cameras that see them; ``cameras.states``, ``clocks`` and ``drift`` say why.

C cameras, B bodies of which the N of ``chosen`` are used, J joints. Errors and offsets are at focal length 1.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ...compiled import Bool1D, Bool3D, Float1D, Float2D, Float3D, Float4D, Int1D, Int2D, helper, kernel
from ...fusion.kernels.equations import NEAR_M
from .constant_velocity import information_of
from .filters import median

# Joints of a view that its mean offset needs.
LEAST_JOINTS = 6
# Degrees of freedom below which a residual is not used.
_LEAST_FREEDOM = 0.4
# Joints slower than this say nothing of clocks, m/s.
_LEAST_SPEED_M_S = 0.25
# The fastest joints of a set are enough.
_MOST_JOINTS = 48
# Errors of successive sets are alike: so many sets count as one.
ALIKE_SETS = 4.0
# Joints' errors of one view are alike: so many count as one.
_ALIKE_JOINTS = 4.0
# Stamps are the same to this, s; share of the last so many sets.
TRIGGER_S = 0.001
_LAST_SETS = 16.0
_NS_PER_S = 1e9
# Information that keeps a point solvable that no view determines, 1/m^2.
_FLOOR = 1e-6


class SeenBodies(NamedTuple):
    """The bodies of a set and what the cameras saw of them.

    Attributes:
        cam_from_world: (C, 3, 4).
        dt_s: (C,) each view's own instant minus the set's.
        focal_px: (C,).
        moved: (C,) whether the camera was moved.
        xn: (C, B, J, 2) keypoints, NaN = not seen.
        weights: (C, B, J) 1 / standard deviation, 1/px, 0 = not used.
        robust_weight: (C, B, J) in [0, 1].
        inlier: (C, B, J).
        xyz, covariance: (B, J, 3) m and (B, J, 3, 3) m^2, from the views alone, NaN = unknown.
        velocity: (B, J, 3) m/s.
        chosen: (N,) the bodies that are used.
    """

    cam_from_world: Float3D
    dt_s: Float1D
    focal_px: Float1D
    moved: Bool1D
    xn: Float4D
    weights: Float3D
    robust_weight: Float3D
    inlier: Bool3D
    xyz: Float3D
    covariance: Float4D
    velocity: Float3D
    chosen: Int1D


@helper
def see(P: Float2D, dt_s: float, xyz: Float1D, velocity: Float1D, local: Float1D) -> None:
    """Write a joint (3,) m, moving at ``velocity`` (3,) m/s, in the frame of the camera ``P`` (3, 4) after ``dt_s``."""
    for r in range(3):
        local[r] = P[r, 3]
        for k in range(3):
            local[r] += P[r, k] * (xyz[k] + dt_s * velocity[k])


@helper
def image_jacobian(P: Float2D, local: Float1D, jacobian: Float2D) -> None:
    """Write (2, 3) how the image of a point ``local`` (3,) in the camera ``P`` (3, 4) moves with it, in world axes."""
    depth = max(local[2], NEAR_M)
    for r in range(2):
        for k in range(3):
            jacobian[r, k] = (P[r, k] - local[r] / depth * P[2, k]) / depth


@helper
def information_at(views: SeenBodies, c: int, b: int, j: int) -> float:
    """Return 1 / variance of a keypoint, without its robust weight; 0 where it is not used."""
    root = views.weights[c, b, j] * views.focal_px[c]
    return root * root if math.isfinite(root) else 0.0


@kernel('offset', 'certainty', 'scatter', 'by_joint', 'deviation')
def learn_views(
    views: SeenBodies, offset: Float3D, certainty: Float2D, scatter: Float2D, by_joint: Float2D, deviation: Float4D
) -> None:
    """Write the mean offset of each view from the bodies, and how its keypoints scatter about it.

    Args:
        views: of the set.
        offset: (C, N, 2) median of the keypoints' errors, NaN where the view shows too few joints.
        certainty: (C, N) sum of the keypoints' information.
        scatter: (C, 2) sum of the inliers' squared errors about the offset in units of their variance, and of their
            degrees of freedom: of a residual's two, what is left after the joint was placed by 2n of them. Where
            little is left, little is known.
        by_joint: (J, 2) the same, joint by joint.
        deviation: (C, N, J, 2) those errors, in units of their standard deviation; NaN where they do not count.
    """
    cameras, joints = len(views.dt_s), views.xyz.shape[1]
    error, values = np.empty((joints, 2)), np.empty(joints)
    local, jacobian = np.empty(3), np.empty((2, 3))
    scatter[:], by_joint[:], deviation[:] = 0.0, 0.0, np.nan
    for n in range(len(views.chosen)):
        b = views.chosen[n]
        for c in range(cameras):
            count = _view_errors(views, c, b, error, local)
            certainty[c, n] = 0.0
            for j in range(joints):
                certainty[c, n] += information_at(views, c, b, j)
            offset[c, n] = np.nan
            if count < LEAST_JOINTS:
                continue
            for k in range(2):
                known = 0
                for j in range(joints):
                    if math.isfinite(error[j, k]):
                        values[known] = error[j, k]
                        known += 1
                offset[c, n, k] = median(values[:known])
            for j in range(joints):
                root = math.sqrt(information_at(views, c, b, j))
                x, y = root * (error[j, 0] - offset[c, n, 0]), root * (error[j, 1] - offset[c, n, 1])
                if not views.inlier[c, b, j] or not math.isfinite(x + y):
                    continue
                left = _freedom(views, c, b, j, local, jacobian)
                if left >= _LEAST_FREEDOM:
                    for sums in (scatter[c], by_joint[j]):
                        sums[0] += x * x + y * y
                        sums[1] += left
                    deviation[c, n, j, 0], deviation[c, n, j, 1] = x, y


@helper
def _view_errors(views: SeenBodies, c: int, b: int, error: Float2D, local: Float1D) -> int:
    """Write (J, 2) how far the keypoints lie beside the joints, NaN where one is unknown; return how many do not."""
    count = 0
    for j in range(len(error)):
        see(views.cam_from_world[c], views.dt_s[c], views.xyz[b, j], views.velocity[b, j], local)
        x, y = views.xn[c, b, j, 0], views.xn[c, b, j, 1]
        error[j] = np.nan
        if math.isfinite(x + y) and local[2] > NEAR_M and information_at(views, c, b, j) > 0.0:
            error[j, 0], error[j, 1] = x - local[0] / local[2], y - local[1] / local[2]
            count += 1
    return count


@helper
def _freedom(views: SeenBodies, c: int, b: int, j: int, local: Float1D, jacobian: Float2D) -> float:
    """Return the degrees of freedom that a keypoint's residual has left: 2 less twice its leverage; 0 of a lone inlier.

    The leverage, in [0, 1], is how far the keypoint has placed its joint itself: the mean diagonal of the hat matrix.
    """
    inliers = 0
    for other in range(len(views.dt_s)):
        inliers += views.inlier[other, b, j]
    if inliers < 2:
        return 0.0
    see(views.cam_from_world[c], views.dt_s[c], views.xyz[b, j], views.velocity[b, j], local)
    image_jacobian(views.cam_from_world[c], local, jacobian)
    spread = 0.0
    for r in range(2):
        for i in range(3):
            for k in range(3):
                spread += jacobian[r, i] * views.covariance[b, j, i, k] * jacobian[r, k]
    leverage = 0.5 * spread * information_at(views, c, b, j) * views.robust_weight[c, b, j]
    return 2.0 * (1.0 - min(max(leverage, 0.0), 1.0)) if math.isfinite(leverage) else 0.0


@kernel('sums')
def learn_shared(views: SeenBodies, offset: Float3D, scale: Float1D, shared: float, sums: Float1D) -> None:
    """Write what the views' offsets say of the error that all joints of a view share.

    Args:
        views: of the set.
        offset: (C, N, 2) of ``learn_views``.
        scale: (C,) the keypoints' standard deviation, in units of what the settings say.
        shared: standard deviation of what is shared, as known now.
        sums: (3,) sum of squares, of degrees of freedom, and in how many bodies several views agree.
    """
    limit = (6.0 * shared + 0.004) ** 2
    sums[:] = 0.0
    for n in range(len(views.chosen)):
        b = views.chosen[n]
        count, found, variance = 0, 0.0, 0.0
        for c in range(len(scale)):
            inliers, information = 0, 1e-9
            for j in range(views.xyz.shape[1]):
                inliers += views.inlier[c, b, j]
                information = max(information, information_at(views, c, b, j))
            if inliers < LEAST_JOINTS or views.moved[c] or not math.isfinite(offset[c, n, 0]):
                continue
            count += 1
            found += offset[c, n, 0] ** 2 + offset[c, n, 1] ** 2
            # A view's offset also has the mean of its joints' noise.
            variance += 2.0 * scale[c] ** 2 / information / inliers
        if count >= 2:
            freedom = 2.0 * count - 3.0
            sums[0] += min(max(found - variance * freedom / (2.0 * count), 0.0), limit * freedom)
            sums[1] += freedom
            sums[2] += 1.0


@kernel('matrix', 'right')
def learn_drift(
    cam_from_world: Float3D, centre: Float2D, offset: Float3D, certainty: Float2D, matrix: Float2D, right: Float1D
) -> int:
    """Add the mean of the bodies to the normal equations of the cameras' calibration errors; return how many there are.

    Args:
        cam_from_world: (C, 3, 4).
        centre: (N, 3) m, of the bodies, NaN = unknown.
        offset, certainty: (C, N, 2) and (C, N); see ``learn_views``.
        matrix, right: (2C, 2C) and (2C,) to be added to: S and S m of ``cameras.drift``.
    """
    cameras = len(certainty)
    still, local, own, inverse = np.zeros(3), np.empty(3), np.empty((3, 3)), np.empty((3, 3))
    jacobian, weighted, moved = np.empty((cameras, 2, 3)), np.empty((2 * cameras, 3)), np.empty(3)
    usable = _drift_bodies(centre, offset, certainty)
    for n in usable:
        own[:] = 0.0
        for c in range(cameras):
            see(cam_from_world[c], 0.0, centre[n], still, local)
            image_jacobian(cam_from_world[c], local, jacobian[c])
            weight = _weight(offset, certainty, c, n)
            for r in range(2):
                weighted[2 * c + r] = weight * jacobian[c, r]
                for i in range(3):
                    for k in range(3):
                        own[i, k] += weight * jacobian[c, r, i] * jacobian[c, r, k]
        for r in range(3):
            own[r, r] += _FLOOR
        information_of(own, own, 0.0, inverse)
        for row in range(2 * cameras):
            for k in range(3):
                moved[k] = 0.0
                for i in range(3):
                    moved[k] += weighted[row, i] * inverse[i, k] / len(usable)
            for column in range(2 * cameras):
                c, weight = column // 2, 0.0
                for k in range(3):
                    weight -= moved[k] * weighted[column, k]
                if row == column:
                    weight += _weight(offset, certainty, c, n) / len(usable)
                matrix[row, column] += weight
                if _weight(offset, certainty, c, n) > 0.0:
                    right[row] += weight * offset[c, n, column % 2]
    return len(usable)


@helper
def _drift_bodies(centre: Float2D, offset: Float3D, certainty: Float2D) -> Int1D:
    """Return the bodies that three cameras see, or more."""
    usable, count = np.empty(len(centre), np.int64), 0
    for n in range(len(centre)):
        seen = 0
        for c in range(len(certainty)):
            seen += _weight(offset, certainty, c, n) > 0.0
        if seen >= 3 and math.isfinite(centre[n, 0]):
            usable[count] = n
            count += 1
    return usable[:count]


@helper
def _weight(offset: Float3D, certainty: Float2D, c: int, n: int) -> float:
    """Return the information of a view's offset, 0 where it is unknown."""
    return certainty[c, n] / _ALIKE_JOINTS if math.isfinite(offset[c, n, 0]) else 0.0


@kernel('matrix', 'right')
def learn_clocks(views: SeenBodies, offset_s: Float1D, matrix: Float2D, right: Float1D) -> None:
    """Add moving joints to the normal equations of the cameras' clock offsets and view offsets, the joints eliminated.

    Args:
        views: of the set.
        offset_s: (C,) clock offsets that are taken off already.
        matrix, right: (3C, 3C) and (3C,) to be added to; of each camera the clock's offset, s, and the view's (x, y).
    """
    cameras = len(offset_s)
    # Of a joint: its own normal matrix (3, 3), its right-hand side, and how it is coupled to the cameras that see it.
    own, inverse, gain = np.empty((4, 3)), np.empty((3, 3)), np.empty(3)
    coupled, column_of = np.empty((3 * cameras, 3)), np.empty(3 * cameras, np.int64)
    for n, j in _moving_joints(views):
        own[:] = 0.0
        size = 0
        for c in range(cameras):
            if _motion_weight(views, c, n, j) > 0.0:
                _add_motion(views, (c, n, j), offset_s[c], matrix, right, own, coupled[size : size + 3])
                for k in range(3):
                    column_of[size + k] = 3 * c + k
                size += 3
        for r in range(3):
            own[r, r] += _FLOOR
        information_of(own, own, 0.0, inverse)
        for i in range(size):
            for k in range(3):
                gain[k] = coupled[i, 0] * inverse[0, k] + coupled[i, 1] * inverse[1, k] + coupled[i, 2] * inverse[2, k]
            right[column_of[i]] -= gain[0] * own[3, 0] + gain[1] * own[3, 1] + gain[2] * own[3, 2]
            for k in range(size):
                matrix[column_of[i], column_of[k]] -= (
                    gain[0] * coupled[k, 0] + gain[1] * coupled[k, 1] + gain[2] * coupled[k, 2]
                )


@helper
def _motion_weight(views: SeenBodies, c: int, b: int, j: int) -> float:
    """Return the information of a keypoint; 0 of a camera that was moved, which sees everybody elsewhere."""
    if views.moved[c] or not math.isfinite(views.xn[c, b, j, 0]):
        return 0.0
    weight: float = information_at(views, c, b, j) * views.robust_weight[c, b, j] / ALIKE_SETS
    return weight


@helper
def _moving_joints(views: SeenBodies) -> Int2D:
    """Return the bodies and joints (M, 2) that move and that two cameras see, or more: the fastest."""
    bodies, joints = len(views.chosen), views.xyz.shape[1]
    found, speed, count = np.empty((bodies * joints, 2), np.int64), np.empty(bodies * joints), 0
    for n in range(bodies):
        b = views.chosen[n]
        for j in range(joints):
            v = views.velocity[b, j]
            speed[count] = math.sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2])
            seen = 0
            for c in range(len(views.dt_s)):
                seen += information_at(views, c, b, j) * views.robust_weight[c, b, j] > 0.0 and not views.moved[c]
            xyz = views.xyz[b, j]
            if speed[count] > _LEAST_SPEED_M_S and seen >= 2 and math.isfinite(xyz[0] + xyz[1] + xyz[2]):
                found[count, 0], found[count, 1] = b, j
                count += 1
    if count > _MOST_JOINTS:
        least = np.sort(speed[:count])[count - _MOST_JOINTS]
        kept = 0
        for i in range(count):
            if speed[i] >= least:
                found[kept] = found[i]
                kept += 1
        count = kept
    return found[:count]


@helper
def _add_motion(
    views: SeenBodies, at: tuple[int, int, int], offset_s: float, matrix: Float2D, right: Float1D, own: Float2D,
    coupled: Float2D,
) -> None:
    """Add a keypoint, camera, body and joint ``at``, to the cameras' normal equations and to its joint's.

    Args:
        views: of the set.
        at: camera, body and joint.
        offset_s: the clock's offset that is taken off already.
        matrix, right: of the cameras; see ``learn_clocks``.
        own: (4, 3), the joint's normal matrix, and below it its right-hand side.
        coupled: (3, 3) to be written: how the camera's three unknowns are coupled to the joint.
    """
    c, b, j = at
    local, jacobian, design = np.empty(3), np.empty((2, 3)), np.zeros((2, 3))
    velocity, weight = views.velocity[b, j], _motion_weight(views, c, b, j)
    see(views.cam_from_world[c], views.dt_s[c], views.xyz[b, j], velocity, local)
    image_jacobian(views.cam_from_world[c], local, jacobian)
    coupled[:] = 0.0
    for r in range(2):
        flow = jacobian[r, 0] * velocity[0] + jacobian[r, 1] * velocity[1] + jacobian[r, 2] * velocity[2]
        error = views.xn[c, b, j, r] - local[r] / max(local[2], NEAR_M) - flow * offset_s
        design[r, 0], design[r, 1 + r] = -flow, 1.0
        for i in range(3):
            own[3, i] += weight * jacobian[r, i] * error
            right[3 * c + i] += weight * design[r, i] * error
            for k in range(3):
                own[i, k] += weight * jacobian[r, i] * jacobian[r, k]
                coupled[i, k] += weight * design[r, i] * jacobian[r, k]
                matrix[3 * c + i, 3 * c + k] += weight * design[r, i] * design[r, k]


class Stamps(NamedTuple):
    """What the cameras' stamps were until now.

    Attributes:
        last_ns: (C,) of each camera's last set, 0 before.
        period_s: (C,) least step of each camera's stamps, inf before: frames may be lost.
        triggered: (C,) share of the last sets in which the stamp was that of most cameras; NaN before the first.
    """

    last_ns: Int1D
    period_s: Float1D
    triggered: Float1D


@kernel()
def note_stamps(stamps: Stamps, stamp_ns: Int1D, known_s: Float1D, present: Bool1D) -> None:
    """Take note of a set's stamps.

    Args:
        stamps: to be changed.
        stamp_ns: (C,) as they came, ns.
        known_s: (C,) the cameras' offsets in the rig. Stamps may be the same as they came (offsets are then delays
            behind one trigger), or with these taken off (one trigger, clocks that were set apart).
        present: (C,) the cameras of the set.
    """
    cameras, count, first_ns = len(present), 0, np.int64(0)
    for c in range(cameras):
        if not present[c]:
            continue
        first_ns = min(first_ns, stamp_ns[c]) if count else stamp_ns[c]
        count += 1
        if stamps.last_ns[c] > 0:
            stamps.period_s[c] = min(stamps.period_s[c], (stamp_ns[c] - stamps.last_ns[c]) / _NS_PER_S)
        stamps.last_ns[c] = stamp_ns[c]
    if count < 2:
        return
    late_s, same = np.empty(cameras), np.zeros(cameras, np.bool_)
    for known in range(2):
        for c in range(cameras):
            late_s[c] = (stamp_ns[c] - first_ns) / _NS_PER_S - known * known_s[c]
        _note_alike(late_s, present, stamps.period_s, same)
    for c in range(cameras):
        if present[c]:
            share = stamps.triggered[c]
            now = 1.0 if same[c] else 0.0
            stamps.triggered[c] = share + (now - share) / _LAST_SETS if math.isfinite(share) else now


@helper
def _note_alike(late_s: Float1D, present: Bool1D, period_s: Float1D, same: Bool1D) -> None:
    """Set ``same`` (C,) of the stamps that are those of most of the cameras present, up to whole periods.

    Clocks that are off by more than half of a period put frames of different triggers into one set.
    """
    values, alike, count, agree = np.empty(len(late_s)), np.zeros(len(late_s), np.bool_), 0, 0
    for c in range(len(late_s)):
        if present[c]:
            values[count] = late_s[c]
            count += 1
    middle = median(values[:count])
    for c in range(len(late_s)):
        apart = late_s[c] - middle
        if math.isfinite(period_s[c]) and period_s[c] > 4.0 * TRIGGER_S:
            apart -= round(apart / period_s[c]) * period_s[c]
        alike[c] = present[c] and abs(apart) <= TRIGGER_S
        agree += alike[c]
    # Two clocks of one trigger that are a period apart agree too; most of the cameras do not.
    if 2 * agree > count:
        for c in range(len(late_s)):
            same[c] |= alike[c]
