"""Playing and recording over live rclpy; schedules are checked on stamps, not on the wall clock."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import threading
from itertools import pairwise
from pathlib import Path

import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import String

from geo_pose_ros.bags.message_factory import RosbagsFactory
from geo_pose_ros.bags.read import BagReader
from geo_pose_ros.bags.write import DEFAULT_QOS, LATCHED_QOS, BagWriter
from geo_pose_ros.commands.live import play, record
from geo_pose_ros.errors import BagError, ConfigError
from geo_pose_ros.messages.stamps import stamp_of, to_header
from geo_pose_ros.ros.io.middleware import PROFILE
from geo_pose_ros.ros.tools.play import Player, publisher_qos
from geo_pose_ros.ros.tools.record import Recorder, subscription_qos
from test.ros.harness import until

IMAGES, WORDS = '/play/cam0/image_raw/compressed', '/play/words'
PERIOD_NS = 20_000_000
START_NS = 1_700_000_000_000_000_000
COUNT = 10


@pytest.fixture
def bag(tmp_path: Path) -> Path:
    """Ten pictures 20 ms apart, stamped 3 ms before they were received, and one word."""
    path, make = tmp_path / 'bag', RosbagsFactory()
    with BagWriter(path) as writer:
        writer.write(WORDS, make('std_msgs/msg/String', data='hello'), START_NS)
        for i in range(COUNT):
            received = START_NS + i * PERIOD_NS
            header = to_header(make, received - 3_000_000, 'cam0')
            image = make('sensor_msgs/msg/CompressedImage', header=header, format=f'{i}')
            writer.write(IMAGES, image, received)
    return path


class Heard:
    """Subscribes and spins in a thread."""

    def __init__(self, *topics):
        self.node = rclpy.create_node('heard')
        self.images, self.words = [], []
        if IMAGES in topics:
            self.node.create_subscription(CompressedImage, IMAGES, self.images.append, 100)
        if WORDS in topics:
            self.node.create_subscription(String, WORDS, self.words.append, 100)
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.node)
        self.thread = threading.Thread(target=self.executor.spin, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.executor.shutdown()
        self.thread.join()
        self.node.destroy_node()


@pytest.fixture
def node():
    made = rclpy.create_node('player')
    yield made
    made.destroy_node()


def test_every_message_arrives_as_it_was(bag, node):
    with Heard(IMAGES, WORDS) as heard:
        player = Player(node, bag)
        assert player.wait_for_subscribers(15.0) == []
        report = player.play(rate=4.0)
        until(lambda: len(heard.images) == COUNT and heard.words, 'all messages')
    assert [m.format for m in heard.images] == [str(i) for i in range(COUNT)]
    assert [stamp_of(m) for m in heard.images] == [START_NS + i * PERIOD_NS - 3_000_000 for i in range(COUNT)]
    assert heard.words[0].data == 'hello'
    assert report.published == {IMAGES: COUNT, WORDS: 1}


def test_restamped_loops_go_on_in_time_at_the_rate(bag, node):
    rate = 8.0
    with Heard(IMAGES) as heard:
        player = Player(node, bag, [IMAGES])
        player.wait_for_subscribers(15.0)
        report = player.play(rate=rate, loops=3, restamp=True)
        until(lambda: len(heard.images) == 3 * COUNT, 'three loops')
    stamps = [stamp_of(m) for m in heard.images]
    steps = {b - a for a, b in pairwise(stamps)}
    assert max(abs(step - PERIOD_NS / rate) for step in steps) <= 1
    # Acquired 3 ms before it was received, at this rate, and due when the playing began.
    assert abs(stamps[0] - report.origin_ns + round(3_000_000 / rate)) <= 2
    assert report.loop_ns == pytest.approx(COUNT * PERIOD_NS / rate, abs=2)


def test_start_skips_and_stop_stops(bag, node):
    with Heard(IMAGES) as heard:
        player = Player(node, bag, [IMAGES])
        player.wait_for_subscribers(15.0)
        player.play(start_s=0.1, rate=10.0)
        until(lambda: len(heard.images) == 5, 'the second half')
        assert [m.format for m in heard.images] == ['5', '6', '7', '8', '9']
    stop = threading.Event()
    stop.set()
    assert Player(node, bag, [IMAGES]).play(loops=0, stop=stop).published == {}


def test_endless_loop_ends_by_stop(bag, node):
    stop = threading.Event()
    player = Player(node, bag, [IMAGES])
    thread = threading.Thread(target=player.play, kwargs={'rate': 100.0, 'loops': 0, 'stop': stop})
    thread.start()
    until(lambda: player.report.published[IMAGES] > 5 * COUNT, 'five loops')
    stop.set()
    thread.join(10.0)
    assert not thread.is_alive()


def test_refusals(bag, node, tmp_path):
    with pytest.raises(BagError, match="has no topic '/nowhere'; it has: /play/cam0"):
        Player(node, bag, ['/nowhere'])
    with pytest.raises(ConfigError, match='--rate: received 0'):
        Player(node, bag).play(rate=0.0)
    with pytest.raises(ConfigError, match=r'--start: received 9.0 s, expected 0 .. 0\.180 s'):
        Player(node, bag).play(start_s=9.0)
    with BagWriter(tmp_path / 'foreign') as writer:
        writer.write('/tf', RosbagsFactory()('tf2_msgs/msg/TFMessage'), START_NS)
    try:
        import tf2_msgs.msg  # noqa: F401
    except ImportError:
        with pytest.raises(BagError, match=r'can be published: ROS message .tf2_msgs/msg/TFMessage. is not installed'):
            Player(node, tmp_path / 'foreign')


def test_nobody_listening_is_told(bag, node):
    assert Player(node, bag, [WORDS]).wait_for_subscribers(0.05) == [WORDS]


def test_topics_that_nobody_needs_are_not_waited_for(bag, node):
    """With a rig file, a node does not subscribe to camera_info and /tf_static."""
    with Heard(IMAGES):
        player = Player(node, bag)
        assert player.wait_for_subscribers(60.0) == [WORDS]


def test_waiting_can_be_stopped(bag, node):
    stop = threading.Event()
    stop.set()
    assert Player(node, bag, [WORDS]).wait_for_subscribers(60.0, stop) == [WORDS]


@pytest.mark.slow
def test_a_loop_that_is_stopped_is_no_error(bag):
    player = subprocess.Popen(
        [sys.executable, '-m', 'geo_pose_ros.cli', 'play', str(bag), '--loop', '--wait', '60'],
        stderr=subprocess.PIPE, text=True,
    )
    with Heard(IMAGES) as heard:
        until(lambda: heard.images, 'a picture')
        player.send_signal(signal.SIGTERM)
        _, errors = player.communicate(timeout=30)
    assert player.returncode == 0, errors
    assert errors.splitlines()[-1].startswith('published ')


@pytest.mark.parametrize('command', [play, record])
def test_pictures_get_room_in_shared_memory(command, bag, monkeypatch):
    """The segment belongs to the sender, so that its process needs the profile."""
    for name in ('RMW_IMPLEMENTATION', 'FASTDDS_BUILTIN_TRANSPORTS', 'FASTDDS_DEFAULT_PROFILES_FILE'):
        monkeypatch.delenv(name, raising=False)
    seen = []

    def init(**options):
        seen.append(os.environ['FASTDDS_DEFAULT_PROFILES_FILE'])
        raise BagError('that is enough')

    monkeypatch.setattr(rclpy, 'init', init)
    out = bag.parent / 'recorded'
    arguments = argparse.Namespace(bag=bag, out=out, storage='mcap', overwrite=True, topics=[], regex='', duration=0.0)
    with pytest.raises(BagError, match='enough'):
        command.run(arguments)
    assert seen == [str(PROFILE)]


def profile(reliability, durability=DurabilityPolicy.VOLATILE):
    return QoSProfile(depth=5, reliability=reliability, durability=durability)


def test_quality_of_service_follows_the_publishers():
    best, reliable = profile(ReliabilityPolicy.BEST_EFFORT), profile(ReliabilityPolicy.RELIABLE)
    latched = profile(ReliabilityPolicy.RELIABLE, DurabilityPolicy.TRANSIENT_LOCAL)
    assert subscription_qos([reliable, reliable]).reliability == ReliabilityPolicy.RELIABLE
    assert subscription_qos([reliable, best]).reliability == ReliabilityPolicy.BEST_EFFORT
    assert subscription_qos([latched]).durability == DurabilityPolicy.TRANSIENT_LOCAL
    assert subscription_qos([latched, reliable]).durability == DurabilityPolicy.VOLATILE
    assert publisher_qos([LATCHED_QOS]).durability == DurabilityPolicy.TRANSIENT_LOCAL
    assert publisher_qos([]).durability == DurabilityPolicy.VOLATILE
    assert publisher_qos([DEFAULT_QOS]).reliability == ReliabilityPolicy.RELIABLE


def test_recorder_keeps_every_message_of_topics_that_appear_later(tmp_path, node):
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    talker = rclpy.create_node('talker')
    with BagWriter(tmp_path / 'bag', keep_partial=True) as writer:
        recorder = Recorder(node, writer, pattern='/later/.*')
        assert recorder.subscribed == frozenset()
        latched = profile(ReliabilityPolicy.RELIABLE, DurabilityPolicy.TRANSIENT_LOCAL)
        publisher = talker.create_publisher(String, '/later/words', latched)
        ignored = talker.create_publisher(String, '/other/words', 10)
        until(lambda: executor.spin_once(timeout_sec=0.05) or publisher.get_subscription_count(), 'the recorder')
        sent = [f'{i}' for i in range(50)]
        for word in sent:
            publisher.publish(String(data=word))
            executor.spin_once(timeout_sec=1.0)
        until(lambda: executor.spin_once(timeout_sec=0.05) or recorder.recorded['/later/words'] == 50, 'fifty words')
        recorder.close()
        assert ignored.get_subscription_count() == 0
    talker.destroy_node()
    executor.shutdown()
    with BagReader(tmp_path / 'bag') as reader:
        assert [m.decode().data for m in reader.messages()] == sent
        assert reader.offered_qos['/later/words'] == (LATCHED_QOS,)


def test_recorder_refuses_a_broken_expression(tmp_path, node):
    with BagWriter(tmp_path / 'bag', keep_partial=True) as writer, pytest.raises(ConfigError, match=r"--regex: '\*'"):
        Recorder(node, writer, pattern='*')


@pytest.mark.slow
def test_command_line_records_what_the_command_line_plays(bag, tmp_path):
    out, report = tmp_path / 'out', tmp_path / 'report.json'
    command = [sys.executable, '-m', 'geo_pose_ros.cli']
    recorder = subprocess.Popen(
        [*command, 'record', '--out', str(out), '--topics', IMAGES, '/never'], stderr=subprocess.PIPE, env=os.environ
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
