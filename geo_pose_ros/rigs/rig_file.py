"""Rig files: our YAML, checked on load.

Schema (metres, px; unknown keys are errors):

    world_frame_id: world
    cameras:
      left:
        frame_id: left_optical_frame
        width: 1280
        height: 720
        K: [[fx, 0, cx], [0, fy, cy], [0, 0, 1]]
        distortion_model: plumb_bob
        D: [k1, k2, p1, p2, k3]
        cam_from_world: [[r11, r12, r13, tx], [r21, r22, r23, ty], [r31, r32, r33, tz]]
        clock_offset_s: 0.012    # its stamps are late by so much; left out where clocks agree
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from ..errors import CalibrationError, GeoPoseError
from ..types import Camera, CameraRig, ClockModel, Intrinsics

_CLOCK = 'clock_offset_s'
_CAMERA_KEYS = ('frame_id', 'width', 'height', 'K', 'distortion_model', 'D', 'cam_from_world')


class _UniqueKeyLoader(yaml.SafeLoader):
    """YAML that refuses a key given twice; PyYAML keeps the last one silently."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = sorted({str(key) for key in keys if keys.count(key) > 1})
        if twice:
            line = node.start_mark.line + 1
            raise CalibrationError(f'{twice} given more than once at line {line}; names are unique.')
        return super().construct_mapping(node, deep=deep)


def load_yaml(path: Path) -> Any:
    """Return the content of a YAML file; raise CalibrationError, naming it, if it is none or repeats a key."""
    try:
        text = path.read_text(encoding='utf-8')
    except (OSError, UnicodeDecodeError) as error:
        raise CalibrationError(f"Rig file '{path}' cannot be read: {error}. Give an existing YAML rig file.") from error
    try:
        return yaml.load(text, Loader=_UniqueKeyLoader)
    except yaml.YAMLError as error:
        raise CalibrationError(f"Rig file '{path}' is not YAML: {error}") from error
    except CalibrationError as error:
        raise CalibrationError(f"Rig file '{path}': {error}") from error


def load_rig(path: Path) -> CameraRig:
    """Read a rig file.

    Raises:
        CalibrationError: naming the file and the camera, if it cannot be read or is not a rig.
    """
    tree = load_yaml(path)
    try:
        return parse_rig(tree)
    except GeoPoseError as error:
        raise CalibrationError(f"Rig file '{path}': {error}") from error


def parse_rig(tree: Any) -> CameraRig:
    """Return the rig of a parsed rig file; raise CalibrationError for unknown or missing keys and wrong values."""
    if not isinstance(tree, Mapping) or not isinstance(tree.get('cameras'), Mapping):
        raise CalibrationError(
            "expected a mapping with 'world_frame_id' and 'cameras'; see geo_pose_ros/calibration/rig_file.py."
        )
    _check_keys('the rig', tree, ('world_frame_id', 'cameras'))
    cameras = [_parse_camera(str(name), entry) for name, entry in tree['cameras'].items()]
    return CameraRig(tuple(cameras), str(tree['world_frame_id']))


def _check_keys(
    what: str, entry: Mapping[str, Any], expected: tuple[str, ...], optional: tuple[str, ...] = ()
) -> None:
    unknown = sorted(set(map(str, entry)) - {*expected, *optional})
    missing = sorted(set(expected) - set(entry))
    if unknown:
        raise CalibrationError(f'{what} has the unknown key {unknown}; known: {[*expected, *optional]}.')
    if missing:
        raise CalibrationError(f'{what} lacks {missing}; add it.')


def _parse_camera(name: str, entry: Any) -> Camera:
    what = f"camera '{name}'"
    if not isinstance(entry, Mapping):
        raise CalibrationError(f'{what}: expected a mapping with {list(_CAMERA_KEYS)}.')
    _check_keys(what, entry, _CAMERA_KEYS, (_CLOCK,))
    try:
        intrinsics = Intrinsics(
            np.array(entry['K'], float), np.array(entry['D'], float), str(entry['distortion_model']),
            int(entry['width']), int(entry['height']),
        )
        pose, clock = np.array(entry['cam_from_world'], float), ClockModel(float(entry.get(_CLOCK, 0.0)))
        return Camera(name, str(entry['frame_id']), intrinsics, pose, clock)
    except (TypeError, ValueError) as error:
        raise CalibrationError(f'{what}: a value is not a number or a matrix has ragged rows: {error}.') from error
    except GeoPoseError as error:
        raise CalibrationError(f'{what}: {error}') from error


def dump_rig(rig: CameraRig) -> str:
    """Return the rig as the text of a rig file; ``load_rig`` of it gives the same numbers, bit for bit."""
    tree = {
        'world_frame_id': rig.world_frame_id,
        'cameras': {
            camera.name: {
                'frame_id': camera.frame_id,
                'width': camera.intrinsics.width,
                'height': camera.intrinsics.height,
                'K': camera.intrinsics.K.tolist(),
                'distortion_model': camera.intrinsics.distortion_model,
                'D': camera.intrinsics.D.tolist(),
                'cam_from_world': camera.cam_from_world.tolist(),
                **({_CLOCK: camera.clock.offset_s} if camera.clock.offset_s else {}),
            }
            for camera in rig.cameras
        },
    }
    return yaml.safe_dump(tree, sort_keys=False, default_flow_style=None, width=120)


def rig_hash(rig: CameraRig) -> str:
    """Return a sha256 of the calibration: equal for rigs that agree to 1e-9, however they were stored.

    A rotation that went through a quaternion of TF differs in the last bits.
    """
    digest = hashlib.sha256(rig.world_frame_id.encode())
    for camera in rig.cameras:
        lens = camera.intrinsics
        words = (camera.name, camera.frame_id, lens.distortion_model, str(lens.width), str(lens.height))
        digest.update('\0'.join(words).encode())
        for array in (lens.K, lens.D, camera.cam_from_world):
            # Adding zero makes -0 and 0 one number.
            digest.update((np.round(array, 9) + 0.0).tobytes())
        if camera.clock.offset_s:
            digest.update(np.round(camera.clock.offset_s, 9).tobytes())
    return digest.hexdigest()
