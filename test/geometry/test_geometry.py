"""Rigid transforms, projection, alignment and virtual cameras, against exact truth."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geo_pose_ros.errors import CalibrationError, ShapeError
from geo_pose_ros.geometry import rigid
from geo_pose_ros.geometry.alignment import align
from geo_pose_ros.geometry.projection import normalize, project, project_world, undistort
from geo_pose_ros.geometry.virtual_camera import look_at, rotation_to_axis
from geo_pose_ros.types import Intrinsics

from ..scenes import intrinsics, person, ring_rig

vectors = st.tuples(*[st.floats(-2.0, 2.0)] * 3).map(np.array)


@given(vectors, vectors, vectors)
def test_invert_undoes_and_compose_chains(a, b, point):
    b_from_a, c_from_b = rigid.from_rotation_vector(a, b), rigid.from_rotation_vector(b, a)
    there = rigid.transform_points(b_from_a, point[None])
    np.testing.assert_allclose(rigid.transform_points(rigid.invert(b_from_a), there), point[None], atol=1e-12)
    chained = rigid.transform_points(rigid.compose(c_from_b, b_from_a), point[None])
    np.testing.assert_allclose(chained, rigid.transform_points(c_from_b, there), atol=1e-12)


@given(vectors, vectors)
def test_quaternion_round_trip(rotation, translation):
    pose = rigid.from_rotation_vector(rotation, translation)
    quaternion = rigid.to_quaternion(pose)
    assert quaternion[3] >= 0.0
    np.testing.assert_allclose(rigid.from_quaternion(quaternion, translation), pose, atol=1e-12)


def test_quarter_turn_about_z_in_message_order():
    half = np.sqrt(0.5)
    pose = rigid.from_quaternion(np.array([0.0, 0.0, half, half]), np.array([1.0, 2.0, 3.0]))
    np.testing.assert_allclose(pose, [[0, -1, 0, 1], [1, 0, 0, 2], [0, 0, 1, 3]], atol=1e-12)


def test_pinhole_projection_by_hand():
    pinhole = Intrinsics([[500, 0, 320], [0, 600, 240], [0, 0, 1]], [], 'plumb_bob', 640, 480)
    np.testing.assert_allclose(project(pinhole, np.array([[0.1, -0.2, 2.0]])), [[345.0, 180.0]])


def test_plumb_bob_by_hand():
    lens = Intrinsics([[500, 0, 320], [0, 500, 240], [0, 0, 1]], [0.1, 0, 0, 0, 0], 'plumb_bob', 640, 480)
    # r^2 = 0.05, radial factor 1.005.
    np.testing.assert_allclose(project(lens, np.array([[0.1, 0.2, 1.0]])), [[370.25, 340.5]])


def test_behind_the_camera_and_missing_are_nan():
    points = np.array([[0.0, 0.0, -1.0], [0.0, 0.0, 0.0], [np.nan, 0.0, 1.0], [0.0, 0.0, 1.0]])
    seen = np.isfinite(project(intrinsics(), points)).all(-1)
    assert seen.tolist() == [False, False, False, True]


@pytest.mark.parametrize('model', ['plumb_bob', 'rational_polynomial', 'equidistant'])
@settings(max_examples=30)
@given(x=st.floats(-0.6, 0.6), y=st.floats(-0.5, 0.5), z=st.floats(0.5, 10.0))
def test_normalize_undoes_project(model, x, y, z):
    given_lens = intrinsics(model)
    pixel = project(given_lens, np.array([x * z, y * z, z]))
    np.testing.assert_allclose(normalize(given_lens, pixel), [x, y], atol=1e-7)
    np.testing.assert_allclose(undistort(given_lens, pixel), [900 * x + 640.5, 905 * y + 478.0], atol=1e-4)


def test_normalize_keeps_missing_points_and_shape():
    xy = np.full((2, 3, 2), 100.0)
    xy[1, 2] = np.nan
    assert np.isnan(normalize(intrinsics(), xy)).sum() == 2
    assert normalize(intrinsics(), np.full((4, 2), np.nan)).shape == (4, 2)


def test_shapes_are_refused():
    with pytest.raises(ShapeError, match=r'project: received points \(3, 2\)'):
        project(intrinsics(), np.zeros((3, 2)))
    with pytest.raises(ShapeError, match=r'normalize: received pixels \(3, 3\)'):
        normalize(intrinsics(), np.zeros((3, 3)))
    with pytest.raises(ShapeError, match=r'align: received'):
        align(np.zeros((3, 3)), np.zeros((4, 3)))


def test_every_camera_of_the_ring_sees_the_person():
    for camera in ring_rig(5).cameras:
        xy = project_world(camera, person())
        assert ((xy > 0) & (xy < (1280, 960))).all()


@given(vectors, vectors, st.floats(0.2, 3.0))
def test_align_recovers_a_similarity(rotation, translation, scale):
    source = person(3)
    target = scale * rigid.transform_points(rigid.from_rotation_vector(rotation, translation), source)
    np.testing.assert_allclose(align(source, target), target, atol=1e-9)


def test_align_without_scale_keeps_size_and_never_mirrors():
    source = person(3)
    grown = align(source, 2.0 * source, with_scale=False)
    np.testing.assert_allclose(np.ptp(grown, axis=0), np.ptp(source, axis=0), rtol=1e-9)
    mirrored = source * (-1.0, 1.0, 1.0)
    assert np.abs(align(source, mirrored) - mirrored).max() > 0.05


def test_align_leaves_missing_points_out_of_the_fit():
    source, target = person(3), person(3) + (1.0, 2.0, 3.0)
    target = target.copy()
    target[4] = np.nan
    moved = align(source, target)
    np.testing.assert_allclose(moved, source + (1.0, 2.0, 3.0), atol=1e-9)
    target[2:] = np.nan
    assert np.isnan(align(source, target)).all()


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
