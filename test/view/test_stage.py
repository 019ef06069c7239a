# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""What is drawn, and the server: bodies, cameras, images, colours, tables, ports, no tunnel."""

import socket
import sys
import urllib.request
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from geo_pose_ros.errors import ConfigError
from geo_pose_ros.messages.diagnostics import Level, Status
from geo_pose_ros.types import Frame
from geo_pose_ros.view.instant import Instant
from geo_pose_ros.view.panel import camera_table, joint_table
from geo_pose_ros.view.server import lightened_folder
from geo_pose_ros.view.stage import Shown, Stage, level_colour

from ..evaluation.moving import bodies_at, pose
from ..scenes import ring_rig
from .test_shapes import Y_DOWN, turned

viser = pytest.importorskip('viser')


def status(level, message='', name='camera cam0'):
    return Status(name, level, message, {})


def test_colours_and_tables():
    assert len({level_colour(None), *(level_colour(status(level)) for level in Level)}) == 4
    assert level_colour(status(Level.STALE)) == level_colour(status(Level.ERROR))
    instant = Instant(0, 0, statuses={'camera left': status(Level.ERROR, 'silent for 3 s')})
    assert camera_table(('left', 'right'), instant) == '\N{MULTIPLICATION X} **left** silent for 3 s\n\n· **right**'
    bodies = bodies_at(0, (pose(0.0),), (5,))
    said = joint_table(bodies, 5)
    assert said.count('\n') == 2 + 1 + 17 and '| pelvis | 50 ' in said and '| 2.0 | 4 | 0.0 |' in said
    assert joint_table(bodies, 6) == 'Body 6 is not here now.' and joint_table(None, None) == 'Click a body.'


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
    served = Path(stage._page._folder.name)
    assert (served / 'index.html').exists() and isinstance(viser.infra.WebsockServer, type)
    stage.__exit__()
    assert not served.exists()


def test_bodies_come_and_go_and_cameras_have_the_colours_of_their_states(stage):
    stage.set_rig(ring_rig(4))
    scene, statuses = stage._server.scene, {'camera cam0': status(Level.ERROR)}
    stage.show(Instant(0, 0, bodies_at(0, (pose(0.0), pose(1.0)), (3, 4)), statuses=statuses), Shown())
    colours = [tuple(stage._frusta[name].color) for name in ('cam0', 'cam1')]
    assert colours == [level_colour(status(Level.ERROR)), level_colour(None)]
    assert scene.get_handle_by_name('/bodies/3/figure') is not None
    figure = scene.get_handle_by_name('/bodies/4/figure').batched_positions
    np.testing.assert_allclose(figure[:17], pose(1.0), atol=1e-6)
    missing = bodies_at(1, (pose(0.1),), (3,))
    xyz = missing.xyz.copy()
    xyz[0, 16] = np.nan
    stage.show(Instant(1, 1, replace(missing, xyz=xyz)), Shown(covariance=False, names=False))
    assert scene.get_handle_by_name('/bodies/4/figure') is None
    assert not scene.get_handle_by_name('/bodies/3/spread').visible
    figure = scene.get_handle_by_name('/bodies/3/figure')
    assert figure.batched_scales[16].max() == 0.0
    assert figure.batched_positions.shape == (17 + 16, 3) and np.isfinite(figure.batched_positions).all()
    # The joint and the bone to it have no size.
    assert (figure.batched_scales.max(1) == 0.0).sum() == 2
    stage.show(Instant(2, 2), Shown())
    assert scene.get_handle_by_name('/bodies/3/figure') is None
    stage.show_ghost(missing)
    assert scene.get_handle_by_name('/ghost').points.shape[0] == 16
    stage.show_ghost(None)
    assert scene.get_handle_by_name('/ghost') is None


