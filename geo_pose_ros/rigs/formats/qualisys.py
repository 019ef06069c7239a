# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Qualisys .qca.txt: intrinsics in 1/64 px, lengths in mm, camera axes x right, y up, z back (180 degrees about x)."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import numpy as np

from ...errors import CalibrationError
from ...types import Camera, CameraRig, Intrinsics
from .common import Calibration, camera_matrix, markers_left_out, read_cameras, ros_camera

_QCA_SUBPIXELS = 64.0
_QCA_AXES = np.diag([1.0, -1.0, -1.0])
_MM = 1000.0
# fx fy cx cy, and the coefficients in the order of plumb_bob: k1 k2 p1 p2 k3.
_QCA_PINHOLE = ('focalLengthU', 'focalLengthV', 'centerPointU', 'centerPointV')
_QCA_DISTORTION = (
    'radialDistortion1', 'radialDistortion2', 'tangentalDistortion1', 'tangentalDistortion2', 'radialDistortion3',
)


# Models that film, in part: Miqus Video, Miqus Hybrid, Oqus 210c; converted files say none.
_FILM = re.compile(r'video|hybrid|none|oqus \S*c\b', re.IGNORECASE)


def parse_qca(root: ET.Element) -> Calibration:
    """Return the cameras of a Qualisys calibration that film; raise CalibrationError if none can be used."""
    elements = root.findall('cameras/camera')
    video = [e for e in elements if _FILM.search(e.get('model', 'none'))]
    models = sorted(str(e.get('model')) for e in elements if e not in video)
    if not video:
        raise CalibrationError(f'no video camera; the models are: {", ".join(models) or "none"}. Export video cameras.')
    rig, findings = read_cameras(((e.get('serial', ''), e) for e in video), _qca_camera)
    return Calibration(rig, 'a calibration of Qualisys', 'z', findings + markers_left_out(models))


def _qca_camera(name: str, element: ET.Element) -> Camera:
    def number(child: str, attribute: str) -> float:
        node = element.find(child)
        if node is None or attribute not in node.attrib:
            raise KeyError(f'<{child} {attribute}="...">')
        return float(node.attrib[attribute])

    if number('intrinsic', 'skew') != 0.0 or float(element.get('viewrotation', '0')) != 0.0:
        raise CalibrationError('skew or viewrotation is not 0; neither is supported. Calibrate without.')
    left, top = number('fov_video', 'left'), number('fov_video', 'top')
    fx, fy, cx, cy = (number('intrinsic', key) / _QCA_SUBPIXELS for key in _QCA_PINHOLE)
    D = np.array([number('intrinsic', key) for key in _QCA_DISTORTION])
    width, height = number('fov_video', 'right') - left + 1, number('fov_video', 'bottom') - top + 1
    lens = Intrinsics(camera_matrix(fx, fy, cx - left, cy - top), D, 'plumb_bob', round(width), round(height))
    R_file = np.array([[number('transform', f'r{row}{column}') for column in (1, 2, 3)] for row in (1, 2, 3)])
    centre = np.array([number('transform', axis) for axis in 'xyz']) / _MM
    R = _QCA_AXES @ R_file
    return ros_camera(name, lens, np.column_stack([R, -R @ centre]))


def dump_qca(rig: CameraRig) -> str:
    """Return the rig as a Qualisys calibration; raise CalibrationError for a lens it cannot hold."""
    root = ET.Element('calibration', source='geo_pose_ros', type='regular')
    cameras = ET.SubElement(root, 'cameras')
    for camera in rig.cameras:
        lens = camera.intrinsics
        if lens.distortion_model != 'plumb_bob':
            raise CalibrationError(
                f"camera '{camera.name}': the Qualisys format holds plumb_bob lenses only, not "
                f'{lens.distortion_model}. Write .yaml or .toml.'
            )
        element = ET.SubElement(cameras, 'camera', active='1', serial=camera.name, model='none', viewrotation='0')
        window = {'left': '0', 'top': '0', 'right': str(lens.width - 1), 'bottom': str(lens.height - 1)}
        for name in ('fov_marker', 'fov_marker_max', 'fov_video', 'fov_video_max'):
            ET.SubElement(element, name, window)
        R_file = _QCA_AXES @ camera.cam_from_world[:, :3]
        position = dict(zip('xyz', map(repr, (camera.position_m * _MM).tolist()), strict=True))
        rotation = {f'r{row + 1}{column + 1}': repr(R_file[row, column].item()) for row, column in np.ndindex(3, 3)}
        ET.SubElement(element, 'transform', position | rotation)
        D = dict(zip(_QCA_DISTORTION, np.pad(lens.D, (0, 5 - len(lens.D))), strict=True))
        K = lens.K * _QCA_SUBPIXELS
        pinhole = dict(zip(_QCA_PINHOLE, (K[0, 0], K[1, 1], K[0, 2], K[1, 2]), strict=True))
        sensor = {
            'sensorMinU': 0.0, 'sensorMaxU': lens.width * _QCA_SUBPIXELS, 'sensorMinV': 0.0,
            'sensorMaxV': lens.height * _QCA_SUBPIXELS, 'skew': 0.0,
        }
        intrinsic = pinhole | sensor | D
        ET.SubElement(element, 'intrinsic', {key: repr(float(value)) for key, value in intrinsic.items()})
    ET.indent(root)
    return "<?xml version='1.0' encoding='UTF-8'?>\n" + ET.tostring(root, encoding='unicode') + '\n'
