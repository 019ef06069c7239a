# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Playing and recording over live rclpy; schedules are checked on stamps, not on the wall clock."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from contextlib import contextmanager
from copy import copy
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
import rclpy
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CompressedImage
from service_msgs.msg import ServiceEventInfo
from std_msgs.msg import String

from geo_pose_ros.bags.message_factory import TYPESTORE, RosbagsFactory
from geo_pose_ros.bags.read import BagReader
from geo_pose_ros.bags.write import DEFAULT_QOS, LATCHED_QOS, BagWriter
from geo_pose_ros.commands.live import play, record
from geo_pose_ros.errors import BagError, ConfigError
from geo_pose_ros.messages.stamps import stamp_of, to_header
from geo_pose_ros.ros.io.message_factory import definitions_of
from geo_pose_ros.ros.io.middleware import PROFILE
from geo_pose_ros.ros.io.qos import profile
from geo_pose_ros.ros.tools.play import Player, publisher_qos
from geo_pose_ros.ros.tools.record import Recorder, subscription_qos
from geo_pose_ros.ros.tools.standalone import spinning
from test.ros.harness import until

IMAGES, WORDS = '/play/cam0/image_raw/compressed', '/play/words'
PERIOD_NS = 20_000_000
START_NS = 1_700_000_000_000_000_000
COUNT = 10


@pytest.fixture
def bag(tmp_path: Path) -> Path:
    """Ten images 20 ms apart, stamped 3 ms before they were received, and one word."""
    path, make = tmp_path / 'bag', RosbagsFactory()
    with BagWriter(path) as writer:
        writer.write(WORDS, make('std_msgs/msg/String', data='hello'), START_NS)
        for i in range(COUNT):
            received = START_NS + i * PERIOD_NS
            header = to_header(make, received - 3_000_000, 'cam0')
            image = make('sensor_msgs/msg/CompressedImage', header=header, format=f'{i}')
            writer.write(IMAGES, image, received)
    return path


@contextmanager
def listening(*topics):
    """Give the messages of ``topics`` that a thread receives, by topic."""
    node = rclpy.create_node('listening')
    heard = {topic: [] for topic in topics}
    for topic in topics:
        node.create_subscription(String if topic == WORDS else CompressedImage, topic, heard[topic].append, 100)
    with spinning(node):
        yield heard
    node.destroy_node()


def test_every_message_arrives_as_it_was(bag, node):
    with listening(IMAGES, WORDS) as heard:
        player = Player(node, bag)
        assert player.wait_for_subscribers(15.0) == []
        report = player.play(rate=4.0)
        until(lambda: len(heard[IMAGES]) == COUNT and heard[WORDS], 'all messages')
    assert [m.format for m in heard[IMAGES]] == [str(i) for i in range(COUNT)]
    assert [stamp_of(m) for m in heard[IMAGES]] == [START_NS + i * PERIOD_NS - 3_000_000 for i in range(COUNT)]
    assert heard[WORDS][0].data == 'hello'
    assert report.published == {IMAGES: COUNT, WORDS: 1}


def test_restamped_loops_go_on_in_time_at_the_rate(bag, node):
    rate = 8.0
    with listening(IMAGES) as heard:
        player = Player(node, bag, [IMAGES])
        player.wait_for_subscribers(15.0)
        report = player.play(rate=rate, loops=3, restamp=True)
        until(lambda: len(heard[IMAGES]) == 3 * COUNT, 'three loops')
    stamps = [stamp_of(m) for m in heard[IMAGES]]
    steps = {b - a for a, b in pairwise(stamps)}
    assert max(abs(step - PERIOD_NS / rate) for step in steps) <= 1
    # Acquired 3 ms before it was received, at this rate, and due when the playing began.
    assert abs(stamps[0] - report.origin_ns + round(3_000_000 / rate)) <= 2
    assert report.loop_ns == pytest.approx(COUNT * PERIOD_NS / rate, abs=2)


