# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""COLMAP's text model: cameras.txt and images.txt of a rig that took one image with each camera.

COLMAP's pixel (0, 0) is the corner of the top-left pixel, ours its centre.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePosixPath

import numpy as np

from ...errors import CalibrationError
from ...geometry.rigid import from_quaternion
from ...types import Camera, Intrinsics
from .common import Calibration, camera_matrix, read_cameras, ros_camera

# Model -> (number of parameters, how they become fx fy cx cy, ROS's model and coefficients).
_Parts = tuple[Sequence[float], str, Sequence[float]]
_MODELS: Mapping[str, tuple[int, Callable[[Sequence[float]], _Parts]]] = {
    'SIMPLE_PINHOLE': (3, lambda p: ((p[0], p[0], *p[1:3]), 'plumb_bob', ())),
    'PINHOLE': (4, lambda p: (p, 'plumb_bob', ())),
    'SIMPLE_RADIAL': (4, lambda p: ((p[0], p[0], *p[1:3]), 'plumb_bob', (p[3], 0.0, 0.0, 0.0))),
    'RADIAL': (5, lambda p: ((p[0], p[0], *p[1:3]), 'plumb_bob', (*p[3:5], 0.0, 0.0))),
    'OPENCV': (8, lambda p: (p[:4], 'plumb_bob', p[4:])),
    'OPENCV_FISHEYE': (8, lambda p: (p[:4], 'equidistant', p[4:])),
    'FULL_OPENCV': (12, lambda p: (p[:4], 'rational_polynomial', p[4:])),
}


def parse_colmap(cameras_text: str, images_text: str, unit_m: float) -> Calibration:
    """Return the cameras; one is named after its image's folder, or the image where all are in one folder.

    Several images may share one lens, a camera of COLMAP's.

    Args:
        cameras_text, images_text: content of cameras.txt and images.txt.
        unit_m: length of the model's unit, which the file does not say.

    Raises:
        CalibrationError: for a damaged line, a camera that moves, or if no camera can be used.
    """
    lines = [line.split() for line in cameras_text.splitlines() if line.strip() and not line.startswith('#')]
    lenses = {number: words for number, *words in lines}
    # Every second line of images.txt holds the image's points, and may be empty.
    rows = [line for line in images_text.splitlines() if not line.startswith('#')][::2]
    images = [line.split(maxsplit=9) for line in rows if line.strip()]
    if not images:
        raise CalibrationError('images.txt names no image; give a model in which the cameras are registered.')
    for row in images:
        if len(row) < 10:
            raise CalibrationError(f"images.txt: the line '{' '.join(row)}' has {len(row)} words, expected 10.")

    def read(name: str, row: Sequence[str]) -> Camera:
        if row[8] not in lenses:
            raise CalibrationError(f'cameras.txt has no camera {row[8]}, which images.txt names.')
        w, x, y, z, *t = (float(word) for word in row[1:8])
        pose = from_quaternion(np.array([x, y, z, w]), np.array(t) * unit_m)
        return ros_camera(name, _intrinsics(lenses[row[8]]), pose)

    names = _names([PurePosixPath(row[9]) for row in images])
    rig, findings = read_cameras(zip(names, images, strict=True), read)
    return Calibration(rig, 'a model of COLMAP', findings=findings)


def _names(paths: Sequence[PurePosixPath]) -> list[str]:
    """Return the cameras' names by their images; raise CalibrationError if one took several."""
    folders = [path.parent.name for path in paths]
    if len(set(folders)) == 1:
        return [path.stem for path in paths] if len(paths) > 1 or not folders[0] else folders
    names = [path.parent.name or path.stem for path in paths]
    several = sorted({name for name in names if names.count(name) > 1})
    if several:
        raise CalibrationError(
            f'{", ".join(several)} took several images; expected one of each camera, in a folder of its name, since '
            'the cameras of a rig stand still. Register one image of each.'
        )
    return names


def _intrinsics(words: Sequence[str]) -> Intrinsics:
    """Return the intrinsics of a line of cameras.txt without its first word: model, width, height, parameters."""
    model, width, height, *parameters = [*words, '0', '0'] if len(words) < 3 else words
    if model not in _MODELS:
        raise CalibrationError(f"COLMAP's model '{model}' is not supported; expected {', '.join(_MODELS)}.")
    count, convert = _MODELS[model]
    if len(parameters) != count:
        raise CalibrationError(f'{model} has {len(parameters)} parameters, expected {count}.')
    (fx, fy, cx, cy), ros_model, D = convert([float(word) for word in parameters])
    K = camera_matrix(fx, fy, cx - 0.5, cy - 0.5)
    return Intrinsics(K, np.array(D, float), ros_model, int(float(width)), int(float(height)))
