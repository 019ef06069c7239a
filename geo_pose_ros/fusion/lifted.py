# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Lifted poses as a Gaussian over a body's joints.

A view's lifted pose is the body up to a shift, a small rotation and a small scale shared by all its joints, and an
independent error per joint, larger along the view axis. The shared ones are marginalised (Woodbury), which leaves an
information matrix (3J, 3J). Lifters err alike in all views, so n lifted views count as sqrt(n) independent ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..arrays import FloatArray
from .table import BodyTable


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
