"""Bags are read in time order; every kind of damage says what is wrong, and costs no message before it."""

import shutil
import struct

import numpy as np
import pytest
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from geo_pose_ros.bags.message_factory import TYPESTORE, RosbagsFactory
from geo_pose_ros.bags.read import BagReader
from geo_pose_ros.bags.write import BagWriter
from geo_pose_ros.errors import BagError

from ..recorded import FRAMES, PERIOD_NS, START_NS, write_scene

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


def test_big_endian_stamp(tmp_path):
    from geo_pose_ros.bags.read import BagMessage

    raw = b'\x00\x00\x00\x00' + struct.pack('>iI', 3, 4)
    assert BagMessage('/a', 'std_msgs/msg/Header', 0, raw, TYPESTORE).stamp_ns == 3_000_000_004
    with pytest.raises(BagError, match="A message of '/a' at 7 ns is damaged: 11 bytes long"):
        _ = BagMessage('/a', 'std_msgs/msg/Header', 7, raw[:11], TYPESTORE).stamp_ns
    with pytest.raises(BagError, match=r"A message of '/a' \(std_msgs/msg/Header\) at 7 ns is damaged"):
        BagMessage('/a', 'std_msgs/msg/Header', 7, raw[:14], TYPESTORE).decode()


def test_no_bag(tmp_path):
    with pytest.raises(BagError, match=r"There is no bag at .*Give the folder that holds metadata\.yaml"):
        BagReader(tmp_path / 'nowhere')


def test_other_things_are_no_bag(tmp_path):
    (tmp_path / 'old.bag').write_bytes(b'#ROSBAG V2.0\n')
    with pytest.raises(BagError, match=r'is a ROS 1 bag\. Convert it: rosbags-convert'):
        BagReader(tmp_path / 'old.bag')
    (tmp_path / 'clip.mp4').write_bytes(b'')
    with pytest.raises(BagError, match=r"clip\.mp4' is not a bag: expected a folder with metadata\.yaml"):
        BagReader(tmp_path / 'clip.mp4')
    (tmp_path / 'folder').mkdir()
    with pytest.raises(BagError, match=r"folder' is not a bag: it holds no metadata\.yaml"):
        BagReader(tmp_path / 'folder')
    (tmp_path / 'text.mcap').write_text('not a container at all, only some longer text in a file')
    with pytest.raises(BagError, match='cannot be read'):
        BagReader(tmp_path / 'text.mcap')
    (tmp_path / 'text.db3').write_text('not a database' * 100)
    with pytest.raises(BagError, match=r'cannot be read: file is not a database\. No message'):
        BagReader(tmp_path / 'text.db3')


@pytest.mark.parametrize('metadata', ['', 'a: [', 'rosbag2_bagfile_information: {version: 99}'])
def test_bad_metadata_does_not_lose_the_messages(tmp_path, metadata, caplog):
    bag = big_bag(tmp_path / 'bag', messages=4)
    (bag / 'metadata.yaml').write_text(metadata)
    with BagReader(bag) as reader:
        assert numbers(reader) == [0, 1, 2, 3]
        assert 'the 4 messages of its first 0.000 s are read' in reader.damage
    assert reader.damage in caplog.text


@pytest.mark.parametrize(('fraction', 'metadata'), [(0.3, True), (0.6, False), (0.9999, True)])
def test_cut_mcap_is_read_up_to_the_cut(tmp_path, fraction, metadata, caplog):
    """A recorder that was killed leaves no metadata; a copy that broke off leaves metadata of the whole."""
    bag = big_bag(tmp_path / 'bag')
    file = bag / 'bag.mcap'
    whole = file.read_bytes()
    file.write_bytes(whole[: int(len(whole) * fraction)])
    if not metadata:
        (bag / 'metadata.yaml').unlink()
    with BagReader(bag) as reader:
        read = numbers(reader)
        # Chunks of 1 MiB: at most the six messages of the last one are lost.
        assert read == list(range(len(read))) and len(read) > 40 * fraction - 7
        assert 'bag.mcap is cut off: ' in reader.damage and f'the {len(read)} messages of its first' in reader.damage
        assert reader.topics['/cam/image_raw/compressed'].count == len(read)
    assert 'is cut off' in caplog.text


