# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""What is said of a world in which people do not stand as people do."""


import numpy as np
import pytest

from geo_pose_ros.evaluation.quality import ObservedSet
from geo_pose_ros.evaluation.rig_check.samples import SpreadSample
from geo_pose_ros.evaluation.rig_check.world_check import WorldCheck, forward_cues
from geo_pose_ros.findings import Severity
from geo_pose_ros.geometry.rigid import compose, invert, transform_points
from geo_pose_ros.rigs.plausibility import check_rig
from geo_pose_ros.skeleton import BODY17, mirror_of

from ...scenes import person, ring_rig
from ..moving import bodies_at

RIG = ring_rig(4)
# From the world with z up and the floor at 0 to others.
Z_DOWN = np.array([[1.0, 0.0, 0.0, 0.0], [0.0, -1.0, 0.0, 0.0], [0.0, 0.0, -1.0, 0.0]])
Y_UP = np.array([[1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, -1.0, 0.0, 0.0]])
AS_IS = np.eye(3, 4)


def raised(by_m):
    return np.column_stack([np.eye(3), (0.0, 0.0, by_m)])


def said_in(other_from_world, up='z', people=None, rig=RIG):
    """Return what is said if rig and people are in another world."""
    moved = rig.with_poses(lambda pose: compose(pose, invert(other_from_world)))
    check = WorldCheck(moved, up, check_rig(moved, up))
    everybody = [person(seed, heading_rad=0.7 * seed) for seed in range(12)] if people is None else people
    for number, joints in enumerate(everybody):
        check.add(ObservedSet(number, {}, bodies_at(number, [transform_points(other_from_world, joints)])))
    return list(check.findings())


def test_nothing_is_said_of_people_who_stand():
    assert said_in(AS_IS) == said_in(Y_UP, 'y') == said_in(Z_DOWN, '-z') == said_in(Z_DOWN, 'none') == []


@pytest.mark.parametrize(
    ('world', 'severity', 'kind', 'words', 'remedy'),
    [
        (Z_DOWN, Severity.ERROR, 'up', 'People are upside down: they stand along -z of the world', 'lifter.up=-z'),
        (Y_UP, Severity.WARNING, 'up', 'People lie: upright in the images, they stand along y of', 'lifter.up=y'),
        (raised(-0.6), Severity.WARNING, 'floor', 'the floor is 0.63 m below the plane z = 0', '--from-scratch'),
        (raised(-0.11), Severity.WARNING, 'floor', 'the floor is 0.14 m below the plane z = 0', 'origin to the floor'),
        (raised(0.2), Severity.WARNING, 'floor', 'the floor is 0.15 m above the plane z = 0', 'stand on something'),
    ],
    ids=['upside down', 'lying', 'below by much', 'below by little', 'above'],
)
def test_a_wrong_world(world, severity, kind, words, remedy):
    [said] = said_in(world)
    assert (said.severity, said.where, said.kind) == (severity, 'rig', kind)
    assert words in said.what and remedy in said.remedy


def test_the_rig_speaks_until_people_are_seen():
    [said] = said_in(Y_UP, people=[person()])
    assert (said.where, said.kind) == ('rig', 'up') and 'the images have their upper side towards y' in said.what
    # Cameras that hang upside down, with people who stand.
    hung = RIG.with_poses(lambda pose: np.diag([-1.0, -1.0, 1.0]) @ pose)
    assert [s.kind for s in said_in(AS_IS, rig=hung, people=[])] == ['up']
    assert said_in(AS_IS, rig=hung) == []


def test_people_who_really_lie_or_do_as_they_like_are_no_fault():
    lying = np.array([[1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, -1.0, 0.0, 0.3]])
    assert said_in(AS_IS, people=[transform_points(lying, person(seed)) for seed in range(12)]) == []
    turn = np.array([[0.0, 0.0, 1.0, 0.0], [1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.5]])
    mixed = [person(seed) if seed % 3 else transform_points(turn, person(seed)) for seed in range(12)]
    assert said_in(AS_IS, people=mixed) == []


def test_mirrored_people():
    flip = mirror_of(BODY17)
    people = [person(seed, heading_rad=seed) for seed in range(12)]
    for wrong in ([joints[flip] for joints in people], [joints * (1.0, -1.0, 1.0) for joints in people]):
        [said] = said_in(AS_IS, people=wrong)
        assert (said.severity, said.kind) == (Severity.ERROR, 'mirrored') and 'people are mirrored' in said.what
    assert (forward_cues(np.stack(people)) > 0.0).all()
    assert np.isnan(forward_cues(np.full((1, 17, 3), np.nan))).all()


def test_a_spread_sample_keeps_few_evenly_spread_over_all():
    for count, kept in ((3, [0, 1, 2]), (9, [0, 2, 4, 6, 8]), (100, [0, 16, 32, 48, 64, 80, 96])):
        sample = SpreadSample(4)
        for number in range(count):
            sample.add(number)
        assert sample.items == kept
