# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Kalibr's camchain: cameras each relative to the one before; the first is the world."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from ...errors import CalibrationError
from ...geometry.rigid import compose
from ...types import Camera, Intrinsics
from ..topics import camera_names, namespace_of
from .common import Calibration, Tree, camera_matrix, read_cameras, ros_camera

# Kalibr's name -> ROS's; both use k1 k2 p1 p2, and k1..k4 for equidistant.
_MODELS: Mapping[str, str] = {
    'radtan': 'plumb_bob', 'equidistant': 'equidistant', 'equi': 'equidistant', 'none': 'plumb_bob',
}


def is_kalibr(tree: Tree) -> bool:
    """Return whether a parsed YAML is a camchain, or one camera of it."""
    return isinstance(tree, Mapping) and (('resolution' in tree and 'camera_model' in tree) or any(
        isinstance(entry, Mapping) and 'camera_model' in entry for entry in tree.values()
    ))


def parse_kalibr(tree: Tree, file_name: str) -> Calibration:
    """Return the cameras of a camchain, m, named as a bag of their topics names them; those without a topic by key.

    Args:
        tree: the parsed YAML.
        file_name: names a camera that stands alone in its file.

    Raises:
        CalibrationError: if no camera can be used: for a model that ROS has not, or a camera without a transform to
            the one before.
    """
    chain = {file_name: tree} if 'camera_model' in tree else tree
    keys = [key for key in sorted(map(str, chain), key=_order) if isinstance(chain[key], Mapping)]
    spaces = {key: namespace_of(str(chain[key].get('rostopic', ''))) for key in keys}
    named = camera_names(space for space in spaces.values() if space)
    poses: list[np.ndarray] = []
    for key in keys:
        # Where one is missing, all behind it hang in the air.
        step = chain[key].get('T_cn_cnm1', ()) if len(poses) == keys.index(key) else ()
        if key == keys[0]:
            poses.append(np.eye(3, 4))
        elif np.shape(step) == (4, 4):
            poses.append(compose(np.array(step, float)[:3], poses[-1]))

    def read(name: str, key: str) -> Camera:
        if keys.index(key) >= len(poses):
            raise KeyError('T_cn_cnm1' if 'T_cn_cnm1' not in chain[key] else 'T_cn_cnm1 (4x4) of every camera before')
        return ros_camera(name, _intrinsics(chain[key]), poses[keys.index(key)])

    rig, findings = read_cameras(((named.get(spaces[key], key), key) for key in keys), read)
    return Calibration(rig, 'a camchain of Kalibr', findings=findings, has_poses=len(keys) > 1)


def _order(key: str) -> tuple[int, str]:
    """Sort cam10 after cam9."""
    digits = re.search(r'\d+$', key)
    return (int(digits.group()) if digits else -1), key


def _intrinsics(entry: Tree) -> Intrinsics:
    # Some name both models in one: pinhole-equi.
    lens, _, both = str(entry['camera_model']).partition('-')
    if lens != 'pinhole':
        raise CalibrationError(f"camera_model '{entry['camera_model']}' is not supported; expected pinhole.")
    model = str(entry.get('distortion_model', both or 'none'))
    if model not in _MODELS:
        raise CalibrationError(f"distortion_model '{model}' is not supported; expected {', '.join(_MODELS)}.")
    fx, fy, cx, cy = (float(value) for value in entry['intrinsics'])
    D = np.array([] if model == 'none' else entry['distortion_coeffs'], float)
    width, height = (int(side) for side in entry['resolution'])
    return Intrinsics(camera_matrix(fx, fy, cx, cy), D, _MODELS[model], width, height)
