"""Slow and clear versions of what the scene's kernels compute, to compare them with."""

from __future__ import annotations

import numpy as np

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

    def predict(self, dt_s: float, unseen: bool) -> None:
        self.dt_s = dt_s
        if unseen:
            mean = self.x[:, 3:].mean(0)
            self.x[:, 3:] = np.exp(-dt_s / 0.1) * (self.x[:, 3:] - mean) + np.exp(-dt_s / 1.0) * mean
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

    def update(self, xyz, noise, covariance) -> None:
        measured = np.isfinite(xyz[:, 0])
        variance = np.where(measured, np.trace(covariance, axis1=1, axis2=2), 0.0)
        lone = np.median(variance) > 0.04
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
