# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Who comes back after minutes has the old id, by clothes and bones."""

from dataclasses import replace

import numpy as np
import pytest

from geo_pose_ros.arrays import NS_PER_S
from geo_pose_ros.scene.scene import Scene
from geo_pose_ros.scene.settings import SceneConfig, TrackingConfig
from geo_pose_ros.simulation.metrics import match
from geo_pose_ros.simulation.scenario import Scenario, build
from geo_pose_ros.skeleton import BODY17
from geo_pose_ros.types import Keypoints2D

PEOPLE, VISIT_S = 6, 2.5


def clothes(rng, alike):
    """Appearances (P, 9): random clothes, or the same of all."""
    worn = np.tile((0.45, 0.45, 0.6), 3) * rng.standard_normal((PEOPLE, 9))
    return np.repeat(worn[:1], PEOPLE, 0) if alike else worn


def visits(seed, away_s, tracking=None, alike=False, seen=True):
    """Return each person's id at the end of the first visit of all, and of the one after so long, (2, P); -1 none."""
    scenario = Scenario(
        cameras=4, people=PEOPLE, duration_s=2.0 * VISIT_S, rate_hz=10.0, seed=seed, recorded=False, spacing_m=1.2
    )
    world, rng = build(scenario), np.random.default_rng(seed)
    worn = clothes(rng, alike)
    # Light and poses of a visit, each camera's colours, and every image differ.
    visit = np.tile((0.05, 0.05, 0.15), 3) * rng.standard_normal((2, PEOPLE, 9))
    own = np.tile((0.08, 0.08, 0.2), 3) * rng.standard_normal((4, 1, 9))
    scene, ids = Scene(world.given_rig, SceneConfig(tracking=tracking or TrackingConfig())), np.full((2, PEOPLE), -1)
    for frame in range(len(world.cameras[0].stamp_ns)):
        second = int(frame >= VISIT_S * 10.0)
        given = {}
        for camera, record in enumerate(world.cameras):
            rows = rng.permutation(np.flatnonzero(record.detections.found[frame]))
            worn_now = worn[rows] + visit[second, rows] + own[camera]
            worn_now = worn_now + np.tile((0.1, 0.1, 0.2), 3) * rng.standard_normal(worn_now.shape)
            stamp_ns = int(record.stamp_ns[frame]) + second * round(away_s * NS_PER_S)
            given[record.camera.name] = Keypoints2D(
                record.camera.name, stamp_ns, BODY17, record.detections.xy[frame, rows],
                record.detections.confidence[frame, rows], appearance=worn_now if seen else None,
            )
        bodies = scene.step(stamp_ns, given).bodies
        found = match(bodies.xyz, world.truth(int(world.cameras[0].stamp_ns[frame]))).body
        ids[second] = np.where(found >= 0, np.append(bodies.body_ids, -1)[found], ids[second])
    return ids


@pytest.mark.slow
def test_six_people_have_their_ids_after_five_minutes():
    same = [first == second for seed in range(5) for first, second in visits(seed, 300.0).T]
    assert len(same) == 30 and np.mean(same) >= 0.95


@pytest.mark.parametrize('what', ['too late', 'off', 'dressed alike', 'without images'])
def test_nobody_is_taken_for_somebody(what):
    tracking = replace(TrackingConfig(), recognise_s=0.0 if what == 'off' else 600.0)
    first, second = visits(
        1, 601.0 if what == 'too late' else 300.0, tracking, what == 'dressed alike', what != 'without images'
    )
    assert (first >= 0).all() and (second > first.max()).sum() >= PEOPLE - 1


def test_a_set_of_images_that_show_nobody():
    rig = build(Scenario(cameras=4, people=1, duration_s=0.2, recorded=False)).given_rig
    nobody = {
        name: Keypoints2D(
            name, NS_PER_S, BODY17, np.zeros((0, 17, 2)), np.zeros((0, 17)), appearance=np.zeros((0, 9))
        ) for name in rig.names
    }
    assert len(Scene(rig, SceneConfig()).step(NS_PER_S, nobody).bodies) == 0
