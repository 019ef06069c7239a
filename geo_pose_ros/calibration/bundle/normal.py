"""The normal equations of the bundle adjustment, and what is left of them without the joints."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...arrays import FloatArray
from ...geometry.stats import geman_mcclure_cost, geman_mcclure_weight
from .parameters import CHILD, PARENT, Unknowns
from .residuals import HOLD_M, Problem


@dataclass(slots=True, eq=False)
class NormalEquations:
    """Normal equations of G free parameters (cameras, then the people's bones) and M poses of J joints.

    Attributes:
        A, a: (G, G), and per pose (M, G): cameras and bones.
        N, n: (M, J, 3, J, 3) and (M, J, 3): the poses.
        W: (M, J, 3, G) mixed.
        prior_pull: (G,) of what is known beforehand.
        robust_weight: (C, M, J) of each keypoint, NaN = none.
        slope: mean second derivative of the loss: Huber's correction of the covariance.
    """

    A: FloatArray
    a: FloatArray
    N: FloatArray
    n: FloatArray
    W: FloatArray
    prior_pull: FloatArray
    robust_weight: FloatArray
    slope: float = 1.0

    def reduced(self, damping: float) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return the Schur complement (G, G), the reduced pull per pose (M, G), and N^-1 [W n] (M, 3J, G + 1)."""
        poses, size = self.a.shape
        W, n = self.W.reshape(poses, -1, size), self.n.reshape(poses, -1)
        N = self.N.reshape(poses, n.shape[1], n.shape[1]).copy()
        index = np.arange(n.shape[1])
        N[:, index, index] *= 1.0 + damping
        solved = np.linalg.solve(N, np.concatenate([W, n[..., None]], -1))
        S = self.A - W.reshape(-1, size).T @ solved.reshape(-1, size + 1)[:, :-1]
        pull = self.a - np.einsum('mig,mi->mg', W, solved[..., -1])
        return 0.5 * (S + S.T), pull, solved


def normal_equations(problem: Problem, at: Unknowns) -> NormalEquations:
    """Return the normal equations at the current values, weighted robustly."""
    cameras, poses, joints = problem.views.weight.shape
    free = int(problem.free.sum())
    size = free + at.bones_m.size
    normal = NormalEquations(
        np.zeros((size, size)), np.zeros((poses, size)), np.zeros((poses, joints, 3, joints, 3)),
        np.zeros((poses, joints, 3)), np.zeros((poses, joints, 3, size)), np.zeros(size),
        np.full((cameras, poses, joints), np.nan),
    )
    _add_keypoints(normal, problem, at)
    if problem.config.bone_spread > 0.0:
        _add_bones(normal, problem, at)
    hold = 1.0 / HOLD_M**2
    index = np.arange(joints)
    normal.N[:, index, :, index, :] += hold * np.eye(3)
    normal.n += np.where(problem.known[..., None], hold * (at.xyz - problem.start.xyz), 0.0)
    information = problem.prior_information()
    normal.A[np.arange(free), np.arange(free)] += information[problem.free]
    normal.prior_pull[:free] = (information * problem.prior_change(at))[problem.free]
    return normal


def _add_keypoints(normal: NormalEquations, problem: Problem, at: Unknowns) -> None:
    slope, count = 0.0, 0.0
    end = np.cumsum(problem.free.sum(1)).tolist()
    for c, free in enumerate(problem.free):
        pose, joint = np.nonzero(problem.used[c])
        residual, J_camera, J_point = problem.linearized(at, c)
        J_camera, columns = J_camera[..., free], slice(end[c] - int(free.sum()), end[c])
        base = (problem.views.weight[c, pose, joint] / problem.sigma_px) ** 2
        share = (residual**2).sum(1) * base / problem.bound2[pose, joint]
        robust = np.nan_to_num(geman_mcclure_weight(share))
        normal.robust_weight[c, pose, joint] = robust
        # The mean of the second derivatives by both components.
        slope += float((robust * (1.0 - 2.0 * np.nan_to_num(geman_mcclure_cost(share)))).sum())
        count += float(robust.sum())
        w = (base * robust)[:, None, None]
        residual = np.nan_to_num(residual)
        normal.A[columns, columns] += np.einsum('nxi,nxj->ij', w * J_camera, J_camera, optimize=True)
        pull = np.einsum('nxi,nx->ni', w * J_camera, residual)
        np.add.at(normal.a[:, columns], pose, pull)
        normal.N[pose, joint, :, joint, :] += np.einsum('nxi,nxj->nij', w * J_point, J_point)
        normal.n[pose, joint] += np.einsum('nxi,nx->ni', w * J_point, residual)
        normal.W[pose, joint, :, columns] += np.einsum('nxi,nxj->nij', w * J_point, J_camera)
    normal.slope = max(slope / max(count, 1e-12), 0.2)


def _add_bones(normal: NormalEquations, problem: Problem, at: Unknowns) -> None:
    residual, u, inverse = problem.bone_residuals(at)
    weight = np.nan_to_num(geman_mcclure_weight(residual**2 / problem.config.robust_sigmas**2))
    residual = np.nan_to_num(residual)
    first = int(problem.free.sum()) + problem.views.person * len(PARENT)
    poses = np.arange(len(problem.views))
    A, a, N, n, W = normal.A, normal.a, normal.N, normal.n, normal.W
    for b, (p, c) in enumerate(zip(PARENT.tolist(), CHILD.tolist(), strict=True)):
        w, g = weight[:, b], inverse[:, b, None] * u[:, b]
        outer = w[:, None, None] * g[:, :, None] * g[:, None, :]
        N[:, p, :, p] += outer
        N[:, c, :, c] += outer
        N[:, p, :, c] -= outer
        N[:, c, :, p] -= outer
        pull = (w * residual[:, b])[:, None] * g
        n[:, c] += pull
        n[:, p] -= pull
        column = first + b
        by_length = -(w * inverse[:, b])[:, None] * g
        W[poses, c, :, column] += by_length
        W[poses, p, :, column] -= by_length
        np.add.at(A, (column, column), w * inverse[:, b] ** 2)
        a[poses, column] -= w * inverse[:, b] * residual[:, b]
