# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The estimate of one body in slow, clear numpy: dense matrices, one joint or view after the other."""

from __future__ import annotations

import numpy as np

from geo_pose_ros.fusion.prior import BodyPrior
from geo_pose_ros.fusion.settings import SolverConfig
from geo_pose_ros.skeleton import BODY17

NEAR_M, FAR2, FLOOR, INLIER_WEIGHT, UNKNOWN_DEPTH_M = 0.1, 1e6, 1e-6, 0.25, 4.0


def prior_of(prior: BodyPrior, config: SolverConfig) -> tuple[np.ndarray, np.ndarray, int]:
    """Return information (3J, 3J) and information times mean (3J,) of lifted poses and centre; how many are lifted."""
    lifted, joints = prior.lifted, 17
    if lifted is None:
        return FLOOR * np.eye(3 * joints), np.zeros(3 * joints), 0
    known = [v for v in range(len(lifted.pose)) if np.isfinite(lifted.pose[v, 0].sum() + lifted.root[v, 0].sum())]
    information, right = FLOOR * np.eye(3 * joints), np.zeros(3 * joints)
    for v in known:
        pose, axis = lifted.pose[v, 0], lifted.axis[v, 0]
        shape = np.eye(3) / config.lifter_across**2
        shape += (1.0 / config.lifter_along**2 - 1.0 / config.lifter_across**2) * np.outer(axis, axis)
        own = np.kron(np.diag(lifted.sigma[v, 0] ** -2.0), shape)
        arm = pose - pose.mean(0)
        modes = [np.tile(e, joints) for e in np.eye(3)]
        modes += [config.lifter_rotation_rad * np.cross(e, arm).ravel() for e in np.eye(3)]
        U = np.stack([*modes, config.lifter_scale * arm.ravel()], 1)
        inner = np.diag([0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0]) + U.T @ own @ U
        view = (own - own @ U @ np.linalg.solve(inner, U.T @ own)) / np.sqrt(len(known))
        information += view
        right += view @ pose.ravel()
    if known and prior.centre_variance is not None and np.isfinite(prior.centre).all():
        mean = np.tile(np.eye(3), joints) / joints
        information += mean.T @ mean / prior.centre_variance[0]
        right += mean.T @ prior.centre[0] / prior.centre_variance[0]
    return information, right, len(known)


def bones_of(prior: BodyPrior, xyz: np.ndarray, spread: float) -> tuple[np.ndarray, np.ndarray]:
    """Return information and right-hand side of the bones, linearised at joints (J, 3)."""
    information, right = np.zeros((xyz.size, xyz.size)), np.zeros(xyz.size)
    for (p, q), length, variance in zip(BODY17.edges, prior.bones.length[0], prior.bones.variance[0], strict=True):
        bone = xyz[q] - xyz[p]
        row = np.zeros(xyz.shape)
        row[q] = bone / max(np.linalg.norm(bone), NEAR_M**2)
        row[p] = -row[q]
        certain = 1.0 / (variance + (spread * length) ** 2)
        information += certain * np.outer(row, row)
        right += certain * length * row.ravel()
    return information, right


class Seen:
    """The keypoints of one body: P (C, 3, 4), focal lengths (C,), xn (C, J, 2), weights (C, J), displacement."""

    def __init__(self, P, focal_px, xn, weights, displacement, robust_sigmas):
        self.P, self.displacement, self.robust_sigmas = P, displacement, robust_sigmas
        self.used = np.isfinite(xn).all(-1) & (weights > 0.0)
        self.xn = np.where(self.used[..., None], xn, 0.0)
        self.weight2 = np.where(self.used, (weights * focal_px[:, None]) ** 2, 0.0)
        # (C, J, 2, 3) and (C, J, 2): the residual's rows, times the depth, A X - b.
        self.A = P[:, None, :2, :3] - self.xn[..., None] * P[:, None, 2:, :3]
        self.b = self.xn * P[:, None, 2:, 3] - P[:, None, :2, 3] - (self.A @ displacement[..., None])[..., 0]

    def equations(self, weight, depth):
        """Return information (J, 3, 3) and right-hand sides (J, 3)."""
        f = weight * self.weight2 / depth**2
        return np.einsum('cj,cjri,cjrk->jik', f, self.A, self.A), np.einsum('cj,cjri,cjr->ji', f, self.A, self.b)

    def residuals(self, xyz):
        """Return depth, squared residual at focal length 1, and robust weight, (C, J) each."""
        local = (xyz + self.displacement) @ np.swapaxes(self.P[:, :, :3], 1, 2) + self.P[:, None, :, 3]
        depth = np.maximum(local[..., 2], NEAR_M)
        off = local[..., :2] - self.xn * local[..., 2:]
        error2 = np.where(local[..., 2] <= NEAR_M, FAR2, (off**2).sum(-1) / depth**2)
        return depth, error2, 1.0 / (1.0 + self.weight2 * error2 / self.robust_sigmas**2) ** 2


