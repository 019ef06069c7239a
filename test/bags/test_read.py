# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Bags are read in time order; every kind of damage says what is wrong, and costs no message before it."""

import shutil
import struct

import numpy as np
import pytest
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from geo_pose_ros.bags.message_factory import TYPESTORE, RosbagsFactory
from geo_pose_ros.bags.read import BagMessage, BagReader
from geo_pose_ros.bags.write import BagWriter
from geo_pose_ros.errors import BagError

from ..recorded import FRAMES, PERIOD_NS, START_NS, cut, damage, write_scene

STORAGES = ('mcap', 'sqlite3')
make = RosbagsFactory()


def big_bag(path, storage='mcap', messages=40, size=200_000):
    """Messages of 200 kB, so that the storage has many chunks or pages."""
    rng = np.random.default_rng(0)
    with BagWriter(path, storage) as writer:
        for number in range(messages):
            noise = rng.integers(0, 255, size, np.uint8)
            image = make('sensor_msgs/msg/CompressedImage', format=str(number), data=noise)
            writer.write('/cam/image_raw/compressed', image, number * 10)
    return path


def numbers(reader):
    return [int(message.decode().format) for message in reader.messages()]


@pytest.mark.parametrize('storage', STORAGES)
def test_topics_times_and_messages(tmp_path, storage):
    write_scene(tmp_path / 'bag', storage=storage)
    with BagReader(tmp_path / 'bag') as reader:
        assert reader.damage == ''
        assert (reader.start_ns, reader.end_ns) == (START_NS, START_NS + (FRAMES - 1) * PERIOD_NS)
        assert {t.name: (t.message_type, t.count) for t in reader.topics.values()} == {
            '/tf_static': ('tf2_msgs/msg/TFMessage', 1),
            **{f'/cam{i}/camera_info': ('sensor_msgs/msg/CameraInfo', FRAMES) for i in range(3)},
            **{f'/cam{i}/image_raw/compressed': ('sensor_msgs/msg/CompressedImage', FRAMES) for i in range(3)},
        }
        assert reader.offered_qos['/tf_static'][0].durability.name == 'TRANSIENT_LOCAL'
        times = [message.time_ns for message in reader.messages()]
        assert times == sorted(times) and len(times) == 1 + 6 * FRAMES
        one = list(reader.messages(['/cam1/camera_info']))
        assert [m.stamp_ns for m in one] == [START_NS + i * PERIOD_NS for i in range(FRAMES)]
        assert one[2].decode().header.stamp.nanosec == 2 * PERIOD_NS
        assert list(reader.messages([])) == [] and list(reader.messages(['/nothing'])) == []


def test_storage_file_alone_and_empty_bag(tmp_path):
    big_bag(tmp_path / 'bag', messages=3)
    with BagReader(tmp_path / 'bag' / 'bag.mcap') as reader:
        assert numbers(reader) == [0, 1, 2]
    with BagWriter(tmp_path / 'empty') as writer:
        writer.add_topic('/silent', 'std_msgs/msg/String')
    with BagReader(tmp_path / 'empty') as reader:
        assert (reader.start_ns, reader.end_ns, list(reader.messages())) == (0, 0, [])


@pytest.mark.parametrize('mode', [CompressionMode.STORAGE, CompressionMode.MESSAGE, CompressionMode.FILE])
def test_compressed_bags(tmp_path, mode):
    writer = Writer(tmp_path / 'bag', version=9, storage_plugin=StoragePlugin.MCAP)
    writer.set_compression(mode, CompressionFormat.ZSTD)
    text = make('std_msgs/msg/String', data='hi')
    with writer:
        connection = writer.add_connection('/words', 'std_msgs/msg/String', typestore=TYPESTORE)
        writer.write(connection, 5, TYPESTORE.serialize_cdr(text, 'std_msgs/msg/String'))
    with BagReader(tmp_path / 'bag') as reader:
        assert [m.decode().data for m in reader.messages()] == ['hi']


def test_damaged_messages():
    raw = b'\x00\x00\x00\x00' + struct.pack('>iI', 3, 4)
    assert BagMessage('/a', 'std_msgs/msg/Header', 0, raw, TYPESTORE).stamp_ns == 3_000_000_004
    with pytest.raises(BagError, match="A message of '/a' at 7 ns is damaged: A serialised message of 11 bytes"):
        _ = BagMessage('/a', 'std_msgs/msg/Header', 7, raw[:11], TYPESTORE).stamp_ns
    with pytest.raises(BagError, match=r"A message of '/a' \(std_msgs/msg/Header\) at 7 ns is damaged"):
        BagMessage('/a', 'std_msgs/msg/Header', 7, raw[:14], TYPESTORE).decode()


