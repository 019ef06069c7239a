"""Calibration files <-> CameraRig, by suffix and content.

Read: our rig YAML, Qualisys .qca.txt, the TOML of aniposelib, Pose2Sim and Caliscope, Kalibr's camchain YAML, the
camera_info YAML of `camera_calibration` (a file or a folder of them), COLMAP's text model (a folder). Written: ours,
TOML, Qualisys. Camera names become ROS names (``ros_name``); optical frames are `<camera>_optical_frame`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

from ..errors import CalibrationError
from ..types import CameraRig
from .formats.colmap import parse_colmap
from .formats.common import name_file, parse_yaml, ros_name
from .formats.qualisys import dump_qca, parse_qca
from .formats.toml_files import dump_toml, parse_toml
from .formats.yaml_files import is_camera_info, is_kalibr, parse_camera_info, parse_kalibr
from .rig_file import dump_rig, parse_rig

_LOG = logging.getLogger(__name__)

__all__ = ['LENGTH_UNITS_M', 'in_words', 'read_calibration', 'ros_name', 'write_calibration']

_YAML = ('.yaml', '.yml')
_DUMPERS: Mapping[str, Callable[[CameraRig], str]] = {
    '.yaml': dump_rig, '.yml': dump_rig, '.toml': dump_toml, '.qca.txt': dump_qca,
}
LENGTH_UNITS_M: Mapping[str, float] = {'m': 1.0, 'cm': 0.01, 'mm': 0.001}


def read_calibration(path: Path, unit: str = 'm') -> CameraRig:
    """Return the rig of a calibration file or folder, whose kind follows from its suffix and content.

    A format without extrinsics (camera_info) gives cameras that all stand in the world's origin: fit for
    `geo_pose calibrate --from-scratch`.

    Args:
        path: .yaml/.yml (rig file, Kalibr, camera_info), .toml, .qca.txt/.xml (Qualisys), or a folder (COLMAP,
            camera_info files).
        unit: of the translations in a TOML file or a COLMAP model, which do not say it: m (Pose2Sim, Caliscope), cm or
            mm (aniposelib, if its board was measured so). The other formats have fixed units.

    Raises:
        CalibrationError: naming the file, if it cannot be read or is no calibration.
    """
    with name_file(path):
        return _parse_folder(path, LENGTH_UNITS_M[unit]) if path.is_dir() else _parse_file(path, LENGTH_UNITS_M[unit])


def _parse_file(path: Path, unit_m: float) -> CameraRig:
    text = path.read_text(encoding='utf-8')
    if path.suffix in _YAML:
        tree = parse_yaml(text)
        if is_kalibr(tree):
            return parse_kalibr(tree)
        return CameraRig((parse_camera_info(tree, path.stem),)) if is_camera_info(tree) else parse_rig(tree)
    if path.suffix == '.toml':
        return parse_toml(text, unit_m)
    if text.lstrip().startswith('<'):
        return parse_qca(text)
    raise CalibrationError(
        'unknown kind of file; expected a rig .yaml, a Kalibr or camera_info .yaml, a Pose2Sim, Caliscope or '
        'aniposelib .toml, a Qualisys .qca.txt, or a folder of COLMAP.'
    )


def _parse_folder(path: Path, unit_m: float) -> CameraRig:
    """Return the rig of a folder: a COLMAP model, or one camera_info file per camera."""
    cameras, images = path / 'cameras.txt', path / 'images.txt'
    if cameras.is_file() and images.is_file():
        return parse_colmap(cameras.read_text(encoding='utf-8'), images.read_text(encoding='utf-8'), unit_m)
    files = sorted(file for file in path.iterdir() if file.suffix in _YAML)
    trees = [parse_yaml(file.read_text(encoding='utf-8')) for file in files]
    if not trees or not all(map(is_camera_info, trees)):
        raise CalibrationError(
            "the folder is no calibration; expected COLMAP's cameras.txt and images.txt, or the camera_info .yaml of "
            'every camera and no other .yaml.'
        )
    return CameraRig(tuple(parse_camera_info(tree, file.stem) for file, tree in zip(files, trees, strict=True)))


def write_calibration(path: Path, rig: CameraRig, *, overwrite: bool = False) -> None:
    """Write ``rig`` as the kind that the suffix names: .yaml/.yml, .toml or .qca.txt.

    Raises:
        CalibrationError: if the file exists, the suffix is unknown, or the format cannot hold the lens model.
    """
    suffix = next((known for known in _DUMPERS if path.name.endswith(known)), None)
    if suffix is None:
        raise CalibrationError(f"Calibration '{path}': unknown suffix; expected one of {', '.join(_DUMPERS)}.")
    if path.exists() and not overwrite:
        raise CalibrationError(f"'{path}' exists already. Choose another path, or give --overwrite to replace it.")
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
