"""What the stage computes, and its server: ellipsoids, up, colours, tables, ports, no tunnel."""

import socket
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from geo_pose_ros.errors import ConfigError
from geo_pose_ros.geometry.rigid import from_quaternion
from geo_pose_ros.types import Camera, CameraRig, Frame
from geo_pose_ros.view import stage as stage_module
from geo_pose_ros.view.instant import CameraState, Instant
from geo_pose_ros.view.stage import (
    Shown,
    Stage,
    bones,
    ellipsoids,
    floor_lines,
    from_z,
    spheres,
    state_colour,
    up_direction,
)
from geo_pose_ros.view.tables import camera_table, joint_table

from ..evaluation.moving import bodies_at, pose
from ..scenes import ring_rig

pytest.importorskip('viser')


def test_ellipsoids_are_two_standard_deviations_along_their_axes():
    rng = np.random.default_rng(0)
    half = np.array([[0.01, 0.02, 0.05], [0.03, 0.03, 0.03]])
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    covariance = np.stack([turn @ np.diag(h**2) @ turn.T for h in half] + [np.full((3, 3), np.nan)])
    turned, axes = ellipsoids(covariance, np.array([True, True, True]))
    np.testing.assert_allclose(axes, [*(2.0 * half), (0.0, 0.0, 0.0)], atol=1e-6)
    for wxyz, axis, want in zip(turned[:2], axes[:2], covariance[:2], strict=True):
        w, x, y, z = wxyz.tolist()
        rotation = from_quaternion(np.array([x, y, z, w]), np.zeros(3))[:, :3]
        np.testing.assert_allclose(rotation @ np.diag((axis / 2.0) ** 2) @ rotation.T, want, atol=1e-7)
    assert (ellipsoids(covariance, np.zeros(3, bool))[1] == 0.0).all()


def rotation_of(wxyz):
    w, x, y, z = wxyz.tolist()
    return from_quaternion(np.array([x, y, z, w]), np.zeros(3))[:, :3]


def test_bones_are_spindles_from_end_to_end():
    ends = np.array([
        [[0.0, 0, 0], [0, 0, 1.0]], [[0.0, 0, 1.0], [0, 0, 0]], [[1.0, 2, 3], [1.3, 1.6, 3.2]],
        [[0.0, 0, 0], [np.nan, 0, 0]], [[1.0, 1, 1], [1, 1, 1]],
    ])
    places, turns, halves = bones(ends)
    for end, place, turn, half in zip(ends[:3], places, turns, halves, strict=False):
        tip = rotation_of(turn) @ (0.0, 0.0, half[2])
        np.testing.assert_allclose([place - tip, place + tip], end, atol=1e-9)
    assert (halves[3] == 0.0).all() and halves[4][2] == 0.0 and np.isfinite([*places, *halves]).all()
    assert np.isfinite(turns).all()


def test_balls_without_a_point_have_no_size_and_z_is_turned_anywhere():
    places, turns, halves = spheres(np.array([[1.0, 2.0, 3.0], [np.nan, 0.0, 0.0]]), 0.1)
    np.testing.assert_array_equal(places, [(1, 2, 3), (0, 0, 0)])
    np.testing.assert_array_equal(halves, [(0.1, 0.1, 0.1), (0, 0, 0)])
    np.testing.assert_array_equal(rotation_of(turns[0]), np.eye(3))
    for way in ((0.0, 0.0, 1.0), (0.0, 0.0, -1.0), (0.6, 0.0, 0.8), (0.0, -1.0, 0.0)):
        np.testing.assert_allclose(rotation_of(from_z(np.array(way))) @ (0, 0, 1), way, atol=1e-9)


def test_the_floor_is_a_line_every_metre_both_ways():
    lines = floor_lines()
    assert lines.shape == (22, 2, 3) and (lines[..., 2] == 0.0).all()
    np.testing.assert_array_equal(np.unique(lines[:11, :, 0]), np.arange(-5.0, 6.0))
    np.testing.assert_allclose(np.linalg.norm(lines[:, 1] - lines[:, 0], axis=1), 10.0)


