"""YAML of other tools: Kalibr's camchain, and the camera_info of one camera.

A camchain has cameras each relative to the one before; the first is the world. `camera_calibration` and camera drivers
keep a camera_info: intrinsics without a pose.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from ...errors import CalibrationError
from ...geometry.rigid import compose
from ...types import Camera, CameraRig, Intrinsics
from .common import Tree, camera_matrix, name_camera, ros_camera

# Kalibr's name -> ROS's; both use k1 k2 p1 p2, and k1..k4 for equidistant.
_MODELS: Mapping[str, str] = {'radtan': 'plumb_bob', 'equidistant': 'equidistant', 'none': 'plumb_bob'}


def is_kalibr(tree: Tree) -> bool:
    """Return whether a parsed YAML is a camchain."""
    return isinstance(tree, Mapping) and any(
        isinstance(entry, Mapping) and 'camera_model' in entry for entry in tree.values()
    )


def parse_kalibr(tree: Tree) -> CameraRig:
    """Return the rig of a camchain, m; cameras are named after their topics, or cam0, cam1, ...

    Raises:
        CalibrationError: for a model that ROS has not, or a camera without a transform to the one before.
    """
    cameras: list[Camera] = []
    for key in sorted(tree, key=_order):
        entry = tree[key]
        if not isinstance(entry, Mapping):
            raise CalibrationError(f"camera '{key}': expected a mapping, as Kalibr writes it.")
        topic = re.match(r'/?(.+)/image', str(entry.get('rostopic', '')))
        name = topic.group(1).rsplit('/', 1)[-1] if topic else key
        with name_camera(name):
            pose = np.eye(3, 4)
            if cameras:
                pose = compose(np.array(entry['T_cn_cnm1'], float)[:3, :4], cameras[-1].cam_from_world)
            cameras.append(ros_camera(name, _intrinsics(entry), pose))
    return CameraRig(tuple(cameras))


def _order(key: str) -> tuple[int, str]:
    """Sort cam10 after cam9."""
    digits = re.search(r'\d+$', key)
    return (int(digits.group()) if digits else -1), key


def _intrinsics(entry: Tree) -> Intrinsics:
    if entry['camera_model'] != 'pinhole':
        raise CalibrationError(f"camera_model '{entry['camera_model']}' is not supported; expected pinhole.")
    model = str(entry.get('distortion_model', 'none'))
    if model not in _MODELS:
        raise CalibrationError(f"distortion_model '{model}' is not supported; expected {', '.join(_MODELS)}.")
    fx, fy, cx, cy = (float(value) for value in entry['intrinsics'])
    D = np.array([] if model == 'none' else entry['distortion_coeffs'], float)
    width, height = (int(side) for side in entry['resolution'])
    return Intrinsics(camera_matrix(fx, fy, cx, cy), D, _MODELS[model], width, height)


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
