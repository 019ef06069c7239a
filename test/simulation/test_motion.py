# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Motion clips: bodies with other bones, and files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from geo_pose_ros.errors import ConfigError, ShapeError
from geo_pose_ros.simulation.motion import (
    ANSUR,
    MotionClip,
    random_body,
    random_people,
    random_proportions,
    rescale_bones,
    stature_m,
)
from geo_pose_ros.simulation.motion_files import load_bvh, load_motion
from geo_pose_ros.skeleton import BODY17
from test.training.people import moving_person


def _clip(frames: int = 30) -> MotionClip:
    return MotionClip('a/walk_1', moving_person(frames), 30.0)


def _bone(joints: np.ndarray, a: str, b: str) -> np.ndarray:
    return np.linalg.norm(joints[..., BODY17.index(b), :] - joints[..., BODY17.index(a), :], axis=-1)


def test_rescaled_bones_have_the_wanted_lengths_and_directions() -> None:
    joints = moving_person(3)
    factors = np.ones(17)
    factors[BODY17.index('left_knee')] = 1.2
    longer = rescale_bones(joints, factors)
    np.testing.assert_allclose(_bone(longer, 'left_hip', 'left_knee'), 1.2 * _bone(joints, 'left_hip', 'left_knee'))
    np.testing.assert_allclose(_bone(longer, 'left_knee', 'left_ankle'), _bone(joints, 'left_knee', 'left_ankle'))


def test_proportions_are_symmetric() -> None:
    factors = random_proportions(np.random.default_rng(0), 0.05, 1000)
    for left, right in BODY17.flip_pairs:
        np.testing.assert_array_equal(factors[:, left], factors[:, right])
    assert np.log(factors[:, 2]).std() == pytest.approx(0.05, rel=0.1)


