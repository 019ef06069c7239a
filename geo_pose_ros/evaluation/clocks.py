# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""How late each camera's stamps are, from people who move: one least-squares problem over a whole recording.

The stamps of camera c are late by d_c, so that it shows a joint where the joint was d_c before. The residual of the
joint is r_c = J_c e - v_c d_c: e is the error of the fused joint, J_c the derivative of the image point by the joint,
v_c the velocity of the joint in the image. Every joint of every set has its own e, which is eliminated; d_c is the same
for all. A late camera moved the fused joint, which e holds too. A delay of all cameras looks like one of the bodies.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..arrays import BoolArray, FloatArray
from ..geometry.projection import project_world
from ..geometry.stats import nan_lower_median
from ..types import Camera
from .views import ComparedView

_STEP_M = 1e-3
# Sets of a block; the scatter of the blocks gives the standard error.
_BLOCK = 32
# Residuals that are so many times as long as the median one are left out.
_OUTLIER = 3.0
_LEAST_JOINTS = 40
# Below this mean speed nobody moved enough to tell, px/s.
_LEAST_SPEED_PX_S = 5.0


class ClockSums:
    """Normal equations of the offsets of C cameras, block by block."""

    def __init__(self, cameras: Sequence[Camera]) -> None:
        """Begin with nothing."""
        self._cameras = tuple(cameras)
        self._blocks: list[tuple[FloatArray, FloatArray]] = []

    def add(self, xyz: FloatArray, views: Sequence[ComparedView | None]) -> None:
        """Take bodies (S, U, J, 3) m into account; each camera's view holds the same sets, or more after them."""
        for start in range(0, len(xyz), _BLOCK):
            rows = slice(start, min(start + _BLOCK, len(xyz)))
            block = self._block(xyz[rows], [
                None if view is None else (view.residual[rows], view.speed[rows]) for view in views
            ])
            if block is not None:
                self._blocks.append(block)

    def _block(
        self, xyz: FloatArray, views: Sequence[tuple[FloatArray, FloatArray] | None]
    ) -> tuple[FloatArray, FloatArray] | None:
        count, joints = len(self._cameras), xyz.reshape(-1, 3)
        residual = np.full((len(joints), count, 2), np.nan)
        speed, slope = residual.copy(), np.zeros((len(joints), count, 2, 3))
        for c, (camera, view) in enumerate(zip(self._cameras, views, strict=True)):
            if view is not None:
                residual[:, c], speed[:, c] = (values.reshape(-1, 2) for values in view)
                slope[:, c] = _jacobian(camera, joints)
        known = np.isfinite(residual).all(2) & np.isfinite(speed).all(2) & np.isfinite(slope).all((2, 3))
        for c in range(count):
            known[:, c] &= _inliers(residual[:, c], known[:, c])
            if known[:, c].any():
                # A wrong calibration adds a constant.
                residual[:, c] -= residual[known[:, c], c].mean(0)
                speed[:, c] -= speed[known[:, c], c].mean(0)
        known &= (known.sum(1) >= 2)[:, None]
        if known.sum() < _LEAST_JOINTS:
            return None
        used = known.any(1)
        w = known[used].astype(float)
        r, v = (np.where(known[used][..., None], values[used], 0.0) for values in (residual, speed))
        J = np.where(known[used][..., None, None], slope[used], 0.0)
        if float(np.sqrt((v**2).sum() / w.sum())) < _LEAST_SPEED_PX_S:
            return None
        normal = np.einsum('mcia,mcib->mab', J, J)
        normal += 1e-9 * np.trace(normal, axis1=1, axis2=2)[:, None, None] * np.eye(3)
        cross = -np.einsum('mcia,mci->mac', J, v)
        error = np.einsum('mcia,mci->ma', J, r)
        solved = np.linalg.solve(normal, np.concatenate([cross, error[..., None]], -1))
        N = np.diag((v**2).sum((0, 2))) - np.einsum('mac,mad->cd', cross, solved[..., :count])
        g = -np.einsum('mci,mci->c', v, r) - np.einsum('mac,ma->c', cross, solved[..., count])
        return N, g

    def offsets_ms(self) -> tuple[FloatArray, FloatArray]:
        """Return per camera how late its stamps are, against the median camera, and the standard error, ms (C,).

        NaN where nobody moved, or fewer than three cameras see the same.
        """
        count = len(self._cameras)
        unknown = np.full(count, np.nan)
        if count < 3 or len(self._blocks) < 2:
            return unknown, unknown
        N = np.sum([block[0] for block in self._blocks], 0)
        g = np.sum([block[1] for block in self._blocks], 0)
        seen = np.diag(N) > 1e-6 * max(float(np.diag(N).max()), 1e-12)
        if seen.sum() < 3:
            return unknown, unknown
        inverse = np.linalg.pinv(N, rcond=1e-6, hermitian=True)
        d = inverse @ g
        scatter = np.sum([np.outer(gb - Nb @ d, gb - Nb @ d) for Nb, gb in self._blocks], 0)
        blocks = len(self._blocks)
        error = np.sqrt(np.maximum(np.diag(inverse @ scatter @ inverse) * blocks / (blocks - 1), 0.0))
        usual = float(np.median(d[seen]))
        return np.where(seen, 1e3 * (d - usual), np.nan), np.where(seen, 1e3 * error, np.nan)


def _jacobian(camera: Camera, points: FloatArray) -> FloatArray:
    """Return the derivative (M, 2, 3) px/m of the image points by points (M, 3) m, distortion included."""
    ahead = project_world(camera, (points[:, None] + _STEP_M * np.eye(3)).reshape(-1, 3)).reshape(-1, 3, 2)
    behind = project_world(camera, (points[:, None] - _STEP_M * np.eye(3)).reshape(-1, 3)).reshape(-1, 3, 2)
    slope: FloatArray = np.moveaxis((ahead - behind) / (2.0 * _STEP_M), 1, 2)
    return slope


def _inliers(residual: FloatArray, known: BoolArray) -> BoolArray:
    """Return which of the ``known`` residuals (M, 2) lie near their median."""
    near = np.zeros(len(residual), bool)
    if known.any():
        length = np.linalg.norm(residual - np.median(residual[known], 0), axis=1)
        near[known] = length[known] <= _OUTLIER * float(nan_lower_median(length[known])) + 1e-9
    return near
