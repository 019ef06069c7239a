# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The demo's own arithmetic and figures, on a recording of a walk; the live part is `make demo`."""

import re
from dataclasses import replace

import cv2
import numpy as np
import pytest

from geo_pose_ros.bags.recording import BODIES, KEYPOINTS, Recording, Source
from geo_pose_ros.demo import run
from geo_pose_ros.demo.live import Material
from geo_pose_ros.demo.run import Played, draw, print_result, write_replay
from geo_pose_ros.errors import BagError, ConfigError
from geo_pose_ros.view.report import write_report

from ..evaluation.moving import RATE_HZ, START_NS, bodies_at, pose, write_walk
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
    write_replay(tmp_path / 'replay', recording, TIMES)
    draw(tmp_path, footage, TIMES)
    # The set half-way through a loop.
    image = cv2.imread(str(tmp_path / 'overlay.png'))
    assert image.shape == (900, 2400, 3) and abs(np.median(image) - (40 + SETS // 2)) < 1.0
    video = cv2.VideoCapture(str(tmp_path / 'overlay.mp4'))
    assert int(video.get(cv2.CAP_PROP_FRAME_COUNT)) == SETS
    assert (tmp_path / 'bodies.png').stat().st_size > 10_000
    # A camera less than the rig has.
    with pytest.raises(BagError, match='published no body seen by all cameras'):
        draw(tmp_path, replace(footage, rig=ring_rig(3)), TIMES)


def test_the_result_is_that_of_the_report(recording, tmp_path, capsys):
    _, measured = write_report([recording], tmp_path / 'report.html', rig=RIG)
    measured.reported.values['camera cam1'] = {'sides repaired': '3', 'frames_used': '25'}
    print_result(tmp_path, measured, {
        'published': {'/cam0/image_raw/compressed': 12, '/cam1/image_raw/compressed': 11}, 'loops': 2, 'loop_ns': 10**9,
    })
    said = capsys.readouterr().out
    assert 'The cameras delivered 6 sets per second.' in said and '30 ms latency, p95 30 ms' in said
    assert re.search(r'cam1: \d+\.\d px; sides exchanged by the detector in 3 of 25 images, repaired', said)
    assert (tmp_path / 'report.html').exists()


def test_bodies_get_the_ids_of_the_known_ones_that_they_are_nearest_to():
    bodies = bodies_at(0, [pose(0.0), pose(1.0)], (3, 5))
    near = replace(bodies, xyz=bodies.xyz[::-1] + 0.1, body_ids=np.arange(len(bodies)) + 50)
    assert run._named_as(near, bodies).body_ids.tolist() == bodies.body_ids[::-1].tolist()
    nobody = bodies.select(np.zeros(len(bodies), bool))
    assert run._named_as(near, nobody).body_ids.tolist() == list(range(len(bodies)))


def test_without_ffmpeg_there_is_no_video_and_that_is_said(recording, footage, tmp_path, monkeypatch, capsys):
    def missing(*_):
        raise ConfigError('ffmpeg is missing.')

    monkeypatch.setattr(run, 'write_video', missing)
    write_replay(tmp_path / 'replay', recording, TIMES)
    draw(tmp_path, footage, TIMES)
    assert (tmp_path / 'bodies.png').exists() and not (tmp_path / 'overlay.mp4').exists()
    assert 'overlay.mp4 is left out. ffmpeg is missing.' in capsys.readouterr().out


def test_the_replay_is_the_loop_with_most_bodies_at_the_stamps_of_the_footage(tmp_path):
    write_walk(tmp_path / 'recording', sets=SETS + 3, rig=RIG)
    # It begins in the last three sets of a loop.
    times = Played(START_NS - (SETS - 3) * PERIOD_NS, SETS * PERIOD_NS, START_NS)
    for _ in range(2):
        write_replay(tmp_path / 'replay', tmp_path / 'recording', times)
    with Recording([tmp_path / 'replay']) as replay:
        assert replay.counts[Source(BODIES)] == SETS and replay.counts[Source(KEYPOINTS, 'cam1')] == SETS
        bodies = [one.bodies() for one in replay.stream([BODIES])]
    np.testing.assert_allclose([seen.stamp_ns - START_NS for seen in bodies], PERIOD_NS * np.arange(SETS), atol=20)
    np.testing.assert_allclose(bodies[2].xyz[0], pose(5 / RATE_HZ), atol=1e-4)


@pytest.mark.parametrize('bodies', [0, 1])
def test_a_recording_without_keypoints_is_an_error(tmp_path, bodies):
    write_walk(tmp_path / 'bag', sets=1, rig=RIG, keypoints=False, bodies=bool(bodies))
    with pytest.raises(BagError, match=f'holds {bodies} bodies and 0 keypoints messages'):
        write_replay(tmp_path / 'replay', tmp_path / 'bag', TIMES)
