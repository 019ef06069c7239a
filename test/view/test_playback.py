# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Any instant of a recording: what belongs to it, what is before and after, gaps, damage, bounded memory."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from geo_pose_ros.bags.recording import Recording
from geo_pose_ros.errors import FrameError
from geo_pose_ros.types import Frame
from geo_pose_ros.view import playback as playback_module
from geo_pose_ros.view.instant import Instant, LazyFrames
from geo_pose_ros.view.playback import Playback
from geo_pose_ros.view.viewer import opening

from ..evaluation.moving import RATE_HZ, copy_bag, pose, stamp_of, write_walk


@pytest.fixture
def walk(tmp_path):
    write_walk(tmp_path / 'walk', sets=120, images=True, people=2)
    with Recording([tmp_path / 'walk']) as recording:
        yield Playback(recording, 64)


@pytest.mark.parametrize('number', [0, 30, 119])
def test_an_instant_holds_what_belongs_together(walk, number):
    instant = walk.at(stamp_of(number))
    assert instant.stamp_ns == stamp_of(number) == instant.time_ns
    np.testing.assert_allclose(instant.bodies.xyz[0], pose(number / RATE_HZ), atol=1e-6)
    assert {k.stamp_ns for k in instant.keypoints.values()} == {stamp_of(number)}
    assert set(instant.frames) == set(instant.keypoints) == {'cam0', 'cam1', 'cam2', 'cam3'}
    # Images are thinned out to 20 per second; the nearest one is shown, reduced.
    for frame in instant.frames.values():
        assert abs(frame.stamp_ns - stamp_of(number)) <= 34_000_000
        assert max(frame.image.shape) == 64


def test_steps_and_between_instants_the_last_one_stays(walk):
    assert walk.at(stamp_of(40) + 20_000_000).stamp_ns == stamp_of(40)
    assert walk.period_ns == pytest.approx(1e9 / RATE_HZ, rel=1e-3)
    assert walk.neighbour(stamp_of(29), forward=True) == stamp_of(30)
    assert walk.neighbour(stamp_of(30), forward=False) == stamp_of(29)
    assert walk.neighbour(stamp_of(119), forward=True) is None
    assert walk.neighbour(stamp_of(0), forward=False) is None


def test_states_are_those_last_reported(walk):
    first, later = walk.at(stamp_of(10)), walk.at(stamp_of(70))
    assert set(first.statuses) == {'pipeline', 'camera cam1'} and first.camera('cam0') is None
    assert (first.camera('cam1').level, first.camera('cam1').message) == (1, 'silent for 0.5 s')
    assert later.camera('cam1').message == 'silent for 60.5 s'
    assert later.pipeline == 'ok' and Instant(0, 0).pipeline == ''


def test_memory_is_bounded(walk, monkeypatch):
    monkeypatch.setattr(playback_module, '_BLOCKS_KEPT', 2)
    for number in range(0, 120, 10):
        walk.at(stamp_of(number))
    assert len(walk._blocks) == 2
    assert walk.at(stamp_of(5)).stamp_ns == stamp_of(5)


def test_a_gap_is_empty_and_steps_go_over_it(tmp_path):
    write_walk(tmp_path / 'whole', sets=300)
    copy_bag(tmp_path / 'whole', tmp_path / 'gap',
             lambda _, message: None if stamp_of(60) <= message.time_ns < stamp_of(240) else message.raw)
    with Recording([tmp_path / 'gap']) as recording:
        walk = Playback(recording, 64)
        assert walk.at(stamp_of(150)).bodies is None
        assert walk.neighbour(stamp_of(59), forward=True) == stamp_of(240)
        assert walk.neighbour(stamp_of(240), forward=False) == stamp_of(59)


def test_images_alone_and_late_results(tmp_path):
    write_walk(tmp_path / 'images', sets=30, images=True, bodies=False, keypoints=False)
    with Recording([tmp_path / 'images']) as recording:
        instant = Playback(recording, 64).at(stamp_of(10))
        assert instant.bodies is None and len(instant.frames) == 4 and instant.stamp_ns == stamp_of(10)
    write_walk(tmp_path / 'late', sets=60, latency_ms=200.0, images=True)
    with Recording([tmp_path / 'late']) as recording:
        walk = Playback(recording, 64)
        instant = walk.at(stamp_of(50) + 200_000_000)
        assert instant.stamp_ns == stamp_of(50)
        assert all(abs(f.stamp_ns - stamp_of(50)) <= 34_000_000 for f in instant.frames.values())
        assert {k.stamp_ns for k in instant.keypoints.values()} == {stamp_of(50)}


def test_images_are_decoded_when_asked_for_and_once():
    asked, wrong = [], []

    def decode(name):
        asked.append(name)
        if name == 'bad':
            raise FrameError('cannot be decoded')
        return Frame(name, 0, np.zeros((2, 2, 3), np.uint8))

    frames = LazyFrames({name: partial(decode, name) for name in ('good', 'bad', 'other')},
                        lambda name, error: wrong.append((name, str(error))))
    assert asked == []
    assert frames['good'].camera == 'good' and frames.get('bad') is None and 'bad' not in frames
    assert asked == ['good', 'bad'] and wrong == [('bad', 'cannot be decoded')]
    with pytest.raises(KeyError):
        frames['bad']
    assert list(frames) == ['good', 'other'] and len(frames) == 2 and 'nobody' not in frames
    assert asked == ['good', 'bad', 'other'] and len(wrong) == 1


def test_damaged_messages_are_counted_and_skipped(tmp_path):
    write_walk(tmp_path / 'walk', sets=30)

    def hurt(_, message):
        kept = {'/pose_node/keypoints/cam0': 40, '/pose_node/keypoints/cam1': 8}
        return message.raw[: kept.get(message.topic) if message.time_ns == stamp_of(10) else None]

    copy_bag(tmp_path / 'walk', tmp_path / 'hurt', hurt)
    with Recording([tmp_path / 'hurt']) as recording:
        instant = Playback(recording, 64).at(stamp_of(10))
        assert 'cam0' not in instant.keypoints and 'cam2' in instant.keypoints
        assert sum(recording.damaged.values()) == 2


def bytes_read():
    """Return how many bytes this process has asked files for."""
    [line] = [line for line in Path('/proc/self/io').read_text().splitlines() if line.startswith('rchar')]
    return int(line.split()[1])


@pytest.mark.skipif(not Path('/proc/self/io').exists(), reason='Linux counts what a process reads')
# Where sqlite3 looks for a topic, it passes the beginnings of all rows.
@pytest.mark.parametrize(('storage', 'most'), [('mcap', 0.05), pytest.param('sqlite3', 0.3, marks=pytest.mark.slow)])
def test_of_a_longer_bag_only_the_index_is_read_when_it_is_opened(tmp_path, storage, most):
    noise = np.random.default_rng(0).integers(0, 255, (240, 320, 3), np.uint8)
    sizes, read = [], []
    # The first one loads modules too.
    for sets in (10, 50, 130):
        path = tmp_path / f'{sets}'
        write_walk(path, sets=sets, images=True, image=lambda number: noise, storage=storage)
        sizes.append(sum(file.stat().st_size for file in path.iterdir()))
        before = bytes_read()
        with Recording([path]) as recording:
            opening(recording)
            Playback(recording, 64).at(recording.start_ns)
        read.append(bytes_read() - before)
    assert sizes[2] > sizes[1] + 10_000_000
    assert read[2] - read[1] < most * (sizes[2] - sizes[1])
