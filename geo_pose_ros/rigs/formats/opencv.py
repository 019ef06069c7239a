# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Several cameras in OpenCV's FileStorage (YAML, XML or JSON): EasyMocap and MC-Calib.

EasyMocap: `intri.yml` with K_<camera>, dist_<camera>, W_ and H_<camera>; `extri.yml` with R_<camera> (rotation vector)
or Rot_<camera> (matrix) and T_<camera>, from the world to the camera. MC-Calib: one mapping camera_<n> each, whose
camera_pose_matrix takes the camera into the first one.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ...arrays import FloatArray
from ...errors import CalibrationError
from ...geometry.rigid import invert
from ...types import Camera
from .common import Calibration, Tree, pose_of, read_cameras, ros_camera
from .one_camera import lens_of, matrix, plain

# Files of one calibration that stand beside each other.
_PARTS = ('intri', 'extri')


def tree_of_xml(element: ET.Element) -> Tree:
    """Return the content of OpenCV's XML as its YAML would be read."""
    if element.get('type_id') == 'opencv-matrix':
        numbers = {child.tag: child.text or '' for child in element}
        return {'rows': numbers.get('rows', 0), 'cols': numbers.get('cols', 0), 'data': numbers.get('data', '').split()}
    if len(element):
        return {child.tag: tree_of_xml(child) for child in element}
    words = (element.text or '').split()
    return words[0].strip('"') if len(words) == 1 else [word.strip('"') for word in words]


def other_part(path: Path) -> Path | None:
    """Return the file with the extrinsics that belongs to one with intrinsics, or the other way round; None: none."""
    for one, other in (_PARTS, _PARTS[::-1]):
        if path.stem.startswith(one):
            beside = path.with_name(other + path.name[len(one):])
            return beside if beside.is_file() else None
    return None


def is_several(tree: Tree) -> bool:
    """Return whether a parsed file holds several cameras as OpenCV's users write them, or the extrinsics of them."""
    return isinstance(tree, Mapping) and (
        any(re.match(r'(K|R|Rot|T)_\w', str(key)) for key in tree) or bool(_mc_calib(tree))
    )


def parse_several(tree: Tree, unit_m: float) -> Calibration:
    """Return the cameras of one calibration, whose parts are together in ``tree``, with lengths in ``unit_m``.

    Raises:
        CalibrationError: if no camera can be used, for example because the file does not say the size of the images.
    """
    cameras = _mc_calib(tree)
    if cameras:
        rig, findings = read_cameras(
            cameras.items(), lambda name, of: ros_camera(name, lens_of(of), _mc_calib_pose(of, unit_m))
        )
        return Calibration(rig, 'a calibration of MC-Calib', findings=findings)
    names = [str(key)[2:] for key in tree if str(key).startswith('K_')]
    if not names:
        raise CalibrationError('it holds extrinsics alone; put intri.yml with the intrinsics beside it.')
    has_poses = any(f'T_{name}' in tree for name in names)
    rig, findings = read_cameras(
        ((name, name) for name in names), lambda name, _: _easymocap_camera(tree, name, unit_m, has_poses)
    )
    return Calibration(rig, 'intri.yml and extri.yml of EasyMocap', findings=findings, has_poses=has_poses)


def _easymocap_camera(tree: Tree, name: str, unit_m: float, has_poses: bool) -> Camera:
    keys = {
        'k': tree[f'K_{name}'], 'd': tree.get(f'dist_{name}', tree.get(f'D_{name}', [])),
        **{side.lower(): int(tree[f'{side}_{name}']) for side in 'WH' if f'{side}_{name}' in tree},
    }
    lens = lens_of(keys, size_keys=f'W_{name} and H_{name}')
    if not has_poses:
        return ros_camera(name, lens, np.eye(3, 4))
    rotation = next((key for key in (f'Rot_{name}', f'R_{name}') if key in tree), f'R_{name}')
    return ros_camera(name, lens, pose_of(matrix(tree[rotation]), matrix(tree[f'T_{name}']).ravel() * unit_m))


def _mc_calib(tree: Tree) -> dict[str, Mapping[str, Tree]]:
    return {
        str(key): {plain(inner): value for inner, value in entry.items()}
        for key, entry in tree.items() if isinstance(entry, Mapping) and 'camera_pose_matrix' in entry
    }


def _mc_calib_pose(of: Mapping[str, Tree], unit_m: float) -> FloatArray:
    pose = matrix(of['cameraposematrix'])[:3]
    return invert(np.column_stack([pose[:, :3], pose[:, 3] * unit_m]))
