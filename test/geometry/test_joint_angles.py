# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Inverse kinematics against forward kinematics of the model, which is written out here from its URDF.

The model: ros4hri/human_description, urdf/human-tpl.xacro at a0fcf79f4b32da271bb5300076e0fb6c73ac3825 (the same on
humble-devel): axes, parents, limits and lengths below are its, heights in units of the head.
"""


import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from geo_pose_ros.geometry.joint_angles import JOINT_NAMES, joint_angles
from geo_pose_ros.geometry.rigid import from_rotation_vector, transform_points
from geo_pose_ros.skeleton import BODY17

UNIT = 1.65 / 7.5
TORSO, NECK, SHOULDER, UPPER_ARM, FOREARM = 2.75 * UNIT, 0.25 * UNIT, 0.8 * UNIT, 1.6 * UNIT, UNIT
WAIST, THIGH, SHANK, HEAD = 1.2 * UNIT, 1.5 * UNIT, 2.0 * UNIT, UNIT / 2.0
HANGING = np.array([0.0, 0.0, -1.0])
# Lower and upper limits; those of a limb that is bent enough to tell its twist.
LIMITS = {
    'r_head': (-1.0, 1.0), 'y_head': (-1.4, 1.4), 'p_head': (-1.5, 1.5), 'y_shoulder': (-1.1, 1.9),
    'p_shoulder': (-0.4, 3.1), 'r_shoulder': (-1.7, 1.5), 'elbow': (0.3, 2.5), 'y_hip': (-0.1, 0.6),
    'p_hip': (-0.4, 1.4), 'r_hip': (-0.4, 0.7), 'knee': (-2.5, -0.3),
}


def turn(axis, angle):
    return Rotation.from_rotvec(np.asarray(axis, float) * angle).as_matrix()


def body(angles):
    """Return joints (17, 3) m of the model for angles by name, the body's frame at the origin."""
    at = {'pelvis': np.zeros(3), 'thorax': np.array([0.0, 0.0, TORSO]), 'spine': np.array([0.0, 0.0, TORSO / 2.0])}
    head = turn((1, 0, 0), angles['r_head']) @ turn((0, 0, 1), angles['y_head']) @ turn((0, -1, 0), angles['p_head'])
    neck = at['thorax'] + (0.0, 0.0, NECK)
    at['head'] = neck + head @ (0.2 * HEAD, 0.0, HEAD)
    at['nose'] = neck + head @ (1.3 * HEAD, 0.0, HEAD)
    for letter, word, s in (('l', 'left', 1), ('r', 'right', -1)):
        y, p, r, elbow = (angles[f'{letter}_{j}'] for j in ('y_shoulder', 'p_shoulder', 'r_shoulder', 'elbow'))
        arm = turn((0, 0, -s), y) @ turn((s, 0, 0), p) @ turn((0, 0, s), r)
        at[f'{word}_shoulder'] = at['thorax'] + (0.0, s * SHOULDER, 0.0)
        at[f'{word}_elbow'] = at[f'{word}_shoulder'] + arm @ HANGING * UPPER_ARM
        at[f'{word}_wrist'] = at[f'{word}_elbow'] + arm @ turn((0, -1, 0), elbow) @ HANGING * FOREARM
        y, p, r, knee = (angles[f'{letter}_{j}'] for j in ('y_hip', 'p_hip', 'r_hip', 'knee'))
        leg = turn((0, 0, -1), y) @ turn((s, 0, 0), p) @ turn((0, -1, 0), r)
        at[f'{word}_hip'] = np.array([0.0, s * WAIST / 2.0, 0.0])
        at[f'{word}_knee'] = at[f'{word}_hip'] + leg @ HANGING * THIGH
        at[f'{word}_ankle'] = at[f'{word}_knee'] + leg @ turn((0, -1, 0), knee) @ HANGING * SHANK
    return np.stack([at[name] for name in BODY17.joint_names])


def kind(name):
    return name if name in LIMITS else name[2:]


def drawn(rng):
    """Return angles by name anywhere within the limits; a shoulder off its poles."""
    angles = {name: rng.uniform(*LIMITS[kind(name)]) for name in JOINT_NAMES if name != 'waist'}
    for name in ('l_p_shoulder', 'r_p_shoulder'):
        if abs(angles[name]) < 0.05:
            angles[name] = 0.05
    return {'waist': 0.0, **angles}


def row(angles):
    return np.array([angles[name] for name in JOINT_NAMES])


def test_angles_of_the_model_come_back_wherever_the_body_is():
    rng = np.random.default_rng(0)
    given = [drawn(rng) for _ in range(60)]
    xyz = np.stack([
        transform_points(from_rotation_vector(rng.normal(0.0, 1.5, 3), rng.normal(0.0, 3.0, 3)), body(angles))
        for angles in given
    ])
    np.testing.assert_allclose(joint_angles(xyz), np.stack([row(angles) for angles in given]), atol=1e-9)
    # One at a time is the same as all at once.
    np.testing.assert_array_equal(joint_angles(xyz[3]), joint_angles(xyz)[3])
    assert joint_angles(xyz.reshape(4, 15, 17, 3)).shape == (4, 15, 20)
    assert joint_angles(np.zeros((0, 17, 3))).shape == (0, 20)


