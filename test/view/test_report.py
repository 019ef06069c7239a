# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""`geo_pose report` over bags: what the page says, and that hardly anything stops it."""

import math
import re

import pytest

from geo_pose_ros import cli
from geo_pose_ros.bags.recording import BODIES, IMAGE, KEYPOINTS, Recording, Source
from geo_pose_ros.bags.write import BagWriter
from geo_pose_ros.errors import BagError, ConfigError
from geo_pose_ros.evaluation.settings import ReportConfig
from geo_pose_ros.messages.clouds.bodies import bodies_to_cloud
from geo_pose_ros.view.playback import Playback
from geo_pose_ros.view.report import name_moment, write_report

from ..evaluation.moving import MAKE, START_NS, bodies_at, copy_bag, pose, stamp_of, write_walk
from ..scenes import ring_rig
from ..test_page import outside

# The left-out camera takes a pipeline per camera; one test has it.
CONFIG = ReportConfig(left_out_sets=0)


def page_of(*bags, rig=None):
    out = bags[0].with_suffix('.html')
    write_report(bags, out, CONFIG, rig)
    return out.read_text()


def words(html):
    return re.sub(r'\s+', ' ', re.sub(r'<[^>]+>', ' ', html))


def test_a_good_recording(tmp_path, capsys):
    write_walk(tmp_path / 'walk', sets=90)
    assert cli.main(['report', str(tmp_path / 'walk'), '--set', 'left_out_sets=20', '--overwrite']) == 0
    assert capsys.readouterr().out.startswith(
        'good: 1 person, joints \N{PLUS-MINUS SIGN}20 mm; 4 cameras agree to 0.0 px\n  ok    Nothing stands out')
    html = (tmp_path / 'walk.html').read_text()
    said = words(html)
    assert outside(html) == []
    assert 'Recording walk' in said and '4 cameras' in said and 'from 2023-11-14 22:13:20 UTC' in said
    sections = ['In short', 'Cameras', 'Reprojection', 'Bodies', 'Joints', 'Worst moments', 'What the node reported']
    assert re.findall('<h2>(.*?)</h2>', html) == sections
    assert re.search(r'cam2 90 30\.0 0 0\.0 [+-]0\.0 ± 0\.0 0 0\.0 0\.0 0\.0 \d\.\d 0% 0%', said)
    assert 'left upper arm' in said and 'id 0' in said and re.search(r'left_hip-left_knee \d\d\.\d cm ± 0\.0%', said)
    assert 'left_wrist 2.0' in said
    # Numbers apart, a complaint that repeats is one row: first, last, and how often.
    assert re.search(r'camera cam1 warning 0\.0 s 2\.0 s 3 silent for 60\.5 s', said)
    assert 'dropped: late 60' in said and 'fuse 4.2 ms' in said


def test_images_of_another_bag_show_the_worst_moments(tmp_path):
    rig = write_walk(tmp_path / 'result', shift=lambda name, number: (9.0 * (number == 40), 0.0))
    write_walk(tmp_path / 'images', rig=rig, bodies=False, keypoints=False, images=True)
    html = page_of(tmp_path / 'result', tmp_path / 'images')
    assert html.count('data:image/jpeg') >= 1 and '22:13:21 (1.3 s): 9 px' in words(html)
    alone = page_of(tmp_path / 'result')
    assert 'data:image/jpeg' not in alone and 'name the bag that has them too' in words(alone)
    with Recording([tmp_path / 'result', tmp_path / 'images']) as recording:
        instant = Playback(recording, 64, images_hz=math.inf).at(stamp_of(40))
        assert {frame.stamp_ns for frame in instant.frames.values()} == {stamp_of(40)}
        assert instant.frames['cam0'].image[1, 1, 1] == pytest.approx(80, abs=3)


def test_without_a_rig_the_page_says_what_is_missing_and_latency_is_a_number(tmp_path):
    rig = write_walk(tmp_path / 'walk', infos=False, latency_ms=150.0)
    html = page_of(tmp_path / 'walk')
    assert 'There is no rig, so that cameras cannot be judged.' in html and '--rig RIG.yaml' in html
    assert '<h2>Reprojection' not in html and '150 ms latency, p95 150 ms' in words(html)
    assert '<h2>Reprojection' in page_of(tmp_path / 'walk', rig=rig)


