"""Up in a camera's frame: the rig knows it, one view's joints do not."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..arrays import FloatArray
from ..errors import ConfigError

# Names of the world's upward axis, as settings spell them; REP-103's worlds have z up.
UP_AXES: Mapping[str, tuple[float, float, float]] = {
    'z': (0.0, 0.0, 1.0), 'y': (0.0, 1.0, 0.0), 'x': (1.0, 0.0, 0.0),
    '-z': (0.0, 0.0, -1.0), '-y': (0.0, -1.0, 0.0), '-x': (-1.0, 0.0, 0.0),
}


def up_in_cameras(cam_from_world: FloatArray, up: str) -> FloatArray:
    """Return the unit vectors (..., 3) of the world's ``up`` in the frames of cameras (..., 3, 4).

    Raises:
        ConfigError: for a name that is not in UP_AXES.
    """
    turned: FloatArray = cam_from_world[..., :3] @ _axis(up)
    return turned


def camera_heights(cam_from_world: FloatArray, up: str) -> FloatArray:
    """Return how high (...,), m, cameras (..., 3, 4) are above the plane through the world's origin, across ``up``.

    Raises:
        ConfigError: for a name that is not in UP_AXES.
    """
    centre = -np.swapaxes(cam_from_world[..., :3], -1, -2) @ cam_from_world[..., 3:]
    heights: FloatArray = centre[..., 0] @ _axis(up)
    return heights


def _axis(up: str) -> FloatArray:
    if up not in UP_AXES:
        raise ConfigError(f"World axis '{up}': expected one of {', '.join(UP_AXES)}; name the one that is upwards.")
    return np.array(UP_AXES[up])
