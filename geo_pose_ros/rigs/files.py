# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Calibration files <-> CameraRig, by content; the suffix matters only for what is written.

Read: our rig YAML, Qualisys .qca.txt, Vicon .xcp, the TOML of aniposelib, FreeMoCap, Pose2Sim and Caliscope, Kalibr's
camchain, OpenCV's FileStorage (one camera, MC-Calib, EasyMocap's intri.yml and extri.yml), Panoptic
Studio's JSON, camera_info as `camera_calibration` writes and `ros2 topic echo` prints it (a file or a folder of them),
COLMAP's text model (a folder). Written: ours, TOML, Qualisys. Camera names become ROS names (``ros_name``); optical
frames are `<camera>_optical_frame`. A camera that cannot be used is left out, with a finding; a file is refused if
none is left. Our own rig file is refused for any fault.
"""

from __future__ import annotations

import json
import logging
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping
from pathlib import Path

from ..errors import CalibrationError, refuse_existing
from ..findings import Severity
from ..types import CameraRig
from .formats.colmap import parse_colmap
from .formats.common import Calibration, Tree, name_file, read_cameras, ros_name, with_z_up
from .formats.kalibr import is_kalibr, parse_kalibr
from .formats.one_camera import is_one_camera, parse_one_camera
from .formats.opencv import is_several, other_part, parse_several, tree_of_xml
from .formats.panoptic import is_panoptic, parse_panoptic
from .formats.qualisys import dump_qca, parse_qca
from .formats.recognise import READ, parse_yaml, read_text, unknown_kind
from .formats.toml_files import dump_toml, parse_toml
from .formats.vicon import parse_xcp
from .rig_file import dump_rig, parse_rig

_LOG = logging.getLogger(__name__)

__all__ = [
    'LENGTH_UNITS_M', 'Calibration', 'in_words', 'read_calibration', 'read_calibration_file', 'ros_name',
    'with_z_up', 'write_calibration',
]

_YAML = ('.yaml', '.yml')
_DUMPERS: Mapping[str, Callable[[CameraRig], str]] = {
    '.yaml': dump_rig, '.yml': dump_rig, '.toml': dump_toml, '.qca.txt': dump_qca,
}
LENGTH_UNITS_M: Mapping[str, float] = {'m': 1.0, 'cm': 0.01, 'mm': 0.001}
# XML of other programs, by its root, and what to do.
_OTHER_XML: Mapping[str, str] = {
    'robot': 'a robot description (URDF); run robot_state_publisher and record /tf_static with the cameras',
    'document': "Metashape's; export the cameras as COLMAP, text",
    'Calibration': "OptiTrack's or Metashape's; export the cameras as Pose2Sim's .toml",
}


def read_calibration(path: Path, unit: str = 'm') -> CameraRig:
    """Return the rig of a calibration file or folder; what is left out of it is in the log. See the other function."""
    found = read_calibration_file(path, unit)
    for finding in found.findings:
        if finding.severity > Severity.OK:
            _LOG.warning("'%s': %s", path, finding.in_words)
    return found.rig


def read_calibration_file(path: Path, unit: str = 'm') -> Calibration:
    """Return what a calibration file or folder holds, whose kind follows from its content.

    A format without extrinsics (camera_info) gives cameras that all stand in the world's origin: fit for
    `geo_pose calibrate --from-scratch`.

    Args:
        path: see the module.
        unit: of the translations in a TOML, OpenCV or COLMAP file, which do not say it: m (Pose2Sim, Caliscope), cm or
            mm (FreeMoCap, and aniposelib if its board was measured so). The other formats have fixed units.

    Raises:
        CalibrationError: naming the file, if it cannot be read, is no calibration, or no camera of it can be used.
    """
    with name_file(path):
        return _parse_folder(path, LENGTH_UNITS_M[unit]) if path.is_dir() else _parse_file(path, LENGTH_UNITS_M[unit])


def _parse_file(path: Path, unit_m: float) -> Calibration:
    if path.stem in ('cameras', 'images', 'points3D', 'frames', 'rigs') and path.with_name('images.txt').is_file():
        return _parse_folder(path.parent, unit_m)
    text = read_text(path)
    if text.lstrip().startswith('<') and not text.lstrip().startswith('<<'):
        return _parse_xml(path, text, unit_m)
    if path.suffix == '.toml' or re.match(r'(\s*#.*\n|\s*\n)*(\[[^\]\n]+\]|[\w.]+\s*=)', text):
        return parse_toml(text, unit_m)
    return _parse_tree(path, _parse_text(path, text), unit_m)


def _parse_text(path: Path, text: str) -> Tree:
    """Return the content of YAML or JSON."""
    if not text.lstrip().startswith('{') or path.suffix in _YAML:
        return parse_yaml(text)
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise CalibrationError(f'not JSON: {error}.') from error


def _parse_xml(path: Path, text: str, unit_m: float) -> Calibration:
    try:
        # Without the declaration, whose encoding is not that of the text any more.
        root = ET.fromstring(re.sub(r'^\s*<\?xml[^>]*\?>', '', text))
    except ET.ParseError as error:
        raise CalibrationError(f'not XML: {error}.') from error
    if root.tag == 'opencv_storage':
        return _parse_tree(path, tree_of_xml(root), unit_m)
    if root.tag == 'Cameras':
        return parse_xcp(root)
    if (root.find('cameras/camera') is not None and root.tag != 'document') or root.tag == 'calibration':
        return parse_qca(root)
    kind = _OTHER_XML.get(root.tag, f'XML with the root <{root.tag}>, of no known kind; expected {READ}')
    raise CalibrationError(f'it is {kind}.')


def _parse_tree(path: Path, tree: Tree, unit_m: float) -> Calibration:
    """Return the cameras of parsed YAML, XML of OpenCV, or JSON."""
    if is_kalibr(tree):
        return parse_kalibr(tree, path.stem)
    if is_panoptic(tree):
        return parse_panoptic(tree)
    beside = other_part(path)
    if beside is not None and is_several(tree):
        tree = {**tree, **_parse_text(beside, read_text(beside))}
    if isinstance(tree, Mapping) and is_several(tree):
        return parse_several(tree, unit_m)
    if is_one_camera(tree):
        return Calibration(CameraRig((parse_one_camera(tree, path.stem),)), 'one camera', has_poses=False)
    if isinstance(tree, Mapping) and isinstance(tree.get('cameras'), Mapping):
        return Calibration(parse_rig(tree), 'a rig file', 'z')
    raise unknown_kind(tree)


def _parse_folder(path: Path, unit_m: float) -> Calibration:
    """Return the cameras of a folder: a COLMAP model, parts of one calibration, or one camera_info file per camera."""
    cameras, images = path / 'cameras.txt', path / 'images.txt'
    if cameras.is_file() and images.is_file():
        return parse_colmap(read_text(cameras), read_text(images), unit_m)
    if (path / 'cameras.bin').is_file():
        raise CalibrationError(
            f"it is COLMAP's binary model; write it as text: colmap model_converter --input_path {path} "
            f'--output_path {path} --output_type TXT'
        )
    model = next((m for m in (path / 'sparse' / '0', path / 'sparse', path / '0') if m.is_dir()), None)
    if model is not None:
        return _parse_folder(model, unit_m)
    files = sorted(file for file in path.iterdir() if file.suffix in (*_YAML, '.xml', '.json'))
    part = next((file for file in files if file.stem == 'intri' and other_part(file)), None)
    if part is not None:
        return _parse_file(part, unit_m)
    trees = {file.stem: _parse_text(file, read_text(file)) for file in files if file.suffix in _YAML}
    if not trees or not all(map(is_one_camera, trees.values())):
        raise CalibrationError(
            "the folder is no calibration; expected COLMAP's cameras.txt and images.txt, intri.yml and extri.yml of "
            'EasyMocap, or the camera_info .yaml of every camera and no other .yaml.'
        )
    rig, findings = read_cameras(trees.items(), lambda name, tree: parse_one_camera(tree, name))
    return Calibration(rig, 'one file a camera', findings=findings, has_poses=False)


def write_calibration(path: Path, rig: CameraRig, *, overwrite: bool = False) -> None:
    """Write ``rig`` as the kind that the suffix names: .yaml/.yml, .toml or .qca.txt.

    Raises:
        CalibrationError: if the file exists, the suffix is unknown, or the format cannot hold the lens model.
    """
    suffix = next((known for known in _DUMPERS if path.name.endswith(known)), None)
    if suffix is None:
        raise CalibrationError(f"Calibration '{path}': unknown suffix; expected one of {', '.join(_DUMPERS)}.")
    refuse_existing(path, overwrite=overwrite, error=CalibrationError)
    late = [camera.name for camera in rig.cameras if camera.clock.offset_s]
    if late and suffix not in _YAML:
        _LOG.warning(
            "'%s': %s cannot hold the clock offsets of %s, which are left out; write .yaml to keep them.",
            path, suffix, ', '.join(late),
        )
    text = _DUMPERS[suffix](rig)
    try:
        path.write_text(text, encoding='utf-8')
    except OSError as error:
        raise CalibrationError(f"Calibration '{path}' cannot be written: {error}.") from error


def in_words(rig: CameraRig) -> str:
    """Return the names of the cameras, and how late the stamps of each are that is."""
    return ', '.join(
        f'{camera.name} (clock {1e3 * camera.clock.offset_s:+.1f} ms)' if camera.clock.offset_s else camera.name
        for camera in rig.cameras
    )
