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
from .algebra import add_outer, add_product, factor, solve_factored
from .equations import NEAR_M
from .tables import Model, Prior

# The joint at the other end of the bone that ends in each joint of body17; a parent comes before its children.
PARENT = np.array([-1, *(parent for parent, _ in BODY17.edges)])


class Tree(NamedTuple):
    """Room for the joints of one body, r columns of low rank, and n right-hand sides more.

    Attributes:
        factors: (J, 6) of each joint's information and what hangs on it, the bone to its parent apart.
        direction: (J, 3) unit vector of the bone that ends in the joint.
        length, variance: (J,) m, m^2 of that bone; infinite if it is not known.
        gain: (J, 3) the inverse of the joint's information, times the direction.
        certain: (J,) 1/m^2, what the joint says about its parent along the bone.
        right: (3J,) the right-hand side; ``solve_tree`` leaves the joints, m.
        columns: (3J, r + n) Y, Z and other right-hand sides, without the bones' lengths: how they move the joints.
        solved: (3J, r) Y and Z after the elimination, times the inverse of A's block-diagonal factor.
        middle: (r, r + 1) the r x r matrix, and what it solves.
    """

    factors: Float2D
    direction: Float2D
    length: Float1D
    variance: Float1D
    gain: Float2D
    certain: Float1D
    right: Float1D
    columns: Float2D
    solved: Float2D
    middle: Float2D


