"""Lifted poses as a Gaussian over a body's joints.

A view's lifted pose is the body up to a shift, a small rotation and a small scale shared by all its joints, and an
independent error per joint, larger along the view axis. The shared ones are marginalised (Woodbury), which leaves an
information matrix (3J, 3J). Lifters err alike in all views, so n lifted views count as sqrt(n) independent ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np

from ..arrays import BoolArray, FloatArray
from ..geometry.matrices import diagonal_blocks
from .settings import SolverConfig
from .table import BodyTable

# Information that keeps joints solvable that nothing determines, 1/m^2: a standard deviation of 1 km.
_FLOOR = 1e-6
# Shared errors of a lifted pose: shift (3), rotation (3), scale (1).
_SHARED = 7

_SHIFTS = np.eye(_SHARED, 3)[:, :, None]
_PROPER = (np.arange(_SHARED) >= 3).astype(float)
_EYE = np.eye(3)


@dataclass(frozen=True, slots=True, eq=False)
class LiftedViews(BodyTable):
    """What the lifter says about B bodies from V of their views each, in the axes of the world.

    Attributes:
        pose: (V, B, J, 3) m, joints relative to the pelvis; NaN = not lifted.
        sigma: (V, B, J) m, standard deviation of each joint, per axis.
        root: (V, B, 3) m, the pelvis in the world.
        axis: (V, B, 3) unit vector from the camera to the pelvis, along which depth is least known.
    """

    BODY_AXIS: ClassVar[Mapping[str, int]] = dict.fromkeys(('pose', 'sigma', 'root', 'axis'), 1)

    pose: FloatArray
    sigma: FloatArray
    root: FloatArray
    axis: FloatArray

    @classmethod
    def of_cameras(
        cls, pose: FloatArray, sigma: FloatArray, root: FloatArray, cam_from_world: FloatArray
    ) -> LiftedViews:
        """Return lifted poses (V, B, J, 3) and roots (V, B, 3) of camera frames in the world.

        Args:
            pose, sigma, root: in the frames of the cameras.
            cam_from_world: (V, B, 3, 4), or what broadcasts to it, of the camera that each view is of.
        """
        R, t = cam_from_world[..., :3], cam_from_world[..., 3]
        axis = root / np.sqrt((root * root).sum(-1, keepdims=True))
        return cls(pose @ R, sigma, ((root - t)[..., None, :] @ R)[..., 0, :], (axis[..., None, :] @ R)[..., 0, :])


@dataclass(frozen=True, slots=True, eq=False)
class LiftedPrior:
    """Gaussian over a body's joints, ordered x of all joints, y of all, z of all.

    Attributes:
        information: (B, 3J, 3J).
        right: (B, 3J), information @ mean.
        known: (B,) whether any view was lifted.
    """

    information: FloatArray
    right: FloatArray
    known: BoolArray


def lifted_prior(
    lifted: LiftedViews, config: SolverConfig, centre: FloatArray | None = None,
    centre_variance: FloatArray | None = None,
) -> LiftedPrior:
    """Combine the lifted poses of all views, their shared errors marginalised, and the predicted centre.

    With D the per-joint covariance of a view and U its shared modes, scaled to unit variance (shifts: infinite),
    (D + U U^T)^-1 = D^-1 - D^-1 U (T + U^T D^-1 U)^-1 U^T D^-1, T = diag(0, 0, 0, 1, 1, 1, 1).

    Args:
        lifted: of B bodies.
        config: settings.
        centre: (B, 3) m, predicted mean of each body's joints, NaN = unknown; used with ``centre_variance``.
        centre_variance: (B,) m^2 of ``centre``, per axis.
    """
    cameras, bodies, joints, _ = lifted.pose.shape
    size = 3 * joints
    # A sum is finite only if all its terms are.
    known = np.isfinite(lifted.pose.sum((-1, -2)) + lifted.root.sum(-1))
    usable, axis, sigma = lifted.pose, lifted.axis[..., None], lifted.sigma
    if not known.all():
        usable = np.where(known[..., None, None], usable, 0.0)
        axis = np.where(known[..., None, None], axis, ((0.0,), (0.0,), (1.0,)))
        sigma = np.where(known[..., None], sigma, 1.0)
    pose = np.swapaxes(usable, -1, -2)
    count = known.sum(0)
    share = known / np.sqrt(np.maximum(count, 1))
    certain = (share[..., None] / sigma**2)[..., None, :]
    precise, loose = 1.0 / config.lifter_across**2, 1.0 / config.lifter_along**2
    shape = precise * _EYE + (loose - precise) * axis * np.swapaxes(axis, -1, -2)

    arm = pose - pose.sum(-1, keepdims=True) / joints
    modes = _modes(config.lifter_rotation_rad, config.lifter_scale) @ arm
    modes = modes.reshape(cameras, bodies, _SHARED, 3, joints) + _SHIFTS
    scaled = certain[..., None, :, :] * (shape[..., None, :, :] @ modes)
    scaled = scaled.reshape(cameras, bodies, _SHARED, size)
    inner = scaled @ np.swapaxes(modes.reshape(scaled.shape), -1, -2)
    # A view without a lifted pose has only zeros here; any regular matrix will do.
    own = share[..., None] * _PROPER
    if not known.all():
        own = np.where(known[..., None], own, 1.0)
    inner.reshape(cameras, bodies, _SHARED * _SHARED)[..., :: _SHARED + 1] += own
    # Positive definite and well conditioned; numpy's solve takes several times as long for so many right-hand sides.
    weighted = np.linalg.inv(inner) @ scaled

    mean = (certain * (shape @ pose)).reshape(cameras, bodies, size, 1)
    shared = scaled @ pose.reshape(cameras, bodies, size, 1)
    right = (mean - np.swapaxes(weighted, -1, -2) @ shared)[..., 0].sum(0)
    # Sum over views in one product per body: (3J, 7C) (7C, 3J)
    left = weighted.swapaxes(0, 1).reshape(bodies, cameras * _SHARED, size)
    information = -(np.swapaxes(left, -1, -2) @ scaled.swapaxes(0, 1).reshape(left.shape))
    blocks = (certain[..., None, :] * shape[..., None]).sum(0)
    diagonal_blocks(information)[...] += blocks.transpose(1, 2, 0, 3) + (_FLOOR * _EYE)[..., None, None]
    if centre is not None and centre_variance is not None:
        _add_centre(information, right, centre, centre_variance)
    return LiftedPrior(information, right, count > 0)


def _add_centre(information: FloatArray, right: FloatArray, centre: FloatArray, variance: FloatArray) -> None:
    """Add to the prior that the mean of each body's joints is at ``centre`` (B, 3) up to ``variance`` (B,)."""
    bodies, size = right.shape
    joints = size // 3
    usable = np.isfinite(centre[:, 0])
    certain = np.where(usable, 1.0 / np.where(usable, variance, 1.0), 0.0)
    blocks = information.reshape(bodies, 3, joints, 3, joints)
    for axis in range(3):
        blocks[:, axis, :, axis] += (certain / joints**2)[:, None, None]
    right.reshape(bodies, 3, joints)[...] += (
        certain[:, None] / joints * np.where(usable[:, None], centre, 0.0)
    )[..., None]


@lru_cache
def _modes(rotation_rad: float, scale: float) -> FloatArray:
    """Return (21, 3): of each of 7 shared modes of unit variance, 3 rows that turn a joint's arm into its displacement.

    The rows of the three shifts are zero: a shift does not depend on the arm.
    """
    modes = np.zeros((_SHARED, 3, 3))
    for axis in range(3):
        modes[3 + axis] = rotation_rad * np.cross(np.eye(3)[axis], np.eye(3)).T
    modes[6] = scale * np.eye(3)
    return modes.reshape(-1, 3)
