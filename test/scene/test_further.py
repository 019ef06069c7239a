# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Joints beyond body17: found where they are, on the right side, steady, and without a change to body17's."""

from dataclasses import replace

import numpy as np
import pytest

from geo_pose_ros.lifting.settings import LifterConfig
from geo_pose_ros.pipeline import PosePipeline
from geo_pose_ros.scene.kernels.bones import hold_lengths
from geo_pose_ros.scene.scene import Scene
from geo_pose_ros.scene.settings import PipelineConfig, SceneConfig
from geo_pose_ros.skeleton import BLAZEPOSE33, BODY17, BODY33, HALPE26, HAND21, OUTPUTS, WHOLEBODY, anchors, mirror_of

from ..scenes import keypoints, person, ring_rig

START_NS, DT_NS = 1_000_000_000, 33_000_000
CONFIG = SceneConfig(skeleton='body33')
FEET = [j for j, name in enumerate(BODY33.joint_names) if name.endswith(('heel', 'foot_index'))]
LEGS = [BODY17.index(f'{side}_{joint}') for side in ('left', 'right') for joint in ('hip', 'knee', 'ankle')]


def whole_person(seed: int = 0, position_m: tuple[float, float] = (0.0, 0.0)) -> np.ndarray:
    """Return a person (37, 3) m whose further joints are up to 15 cm from their anchors."""
    joints, rng = person(seed, position_m), np.random.default_rng(seed + 100)
    return np.concatenate([joints, joints[anchors(BODY33)[17:]] + rng.uniform(-0.09, 0.09, (20, 3))])


def run(scene: Scene, people, sets: int, change=lambda seen: seen, noise_px: float = 2.0):
    """Return the bodies of some sets."""
    found = []
    for k in range(sets):
        stamp_ns = START_NS + k * DT_NS
        seen = keypoints(scene.rig, people, stamp_ns, noise_px, seed=k, skeleton=scene.skeleton)
        found.append(scene.step(stamp_ns, change(seen)).bodies)
    return found


def test_further_joints_are_where_they_are_and_body17_is_as_without_them():
    rig, people = ring_rig(4), [whole_person(1), whole_person(2, (1.2, 0.3))]
    bodies = run(Scene(rig, CONFIG), people, 12)
    plain = [one.xyz for one in run(Scene(rig, SceneConfig()), [p[:17] for p in people], 12, noise_px=0.0)]
    last = bodies[-1]
    assert last.skeleton is BODY33 and last.xyz.shape == (2, 37, 3)
    assert plain[-1].shape == (2, 17, 3)
    order = np.argsort(last.xyz[:, 0, 0])
    np.testing.assert_allclose(last.xyz[order], sorted(people, key=lambda p: p[0, 0]), atol=0.02)
    assert (last.num_views == 4).all() and (last.age_s == 0.0).all()
    sigma = np.sqrt(np.trace(last.covariance, axis1=-2, axis2=-1) / 3.0)
    assert (sigma > 0.0).all() and (sigma < 0.02).all()


def test_body17_is_the_same_to_the_last_bit_whatever_is_asked_beside_it():
    rig, people = ring_rig(3), [whole_person(1), whole_person(2, (1.2, 0.3))]

    def first17(seen):
        return {name: one.as_output(BODY17) for name, one in seen.items()}

    whole, plain = Scene(rig, CONFIG), Scene(rig, SceneConfig())
    for k in range(6):
        stamp_ns = START_NS + k * DT_NS
        seen = keypoints(rig, people, stamp_ns, 2.0, seed=k, skeleton=BODY33)
        a, b = whole.step(stamp_ns, seen).bodies, plain.step(stamp_ns, first17(seen)).bodies
        np.testing.assert_array_equal(a.xyz[:, :17], b.xyz)
        np.testing.assert_array_equal(a.covariance[:, :17], b.covariance)


def test_feet_go_with_their_legs_where_a_view_confuses_the_sides():
    rig, people, mirror = ring_rig(5), [whole_person(3)], mirror_of(BODY33)
    order = np.arange(37)
    order[LEGS + FEET] = mirror[LEGS + FEET]

    def confuse(seen):
        k = seen['cam1']
        return seen | {'cam1': replace(k, xy=k.xy[:, order], confidence=k.confidence[:, order])}

    last = run(Scene(rig, CONFIG), people, 8, confuse)[-1]
    np.testing.assert_allclose(last.xyz[0, FEET], people[0][FEET], atol=0.02)
    assert (last.num_views[0, FEET] == 5).all()


def test_unseen_joints_are_unknown_and_those_lost_go_after_the_gap():
    rig, people = ring_rig(4), [whole_person(4)]
    scene = Scene(rig, CONFIG)
    heel = BODY33.index('left_heel')
    run(scene, people, 5)
    counts = []
    for k in range(5, 26):
        seen = keypoints(rig, people, START_NS + k * DT_NS, 1.0, skeleton=BODY33)
        for name, one in seen.items():
            xy = one.xy.copy()
            xy[:, [heel, heel + 1]] = np.nan
            seen[name] = replace(one, xy=xy, confidence=np.where(np.isnan(xy[..., 0]), 0.0, 1.0))
        bodies = scene.step(START_NS + k * DT_NS, seen).bodies
        counts.append(bool(np.isfinite(bodies.xyz[0, heel]).all()))
        assert np.isfinite(bodies.xyz[0, heel + 2]).all() and bodies.num_views[0, heel] == 0
    # Predicted for max_gap_s = 0.5 s.
    assert counts == [True] * 15 + [False] * 6


