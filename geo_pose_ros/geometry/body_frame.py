"""The frame of a body after REP-155: at the pelvis, x forward, y left, z towards the head."""

from __future__ import annotations

import numpy as np

from ..skeleton import BODY17, FloatArray

_PELVIS, _THORAX = BODY17.index('pelvis'), BODY17.index('thorax')
_LEFT = [BODY17.index('left_hip'), BODY17.index('left_shoulder')]
_RIGHT = [BODY17.index('right_hip'), BODY17.index('right_shoulder')]
# A trunk or its breadth shorter than this, m, has no direction.
_LEAST_M = 0.02


def world_from_body(xyz: FloatArray) -> FloatArray:
    """Return the frames (..., 3, 4) m of bodies of body17 joints (..., 17, 3) m; NaN where the trunk is not known.

    The origin is the pelvis; z goes to the thorax, y is where hips and shoulders have their left, x is in front.
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