def blocks(own):
    """Return (3J, 3J) with ``own`` (J, 3, 3) along the diagonal."""
    return np.kron(np.eye(len(own)), np.ones((3, 3))) * np.tile(np.hstack(own), (len(own), 1))


def each_alone(information, right):
    """Return joints (J, 3), 0 where rays are parallel, and covariance (J, 3, 3), NaN there."""
    xyz, covariance = np.zeros(right.shape), np.full(information.shape, np.nan)
    for j, m in enumerate(information):
        if np.linalg.matrix_rank(m, 1e-9 * np.trace(m)) == 3 and np.trace(m) * np.trace(np.linalg.inv(m)) < 1e9:
            covariance[j] = np.linalg.inv(m)
            xyz[j] = covariance[j] @ right[j]
    return xyz, covariance


def solve_body(P, focal_px, xn, weights, config, prior, noise):
    """Return what ``solver.solve`` does of the only body: its fields' names and values without the axis of bodies."""
    cameras, joints = weights.shape
    moved = np.zeros((cameras, joints, 3)) if prior.displacement is None else prior.displacement[:, 0]
    seen = Seen(P, focal_px, xn, weights, moved, config.robust_sigmas)
    centre = np.full(3, np.nan) if prior.centre is None else prior.centre[0]
    if prior.lifted is not None and np.isnan(centre).all() and np.isfinite(prior.lifted.root).any():
        centre = np.nanmean(prior.lifted.root[:, 0], 0)
    z = P[:, 2, :3] @ centre + P[:, 2, 3]
    depth, weight = np.repeat(np.where(z > NEAR_M, z, UNKNOWN_DEPTH_M)[:, None], joints, 1), np.ones(weights.shape)
    couples, linear = prior.lifted is not None or prior.bones is not None, None
    information, right, lifts = prior_of(prior, config)
    for step in range(config.iterations):
        own, pull = seen.equations(weight, depth)
        if not couples:
            xyz, P_each = each_alone(own, pull)
            P_all = blocks(P_each)
        else:
            if prior.bones is not None and (step == 1 or (step and step == config.iterations - 1)):
                linear = bones_of(prior, xyz, config.bone_spread * max(1.0, 0.5 * (weights > 0.0).any(1).sum()))
            total, both = information + blocks(own), right + pull.ravel()
            if linear is not None:
                total, both = total + linear[0], both + linear[1]
            P_all = np.linalg.inv(total)
            xyz = (P_all @ both).reshape(joints, 3)
        before = weight, depth
        depth, error2, weight = seen.residuals(xyz)
    covariance, random = split(P_all, seen, own, *before, couples, noise)
    agree = seen.used & (weight >= INLIER_WEIGHT)
    known = (agree.sum(0) >= 2) | (lifts > 0)
    known &= np.isfinite(covariance[:, 0, 0])
    against = np.where(seen.used & ~agree, np.sqrt(error2) * depth, np.inf).min(0)
    undecided = (agree.sum(0) < 2) & (against < UNKNOWN_DEPTH_M)
    covariance += np.where(undecided, (0.6 * np.minimum(against, 0.5)) ** 2, 0.0)[:, None, None] * np.eye(3)
    found = np.where(known[:, None], xyz, np.nan), np.where(known[:, None, None], covariance, np.nan)
    alone = found
    if couples:
        alone = each_alone(*seen.equations(weight, depth))
        alone = tuple(np.where((agree.sum(0) >= 2).reshape(-1, *(1,) * (a.ndim - 1)), a, np.nan) for a in alone)
    used = seen.used & known
    return {
        'xyz': found[0], 'covariance': found[1], 'random_covariance': random,
        'residual_px': np.where(used, np.sqrt(error2) * focal_px[:, None], np.nan),
        'robust_weight': np.where(used, weight, 0.0), 'seen_xyz': alone[0], 'seen_covariance': alone[1],
    }


def split(P_all, seen, own, weight, depth, couples, noise):
    """Return covariance (J, 3, 3) with what views share, and its random part."""
    joints = len(own)
    keypoints, covariance, random = P_all, np.empty(own.shape), np.empty(own.shape)
    if couples:
        keypoints = P_all @ blocks(own) @ P_all
    pull = (weight * seen.weight2 / depth * noise.shared[:, None])[..., None, None] * seen.A
    for j in range(joints):
        block = slice(3 * j, 3 * j + 3)
        shared = np.zeros((3, 3))
        for view in pull:
            # (3J, 2)
            rows = view.transpose(0, 2, 1).reshape(-1, 2)
            moved = P_all[block] @ rows if couples else P_all[block, block] @ rows[block]
            shared += moved @ moved.T
        part = np.clip(np.trace(shared) / max(np.trace(keypoints[block, block]), 1e-12), 0.0, 0.9)
        random[j] = noise.level**2 * (1.0 - part) * keypoints[block, block]
        covariance[j] = P_all[block, block] - keypoints[block, block] + random[j] + shared
        random[j] *= 1.0 - noise.persistent
    return covariance, random
