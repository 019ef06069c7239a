# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Shapes of the scene: ellipsoids, bones, balls, the floor, the way up."""


import numpy as np
from scipy.linalg import block_diag
from scipy.spatial.transform import Rotation

from geo_pose_ros.geometry.alignment import up_direction
from geo_pose_ros.view.shapes import (
    balls,
    bones,
    centre_of_view,
    floor_lines,
    from_z,
    sphere,
    uncertainties,
)

from ..scenes import ring_rig

Y_DOWN = np.array([[1.0, 0, 0], [0, 0, -1.0], [0, 1.0, 0]])


def rotation_of(wxyz):
    return Rotation.from_quat(np.roll(wxyz, -1)).as_matrix()


def turned(rig, rotation):
    """Return the rig in a world turned by ``rotation``."""
    return rig.with_poses(lambda pose: pose @ block_diag(rotation.T, 1.0))


def test_uncertainties_are_two_standard_deviations_along_their_axes():
    rng = np.random.default_rng(0)
    half = np.array([[0.01, 0.02, 0.05], [0.03, 0.03, 0.03]])
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    covariance = np.stack([turn @ np.diag(h**2) @ turn.T for h in half] + [np.full((3, 3), np.nan)])
    drawn = uncertainties(np.zeros((3, 3)), covariance, np.array([True, True, True]))
    np.testing.assert_allclose(drawn.half_axes, [*(2.0 * half), (0.0, 0.0, 0.0)], atol=1e-6)
    for wxyz, axes, want in zip(drawn.wxyz[:2], drawn.half_axes[:2], covariance[:2], strict=True):
        rotation = rotation_of(wxyz)
        np.testing.assert_allclose(rotation @ np.diag((axes / 2.0) ** 2) @ rotation.T, want, atol=1e-7)
    assert (uncertainties(np.zeros((3, 3)), covariance, np.zeros(3, bool)).half_axes == 0.0).all()


def test_bones_are_spindles_from_end_to_end():
    ends = np.array([
        [[0.0, 0, 0], [0, 0, 1.0]], [[0.0, 0, 1.0], [0, 0, 0]], [[1.0, 2, 3], [1.3, 1.6, 3.2]],
        [[0.0, 0, 0], [np.nan, 0, 0]], [[1.0, 1, 1], [1, 1, 1]],
    ])
    drawn = bones(ends)
    for end, centre, wxyz, half in zip(ends[:3], drawn.centres, drawn.wxyz, drawn.half_axes, strict=False):
        tip = rotation_of(wxyz) @ (0.0, 0.0, half[2])
        np.testing.assert_allclose([centre - tip, centre + tip], end, atol=1e-9)
    assert (drawn.half_axes[3] == 0.0).all() and drawn.half_axes[4][2] == 0.0
    assert all(np.isfinite(values).all() for values in (drawn.centres, drawn.wxyz, drawn.half_axes))


def test_balls_without_a_point_have_no_size_and_z_is_turned_anywhere():
    drawn = balls(np.array([[1.0, 2.0, 3.0], [np.nan, 0.0, 0.0]]), 0.1)
    np.testing.assert_array_equal(drawn.centres, [(1, 2, 3), (0, 0, 0)])
    np.testing.assert_array_equal(drawn.half_axes, [(0.1, 0.1, 0.1), (0, 0, 0)])
    np.testing.assert_array_equal(rotation_of(drawn.wxyz[0]), np.eye(3))
    for way in ((0.0, 0.0, 1.0), (0.0, 0.0, -1.0), (0.6, 0.0, 0.8), (0.0, -1.0, 0.0)):
        np.testing.assert_allclose(rotation_of(from_z(np.array(way))) @ (0, 0, 1), way, atol=1e-9)


def test_the_floor_is_a_line_every_metre_both_ways():
    lines = floor_lines()
    assert lines.shape == (22, 2, 3) and (lines[..., 2] == 0.0).all()
    np.testing.assert_array_equal(np.unique(lines[:11, :, 0]), np.arange(-5.0, 6.0))
    np.testing.assert_allclose(np.linalg.norm(lines[:, 1] - lines[:, 0], axis=1), 10.0)


def test_the_sphere_is_closed_and_round():
    vertices, faces = sphere(5, 8)
    np.testing.assert_allclose(np.linalg.norm(vertices, axis=1), 1.0)
    corners = vertices[faces]
    outward = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert ((outward * corners.mean(1)).sum(1) >= -1e-12).all()
    # Closed: the areas' vectors cancel; round: its area is nearly that of a sphere.
    np.testing.assert_allclose(outward.sum(0), 0.0, atol=1e-12)
    assert 0.8 * 4.0 * np.pi < 0.5 * np.linalg.norm(outward, axis=1).sum() < 4.0 * np.pi


def test_up_is_z_unless_the_cameras_say_otherwise():
    rig = ring_rig(4)
    np.testing.assert_array_equal(up_direction(rig), (0, 0, 1))
    np.testing.assert_array_equal(up_direction(None), (0, 0, 1))
    # A world with y down, as of a first camera: up is -y.
    np.testing.assert_allclose(up_direction(turned(rig, Y_DOWN)), (0, -1, 0), atol=1e-9)


def test_the_centre_is_where_the_cameras_look():
    up = np.array([0.0, 0.0, 1.0])
    np.testing.assert_allclose(centre_of_view(ring_rig(4), 0.0, up)[:2], (0.0, 0.0), atol=1e-6)
    np.testing.assert_allclose(centre_of_view(None, 0.5, up), (0.0, 0.0, 1.5))
    single = ring_rig(1)
    ahead = centre_of_view(single, 0.0, up) - single.cameras[0].position_m
    np.testing.assert_allclose(ahead, 3.0 * single.cameras[0].cam_from_world[2, :3])
