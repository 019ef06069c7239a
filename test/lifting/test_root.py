# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Where a lifted pose is: sizes that are known, the floor, and what few joints are worth."""

from __future__ import annotations

import numpy as np
import pytest

from geo_pose_ros.errors import ShapeError
from geo_pose_ros.geometry.rigid import transform_points
from geo_pose_ros.lifting.canonical import up_in_cameras
from geo_pose_ros.lifting.root import locate_root, solve_root
from geo_pose_ros.skeleton import BODY17
from test.scenes import person, ring_rig

_PARENT, _CHILD = np.array(BODY17.edges).T
_CAMERA = ring_rig().cameras[0]
_UP, _HEIGHT_M = up_in_cameras(_CAMERA.cam_from_world, 'z'), _CAMERA.position_m[2]
_SIGMA = np.full(17, 0.03)


def _standing() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a person whose lower ankle is 0.09 m above the floor: pose (17, 3), root (3,), rays (17, 2)."""
    world = person(3)
    world[:, 2] += 0.09 - world[[3, 6], 2].min()
    local = transform_points(_CAMERA.cam_from_world, world)
    return local - local[0], local[0], local[:, :2] / local[:, 2:]


def test_a_floor_finds_the_size_that_perspective_cannot() -> None:
    pose, root, rays = _standing()
    guessed = 0.9 * pose
    alone = locate_root(guessed, _SIGMA, rays, np.ones(17))
    np.testing.assert_allclose(alone.root, 0.9 * root, rtol=1e-6)
    assert (alone.scale, bool(alone.grounded)) == (1.0, False)
    found = locate_root(guessed, _SIGMA, rays, np.ones(17), up=_UP, height_m=np.array(_HEIGHT_M))
    assert found.grounded
    # Nearly all of the way: the floor is surer than people's sizes.
    assert np.linalg.norm(found.root - root) < 0.1 * np.linalg.norm(alone.root - root)
    assert found.spread < 0.5 * alone.spread
    # Of the size that it is given perspective alone puts the pose at the same place.
    np.testing.assert_allclose(solve_root(found.scale * guessed, rays, np.ones(17)), found.root, rtol=1e-6)


def test_a_child_is_placed_by_the_floor_and_somebody_who_climbs_is_not() -> None:
    pose, root, rays = _standing()
    floor = {'up': _UP, 'height_m': np.array(_HEIGHT_M)}
    child = locate_root(1.5 * pose, _SIGMA, rays, np.ones(17), **floor)
    assert child.grounded and np.linalg.norm(child.root - root) < 0.1 * np.linalg.norm(0.5 * root)
    # As much larger would be a giant.
    assert not locate_root(pose / 1.5, _SIGMA, rays, np.ones(17), **floor).grounded


def test_of_an_ankle_the_ray_counts_and_not_where_it_was_lifted() -> None:
    pose, root, rays = _standing()
    wrong = pose.copy()
    wrong[[3, 6]] += 0.1 * np.array([0.0, 1.0, 0.0])
    known = np.arange(17) != 6
    found = locate_root(wrong, _SIGMA, rays, known.astype(float), up=_UP, height_m=np.array(_HEIGHT_M))
    assert found.grounded and np.linalg.norm(found.root - root) < 0.04 * np.linalg.norm(root)


def test_a_floor_is_worth_less_where_the_foot_on_it_is_less_sure() -> None:
    pose, _, rays = _standing()
    guessed, unsure = 0.9 * pose, _SIGMA.copy()
    unsure[[3, 6]] = 0.15
    height = np.array(_HEIGHT_M)
    sure = locate_root(guessed, _SIGMA, rays, np.ones(17), up=_UP, height_m=height)
    doubted = locate_root(guessed, unsure, rays, np.ones(17), up=_UP, height_m=height)
    assert 1.0 < doubted.scale < sure.scale < 1.0 / 0.9
    assert doubted.spread > 1.3 * sure.spread


def test_known_bones_give_the_size() -> None:
    pose, root, rays = _standing()
    lengths = np.linalg.norm(pose[_CHILD] - pose[_PARENT], axis=-1)
    lengths[4] = np.nan
    found = locate_root(0.8 * pose, _SIGMA, rays, np.ones(17), lengths=lengths)
    # People's sizes spread by 8 %, and what bones say of a size by 5 %.
    share = 0.08**2 / (0.08**2 + 0.05**2)
    assert found.scale == pytest.approx(1.25**share)
    np.testing.assert_allclose(found.root, 0.8 * 1.25**share * root, rtol=1e-6)
    assert found.spread < locate_root(0.8 * pose, _SIGMA, rays, np.ones(17)).spread
    # A bone along the ray does not count, whatever its length.
    along, lengths = pose.copy(), np.full(16, np.nan)
    along[_CHILD[0]] = pose[_PARENT[0]] + 0.1 * root
    lengths[0] = 7.0
    seen = (along + root)[:, :2] / (along + root)[:, 2:]
    assert locate_root(along, _SIGMA, seen, np.ones(17), lengths=lengths).scale == 1.0
    # Unknown lengths change nothing.
    same = locate_root(0.8 * pose, _SIGMA, rays, np.ones(17), lengths=np.full(16, np.nan))
    np.testing.assert_allclose(same.root, 0.8 * root, rtol=1e-6)


def test_a_floor_that_cannot_be_what_a_foot_stands_on_is_not_used() -> None:
    pose, _, rays = _standing()
    high = locate_root(pose, _SIGMA, rays, np.ones(17), up=_UP, height_m=np.array(_HEIGHT_M + 1.5))
    assert not high.grounded
    np.testing.assert_array_equal(high.root, locate_root(pose, _SIGMA, rays, np.ones(17)).root)
    unseen = np.ones(17)
    unseen[[3, 6]] = 0.0
    assert not locate_root(pose, _SIGMA, rays, unseen, up=_UP, height_m=np.array(_HEIGHT_M)).grounded
    upwards = locate_root(pose, _SIGMA, rays, np.ones(17), up=_UP, height_m=np.array(0.05))
    assert not upwards.grounded


def _spread(*given: np.ndarray) -> float:
    """Return the spread by the joints' errors and people's sizes, without what pose and joints share."""
    return float(np.sqrt(locate_root(*given).spread ** 2 - 0.05**2))


def test_few_joints_close_together_say_little_about_the_distance() -> None:
    pose, _, rays = _standing()
    whole = _spread(pose, _SIGMA, rays, np.ones(17))
    few = np.zeros(17)
    few[[8, 9, 10, 11, 14]] = 1.0
    head = _spread(pose, _SIGMA, rays, few)
    assert 0.08 < whole < 0.1
    assert head > 1.3 * whole
    assert np.isnan(_spread(pose, _SIGMA, rays, np.zeros(17)))


def test_the_spread_is_that_of_the_solved_distance() -> None:
    pose, root, rays = _standing()
    rng = np.random.default_rng(0)
    moved = pose + 0.03 * rng.standard_normal((4000, 17, 3))
    solved = solve_root(moved, np.broadcast_to(rays, (4000, 17, 2)), np.ones((4000, 17)))
    said = _spread(pose, _SIGMA, rays, np.ones(17))
    assert np.log(solved[:, 2] / root[2]).std() == pytest.approx(np.sqrt(said**2 - 0.08**2), rel=0.15)


def test_what_does_not_agree_is_refused() -> None:
    pose, _, rays = _standing()
    with pytest.raises(ShapeError, match='received one of up and height_m'):
        locate_root(pose, _SIGMA, rays, np.ones(17), up=_UP)
    with pytest.raises(ShapeError, match=r'locate_root: received pose \(17, 2\)'):
        locate_root(rays, _SIGMA, rays, np.ones(17))
    with pytest.raises(ShapeError, match=r'lengths \(15,\); expected'):
        locate_root(pose, _SIGMA, rays, np.ones(17), lengths=np.ones(15))
