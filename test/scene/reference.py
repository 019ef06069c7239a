# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Slow and clear versions of what the scene's kernels compute, to compare them with."""

from __future__ import annotations

import numpy as np

from geo_pose_ros.geometry.stats import nan_median
from geo_pose_ros.scene.kernels.cameras import SeenBodies
from geo_pose_ros.scene.settings import TrackingConfig

GATE = 16.3
EYE, H = np.eye(3), np.eye(3, 6)


def predict(x, P, dt_s, density):
    """Predict a state (6,), position and velocity, and its covariance (6, 6)."""
    F = np.block([[EYE, dt_s * EYE], [0.0 * EYE, EYE]])
    return np.concatenate([x[:3] + dt_s * x[3:], x[3:]]), F @ P @ F.T + wander(dt_s, density)


def wander(dt_s, density):
    q = density * np.array([[dt_s**3 / 3.0, dt_s**2 / 2.0], [dt_s**2 / 2.0, dt_s]])
    return np.kron(q, EYE)


def distance2(innovation, S):
    return innovation @ np.linalg.solve(S, innovation)


def correct(x, P, innovation, R):
    """Take in a measurement (3,); one beyond the gate counts less."""
    inflation = max(1.0, distance2(innovation, P[:3, :3] + R) / GATE)
    K = P @ H.T @ np.linalg.inv(P[:3, :3] + inflation * R)
    return x + K @ innovation, (np.eye(6) - K @ H) @ P