@pytest.mark.parametrize('spread', [0.02, 3.0])
def test_the_model_with_the_angles_has_the_bodys_directions_whatever_the_limits(spread):
    """Any directions of the limbs' parts; bent enough, they are met exactly, and near straight by a few degrees."""
    rng = np.random.default_rng(1)
    for _ in range(30):
        angles = dict.fromkeys(JOINT_NAMES, 0.0)
        angles.update({n: rng.normal(0.0, spread) for n in JOINT_NAMES if n not in ('waist', *JOINT_NAMES[1:4])})
        xyz = body(angles)
        found = joint_angles(xyz)
        again = body(dict(zip(JOINT_NAMES, found, strict=True)))
        upper = [BODY17.index(f'{w}_{j}') for w in ('left', 'right') for j in ('elbow', 'knee')]
        np.testing.assert_allclose(again[upper], xyz[upper], atol=1e-9)
        bent = [abs(np.sin(angles[n])) > 0.27 for n in ('l_elbow', 'l_knee', 'r_elbow', 'r_knee')]
        tips = [BODY17.index(f'{w}_{j}') for w in ('left', 'right') for j in ('wrist', 'ankle')]
        off = np.linalg.norm(again[tips] - xyz[tips], axis=-1)
        assert (off[bent] < 1e-9).all()
        assert (off < 0.27 * SHANK).all()


def test_straight_limbs_are_not_twisted():
    standing = dict.fromkeys(JOINT_NAMES, 0.0)
    np.testing.assert_allclose(joint_angles(body(standing)), row(standing), atol=1e-9)
    # To the side, forwards, straight up.
    for angles in (
        {'l_p_shoulder': 1.2, 'r_p_hip': 0.5}, {'l_r_hip': 0.6, 'r_r_hip': -0.3}, {'l_p_shoulder': np.pi},
    ):
        given = {**standing, **angles}
        np.testing.assert_allclose(joint_angles(body(given)), row(given), atol=1e-6)


def test_a_few_millimetres_in_a_straight_leg_do_not_turn_it_round():
    straight = body(dict.fromkeys(JOINT_NAMES, 0.0))
    rng = np.random.default_rng(2)
    found = joint_angles(straight + rng.normal(0.0, 0.004, (200, 17, 3)))
    hips = [JOINT_NAMES.index(name) for name in ('l_y_hip', 'r_y_hip', 'l_r_hip', 'r_r_hip', 'l_knee', 'r_knee')]
    assert np.abs(found[:, hips]).max() < 0.6


def test_an_arm_goes_the_way_that_a_shoulder_can():
    """Behind the back, y = -1.57 is beyond its limit; the other way round, p = -0.3 is within."""
    given = {**dict.fromkeys(JOINT_NAMES, 0.0), 'l_y_shoulder': 1.57, 'l_p_shoulder': -0.3, 'l_elbow': 0.5}
    found = dict(zip(JOINT_NAMES, joint_angles(body(given)), strict=True))
    assert found['l_y_shoulder'] == pytest.approx(1.57) and found['l_p_shoulder'] == pytest.approx(-0.3)


@pytest.mark.parametrize(('joint', 'lost'), [
    ('left_wrist', {'l_r_shoulder', 'l_elbow'}),
    ('right_elbow', {'r_y_shoulder', 'r_p_shoulder', 'r_r_shoulder', 'r_elbow'}),
    ('left_ankle', {'l_y_hip', 'l_p_hip', 'l_r_hip', 'l_knee'}),
    ('nose', {'r_head', 'y_head', 'p_head'}),
    ('head', {'r_head', 'y_head', 'p_head'}),
    ('spine', set()),
    ('thorax', set(JOINT_NAMES)),
    ('left_hip', set(JOINT_NAMES)),
])  # fmt: skip
def test_what_a_lost_joint_costs(joint, lost):
    given = drawn(np.random.default_rng(3))
    xyz = np.stack([body(given)] * 2)
    xyz[1, BODY17.index(joint)] = np.nan
    whole, found = joint_angles(xyz)
    np.testing.assert_allclose(whole, row(given), atol=1e-9)
    assert {n for n, angle in zip(JOINT_NAMES, found, strict=True) if np.isnan(angle)} == lost
    kept = np.isfinite(found)
    np.testing.assert_allclose(found[kept], whole[kept], atol=1e-9)


def test_a_nose_at_the_neck_tells_nothing_of_the_head():
    """In data of motion capture `nose` is the base of the neck, and a few millimetres would turn the head round."""
    xyz = body(dict.fromkeys(JOINT_NAMES, 0.0))
    thorax, nose, head = (xyz[BODY17.index(name)].copy() for name in ('thorax', 'nose', 'head'))
    heads = slice(1, 4)
    assert np.isfinite(joint_angles(xyz)[heads]).all()
    xyz[BODY17.index('nose')] = (thorax + head) / 2.0 + (0.02, 0.01, 0.0)
    found = joint_angles(xyz)
    assert np.isnan(found[heads]).all() and np.isfinite(np.delete(found, [1, 2, 3])).all()
    # As far in front of the ears as it is of a child.
    xyz[BODY17.index('nose')] = head + 0.6 * (nose - head)
    np.testing.assert_allclose(joint_angles(xyz)[heads], 0.0, atol=1e-9)


def test_joints_in_one_place_have_no_angles():
    assert np.isnan(joint_angles(np.zeros((17, 3)))).all()
    folded = body(dict.fromkeys(JOINT_NAMES, 0.0))
    folded[BODY17.index('left_elbow')] = folded[BODY17.index('left_shoulder')]
    found = dict(zip(JOINT_NAMES, joint_angles(folded), strict=True))
    assert np.isnan(found['l_p_shoulder']) and found['r_elbow'] == pytest.approx(0.0)
