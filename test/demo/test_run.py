# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The demo's own arithmetic and figures, on a recording of a walk; the live part is `make demo`."""

import re
from dataclasses import replace

import cv2
import numpy as np
import pytest

from geo_pose_ros.demo import run
from geo_pose_ros.demo.live import Material
from geo_pose_ros.demo.run import Played, draw
from geo_pose_ros.demo.summary import read_observations
from geo_pose_ros.errors import BagError, ConfigError

from ..evaluation.moving import RATE_HZ, START_NS, write_walk
from ..scenes import ring_rig

RIG, SETS = ring_rig(2), 12
PERIOD_NS = round(1e9 / RATE_HZ)
# The footage is played as it was recorded.
TIMES = Played(START_NS, SETS * PERIOD_NS, START_NS)


@pytest.fixture(scope='module')
def footage(tmp_path_factory):
    """Grey images of brightness 40 and more, one more from set to set, so that a frame tells when it is from."""
    path = tmp_path_factory.mktemp('demo') / 'footage'
    write_walk(path, sets=SETS, rig=RIG, bodies=False, keypoints=False, images=True)
    return Material(path, RIG, ('/cam0/image_raw/compressed',), START_NS)


@pytest.fixture(scope='module')
def recording(tmp_path_factory):
    """What a node would have published of the footage."""
    path = tmp_path_factory.mktemp('demo') / 'recording'
    write_walk(path, sets=SETS, rig=RIG, latency_ms=30.0)
    return path


def test_figures_show_the_frame_of_the_stamp(recording, footage, tmp_path):
    observations = read_observations(recording)
    run.write_replay(tmp_path / 'replay', observations, TIMES)
    draw(tmp_path, footage, observations, TIMES)
    # The set half-way through a loop.
    image = cv2.imread(str(tmp_path / 'overlay.png'))
    assert image.shape == (900, 2400, 3) and abs(np.median(image) - (40 + SETS // 2)) < 1.0
    video = cv2.VideoCapture(str(tmp_path / 'overlay.mp4'))
    assert int(video.get(cv2.CAP_PROP_FRAME_COUNT)) == SETS
    assert (tmp_path / 'bodies.png').stat().st_size > 10_000
    with pytest.raises(BagError, match='published no body seen by all cameras'):
        draw(tmp_path, footage, [], TIMES)


def test_bodies_get_the_ids_of_the_known_ones_that_they_are_nearest_to(recording):
    bodies = read_observations(recording)[0].bodies
    near = replace(bodies, xyz=bodies.xyz[::-1] + 0.1, body_ids=np.arange(len(bodies)) + 50)
    assert run._named_as(near, bodies).body_ids.tolist() == bodies.body_ids[::-1].tolist()
    nobody = bodies.select(np.zeros(len(bodies), bool))
    assert run._named_as(near, nobody).body_ids.tolist() == list(range(len(bodies)))


def test_without_ffmpeg_there_is_no_video_and_that_is_said(recording, footage, tmp_path, monkeypatch, capsys):
    def missing(*_):
        raise ConfigError('ffmpeg is missing.')

    monkeypatch.setattr(run, 'write_video', missing)
    observations = read_observations(recording)
    run.write_replay(tmp_path / 'replay', observations, TIMES)
    draw(tmp_path, footage, observations, TIMES)
    assert (tmp_path / 'bodies.png').exists() and not (tmp_path / 'overlay.mp4').exists()
    assert 'overlay.mp4 is left out. ffmpeg is missing.' in capsys.readouterr().out


def test_the_replay_shows_one_loop_on_the_footage(recording, footage, tmp_path):
    observations = read_observations(recording)
    later = [replace(seen, stamp_ns=seen.stamp_ns + TIMES.loop_ns) for seen in observations[:3]]
    for _ in range(2):
        run.write_replay(tmp_path / 'replay', [*later, *observations], TIMES)
    found = read_observations(tmp_path / 'replay')
    np.testing.assert_allclose([seen.stamp_ns for seen in found], [seen.stamp_ns for seen in observations], atol=2)
    assert all(set(seen.keypoints) == set(RIG.names) for seen in found)
    np.testing.assert_allclose(found[2].bodies.xyz, observations[2].bodies.xyz, atol=1e-4)


def test_all_is_recorded_but_images():
    names = ('/pose_node/bodies', '/pose_node/keypoints/cam01', '/diagnostics', '/pose_node/annotated/cam01/compressed')
    assert [bool(re.fullmatch(run.RECORDED, name)) for name in names] == [True, True, True, False]
