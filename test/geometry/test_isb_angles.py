# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Joint angles after ISB: poses that a clinician names."""

import numpy as np
import pytest

from geo_pose_ros.geometry.isb_angles import ISB_NAMES, isb_angles
from geo_pose_ros.skeleton import BODY17

# Standing upright, x forward, y left, z up, arms hanging.
UPRIGHT = {
    'pelvis': (0, 0, 1), 'right_hip': (0, -0.1, 1), 'right_knee': (0, -0.1, 0.5), 'right_ankle': (0, -0.1, 0),
    'left_hip': (0, 0.1, 1), 'left_knee': (0, 0.1, 0.5), 'left_ankle': (0, 0.1, 0), 'spine': (0, 0, 1.25),
    'thorax': (0, 0, 1.5), 'nose': (0.12, 0, 1.7), 'head': (0, 0, 1.7), 'left_shoulder': (0, 0.2, 1.5),
    'left_elbow': (0, 0.2, 1.2), 'left_wrist': (0, 0.2, 0.9), 'right_shoulder': (0, -0.2, 1.5),
    'right_elbow': (0, -0.2, 1.2), 'right_wrist': (0, -0.2, 0.9),
}


def angles_of(**moved):
    xyz = np.array([(UPRIGHT | moved)[name] for name in BODY17.joint_names], float)
    return {name: float(np.degrees(value)) for name, value in isb_angles(xyz).items()}


def test_standing_upright_is_zero():
    angles = angles_of()
    assert tuple(angles) == ISB_NAMES
    np.testing.assert_allclose(list(angles.values()), 0.0, atol=1e-6)


@pytest.mark.parametrize(('moved', 'expected'), [
    ({'left_knee': (0.5, 0.1, 1), 'left_ankle': (0.5, 0.1, 0.5)}, {'left_hip_flexion': 90, 'left_knee_flexion': 90}),
    ({'right_ankle': (-0.5, -0.1, 0.5)}, {'right_knee_flexion': 90}),
    ({'left_knee': (0, 0.35, 0.567), 'left_ankle': (0, 0.6, 0.134)}, {'left_hip_adduction': -30}),
    ({'right_knee': (0, -0.35, 0.567), 'right_ankle': (0, -0.6, 0.134)}, {'right_hip_adduction': -30}),
    ({'left_wrist': (0.3, 0.2, 1.2)}, {'left_elbow_flexion': 90}),
    ({'left_elbow': (0, 0.5, 1.5), 'left_wrist': (0, 0.8, 1.5)}, {'left_shoulder_elevation': 90}),
    ({'right_elbow': (0.3, -0.2, 1.5), 'right_wrist': (0.6, -0.2, 1.5)},
     {'right_shoulder_elevation': 90, 'right_shoulder_plane_of_elevation': 90}),
    # The foot goes out, the thigh turns in.
    ({'left_knee': (0.5, 0.1, 1), 'left_ankle': (0.5, 0.4536, 0.6464)},
     {'left_hip_flexion': 90, 'left_knee_flexion': 90, 'left_hip_internal_rotation': 45}),
    # The hand before the belly turns the humerus in.
    ({'right_wrist': (0, 0.1, 1.2)}, {'right_elbow_flexion': 90, 'right_shoulder_internal_rotation': 90}),
    ({'nose': (0.1, 0, 1.6)}, {'head_flexion': 45}),
    ({'nose': (0.1, 0.1, 1.7)}, {'head_axial_rotation': 45}),
], ids=lambda value: '-'.join(value))
def test_a_pose_has_the_angles_that_clinicians_read(moved, expected):
    angles = angles_of(**moved)
    for name, degrees in expected.items():
        assert angles[name] == pytest.approx(degrees, abs=3.0), name
    side = next(iter(expected)).partition('_')[0]
    other = [value for name, value in angles.items() if not name.startswith((side, 'head'))]
    np.testing.assert_allclose(other, 0.0, atol=1e-6)
