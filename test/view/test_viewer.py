# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""`geo_pose view`: the time line, the panel, poses to compare, exported pages, wrong usage."""

import re
import subprocess
import sys
import threading
from contextlib import closing
from types import SimpleNamespace

import numpy as np
import pytest

from geo_pose_ros import cli
from geo_pose_ros.bags.recording import BODIES, IMAGE, KEYPOINTS, Recording
from geo_pose_ros.bags.write import BagWriter
from geo_pose_ros.errors import BagError, ConfigError
from geo_pose_ros.view import stage, viewer
from geo_pose_ros.view.export import export_page
from geo_pose_ros.view.panel import Panel, TimeLine
from geo_pose_ros.view.playback import Playback, find_missing
from geo_pose_ros.view.poses import NONE, RAW, OtherPoses
from geo_pose_ros.view.settings import ExportConfig, ViewConfig
from geo_pose_ros.view.stage import Stage
from geo_pose_ros.view.viewer import ImageTurns, opening, play

from ..evaluation.moving import stamp_of, write_walk

pytest.importorskip('viser')


@pytest.fixture
def recording(tmp_path):
    write_walk(tmp_path / 'walk', sets=90, people=2, images=True)
    with Recording([tmp_path / 'walk']) as opened:
        yield opened


def test_the_first_bodies_wait_neither_for_compiled_code_nor_for_scipy():
    words = ('import sys, geo_pose_ros.commands.view, geo_pose_ros.view.viewer; '
             'print({"numba", "scipy"} & set(sys.modules))')
    assert subprocess.run([sys.executable, '-c', words], capture_output=True, text=True).stdout == 'set()\n'


def test_the_time_line_plays_pauses_steps_stops_at_the_end_or_begins_anew(recording):
    with Stage() as stage:
        line = TimeLine(stage, Playback(recording, 64), playing=True)
        line.advance(0.5)
        assert line.time_ns == stamp_of(15) and line.playing
        line._set_speed('2x')
        line.advance(0.5)
        assert line.time_ns == stamp_of(45)
        line.step(forward=True)
        assert (line.time_ns, line.playing, line.jumped) == (stamp_of(46), False, True)
        line.step(forward=False)
        assert line.time_ns == stamp_of(45)
        line.advance(1.0)
        assert line.time_ns == stamp_of(45)
        line.toggle()
        line.advance(10.0)
        assert (line.time_ns, line.playing, line.jumped) == (recording.start_ns, True, True)
        line._loop.value = False
        line.advance(10.0)
        assert line.time_ns == recording.end_ns and not line.playing and line._play.label == 'Replay'
        line.step(forward=True)
        assert line.time_ns == recording.end_ns
        line.toggle()
        assert line.time_ns == recording.start_ns and line.playing and line._play.label == 'Pause'


def test_a_slider_that_a_browser_moved_is_not_moved_back(recording):
    with Stage() as stage:
        playback = Playback(recording, 64)
        line = TimeLine(stage, playback, playing=False)
        # viser stores a browser's value at once, and tells of it from another thread.
        line._slider._impl.value = 2.0
        line.describe(playback.at(line.time_ns))
        assert line._slider.value == 2.0
        line._on_slider(SimpleNamespace(client_id=1))
        assert line.time_ns == stamp_of(60)
        line.describe(playback.at(line.time_ns))
        line.step(forward=True)
        line.describe(playback.at(line.time_ns))
        assert line._slider.value == pytest.approx(61 / 30)


def test_time_stands_until_a_browser_looks(recording, monkeypatch):
    looked, stamps = iter([False] * 20 + [True] * 20), []
    monkeypatch.setattr(Stage, 'watched', property(lambda _: looked_at[0]))
    looked_at = [False]

    def stop():
        looked_at[0] = next(looked, None)
        return looked_at[0] is None

    with Stage() as stage:
        original = stage.show
        stage.show = lambda instant, *more: (stamps.append((looked_at[0], instant.stamp_ns)), original(instant, *more))
        play(stage, recording, ViewConfig(rate_hz=100.0), stop)
    assert {stamp for looks, stamp in stamps if not looks} == {stamp_of(0)}
    assert max(stamp for looks, stamp in stamps if looks) > stamp_of(0)


def test_it_shows_the_recording_until_it_is_stopped(recording, monkeypatch):
    monkeypatch.setattr(Stage, 'watched', True)
    shown = threading.Event()
    with Stage() as stage:
        drawn, pictured = [], []
        original = stage.show
        stage.show = lambda instant, what, *more: (
            drawn.append(instant.stamp_ns), pictured.append(more[0]), original(instant, what, *more),
            shown.set() if len(drawn) > 3 else None)
        play(stage, recording, ViewConfig(rate_hz=200.0), shown.is_set)
    assert drawn == sorted(drawn) and drawn[0] == stamp_of(0) and len(drawn) > 3
    # The first bodies do not wait for pictures; then all cameras have one.
    assert pictured[:2] == [(), None]


