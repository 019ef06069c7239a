# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Rigid transforms, projection, alignment and virtual cameras, against exact truth."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation, Slerp

from geo_pose_ros.errors import CalibrationError, ShapeError
from geo_pose_ros.geometry import rigid
from geo_pose_ros.geometry.alignment import align
from geo_pose_ros.geometry.body_frame import bodies_in
from geo_pose_ros.geometry.projection import normalize, project, valid_radius
from geo_pose_ros.geometry.virtual_camera import look_at, rotation_to_axis
from geo_pose_ros.skeleton import BODY17
from geo_pose_ros.types import Bodies3D, Intrinsics

from ..scenes import intrinsics, person

vectors = st.tuples(*[st.floats(-2.0, 2.0)] * 3).map(np.array)


@given(vectors, vectors, vectors)
def test_invert_undoes_and_compose_chains(a, b, point):
    b_from_a, c_from_b = rigid.from_rotation_vector(a, b), rigid.from_rotation_vector(b, a)
    there = rigid.transform_points(b_from_a, point[None])
    np.testing.assert_allclose(rigid.transform_points(rigid.invert(b_from_a), there), point[None], atol=1e-12)
    chained = rigid.transform_points(rigid.compose(c_from_b, b_from_a), point[None])
    np.testing.assert_allclose(chained, rigid.transform_points(c_from_b, there), atol=1e-12)


def test_quaternions_of_many_and_of_half_turns():
    turns = Rotation.from_quat(np.concatenate([np.eye(4), -np.eye(4), np.random.default_rng(0).normal(size=(64, 4))]))
    got = rigid.to_quaternion(turns.as_matrix())
    np.testing.assert_allclose(np.abs((got * turns.as_quat()).sum(-1)), 1.0, atol=1e-12)
    assert (got[:, 3] >= 0.0).all()
    for quaternion, matrix in zip(turns.as_quat(), turns.as_matrix(), strict=True):
        pose = rigid.from_quaternion(3.0 * quaternion, np.array([1.0, 2.0, 3.0]))
        np.testing.assert_allclose(pose, np.column_stack([matrix, [1.0, 2.0, 3.0]]), atol=1e-12)
    assert rigid.to_quaternion(np.zeros((0, 3, 3))).shape == (0, 4)
    with pytest.raises(ValueError, match='no rotation'):
        rigid.from_quaternion(np.zeros(4), np.zeros(3))


def test_projection_by_hand():
    lens = Intrinsics([[500, 0, 320], [0, 600, 240], [0, 0, 1]], [0.1, 0, 0, 0, 0], 'plumb_bob', 640, 480)
    # r^2 = 0.05, radial factor 1.005; behind the camera, at its centre, unknown.
    points = np.array([[0.2, 0.4, 2.0], [0.0, 0.0, -1.0], [0.0, 0.0, 0.0], [np.nan, 0.0, 1.0]])
    nothing = [np.nan, np.nan]
    np.testing.assert_allclose(project(lens, points), [[370.25, 360.6], nothing, nothing, nothing])


def folding() -> Intrinsics:
    """r (1 - 0.3 r^2) grows up to r = 1 / sqrt(0.9) = 1.054, where it is 0.703."""
    return Intrinsics([[500, 0, 320], [0, 500, 240], [0, 0, 1]], [-0.3, 0, 0, 0, 0], 'plumb_bob', 640, 480)


def test_the_valid_range_ends_where_the_lens_model_turns_back():
    assert valid_radius(folding()) == pytest.approx(1.0 / np.sqrt(0.9))
    assert valid_radius(Intrinsics(np.eye(3), [], 'plumb_bob', 2, 2)) == np.inf
    assert valid_radius(Intrinsics(np.eye(3), [0.3, 0.1, 0, 0, 0.1], 'plumb_bob', 2, 2)) == np.inf
    # r / (1 - r^2 / 4): the pole at r = 2.
    assert valid_radius(
        Intrinsics(np.eye(3), [0, 0, 0, 0, 0, -0.25, 0, 0], 'rational_polynomial', 2, 2)
    ) == pytest.approx(2.0)
    # 1 - 3 * 0.2 theta^2 = 0.
    fisheye = Intrinsics(np.eye(3), [-0.2, 0, 0, 0], 'equidistant', 2, 2)
    assert valid_radius(fisheye) == pytest.approx(np.tan(1.0 / np.sqrt(0.6)))
    assert valid_radius(Intrinsics(np.eye(3), [0, 0, 0, 0], 'equidistant', 2, 2)) == pytest.approx(
        np.tan(np.deg2rad(89.0))
    )


