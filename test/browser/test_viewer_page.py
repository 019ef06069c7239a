# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The viewer in a browser: it draws bodies, time moves them, clicks work, a phone can use it, nothing leaves."""

import re
import threading
import time
from contextlib import contextmanager

import numpy as np
import pytest

from geo_pose_ros.bags.recording import Recording
from geo_pose_ros.view.export import export_page
from geo_pose_ros.view.settings import ExportConfig, ViewConfig
from geo_pose_ros.view.stage import Stage
from geo_pose_ros.view.viewer import play

from ..evaluation.moving import write_walk
from ..view.test_shapes import rotation_of
from .conftest import differing, pixels

# Left of the panel.
SCENE = (320, 60, 930, 780)


@pytest.fixture(scope='module')
def walk(tmp_path_factory):
    path = tmp_path_factory.mktemp('viewer') / 'walk'
    write_walk(path, sets=240, people=2, images=True)
    return path


@contextmanager
def viewer(path, **settings):
    """Yield a stage that shows a bag from a thread."""
    ended = threading.Event()
    with Recording([path]) as recording, Stage() as stage:
        thread = threading.Thread(
            target=play, args=(stage, recording, ViewConfig(**{'play': False, **settings}), ended.is_set), daemon=True
        )
        thread.start()
        try:
            yield stage
        finally:
            ended.set()
            thread.join()


def opened(watch, stage, *size):
    seen = watch(stage.url, *size)
    seen.page.wait_for_selector('canvas')
    # A phone's panel is folded.
    state = 'attached' if size and size[0] < 500 else 'visible'
    seen.page.get_by_role('button', name='Play', exact=True, include_hidden=True).wait_for(state=state)
    return seen


def until(seen, condition, limit_s=60.0):
    """Wait for a screenshot that fulfils ``condition``: a slow browser draws a change seconds after it was made."""
    ends = time.monotonic() + limit_s
    while not condition(seen.page.screenshot()):
        assert time.monotonic() < ends, 'what was waited for is not drawn'
        seen.page.wait_for_timeout(300)


def wait_for_time(seen, second):
    """Wait until the time line shows ``second`` or later: a slow browser skips seconds. The recording has 8."""
    seen.page.get_by_text(re.compile(rf'^[{second}-9]\.\d s of')).wait_for()


def settled(seen, rest_s=2.0, limit_s=60.0):
    """Return a screenshot once the scene has not changed for ``rest_s``: a slow browser pauses before it is done."""
    last, since_s, ends = seen.page.screenshot(), time.monotonic(), time.monotonic() + limit_s
    while time.monotonic() - since_s < rest_s:
        assert time.monotonic() < ends, 'the scene does not come to rest'
        seen.page.wait_for_timeout(300)
        now = seen.page.screenshot()
        if differing(last, now, SCENE) >= 1e-4:
            since_s = time.monotonic()
        last = now
    return last


def test_bodies_are_drawn_and_time_moves_them(watch, walk):
    with viewer(walk) as stage:
        seen = opened(watch, stage)
        # A processor that draws is spared.
        smooth = 'document.querySelector("canvas").getContext("webgl2").getContextAttributes().antialias'
        assert seen.page.evaluate(smooth) is False and 'fixedDpr=0.75' in seen.page.url
        first = settled(seen)
        seen.shot('viewer-start')
        # Without its bodies the scene is another.
        for visible in (False, True):
            for body_id in (0, 1):
                stage._server.scene.get_handle_by_name(f'/bodies/{body_id}').visible = visible
            until(seen, lambda shot, last=first: differing(last, shot, SCENE) > 5e-4)
            first = settled(seen)
        box = seen.page.get_by_role('textbox').first
        box.fill('3')
        box.press('Enter')
        seen.page.get_by_text('3.0 s of').wait_for()
        until(seen, lambda shot: differing(first, shot, SCENE) > 5e-4)
        seen.shot('viewer-later')
        seen.page.get_by_role('button', name='Play', exact=True).click()
        seen.page.get_by_role('button', name='Pause', exact=True).wait_for()
        wait_for_time(seen, 4)


def test_a_short_clip_waits_for_the_browser_and_begins_anew(watch, tmp_path):
    write_walk(tmp_path / 'clip', sets=50, people=1, images=True)
    with viewer(tmp_path / 'clip', play=True) as stage:
        time.sleep(2.0)
        seen = watch(stage.url, 1280, 900)
        seen.page.get_by_role('button', name='Pause', exact=True).wait_for()
        assert seen.page.title() == 'geo_pose'
        first = seen.shot('viewer-clip')
        until(seen, lambda shot: differing(first, shot, SCENE) > 5e-4)
        # Longer than the clip, and still playing.
        seen.page.wait_for_timeout(3000)
        assert seen.page.get_by_role('button', name='Pause', exact=True).is_visible()