def turned(rig, rotation):
    """Return the rig in a world turned by ``rotation``."""
    cameras = []
    for camera in rig.cameras:
        pose_ = np.column_stack([camera.cam_from_world[:, :3] @ rotation.T, camera.cam_from_world[:, 3]])
        cameras.append(Camera(camera.name, camera.frame_id, camera.intrinsics, pose_))
    return CameraRig(tuple(cameras))


def test_up_is_z_unless_the_cameras_say_otherwise():
    rig = ring_rig(4)
    np.testing.assert_array_equal(up_direction(rig), (0, 0, 1))
    np.testing.assert_array_equal(up_direction(None), (0, 0, 1))
    # A world with y down, as of a first camera: up is -y.
    y_down = np.array([[1.0, 0, 0], [0, 0, -1.0], [0, 1.0, 0]])
    np.testing.assert_allclose(up_direction(turned(rig, y_down)), (0, -1, 0), atol=1e-9)


def test_colours_and_tables():
    assert state_colour(None) != state_colour(CameraState(0, '')) != state_colour(CameraState(2, 'x'))
    assert state_colour(CameraState(7, '')) == state_colour(CameraState(2, ''))
    table = camera_table(('left', 'right'), {'left': CameraState(2, 'silent for 3 s')})
    assert '**left** silent for 3 s' in table and table.endswith('**right**')
    bodies = bodies_at(0, (pose(0.0),), (5,))
    said = joint_table(bodies, 5)
    assert said.count('\n') == 2 + 1 + 17 and '| pelvis | 50 ' in said and '| 2.0 | 4 | 0.0 |' in said
    assert joint_table(bodies, 6) == 'Body 6 is not here now.' and joint_table(None, None) == 'Click a body.'


def test_the_sphere_is_closed_and_round():
    vertices, faces = stage_module._sphere(5, 8)
    np.testing.assert_allclose(np.linalg.norm(vertices, axis=1), 1.0)
    corners = vertices[faces]
    outward = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert ((outward * corners.mean(1)).sum(1) >= -1e-12).all()


@pytest.fixture
def stage():
    with Stage() as made:
        yield made


def test_it_serves_this_machine_only_and_offers_no_tunnel(stage, caplog):
    page = urllib.request.urlopen(stage.url, timeout=10).read()
    assert b'<html' in page.lower()
    # Ours asks what draws before anything of viser's runs.
    assert 0 < page.index(b'WEBGL_debug_renderer_info') < page.index(b'</script>') < page.index(b'data-p=')
    port = int(stage.url.rsplit(':', 1)[1])
    with socket.socket() as probe:
        # Another address of this machine is not listened on.
        assert probe.connect_ex(('127.0.0.2', port)) != 0
    assert stage._server.request_share_url() is None
    assert 'SSH tunnel' in caplog.text


def test_bodies_come_and_go(stage):
    rig = ring_rig(4)
    stage.set_rig(rig)
    scene = stage._server.scene
    stage.show(Instant(0, 0, bodies_at(0, (pose(0.0), pose(1.0)), (3, 4))), Shown())
    assert scene.get_handle_by_name('/bodies/3/figure') is not None
    figure = scene.get_handle_by_name('/bodies/4/figure').batched_positions
    np.testing.assert_allclose(figure[:17], pose(1.0), atol=1e-6)
    missing = bodies_at(1, (pose(0.1),), (3,))
    xyz = missing.xyz.copy()
    xyz[0, 16] = np.nan
    stage.show(Instant(1, 1, type(missing)(missing.stamp_ns, 'world', missing.skeleton, xyz, *(
        getattr(missing, f) for f in ('covariance', 'confidence', 'num_views', 'reprojection_error', 'body_ids')))),
        Shown(covariance=False, names=False))
    assert scene.get_handle_by_name('/bodies/4/figure') is None
    assert scene.get_handle_by_name('/bodies/3/figure').batched_scales[16].max() == 0.0
    assert not scene.get_handle_by_name('/bodies/3/spread').visible
    figure = scene.get_handle_by_name('/bodies/3/figure')
    assert figure.batched_positions.shape == (17 + 16, 3) and np.isfinite(figure.batched_positions).all()
    # The joint and the bone to it have no size.
    assert (figure.batched_scales.max(1) == 0.0).sum() == 2
    stage.show(Instant(2, 2), Shown())
    assert scene.get_handle_by_name('/bodies/3/figure') is None
    stage.show_ghost(missing)
    assert scene.get_handle_by_name('/ghost').points.shape[0] == 16
    stage.show_ghost(None)
    assert scene.get_handle_by_name('/ghost') is None


