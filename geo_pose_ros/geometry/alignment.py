# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Alignment of point sets: the least-squares rigid or similarity transform (Umeyama, PAMI 1991); what is up."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..arrays import FloatArray
from ..errors import ShapeError
from ..types import CameraRig

# Names of the world's upward axis, as settings spell them; REP-103's worlds have z up.
UP_AXES: Mapping[str, tuple[float, float, float]] = {
    'z': (0.0, 0.0, 1.0), 'y': (0.0, 1.0, 0.0), 'x': (1.0, 0.0, 0.0),
    '-z': (0.0, 0.0, -1.0), '-y': (0.0, -1.0, 0.0), '-x': (-1.0, 0.0, 0.0),
}


def align(source: FloatArray, target: FloatArray) -> FloatArray:
    """Return ``source`` (..., N, 3) moved onto ``target`` (..., N, 3) by the best rotation, translation and scale.

    Used by P-MPJPE. Points that are NaN in either set are left out of the fit; a set with fewer than three common
    points comes back NaN.

    Raises:
        ShapeError: if the shapes differ or are not (..., N, 3).
    """
    if source.shape != target.shape or source.ndim < 2 or source.shape[-1] != 3:
        raise ShapeError(f'align: received {source.shape} and {target.shape}, expected the same (..., N, 3) twice.')
    common = (np.isfinite(source) & np.isfinite(target)).all(-1, keepdims=True)
    count = common.sum(-2, keepdims=True)
    with np.errstate(invalid='ignore', divide='ignore'):
        mean_source = np.where(common, source, 0.0).sum(-2, keepdims=True) / count
        mean_target = np.where(common, target, 0.0).sum(-2, keepdims=True) / count
    centred_source = np.where(common, source - mean_source, 0.0)
    centred_target = np.where(common, target - mean_target, 0.0)
    covariance = np.swapaxes(centred_target, -1, -2) @ centred_source
    U, S, Vt = np.linalg.svd(covariance)
    sign = np.ones_like(S)
    sign[..., 2] = np.sign(np.linalg.det(U @ Vt))
    R = (U * sign[..., None, :]) @ Vt
    spread = (centred_source**2).sum((-1, -2))
    scale: FloatArray = (S * sign).sum(-1) / np.where(spread > 0.0, spread, np.nan)
    moved = scale[..., None, None] * ((source - mean_source) @ np.swapaxes(R, -1, -2)) + mean_target
    return np.where(count >= 3, moved, np.nan)


def up_direction(rig: CameraRig | None) -> FloatArray:
    """Return what is up in the world (3,): z, unless the cameras say otherwise by more than 60 degrees."""
    z = np.array([0.0, 0.0, 1.0])
    if rig is None:
        return z
    mean = -np.mean([camera.cam_from_world[1, :3] for camera in rig.cameras], axis=0)
    length = float(np.linalg.norm(mean))
    if length < 1e-6 or mean[2] / length > 0.5:
        return z
    axis = int(np.abs(mean).argmax())
    up = np.zeros(3)
    up[axis] = np.sign(mean[axis])
    return up if abs(mean[axis]) / length > 0.8 else mean / length
