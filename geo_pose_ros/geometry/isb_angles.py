# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Joint angles after the ISB: Wu et al. 2002 (hip), Grood and Suntay 1983 (knee), Wu et al. 2005 (shoulder, elbow).

The rotations are those that ``joint_angles`` finds from body17 joints, in the body's frame: x forward, y left, z up; s
is 1 on the left and -1 on the right. Radians; the signs are the clinical ones.

- hip: flexion about the mediolateral axis, then adduction, then internal rotation:
  Ry(-flexion) Rx(-s adduction) Rz(-s internal rotation);
- knee: flexion alone; positive where the heel comes to the buttocks;
- shoulder, of the humerus in the trunk: plane of elevation (0: abduction, 90 degrees: forward flexion), elevation, then
  internal rotation: Rz(-s plane) Rx(s elevation) Rz(-s internal rotation);
- elbow: flexion alone;
- head in the trunk: flexion (nose down), lateral bending (positive to the right), axial rotation (positive to the
  left): Rx(bending) Rz(rotation) Ry(flexion).

Where the ISB places frames by bony landmarks, these are placed by the joints' centres: the pelvis stands as the trunk
does, so that hip flexion is the angle between trunk and thigh; a straight limb does not show its twist. There is no
ankle, as body17 has no foot.
"""

from __future__ import annotations

import numpy as np

from ..arrays import FloatArray
from .joint_angles import JOINT_NAMES, joint_angles

ISB_NAMES = (
    'head_flexion', 'head_lateral_bending', 'head_axial_rotation',
    *(f'{side}_{angle}' for side in ('left', 'right') for angle in (
        'hip_flexion', 'hip_adduction', 'hip_internal_rotation', 'knee_flexion', 'shoulder_plane_of_elevation',
        'shoulder_elevation', 'shoulder_internal_rotation', 'elbow_flexion')),
)


def isb_angles(xyz: FloatArray) -> dict[str, FloatArray]:
    """Return the angles by name, each (...,) rad, of bodies of body17 joints (..., 17, 3) m; NaN where unknown."""
    of = dict(zip(JOINT_NAMES, np.moveaxis(joint_angles(xyz), -1, 0), strict=True))
    found = {
        'head_flexion': -of['p_head'], 'head_lateral_bending': of['r_head'], 'head_axial_rotation': of['y_head'],
    }
    for letter, side, s in (('l', 'left', 1.0), ('r', 'right', -1.0)):
        def joint(name: str, letter: str = letter) -> FloatArray:
            angle: FloatArray = of[f'{letter}_{name}']
            return angle

        flexion, abduction, turn = _hip(joint('y_hip'), joint('p_hip'), joint('r_hip'), s)
        found |= {
            f'{side}_hip_flexion': flexion, f'{side}_hip_adduction': -s * abduction,
            f'{side}_hip_internal_rotation': -s * turn, f'{side}_knee_flexion': -joint('knee'),
            f'{side}_shoulder_plane_of_elevation': joint('y_shoulder'),
            f'{side}_shoulder_elevation': joint('p_shoulder'),
            f'{side}_shoulder_internal_rotation': -joint('r_shoulder'), f'{side}_elbow_flexion': joint('elbow'),
        }
    return {name: found[name] for name in ISB_NAMES}


def _hip(y: FloatArray, p: FloatArray, r: FloatArray, s: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return a, b, c (...,) rad with Ry(-a) Rx(b) Rz(c) = Rz(-y) Rx(s p) Ry(-r)."""
    rotation = _about(2, -y) @ _about(0, s * p) @ _about(1, -r)
    b = np.arcsin(np.clip(-rotation[..., 1, 2], -1.0, 1.0))
    return (
        -np.arctan2(rotation[..., 0, 2], rotation[..., 2, 2]), b,
        np.arctan2(rotation[..., 1, 0], rotation[..., 1, 1]),
    )


def _about(axis: int, angle: FloatArray) -> FloatArray:
    """Return the rotations (..., 3, 3) by ``angle`` (...,) rad about x, y or z."""
    i, j = (axis + 1) % 3, (axis + 2) % 3
    rotation = np.zeros((*np.shape(angle), 3, 3))
    rotation[..., axis, axis] = 1.0
    rotation[..., i, i] = rotation[..., j, j] = np.cos(angle)
    rotation[..., j, i] = np.sin(angle)
    rotation[..., i, j] = -rotation[..., j, i]
    return rotation
