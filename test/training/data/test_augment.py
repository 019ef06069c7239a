# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""New motion: bones keep their lengths, limbs their places at the trunk, joints their limits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from geo_pose_training.data.augment import JointLimits, bend_joints, exchange_parts
from geo_pose_training.data.prepare import prepare
from geo_pose_training.settings import CopySettings, DataSettings, MotionSettings

from geo_pose_ros.arrays import FloatArray
from geo_pose_ros.errors import ConfigError
from geo_pose_ros.simulation.walks import turn
from geo_pose_ros.skeleton import BODY17
from test.training.people import moving_person, recorded_person

_UP = np.array((0.0, 0.0, 1.0))
_PARENT, _CHILD = np.array(BODY17.edges).T


def _lengths(joints: FloatArray) -> FloatArray:
    return np.asarray(np.linalg.norm(joints[:, _CHILD] - joints[:, _PARENT], axis=-1))


def test_exchanged_parts_keep_lengths_and_pelvis() -> None:
    own, other = moving_person(100, 0), 1.2 * moving_person(80, 5)
    made = exchange_parts(own, [other], 1.0, _UP, 25, np.random.default_rng(0))
    np.testing.assert_allclose(_lengths(made), _lengths(own), atol=1e-9)
    np.testing.assert_array_equal(made[:, 0], own[:, 0])
    # Something moved in each piece, and never the hips.
    moved = np.linalg.norm(made - own, axis=-1)
    assert (moved.reshape(4, 25, 17).max((1, 2)) > 0.02).all()
    np.testing.assert_allclose(moved[:, [1, 4]], 0.0, atol=1e-9)
    np.testing.assert_allclose(exchange_parts(own, [other], 0.0, _UP, 25, np.random.default_rng(0)), own, atol=1e-12)


def test_parts_of_the_same_person_elsewhere_change_nothing() -> None:
    """Where the body stands, which way it faces and how large it is must not matter."""
    still = np.repeat(moving_person(1, 3), 60, 0)
    elsewhere = turn(1.3 * still, np.full(60, 2.0)) + (3.0, -2.0, 0.4)
    for seed in range(6):
        rng = np.random.default_rng(seed)
        made = exchange_parts(still, [elsewhere], 1.0, _UP, 60, rng)
        # Either the very pose, or its mirror image in the part that was exchanged.
        if np.allclose(made, still, atol=1e-6):
            return
    pytest.fail('No unmirrored piece in six draws gave the pose back.')


def test_frames_with_unknown_joints_stay_and_there_must_be_other_clips() -> None:
    own = moving_person(30, 0)
    own[3, 12] = np.nan
    made = exchange_parts(own, [moving_person(30, 1)], 1.0, _UP, 10, np.random.default_rng(0))
    np.testing.assert_array_equal(made[3], own[3])
    limits = JointLimits.measured(own)
    np.testing.assert_array_equal(bend_joints(own, limits, 0.3, 10, np.random.default_rng(0))[3], own[3])
    with pytest.raises(ConfigError, match=r'no clip to take limbs from; set data.copies.motion.exchanged_parts to 0'):
        exchange_parts(own, [], 1.0, _UP, 10, np.random.default_rng(0))
    with pytest.raises(ConfigError, match='enough weight to take motion from'):
        unseen = replace(recorded_person(frames=4), truth=np.full((4, 17, 3), np.nan))
        copies = CopySettings(1, motion=MotionSettings(exchanged_parts=0.5))
        prepare([unseen], DataSettings(labels='truth', copies=copies), 0)


def test_bent_joints_stay_within_the_measured_limits() -> None:
    many = np.concatenate([moving_person(200, seed) for seed in range(8)])
    limits = JointLimits.measured(many)
    own = moving_person(100, 11)
    unlimited = bend_joints(own, JointLimits.none(), 0.5, 5, np.random.default_rng(1))
    bent = bend_joints(own, limits, 0.5, 5, np.random.default_rng(1))
    for made in (unlimited, bent):
        np.testing.assert_allclose(_lengths(made), _lengths(own), atol=1e-9)
        np.testing.assert_allclose(made[:, [0, 1, 4, 7, 8, 11, 14]], own[:, [0, 1, 4, 7, 8, 11, 14]], atol=1e-9)

    def outside(joints: FloatArray) -> int:
        seen = JointLimits.measured(joints)
        return int((seen.upper & ~limits.upper).sum() + (seen.lower & ~limits.lower).sum())

    assert outside(unlimited) > 20
    # Frames that could not be bent keep a pose that need not be among the measured ones.
    assert outside(bent) <= outside(own)
    assert np.linalg.norm(bent - own, axis=-1)[:, [12, 13, 15, 16]].max() > 0.02
    np.testing.assert_allclose(bend_joints(own, limits, 0.0, 5, np.random.default_rng(1)), own, atol=1e-12)