def test_keys_play_and_step(watch, walk):
    with viewer(walk) as stage:
        seen = opened(watch, stage)
        settled(seen)
        for _ in range(6):
            seen.page.keyboard.press('ArrowRight')
        seen.page.get_by_text('0.2 s of').wait_for()
        for _ in range(6):
            seen.page.keyboard.press('ArrowLeft')
        seen.page.get_by_text('0.0 s of').wait_for()
        seen.page.keyboard.press('Space')
        seen.page.get_by_role('button', name='Pause', exact=True).wait_for()
        seen.page.keyboard.press('Space')
        seen.page.get_by_role('button', name='Play', exact=True).wait_for()


def test_a_browser_that_wishes_it_gets_a_dark_page(watch, walk):
    with viewer(walk) as stage:
        seen = opened(watch, stage)
        bright = pixels(settled(seen)).mean()
        seen.page.emulate_media(color_scheme='dark')
        seen.page.goto(stage.url)
        seen.page.get_by_role('button', name='Play', exact=True).wait_for()
        settled(seen)
        assert pixels(seen.shot('viewer-dark')).mean() < 0.5 * bright


def test_a_click_on_a_body_shows_its_joints(watch, walk):
    with viewer(walk) as stage:
        seen = opened(watch, stage)
        settled(seen)
        seen.page.mouse.click(*joint_on_screen(seen, stage))
        seen.page.get_by_text('Body 0').wait_for()
        assert 'left_wrist' in seen.page.content()
        seen.shot('viewer-body')


def joint_on_screen(seen, stage):
    """Return where the middle of body 0's pelvis lies in the window, px."""
    camera = next(iter(stage._server.get_clients().values())).camera
    joint = stage._server.scene.get_handle_by_name('/bodies/0/figure').batched_positions[0]
    local = rotation_of(camera.wxyz).T @ (np.asarray(joint) - camera.position)
    size = seen.page.viewport_size
    focal = size['height'] / 2 / np.tan(camera.fov / 2)
    return size['width'] / 2 + focal * local[0] / local[2], size['height'] / 2 + focal * local[1] / local[2]


def test_looking_through_a_camera(watch, walk):
    with viewer(walk) as stage:
        seen = opened(watch, stage)
        around = settled(seen)
        client = next(iter(stage._server.get_clients().values()))
        stage.look_through('cam2', client)
        until(seen, lambda shot: differing(around, shot, SCENE) > 0.02)
        position = client.camera.position
        assert abs(position - stage._rig['cam2'].position_m).max() < 1e-2
        seen.shot('viewer-through-cam2')


def test_a_phone_can_use_it_and_a_browser_that_goes_away_disturbs_no_other(watch, walk):
    with viewer(walk) as stage:
        phone, desk = opened(watch, stage, 390, 800), opened(watch, stage)
        assert phone.page.evaluate('document.documentElement.scrollWidth') <= 390
        # The panel is folded, so that the people are seen; a tap on its head unfolds it.
        phone.page.wait_for_timeout(1500)
        phone.shot('viewer-phone-folded')
        assert phone.page.get_by_text('walk', exact=True).bounding_box()['y'] > 700
        phone.page.get_by_text('walk', exact=True).click()
        phone.page.wait_for_timeout(500)
        play_button = phone.page.get_by_role('button', name='Play', exact=True)
        assert play_button.bounding_box()['width'] > 100 and len(stage._server.get_clients()) == 2
        phone.shot('viewer-phone')
        play_button.click()
        desk.page.get_by_role('button', name='Pause', exact=True).wait_for()
        phone.page.goto('about:blank')
        wait_for_time(desk, 1)


def test_an_exported_page_plays_alone(watch, walk, tmp_path):
    with Recording([walk]) as recording:
        export_page(recording, tmp_path / 'page.html', ExportConfig(export_hz=10.0))
    seen = watch(f'file://{tmp_path / "page.html"}')
    seen.page.wait_for_selector('canvas')
    seen.page.wait_for_timeout(3000)
    first = seen.shot('export')
    until(seen, lambda shot: differing(first, shot, SCENE) > 2e-4)
