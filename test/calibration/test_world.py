# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The world of a rig: kept, or made from floor, gravity and a length."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from geo_pose_ros.calibration.task import ScaleSource
from geo_pose_ros.calibration.world import (
    MEAN_JOINTS,
    OWN_JOINTS,
    Similarity,
    align_rig,
    floor_world,
    reach_m,
    scale_of,
    tape_of,
    upright_axis,
    usual_size,
)
from geo_pose_ros.errors import CalibrationError
from geo_pose_ros.geometry.projection import project_world
from geo_pose_ros.simulation.detector import detector_joints
from geo_pose_ros.simulation.motion import BEYOND_JOINTS_M
from geo_pose_ros.skeleton import BODY17
from geo_pose_ros.types import CameraRig

from ..scenes import person, ring_rig
from .walking import errors_as_is, walk

TILT = Similarity(0.7, Rotation.from_rotvec((0.9, -0.4, 0.3)).as_matrix(), np.array([1.0, -2.0, 0.5]))


def test_a_similarity_keeps_pixels_and_align_finds_it_back():
    rig, truth = ring_rig(4), person(0)
    for old, new in zip(rig.cameras, TILT.rig(rig).cameras, strict=True):
        np.testing.assert_allclose(project_world(new, TILT.points(truth)), project_world(old, truth), atol=1e-8)
    change = align_rig(TILT.rig(rig), rig, 4.0)
    assert change.scale == pytest.approx(1.0 / 0.7)
    turns, moves = errors_as_is(change.rig(TILT.rig(rig)), rig)
    assert turns.max() < 1e-5
    assert moves.max() < 1e-4


def test_a_moved_camera_does_not_take_the_world_with_it():
    rig = ring_rig(4)
    camera = rig.cameras[2]
    R = Rotation.from_rotvec((0.0, 0.2, 0.0)).as_matrix() @ camera.cam_from_world[:, :3]
    moved = replace(camera, cam_from_world=np.column_stack([R, -R @ (camera.position_m + 0.3)]))
    now = CameraRig((*rig.cameras[:2], moved, rig.cameras[3]))
    turns, moves = errors_as_is(align_rig(now, rig, 4.0).rig(now), rig)
    np.testing.assert_allclose(turns, (0.0, 0.0, np.degrees(0.2), 0.0), atol=0.3)
    assert moves[[0, 1, 3]].max() < 20.0


def test_floor_and_gravity():
    """A camera world, tilted: z becomes up, planted ankles are 8.5 cm above the floor."""
    truth = walk(30.0, reach_m=2.0)[::3] + np.random.default_rng(0).normal(0.0, 0.01, (200, 17, 3))
    rig = ring_rig(4)
    turned = Similarity(1.0, TILT.R, TILT.t)
    floor, report = floor_world(turned.points(truth), np.arange(200) * 0.15, np.zeros(200, int), turned.rig(rig))
    up = floor.R @ TILT.R @ (0.0, 0.0, 1.0)
    assert np.degrees(np.arccos(up[2])) < 1.0
    ankles = floor.points(turned.points(truth))[:, [3, 6], 2]
    # The lowest of the walker's swinging feet are 8 cm above the floor, like a standing one's.
    assert np.percentile(ankles, 10) == pytest.approx(0.085, abs=0.02)
    assert report.sigma_gravity_rad < 0.06
    assert floor.rig(turned.rig(rig)).cameras[0].cam_from_world[2, :3] @ (0.0, 1.0, 0.0) == pytest.approx(0.0, abs=0.03)


def test_up_needs_somebody_upright():
    nobody = np.full((10, 17, 3), np.nan)
    with pytest.raises(CalibrationError, match='Nobody is seen from feet to shoulders'):
        upright_axis(nobody, np.zeros(10, int))


def test_scale_from_each_source():
    rig, people = ring_rig(3), np.stack([person(0)] * 5)
    who = np.zeros(5, int)
    factor, said = scale_of(0.5 * people, who, rig, ScaleSource(distance=('cam0', 'cam1', 2.0)))
    assert factor == pytest.approx(2.0 / np.linalg.norm(rig['cam0'].position_m - rig['cam1'].position_m))
    assert 'cam0 and cam1' in said
    height = reach_m(people) + 0.187
    factor, said = scale_of(0.5 * people, who, rig, ScaleSource(stature_m=height))
    assert factor == pytest.approx(2.0)
    assert 'stature' in said
    factor, said = scale_of(0.5 * people, who, rig, ScaleSource())
    assert factor == pytest.approx(1.503 / (0.5 * reach_m(people)))
    assert factor == pytest.approx(usual_size(0.5 * people))
    assert 'statistics' in said


def test_the_detector_says_what_a_tape_measures_beyond_its_joints():
    """COCO's detectors have no spine of their own: body17's is the middle of hips and shoulders."""
    xy = np.random.default_rng(0).uniform(0.0, 500.0, (3, 10, 17, 2))
    assert tape_of(xy) is OWN_JOINTS
    assert tape_of(np.full((3, 10, 17, 2), np.nan)) is OWN_JOINTS
    pelvis, spine, thorax = (BODY17.index(name) for name in ('pelvis', 'spine', 'thorax'))
    xy[..., spine, :] = 0.5 * (xy[..., pelvis, :] + xy[..., thorax, :])
    assert tape_of(xy) is MEAN_JOINTS


def test_the_simulated_detector_lengthens_people_by_what_the_tape_takes_off():
    people = person(0)[None]
    longer_m = reach_m(detector_joints(people)) - reach_m(people)
    assert OWN_JOINTS.beyond_m == pytest.approx(BEYOND_JOINTS_M - longer_m, abs=0.007)


def test_noise_makes_nobody_taller():
    people, noise_m = np.repeat(person(0)[None], 4000, 0), 0.02
    seen = people + np.random.default_rng(0).normal(0.0, noise_m, people.shape)
    covariance = np.broadcast_to(noise_m**2 * np.eye(3), (*people.shape, 3))
    assert reach_m(seen) > 1.005 * reach_m(people)
    assert reach_m(seen, covariance=covariance) == pytest.approx(reach_m(people), rel=0.001)


def test_scale_needs_a_whole_person():
    people = np.stack([person(0)] * 5)
    people[:, BODY17.index('head')] = np.nan
    with pytest.raises(CalibrationError, match='never seen from ankle to head'):
        scale_of(people, np.zeros(5, int), ring_rig(2), ScaleSource(stature_m=1.8))