def test_a_trail_is_every_third_place_and_ids_are_above_the_head_whatever_is_up(stage):
    y_down = np.array([[1.0, 0, 0], [0, 0, -1.0], [0, 1.0, 0]])
    stage.set_rig(turned(ring_rig(4), y_down))
    for number in range(8):
        bodies = bodies_at(number, (pose(0.1 * number) @ y_down.T,), (3,))
        stage.show(Instant(number, number, bodies), Shown())
    trail = stage._server.scene.get_handle_by_name('/bodies/3/trail')
    there = trail.batched_scales.max(1) > 0.0
    want = np.stack([pose(0.1 * number)[0] for number in (0, 3, 6)]) @ y_down.T
    np.testing.assert_allclose(trail.batched_positions[there], want, atol=1e-6)
    highest = (pose(0.7) @ y_down.T)[:, 1].min()
    name = stage._server.scene.get_handle_by_name('/bodies/3/name')
    np.testing.assert_allclose(name.position[1], highest - 0.12, atol=1e-6)
    stage.forget_trails()
    stage.show(Instant(9, 9, bodies), Shown())
    assert not trail.visible


def picture(name, level):
    return Frame(name, 0, np.full((48, 64, 3), level, np.uint8))


def test_pictures_of_the_cameras_whose_turn_it_is(stage):
    stage.set_rig(ring_rig(2))
    first = Instant(0, 0, frames={name: picture(name, 10) for name in ('cam0', 'cam1')})
    second = Instant(1, 1, frames={name: picture(name, 200) for name in ('cam0', 'cam1')})
    stage.show(first, Shown())
    stage.show(second, Shown(), ('cam1',))
    means = [stage._frusta[name].image.mean() for name in ('cam0', 'cam1')]
    np.testing.assert_allclose(means, (10, 200), atol=3.0)
    # Without a picture there is none, and none for anybody where pictures are off.
    stage.show(Instant(2, 2), Shown(), ('cam1',))
    assert stage._frusta['cam1'].image is None and stage._frusta['cam0'].image is not None
    stage.show(second, Shown(pictures=False), ())
    assert stage._frusta['cam0'].image is None


def test_a_click_on_a_body_and_states_of_cameras(stage):
    stage.set_rig(ring_rig(2))
    clicked = []
    stage.on_body = clicked.append
    stage.show(Instant(0, 0, bodies_at(0, (pose(0.0),), (8,)), cameras={'cam0': CameraState(2, 'silent')}), Shown())
    stage._clicked(8)
    assert clicked == [8]
    assert tuple(stage._frusta['cam0'].color) == state_colour(CameraState(2, ''))
    assert tuple(stage._frusta['cam1'].color) == state_colour(None)


def test_viser_is_as_it_was_and_the_page_is_gone_when_it_ends():
    import viser

    with Stage() as made:
        served = Path(made._page.name)
        assert (served / 'index.html').exists() and isinstance(viser.infra.WebsockServer, type)
    assert not served.exists()


def test_a_page_of_another_viser_is_served_as_it_is(tmp_path, caplog):
    own, folder = tmp_path / 'own', tmp_path / 'folder'
    own.mkdir()
    folder.mkdir()
    (own / 'index.html').write_text('<head></head>')
    assert stage_module._lightened_page(own, folder) == folder
    assert (folder / 'index.html').read_text().startswith('<head><script>')
    (own / 'more.js').write_text('')
    assert stage_module._lightened_page(own, folder) == own and 'served as it is' in caplog.text


def test_a_busy_port(stage):
    port = int(stage.url.rsplit(':', 1)[1])
    with pytest.raises(ConfigError, match=f'127.0.0.1:{port} cannot be served'):
        Stage(port=port, exact_port=True)
    with Stage(port=port) as other:
        assert other.url != stage.url
    with pytest.raises(ConfigError, match='cannot be served'):
        Stage('203.0.113.7')


def test_without_viser_it_says_what_to_install(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, 'viser', None)
    with pytest.raises(ConfigError, match='pip install viser'):
        Stage()