def test_cut_mcap_of_compressed_chunks(tmp_path):
    writer = Writer(tmp_path / 'bag', version=8, storage_plugin=StoragePlugin.MCAP)
    writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
    rng = np.random.default_rng(0)
    with writer:
        connection = writer.add_connection('/words', 'std_msgs/msg/String', typestore=TYPESTORE)
        for number in range(40):
            noise = rng.integers(97, 120, 200_000, np.uint8).tobytes().decode()
            text = make('std_msgs/msg/String', data=f'{number} {noise}')
            writer.write(connection, number, TYPESTORE.serialize_cdr(text, 'std_msgs/msg/String'))
    file = tmp_path / 'bag' / 'bag.mcap'
    whole = file.read_bytes()
    file.write_bytes(whole[: int(len(whole) * 0.6)])
    with BagReader(tmp_path / 'bag') as reader:
        read = [int(message.decode().data.split()[0]) for message in reader.messages()]
    assert read == list(range(len(read))) and 17 < len(read) <= 24


@pytest.mark.parametrize('size', [0, 8, 500])
def test_mcap_cut_before_its_first_message(tmp_path, size):
    bag = big_bag(tmp_path / 'bag')
    file = bag / 'bag.mcap'
    file.write_bytes(file.read_bytes()[:size])
    with pytest.raises(BagError, match=r'cannot be read: .* No message before the damage can be recovered\. Copy the'):
        BagReader(bag)


def test_mcap_without_usable_summary(tmp_path):
    bag = big_bag(tmp_path / 'bag')
    file = bag / 'bag.mcap'
    whole = file.read_bytes()
    file.write_bytes(whole[:-28] + b'\xff' * 20 + whole[-8:])
    with BagReader(bag) as reader:
        assert numbers(reader) == list(range(40))


def test_metadata_without_files(tmp_path):
    bag = big_bag(tmp_path / 'bag', messages=2)
    (bag / 'bag.mcap').unlink()
    with pytest.raises(BagError, match=r'cannot be read: '):
        BagReader(bag)


def test_mcap_damaged_in_the_middle(tmp_path):
    bag = big_bag(tmp_path / 'bag')
    file = bag / 'bag.mcap'
    data = bytearray(file.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 300_000] = b'\xff' * 300_000
    file.write_bytes(data)
    read = []
    with BagReader(bag) as reader, pytest.raises(BagError, match=r'damaged after \d+ messages, 0\.000 s'):
        for message in reader.messages():
            read.append(message.time_ns)
    assert read == [10 * i for i in range(len(read))] and 10 <= len(read) < 25


@pytest.mark.parametrize('fraction', [0.3, 0.95])
def test_cut_sqlite_is_read_up_to_the_cut(tmp_path, fraction):
    bag = big_bag(tmp_path / 'bag', 'sqlite3')
    file = bag / 'bag.db3'
    whole = file.read_bytes()
    file.write_bytes(whole[: int(len(whole) * fraction)])
    with BagReader(bag) as reader:
        read = numbers(reader)
        assert read == list(range(len(read))) and 40 * fraction - 3 < len(read) < 40
        assert 'bag.db3: ' in reader.damage and f'the {len(read)} messages of its first' in reader.damage
    assert file.stat().st_size == int(len(whole) * fraction)


def test_sqlite_damaged_in_the_middle(tmp_path):
    bag = big_bag(tmp_path / 'bag', 'sqlite3')
    file = bag / 'bag.db3'
    data = bytearray(file.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 300_000] = b'\xff' * 300_000
    file.write_bytes(data)
    with BagReader(bag) as reader:
        read = numbers(reader)
    assert read == list(range(len(read))) and 10 <= len(read) < 25


def test_sqlite_cut_before_its_first_message(tmp_path):
    bag = big_bag(tmp_path / 'bag', 'sqlite3')
    file = bag / 'bag.db3'
    file.write_bytes(file.read_bytes()[:4096])
    with pytest.raises(BagError, match=r'cannot be read: .* No message before the damage can be recovered'):
        BagReader(bag)


def test_sqlite_without_metadata(tmp_path):
    bag = big_bag(tmp_path / 'bag', 'sqlite3', messages=3)
    (bag / 'metadata.yaml').unlink()
    with BagReader(bag) as reader:
        assert numbers(reader) == [0, 1, 2] and 'is damaged' in reader.damage


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
