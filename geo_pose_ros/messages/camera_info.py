# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""sensor_msgs/CameraInfo <-> Intrinsics, and which images they fit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..arrays import FloatArray
from ..errors import CalibrationError, GeoPoseError
from ..types import Intrinsics
from .factory import Message, MessageFactory
from .stamps import to_header

_IDENTITY = np.eye(3).ravel()
# As of Camera.
_ROTATION_TOLERANCE = 1e-4
# Codecs code blocks of 16 px; players crop what was added at the right and the bottom.
_CODEC_BLOCK_PX = 16


def intrinsics_from_camera_info(message: Message, camera: str) -> Intrinsics:
    """Return the intrinsics of the raw (distorted) images that ``message`` goes with.

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
            'Calibrate it, give a rig file (node: rig:=FILE, commands: --rig FILE), or find all of it from people: '
            'geo_pose calibrate --from-scratch --focal-guess.'
        )
    model = str(message.distortion_model)
    if not model and not D.any():
        model, D = 'plumb_bob', np.zeros(0)
    return _of_the_image(message, camera, K, D, model)


def rectified_from_camera_info(message: Message, camera: str) -> tuple[Intrinsics, FloatArray]:
    """Return the intrinsics of rectified images, and rectified_from_camera (3, 4) m.

    They are the left of P, without distortion, and R (sensor_msgs/CameraInfo.msg): a rectified image is as if taken
    by a camera without lens, turned by R. The translation is P's: not 0 for the second camera of a stereo pair whose
    ``frame_id`` is the first one's; where the frame is the camera's own, it must be left out.

    Raises:
        CalibrationError: for P = 0, an R that is no rotation, or impossible numbers; names the camera.
    """
    P = np.array(message.p, float).reshape(3, 4)
    R = np.array(message.r, float).reshape(3, 3)
    if not P.any() or P[0, 0] <= 0.0 or P[1, 1] <= 0.0:
        raise CalibrationError(
            f"Camera '{camera}': its images are rectified, but camera_info has P = {P.tolist()}; expected fx > 0 and "
            'fy > 0. Rectify with the calibrated camera_info, or set rectified:=no.'
        )
    # Drivers of single cameras leave R at 0.
    R = R if R.any() else np.eye(3)
    finite = bool(np.isfinite(R).all() and np.isfinite(P).all())
    if not finite or np.abs(R @ R.T - np.eye(3)).max() > _ROTATION_TOLERANCE or np.linalg.det(R) < 0.0:
        raise CalibrationError(
            f"Camera '{camera}': camera_info has R = {R.tolist()}, expected a rotation. Calibrate it again."
        )
    translation = np.array([P[0, 3] / P[0, 0], P[1, 3] / P[1, 1], 0.0])
    lens = _of_the_image(message, camera, P[:, :3].copy(), np.zeros(0), 'plumb_bob')
    return lens, np.column_stack([R, translation])


def _of_the_image(message: Message, camera: str, K: FloatArray, D: FloatArray, model: str) -> Intrinsics:
    """Return the intrinsics of the binned region that is sent; ``K`` is for the full sensor."""
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


def fit_to_images(intrinsics: Intrinsics, width: int, height: int, camera: str) -> tuple[Intrinsics, str]:
    """Return the intrinsics of images of this size, and what is to be said of it; '' where the sizes agree.

    Images that differ by less than a codec's block were cropped, or were filled up, at the right and bottom: K stays.
    The one rule for the sizes of images, for videos, bags and nodes.

    Raises:
        CalibrationError: for another size; names the camera and both sizes.
    """
    calibrated, sent = (intrinsics.width, intrinsics.height), (width, height)
    if calibrated == sent:
        return intrinsics, ''
    of = f'{calibrated[0]}x{calibrated[1]}'
    sizes = f"Camera '{camera}': its images are {width}x{height} px, its calibration is of {of}"
    if max(abs(a - b) for a, b in zip(calibrated, sent, strict=True)) < _CODEC_BLOCK_PX:
        fitted = replace(intrinsics, width=width, height=height)
        return fitted, f'{sizes}; taken as a crop at the right and bottom.'
    hint = 'Calibrate at the size that is streamed, or set binning or roi.'
    if calibrated == sent[::-1]:
        hint = f'One of them is turned by 90 degrees. {hint}'
    raise CalibrationError(f'{sizes}. {hint}')


def uncalibrated_camera_info(make: MessageFactory, width: int, height: int, stamp_ns: int, frame_id: str) -> Message:
    """Return CameraInfo of a camera whose intrinsics are unknown: K = 0, as the message's definition says."""
    return make(
        'sensor_msgs/msg/CameraInfo', header=to_header(make, stamp_ns, frame_id), height=height, width=width,
    )


def camera_info_from_intrinsics(make: MessageFactory, intrinsics: Intrinsics, stamp_ns: int, frame_id: str) -> Message:
    """Return CameraInfo of a monocular camera: R = 1, P = [K | 0], no binning, no region of interest."""
    return make(
        'sensor_msgs/msg/CameraInfo', header=to_header(make, stamp_ns, frame_id),
        height=intrinsics.height, width=intrinsics.width, distortion_model=intrinsics.distortion_model,
        d=intrinsics.D.copy(), k=intrinsics.K.ravel(), r=_IDENTITY.copy(),
        p=np.column_stack([intrinsics.K, np.zeros(3)]).ravel(),
    )