def test_the_time_of_the_bag_is_published_for_nodes_with_simulated_time(bag, node):
    listener = rclpy.create_node('listener', parameter_overrides=[Parameter('use_sim_time', value=True)])
    times, best = [], profile(1000, reliable=False)
    listener.create_subscription(Clock, '/clock', lambda m: times.append(m.clock.sec * 10**9 + m.clock.nanosec), best)
    with spinning(listener):
        player = Player(node, bag, [IMAGES])
        stop = threading.Event()
        thread = threading.Thread(target=player.play, kwargs={'loops': 0, 'rate': 0.5, 'clock': True, 'stop': stop})
        thread.start()
        # It runs, also between messages, and begins again with the next loop.
        until(lambda: len(times) > COUNT and any(later < earlier for earlier, later in pairwise(times)), 'two loops')
        assert START_NS <= listener.get_clock().now().nanoseconds < START_NS + COUNT * PERIOD_NS
        stop.set()
        thread.join()
    listener.destroy_node()
    assert all(START_NS <= ns < START_NS + COUNT * PERIOD_NS for ns in times)
    with pytest.raises(ConfigError, match='--clock is the time of the bag, --restamp that of playing it'):
        Player(node, bag).play(clock=True, restamp=True)


def test_a_bag_is_played_into_a_namespace(bag, node):
    with listening(f'/robot1{IMAGES}') as heard:
        player = Player(node, bag, [IMAGES], 'robot1')
        player.wait_for_subscribers(15.0)
        player.play(rate=10.0)
        until(lambda: len(heard[f'/robot1{IMAGES}']) == COUNT, 'all images')
    with pytest.raises(ConfigError, match="--namespace: received 'robot 1', expected letters"):
        Player(node, bag, [IMAGES], 'robot 1')


def test_endless_loop_ends_by_stop(bag, node):
    stop = threading.Event()
    player = Player(node, bag, [IMAGES])
    thread = threading.Thread(target=player.play, kwargs={'rate': 100.0, 'loops': 0, 'stop': stop})
    thread.start()
    until(lambda: player.report.published[IMAGES] > 5 * COUNT, 'five loops')
    stop.set()
    thread.join(10.0)
    assert not thread.is_alive()
    assert Player(node, bag, [IMAGES]).play(loops=0, stop=stop).published == {}


def test_refusals(bag, node, tmp_path):
    with pytest.raises(BagError, match="has no topic '/nowhere'; it has: /play/cam0"):
        Player(node, bag, ['/nowhere'])
    with pytest.raises(ConfigError, match='--rate: received 0'):
        Player(node, bag).play(rate=0.0)
    with pytest.raises(ConfigError, match=r"--regex: '\*'"):
        Recorder(node, Mock(), pattern='*')
    with BagWriter(tmp_path / 'foreign') as writer:
        writer.write('/tf', RosbagsFactory()('tf2_msgs/msg/TFMessage'), START_NS)
    try:
        import tf2_msgs.msg  # noqa: F401
    except ImportError:
        with pytest.raises(BagError, match=r'can be published: ROS message .tf2_msgs/msg/TFMessage. is not installed'):
            Player(node, tmp_path / 'foreign')


def test_subscribers_are_waited_for(bag, node):
    stop = threading.Event()
    assert Player(node, bag, [WORDS]).wait_for_subscribers(0.05) == [WORDS]
    with listening(IMAGES):
        # With a rig file, a node does not subscribe to camera_info and /tf_static.
        assert Player(node, bag).wait_for_subscribers(60.0, stop) == [WORDS]
    stop.set()
    assert Player(node, bag, [WORDS]).wait_for_subscribers(60.0, stop) == [WORDS]


