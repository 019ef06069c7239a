"""Parts of all formats: YAML, names that ROS accepts, and errors that name the file and the camera."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import yaml

from ...arrays import FloatArray
from ...errors import CalibrationError, GeoPoseError
from ...messages.transforms import optical_frame_id
from ...types import Camera, Intrinsics

# The content of a YAML or TOML file, or a part of it. Whoever parses it checks it.
Tree: TypeAlias = Any


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


def camera_matrix(fx: float, fy: float, cx: float, cy: float) -> FloatArray:
    """Return K (3, 3) px."""
    return np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])


class _UniqueKeyLoader(yaml.SafeLoader):
    """YAML that refuses a key given twice; PyYAML keeps the last one silently."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, object]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = sorted({str(key) for key in keys if keys.count(key) > 1})
        if twice:
            line = node.start_mark.line + 1
            raise CalibrationError(f'{twice} given more than once at line {line}; names are unique.')
        return super().construct_mapping(node, deep=deep)


def parse_yaml(text: str) -> Tree:
    """Return the content of a YAML file; raise CalibrationError if it is none or repeats a key."""
    try:
        return yaml.load(text, Loader=_UniqueKeyLoader)
    except yaml.YAMLError as error:
        raise CalibrationError(f'not YAML: {error}') from error
