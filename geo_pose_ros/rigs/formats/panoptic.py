# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Panoptic Studio's calibration_<sequence>.json: K, distCoef (k1 k2 p1 p2 k3), R and t in cm; y is down."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...errors import CalibrationError
from ...findings import Finding, Severity
from ...types import Camera, Intrinsics
from .common import Calibration, Tree, read_cameras, ros_camera, with_z_up

_CM = 100.0


def is_panoptic(tree: Tree) -> bool:
    """Return whether a parsed JSON has cameras as Panoptic Studio writes them."""
    cameras = tree.get('cameras') if isinstance(tree, Mapping) else None
    return isinstance(cameras, list) and any(isinstance(c, Mapping) and 'distCoef' in c for c in cameras)


def parse_panoptic(tree: Tree) -> Calibration:
    """Return the cameras, m, in a world whose z is up.

    Raises:
        CalibrationError: if no camera can be used.
    """
    rig, findings = read_cameras(
        ((str(entry.get('name', number)), entry) for number, entry in enumerate(tree['cameras'])), _camera
    )
    turned = Finding(Severity.OK, 'y is down in the file; the world is turned so that z is up: (x, y, z) -> (x, z, -y)')
    return Calibration(with_z_up(rig, '-y'), 'a calibration of Panoptic Studio', 'z', (*findings, turned))


def _camera(name: str, entry: Tree) -> Camera:
    D = np.array(entry['distCoef'], float).ravel()
    width, height = (int(side) for side in entry['resolution'])
    lens = Intrinsics(np.array(entry['K'], float), D, 'plumb_bob', width, height)
    t = np.array(entry['t'], float).ravel() / _CM
    if t.shape != (3,):
        raise CalibrationError(f't has {t.size} numbers, expected 3.')
    return ros_camera(name, lens, np.column_stack([np.array(entry['R'], float).reshape(3, 3), t]))