@pytest.mark.slow
def test_a_loop_that_is_stopped_is_no_error(bag):
    player = subprocess.Popen(
        [sys.executable, '-m', 'geo_pose_ros.cli', 'play', str(bag), '--loop', '--wait', '60'],
        stderr=subprocess.PIPE, text=True,
    )
    with listening(IMAGES) as heard:
        until(lambda: heard[IMAGES], 'an image')
        player.send_signal(signal.SIGTERM)
        _, errors = player.communicate(timeout=30)
    assert player.returncode == 0, errors
    assert errors.splitlines()[-1].startswith('published ')


@pytest.mark.parametrize('command', [play, record])
def test_images_get_room_in_shared_memory(command, bag, monkeypatch):
    """The segment belongs to the sender, so that its process needs the profile."""
    for name in (
        'RMW_IMPLEMENTATION', 'FASTDDS_BUILTIN_TRANSPORTS', 'FASTDDS_DEFAULT_PROFILES_FILE',
        'FASTRTPS_DEFAULT_PROFILES_FILE', 'ROS_DISTRO',
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(rclpy, 'init', Mock(side_effect=BagError('that is enough')))
    out = bag.parent / 'recorded'
    arguments = argparse.Namespace(bag=bag, out=out, storage='mcap', overwrite=True, topics=[], regex='', report=None)
    with pytest.raises(BagError, match='enough'):
        command.run(arguments)
    assert os.environ['FASTDDS_DEFAULT_PROFILES_FILE'] == str(PROFILE)


def test_quality_of_service_follows_the_publishers():
    best, reliable, latched = profile(5, reliable=False), profile(5), profile(5, latched=True)
    assert subscription_qos([reliable, reliable]).reliability == ReliabilityPolicy.RELIABLE
    assert subscription_qos([reliable, best]).reliability == ReliabilityPolicy.BEST_EFFORT
    assert subscription_qos([latched]).durability == DurabilityPolicy.TRANSIENT_LOCAL
    assert subscription_qos([latched, reliable]).durability == DurabilityPolicy.VOLATILE
    assert publisher_qos([LATCHED_QOS]).durability == DurabilityPolicy.TRANSIENT_LOCAL
    assert publisher_qos([]).durability == DurabilityPolicy.VOLATILE
    assert publisher_qos([DEFAULT_QOS]).reliability == ReliabilityPolicy.RELIABLE


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_recorder_keeps_every_message_of_topics_that_appear_later(tmp_path, node, storage):
    talker = rclpy.create_node('talker')
    with BagWriter(tmp_path / 'bag', storage, keep_partial=True) as writer:
        recorder = Recorder(node, writer, pattern='/later/.*')
        assert recorder.subscriptions == {}
        with spinning(node):
            publisher = talker.create_publisher(String, '/later/words', profile(5, latched=True))
            ignored = talker.create_publisher(String, '/other/words', 10)
            # Of a type that Humble does not have.
            event = talker.create_publisher(ServiceEventInfo, '/later/event', profile(5, latched=True))
            until(lambda: publisher.get_subscription_count() and event.get_subscription_count(), 'the recorder')
            event.publish(ServiceEventInfo(sequence_number=7, client_gid=list(range(16))))
            sent = [f'{i}' for i in range(50)]
            for count, word in enumerate(sent, start=1):
                publisher.publish(String(data=word))
                until(lambda count=count: recorder.write(0.05) or recorder.recorded['/later/words'] == count, word)
            until(lambda: recorder.write(0.05) or recorder.recorded['/later/event'], 'the event')
        recorder.close()
        assert ignored.get_subscription_count() == 0
        assert recorder.failure is None and not recorder.lost
    talker.destroy_node()
    with BagReader(tmp_path / 'bag') as reader:
        assert [m.decode().data for m in reader.messages({'/later/words'})] == sent
        assert reader.offered_qos['/later/words'] == (LATCHED_QOS,)
        (heard,) = [m.decode() for m in reader.messages({'/later/event'})]
        assert heard.sequence_number == 7 and heard.client_gid.tolist() == list(range(16))


@pytest.mark.parametrize('kind', ['geometry_msgs/msg/PoseWithCovarianceStamped', 'sensor_msgs/msg/PointCloud2'])
def test_definitions_come_from_installed_classes(kind, monkeypatch):
    empty = copy(TYPESTORE)
    empty.fielddefs, empty.types, empty.cache = {}, {}, {}
    monkeypatch.setattr('geo_pose_ros.ros.io.message_factory.TYPESTORE', empty)
    found = definitions_of(kind)
    # It tells of all fields and of those of their types, without constants, which the classes do not list.
    assert found.hash_rihs01(kind) == TYPESTORE.hash_rihs01(kind)
    with pytest.raises(ConfigError, match='nowhere_msgs'):
        definitions_of('nowhere_msgs/msg/Nothing')


def test_what_the_disk_does_not_take_is_said(tmp_path, node):
    talker = rclpy.create_node('talker')
    publisher = talker.create_publisher(String, '/full/words', 10)
    with BagWriter(tmp_path / 'bag', 'sqlite3', keep_partial=True) as writer:
        recorder = Recorder(node, writer, ['/full/words'], room_bytes=100_000)
        with spinning(node):
            until(publisher.get_subscription_count, 'the recorder')
            # Nobody writes: what has no room is lost.
            until(lambda: publisher.publish(String(data='x' * 30_000)) or recorder.lost['/full/words'], 'a loss')
            recorder.write()
            assert recorder.recorded['/full/words'] == 3 and recorder.failure is None
            writer._writer.storage.conn.execute('PRAGMA max_page_count = 100')
            until(
                lambda: publisher.publish(String(data='x' * 30_000)) or recorder.write(0.05) or recorder.failure,
                'a failure',
            )
        recorder.close()
    assert 'cannot be written any further: database or disk is full' in str(recorder.failure)
    talker.destroy_node()
    with BagReader(tmp_path / 'bag') as reader:
        assert reader.topics['/full/words'].count == recorder.recorded['/full/words']


@pytest.mark.parametrize(('failure', 'lost', 'status'), [
    pytest.param(None, 0, 0, id='good'), pytest.param('it is full', 0, 1, id='full'),
    pytest.param(None, 3, 1, id='lost'),
])
def test_the_command_ends_with_the_status_of_its_recording(monkeypatch, capsys, failure, lost, status):
    done = SimpleNamespace(
        recorded=Counter(a=2), lost=Counter({'/a': lost} if lost else {}), subscriptions={},
        failure=failure and BagError(failure),
    )
    monkeypatch.setattr(record, 'record', lambda *_, **__: done)
    arguments = argparse.Namespace(out='o', storage='mcap', overwrite=False, topics=[], regex='')
    assert record.run(arguments) == status
    said = capsys.readouterr().err
    assert ('geo_pose: it is full' in said) == bool(failure) and ('lost: /a 3' in said) == bool(lost)


@pytest.mark.slow
@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_command_line_records_what_the_command_line_plays(bag, tmp_path, storage):
    out, report = tmp_path / 'out', tmp_path / 'report.json'
    command = [sys.executable, '-m', 'geo_pose_ros.cli']
    recorder = subprocess.Popen(
        [*command, 'record', '--out', str(out), '--storage', storage, '--topics', IMAGES, '/never'],
        stderr=subprocess.PIPE, env=os.environ,
    )
    done = subprocess.run(
        [*command, 'play', str(bag), '--topics', IMAGES, '--wait', '30', '--loop', '4', '--report', str(report)],
        capture_output=True, text=True, check=False, timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert f'published {4 * COUNT} messages' in done.stderr
    recorder.send_signal(signal.SIGINT)
    _, errors = recorder.communicate(timeout=30)
    # A topic that was asked for and never came is not passed over in silence.
    assert recorder.returncode == 1
    assert b'never published: /never' in errors
    with BagReader(out) as reader:
        assert reader.topics[IMAGES].count == 4 * COUNT
