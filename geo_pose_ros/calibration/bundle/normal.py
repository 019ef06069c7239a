# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The normal equations of the bundle adjustment, without the joints, and the covariance of the cameras from them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...arrays import FloatArray
from ...geometry.rigid import cross_matrix
from ...geometry.stats import geman_mcclure_cost, geman_mcclure_weight
from .residuals import CHILD, HOLD_M, PARAMETERS, PARENT, ROTATION, TRANSLATION, Problem, Unknowns

# Rotation, translation and scale of the world.
_GAUGE = 7
# Errors farther apart in time are independent.
_MEMORY_S = 1.0


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
    residual, by_child, by_bone = problem.bone_residuals(at)
    weight = np.nan_to_num(geman_mcclure_weight(residual**2 / problem.config.robust_sigmas**2))
    residual = np.nan_to_num(residual)
    first = int(problem.free.sum()) + problem.views.person * len(PARENT)
    poses = np.arange(len(problem.views))
    A, a, N, n, W = normal.A, normal.a, normal.N, normal.n, normal.W
    for b, (p, c) in enumerate(zip(PARENT.tolist(), CHILD.tolist(), strict=True)):
        w, g, h = weight[:, b], by_child[:, b], by_bone[:, b]
        outer = w[:, None, None] * g[:, :, None] * g[:, None, :]
        N[:, p, :, p] += outer
        N[:, c, :, c] += outer
        N[:, p, :, c] -= outer
        N[:, c, :, p] -= outer
        pull = (w * residual[:, b])[:, None] * g
        n[:, c] += pull
        n[:, p] -= pull
        column = first + b
        by_both = (w * h)[:, None] * g
        W[poses, c, :, column] += by_both
        W[poses, p, :, column] -= by_both
        np.add.at(A, (column, column), w * h**2)
        a[poses, column] += w * h * residual[:, b]


def camera_covariance(problem: Problem, normal: NormalEquations, at: Unknowns) -> FloatArray:
    """Return the covariance (11 C, 11 C) of the cameras' parameters in the world that fits them best; 0 if not free.

    H^-1 B H^-1 with H the reduced normal matrix and B the covariance of the reduced pulls, with their correlation
    over up to a second (Newey & West, Econometrica 1987): a detector's error lasts, and a covariance that takes
    every image for new information is several times too small.
    """
    S, pull, _ = normal.reduced(0.0)
    diagonal = np.diag(S)
    # What nothing says anything about (bones that are not used) has no part in the inverse.
    informed = diagonal > 0.0
    scale = np.where(informed, 1.0 / np.sqrt(np.where(informed, diagonal, 1.0)), 0.0)
    values, vectors = np.linalg.eigh(S * scale[:, None] * scale)
    # Without given poses the world's seven dimensions are free.
    nothing = int((~informed).sum()) + (_GAUGE if problem.given is None else 0)
    order = np.argsort(values)[nothing:]
    inverse = (vectors[:, order] / np.maximum(values[order], 1e-12)) @ vectors[:, order].T
    inverse *= scale[:, None] * scale
    B = _pull_covariance(problem.views.time_s, pull)
    # What is known beforehand is information too, and as uncertain as it says.
    free = np.flatnonzero(problem.free)
    B[np.arange(len(free)), np.arange(len(free))] += problem.prior_information()[problem.free]
    full = inverse @ B @ inverse / normal.slope**2
    covariance = np.zeros((problem.free.size, problem.free.size))
    covariance[np.ix_(free, free)] = full[: len(free), : len(free)]
    G = gauge(at.R, at.t)
    metric = alignment_metric(at, at.xyz[problem.known])
    P = np.eye(len(G)) - G @ np.linalg.solve((G * metric[:, None]).T @ G, (G * metric[:, None]).T)
    return np.asarray(P @ covariance @ P.T)


def gauge(R: FloatArray, t: FloatArray) -> FloatArray:
    """Return (11 C, 7): how the parameters of cameras R (C, 3, 3), t (C, 3) change with the world.

    x_world' = (1 + s) (1 + [q]x) x_world + b leaves all pixels as they are; the columns are q, b and s.
    """
    G = np.zeros((len(R), PARAMETERS, _GAUGE))
    for c in range(len(R)):
        centre = -R[c].T @ t[c]
        G[c, ROTATION, :3] = -R[c]
        G[c, TRANSLATION, :3] = R[c] @ cross_matrix(centre)
        G[c, TRANSLATION, 3:6] = -R[c]
        G[c, TRANSLATION, 6] = -R[c] @ centre
    return G.reshape(-1, _GAUGE)


def alignment_metric(at: Unknowns, points: FloatArray) -> FloatArray:
    """Return (11 C,) weights of the parameters in an alignment: a rotation counts as what it moves (m)."""
    positions = -np.einsum('cji,cj->ci', at.R, at.t)
    lever_m = float(np.median(np.linalg.norm(positions - np.median(points, axis=0), axis=1)))
    metric = np.zeros((len(at.R), PARAMETERS))
    metric[:, ROTATION], metric[:, TRANSLATION] = lever_m**2, 1.0
    return metric.ravel()


def _pull_covariance(time_s: FloatArray, pull: FloatArray) -> FloatArray:
    """Return (G, G): the covariance of the summed pulls (M, G), correlated over up to a second."""
    times, index = np.unique(time_s, return_inverse=True)
    instants = np.zeros((len(times), pull.shape[1]))
    np.add.at(instants, index, pull)
    instants -= instants.mean(0)
    own = instants.T @ instants
    kernel = np.maximum(1.0 - np.abs(times[:, None] - times) / _MEMORY_S, 0.0)
    B = instants.T @ kernel @ instants
    # As many independent instants as the correlation leaves; every unknown takes one of them.
    positive = np.diag(own) > 0.0
    repeats = max(float(np.median(np.diag(B)[positive] / np.diag(own)[positive])), 1.0) if positive.any() else 1.0
    independent = len(times) / repeats
    free = max(independent - float(positive.sum()), 0.5 * independent)
    return np.asarray(B * (independent / free))