def test_cameras_take_turns_to_get_a_new_picture():
    turns = ImageTurns(('a', 'b'))
    assert [turns.due(0.125 * number) for number in range(5)] == [('a',), (), ('b',), (), ('a',)]
    assert ImageTurns(()).due(1.0) == ()
    # More cameras than instants: one each time.
    many = ImageTurns(tuple('abcdefgh'))
    assert [many.due(float(number)) for number in range(3)] == [('a',), ('b',), ('c',)]


def test_the_panel_says_what_cameras_and_bodies_are_like(recording):
    playback = Playback(recording, 64)
    with Stage() as stage:
        panel = Panel(stage, recording.cameras, (NONE, RAW))
        panel.describe(playback.at(stamp_of(70)))
        assert '**cam1** silent for 60.5 s' in panel._cameras.content and panel._body.content == 'Click a body.'
        stage.on_body(1)
        assert panel.changed
        panel.describe(playback.at(stamp_of(70)))
        assert panel._body.content.startswith('**Body 1**')
        panel._boxes['images'].value = False
        assert not panel.shown.images and panel.shown.trails and panel.kind == NONE


def test_poses_to_compare(recording):
    instant = Playback(recording, 64).at(stamp_of(30))
    with closing(OtherPoses(recording.rig)) as others:
        assert others.kinds == (NONE, RAW, 'cam0 alone', 'cam1 alone', 'cam2 alone', 'cam3 alone')
        assert others.of(NONE, instant) is None
        raw = others.of(RAW, instant)
        assert len(raw) == 2
        nearest = np.linalg.norm(raw.xyz[:, None] - instant.bodies.xyz[None], axis=-1).mean(-1).min(1)
        assert (nearest < 0.01).all()
        alone = others.of('cam2 alone', instant)
        assert len(alone) == 2 and np.isfinite(alone.xyz).all()
        # Any instant may be asked for, also an earlier one.
        assert len(others.of(RAW, Playback(recording, 64).at(stamp_of(2)))) == 2
    assert OtherPoses(None).of(RAW, instant) is None


def test_an_exported_page_is_whole(recording, tmp_path):
    size = export_page(recording, tmp_path / 'page.html', ExportConfig(export_hz=10.0))
    html = (tmp_path / 'page.html').read_text()
    assert size == len(html.encode()) and size < 5_000_000
    assert '__VISER_EMBED_DATA__' in html and 'Content-Security-Policy' in html
    assert not re.findall(r'(?:src|href)="https?://', html)
    with pytest.raises(BagError, match='more than export_max_mb'):
        export_page(recording, tmp_path / 'big.html', ExportConfig(export_hz=5.0, export_max_mb=0.5))
    with pytest.raises(ConfigError, match='cannot be written'):
        export_page(recording, tmp_path / 'no' / 'page.html', ExportConfig(export_hz=1.0, export_images_hz=0.0))


def test_what_is_missing_is_said(tmp_path, recording):
    assert find_missing(recording, BODIES, KEYPOINTS, IMAGE) == []
    floor_m, joints = opening(recording)
    centre = joints.mean(0)
    assert floor_m == 0.0 and np.linalg.norm(centre[:2]) < 1.5 and 0.5 < centre[2] < 1.5
    write_walk(tmp_path / 'bare', sets=5, bodies=False, infos=False)
    with Recording([tmp_path / 'bare']) as bare:
        said = ' '.join(finding.text for finding in find_missing(bare, BODIES, IMAGE))
        assert 'There are no bodies' in said and 'There is no rig' in said and 'There are no images' in said
        with Stage() as stage:
            play(stage, bare, ViewConfig(), iter([False, True]).__next__)


def test_the_command_exports_or_serves(tmp_path, capsys, monkeypatch):
    with BagWriter(tmp_path / 'empty') as writer:
        writer.add_topic('/pose_node/bodies', 'sensor_msgs/msg/PointCloud2')
    assert cli.main(['view', str(tmp_path / 'empty')]) == 2
    assert 'holds no message' in capsys.readouterr().err
    write_walk(tmp_path / 'walk', sets=10)
    page = tmp_path / 'page.html'
    assert cli.main(['view', str(tmp_path / 'walk'), '--export', str(page), '--set', 'export_hz=5']) == 0
    assert page.exists() and f'{page}: ' in capsys.readouterr().out
    monkeypatch.setattr(viewer, 'play', lambda stage, recording, config, stop: print(recording.title, config.play))
    monkeypatch.setattr(stage.webbrowser, 'open', lambda url: False)
    assert cli.main(['view', str(tmp_path / 'walk'), '--set', 'play=false', '--browser']) == 0
    out = capsys.readouterr().out
    assert out.startswith('Look at http://localhost:') and out.endswith('walk False\n')