def test_people_fill_the_picture_and_images_lie_side_by_side(stage):
    people = pose(0.0)
    stage.set_rig(ring_rig(4), 0.0, people)
    start = stage._server.initial_camera
    middle = np.asarray(start.look_at)
    distance = np.linalg.norm(np.asarray(start.position) - start.look_at)
    height = np.ptp(people[:, 2]) / (2.0 * distance * np.tan(start.fov / 2.0))
    assert 0.5 < height < 0.9 and not stage.watched
    # A picture that is higher than wide shows them from farther away, where they are wide.
    spread = np.concatenate([people, people + (0.0, 4.0, 0.0)])
    stage.set_rig(ring_rig(4), 0.0, spread)
    wide, high = (np.linalg.norm(stage._eye(aspect) - start.look_at) for aspect in (1.5, 0.5))
    assert high > 1.5 * wide
    assert stage.strip() is None
    frames = {name: Frame(name, 0, np.full((48, 64, 3), 99, np.uint8)) for name in ('cam0', 'cam1')}
    stage.show(Instant(0, 0, frames=frames), Shown())
    assert stage.strip().shape == (200, 2 * 267, 3)
    stage.look_at(people + (5.0, 0.0, 0.0))
    np.testing.assert_allclose(np.asarray(start.look_at) - middle, (5.0, 0.0, 0.0), atol=1e-6)


def test_a_trail_is_every_third_place_and_ids_are_above_the_head_whatever_is_up(stage):
    stage.set_rig(turned(ring_rig(4), Y_DOWN))
    for number in range(8):
        bodies = bodies_at(number, (pose(0.1 * number) @ Y_DOWN.T,), (3,))
        stage.show(Instant(number, number, bodies), Shown())
    trail = stage._server.scene.get_handle_by_name('/bodies/3/trail')
    there = trail.batched_scales.max(1) > 0.0
    want = np.stack([pose(0.1 * number)[0] for number in (0, 3, 6)]) @ Y_DOWN.T
    np.testing.assert_allclose(trail.batched_positions[there], want, atol=1e-6)
    highest = (pose(0.7) @ Y_DOWN.T)[:, 1].min()
    name = stage._server.scene.get_handle_by_name('/bodies/3/name')
    np.testing.assert_allclose(name.position[1], highest - 0.12, atol=1e-6)
    stage.forget_trails()
    stage.show(Instant(9, 9, bodies), Shown())
    assert not trail.visible


def test_images_of_the_cameras_whose_turn_it_is(stage):
    stage.set_rig(ring_rig(2))
    first, second = (
        Instant(number, number, frames={
            name: Frame(name, 0, np.full((48, 64, 3), level, np.uint8)) for name in ('cam0', 'cam1')
        }) for number, level in enumerate((10, 200))
    )
    stage.show(first, Shown())
    stage.show(second, Shown(), ('cam1',))
    means = [stage._frusta[name].image.mean() for name in ('cam0', 'cam1')]
    np.testing.assert_allclose(means, (10, 200), atol=3.0)
    # Without an image there is none, and none for anybody where images are off.
    stage.show(Instant(2, 2), Shown(), ('cam1',))
    assert stage._frusta['cam1'].image is None and stage._frusta['cam0'].image is not None
    stage.show(second, Shown(images=False), ())
    assert stage._frusta['cam0'].image is None


def test_a_page_of_another_viser_is_served_as_it_is(tmp_path, caplog):
    own, folder = tmp_path / 'own', tmp_path
    own.mkdir()
    (own / 'index.html').write_text('<head></head>')
    assert lightened_folder(own, folder) == folder
    assert (folder / 'index.html').read_text().startswith('<head><script>')
    (own / 'more.js').write_text('')
    assert lightened_folder(own, folder) == own and 'served as it is' in caplog.text


def test_a_busy_port(stage):
    port = int(stage.url.rsplit(':', 1)[1])
    with pytest.raises(ConfigError, match=f'127.0.0.1:{port} cannot be served'):
        Stage(port=port, exact_port=True)
    with Stage(port=port) as other:
        assert other.url != stage.url
    with pytest.raises(ConfigError, match='cannot be served'):
        Stage('203.0.113.7')


def test_without_viser_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, 'viser', None)
    with pytest.raises(ConfigError, match='pip install viser'):
        Stage()
