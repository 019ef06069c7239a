# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The URDF of a body, read as robot_state_publisher does: links are where the body's joints are.

``MODEL`` is upstream's: ros4hri/human_description, urdf/human-tpl.xacro at a0fcf79f4b32da271bb5300076e0fb6c73ac3825,
the same on humble-devel (2.0.2).
"""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
from scipy.spatial.transform import Rotation

from geo_pose_ros.geometry.joint_angles import JOINT_LIMITS, JOINT_NAMES, joint_angles, within_limits
from geo_pose_ros.messages.urdf import segment_lengths, urdf_of
from geo_pose_ros.skeleton import BODY17
from test.geometry.test_joint_angles import FOREARM, SHANK, SHOULDER, THIGH, TORSO, UPPER_ARM, WAIST, body, drawn

# Where body17's joints are in the URDF.
LINKS = {
    'pelvis': 'body', **{
        f'{word}_{joint}': f'{letter}_{link}' for letter, word in (('l', 'left'), ('r', 'right')) for joint, link in (
            ('shoulder', 'shoulder'), ('elbow', 'elbow'), ('wrist', 'wrist'), ('hip', 'hip'), ('knee', 'knee'),
            ('ankle', 'ankle'),
        )
    },
}  # fmt: skip

# Joint -> parent, link that it moves, axis, lower and upper limit, rad. `*` is l or r, s is 1 or -1. Without an axis it
# is fixed.
MODEL = {
    'waist': ('body', 'waist', '0 1 0', -0.2, 1.0), 'torso': ('waist', 'torso'),
    'r_head': ('torso', 'r_head', '1 0 0', -1.0, 1.0), 'y_head': ('r_head', 'y_head', '0 0 1', -1.4, 1.4),
    'p_head': ('y_head', 'p_head', '0 -1 0', -1.5, 1.5), 'head': ('p_head', 'head'),
    '*_y_shoulder': ('torso', '*_y_shoulder', '0 0 -s', -1.1, 1.9),
    '*_p_shoulder': ('*_y_shoulder', '*_p_shoulder', 's 0 0', -0.4, 3.3),
    '*_r_shoulder': ('*_p_shoulder', '*_shoulder', '0 0 s', -1.7, 1.5),
    '*_elbow': ('*_shoulder', '*_elbow', '0 -1 0', 0.0, 2.5), '*_wrist': ('*_elbow', '*_wrist'),
    '*_y_hip': ('body', '*_y_hip', '0 0 -1', -0.1, 0.6), '*_p_hip': ('*_y_hip', '*_p_hip', 's 0 0', -0.4, 3.3),
    '*_r_hip': ('*_p_hip', '*_hip', '0 -1 0', -0.4, 0.7), '*_knee': ('*_hip', '*_knee', '0 -1 0', -2.5, 0.0),
    '*_ankle': ('*_knee', '*_ankle'),
}
# Upstream's person cannot sit.
WIDER = {'y_hip': (-0.8, 0.8), 'r_hip': (-0.6, 2.2)}


def model():
    """Yield each joint of MODEL of both sides: its name, parent, link, axis (3,) and limits, () where it is fixed."""
    for name, (parent, link, *moved) in MODEL.items():
        for letter, s in (('l', '1'), ('r', '-1')) if '*' in name else (('', ''),):
            own = [word.replace('*', letter) for word in (name, parent, link)]
            axis = [float(word.replace('s', s).replace('--', '')) for word in moved[0].split()] if moved else []
            yield *own, axis, WIDER.get(name[2:], tuple(moved[1:]))


def links_of(urdf, angles):
    """Return where the links are (3,) m, the root's at the origin, by name without the id."""
    pose = {'body': (np.eye(3), np.zeros(3))}
    for joint in ElementTree.fromstring(urdf).iter('joint'):
        R, t = pose[joint.find('parent').get('link').rsplit('_', 1)[0]]
        name = joint.get('name').rsplit('_', 1)[0]
        t = t + R @ [float(word) for word in joint.find('origin').get('xyz').split()]
        if joint.get('type') == 'revolute':
            axis = np.array([float(word) for word in joint.find('axis').get('xyz').split()])
            R = R @ Rotation.from_rotvec(angles[name] * axis).as_matrix()
        pose[joint.find('child').get('link').rsplit('_', 1)[0]] = R, t
    return {name: t for name, (_, t) in pose.items()}


def test_links_are_where_the_joints_are():
    rng = np.random.default_rng(4)
    for scale in (1.0, 0.7):
        angles = drawn(rng)
        xyz = scale * body(angles)
        np.testing.assert_allclose(
            segment_lengths(xyz), np.multiply(scale, (TORSO, SHOULDER, UPPER_ARM, FOREARM, WAIST / 2.0, THIGH, SHANK))
        )
        urdf = urdf_of(segment_lengths(xyz), 'b3')
        links = links_of(urdf, dict(zip(JOINT_NAMES, joint_angles(xyz), strict=True)))
        for joint, link in LINKS.items():
            np.testing.assert_allclose(links[link], xyz[BODY17.index(joint)], atol=5e-4)


def test_joints_and_links_are_upstreams():
    robot = ElementTree.fromstring(urdf_of(segment_lengths(body(dict.fromkeys(JOINT_NAMES, 0.0))), 'b3'))
    found = {}
    for joint in robot.iter('joint'):
        names = (joint.get('name'), joint.find('parent').get('link'), joint.find('child').get('link'))
        assert all(name.endswith('_b3') for name in names)
        axis, limit = joint.find('axis'), joint.find('limit')
        assert (joint.get('type') == 'fixed') == (axis is None) == (limit is None)
        about = [] if axis is None else [float(word) for word in axis.get('xyz').split()]
        limits = () if limit is None else (float(limit.get('lower')), float(limit.get('upper')))
        own = [name.removesuffix('_b3') for name in names]
        found[own[0]] = (*own, about, limits)
    expected = {joint[0]: joint for joint in model()}
    assert found == expected
    assert {link.get('name') for link in robot.iter('link')} == {f'{j[2]}_b3' for j in found.values()} | {'body_b3'}
    assert JOINT_LIMITS.tolist() == [list(expected[name][4]) for name in JOINT_NAMES]


def test_angles_are_kept_within_the_limits_and_unknown_ones_unknown():
    angles = np.linspace(-4.0, 4.0, 20)
    angles[3] = np.nan
    found = within_limits(np.stack([angles, -angles]))
    assert np.isnan(found[:, 3]).all()
    known = np.delete(found, 3, axis=1)
    low, high = np.delete(JOINT_LIMITS, 3, axis=0).T
    assert ((known >= low) & (known <= high)).all() and (known == low).any() and (known == high).any()
    within = np.delete(np.stack([angles, -angles]), 3, axis=1)
    inside = (within >= low) & (within <= high)
    np.testing.assert_array_equal(known[inside], within[inside])
    sides = np.array([[[np.nan, 0.0, 0.0]] * 17, np.zeros((17, 3))])
    assert np.isnan(segment_lengths(sides)[0]).all() and (segment_lengths(sides)[1] == 0.0).all()
