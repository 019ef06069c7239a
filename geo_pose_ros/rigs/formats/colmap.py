"""COLMAP's text model: cameras.txt and images.txt of a rig that took one picture with each camera.

COLMAP's pixel (0, 0) is the corner of the top-left pixel, ours its centre.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePosixPath

import numpy as np

from ...arrays import FloatArray
from ...errors import CalibrationError
from ...geometry.rigid import from_quaternion
from ...types import Camera, CameraRig, Intrinsics
from .foreign import build_camera

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


def parse_colmap(cameras_text: str, images_text: str, unit_m: float) -> CameraRig:
    """Return the rig; a camera is named after its picture's folder, or the picture where there is none.

    Args:
        cameras_text, images_text: content of cameras.txt and images.txt.
        unit_m: length of the model's unit, which the file does not say.

    Raises:
        CalibrationError: for an unknown model, a damaged line, or a camera with several pictures.
    """
    lenses = dict(_lens(line) for line in _lines(cameras_text))
    # Every second line of images.txt is the picture's points, and may be empty.
    rows = [line for line in images_text.splitlines() if not line.startswith('#')][::2]
    images = [line.split(maxsplit=9) for line in rows if line.strip()]
    if not images:
        raise CalibrationError('images.txt names no picture; give a model in which the cameras are registered.')
    used: list[str] = []
    cameras: list[Camera] = []
    for row in images:
        if len(row) != 10:
            raise CalibrationError(f"images.txt: the line '{' '.join(row)}' has {len(row)} words, expected 10.")
        if row[8] in used:
            raise CalibrationError(
                f'camera {row[8]} took several pictures; expected one of each, since the cameras of a rig stand still.'
            )
        used.append(row[8])
        cameras.append(_camera(row, lenses, unit_m))
    return CameraRig(tuple(cameras))


def _lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip() and not line.startswith('#')]


def _lens(line: str) -> tuple[str, tuple[str, list[str]]]:
    number, model, *rest = [*line.split(), '', ''][: max(2, len(line.split()))]
    return number, (model, rest)


def _camera(row: Sequence[str], lenses: Mapping[str, tuple[str, list[str]]], unit_m: float) -> Camera:
    def intrinsics() -> Intrinsics:
        if row[8] not in lenses:
            raise CalibrationError(f'cameras.txt has no camera {row[8]}, which images.txt names.')
        model, words = lenses[row[8]]
        if model not in _MODELS:
            raise CalibrationError(f"COLMAP's model '{model}' is not supported; expected {', '.join(_MODELS)}.")
        count, convert = _MODELS[model]
        values = [float(word) for word in words]
        if len(values) != count + 2:
            raise CalibrationError(f'{model} has {len(values) - 2} parameters, expected {count}.')
        (fx, fy, cx, cy), ros_model, D = convert(values[2:])
        K = np.array([[fx, 0.0, cx - 0.5], [0.0, fy, cy - 0.5], [0.0, 0.0, 1.0]])
        return Intrinsics(K, np.array(D, float), ros_model, int(values[0]), int(values[1]))

    def cam_from_world() -> FloatArray:
        w, x, y, z, *t = (float(word) for word in row[1:8])
        return from_quaternion(np.array([x, y, z, w]), np.array(t) * unit_m)

    picture = PurePosixPath(row[9])
    return build_camera(picture.parent.name or picture.stem, intrinsics, cam_from_world)