def test_what_lies_beyond_the_valid_range_is_nan():
    lens = folding()
    # At r = 1.2 the model gives 0.682, as at 0.9: a ghost inside the picture.
    seen = project(lens, np.array([[0.9, 0.0, 1.0], [1.2, 0.0, 1.0]]))
    assert seen[0, 0] == pytest.approx(320 + 500 * 0.9 * (1 - 0.3 * 0.81)) and np.isnan(seen[1]).all()
    # No ray leads to a distorted radius above 0.703.
    back = normalize(lens, np.array([[320 + 500 * 0.6, 240.0], [320 + 500 * 0.72, 240.0], [1500.0, 1500.0]]))
    assert np.isfinite(back).all(-1).tolist() == [True, False, False]
    np.testing.assert_allclose(project(lens, np.append(back[0], 1.0)), [620.0, 240.0], atol=1e-5)


def test_a_fisheye_sees_up_to_a_right_angle():
    lens = Intrinsics([[300, 0, 640], [0, 300, 480], [0, 0, 1]], [0, 0, 0, 0], 'equidistant', 1280, 960)
    angles = np.deg2rad([0.0, 10.0, 60.0, 88.0, 89.5, 95.0, 120.0])
    pixels = np.stack([640 + 300 * angles, np.full(7, 480.0)], -1)
    back = normalize(lens, pixels)
    np.testing.assert_allclose(back[:4, 0], np.tan(angles[:4]), rtol=1e-9)
    assert np.isnan(back[4:]).all()
    rays = np.stack([np.sin(angles), np.zeros(7), np.cos(angles)], -1)
    seen = project(lens, rays)
    np.testing.assert_allclose(seen[:4], pixels[:4], atol=1e-6)
    assert np.isnan(seen[4:]).all()
    assert normalize(lens, np.zeros((0, 2))).shape == (0, 2)


RATIONAL = [0.1, -0.2, 0.001, 0.0003, 0.01, 0.05, -0.1, 0.003]
PRISM = [0.001, -0.002, 0.003, 0.0004]


@pytest.mark.parametrize(('model', 'D'), [
    ('plumb_bob', []), ('plumb_bob', [-0.3, 0.12, 0.001, -0.0007]), ('plumb_bob', [-0.3, 0.12, 0.001, -0.0007, -0.02]),
    ('rational_polynomial', RATIONAL), ('rational_polynomial', RATIONAL + PRISM),
    ('rational_polynomial', [*RATIONAL, *PRISM, 0.02, -0.03]), ('equidistant', [0.05, -0.01, 0.002, -0.0003]),
], ids=['none', 'four', 'five', 'rational', 'prism', 'tilted', 'equidistant'])
def test_every_lens_model_is_that_of_opencv(model, D):
    lens = Intrinsics([[900, 0, 640.5], [0, 905, 478], [0, 0, 1]], D, model, 1280, 960)
    rng = np.random.default_rng(0)
    points = np.column_stack([rng.uniform(-0.6, 0.6, (200, 2)), np.ones(200)]) * rng.uniform(0.5, 9.0, (200, 1))
    points[0, :2] = 0.0
    of_opencv = cv2.fisheye.projectPoints if model == 'equidistant' else cv2.projectPoints
    expected, _ = of_opencv(points[:, None], np.zeros(3), np.zeros(3), lens.K, lens.D)
    seen = project(lens, points)
    np.testing.assert_allclose(seen, expected[:, 0], atol=1e-9)
    np.testing.assert_allclose(normalize(lens, seen), points[:, :2] / points[:, 2:], atol=1e-12)
    # The memory's order does not matter.
    np.testing.assert_array_equal(normalize(lens, np.asfortranarray(seen)), normalize(lens, seen))


def test_shapes_are_refused():
    with pytest.raises(ShapeError, match=r'project: received points \(3, 2\)'):
        project(intrinsics(), np.zeros((3, 2)))
    with pytest.raises(ShapeError, match=r'normalize: received pixels \(3, 3\)'):
        normalize(intrinsics(), np.zeros((3, 3)))
    with pytest.raises(ShapeError, match=r'align: received'):
        align(np.zeros((3, 3)), np.zeros((4, 3)))


