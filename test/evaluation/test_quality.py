# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Quality without ground truth, against scenes whose truth is known."""

from dataclasses import replace

import numpy as np
import pytest

from geo_pose_ros.errors import ShapeError
from geo_pose_ros.evaluation.quality import (
    ObservedSet,
    bone_length_cv,
    distances_to_keypoints,
    leave_one_out_compared,
    leave_one_out_px,
    measured,
)
from geo_pose_ros.geometry.projection import project_world
from geo_pose_ros.lifting.settings import LifterConfig
from geo_pose_ros.pipeline import PosePipeline
from geo_pose_ros.scene.settings import PipelineConfig, TrackingConfig
from geo_pose_ros.skeleton import BODY17
from geo_pose_ros.types import Keypoints2D

from ..scenes import keypoints, person, ring_rig
from .moving import bodies_at

# The lifter's prior moves even exact joints by a pixel or two.
CONFIG = PipelineConfig(lifter=LifterConfig(enabled=False))


def observe(rig, people, noise_px=0.0, instants=3):
    made = []
    with PosePipeline(rig, CONFIG) as pipeline:
        for i in range(instants):
            seen = keypoints(rig, people, stamp_ns=i * 100_000_000, noise_px=noise_px, seed=i)
            result = pipeline.fuse(i * 100_000_000, seen)
            made.append(ObservedSet(i * 100_000_000, result.keypoints, result.bodies))
    return made


def reprojection_px(rig, observations):
    """Return the px (n,) between keypoints and reprojected joints of each camera, by name."""
    return {name: np.concatenate([
        distances_to_keypoints(project_world(rig[name], measured(seen.bodies).xyz), seen.keypoints[name], 0.3)
        for seen in observations
    ]) for name in rig.names}


def test_left_out_camera_tells_what_its_own_fit_hides():
    rig = ring_rig(4)
    seen = observe(rig, [person()], noise_px=4.0)
    fitted = np.median(np.concatenate(list(reprojection_px(rig, seen).values())))
    left_out = np.median(np.concatenate(list(leave_one_out_px(rig, seen, CONFIG).values())))
    # Rayleigh distributed: the median of the noise itself is 1.18 sigma = 4.7 px.
    assert 2.0 < fitted < 4.7 < left_out < 9.0


def test_configurations_are_compared_where_both_predict():
    rig = ring_rig(4)
    seen = observe(rig, [person(), person(1, (1.2, 0.0))], noise_px=2.0)
    same = leave_one_out_compared(rig, seen, CONFIG, CONFIG)
    np.testing.assert_array_equal(*same)
    assert len(same[0]) == 4 * 3 * 2 * 17
    # One camera sees a wrist wrong: without a lifter the other two views of it disagree.
    wrong = []
    for observation in seen:
        xy = observation.keypoints['cam0'].xy.copy()
        xy[:, 13] += 200.0
        cam0 = replace(observation.keypoints['cam0'], xy=xy)
        wrong.append(replace(observation, keypoints={**observation.keypoints, 'cam0': cam0}))
    alone = replace(CONFIG, tracking=TrackingConfig(enabled=False))
    with_lifter, without = leave_one_out_compared(rig, wrong, PipelineConfig(), alone)
    assert len(with_lifter) == len(without)
    assert len(without) <= len(np.concatenate(list(leave_one_out_px(rig, wrong, PipelineConfig()).values())))


def test_perfect_keypoints_reproject_to_nothing_each_body_to_its_own_person():
    rig, people = ring_rig(4), [person(0, (-0.8, 0.0)), person(1, (0.8, 0.3))]
    errors = reprojection_px(rig, observe(rig, people))
    assert {name: len(e) for name, e in errors.items()} == dict.fromkeys(rig.names, 3 * 34)
    assert max(e.max() for e in errors.values()) < 0.5


def test_bodies_that_are_only_predicted_do_not_count():
    [seen] = observe(ring_rig(4), [person()], instants=1)
    coasting = bodies_at(0, (person() + 1.0,), (9,), views=0)
    both = bodies_at(0, (seen.bodies.xyz[0], person() + 1.0), (0, 9))
    both = replace(both, num_views=both.num_views * np.array([[1], [0]]))
    errors = reprojection_px(ring_rig(4), [ObservedSet(0, seen.keypoints, both)])
    assert max(e.max() for e in errors.values()) < 0.5
    assert measured(both).body_ids.tolist() == [0]
    assert np.isnan(bone_length_cv(BODY17, [coasting, coasting])['pelvis-spine'])


def test_unconfident_and_missing_keypoints_are_left_out():
    xy, confidence = np.zeros((1, 17, 2)), np.ones((1, 17))
    confidence[0, :10] = 0.2
    projected = np.full((1, 17, 2), 3.0)
    projected[0, 16] = np.nan
    found = Keypoints2D('cam0', 0, BODY17, xy, confidence)
    np.testing.assert_allclose(distances_to_keypoints(projected, found, 0.3), np.full(6, np.hypot(3, 3)))
    assert len(distances_to_keypoints(projected[:0], found, 0.3)) == 0
    with pytest.raises(ShapeError, match=r'expected \(P, 17, 2\)'):
        distances_to_keypoints(projected[0], found, 0.3)


def test_bone_length_cv_by_hand_per_body():
    def with_bone(lengths, body_id=0):
        """Return instants of a body with one bone, upright."""
        xyz = np.full((len(lengths), 17, 3), np.nan)
        xyz[:, 1:3] = 0.0
        xyz[:, 2, 2] = lengths
        return [bodies_at(0, (joints,), (body_id,)) for joints in xyz]

    cv = bone_length_cv(BODY17, with_bone([0.4, 0.5, 0.6]))
    assert cv['right_hip-right_knee'] == pytest.approx(np.std([0.4, 0.5, 0.6]) / 0.5)
    assert np.isnan(cv['left_hip-left_knee'])
    # Two people of different size vary each for themselves, not against each other.
    assert bone_length_cv(BODY17, with_bone([0.4, 0.4]) + with_bone([0.5, 0.5], 1))['right_hip-right_knee'] == 0.0
    assert np.isnan(bone_length_cv(BODY17, [])['pelvis-spine'])
