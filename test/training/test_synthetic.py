"""Motion, bodies, rigs and the detector noise model."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from geo_pose_training.data.sources import load_data, parse_specification
from geo_pose_training.data.synthetic import SyntheticSettings, load_rigs, room_centre, synthesise

from geo_pose_ros.errors import CalibrationError, ConfigError, ShapeError
from geo_pose_ros.geometry.projection import project_world
from geo_pose_ros.simulation.detector import CLEAN, NoiseSettings, detect_person, detector_joints
from geo_pose_ros.simulation.motion import (
    MotionClip,
    random_body,
    random_proportions,
    rescale_bones,
    stature_m,
)
from geo_pose_ros.simulation.motion_files import load_bvh, load_motion
from geo_pose_ros.skeleton import BODY17
from test.scenes import ring_rig
from test.training.people import moving_person

_JITTER_ONLY = replace(CLEAN, jitter=0.01, memory=0.8)


def _projected(frames: int = 3000) -> np.ndarray:
    camera = ring_rig().cameras[0]
    still = project_world(camera, moving_person(1)[0])
    return np.repeat(still[None], frames, 0)


def _clip(frames: int = 30) -> MotionClip:
    return MotionClip('a/walk_1', moving_person(frames), 30.0)


def _bone(joints: np.ndarray, a: str, b: str) -> np.ndarray:
    return np.linalg.norm(joints[..., BODY17.index(b), :] - joints[..., BODY17.index(a), :], axis=-1)


def test_no_noise_changes_nothing() -> None:
    exact = _projected(10)
    xy, _ = detect_person(exact, (1280, 960), CLEAN, np.random.default_rng(0))
    np.testing.assert_allclose(xy, exact)


def test_jitter_has_the_stated_size_and_memory() -> None:
    exact = _projected()
    xy, _ = detect_person(exact, (1280, 960), _JITTER_ONLY, np.random.default_rng(0))
    off = xy - exact
    extent = np.ptp(exact[0], axis=0).max()
    assert off.std() == pytest.approx(0.01 * extent, rel=0.05)
    assert np.mean(off[1:] * off[:-1]) / off.var() == pytest.approx(0.8, abs=0.03)


def test_jitter_grows_as_confidence_falls() -> None:
    exact = _projected()
    rng = np.random.default_rng(0)
    xy, confidence = detect_person(exact, (1280, 960), replace(_JITTER_ONLY, jitter_unsure=0.05), rng)
    off = np.linalg.norm(xy - exact, axis=-1)
    low, high = confidence < np.quantile(confidence, 0.2), confidence > np.quantile(confidence, 0.8)
    assert off[low].mean() > 1.3 * off[high].mean()


def test_outliers_swaps_and_gaps_have_their_rates() -> None:
    exact = _projected(20_000)
    rng = np.random.default_rng(0)
    extent = np.ptp(exact[0], axis=0).max()
    outliers, sure = detect_person(exact, (1280, 960), replace(CLEAN, outlier_rate=0.05), rng)
    moved = np.linalg.norm(outliers - exact, axis=-1) > 0.01 * extent
    assert moved.mean() == pytest.approx(0.05, abs=0.01)
    assert sure[moved].mean() < sure[~moved].mean() - 0.1
    swapped, _ = detect_person(exact, (1280, 960), replace(CLEAN, swap_rate=0.04), rng)
    wrong = np.abs(swapped[:, 13] - exact[:, 16]).max(-1) < 1e-6
    assert wrong.mean() == pytest.approx(0.04, abs=0.015)
    gone, zero = detect_person(exact, (1280, 960), replace(CLEAN, missing_rate=0.03), rng)
    missing = np.isnan(gone).any(-1)
    assert missing.mean() == pytest.approx(0.03, abs=0.01)
    assert (zero[missing] == 0.0).all()


def test_joints_outside_the_image_or_behind_are_missing() -> None:
    exact = _projected(2)
    exact[:, 3] = -5.0
    exact[:, 4] = np.nan
    xy, confidence = detect_person(exact, (1280, 960), CLEAN, np.random.default_rng(0))
    assert np.isnan(xy[:, 3:5]).all()
    assert (confidence[:, 3:5] == 0.0).all()


def test_joint_definition_turns_with_the_body() -> None:
    joints = moving_person(2)
    c, s = np.cos(0.7), np.sin(0.7)
    R = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    np.testing.assert_allclose(detector_joints(joints @ R.T), detector_joints(joints) @ R.T, atol=1e-12)
    moved = 1e3 * np.linalg.norm(detector_joints(joints) - joints, axis=-1)
    assert 5.0 < moved.mean() < 20.0
    np.testing.assert_array_equal(detector_joints(joints, 0.0), joints)


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


def test_random_bodies_have_stature_centre_and_floor() -> None:
    for seed in range(5):
        body = random_body(_clip(), np.random.default_rng(seed), low_m=1.5, high_m=1.6, spread=0.03)
        assert 1.5 - 0.03 < stature_m(body) < 1.6 + 0.03
        np.testing.assert_allclose(body[:, 0, :2].mean(0), 0.0, atol=1e-9)
        assert 0.0 < body[..., 2].min() < 0.15


def test_synthesis_is_seeded_and_truthful() -> None:
    settings = SyntheticSettings(noise=CLEAN)
    a, b = (synthesise(_clip(), 'ring', ring_rig(), settings, 3) for _ in range(2))
    np.testing.assert_array_equal(a.xy, b.xy)
    assert a.truth is not None
    seen = project_world(a.rig.cameras[1], a.truth)
    inside = np.isfinite(a.xy[:, 1])
    assert inside.mean() > 0.9
    np.testing.assert_allclose(a.xy[:, 1][inside], seen[inside])
    other = synthesise(_clip(), 'ring', ring_rig(), settings, 4)
    assert not np.array_equal(a.xy, other.xy)
    assert a.action == 'walk'


def test_room_centre_of_a_ring_is_its_middle() -> None:
    np.testing.assert_allclose(room_centre(ring_rig()), 0.0, atol=1e-6)


def _write_motion(folder: Path) -> Path:
    joints = np.concatenate([moving_person(20), moving_person(10, 1)]).astype(np.float32)
    np.savez(
        folder / 'motion.npz',
        joints=joints,
        clip_start=[0, 20],
        clip_length=[20, 10],
        clip_name=['a/walk_1', 'a/run_1'],
        validation=[False, True],
        fps=np.float32(30.0),
    )
    return folder / 'motion.npz'


def _write_rigs(folder: Path) -> Path:
    tree = {
        'ring': {
            c.name: {
                'width': c.intrinsics.width,
                'height': c.intrinsics.height,
                'K': c.intrinsics.K.tolist(),
                'distortion_model': 'plumb_bob',
                'D': c.intrinsics.D.tolist(),
                'cam_from_world_R': c.cam_from_world[:, :3].tolist(),
                'cam_from_world_t': c.cam_from_world[:, 3].tolist(),
            }
            for c in ring_rig().cameras
        }
    }
    (folder / 'rigs.json').write_text(json.dumps(tree))
    return folder / 'rigs.json'


def test_motion_source_splits_by_validation(tmp_path: Path) -> None:
    spec = f'motion:{_write_motion(tmp_path)},rigs:{_write_rigs(tmp_path)}'
    (train,), (test,) = load_data(spec, test=False), load_data(spec, test=True)
    assert (train.name, len(train)) == ('ring/a/walk_1', 20)
    assert (test.name, len(test)) == ('ring/a/run_1', 10)
    assert [s.name for s in load_data(f'{spec},clips:b+a', test=False)] == ['ring/a/walk_1']
    with pytest.raises(ConfigError, match='no training clips'):
        load_data(f'{spec},clips:b', test=False)
    (under,) = load_data(f'motion:{_write_motion(tmp_path)},ceiling:7', test=True)
    assert under.rig.names == ('ceiling1', 'ceiling2', 'ceiling3', 'ceiling4')
    clean = load_data(f'{spec},noise:off', test=False)[0]
    assert not np.array_equal(clean.xy, train.xy, equal_nan=True)


def test_rigs_file_gives_the_rig_back(tmp_path: Path) -> None:
    rig = load_rigs(_write_rigs(tmp_path))['ring']
    np.testing.assert_allclose(rig['cam2'].cam_from_world, ring_rig()['cam2'].cam_from_world)


def test_wrong_sources_are_refused(tmp_path: Path) -> None:
    motion, rigs = _write_motion(tmp_path), _write_rigs(tmp_path)
    for spec, words in (
        ('video:x', 'unknown kind'),
        ('motion', 'key:value'),
        (f'motion:{motion}', 'needs rigs'),
        (f'motion:{motion},rigs:{rigs},only:attic', "no rig \\['attic'\\]"),
        (f'motion:{motion},rigs:{rigs},colour:red', 'unknown option'),
        (f'motion:{tmp_path / "none.npz"},rigs:{rigs}', 'does not exist'),
        (f'motion:{tmp_path},rigs:{rigs}', 'No .bvh file'),
    ):
        with pytest.raises(ConfigError, match=words):
            load_data(spec, test=False)
    np.savez(tmp_path / 'half.npz', joints=np.zeros((1, 17, 3)))
    with pytest.raises(ConfigError, match='lacks the arrays'):
        load_motion(tmp_path / 'half.npz')
    (tmp_path / 'bad.json').write_text('{"rig": {"cam": {}}}')
    with pytest.raises(CalibrationError, match=r'bad\.json'):
        load_rigs(tmp_path / 'bad.json')
    with pytest.raises(ShapeError, match='expected'):
        MotionClip('x', np.zeros((3, 16, 3)), 30.0)
    assert parse_specification('bag:a,cameras:x+y') == {'bag': 'a', 'cameras': 'x+y'}


def test_only_training_clips_left_is_an_error(tmp_path: Path) -> None:
    np.savez(
        tmp_path / 'm.npz',
        joints=moving_person(5),
        clip_start=[0],
        clip_length=[5],
        clip_name=['a/x_1'],
        validation=[False],
        fps=30.0,
    )
    with pytest.raises(ConfigError, match='no validation clips'):
        load_data(f'motion:{tmp_path / "m.npz"},rigs:{_write_rigs(tmp_path)}', test=True)


_LIMB = """JOINT {side}{upper}
 {{ OFFSET {sign}{x} {y} 0
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
    legs = ''.join(
        _LIMB.format(side=side, sign=sign, upper='UpLeg', middle='Leg', lower='Foot', x=1, y=0, down=-4)
        for side, sign in (('Left', ''), ('Right', '-'))
    )
    arms = ''.join(
        _LIMB.format(side=side, sign=sign, upper='Arm', middle='ForeArm', lower='Hand', x=2, y=0, down=-3)
        for side, sign in (('Left', ''), ('Right', '-'))
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


def test_noise_settings_are_documented() -> None:
    assert NoiseSettings().outlier_rate == 0.03