class Body:
    """One body's joints, each a Kalman filter of 6 states, and its root."""

    def __init__(self, joints: int) -> None:
        self.config = TrackingConfig()
        self.x = np.full((joints, 6), np.nan)
        self.x[:, 3:] = 0.0
        self.P, self.lag = np.zeros((joints, 6, 6)), np.zeros((joints, 3))
        self.root_velocity, self.root_P = np.zeros(3), None
        self.dt_s = 0.0

    def predict(self, dt_s: float, unseen: bool, placed: bool) -> None:
        self.dt_s = dt_s
        if unseen:
            mean = self.x[:, 3:].mean(0)
            self.x[:, 3:] = np.exp(-dt_s / 0.1) * (self.x[:, 3:] - mean) + np.exp(-dt_s / 1.0) * mean
        if placed and self.root_P is not None:
            self.x[:, 3:] *= np.exp(-dt_s / 0.5)
            self.root_velocity = np.exp(-dt_s / 0.5) * self.root_velocity
        for j in range(len(self.x)):
            self.x[j], self.P[j] = predict(self.x[j], self.P[j], dt_s, self.config.acceleration_noise**2)
        if self.root_P is not None:
            self.root_P = predict(np.zeros(6), self.root_P, dt_s, 4.0**2)[1]

    def quick(self):
        return wander(self.dt_s, self.config.acceleration_noise_fast**2 - self.config.acceleration_noise**2)

    def velocity_given(self, xyz, noise):
        found = self.x[:, 3:].copy()
        for j in np.flatnonzero(np.isfinite(xyz[:, 0] + self.x[:, 0])):
            z, R, P = xyz[j] - self.x[j, :3], noise[j] + 4e-6 * EYE, self.P[j]
            if 3.0 * distance2(z, P[:3, :3] + R) > GATE:
                P = P + self.quick()
            found[j] += P[3:, :3] @ np.linalg.solve(P[:3, :3] + R, z)
        return found

    def update(self, xyz, noise, covariance, lone_view=False) -> None:
        measured = np.isfinite(xyz[:, 0])
        variance = np.where(measured, np.trace(covariance, axis1=1, axis2=2), 0.0)
        lone = (lone_view or np.median(variance) > 0.04) and np.sort(variance[measured])[measured.sum() // 4] > 0.01
        if lone:
            xyz = xyz + self.root_offset(xyz[measured], self.x[measured], covariance[measured])
        else:
            self.root_P = None
        self.lag *= 0.5
        for j in np.flatnonzero(measured):
            R = noise[j] + 4e-6 * EYE
            if lone or np.isnan(self.x[j, 0]):
                self.x[j] = [*xyz[j], 0.0, 0.0, 0.0]
                self.P[j] = np.block([[R, 0.0 * EYE], [0.0 * EYE, 1.5**2 * EYE]])
                continue
            z = xyz[j] - self.x[j, :3]
            S = self.P[j, :3, :3] + R
            self.lag[j] += 0.5 * min(1.0, np.sqrt(GATE / distance2(z, S))) * z
            if 3.0 * distance2(self.lag[j], S) > GATE:
                self.P[j] += self.quick()
            self.x[j], self.P[j] = correct(self.x[j], self.P[j], z, R)
        if lone:
            self.x[:, 3:] = self.root_velocity

    def root_offset(self, xyz, x, covariance):
        R = 4.0 * covariance.mean(0) + 1e-6 * EYE
        both = np.isfinite(x[:, 0])
        if not both.any():
            self.root_velocity = np.zeros(3)
            self.root_P = np.block([[R, 0.0 * EYE], [0.0 * EYE, 1.5**2 * EYE]])
            return np.zeros(3)
        ahead = (xyz - x[:, :3])[both].mean(0)
        if self.root_P is None:
            self.root_velocity = self.x[:, 3:].mean(0)
            self.root_P = np.kron(np.diag([0.01, 1.0]), EYE)
        state, self.root_P = correct(np.array([0.0, 0.0, 0.0, *self.root_velocity]), self.root_P, ahead, R)
        self.root_velocity = state[3:]
        return state[:3] - ahead


# Cameras


def image_jacobian(cameras, local):
    """Return (C, ..., 2, 3) how the images, at focal length 1, of points (C, ..., 3) of ``see`` move with them."""
    R = cameras.cam_from_world[(slice(None), *(None,) * (local.ndim - 2))][..., :3]
    return (R[..., :2, :] - (local[..., :2] / local[..., 2:])[..., None] * R[..., 2:, :]) / local[..., 2:, None]


def views_of(cameras, xn, xyz, velocity, **known) -> SeenBodies:
    """What C cameras see of B bodies, all inliers of 4 px of noise unless ``known`` says otherwise."""
    shape = xn.shape[:-1]
    views = SeenBodies(
        cameras.cam_from_world, cameras.dt_s, cameras.focal_px, np.zeros(len(cameras), bool), xn, np.full(shape, 0.25),
        np.ones(shape), np.ones(shape, bool), xyz, np.tile(1e-4 * EYE, (*xyz.shape[:-1], 1, 1)), velocity,
        np.arange(len(xyz)),
    )
    return views._replace(**known)


def motion_equations(cameras, views: SeenBodies, offset_s):
    """Return the normal equations (3C, 3C) and (3C,) of clock and view offsets, joint after joint eliminated whole."""
    count = len(cameras)
    matrix, right = np.zeros((3 * count, 3 * count)), np.zeros(3 * count)
    local = cameras.see(views.xyz, views.velocity)
    jacobian = image_jacobian(cameras, local)
    weight = np.square(views.weights * views.focal_px[:, None, None]) * views.robust_weight / 4.0
    weight = np.where(np.isfinite(views.xn[..., 0]) & ~views.moved[:, None, None], weight, 0.0)
    speed = np.linalg.norm(views.velocity, axis=-1)
    usable = (speed > 0.25) & ((weight > 0.0).sum(0) >= 2) & np.isfinite(views.xyz[..., 0])
    usable &= speed >= np.sort(np.where(usable, speed, 0.0).ravel())[-48:][0]
    for b, j in zip(*np.nonzero(usable), strict=True):
        # Unknowns: the joint's (3), then of each camera its clock's offset and the view's.
        A, e, w = np.zeros((2 * count, 3 + 3 * count)), np.zeros(2 * count), np.repeat(weight[:, b, j], 2)
        for c in range(count):
            J = jacobian[c, b, j]
            flow = J @ views.velocity[b, j]
            A[2 * c : 2 * c + 2, :3] = J
            A[2 * c : 2 * c + 2, 3 + 3 * c] = -flow
            A[2 * c : 2 * c + 2, 4 + 3 * c : 6 + 3 * c] = np.eye(2)
            e[2 * c : 2 * c + 2] = views.xn[c, b, j] - local[c, b, j, :2] / local[c, b, j, 2] - flow * offset_s[c]
        N, g = A.T @ (w[:, None] * A), A.T @ (w * np.where(w > 0.0, e, 0.0))
        eliminated = N[3:, :3] @ np.linalg.inv(N[:3, :3] + 1e-6 * EYE)
        matrix += N[3:, 3:] - eliminated @ N[:3, 3:]
        right += g[3:] - eliminated @ g[:3]
    return matrix, right


def drift_equations(cameras, centre, offset, certainty):
    """Return S (2C, 2C) and S m (2C,) of the bodies that three cameras see, their mean."""
    found = []
    local = cameras.see(centre[:, None])[:, :, 0]
    jacobian = image_jacobian(cameras, local)
    for b in range(len(centre)):
        seen = np.isfinite(offset[:, b, 0])
        if seen.sum() < 3 or not np.isfinite(centre[b, 0]):
            continue
        W = np.diag(np.repeat(np.where(seen, certainty[:, b] / 4.0, 0.0), 2))
        A = jacobian[:, b].reshape(-1, 3)
        S = W - W @ A @ np.linalg.inv(A.T @ W @ A + 1e-6 * EYE) @ A.T @ W
        found.append((S, S @ np.nan_to_num(offset[:, b]).ravel()))
    return sum(S for S, _ in found) / len(found), sum(g for _, g in found) / len(found)


def view_errors(cameras, views: SeenBodies):
    """Return the views' offsets (C, N, 2), their information (C, N), and (C, 2) how keypoints scatter about them."""
    local = cameras.see(views.xyz, views.velocity)
    information = np.square(views.weights * views.focal_px[:, None, None])
    error = views.xn - local[..., :2] / local[..., 2:]
    error[~(np.isfinite(error[..., 0]) & (local[..., 2] > 0.1) & (information > 0.0))] = np.nan
    offset = nan_median(np.swapaxes(error, -1, -2))
    offset[np.isfinite(error[..., 0]).sum(-1) < 6] = np.nan
    J = image_jacobian(cameras, local)
    spread = np.einsum('cbjri,bjik,cbjrk->cbj', J, views.covariance, J)
    left = 2.0 * (1.0 - np.clip(np.nan_to_num(0.5 * spread * information * views.robust_weight, nan=1.0), 0.0, 1.0))
    squared = np.square(error - offset[:, :, None]).sum(-1) * information
    left[~(views.inlier & (views.inlier.sum(0) >= 2) & (left >= 0.4) & np.isfinite(squared))] = 0.0
    scatter = np.stack([np.where(left > 0.0, squared, 0.0).sum((1, 2)), left.sum((1, 2))], 1)
    rows = views.chosen
    assert rows.tolist() == list(range(len(rows)))
    return offset, information.sum(-1), scatter


def shared_sums(views: SeenBodies, offset, scale, shared: float):
    """Return sums of squares and of degrees of freedom of the error that views share, and the bodies that say so."""
    total = np.zeros(3)
    for n in range(offset.shape[1]):
        inliers = views.inlier[:, n].sum(-1)
        agree = (inliers >= 6) & np.isfinite(offset[:, n, 0]) & ~views.moved
        if agree.sum() < 2:
            continue
        information = np.square(views.weights[agree, n] * views.focal_px[agree, None]).max(-1)
        chance = (2.0 * scale[agree] ** 2 / information / inliers[agree]).mean()
        freedom = 2.0 * agree.sum() - 3.0
        found = np.square(offset[agree, n]).sum() - 0.5 * chance * freedom
        total += np.clip(found, 0.0, (6.0 * shared + 0.004) ** 2 * freedom), freedom, 1.0
    return total
