# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Which mistake is named where the rays of cameras do not meet, and that nothing is said of right rigs."""

from dataclasses import replace

import numpy as np
import pytest

from geo_pose_ros.evaluation.quality import ObservedSet
from geo_pose_ros.evaluation.rig_check.ray_meeting import RayMeeting
from geo_pose_ros.findings import Severity
from geo_pose_ros.geometry.rigid import invert
from geo_pose_ros.simulation.scenario import Scenario, build
from geo_pose_ros.simulation.simulate import arrivals

from ...scenes import person
from ..moving import bodies_at

LINK_FROM_OPTICAL = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])


def scene(cameras, people=1, seed=0):
    """Return a simulated rig, and the keypoints by camera of its sets."""
    world = build(Scenario(cameras=cameras, people=people, duration_s=1.0, seed=seed, recorded=False))
    sets = {}
    for _, seen in arrivals(world):
        sets.setdefault(round(seen.stamp_ns / 1e7), {})[seen.camera] = seen
    return world.rig, list(sets.values())


@pytest.fixture(scope='module')
def four():
    return scene(4)


def judged(rig, sets, bodies=False):
    """Return what is said of sets in which ``bodies`` were found, or not."""
    judge = RayMeeting(rig)
    for number, keypoints in enumerate(sets):
        judge.add(ObservedSet(number, keypoints, bodies_at(number, [person()] if bodies else [])))
    return list(judge.findings())


def moved(rig, sets, change, only=None):
    """Return the sets with ``change`` of the pixels of all cameras, or of one."""
    size = {c.name: np.array([c.intrinsics.width - 1.0, c.intrinsics.height - 1.0]) for c in rig.cameras}
    return [
        {name: replace(k, xy=change(k.xy, size[name])) if only in (None, name) else k for name, k in seen.items()}
        for seen in sets
    ]


def renamed(sets, **names):
    return [{names.get(k, k): replace(v, camera=names.get(k, k)) for k, v in seen.items()} for seen in sets]


def mirrored(xy, size):
    return xy * (-1.0, 1.0) + size * (1.0, 0.0)


@pytest.mark.parametrize(('cameras', 'people'), [(1, 1), (2, 1), (2, 3), (3, 2), (4, 1), (4, 4), (12, 2)])
def test_nothing_is_said_of_a_right_rig(cameras, people):
    rig, sets = scene(cameras, people, seed=cameras)
    assert judged(rig, sets) == judged(rig, sets, bodies=True) == []


POSES = {
    'link': (lambda m: LINK_FROM_OPTICAL @ m, 'the poses look like link frames (x forward, z up)'),
    'OpenGL': (lambda m: np.diag([1.0, -1.0, -1.0]) @ m, "the poses look like OpenGL's"),
    'rolled': (lambda m: np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1.0]]) @ m, 'the axes of the camera frames look'),
    'inverse': (invert, 'the poses look like those of cameras in the world'),
    'transposed': (lambda m: np.column_stack([m[:, :3].T, m[:, 3]]), 'the rotations look transposed'),
    'positions': (
        lambda m: np.column_stack([m[:, :3], invert(m)[:, 3]]), "the translations look like the cameras' positions"
    ),
    'mirrored': (
        lambda m: np.diag([-1.0, 1.0, 1.0]) @ m * (-1.0, 1.0, 1.0, 1.0), 'all cameras look mirrored left to right, or'
    ),
}


@pytest.mark.parametrize('mistake', POSES)
def test_wrong_poses_are_named(four, mistake):
    rig, sets = four
    change, words = POSES[mistake]
    [said] = judged(rig.with_poses(change), sets)
    assert (said.severity, said.where, said.kind) == (Severity.ERROR, 'rig', 'rays')
    assert said.what.startswith(f'4 cameras see people in {len(sets)} of {len(sets)} sets, but their rays pass by ')
    assert words in said.what and said.remedy


@pytest.mark.parametrize(
    ('names', 'words'),
    [
        ({'cam00': 'cam01', 'cam01': 'cam00'}, 'cam00 and cam01 look exchanged'),
        ({'cam00': 'cam02', 'cam02': 'cam00'}, 'cam00 and cam02 look exchanged'),
        ({'cam01': 'cam02', 'cam02': 'cam03', 'cam03': 'cam01'}, '(cam01 has those of cam03, cam02 has those of '),
    ],
    ids=['neighbours', 'opposite', 'circle'],
)
def test_exchanged_cameras_are_named_with_and_without_bodies(four, names, words):
    rig, sets = four
    for bodies in (False, True):
        [said] = judged(rig, renamed(sets, **names), bodies)
        assert words in said.what and 'Exchange their videos or topics' in said.remedy


def test_two_of_many_exchanged_cameras_are_named():
    rig, sets = scene(8, 2)
    [said] = judged(rig, renamed(sets, cam02='cam05', cam05='cam02'), bodies=True)
    assert 'cam02 and cam05 look exchanged' in said.what


@pytest.mark.parametrize(
    ('change', 'only', 'words'),
    [
        (mirrored, None, 'the images of all cameras look mirrored left to right'),
        (mirrored, 'cam02', 'the images of cam02 look mirrored left to right'),
        (lambda xy, size: size - xy, None, 'the images of all cameras look turned by 180 degrees'),
        (lambda xy, size: size - xy, 'cam01', 'the images of cam01 look turned by 180 degrees'),
    ],
    ids=['all mirrored', 'one mirrored', 'all turned', 'one turned'],
)
def test_wrong_images_are_named(four, change, only, words):
    rig, sets = four
    [said] = judged(rig, moved(rig, sets, change, only), bodies=True)
    assert words in said.what


@pytest.mark.parametrize(
    ('factor', 'words'),
    [(1000.0, 'looks like mm'), (100.0, 'looks like cm'), (39.4, 'looks like inches'), (0.01, 'm read as cm'),
     (2.6, 'times too large')],
)
def test_a_wrong_unit_is_named(four, factor, words):
    rig, sets = four
    [said] = judged(rig.with_poses(lambda m: m * (1.0, 1.0, 1.0, factor)), sets)
    assert words in said.what and (said.where, said.kind) == ('rig', 'rays')


def test_rays_that_do_not_meet_for_an_unknown_reason_are_an_error_only_without_bodies(four):
    rig, sets = four
    turns = np.eye(3), LINK_FROM_OPTICAL, np.diag([1.0, -1.0, -1.0]), np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1.0]])
    left = iter(turns)
    away = rig.with_poses(lambda pose: next(left) @ pose)
    [said] = judged(away, sets)
    assert 'unit, axes or cameras exchanged?' in said.what
    assert judged(away, sets, bodies=True) == []


def test_too_little_says_nothing(four):
    rig, sets = four
    assert judged(rig.with_poses(invert), sets[:2]) == []
    assert judged(rig.with_poses(invert), [{'cam00': seen['cam00']} for seen in sets]) == []
    assert judged(rig, [{name: replace(k, xy=np.full_like(k.xy, np.nan)) for name, k in s.items()} for s in sets]) == []


def test_a_crowd_takes_few_sets():
    rig, sets = scene(3, 6)
    judge = RayMeeting(rig)
    for number, keypoints in enumerate(sets):
        judge.add(ObservedSet(number, keypoints, bodies_at(number, [])))
    assert 1 <= len(judge._chosen()) <= 5
