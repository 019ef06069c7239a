# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""What is known of bodies beside the keypoints of an instant: lifted poses (``kernels.lifted``), bones, predictions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..arrays import FloatArray
from .table import BodyTable

# Relative standard deviation below which a length says how large a body is.
_SURE = 0.1


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
class BonePrior(BodyTable):
    """What is known of the lengths of B bodies' bones, the E edges of body17.

    Attributes:
        length: (B, E) m; 0 where nothing is known.
        variance: (B, E) m^2 of ``length``; infinite where nothing is known.
    """

    length: FloatArray
    variance: FloatArray

    def sure_lengths(self) -> FloatArray:
        """Return (B, E) m the lengths that are known to a few per cent; NaN of the others."""
        return np.where(self.variance < (_SURE * self.length) ** 2, self.length, np.nan)


@dataclass(frozen=True, slots=True, eq=False)
class BodyPrior(BodyTable):
    """What is known of B bodies beside their keypoints in C views; None where nothing is.

    Attributes:
        lifted: the lifted poses.
        bones: the bone lengths.
        centre: (B, 3) m, predicted mean of each body's joints, NaN = unknown.
        centre_variance: (B,) m^2 of ``centre``, per axis, infinite where it is not reliable; used with ``lifted``.
        joints: (B, J, 3) m, predicted joints, NaN = unknown; they decide only which side is left.
        displacement: (C, B, J, 3) m, from each joint at the set's instant to the joint at the view's instant.
    """

    BODY_AXIS: ClassVar[Mapping[str, int]] = {'displacement': 1}

    lifted: LiftedViews | None = None
    bones: BonePrior | None = None
    centre: FloatArray | None = None
    centre_variance: FloatArray | None = None
    joints: FloatArray | None = None
    displacement: FloatArray | None = None