@given(vectors, vectors, st.floats(0.2, 3.0))
def test_align_recovers_a_similarity(rotation, translation, scale):
    source = person(3)
    target = scale * rigid.transform_points(rigid.from_rotation_vector(rotation, translation), source)
    np.testing.assert_allclose(align(source, target), target, atol=1e-9)


def test_align_leaves_unknown_points_out_and_never_mirrors():
    source, target = person(3), person(3) + (1.0, 2.0, 3.0)
    target[4] = np.nan
    np.testing.assert_allclose(align(source, target), source + (1.0, 2.0, 3.0), atol=1e-9)
    target[2:] = np.nan
    assert np.isnan(align(source, target)).all()
    mirrored = source * (-1.0, 1.0, 1.0)
    assert np.abs(align(source, mirrored) - mirrored).max() > 0.05


@given(vectors)
def test_rotation_to_axis_turns_the_ray_onto_z(direction):
    direction = direction + (0.0, 0.0, 2.5)
    R = rotation_to_axis(direction)
    np.testing.assert_allclose(R @ direction, [0, 0, np.linalg.norm(direction)], atol=1e-9)
    np.testing.assert_allclose(R @ R.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(R) > 0.0


def test_look_at_puts_the_target_on_the_axis_and_up_up():
    pose = look_at(np.array([4.0, 0.0, 1.0]), np.array([0.0, 0.0, 1.0]), np.array([0.0, 0.0, 1.0]))
    seen = rigid.transform_points(pose, np.array([[0.0, 0.0, 1.0], [0.0, 0.0, 2.0]]))
    np.testing.assert_allclose(seen, [[0, 0, 4], [0, -1, 4]], atol=1e-12)
    with pytest.raises(CalibrationError, match='view axis is undefined'):
        look_at(np.zeros(3), np.array([0.0, 0.0, 1.0]), np.array([0.0, 0.0, 1.0]))


@pytest.mark.parametrize('part', [0.0, 0.3, 1.0])
@pytest.mark.parametrize('turn', [0.0, 1e-9, 1e-2, 2.0, np.pi - 1e-6])
def test_interpolation_is_slerp_the_shorter_way(part, turn):
    a = rigid.from_rotation_vector(np.array([0.3, -0.2, 0.5]), np.array([1.0, 2.0, 3.0]))
    b = rigid.compose(a, rigid.from_rotation_vector(turn * np.array([0.6, 0.0, -0.8]), np.array([0.0, 1.0, 0.0])))
    found = rigid.interpolate(a, b, part)
    exact = Slerp([0.0, 1.0], Rotation.from_matrix([a[:, :3], b[:, :3]]))(part)
    np.testing.assert_allclose(found[:, :3], exact.as_matrix(), atol=1e-9)
    np.testing.assert_allclose(found[:, 3], (1.0 - part) * a[:, 3] + part * b[:, 3], atol=1e-15)
    assert rigid.angle_between(a, found) == pytest.approx(part * turn, abs=1e-7)


def test_bodies_in_another_frame():
    xyz = np.random.default_rng(0).normal(size=(2, 17, 3))
    ones = np.ones((2, 17))
    covariance = np.broadcast_to(np.diag([1.0, 4.0, 9.0]), (2, 17, 3, 3))
    bodies = Bodies3D(5, 'odom', BODY17, xyz, covariance, ones, ones.astype(int), ones, np.array([3, 8]), velocity=xyz)
    quarter = rigid.from_rotation_vector(np.array([0.0, 0.0, np.pi / 2.0]), np.array([1.0, 2.0, 3.0]))
    moved = bodies_in(quarter, bodies, 'base')
    np.testing.assert_allclose(moved.xyz, np.stack([-xyz[..., 1], xyz[..., 0], xyz[..., 2]], -1) + (1.0, 2.0, 3.0))
    np.testing.assert_allclose(moved.velocity, moved.xyz - (1.0, 2.0, 3.0))
    np.testing.assert_allclose(moved.covariance[1, 4], np.diag([4.0, 1.0, 9.0]), atol=1e-12)
    assert (moved.frame_id, moved.stamp_ns, moved.body_ids.tolist()) == ('base', 5, [3, 8])
