# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""One body's lifted poses as a Gaussian over its joints, the errors that the joints of a view share kept apart.

With D the errors of each joint and U the shared modes, scaled to unit variance (shifts: infinite),
(D + U U^T)^-1 = D^-1 - D^-1 U (T + U^T D^-1 U)^-1 U^T D^-1, T = diag(0, 0, 0, 1, 1, 1, 1) (Woodbury). A view adds D^-1
to the joints' own information, and D^-1 U C^-T, C C^T = T + U^T D^-1 U, as seven columns to what is subtracted.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ...compiled import Float1D, Float2D, helper
from .algebra import add_product
from .tables import Model, Prior

# Shared errors of a lifted pose: shift (3), rotation (3), scale (1).
SHARED = 7
# Information that keeps joints solvable that nothing determines, 1/m^2: a standard deviation of 1 km.
_FLOOR = 1e-6


class Gaussian(NamedTuple):
    """What is known of one body's joints beside the keypoints: the information is own - Y Y^T + Z Z^T.

    Attributes:
        lifted: how many views are.
        own: (J, 6) information of each joint.
        right: (3J,) information times mean.
        columns: (3J, r) Y, seven of each lifted view, and Z, three if the centre is known.
    """

    lifted: int
    own: Float2D
    right: Float1D
    columns: Float2D


@helper
def is_lifted(prior: Prior, v: int, n: int) -> bool:
    """Return whether lifted view ``v`` of body ``n`` is known."""
    total = prior.root[v, n, 0] + prior.root[v, n, 1] + prior.root[v, n, 2]
    for j in range(prior.pose.shape[2]):
        total += prior.pose[v, n, j, 0] + prior.pose[v, n, j, 1] + prior.pose[v, n, j, 2]
    return math.isfinite(total)


@helper
def read_prior(prior: Prior, model: Model, n: int) -> Gaussian:
    """Return what is known of body ``n``; m lifted views count as sqrt(m) independent ones."""
    views, _, joints, _ = prior.pose.shape
    lifted = 0
    for v in range(views):
        lifted += is_lifted(prior, v, n)
    # A body that keypoints alone place needs no centre.
    centred = lifted and len(prior.centre_variance) and (
        math.isfinite(prior.centre[n, 0]) and prior.centre_variance[n] < np.inf
    )
    known = Gaussian(
        lifted, np.zeros((joints, 6)), np.zeros(3 * joints), np.zeros((3 * joints, SHARED * lifted + 3 * centred))
    )
    for j in range(joints):
        known.own[j, 0] = known.own[j, 3] = known.own[j, 5] = _FLOOR
    begin = 0
    for v in range(views):
        if is_lifted(prior, v, n):
            _add_view(prior, model, v, n, known, begin)
            begin += SHARED
    if centred:
        # The mean of the joints is at the centre.
        root = math.sqrt(1.0 / prior.centre_variance[n]) / joints
        for j in range(joints):
            for r in range(3):
                known.columns[3 * j + r, begin + r] = root
                known.right[3 * j + r] += root * root * joints * prior.centre[n, r]
    return known


@helper
def _add_view(prior: Prior, model: Model, v: int, n: int, known: Gaussian, begin: int) -> None:
    """Add one lifted view, its columns from ``begin`` on."""
    pose, axis = prior.pose[v, n], prior.axis[v, n]
    joints, share = len(pose), 1.0 / math.sqrt(known.lifted)
    precise, loose = 1.0 / model.across**2, 1.0 / model.along**2
    middle = np.zeros(3)
    for j in range(joints):
        for k in range(3):
            middle[k] += pose[j, k] / joints
    # The shared modes, and D^-1 times them.
    U, W, mean = np.zeros((3 * joints, SHARED)), np.empty((3 * joints, SHARED)), np.empty(3 * joints)
    for j in range(joints):
        certain, i = share / (prior.sigma[v, n, j] * prior.sigma[v, n, j]), 3 * j
        _fill_modes(model, pose[j, 0] - middle[0], pose[j, 1] - middle[1], pose[j, 2] - middle[2], U[i:i + 3])
        m = 0
        for r in range(3):
            x = certain * (loose - precise) * axis[r] * axis[0] + (certain * precise if r == 0 else 0.0)
            y = certain * (loose - precise) * axis[r] * axis[1] + (certain * precise if r == 1 else 0.0)
            z = certain * (loose - precise) * axis[r] * axis[2] + (certain * precise if r == 2 else 0.0)
            for k in range(SHARED):
                W[i + r, k] = x * U[i, k] + y * U[i + 1, k] + z * U[i + 2, k]
            mean[i + r] = pose[j, r]
            known.right[i + r] += x * pose[j, 0] + y * pose[j, 1] + z * pose[j, 2]
            for k in range(r, 3):
                known.own[j, m] += x if k == 0 else (y if k == 1 else z)
                m += 1
    S, columns, pulled = np.zeros((SHARED, SHARED)), np.zeros(W.shape), np.zeros(SHARED)
    add_product(1.0, U.T, W, S)
    for m in range(3, SHARED):
        S[m, m] += share
    add_product(1.0, W, _inverse_root(S), columns)
    for i in range(3 * joints):
        for m in range(SHARED):
            pulled[m] += columns[i, m] * mean[i]
    for i in range(3 * joints):
        for m in range(SHARED):
            known.columns[i, begin + m] = columns[i, m]
            known.right[i] -= columns[i, m] * pulled[m]


@helper
def _fill_modes(model: Model, x: float, y: float, z: float, U: Float2D) -> None:
    """Write (3, 7) how a joint at (x, y, z) m from the body's middle moves with the modes, each of unit variance."""
    f, g = model.rotation_rad, model.scale
    U[0, 0] = U[1, 1] = U[2, 2] = 1.0
    U[1, 3], U[2, 3] = -f * z, f * y
    U[0, 4], U[2, 4] = f * z, -f * x
    U[0, 5], U[1, 5] = -f * y, f * x
    U[0, 6], U[1, 6], U[2, 6] = g * x, g * y, g * z


@helper
def _inverse_root(S: Float2D) -> Float2D:
    """Return C^-T (n, n) of S = C C^T, C lower triangular; S changes."""
    n = len(S)
    root = np.zeros((n, n))
    for k in range(n):
        for m in range(k, n):
            for i in range(k):
                S[m, k] -= S[m, i] * S[k, i]
            S[m, k] = math.sqrt(S[k, k]) if m == k else S[m, k] / S[k, k]
    for k in range(n):
        root[k, k] = 1.0 / S[k, k]
        for m in range(k + 1, n):
            for i in range(k, m):
                root[k, m] -= S[m, i] * root[k, i]
            root[k, m] /= S[m, m]
    return root
