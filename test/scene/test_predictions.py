# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Where the bodies of one set are expected in the pictures of the next."""

import numpy as np
import pytest

from geo_pose_ros.geometry.projection import project_world
from geo_pose_ros.scene.predictions import Predictions
from geo_pose_ros.skeleton import BODY17
from geo_pose_ros.types import ClockModel

from ..scenes import person, ring_rig

TENTH = 100_000_000


def test_bodies_move_on_and_get_less_certain():
    rig, truth = ring_rig(2), person()
    velocity = np.array([0.5, 0.0, 0.0])
    predictions = Predictions(
        5 * TENTH, BODY17, truth[None], np.broadcast_to(velocity, (1, 17, 3)), np.full((1, 17), 0.02), np.array([3]), {}
    )
    camera = rig.cameras[0]
    now, later = predictions.in_image(camera, 5 * TENTH), predictions.in_image(camera, 7 * TENTH)
    assert (later.camera, later.stamp_ns, later.body_ids.tolist()) == ('cam0', 7 * TENTH, [3])
    np.testing.assert_allclose(now.xy[0], project_world(camera, truth), atol=1e-6)
    # The velocity dies away with a time constant of half a second.
    way_s = 0.5 * (1.0 - np.exp(-0.2 / 0.5))
    np.testing.assert_allclose(later.xy[0], project_world(camera, truth + way_s * velocity), atol=1e-6)
    focal_px = np.diag(camera.intrinsics.K)[:2].mean()
    # Half the way that a joint would go is not certain.
    for seen, moved, sigma_m in ((now, 0.0, 0.02), (later, way_s, 0.02 + 0.5 * 0.2 * 0.5)):
        depth = (truth + moved * velocity) @ camera.cam_from_world[2, :3] + camera.cam_from_world[2, 3]
        np.testing.assert_allclose(seen.sigma_px[0], focal_px * sigma_m / depth, rtol=1e-6)
    # Nobody goes on as before for seconds.
    far = predictions.in_image(camera, 50 * TENTH)
    np.testing.assert_allclose(far.xy[0], project_world(camera, truth + 0.5 * velocity), atol=0.1)


def test_a_camera_whose_stamps_are_ahead_shows_the_same_picture_later():
    rig, truth = ring_rig(2), person()
    known = TENTH, BODY17, truth[None], np.full((1, 17, 3), 0.7), np.full((1, 17), 0.1), np.array([0])
    ahead = Predictions(*known, {'cam0': ClockModel(0.02)}).in_image(rig.cameras[0], 2 * TENTH)
    right = Predictions(*known, {}).in_image(rig.cameras[0], 2 * TENTH - 20_000_000)
    np.testing.assert_array_equal(ahead.xy, right.xy)
    np.testing.assert_array_equal(ahead.sigma_px, right.sigma_px)
    assert ahead.stamp_ns == 2 * TENTH


def test_what_is_unknown_or_behind_is_nan():
    camera = ring_rig(1).cameras[0]
    behind = np.linalg.inv(np.vstack([camera.cam_from_world, (0, 0, 0, 1)]))[:3] @ (0.0, 0.0, -2.0, 1.0)
    xyz = np.full((1, 17, 3), np.nan)
    xyz[0, 0] = behind
    predictions = Predictions(0, BODY17, xyz, np.zeros((1, 17, 3)), np.full((1, 17), 0.1), np.array([0]), {})
    seen = predictions.in_image(camera, 0)
    assert np.isnan(seen.xy).all() and np.isnan(seen.sigma_px).all()


def test_a_camera_that_moves_expects_people_from_where_it_is():
    rig = ring_rig(2)
    predictions = Predictions(
        TENTH, BODY17, person()[None], np.zeros((1, 17, 3)), np.full((1, 17), 0.02), np.array([3]), {}
    )
    elsewhere = predictions.in_image(rig['cam0'], TENTH, rig['cam1'].cam_from_world)
    np.testing.assert_allclose(elsewhere.xy, predictions.in_image(rig['cam1'], TENTH).xy, atol=1e-9)
    assert np.abs(elsewhere.xy - predictions.in_image(rig['cam0'], TENTH).xy).max() > 50.0


@pytest.mark.parametrize(('up', 'roll_rad'), [('z', 0.7), ('-z', 0.7 - np.pi), ('none', 0.0)])
def test_the_roll_of_a_camera_follows_from_gravity(up, roll_rad):
    rig, turn = ring_rig(1), np.array([[np.cos(0.7), -np.sin(0.7), 0.0], [np.sin(0.7), np.cos(0.7), 0.0], [0, 0, 1]])
    none = np.zeros((0, 17, 3))
    nobody = Predictions(0, BODY17, none, none, none[..., 0], np.zeros(0, int), {}, up)
    seen = nobody.in_image(rig.cameras[0], 0, turn @ rig.cameras[0].cam_from_world)
    assert seen.roll_rad == pytest.approx(roll_rad)
    # Steeply from above there is no upright.
    assert nobody.in_image(rig.cameras[0], 0, np.eye(3, 4)).roll_rad == 0.0
