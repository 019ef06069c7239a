"""The YAML that `camera_calibration` and camera drivers keep: intrinsics of one camera, as a camera_info."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...arrays import FloatArray
from ...types import Camera, Intrinsics
from .foreign import build_camera


def is_camera_info(tree: Any) -> bool:
    """Return whether a parsed YAML is one."""
    return isinstance(tree, Mapping) and 'camera_matrix' in tree


def parse_camera_info(tree: Mapping[str, Any], name: str) -> Camera:
    """Return the camera, in the world's origin as nothing is said about where it stands.

    Args:
        name: where the file gives none, or the drivers' default.

    Raises:
        CalibrationError: naming the camera, if something is missing or impossible.
    """
    given = str(tree.get('camera_name', ''))

    def intrinsics() -> Intrinsics:
        K = np.array(tree['camera_matrix']['data'], float).reshape(3, 3)
        D = np.array(tree['distortion_coefficients']['data'], float).ravel()
        return Intrinsics(K, D, str(tree['distortion_model']), int(tree['image_width']), int(tree['image_height']))

    def cam_from_world() -> FloatArray:
        return np.eye(3, 4)

    return build_camera(name if given in ('', 'camera', 'narrow_stereo') else given, intrinsics, cam_from_world)
