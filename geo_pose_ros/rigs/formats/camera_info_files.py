"""The YAML that `camera_calibration` and camera drivers keep: intrinsics of one camera, as a camera_info."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...types import Camera, Intrinsics
from .common import Tree, name_camera, ros_camera


def is_camera_info(tree: Tree) -> bool:
    """Return whether a parsed YAML is one."""
    return isinstance(tree, Mapping) and 'camera_matrix' in tree


def parse_camera_info(tree: Tree, file_name: str) -> Camera:
    """Return the camera, at the world's origin because the file has no pose.

    Args:
        tree: the parsed YAML.
        file_name: the camera's name where the file gives none, or the drivers' default.

    Raises:
        CalibrationError: naming the camera, if something is missing or impossible.
    """
    given = str(tree.get('camera_name', ''))
    name = file_name if given in ('', 'camera', 'narrow_stereo') else given
    with name_camera(name):
        K = np.array(tree['camera_matrix']['data'], float).reshape(3, 3)
        D = np.array(tree['distortion_coefficients']['data'], float).ravel()
        size = int(tree['image_width']), int(tree['image_height'])
        return ros_camera(name, Intrinsics(K, D, str(tree['distortion_model']), *size), np.eye(3, 4))