@helper
def make_tree(joints: int, r: int, n: int) -> Tree:
    """Return room for a body without known bones."""
    size = 3 * joints
    return Tree(
        np.empty((joints, 6)), np.zeros((joints, 3)), np.zeros(joints), np.full(joints, np.inf), np.zeros((joints, 3)),
        np.zeros(joints), np.empty(size), np.zeros((size, r + n)), np.empty((size, r)), np.empty((r, r + 1)),
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
def solve_tree(tree: Tree, own: Float2D, negative: int) -> bool:
    """Solve for ``right``, and for ``columns`` by A alone; return False, and write NaN, where that is not possible.

    Args:
        tree: ``right`` and ``columns`` hold what is given; they change.
        own: (J, 6) A without the bones; it changes.
        negative: columns of Y.
    """
    F, right, M, fine = tree.columns, tree.right, tree.middle, _eliminate(tree, own)
    r = len(M)
    if r:
        # [Y Z]^T A^-1 [Y Z right], and the signs.
        W = F[:, :r].copy()
        _solve_blocks(tree)
        add_product(1.0, tree.solved.T, W, M)
        fine &= _reduce_middle(M, negative)
        for k in range(r - 1, -1, -1):
            for m in range(k + 1, r):
                M[k, r] -= M[k, m] * M[m, r]
            M[k, r] /= M[k, k]
        for i in range(len(right)):
            for m in range(r):
                right[i] -= W[i, m] * M[m, r]
    _find_outwards(tree, F.shape[1] > r)
    if not fine:
        F[:] = np.nan
        right[:] = np.nan
    return fine


@helper
def add_low_rank(tree: Tree, W: Float2D, negative: int, begin: int) -> None:
    """Add to A^-1 [... 1], the ``columns`` after ``solve_tree``, what Y and Z do; 1 stands from column ``begin`` on.

    With [Y Z]^T A^-1 [Y Z] and the signs = L D L^T it is -Q^T D^-1 L^-1 [Y Z]^T times that, Q = L^-1 [Y Z]^T A^-1.
    ``W`` (3J, r) are Y and Z as they were given.
    """
    F, (size, r) = tree.columns, W.shape
    both, N, Q = np.zeros((r, begin)), np.empty((r, F.shape[1])), np.empty((r, size))
    add_product(1.0, W.T, F[:, :begin].copy(), both)
    for m in range(r):
        for i in range(begin):
            N[m, i] = both[m, i]
        for i in range(size):
            N[m, begin + i] = F[i, m]
    _reduce_middle(N, negative)
    for m in range(r):
        row, pivot = N[m], N[m, m]
        for i in range(size):
            Q[m, i] = row[begin + i]
        for i in range(len(row)):
            row[i] /= pivot
    add_product(-1.0, Q.T, N, F)


@helper
def _reduce_middle(M: Float2D, negative: int) -> bool:
    """Add the signs to M (r, r + ...), and eliminate below its diagonal; return whether the pivots have their signs."""
    fine, r = True, len(M)
    for k in range(r):
        M[k, k] += -1.0 if k < negative else 1.0
    for k in range(r):
        fine &= M[k, k] < 0.0 if k < negative else M[k, k] > 0.0
        # Rows in full: a loop that does not begin at 0 is not vectorised.
        for m in range(k + 1, r):
            f, into, row = M[k, m] / M[k, k], M[m], M[k]
            for i in range(len(row)):
                into[i] -= f * row[i]
    return fine


@helper
def _eliminate(tree: Tree, own: Float2D) -> bool:
    """Eliminate the joints from the leaves inwards: what a joint says of its parent is the bone, and its own error."""
    fine, F, right = True, tree.columns, tree.right
    for q in range(len(own) - 1, -1, -1):
        d, gain = tree.direction[q], tree.gain[q]
        fine &= factor(own[q], tree.factors[q])
        tree.certain[q] = 0.0
        if not tree.variance[q] < np.inf:
            continue
        gx, gy, gz = solve_factored(tree.factors[q], d[0], d[1], d[2])
        c = 1.0 / (tree.variance[q] + d[0] * gx + d[1] * gy + d[2] * gz)
        gain[0], gain[1], gain[2], tree.certain[q], i, o = gx, gy, gz, c, 3 * q, 3 * PARENT[q]
        add_outer(own[PARENT[q]], c, d)
        dx, dy, dz = d[0], d[1], d[2]
        s = c * (gx * right[i] + gy * right[i + 1] + gz * right[i + 2] - tree.length[q])
        right[o], right[o + 1], right[o + 2] = right[o] + s * dx, right[o + 1] + s * dy, right[o + 2] + s * dz
        if F.shape[1]:
            x, y, z, u, v, w = F[i], F[i + 1], F[i + 2], F[o], F[o + 1], F[o + 2]
            for m in range(len(x)):
                s = c * (gx * x[m] + gy * y[m] + gz * z[m])
                u[m] += s * dx
                v[m] += s * dy
                w[m] += s * dz
    return fine


@helper
def _solve_blocks(tree: Tree) -> None:
    """Write ``solved``, by each joint's block with its own bone, and begin ``middle``: what ``right`` says."""
    F, H, M, right = tree.columns, tree.solved, tree.middle, tree.right
    M[:] = 0.0
    for j in range(len(tree.gain)):
        f, i, c = tree.factors[j], 3 * j, tree.certain[j]
        xy, xz, yz, xx, yy, zz = f[0], f[1], f[2], f[3], f[4], f[5]
        gx, gy, gz = tree.gain[j, 0], tree.gain[j, 1], tree.gain[j, 2]
        for m in range(len(M)):
            x, y, z = F[i, m], F[i + 1, m], F[i + 2, m]
            s = c * (gx * x + gy * y + gz * z)
            y -= xy * x
            z = (z - xz * x - yz * y) * zz
            y = y * yy - yz * z
            x, y, z = x * xx - xy * y - xz * z - gx * s, y - gy * s, z - gz * s
            H[i, m], H[i + 1, m], H[i + 2, m] = x, y, z
            M[m, len(M)] += x * right[i] + y * right[i + 1] + z * right[i + 2] + tree.length[j] * s


@helper
def _find_outwards(tree: Tree, columns: bool) -> None:
    """Solve from the pelvis outwards: each joint as alone, moved along its bone as the parent says."""
    F, right = tree.columns, tree.right
    for q in range(len(tree.gain)):
        d, f, gain, c, i, o = tree.direction[q], tree.factors[q], tree.gain[q], tree.certain[q], 3 * q, 3 * PARENT[q]
        x, y, z = solve_factored(f, right[i], right[i + 1], right[i + 2])
        if c > 0.0:
            short = d[0] * (right[o] - x) + d[1] * (right[o + 1] - y) + d[2] * (right[o + 2] - z) + tree.length[q]
            x, y, z = x + c * short * gain[0], y + c * short * gain[1], z + c * short * gain[2]
        right[i], right[i + 1], right[i + 2] = x, y, z
        if columns:
            _find_columns(F, tree, q)


@helper
def _find_columns(F: Float2D, tree: Tree, q: int) -> None:
    """Solve the other columns of joint ``q``, whose parent's are."""
    d, f, gain, c, i, o = tree.direction[q], tree.factors[q], tree.gain[q], tree.certain[q], 3 * q, 3 * PARENT[q]
    xy, xz, yz, xx, yy, zz = f[0], f[1], f[2], f[3], f[4], f[5]
    a, b, e = F[i], F[i + 1], F[i + 2]
    for m in range(len(a)):
        x, y, z = a[m], b[m], e[m]
        y -= xy * x
        z = (z - xz * x - yz * y) * zz
        y = y * yy - yz * z
        a[m], b[m], e[m] = x * xx - xy * y - xz * z, y, z
    if c > 0.0:
        dx, dy, dz, gx, gy, gz = d[0], d[1], d[2], c * gain[0], c * gain[1], c * gain[2]
        u, v, w = F[o], F[o + 1], F[o + 2]
        for m in range(len(a)):
            s = dx * (u[m] - a[m]) + dy * (v[m] - b[m]) + dz * (w[m] - e[m])
            a[m], b[m], e[m] = a[m] + s * gx, b[m] + s * gy, e[m] + s * gz
