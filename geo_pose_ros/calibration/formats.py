"""Calibration files <-> CameraRig: our rig YAML, Qualisys .qca.txt, and the TOML of aniposelib, Pose2Sim, Caliscope.

Camera names become ROS names (``ros_name``); optical frames are `<camera>_optical_frame`.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from ..errors import CalibrationError, GeoPoseError
from ..geometry.rigid import from_rotation_vector
from ..messages.transforms import optical_frame_id
from ..skeleton import FloatArray
from ..types import Camera, CameraRig, Intrinsics
from .rig_file import dump_rig, load_rig

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

LENGTH_UNITS_M: Mapping[str, float] = {'m': 1.0, 'cm': 0.01, 'mm': 0.001}

# Qualisys: intrinsics in 1/64 px, lengths in mm, camera axes x right, y up, z back (turned by 180 degrees about x).
_QCA_SUBPIXELS = 64.0
_QCA_AXES = np.diag([1.0, -1.0, -1.0])
_MM = 1000.0


def ros_name(name: str) -> str:
    """Return ``name`` as a ROS 2 topic token: letters, digits and underscores, not starting with a digit."""
    token = re.sub(r'[^A-Za-z0-9_]', '_', name)
    return f'cam_{token}' if not token or token[0].isdigit() else token


def read_calibration(path: Path, unit: str = 'm') -> CameraRig:
    """Return the rig of a calibration file, whose kind follows from its suffix and content.

    Args:
        path: .yaml/.yml (rig file), .toml, or .qca.txt/.xml (Qualisys).
        unit: of the translations in a TOML file, which does not say it: m (Pose2Sim, Caliscope), cm or mm (aniposelib,
            if its board was measured so). The other formats have fixed units.

    Raises:
        CalibrationError: naming the file, if it cannot be read or is no calibration.
    """
    if path.suffix in ('.yaml', '.yml'):
        return load_rig(path)
    try:
        text = path.read_text(encoding='utf-8')
    except (OSError, UnicodeDecodeError) as error:
        raise CalibrationError(f"Calibration '{path}' cannot be read: {error}.") from error
    try:
        if path.suffix == '.toml':
            return _parse_toml(text, LENGTH_UNITS_M[unit])
        if text.lstrip().startswith('<'):
            return _parse_qca(text)
    except GeoPoseError as error:
        raise CalibrationError(f"Calibration '{path}': {error}") from error
    raise CalibrationError(
        f"Calibration '{path}' is of no known kind; expected a rig .yaml, a Pose2Sim, Caliscope or aniposelib .toml, "
        'or a Qualisys .qca.txt.'
    )


def write_calibration(path: Path, rig: CameraRig, *, overwrite: bool = False) -> None:
    """Write ``rig`` as the kind that the suffix names: .yaml/.yml, .toml or .qca.txt.

    Raises:
        CalibrationError: if the file exists, the suffix is unknown, or the format cannot hold the lens model.
    """
    dumpers: dict[str, Callable[[CameraRig], str]] = {
        '.yaml': dump_rig, '.yml': dump_rig, '.toml': _dump_toml, '.qca.txt': _dump_qca,
    }
    suffix = next((known for known in dumpers if path.name.endswith(known)), None)
    if suffix is None:
        raise CalibrationError(f"Calibration '{path}': unknown suffix; expected one of {', '.join(dumpers)}.")
    if path.exists() and not overwrite:
        raise CalibrationError(f"'{path}' exists already. Choose another path, or give --overwrite to replace it.")
    text = dumpers[suffix](rig)
    try:
        path.write_text(text, encoding='utf-8')
    except OSError as error:
        raise CalibrationError(f"Calibration '{path}' cannot be written: {error}.") from error


def _camera(name: str, intrinsics: Callable[[], Intrinsics], cam_from_world: Callable[[], FloatArray]) -> Camera:
    """Build a camera; every fault of its numbers names it."""
    token = ros_name(name)
    try:
        return Camera(token, optical_frame_id(token), intrinsics(), cam_from_world())
    except KeyError as error:
        raise CalibrationError(f"camera '{name}' lacks {error}; calibrate it, or take it out of the file.") from error
    except (TypeError, ValueError, IndexError) as error:
        raise CalibrationError(f"camera '{name}': a value is not a number or has a wrong shape: {error}.") from error
    except GeoPoseError as error:
        raise CalibrationError(f"camera '{name}': {error}") from error


def _parse_toml(text: str, unit_m: float) -> CameraRig:
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise CalibrationError(f'not TOML: {error}.') from error
    # Caliscope nests its cameras below [cameras.N]; the others have one table per camera beside [metadata].
    nested = tree.get('cameras')
    tables: Mapping[str, Any] = nested if isinstance(nested, dict) else tree
    entries = {
        key: entry for key, entry in tables.items()
        if isinstance(entry, dict) and 'matrix' in entry and not entry.get('ignore', False)
    }
    if not entries:
        raise CalibrationError(
            f"no table with a 'matrix'; found: {', '.join(tables) or 'nothing'}. "
            'Give the calibration of Pose2Sim, Caliscope or aniposelib, not their configuration.'
        )
    return CameraRig(tuple(_toml_camera(key, entry, unit_m) for key, entry in entries.items()))


def _toml_camera(key: str, entry: Mapping[str, Any], unit_m: float) -> Camera:
    def intrinsics() -> Intrinsics:
        D = np.array(entry['distortions'], float).ravel()
        model = 'plumb_bob' if len(D) <= 5 else 'rational_polynomial'
        if entry.get('fisheye', False):
            model, D = 'equidistant', D[:4]
        # Pose2Sim writes the size as floats.
        width, height = (round(float(side)) for side in entry['size'])
        return Intrinsics(np.array(entry['matrix'], float), D, model, width, height)

    def cam_from_world() -> FloatArray:
        rotation = np.array(entry['rotation'], float)
        translation = np.array(entry['translation'], float).ravel() * unit_m
        if rotation.shape == (3, 3):
            return np.column_stack([rotation, translation])
        return from_rotation_vector(rotation.ravel(), translation)

    return _camera(str(entry.get('name', key)), intrinsics, cam_from_world)


def _dump_toml(rig: CameraRig) -> str:
    lines = []
    for camera in rig.cameras:
        lens = camera.intrinsics
        # Readers of this format index the first four coefficients.
        D = np.pad(lens.D, (0, max(0, 4 - len(lens.D))))
        # Old SciPy refuses read-only arrays.
        rotation = Rotation.from_matrix(camera.cam_from_world[:, :3].copy()).as_rotvec()
        lines += [
            f'[{json.dumps(camera.name)}]',
            f'name = {json.dumps(camera.name)}',
            f'size = [{lens.width}, {lens.height}]',
            f'matrix = {lens.K.tolist()}',
            f'distortions = {D.tolist()}',
            f'rotation = {rotation.tolist()}',
            f'translation = {camera.cam_from_world[:, 3].tolist()}',
            f'fisheye = {str(lens.distortion_model == "equidistant").lower()}',
            '',
        ]
    return '\n'.join([*lines, '[metadata]', 'adjusted = false', 'error = 0.0', ''])


def _parse_qca(text: str) -> CameraRig:
    try:
        # Bytes, because the XML declaration of QTM names an encoding.
        root = ET.fromstring(text.encode('utf-8'))
    except ET.ParseError as error:
        raise CalibrationError(f'not XML: {error}.') from error
    elements = root.findall('cameras/camera')
    # Marker cameras stand in the same file; video cameras say so, converted files say none.
    video = [e for e in elements if any(word in e.get('model', 'none').lower() for word in ('video', 'none'))]
    if not video:
        models = sorted({str(e.get('model')) for e in elements})
        raise CalibrationError(f'no video camera; the models are: {", ".join(models) or "none"}. Export video cameras.')
    return CameraRig(tuple(_qca_camera(element) for element in video))


def _qca_camera(element: ET.Element) -> Camera:
    def number(child: str, attribute: str) -> float:
        node = element.find(child)
        if node is None or attribute not in node.attrib:
            raise KeyError(f'<{child} {attribute}="...">')
        return float(node.attrib[attribute])

    def intrinsics() -> Intrinsics:
        if number('intrinsic', 'skew') != 0.0 or float(element.get('viewrotation', '0')) != 0.0:
            raise CalibrationError('skew or viewrotation is not 0; neither is supported. Calibrate without.')
        left, top = number('fov_video', 'left'), number('fov_video', 'top')
        K = np.eye(3)
        K[0, 0] = number('intrinsic', 'focalLengthU') / _QCA_SUBPIXELS
        K[1, 1] = number('intrinsic', 'focalLengthV') / _QCA_SUBPIXELS
        K[0, 2] = number('intrinsic', 'centerPointU') / _QCA_SUBPIXELS - left
        K[1, 2] = number('intrinsic', 'centerPointV') / _QCA_SUBPIXELS - top
        D = np.array([number('intrinsic', name) for name in _QCA_DISTORTION])
        width, height = number('fov_video', 'right') - left + 1, number('fov_video', 'bottom') - top + 1
        return Intrinsics(K, D, 'plumb_bob', round(width), round(height))

    def cam_from_world() -> FloatArray:
        R_file = np.array([[number('transform', f'r{row}{column}') for column in (1, 2, 3)] for row in (1, 2, 3)])
        centre = np.array([number('transform', axis) for axis in 'xyz']) / _MM
        R = _QCA_AXES @ R_file
        return np.column_stack([R, -R @ centre])

    return _camera(element.get('serial', ''), intrinsics, cam_from_world)


# In the order of plumb_bob: k1 k2 p1 p2 k3.
_QCA_DISTORTION = (
    'radialDistortion1', 'radialDistortion2', 'tangentalDistortion1', 'tangentalDistortion2', 'radialDistortion3',
)


def _dump_qca(rig: CameraRig) -> str:
    root = ET.Element('calibration', source='geo_pose_ros', type='regular')
    cameras = ET.SubElement(root, 'cameras')
    for camera in rig.cameras:
        lens = camera.intrinsics
        if lens.distortion_model != 'plumb_bob':
            raise CalibrationError(
                f"camera '{camera.name}': the Qualisys format holds plumb_bob lenses only, not "
                f'{lens.distortion_model}. Write .yaml or .toml.'
            )
        element = ET.SubElement(cameras, 'camera', active='1', serial=camera.name, model='none', viewrotation='0')
        window = {'left': '0', 'top': '0', 'right': str(lens.width - 1), 'bottom': str(lens.height - 1)}
        for name in ('fov_marker', 'fov_marker_max', 'fov_video', 'fov_video_max'):
            ET.SubElement(element, name, window)
        R_file = _QCA_AXES @ camera.cam_from_world[:, :3]
        place = dict(zip('xyz', map(repr, (camera.position_m * _MM).tolist()), strict=True))
        turn = {f'r{row + 1}{column + 1}': repr(float(R_file[row, column])) for row in range(3) for column in range(3)}
        ET.SubElement(element, 'transform', place | turn)
        D = dict(zip(_QCA_DISTORTION, map(repr, np.pad(lens.D, (0, 5 - len(lens.D))).tolist()), strict=True))
        K = lens.K * _QCA_SUBPIXELS
        focal = {
            'focalLengthU': K[0, 0], 'focalLengthV': K[1, 1], 'centerPointU': K[0, 2], 'centerPointV': K[1, 2],
            'sensorMinU': 0.0, 'sensorMaxU': lens.width * _QCA_SUBPIXELS, 'sensorMinV': 0.0,
            'sensorMaxV': lens.height * _QCA_SUBPIXELS, 'skew': 0.0,
        }
        ET.SubElement(element, 'intrinsic', {key: repr(float(value)) for key, value in focal.items()} | D)
    ET.indent(root)
    return "<?xml version='1.0' encoding='UTF-8'?>\n" + ET.tostring(root, encoding='unicode') + '\n'


def register(subparsers: Any) -> None:
    """Add `geo_pose rig convert`."""
    rig: argparse.ArgumentParser = subparsers.add_parser('rig', help='calibration files')
    convert = rig.add_subparsers(required=True, metavar='COMMAND').add_parser(
        'convert', help='write a calibration in another format', description=__doc__
    )
    convert.add_argument('source', type=Path, metavar='IN')
    convert.add_argument('target', type=Path, metavar='OUT', help='.yaml, .toml or .qca.txt')
    add_unit_argument(convert)
    convert.add_argument('--overwrite', action='store_true', help='replace OUT')
    convert.set_defaults(run=_run)


def add_unit_argument(parser: argparse.ArgumentParser) -> None:
    """Add `--unit`, for ``read_calibration``."""
    parser.add_argument(
        '--unit', choices=tuple(LENGTH_UNITS_M), default='m',
        help='unit of the translations in a .toml, which does not say it [default: m]',
    )


def _run(arguments: argparse.Namespace) -> None:
    rig = read_calibration(arguments.source, arguments.unit)
    write_calibration(arguments.target, rig, overwrite=arguments.overwrite)
    print(f'{arguments.target}: {len(rig)} cameras: {", ".join(rig.names)}')
