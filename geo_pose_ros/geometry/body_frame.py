# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The frame of a body after REP-155: at the pelvis, x forward, y left, z towards the head; bodies in other frames."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..arrays import FloatArray
from ..skeleton import BODY17
from ..types import Bodies3D
from .rigid import transform_points

_PELVIS, _THORAX = BODY17.index('pelvis'), BODY17.index('thorax')
_LEFT = [BODY17.index('left_hip'), BODY17.index('left_shoulder')]
_RIGHT = [BODY17.index('right_hip'), BODY17.index('right_shoulder')]
# A trunk or its breadth shorter than this, m, has no direction.
_LEAST_M = 0.02
# Step of the numerical derivative, m.
_STEP_M = 1e-6


def world_from_body(xyz: FloatArray) -> FloatArray:
    """Return the frames (..., 3, 4) m of bodies of body17 joints (..., 17, 3) m; NaN where the trunk is unknown.

    The origin is the pelvis; z points to the thorax, y to the left of hips and shoulders, x to the front.
    """
    up = xyz[..., _THORAX, :] - xyz[..., _PELVIS, :]
    left = (xyz[..., _LEFT, :] - xyz[..., _RIGHT, :]).sum(-2)
    front = np.cross(left, up)
    height = np.linalg.norm(up, axis=-1, keepdims=True)
    breadth = np.linalg.norm(front, axis=-1, keepdims=True)
    # NaN compares false.
    known = (height > _LEAST_M) & (breadth > _LEAST_M * height)
    z = np.where(known, up / np.where(known, height, 1.0), np.nan)
    x = np.where(known, front / np.where(known, breadth, 1.0), np.nan)
    frame: FloatArray = np.stack([x, np.cross(z, x), z, np.where(known, xyz[..., _PELVIS, :], np.nan)], -1)
    return frame


def frame_covariance(xyz: FloatArray, covariance: FloatArray) -> FloatArray:
    """Return the covariance (P, 6, 6) of ``world_from_body``: x y z m, then turns about the world's x y z rad.

    To first order, of joints (P, 17, 3) m that err independently of each other by ``covariance`` (P, 17, 3, 3) m^2.
    NaN where the trunk or its covariance is unknown.
    """
    joints = [_PELVIS, _THORAX, *_LEFT, *_RIGHT]
    frame = world_from_body(xyz)
    # By trunk joint and axis: the joint moved along the axis.
    steps = np.zeros((len(joints), 3, xyz.shape[1], 3))
    for row, joint in enumerate(joints):
        steps[row, range(3), joint, range(3)] = _STEP_M
    stepped = world_from_body(xyz[:, None, None] + steps)
    moved = (stepped[..., 3] - frame[:, None, None, :, 3]) / _STEP_M
    turn = stepped[..., :3] @ np.swapaxes(frame[..., :3], -1, -2)[:, None, None] / (2.0 * _STEP_M)
    about = [turn[..., b, a] - turn[..., a, b] for a, b in ((1, 2), (2, 0), (0, 1))]
    J = np.concatenate([moved, np.stack(about, -1)], -1)
    found: FloatArray = np.einsum('pjai,pjab,pjbk->pik', J, covariance[:, joints], J)
    return found


def bodies_in(b_from_a: FloatArray, bodies: Bodies3D, frame_id: str) -> Bodies3D:
    """Return ``bodies`` of frame a in frame b, called ``frame_id``, for ``b_from_a`` (3, 4) at their instant."""
    R = b_from_a[:, :3]
    return replace(
        bodies, frame_id=frame_id, xyz=transform_points(b_from_a, bodies.xyz), velocity=bodies.velocity @ R.T,
        covariance=R @ bodies.covariance @ R.T,
    )
