# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Files of one camera without a pose: camera_info as a file and as a message, and OpenCV's.

`camera_calibration` and camera drivers keep a camera_info as YAML; `ros2 topic echo` prints the message; OpenCV's
samples write a FileStorage with one camera matrix.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import SimpleNamespace

import numpy as np

from ...arrays import FloatArray
from ...errors import CalibrationError
from ...messages.camera_info import intrinsics_from_camera_info
from ...types import DISTORTION_COEFFICIENTS, Camera, Intrinsics
from .common import Tree, name_camera, ros_camera

# Names that OpenCV's users give, in lower case without other signs.
_MATRIX = ('cameramatrix', 'intrinsicmatrix', 'intrinsic', 'intrinsics', 'k', 'mtx', 'm')
_DISTORTION = (
    'distortioncoefficients', 'distortionvector', 'distortion', 'distcoeffs', 'distcoef', 'distcoeff', 'dist', 'd',
)
_SIDES = (('imagewidth', 'imgwidth', 'width', 'w'), ('imageheight', 'imgheight', 'height', 'h'))
_SIZE = ('imagesize', 'imgsize', 'size', 'resolution')
# What drivers write where nobody gave a name.
_NO_NAMES = ('', 'camera', 'narrow_stereo')


def plain(key: object) -> str:
    """Return a key in lower case without other signs than letters and digits."""
    return re.sub(r'[^a-z0-9]', '', str(key).lower())


def matrix(tree: Tree) -> FloatArray:
    """Return a matrix: OpenCV's rows, cols and data, or nested lists; raise ValueError for another shape."""
    if isinstance(tree, Mapping):
        return np.array(tree['data'], float).reshape(int(tree['rows']), int(tree['cols']))
    return np.array(tree, float)


def _first_of(tree: Mapping[str, Tree], names: Iterable[str], what: str) -> Tree:
    """Return the entry of ``tree`` (plain keys) with one of ``names``; raise KeyError, with ``what``, if none has."""
    for name in names:
        if name in tree:
            return tree[name]
    raise KeyError(what)


def lens_of(tree: Mapping[str, Tree], size_keys: str = 'image_width and image_height') -> Intrinsics:
    """Return OpenCV's intrinsics of a tree with plain keys.

    Raises:
        KeyError: if the matrix is missing.
        CalibrationError: if the numbers are impossible, or the size of the images is missing (``size_keys``: what to
            add then).
    """
    K = matrix(_first_of(tree, _MATRIX, 'camera_matrix'))
    D = next((matrix(tree[name]).ravel() for name in _DISTORTION if name in tree), np.zeros(0))
    size = next((tree[name] for name in _SIZE if name in tree), None)
    try:
        sides = matrix(size).ravel() if size is not None else [_first_of(tree, names, '') for names in _SIDES]
        width, height = (round(float(side)) for side in sides)
    except KeyError as error:
        raise CalibrationError(f'the file does not say the size of its images; add {size_keys}, in px.') from error
    fisheye = float(_first_of({'fisheyemodel': 0, **tree}, ('fisheyemodel',), '')) or tree.get('distortiontype') == 1
    model = 'equidistant' if fisheye else 'plumb_bob' if len(D) <= 5 else 'rational_polynomial'
    given = str(tree.get('distortionmodel', tree.get('cameramodel', '')))
    # Trailing zeros of a model of fewer coefficients.
    D = D[:4] if fisheye else D
    return Intrinsics(K, D, given if given in DISTORTION_COEFFICIENTS else model, width, height)


def is_one_camera(tree: Tree) -> bool:
    """Return whether a parsed file holds the intrinsics of one camera."""
    if not isinstance(tree, Mapping):
        return False
    keys = {plain(key) for key in tree}
    return bool(keys & {'cameramatrix', 'intrinsicmatrix'}) or (
        bool(keys & {'k', 'mtx'}) and bool(keys & {'width', 'imagewidth', 'imagesize', 'd', 'dist'})
    )


def parse_one_camera(tree: Tree, file_name: str) -> Camera:
    """Return the camera, at the world's origin because the file has no pose.

    Args:
        tree: the parsed file.
        file_name: the camera's name where the file gives none, or the drivers' default.

    Raises:
        CalibrationError: naming the camera, if something is missing or impossible.
    """
    given = str(tree.get('camera_name', ''))
    name = file_name if given in _NO_NAMES else given
    with name_camera(name):
        return ros_camera(name, _lens(tree, name), np.eye(3, 4))


def _lens(tree: Tree, name: str) -> Intrinsics:
    keys = {plain(key): value for key, value in tree.items()}
    if {'k', 'p', 'width', 'height'} <= keys.keys() and not isinstance(keys['k'], Mapping):
        return _of_a_message(keys, name)
    if 'distortionmodel' in keys and str(keys['distortionmodel']) not in DISTORTION_COEFFICIENTS:
        # Intrinsics says which there are.
        return Intrinsics(np.eye(3), np.zeros(0), str(keys['distortionmodel']), 1, 1)
    return lens_of(keys)


def _of_a_message(keys: Mapping[str, Tree], name: str) -> Intrinsics:
    """Return the intrinsics of a camera_info that `topic echo` printed, of ROS 1 or 2."""
    if any('...' in map(str, keys.get(key) or ()) for key in 'dk'):
        raise CalibrationError('its numbers are cut off (...); print them with: ros2 topic echo --full-length')
    roi = {plain(key): value for key, value in (keys.get('roi') or {}).items()}
    return intrinsics_from_camera_info(SimpleNamespace(
        k=keys['k'], d=keys.get('d') or (), distortion_model=keys.get('distortionmodel', ''),
        width=keys['width'], height=keys['height'], binning_x=keys.get('binningx', 0),
        binning_y=keys.get('binningy', 0),
        roi=SimpleNamespace(
            width=roi.get('width', 0), height=roi.get('height', 0), x_offset=roi.get('xoffset', 0),
            y_offset=roi.get('yoffset', 0),
        ),
    ), name)
