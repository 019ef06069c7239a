# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""One body's joints from all that couples them: the bones are a tree, and the rest is of low rank.

The information is A - Y Y^T + Z Z^T, where A has a block per joint and one per bone. Along the tree A needs no fill-in:
from the leaves inwards each joint is eliminated, as a Kalman filter takes in a measurement, and from the pelvis
outwards each is found again. The r columns of Y and Z leave an r x r matrix (Woodbury) that is quasi-definite: it has
an LDL^T without pivots (Vanderbei 1995). docs/fusion.md, 'Solution', derives it.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ...compiled import Float1D, Float2D, helper
from ...skeleton import BODY17
from .algebra import add_outer, add_product, find_whitener, solve_white
from .equations import NEAR_M
from .tables import Model, Prior

# The joint at the other end of the bone that ends in each joint of body17; a parent comes before its children.
PARENT = np.array([-1, *(parent for parent, _ in BODY17.edges)])


class Tree(NamedTuple):
    """Room for the joints of one body, and r columns besides that of the right-hand side.

    Attributes:
        whitener: (J, 6) of each joint's information and what hangs on it, the bone to its parent apart.
        direction: (J, 3) unit vector of the bone that ends in the joint.
        length, variance: (J,) m, m^2 of that bone; infinite if it is not known.
        gain: (J, 3) the inverse of the joint's information, times the direction.
        certain: (J,) 1/m^2, what the joint says about its parent along the bone.
        columns: (3J, r + 1) Y, Z and the right-hand side, the joints that hang on each eliminated.
        solved: (3J, r + 1) the same times the inverse of A's block-diagonal factor; at last A^-1 [Y Z].
        middle: (r + 1, r + 1) the r x r matrix, factored, and in its last column what it solves.
    """

    whitener: Float2D
    direction: Float2D
    length: Float1D
    variance: Float1D
    gain: Float2D
    certain: Float1D
    columns: Float2D
    solved: Float2D
    middle: Float2D


@helper
def make_tree(joints: int, r: int) -> Tree:
    """Return room for a body without known bones."""
    size = 3 * joints
    return Tree(
        np.empty((joints, 6)), np.zeros((joints, 3)), np.zeros(joints), np.full(joints, np.inf), np.zeros((joints, 3)),
        np.zeros(joints), np.empty((size, r + 1)), np.empty((size, r + 1)), np.empty((r + 1, r + 1)),
    )


@helper
def read_bones(prior: Prior, model: Model, n: int, seen: int, xyz: Float2D, tree: Tree) -> None:
    """Linearise the known bones of body ``n`` at joints ``xyz`` (3, J): the gradient of a length is its direction.

    The more views ``seen``, the less a length decides: what it is not rigid is then the larger part of what views err.
    """
    spread = model.bone_spread * max(1.0, 0.5 * seen)
    for q in range(1, prior.length.shape[1] + 1):
        p = PARENT[q]
        x, y, z = xyz[0, q] - xyz[0, p], xyz[1, q] - xyz[1, p], xyz[2, q] - xyz[2, p]
        f = 1.0 / max(math.sqrt(x * x + y * y + z * z), NEAR_M * NEAR_M)
        tree.direction[q, 0], tree.direction[q, 1], tree.direction[q, 2] = f * x, f * y, f * z
        tree.length[q] = prior.length[n, q - 1]
        tree.variance[q] = prior.variance[n, q - 1] + (spread * tree.length[q]) ** 2


@helper
def solve_tree(tree: Tree, own: Float2D, negative: int, xyz: Float2D) -> bool:
    """Write the joints ``xyz`` (3, J); return False, and write NaN, where the information is not positive definite.

    Args:
        tree: ``columns`` holds Y, Z and the right-hand side; they change.
        own: (J, 6) A without the bones; it changes.
        negative: columns of Y.
        xyz: to be written.
    """
    F, M, fine = tree.columns, tree.middle, _eliminate(tree, own)
    r = len(M) - 1
    _solve_blocks(tree)
    # [Y Z]^T A^-1 [Y Z right], and the signs.
    M[:] = 0.0
    add_product(1.0, F.T, tree.solved, M)
    for m in range(r):
        M[m, m] += -1.0 if m < negative else 1.0
    # Rows in full: a loop that does not begin at 0 is not vectorised.
    for k in range(r):
        fine &= M[k, k] < 0.0 if k < negative else M[k, k] > 0.0
        for m in range(k + 1, r):
            f = M[k, m] / M[k, k]
            for i in range(r + 1):
                M[m, i] -= f * M[k, i]
    for k in range(r - 1, -1, -1):
        for m in range(k + 1, r):
            M[k, r] -= M[k, m] * M[m, r]
        M[k, r] /= M[k, k]
    for i in range(len(F)):
        for m in range(r):
            F[i, r] -= F[i, m] * M[m, r]
    _find_outwards(tree, xyz)
    if not fine:
        xyz[:] = np.nan
    return fine


