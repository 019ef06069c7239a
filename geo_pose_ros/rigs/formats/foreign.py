"""What all foreign formats share: names that ROS takes, and errors that name the camera."""

from __future__ import annotations

import re
from collections.abc import Callable

from ...arrays import FloatArray
from ...errors import CalibrationError, GeoPoseError
from ...messages.transforms import optical_frame_id
from ...types import Camera, Intrinsics


def ros_name(name: str) -> str:
    """Return ``name`` as a ROS 2 topic token: letters, digits and underscores, not starting with a digit."""
    token = re.sub(r'[^A-Za-z0-9_]', '_', name)
    return f'cam_{token}' if not token or token[0].isdigit() else token


def build_camera(name: str, intrinsics: Callable[[], Intrinsics], cam_from_world: Callable[[], FloatArray]) -> Camera:
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
