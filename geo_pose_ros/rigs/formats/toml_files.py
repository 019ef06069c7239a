# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""TOML of aniposelib, FreeMoCap, Pose2Sim and Caliscope, and what Pose2Sim reads."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress

import numpy as np

from ...errors import CalibrationError
from ...findings import Finding, Severity
from ...types import Camera, CameraRig
from ..plausibility import require_radians
from .common import Calibration, Tree, Up, name_camera, pose_of, read_cameras, ros_camera
from .one_camera import lens_of

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def parse_toml(text: str, unit_m: float) -> Calibration:
    """Return the cameras of a TOML calibration whose translations are in ``unit_m``.

    Raises:
        CalibrationError: if it is no calibration, or no camera of it can be used.
    """
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise CalibrationError(f'not TOML: {error}.') from error
    # Caliscope nests its cameras below [cameras.N]; the others have one table per camera beside [metadata].
    nested = tree.get('cameras')
    tables: Mapping[str, Tree] = nested if isinstance(nested, dict) else tree
    entries = {key: entry for key, entry in tables.items() if isinstance(entry, dict) and _KEYS & entry.keys()}
    ignored = [key for key, entry in entries.items() if entry.get('ignore', False)]
    if not any('matrix' in entry for entry in entries.values()):
        raise CalibrationError(
            f"no table with a 'matrix'; found: {', '.join(tables) or 'nothing'}. "
            'Give the calibration of Pose2Sim, Caliscope or aniposelib, not their configuration.'
        )
    for key, entry in entries.items():
        # One camera in degrees means that all are.
        with name_camera(key), suppress(TypeError, ValueError):
            require_radians(np.array(entry.get('rotation', (0.0, 0.0, 0.0)), float))
    kind, up = _author(tree, [entry for key, entry in entries.items() if key not in ignored])
    rig, findings = read_cameras(
        ((str(entry.get('name', key)), entry) for key, entry in entries.items() if key not in ignored),
        lambda name, entry: _toml_camera(name, entry, unit_m),
    )
    if ignored:
        findings += (Finding(Severity.OK, f'{", ".join(ignored)} left out: the file says to ignore them', '', 'rig'),)
    return Calibration(rig, kind, up, findings)


# A table with one of them is a camera.
_KEYS = frozenset({'matrix', 'distortions', 'rotation', 'rotation_count', 'size'})


def _author(tree: Mapping[str, Tree], entries: Sequence[Mapping[str, Tree]]) -> tuple[str, Up]:
    """Return who wrote the file, and which way is up: Pose2Sim's world has z up, the others' is a camera or a board."""
    if isinstance(tree.get('cameras'), dict):
        return 'a calibration of Caliscope', 'unknown'
    metadata = tree.get('metadata', {})
    if any('freemocap' in str(key) or 'charuco' in str(key) for key in metadata) or any(
        'world_position' in entry for entry in entries
    ):
        return 'a calibration of FreeMoCap', 'unknown'
    # aniposelib says so of fisheyes alone.
    if all('fisheye' in entry for entry in entries) and not all(entry['fisheye'] for entry in entries):
        return 'a calibration of Pose2Sim', 'z'
    return 'a calibration of aniposelib', 'unknown'


def _toml_camera(name: str, entry: Tree, unit_m: float) -> Camera:
    lens = lens_of({
        'k': entry['matrix'], 'd': entry['distortions'], 'size': entry['size'],
        'fisheyemodel': entry.get('fisheye', False),
    })
    rotation, translation = (np.array(entry[key], float) for key in ('rotation', 'translation'))
    return ros_camera(name, lens, pose_of(rotation, translation.ravel() * unit_m))


def dump_toml(rig: CameraRig) -> str:
    """Return the rig as Pose2Sim and aniposelib read it, m."""
    from scipy.spatial.transform import Rotation

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
