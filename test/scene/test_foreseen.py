"""Where the bodies of one set are expected in the pictures of the next."""

import numpy as np

from geo_pose_ros.geometry.projection import project_world
from geo_pose_ros.scene.foreseen import Foreseen, foresee
from geo_pose_ros.skeleton import BODY17
from geo_pose_ros.types import Bodies3D

from ..scenes import person, ring_rig

TENTH = 100_000_000


def bodies_of(*people):
    xyz = np.stack(people)
    count = len(xyz)
    return Bodies3D(
        5 * TENTH, 'world', BODY17, xyz, np.broadcast_to(4e-4 * np.eye(3), (count, 17, 3, 3)), np.ones((count, 17)),
        np.full((count, 17), 2), np.zeros((count, 17)), np.arange(count) + 3,
    )


def test_bodies_move_on_and_get_less_certain():
    rig, truth = ring_rig(2), person()
    velocity = np.array([0.5, 0.0, 0.0])

    def predict(stamp_ns):
        return (truth + velocity * (stamp_ns - 5 * TENTH) / 1e9)[None]

    foreseen = foresee(5 * TENTH, bodies_of(truth), predict)
    camera = rig.cameras[0]
    now, later = foreseen.seen_by(camera, 5 * TENTH), foreseen.seen_by(camera, 7 * TENTH)
    assert (later.camera, later.stamp_ns, later.body_ids.tolist()) == ('cam0', 7 * TENTH, [3])
    np.testing.assert_allclose(now.xy[0], project_world(camera, truth), atol=1e-6)
    # The velocity dies away with a time constant of half a second.
    np.testing.assert_allclose(
        later.xy[0], project_world(camera, truth + 0.5 * (1.0 - np.exp(-0.4)) * velocity), atol=1e-3
    )
    assert (later.sigma_px > now.sigma_px).all()
    depth = truth @ camera.cam_from_world[2, :3] + camera.cam_from_world[2, 3]
    np.testing.assert_allclose(now.sigma_px[0], np.diag(camera.intrinsics.K)[:2].mean() * 0.02 / depth, rtol=1e-6)


def test_what_is_unknown_or_behind_is_nan():
    camera = ring_rig(1).cameras[0]
    behind = np.linalg.inv(np.vstack([camera.cam_from_world, (0, 0, 0, 1)]))[:3] @ (0.0, 0.0, -2.0, 1.0)
    xyz = np.full((1, 17, 3), np.nan)
    xyz[0, 0] = behind
    foreseen = Foreseen(0, BODY17, xyz, np.zeros((1, 17, 3)), np.full((1, 17), 0.1), np.array([0]))
    seen = foreseen.seen_by(camera, 0)
    assert np.isnan(seen.xy).all() and np.isnan(seen.sigma_px).all()
