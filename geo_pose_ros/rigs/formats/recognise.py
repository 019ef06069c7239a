# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The text of a calibration file, whatever its encoding; and what a file is that holds no calibration."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping
from pathlib import Path

import yaml

from ...errors import CalibrationError
from .common import Tree

READ = (
    'a rig .yaml, a Kalibr, OpenCV, MC-Calib or camera_info .yaml, the intri.yml and extri.yml of EasyMocap, a '
    'Pose2Sim, Caliscope, FreeMoCap or aniposelib .toml, a Qualisys .qca.txt, a Vicon .xcp, a Panoptic .json, or a '
    'folder of COLMAP'
)
# How files begin that hold no text, and what to do with them.
_BINARY: Mapping[bytes, str] = {
    b'PK\x03\x04': 'a zip archive or an .npz; unpack it, or write the calibration as text',
    b'\x93NUMPY': "NumPy's .npy; write the calibration as text",
    b'\x80': "a pickle, as OpenCap writes it; convert it with Pose2Sim's calibration",
    b'\x89HDF': 'HDF5; write the calibration as text',
    b'\x89MCAP0': 'a bag, not a calibration; give it to a command as BAG',
    b'SQLite format 3': 'a bag, not a calibration; give it to a command as BAG',
    b'#ROSBAG': 'a bag, not a calibration; give it to a command as BAG',
    b'MATLAB': "MATLAB's .mat; write the calibration as text",
}
_ENCODINGS: Mapping[bytes, str] = {
    b'\xef\xbb\xbf': 'utf-8-sig', b'\xff\xfe': 'utf-16', b'\xfe\xff': 'utf-16',
}
# Keys of YAML and JSON files that people give by mistake.
_OTHERS: Mapping[str, str] = {
    'rosbag2_bagfile_information': "a bag's metadata.yaml; give the calibration, not the bag",
    'ros__parameters': "a parameter file of nodes; give the file that its 'rig' names",
    'frames': "a transforms.json of nerfstudio; give COLMAP's model, from which it was made",
    'value0': "a calibration of Basalt; give the calibration as Kalibr's camchain",
    'model_type': "a calibration of camodocal; give K and D as the camera_info .yaml of each camera",
    'board_type': 'settings of a calibration, not its result; give the file that was calibrated',
}


def read_text(path: Path) -> str:
    """Return the text of a file in UTF-8 or UTF-16, with or without a byte order mark.

    Raises:
        CalibrationError: if it holds no text, saying what it is.
    """
    data = path.read_bytes()
    kind = next((kind for start, kind in _BINARY.items() if data.startswith(start)), None)
    if kind is not None:
        raise CalibrationError(f'it is {kind}.')
    if b'\0' in data[:4] and data[:2] not in (b'\xff\xfe', b'\xfe\xff'):
        raise CalibrationError(f'it holds no text; expected {READ}.')
    encoding = next((name for start, name in _ENCODINGS.items() if data.startswith(start)), 'utf-8')
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        # Of an old Windows; numbers and keys are the same.
        return data.decode('latin-1')


def unknown_kind(tree: Tree) -> CalibrationError:
    """Return the error for a parsed file that is no calibration: what it is, or what it holds."""
    if isinstance(tree, Mapping):
        keys = [str(key) for key in tree]
        below = [str(key) for entry in tree.values() if isinstance(entry, Mapping) for key in entry]
        other = next((kind for key, kind in _OTHERS.items() if key in (*keys, *below)), None)
        if other is not None:
            return CalibrationError(f'it is {other}.')
        if keys:
            holds = ', '.join(keys[:8]) + (', ...' if len(keys) > 8 else '')
            return CalibrationError(f'unknown kind of file, which holds {holds}; expected {READ}.')
    return CalibrationError(f'unknown kind of file; expected {READ}.')


class _UniqueKeyLoader(yaml.SafeLoader):
    """YAML that refuses a key given twice; PyYAML keeps the last one silently."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, object]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = sorted({str(key) for key in keys if keys.count(key) > 1})
        if twice:
            line = node.start_mark.line + 1
            raise CalibrationError(f'{twice} given more than once at line {line}; names are unique.')
        return super().construct_mapping(node, deep=deep)


def _construct_matrix(loader: _UniqueKeyLoader, node: yaml.MappingNode) -> dict[Hashable, object]:
    return loader.construct_mapping(node, deep=True)


# OpenCV's matrices are mappings with a tag of their own.
_UniqueKeyLoader.add_constructor('tag:yaml.org,2002:opencv-matrix', _construct_matrix)


def parse_yaml(text: str) -> Tree:
    """Return the first document of a YAML file; raise CalibrationError if it is none or repeats a key.

    `ros2 topic echo` writes one document per message, OpenCV a first line that is no YAML.
    """
    if re.match(r'%YAML:', text):
        text = text.partition('\n')[2]
    try:
        return next(yaml.load_all(text, Loader=_UniqueKeyLoader), None)
    except yaml.YAMLError as error:
        mark = getattr(error, 'problem_mark', None)
        where = f' at line {mark.line + 1}' if mark is not None else ''
        problem = getattr(error, 'problem', None) or str(error)
        raise CalibrationError(f'not YAML: {" ".join(problem.split())}{where}. Expected {READ}.') from error
