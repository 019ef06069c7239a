# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Rig files: our YAML, checked on load.

Schema (metres, px; unknown keys are errors):

    world_frame_id: world
    floor: true       # the floor is the plane z = 0; left out where that is not known
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
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import yaml

from ..errors import CalibrationError
from ..types import Camera, CameraRig, ClockModel, Intrinsics
from .formats.common import Tree, name_camera, name_file
from .formats.recognise import parse_yaml, read_text

_CLOCK = 'clock_offset_s'
_CAMERA_KEYS = ('frame_id', 'width', 'height', 'K', 'distortion_model', 'D', 'cam_from_world')


def load_rig(path: Path) -> CameraRig:
    """Read a rig file.

    Raises:
        CalibrationError: naming the file and the camera, if it cannot be read or is not a rig.
    """
    with name_file(path, 'Rig file'):
        return parse_rig(parse_yaml(read_text(path)))


def parse_rig(tree: Tree) -> CameraRig:
    """Return the rig of a parsed rig file; raise CalibrationError for unknown or missing keys and wrong values."""
    if not isinstance(tree, Mapping) or not isinstance(tree.get('cameras'), Mapping):
        raise CalibrationError(
            "expected a mapping with 'world_frame_id' and 'cameras'; see geo_pose_ros/rigs/rig_file.py."
        )
    _check_keys(tree, ('world_frame_id', 'cameras'), ('floor',))
    cameras = [_parse_camera(str(name), entry) for name, entry in tree['cameras'].items()]
    floor = tree.get('floor', False)
    if not isinstance(floor, bool):
        raise CalibrationError(f"floor is '{floor}'; expected true, if the floor is the plane z = 0, or false.")
    return CameraRig(tuple(cameras), str(tree['world_frame_id']), floor)


def _check_keys(entry: Mapping[str, object], required: tuple[str, ...], optional: tuple[str, ...] = ()) -> None:
    unknown = sorted(set(map(str, entry)) - {*required, *optional})
    missing = sorted(set(required) - set(entry))
    if unknown:
        raise CalibrationError(f'unknown key {unknown}; known: {[*required, *optional]}.')
    if missing:
        raise CalibrationError(f'missing key {missing}; add it.')


def _parse_camera(name: str, entry: Tree) -> Camera:
    with name_camera(name):
        if not isinstance(entry, Mapping):
            raise CalibrationError(f'expected a mapping with {list(_CAMERA_KEYS)}.')
        _check_keys(entry, _CAMERA_KEYS, (_CLOCK,))
        intrinsics = Intrinsics(
            np.array(entry['K'], float), np.array(entry['D'], float), str(entry['distortion_model']),
            int(entry['width']), int(entry['height']),
        )
        pose, clock = np.array(entry['cam_from_world'], float), ClockModel(float(entry.get(_CLOCK, 0.0)))
        return Camera(name, str(entry['frame_id']), intrinsics, pose, clock)


def dump_rig(rig: CameraRig) -> str:
    """Return the rig as the text of a rig file; ``load_rig`` of it gives the same numbers, bit for bit."""
    tree = {
        'world_frame_id': rig.world_frame_id,
        **({'floor': True} if rig.floor else {}),
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