def _people(**how: float | bool | tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Return bone factors (600, 17) of other people of one body, and their statures, m."""
    joints = moving_person(1)
    lengths = np.array([_bone(joints, *(BODY17.joint_names[j] for j in edge))[0] for edge in BODY17.edges])
    factors = random_people(np.random.default_rng(0), lengths, 600, **how)
    return factors, np.array([stature_m(rescale_bones(joints, one)) for one in factors])


def test_other_people_have_the_stature_and_the_spread_of_ansur() -> None:
    factors, statures = _people()
    np.testing.assert_allclose(statures, stature_m(moving_person(1)), atol=0.005)
    spread = {name: np.log(factors[:, BODY17.index(name)]).std() for name in ('left_knee', 'left_wrist', 'left_hip')}
    for name, limb in (('left_knee', 'thigh'), ('left_wrist', 'forearm'), ('left_hip', 'pelvis')):
        assert spread[name] == pytest.approx(ANSUR[limb], rel=0.1)
    knee, elbow, thorax = (np.log(factors[:, BODY17.index(name)]) for name in ('left_knee', 'left_elbow', 'thorax'))
    assert np.corrcoef(knee, elbow)[0, 1] == pytest.approx(0.4, abs=0.1)
    # Who has long legs has a short trunk.
    assert np.corrcoef(knee, thorax)[0, 1] < -0.5
    every, _ = _people(extreme=True)
    np.testing.assert_allclose(np.abs(np.log(every[:, BODY17.index('left_ankle')])), 2.326 * ANSUR['shin'])


def test_children_are_small_with_short_legs_and_large_heads_and_hips_as_wide_as_asked() -> None:
    factors, statures = _people(children=1.0, hips=(0.04, 0.06))
    assert (statures.min() > 0.95, statures.max() < 1.5, statures.std() > 0.1) == (True, True, True)
    head, knee = (factors[:, BODY17.index(name)] / statures for name in ('head', 'left_knee'))
    small = statures < 1.1
    assert head[small].mean() > 1.15 * head[statures > 1.35].mean()
    assert knee[small].mean() < 0.97 * knee[statures > 1.35].mean()
    hips = factors[:, BODY17.index('left_hip')] * _bone(moving_person(1), 'pelvis', 'left_hip') / statures
    assert (hips > 0.036).all() and (hips < 0.064).all()
    few, _ = _people(children=0.1)
    assert np.mean(few[:, BODY17.index('left_knee')] < 0.85) == pytest.approx(0.09, abs=0.03)


def test_random_bodies_have_stature_centre_and_floor() -> None:
    for seed in range(5):
        body = random_body(_clip(), np.random.default_rng(seed), low_m=1.5, high_m=1.6, spread=0.03)
        assert 1.5 - 0.03 < stature_m(body) < 1.6 + 0.03
        np.testing.assert_allclose(body[:, 0, :2].mean(0), 0.0, atol=1e-9)
        assert 0.0 < body[..., 2].min() < 0.15


_LIMB = """JOINT {side}{upper}
 {{ OFFSET {sign}{x} 0 0
 CHANNELS 3 Zrotation Xrotation Yrotation
 JOINT {side}{middle}
 {{ OFFSET 0 {down} 0
 CHANNELS 3 Zrotation Xrotation Yrotation
 JOINT {side}{lower}
 {{ OFFSET 0 {down} 0
 CHANNELS 3 Zrotation Xrotation Yrotation
 End Site
 {{ OFFSET 0 -1 0 }} }} }} }}
"""


def _bvh(path: Path) -> Path:
    legs, arms = (
        ''.join(
            _LIMB.format(side=side, sign=sign, upper=upper, middle=middle, lower=lower, x=x, down=down)
            for side, sign in (('Left', ''), ('Right', '-'))
        )
        for upper, middle, lower, x, down in (('UpLeg', 'Leg', 'Foot', 1, -4), ('Arm', 'ForeArm', 'Hand', 2, -3))
    )
    text = (
        'HIERARCHY\nROOT Hips\n{ OFFSET 0 0 0\nCHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation\n'
        f'{legs}JOINT Spine\n{{ OFFSET 0 5 0\nCHANNELS 3 Zrotation Xrotation Yrotation\n'
        f'JOINT Neck1\n{{ OFFSET 0 1 0\nCHANNELS 3 Zrotation Xrotation Yrotation\n'
        'JOINT Head\n{ OFFSET 0 1 0\nCHANNELS 3 Zrotation Xrotation Yrotation\nEnd Site\n{ OFFSET 0 1 0 } } }\n'
        f'{arms}}} }}\nMOTION\nFrames: 2\nFrame Time: 0.02\n'
    )
    joints = text.count('CHANNELS 3')
    still = ['0', '9', '0', '0', '0', '0'] + ['0'] * 3 * joints
    # The second frame bends the left hip by 90 degrees about x: the leg points along z.
    bent = list(still)
    bent[7] = '-90'
    path.write_text(text + ' '.join(still) + '\n' + ' '.join(bent) + '\n')
    return path


def test_bvh_forward_kinematics(tmp_path: Path) -> None:
    clip = load_bvh(_bvh(tmp_path / 'walk.bvh'))
    assert clip.fps == pytest.approx(50.0)
    joints = clip.joints
    unit = (joints[0, 4, 0] - joints[0, 0, 0]) / 1.0
    relative = (joints - joints[:, :1]) / unit
    np.testing.assert_allclose(relative[0, 6], (1.0, 0.0, -8.0), atol=1e-9)
    np.testing.assert_allclose(np.abs(relative[1, 6]), (1.0, 8.0, 0.0), atol=1e-9)
    np.testing.assert_allclose(relative[0, 8], (0.0, 0.0, 5.0), atol=1e-9)
    assert stature_m(joints) == pytest.approx(1.75, rel=0.02)


def test_bvh_without_a_joint_or_garbled_is_refused(tmp_path: Path) -> None:
    path = _bvh(tmp_path / 'walk.bvh')
    text = path.read_text()
    path.write_text(text.replace('LeftForeArm', 'Tail'))
    with pytest.raises(ConfigError, match='left_elbow'):
        load_bvh(path)
    path.write_text('nonsense')
    with pytest.raises(ConfigError, match='not a BVH'):
        load_bvh(path)
    path.write_text(text.rsplit(' ', 1)[0])
    with pytest.raises(ConfigError, match='not a BVH'):
        load_bvh(path)


def test_files_that_hold_no_motion_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / 'half.npz', joints=np.zeros((1, 17, 3)))
    for path, words in (
        (tmp_path / 'half.npz', 'lacks the arrays'), (tmp_path / 'none.npz', 'does not exist'), (tmp_path, 'No .bvh'),
    ):
        with pytest.raises(ConfigError, match=words):
            load_motion(path)
    with pytest.raises(ShapeError, match='expected'):
        MotionClip('x', np.zeros((3, 16, 3)), 30.0)