@helper
def _eliminate(tree: Tree, own: Float2D) -> bool:
    """Eliminate the joints from the leaves inwards: what a joint says of its parent is the bone, and its own error."""
    fine, F = True, tree.columns
    for q in range(len(own) - 1, -1, -1):
        d, gain = tree.direction[q], tree.gain[q]
        fine &= find_whitener(own[q], tree.whitener[q])
        tree.certain[q] = 0.0
        if not tree.variance[q] < np.inf:
            continue
        gx, gy, gz = solve_white(tree.whitener[q], d[0], d[1], d[2])
        c = 1.0 / (tree.variance[q] + d[0] * gx + d[1] * gy + d[2] * gz)
        gain[0], gain[1], gain[2], tree.certain[q], p = gx, gy, gz, c, PARENT[q]
        add_outer(own[p], c, d)
        dx, dy, dz, i, o = d[0], d[1], d[2], 3 * q, 3 * p
        for m in range(F.shape[1]):
            s = c * (gx * F[i, m] + gy * F[i + 1, m] + gz * F[i + 2, m])
            F[o, m] += s * dx
            F[o + 1, m] += s * dy
            F[o + 2, m] += s * dz
        s, r = c * tree.length[q], F.shape[1] - 1
        F[o, r] -= s * dx
        F[o + 1, r] -= s * dy
        F[o + 2, r] -= s * dz
    return fine


@helper
def _solve_blocks(tree: Tree) -> None:
    """Write ``solved``: the columns times the inverse of each joint's block, its own bone included."""
    F, H = tree.columns, tree.solved
    for j in range(len(tree.gain)):
        white, i, c = tree.whitener[j], 3 * j, tree.certain[j]
        w0, w1, w2, w3, w4, w5 = white[0], white[1], white[2], white[3], white[4], white[5]
        gx, gy, gz = tree.gain[j, 0], tree.gain[j, 1], tree.gain[j, 2]
        for m in range(F.shape[1]):
            x, y, z = F[i, m], F[i + 1, m], F[i + 2, m]
            s = c * (gx * x + gy * y + gz * z)
            u, v, w = w0 * x, w1 * x + w2 * y, w3 * x + w4 * y + w5 * z
            H[i, m] = w0 * u + w1 * v + w3 * w - gx * s
            H[i + 1, m] = w2 * v + w4 * w - gy * s
            H[i + 2, m] = w5 * w - gz * s
        s, r = c * tree.length[j], F.shape[1] - 1
        H[i, r] += s * gx
        H[i + 1, r] += s * gy
        H[i + 2, r] += s * gz


@helper
def _find_outwards(tree: Tree, xyz: Float2D) -> None:
    """Write the joints from the pelvis outwards: each as alone, moved along its bone so far as the parent says."""
    F, r = tree.columns, len(tree.middle) - 1
    for q in range(len(tree.gain)):
        d, gain = tree.direction[q], tree.gain[q]
        x, y, z = solve_white(tree.whitener[q], F[3 * q, r], F[3 * q + 1, r], F[3 * q + 2, r])
        if tree.certain[q] > 0.0:
            p = PARENT[q]
            short = tree.length[q] + d[0] * (xyz[0, p] - x) + d[1] * (xyz[1, p] - y) + d[2] * (xyz[2, p] - z)
            s = tree.certain[q] * short
            x, y, z = x + s * gain[0], y + s * gain[1], z + s * gain[2]
        xyz[0, q], xyz[1, q], xyz[2, q] = x, y, z


@helper
def find_covariance(tree: Tree) -> Float2D:
    """Return the covariance (3J, 3J) of the joints after ``solve_tree``: A^-1, and what the r columns add or take."""
    M, P = tree.middle, _invert_outwards(tree)
    size, r = len(P), len(M) - 1
    # With M = L D L^T: P -= Q^T D^-1 Q, Q = L^-1 (A^-1 [Y Z])^T.
    Q, scaled = np.empty((r, size)), np.empty((r, size))
    for m in range(r):
        for i in range(size):
            Q[m, i] = tree.solved[i, m]
        for k in range(m):
            f = M[k, m] / M[k, k]
            for i in range(size):
                Q[m, i] -= f * Q[k, i]
        for i in range(size):
            scaled[m, i] = Q[m, i] / M[m, m]
    add_product(-1.0, scaled.T, Q, P)
    return P


@helper
def _invert_outwards(tree: Tree) -> Float2D:
    """Return A^-1, and write A^-1 [Y Z], from the pelvis outwards."""
    joints, X, rank = len(tree.gain), tree.solved, len(tree.middle)
    P, along, unit = np.zeros((3 * joints, 3 * joints)), np.empty(3 * joints), np.zeros(3)
    for q in range(joints):
        d, gain, c, i = tree.direction[q], tree.gain[q], tree.certain[q], 3 * q
        for k in range(3):
            unit[k] = 1.0
            column = solve_white(tree.whitener[q], unit[0], unit[1], unit[2])
            unit[k] = 0.0
            for m in range(3):
                P[i + m, i + k] = column[m] - c * gain[k] * gain[m]
        if not c > 0.0:
            continue
        p, dx, dy, dz = 3 * PARENT[q], c * d[0], c * d[1], c * d[2]
        for m in range(rank):
            s = dx * X[p, m] + dy * X[p + 1, m] + dz * X[p + 2, m]
            X[i, m] += gain[0] * s
            X[i + 1, m] += gain[1] * s
            X[i + 2, m] += gain[2] * s
        for o in range(3 * joints):
            along[o] = dx * P[p, o] + dy * P[p + 1, o] + dz * P[p + 2, o]
        for k in range(3):
            for o in range(i):
                P[i + k, o] = P[o, i + k] = gain[k] * along[o]
        # The parent's own error along the bone moves the joint.
        s = dx * along[p] + dy * along[p + 1] + dz * along[p + 2]
        for k in range(3):
            for m in range(3):
                P[i + k, i + m] += gain[k] * gain[m] * s
    return P
