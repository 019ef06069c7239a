# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The URDF of a body, read as robot_state_publisher does: links are where the body's joints are."""

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
            ('shoulder', 'r_shoulder'), ('elbow', 'elbow'), ('wrist', 'wrist'), ('hip', 'r_hip'), ('knee', 'knee'),
            ('ankle', 'ankle'),
        )
    },
}  # fmt: skip


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
    robot = ElementTree.fromstring(urdf)
    assert {link.get('name').rsplit('_', 1)[1] for link in robot.iter('link')} == {'b3'}
    revolute = [joint for joint in robot.iter('joint') if joint.get('type') == 'revolute']
    limits = {j.get('name'): tuple(float(j.find('limit').get(side)) for side in ('lower', 'upper')) for j in revolute}
    assert limits == {f'{n}_b3': tuple(pair) for n, pair in zip(JOINT_NAMES, JOINT_LIMITS.tolist(), strict=True)}


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