@pytest.mark.parametrize('source, output, known', [
    pytest.param(BLAZEPOSE33, 'body33', 37, id='blazepose'), pytest.param(HALPE26, 'halpe26', 29, id='halpe'),
    pytest.param(HALPE26, 'body33', 17 + 4 + 2, id='halpe as body33: eyes, ears and heels'),
])
def test_what_a_detector_gives_passes_through_by_name(source, output, known):
    rig, skeleton = ring_rig(4), OUTPUTS[output]
    whole = np.random.default_rng(5).uniform(-0.3, 0.3, (len(source), 3)) + (0.0, 0.0, 1.0)
    config = PipelineConfig(skeleton=output, lifter=LifterConfig(enabled=False))
    with PosePipeline(rig, config) as pipeline:
        for k in range(3):
            seen = keypoints(rig, [whole], START_NS + k * DT_NS, skeleton=source)
            result = pipeline.fuse(START_NS + k * DT_NS, seen)
    assert result.bodies.skeleton is skeleton and result.keypoints['cam0'].skeleton is skeleton
    assert np.isfinite(result.bodies.xyz[0]).all(-1).sum() == known
    for joint in set(skeleton.joint_names[17:]) & set(source.joint_names):
        np.testing.assert_allclose(result.bodies.xyz[0, skeleton.index(joint)], whole[source.index(joint)], atol=0.01)


def test_fingers_that_two_cameras_see_badly_keep_their_lengths():
    """A finger of 20 to 45 mm, 11 mm of noise: its lengths come from all fingers of the person."""
    rig, names = ring_rig(2, 2.0), WHOLEBODY.joint_names
    hand = np.zeros((21, 3))
    for finger, angle in enumerate((-0.9, -0.25, 0.0, 0.2, 0.42)):
        along = np.cumsum((0.04, 0.035, 0.03, 0.025) if finger == 0 else (0.09, 0.043, 0.026, 0.02))
        hand[1 + 4 * finger : 5 + 4 * finger] = along[:, None] * (np.sin(angle), 0.3 * np.cos(angle), -np.cos(angle))
    whole = np.full((len(names), 3), np.nan)
    whole[:17] = person(1)
    for side in ('left', 'right'):
        joints = [names.index(f'{side}_{joint}') for joint in HAND21.joint_names]
        whole[joints] = 1.1 * hand + whole[names.index(f'{side}_wrist')]
    found = run(Scene(rig, SceneConfig(skeleton='wholebody')), [whole], 60, noise_px=4.0)
    bones = np.array([edge for edge in WHOLEBODY.edges if min(edge) > names.index('left_hand_wrist')])
    lengths = np.array([np.linalg.norm(np.diff(one.xyz[0][bones], axis=1)[:, 0], axis=-1) for one in found])
    assert np.mean(lengths.std(0) / lengths.mean(0)) < 0.06
    true = np.linalg.norm(np.diff(whole[bones], axis=1)[:, 0], axis=-1)
    np.testing.assert_allclose(np.mean(lengths.mean(0) / true), 1.0, atol=0.1)


def test_steady_lengths_hold_noisy_joints():
    """Of a foot that nobody sees well the shape is that of the sets before."""
    rng = np.random.default_rng(6)
    xyz = np.array([[[0.0, 0.0, 0.0], [0.2, 0.0, 0.0], [0.5, 0.5, np.nan]]])
    covariance = np.tile(np.diag([0.01, 0.0004, 0.0004]), (1, 3, 1, 1))
    covariance[:, 0] = 1e-6 * np.eye(3)
    random = 0.5 * covariance
    lengths = np.array([[[0.15, 0.0]], [[1e-6, np.inf]]])
    moved, after, less = xyz.copy(), covariance.copy(), random.copy()
    hold_lengths(np.array([[0, 1], [1, 2]]), lengths, 1, moved, after, less)
    # A scalar Kalman filter along the bone, but for the parent, whose error adds to that of the child.
    S = 1e-6 + (0.02 * 0.15) ** 2 + 0.01
    np.testing.assert_allclose(moved[0, 1], [0.2 - 0.05 * 0.01 / S, 0.0, 0.0], atol=1e-12)
    np.testing.assert_allclose(after[0, 1], np.diag([0.01 - (0.01 / S) ** 2 * (S - 1e-6), 0.0004, 0.0004]), atol=1e-12)
    np.testing.assert_allclose(less[0, 1], 0.5 * after[0, 1], atol=1e-12)
    # The parent is body17's, and what is unknown stays so.
    np.testing.assert_array_equal(moved[0, [0, 2]], xyz[0, [0, 2]])
    noisy = xyz + rng.normal(0.0, 0.02, (200, 3, 3))
    held = noisy.copy()
    each = np.tile(covariance, (200, 1, 1, 1)), np.tile(random, (200, 1, 1, 1))
    hold_lengths(np.array([[0, 1]]), np.tile(lengths[..., :1], (1, 200, 1)), 1, held, *each)
    spread = [np.std(np.linalg.norm(one[:, 1] - one[:, 0], axis=-1)) for one in (noisy, held)]
    assert spread[1] < 0.1 * spread[0]
