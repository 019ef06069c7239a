# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Vicon's .xcp (XML): one KeyFrame a camera.

FOCAL_LENGTH and PRINCIPAL_POINT are px, VICON_RADIAL2 has k1 k2 k3 as its last three numbers, VICON_RADIAL k1 k2.
ORIENTATION is the quaternion x y z w from the world to the camera, whose axes are optical; POSITION is the camera's
centre in the world, mm, z up. So Pose2Sim and OpenCap read it.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET

import numpy as np

from ...errors import CalibrationError
from ...geometry.rigid import from_quaternion
from ...types import Camera, Intrinsics
from .common import Calibration, camera_matrix, markers_left_out, read_cameras, ros_camera

_MM = 1000.0


def parse_xcp(root: ET.Element) -> Calibration:
    """Return the video cameras of a Vicon calibration; where none says that it is one, all cameras.

    Raises:
        CalibrationError: if no camera can be used.
    """
    elements = root.findall('Camera')
    video = [e for e in elements if any(word in _words(e) for word in ('vue', 'video'))] or elements
    if not video:
        raise CalibrationError('no <Camera>; give the .xcp that Vicon writes when cameras are calibrated.')
    rig, findings = read_cameras(((e.get('DEVICEID', ''), e) for e in video), _camera)
    others = [e.get('DISPLAY_TYPE', e.get('TYPE', '?')) for e in elements if e not in video]
    return Calibration(rig, 'an .xcp of Vicon', 'z', findings + markers_left_out(others))


def _words(element: ET.Element) -> str:
    return ' '.join(element.get(key, '') for key in ('DISPLAY_TYPE', 'TYPE', 'MODEL')).lower()


def _camera(name: str, element: ET.Element) -> Camera:
    frame = element.find('KeyFrames/KeyFrame')
    if frame is None:
        raise KeyError('<KeyFrame>')

    def numbers(key: str, of: ET.Element = frame) -> list[float]:
        if key not in of.attrib:
            raise KeyError(f'{key}="..."')
        return [float(word) for word in of.attrib[key].split() if word != 'ViconRadial2']

    focal, cx, cy = numbers('FOCAL_LENGTH')[0], *numbers('PRINCIPAL_POINT')
    aspect = float(element.get('PIXEL_ASPECT_RATIO', '1'))
    radial = numbers('VICON_RADIAL2')[2:5] if 'VICON_RADIAL2' in frame.attrib else numbers('VICON_RADIAL')[:2]
    k1, k2, k3 = [*radial, 0.0, 0.0, 0.0][:3]
    width, height = (round(side) for side in numbers('SENSOR_SIZE', element))
    lens = Intrinsics(
        camera_matrix(focal, focal / aspect, cx, cy), np.array([k1, k2, 0.0, 0.0, k3]), 'plumb_bob', width, height
    )
    R = from_quaternion(np.array(numbers('ORIENTATION')), np.zeros(3))[:, :3]
    return ros_camera(name, lens, np.column_stack([R, -R @ numbers('POSITION') / _MM]))