@pytest.mark.parametrize(
    ('name', 'content', 'message'),
    [
        ('nowhere', None, r'There is no bag at .*Give the folder that holds metadata\.yaml'),
        ('clip.mp4', '', r"clip\.mp4' is not a bag: expected a folder with metadata\.yaml, an \.mcap"),
        ('text.mcap', 'not a container at all, only some longer text in a file', 'cannot be read'),
        ('text.db3', 'not a database' * 100, r'cannot be read: file is not a database\. No message'),
    ],
)
def test_other_things_are_no_bag(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(BagError, match=message):
        BagReader(tmp_path / name)


def test_folders_without_messages_are_no_bag(tmp_path):
    bag = big_bag(tmp_path / 'bag', messages=2)
    (bag / 'bag.mcap').unlink()
    with pytest.raises(BagError, match=r'none of the files that its metadata\.yaml lists is beside it'):
        BagReader(bag)
    (bag / 'metadata.yaml').unlink()
    with pytest.raises(BagError, match=r"bag' is not a bag: it holds no metadata\.yaml"):
        BagReader(bag)


@pytest.mark.parametrize('metadata', ['', 'a: [', 'rosbag2_bagfile_information: {version: 99}'])
def test_bad_metadata_does_not_lose_the_messages(tmp_path, metadata, caplog):
    bag = big_bag(tmp_path / 'bag', messages=4)
    (bag / 'metadata.yaml').write_text(metadata)
    with BagReader(bag) as reader:
        assert numbers(reader) == [0, 1, 2, 3]
        assert 'the 4 messages of its first 0.000 s are read' in reader.damage
    assert reader.damage in caplog.text


@pytest.mark.parametrize(
    ('storage', 'fraction', 'metadata'),
    [('mcap', 0.6, False), ('mcap', 0.9999, True), ('sqlite3', 0.3, True), ('sqlite3', 0.95, False)],
)
def test_a_cut_bag_is_read_up_to_the_cut(tmp_path, storage, fraction, metadata, caplog):
    """A recorder that was killed leaves no metadata; a copy that broke off leaves metadata of the whole."""
    bag = big_bag(tmp_path / 'bag', storage)
    file = next(bag.glob('bag.*'))
    cut(file, fraction)
    if not metadata:
        (bag / 'metadata.yaml').unlink()
    size = file.stat().st_size
    with BagReader(bag) as reader:
        read = numbers(reader)
        # Chunks of 1 MiB: at most the six messages of the last one are lost.
        assert read == list(range(len(read))) and len(read) > 40 * fraction - 7
        assert f'{file.name} is cut off: ' in reader.damage or storage == 'sqlite3'
        assert f'the {len(read)} messages of its first' in reader.damage
        assert reader.topics['/cam/image_raw/compressed'].count == len(read)
    assert reader.damage in caplog.text
    assert file.stat().st_size == size


@pytest.mark.parametrize(('storage', 'size'), [('mcap', 0), ('mcap', 500), ('sqlite3', 4096)])
def test_a_bag_cut_before_its_first_message(tmp_path, storage, size):
    bag = big_bag(tmp_path / 'bag', storage, messages=6)
    file = next(bag.glob('bag.*'))
    file.write_bytes(file.read_bytes()[:size])
    with pytest.raises(BagError, match=r'cannot be read: .* No message before the damage can be recovered\. Copy the'):
        BagReader(bag)


def test_mcap_damaged_in_the_middle(tmp_path):
    bag = big_bag(tmp_path / 'bag')
    damage(bag / 'bag.mcap')
    read = []
    with BagReader(bag) as reader, pytest.raises(BagError, match=r'damaged after \d+ messages, 0\.000 s'):
        for message in reader.messages():
            read.append(message.time_ns)
    assert read == [10 * i for i in range(len(read))] and 10 <= len(read) < 25


def test_sqlite_damaged_in_the_middle(tmp_path):
    bag = big_bag(tmp_path / 'bag', 'sqlite3')
    damage(bag / 'bag.db3')
    with BagReader(bag) as reader:
        read = numbers(reader)
    assert read == list(range(len(read))) and 10 <= len(read) < 25


def test_split_recording_without_metadata(tmp_path):
    first, second = big_bag(tmp_path / 'a', messages=2), big_bag(tmp_path / 'b', messages=3)
    both = tmp_path / 'both'
    both.mkdir()
    shutil.copy(first / 'a.mcap', both / 'both_0.mcap')
    shutil.copy(second / 'b.mcap', both / 'both_1.mcap')
    with BagReader(both) as reader:
        assert sorted(numbers(reader)) == [0, 0, 1, 1, 2]
        assert reader.topics['/cam/image_raw/compressed'].count == 5


def test_topic_of_two_types(tmp_path):
    with Writer(tmp_path / 'bag', version=8, storage_plugin=StoragePlugin.MCAP) as writer:
        writer.add_connection('/mixed', 'std_msgs/msg/String', typestore=TYPESTORE)
        writer.add_connection('/mixed', 'std_msgs/msg/Header', typestore=TYPESTORE)
    with pytest.raises(BagError, match=r"Topic '/mixed' of .* holds std_msgs/msg/String and std_msgs/msg/Header"):
        BagReader(tmp_path / 'bag')


def test_mcap_without_usable_summary(tmp_path):
    bag = big_bag(tmp_path / 'bag', messages=12)
    file = bag / 'bag.mcap'
    whole = file.read_bytes()
    file.write_bytes(whole[:-28] + b'\xff' * 20 + whole[-8:])
    with BagReader(bag) as reader:
        assert numbers(reader) == list(range(12))
