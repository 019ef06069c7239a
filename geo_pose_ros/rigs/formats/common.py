# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Parts of all formats: what a file gives, names that ROS accepts, and errors that name the file and the camera."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar

import numpy as np

from ...arrays import FloatArray
from ...errors import CalibrationError, GeoPoseError
from ...findings import Finding, Severity
from ...geometry.alignment import UP_AXES
from ...geometry.rigid import compose, from_rotation_vector, invert
from ...messages.transforms import optical_frame_id
from ...types import Camera, CameraRig, Intrinsics

# The content of a YAML or TOML file, or a part of it. Whoever parses it checks it.
Tree: TypeAlias = Any
# Which way is up in a file's world, where its format or its author says so.
Up: TypeAlias = Literal['z', 'unknown']
T = TypeVar('T')


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """What a calibration file gives.

    Attributes:
        rig: its cameras that can be used.
        kind: of the file, in words: 'a camchain of Kalibr'.
        up: 'z' where z is up in the world by the format; 'unknown' where the world is a camera or a board.
        findings: which cameras are left out and why, and what was assumed or changed.
        has_poses: False for intrinsics alone: all cameras are at the world's origin.
    """

    rig: CameraRig
    kind: str
    up: Up = 'unknown'
    findings: tuple[Finding, ...] = ()
    has_poses: bool = True


def with_z_up(rig: CameraRig, up: str) -> CameraRig:
    """Return the cameras in a world that is turned by quarters so that its axis ``up`` (of UP_AXES) becomes z."""
    z = np.array(UP_AXES[up])
    x = np.array(UP_AXES['y' if up.endswith('x') else 'x'])
    turned_from_world = np.column_stack([np.stack([x, np.cross(z, x), z]), np.zeros(3)])
    return rig.with_poses(lambda cam_from_world: compose(cam_from_world, invert(turned_from_world)))


def read_cameras(
    entries: Iterable[tuple[str, T]], read: Callable[[str, T], Camera]
) -> tuple[CameraRig, tuple[Finding, ...]]:
    """Return the cameras that ``read`` makes of names and entries, and why others are left out.

    Raises:
        CalibrationError: if no camera can be used, saying why; or if two share a name.
    """
    cameras: list[Camera] = []
    faults: list[str] = []
    for name, entry in entries:
        try:
            with name_camera(name):
                cameras.append(read(name, entry))
        except CalibrationError as error:
            faults.append(str(error))
    if not cameras and faults:
        raise CalibrationError(' '.join(faults[:3]) + (f' And {len(faults) - 3} more.' if len(faults) > 3 else ''))
    return CameraRig(tuple(cameras)), tuple(map(left_out, faults))


def left_out(fault: str) -> Finding:
    """Return the finding that a camera of a file is left out for a ``fault`` that names it."""
    return Finding(
        Severity.WARNING, f'{fault[0].upper()}{fault[1:].rstrip(".")}', 'It is left out.', 'rig', 'left out'
    )


def markers_left_out(models: Sequence[str]) -> tuple[Finding, ...]:
    """Return the finding that cameras that see markers alone, of ``models``, are left out; none without any."""
    named = ', '.join(sorted(set(models)))
    return (Finding(Severity.OK, f'{len(models)} marker cameras are left out ({named})', '', 'rig'),) if models else ()


@contextmanager
def name_file(path: Path, kind: str = 'Calibration') -> Iterator[None]:
    """Let every fault of a file, which is of some ``kind``, name it: raise CalibrationError."""
    try:
        yield
    except (OSError, UnicodeDecodeError) as error:
        raise CalibrationError(f"{kind} '{path}' cannot be read: {error}. Give an existing file.") from error
    except GeoPoseError as error:
        raise CalibrationError(f"{kind} '{path}': {error}") from error


@contextmanager
def name_camera(name: str) -> Iterator[None]:
    """Let every fault of a camera's numbers name it: raise CalibrationError."""
    try:
        yield
    except KeyError as error:
        raise CalibrationError(f"camera '{name}' lacks {error}; calibrate it, or take it out of the file.") from error
    except (TypeError, ValueError, IndexError) as error:
        raise CalibrationError(f"camera '{name}': a value is not a number or has a wrong shape: {error}.") from error
    except GeoPoseError as error:
        raise CalibrationError(f"camera '{name}': {error}") from error


def ros_name(name: str) -> str:
    """Return ``name`` as a ROS 2 topic token: letters, digits and underscores, not starting with a digit."""
    token = re.sub(r'[^A-Za-z0-9_]', '_', name)
    return f'cam_{token}' if not token or token[0].isdigit() else token


def ros_camera(name: str, intrinsics: Intrinsics, cam_from_world: FloatArray) -> Camera:
    """Return a camera whose name is a ROS name, with the optical frame that this package gives it."""
    token = ros_name(name)
    return Camera(token, optical_frame_id(token), intrinsics, cam_from_world)


def pose_of(rotation: FloatArray, translation_m: FloatArray) -> FloatArray:
    """Return the transform (3, 4) of a rotation matrix (3, 3), or of a rotation vector of 3 rad, and a translation."""
    if rotation.shape == (3, 3):
        return np.column_stack([rotation, translation_m])
    return from_rotation_vector(rotation.ravel(), translation_m)


def camera_matrix(fx: float, fy: float, cx: float, cy: float) -> FloatArray:
    """Return K (3, 3) px."""
    return np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])
