"""sensor_msgs/CameraInfo <-> Intrinsics."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import CalibrationError, GeoPoseError
from ..types import Intrinsics
from .factory import MessageFactory
from .stamps import to_header

_IDENTITY = np.eye(3).ravel()


def intrinsics_from_camera_info(message: Any, camera: str) -> Intrinsics:
    """Return the intrinsics of the images that ``message`` goes with.

    Binning and region of interest are honoured: K of the message is for the full sensor, the result is for the
    binned region. An empty model without coefficients is an undistorted plumb_bob.

    Raises:
        CalibrationError: for K = 0, an unknown distortion model, or impossible numbers; names the camera.
    """
    K = np.array(message.k, float).reshape(3, 3)
    D = np.array(message.d, float)
    if not K.any():
        raise CalibrationError(
            f"Camera '{camera}': camera_info has K = 0; the driver is uncalibrated. "
            'Calibrate it or give a rig file with rig:=...'
        )
    model = str(message.distortion_model)
    if not model and not D.any():
        model, D = 'plumb_bob', np.zeros(0)
    roi = message.roi
    bin_x, bin_y = max(int(message.binning_x), 1), max(int(message.binning_y), 1)
    width, height = int(roi.width) or int(message.width), int(roi.height) or int(message.height)
    # Pixel centres are at whole numbers: a bin of b px has its centre half a bin from its edge.
    K[0] /= bin_x
    K[1] /= bin_y
    K[0, 2] += (0.5 - int(roi.x_offset)) / bin_x - 0.5
    K[1, 2] += (0.5 - int(roi.y_offset)) / bin_y - 0.5
    try:
        return Intrinsics(K, D, model, width // bin_x, height // bin_y)
    except GeoPoseError as error:
        raise CalibrationError(f"Camera '{camera}': camera_info: {error}") from error


def uncalibrated_camera_info(make: MessageFactory, width: int, height: int, stamp_ns: int, frame_id: str) -> Any:
    """Return CameraInfo of a camera whose intrinsics are unknown: K = 0, as the message's definition says."""
    return make(
        'sensor_msgs/msg/CameraInfo', header=to_header(make, stamp_ns, frame_id), height=height, width=width,
        distortion_model='', d=np.zeros(0), k=np.zeros(9), r=np.zeros(9), p=np.zeros(12),
    )


def camera_info_from_intrinsics(make: MessageFactory, intrinsics: Intrinsics, stamp_ns: int, frame_id: str) -> Any:
    """Return CameraInfo of a monocular camera: R = 1, P = [K | 0], no binning, no region of interest."""
    return make(
        'sensor_msgs/msg/CameraInfo', header=to_header(make, stamp_ns, frame_id),
        height=intrinsics.height, width=intrinsics.width, distortion_model=intrinsics.distortion_model,
        d=intrinsics.D.copy(), k=intrinsics.K.ravel(), r=_IDENTITY.copy(),
        p=np.column_stack([intrinsics.K, np.zeros(3)]).ravel(),
    )