def test_images_or_bodies_alone(tmp_path):
    write_walk(tmp_path / 'images', bodies=False, keypoints=False, images=True, sets=30)
    said = words(page_of(tmp_path / 'images'))
    assert 'There are no bodies in this recording.' in said and 'geo_pose process' in said
    assert 'There are no keypoints' in said and 'cam0 30 30.0' in said
    write_walk(tmp_path / 'bodies', keypoints=False, sets=30)
    assert 'cameras cannot be judged. Bag' in words(page_of(tmp_path / 'bodies'))
    write_walk(tmp_path / 'one', rig=ring_rig(1), sets=30)
    assert '1 camera' in words(page_of(tmp_path / 'one'))
    # The stamps of a simulated clock tell no time of day.
    assert (name_moment(5_000_000_000, 63.0), name_moment(START_NS, 63.0)) == ('1:03', '22:14:23 (1:03)')


def test_no_message_no_bag_and_no_folder(tmp_path):
    with BagWriter(tmp_path / 'empty') as writer:
        writer.add_topic('/pose_node/bodies', 'sensor_msgs/msg/PointCloud2')
    assert 'There are no bodies' in words(page_of(tmp_path / 'empty'))
    with pytest.raises(BagError, match='There is no bag at'):
        write_report([tmp_path / 'nowhere'], tmp_path / 'x.html')
    with pytest.raises(ConfigError, match='cannot be written'):
        write_report([tmp_path / 'empty'], tmp_path / 'no' / 'such' / 'folder.html')


def test_a_bag_that_is_still_being_written_is_read_as_far_as_it_is(tmp_path):
    write_walk(tmp_path / 'walk', sets=600, people=2)
    # Two thirds of the file, and no metadata, are there.
    [file] = (tmp_path / 'walk').glob('*.mcap')
    file.write_bytes(file.read_bytes()[: file.stat().st_size * 2 // 3])
    (tmp_path / 'walk' / 'metadata.yaml').unlink()
    said = words(page_of(tmp_path / 'walk'))
    assert 'is damaged' in said and 'read it again later' in said
    with Recording([tmp_path / 'walk']) as recording:
        assert stamp_of(200) < recording.end_ns < stamp_of(599)
        assert len(Playback(recording, 64).at(stamp_of(150)).bodies) == 2


def test_damaged_messages_are_counted(tmp_path, caplog):
    write_walk(tmp_path / 'walk', sets=30)
    copy_bag(tmp_path / 'walk', tmp_path / 'hurt', lambda number, m: m.raw[:40] if number % 50 == 20 else m.raw)
    said = words(page_of(tmp_path / 'hurt'))
    assert re.search(r'bag: messages could not be read: /pose_node/\S+ \d', said)
    assert 'further messages of' in caplog.text


def test_a_recording_of_several_bags_is_in_the_order_received(tmp_path):
    rig = write_walk(tmp_path / 'result', sets=20)
    write_walk(tmp_path / 'images', rig=rig, bodies=False, keypoints=False, images=True, sets=20)
    with Recording([tmp_path / 'images', tmp_path / 'result']) as recording:
        assert recording.title == 'images + result' and recording.cameras == rig.names
        assert recording.counts[Source(BODIES)] == 20 and recording.counts[Source(IMAGE, 'cam1')] == 20
        times = [one.time_ns for one in recording.stream((BODIES, IMAGE))]
        assert times == sorted(times) and len(times) == 100
        part = list(recording.stream((KEYPOINTS,), stamp_of(5), stamp_of(7)))
        assert [one.keypoints().stamp_ns for one in part] == [stamp_of(5)] * 4 + [stamp_of(6)] * 4
    with pytest.raises(BagError, match='received no bag'):
        Recording([])


def test_of_several_bodies_topics_the_fullest_counts(tmp_path):
    with BagWriter(tmp_path / 'bag') as writer:
        for number in range(4):
            cloud = bodies_to_cloud(MAKE, bodies_at(number, (pose(0.0),)))
            writer.write('/late/bodies', cloud, stamp_of(number))
            if number:
                writer.write('/other/bodies', cloud, stamp_of(number))
    with Recording([tmp_path / 'bag']) as recording:
        assert recording.counts[Source(BODIES)] == 4 and recording.rig is None and recording.rig_fault
