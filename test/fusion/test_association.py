"""Detections of several cameras grouped into people: exact on seeded scenes, and on the degenerate ones."""

import numpy as np
import pytest

from geo_pose_ros.errors import ShapeError

Association=associate=None
from geo_pose_ros.geometry.virtual_camera import look_at

JOINTS = 17


def ring(cameras: int, rng: np.random.Generator) -> np.ndarray:
    angle = np.linspace(0.0, 2.0 * np.pi, cameras, endpoint=False) + rng.uniform(0.0, 0.2, cameras)
    position = np.stack([5.0 * np.cos(angle), 5.0 * np.sin(angle), rng.uniform(1.2, 2.8, cameras)], 1)
    return look_at(position, np.tile([0.0, 0.0, 1.0], (cameras, 1)), np.array([0.0, 0.0, 1.0]))


def crowd(people: int, rng: np.random.Generator) -> np.ndarray:
    """People as clouds of joints the size of a person, on a grid 1.2 m apart."""
    side = int(np.ceil(np.sqrt(people)))
    cell = np.stack(np.divmod(rng.permutation(side * side)[:people], side), -1) - 0.5 * (side - 1)
    body = rng.uniform([-0.25, -0.25, 0.0], [0.25, 0.25, 1.7], (people, JOINTS, 3))
    body[..., :2] += 1.2 * cell[:, None]
    return body


def observe(cams: np.ndarray, bodies: np.ndarray, rng: np.random.Generator, hidden: float = 0.1):
    """Shuffled noisy detections per camera (keypoints, weights) and whose they are."""
    keypoints, weights, owners = [], [], []
    for R_t in cams:
        local = bodies @ R_t[:, :3].T + R_t[:, 3]
        xn = local[..., :2] / local[..., 2:] + 0.003 * rng.standard_normal((*bodies.shape[:2], 2))
        astray = rng.random(xn.shape[:2]) < 0.05
        xn[astray] += rng.uniform(-0.1, 0.1, xn.shape)[astray]
        xn[rng.random(xn.shape[:2]) < 0.05] = np.nan
        seen = rng.permutation(np.flatnonzero(rng.random(len(bodies)) >= hidden))
        keypoints.append(xn[seen])
        weights.append(np.isfinite(xn[seen]).all(-1).astype(float))
        owners.append(seen)
    return keypoints, weights, owners


def owners_of(found: Association, owners) -> list[set[int]]:
    return [{int(owners[c][v]) for c, v in enumerate(row) if v >= 0} for row in found.views]


@pytest.mark.parametrize(('cameras', 'people'), [(2, 2), (4, 1), (4, 5), (12, 8)])
def test_every_person_is_one_group_with_all_its_detections(cameras, people):
    rng = np.random.default_rng(cameras * 100 + people)
    cams, bodies = ring(cameras, rng), crowd(people, rng)
    keypoints, weights, owners = observe(cams, bodies, rng)
    found = associate(cams, keypoints, weights)
    groups = owners_of(found, owners)
    assert all(len(group) == 1 for group in groups)
    assert sorted(next(iter(group)) for group in groups) == sorted(set(np.concatenate(owners)))
    assert found.num_views.sum() == sum(map(len, owners))
    assert (found.tracks == -1).all()


def test_tracked_bodies_come_first_and_keep_their_index():
    rng = np.random.default_rng(5)
    cams, bodies = ring(4, rng), crowd(4, rng)
    keypoints, weights, owners = observe(cams, bodies, rng, hidden=0.0)
    tracked = [2, 0]
    predicted = np.concatenate([bodies[tracked] + 0.03, np.full((1, JOINTS, 3), np.nan)])
    found = associate(cams, keypoints, weights, predicted)
    assert found.tracks.tolist() == [0, 1, -1, -1]
    assert owners_of(found, owners)[:2] == [{2}, {0}]
    assert sorted(map(list, owners_of(found, owners)[2:])) == [[1], [3]]
    assert (found.num_views == 4).all()


def test_a_track_far_from_every_detection_gets_none():
    rng = np.random.default_rng(6)
    cams, bodies = ring(3, rng), crowd(1, rng)
    keypoints, weights, _ = observe(cams, bodies, rng, hidden=0.0)
    found = associate(cams, keypoints, weights, bodies + 1.5)
    assert found.tracks.tolist() == [-1]
    assert found.num_views.tolist() == [3]


def test_camera_order_is_irrelevant():
    rng = np.random.default_rng(7)
    cams, bodies = ring(5, rng), crowd(3, rng)
    keypoints, weights, owners = observe(cams, bodies, rng)
    order = rng.permutation(5)
    a = owners_of(associate(cams, keypoints, weights), owners)
    b = associate(cams[order], [keypoints[i] for i in order], [weights[i] for i in order])
    assert sorted(map(sorted, a)) == sorted(map(sorted, owners_of(b, [owners[i] for i in order])))


def test_one_camera_gives_one_group_per_detection():
    rng = np.random.default_rng(8)
    cams, bodies = ring(1, rng), crowd(3, rng)
    keypoints, weights, _ = observe(cams, bodies, rng, hidden=0.0)
    assert sorted(associate(cams, keypoints, weights).views[:, 0]) == [0, 1, 2]


def test_rays_that_meet_behind_the_cameras_are_not_one_person():
    rng = np.random.default_rng(9)
    cams, bodies = ring(2, rng), crowd(1, rng)
    keypoints, weights, _ = observe(cams, bodies, rng, hidden=0.0)
    turned = cams.copy()
    turned[1] = np.diag([-1.0, 1.0, -1.0]) @ cams[1]
    keypoints[1] = keypoints[1] * [1.0, -1.0]
    assert associate(turned, keypoints, weights).num_views.tolist() == [1, 1]


def test_nobody_and_cameras_without_people():
    cams = ring(2, np.random.default_rng(0))
    none = [np.zeros((0, JOINTS, 2))] * 2, [np.zeros((0, JOINTS))] * 2
    assert associate(cams, *none).views.shape == (0, 2)
    assert associate(cams, *none, predicted=np.zeros((1, JOINTS, 3))).views.shape == (0, 2)


def test_a_detection_with_too_few_joints_stays_alone():
    rng = np.random.default_rng(10)
    cams, bodies = ring(2, rng), crowd(1, rng)
    keypoints, weights, _ = observe(cams, bodies, rng, hidden=0.0)
    weights[0][:, 3:] = 0.0
    assert associate(cams, keypoints, weights).num_views.tolist() == [1, 1]


def test_gather_puts_each_view_in_its_place():
    found = Association(np.array([[1, -1], [0, 0]]), np.array([-1, 0]))
    rows = [np.array([[10.0], [11.0]]), np.array([[20.0]])]
    gathered = found.gather(rows, np.nan)
    np.testing.assert_array_equal(gathered[..., 0], [[11.0, 10.0], [np.nan, 20.0]])
    np.testing.assert_array_equal(found.select(found.num_views == 2).tracks, [0])


def test_arrays_that_do_not_agree_are_refused():
    cams = ring(2, np.random.default_rng(0))
    with pytest.raises(ShapeError, match='expected one'):
        associate(cams, [np.zeros((1, JOINTS, 2))], [np.zeros((1, JOINTS))])
    with pytest.raises(ShapeError, match='expected one'):
        associate(cams, [np.zeros((1, JOINTS, 2)), np.zeros((1, 3, 2))], [np.zeros((1, JOINTS)), np.zeros((1, 3))])
