# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Recordings of ROS 1 are read as those of ROS 2, whatever holds them; what is no bag is named."""

import struct

import numpy as np
import pytest
from rosbags.convert.commands import command
from rosbags.rosbag1 import Writer as Ros1Writer
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from geo_pose_ros.bags.cameras import rig_from_bag
from geo_pose_ros.bags.message_factory import RosbagsFactory
from geo_pose_ros.bags.read import BagReader
from geo_pose_ros.bags.storage.kinds import is_bag
from geo_pose_ros.bags.write import BagWriter
from geo_pose_ros.errors import BagError
from geo_pose_ros.messages.image import frame_from_message

from ..recorded import START_NS, write_scene
from ..scenes import intrinsics

ROS1 = get_typestore(Stores.ROS1_NOETIC)
for tf in ('tf2_msgs/msg/TFMessage', 'tf/msg/tfMessage'):
    ROS1.register(get_types_from_msg('geometry_msgs/TransformStamped[] transforms', tf))
make = RosbagsFactory(ROS1)


def ros1_messages():
    """Yield topic, type and message: a camera 2 m above the origin of 'map', which looks down; one image."""
    stamp = make('builtin_interfaces/msg/Time', sec=START_NS // 10**9, nanosec=5)
    header = make('std_msgs/msg/Header', seq=7, stamp=stamp, frame_id='/eye')
    lens = intrinsics()
    yield '/eye/camera_info', 'sensor_msgs/msg/CameraInfo', make(
        'sensor_msgs/msg/CameraInfo', header=header, width=lens.width, height=lens.height,
        distortion_model='plumb_bob', D=lens.D, K=lens.K.ravel(),
    )
    transform = make('geometry_msgs/msg/TransformStamped', child_frame_id='eye')
    transform.header.frame_id, transform.transform.translation.z, transform.transform.rotation.x = 'map', 2.0, 1.0
    yield '/tf_static', 'tf2_msgs/msg/TFMessage', make('tf2_msgs/msg/TFMessage', transforms=[transform])
    pixels = np.full(lens.width * lens.height, 90, np.uint8)
    yield '/eye/image_raw', 'sensor_msgs/msg/Image', make(
        'sensor_msgs/msg/Image', header=header, height=lens.height, width=lens.width, encoding='mono8',
        step=lens.width, data=pixels,
    )


def ros1_bag(path):
    with Ros1Writer(path) as writer:
        for topic, kind, message in ros1_messages():
            connection = writer.add_connection(topic, kind, typestore=ROS1)
            writer.write(connection, START_NS, bytes(ROS1.serialize_ros1(message, kind)))
    return path


def ros1_mcap(folder):
    """Return an MCAP of ROS 1: one of ROS 2 with the other's messages, definitions, and words in header and summary."""
    with Writer(folder, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        for topic, kind, message in ros1_messages():
            connection = writer.add_connection(topic, kind, typestore=ROS1)
            writer.write(connection, START_NS, bytes(ROS1.serialize_ros1(message, kind)))
    (file,) = folder.glob('*.mcap')
    data = file.read_bytes().replace(b'ros2', b'ros1', 1)
    (summary,) = struct.unpack('<Q', data[-28:-20])
    path = folder.parent / 'ros1.mcap'
    path.write_bytes(data[:summary] + data[summary:].replace(b'ros2msg', b'ros1msg'))
    return path


def converted(path):
    """As `rosbags-convert --src in.bag --dst in` does: the definitions stay those of ROS 1."""
    assert not command([ros1_bag(path.with_suffix('.bag'))], path)
    return path


@pytest.mark.parametrize(
    ('kind', 'name'), [(ros1_bag, 'in.bag'), (ros1_mcap, 'folder'), (converted, 'as_is')], ids=['bag', 'mcap', 'copied']
)
def test_ros1_is_read_as_ros2(tmp_path, kind, name, caplog):
    with BagReader(kind(tmp_path / name)) as reader:
        assert {topic.name: topic.message_type for topic in reader.topics.values()} == {
            '/eye/camera_info': 'sensor_msgs/msg/CameraInfo', '/tf_static': 'tf2_msgs/msg/TFMessage',
            '/eye/image_raw': 'sensor_msgs/msg/Image',
        }
        camera = rig_from_bag(reader).cameras[0]
        (message,) = reader.messages(['/eye/image_raw'])
    assert (camera.name, camera.frame_id) == ('eye', 'eye')
    np.testing.assert_array_equal(camera.intrinsics.K, intrinsics().K)
    np.testing.assert_allclose(camera.position_m, [0, 0, 2])
    frame = frame_from_message(message.decode(), 'eye', camera.intrinsics)
    assert frame.stamp_ns == START_NS + 5 and (frame.image == 90).all()
    assert caplog.text == ''


def test_the_old_tf_of_ros1_is_tf(tmp_path):
    with Ros1Writer(tmp_path / 'a.bag') as writer:
        connection = writer.add_connection('/tf', 'tf/msg/tfMessage', typestore=ROS1)
        writer.write(connection, 1, bytes(ROS1.serialize_ros1(make('tf/msg/tfMessage'), 'tf/msg/tfMessage')))
    with BagReader(tmp_path / 'a.bag') as reader:
        assert reader.topics['/tf'].message_type == 'tf2_msgs/msg/TFMessage'
        assert next(reader.messages(['/tf'])).decode().transforms == []


def test_broken_recordings_of_ros1(tmp_path):
    path = ros1_mcap(tmp_path / 'bag')
    data = path.read_bytes()
    path.write_bytes(data[:-28] + bytes(8) + data[-20:])
    with pytest.raises(BagError, match=r'of ROS 1 whose message definitions are not in its summary\. .*mcap recover'):
        BagReader(path)
    path.write_bytes(data.replace(b'ros1', b'fox ', 1))
    with pytest.raises(BagError, match=r"an MCAP of another system \(profile 'fox '\), not of ROS"):
        BagReader(path)
    bag = ros1_bag(tmp_path / 'a.bag')
    bag.write_bytes(bag.read_bytes()[:5000])
    with pytest.raises(BagError, match=r"a\.bag' cannot be read: .* Mend it in ROS 1: rosbag reindex"):
        BagReader(bag)
    bag.rename(tmp_path / 'a.bag.active')
    with pytest.raises(BagError, match=r'a bag of ROS 1 that was not closed\. Mend it in ROS 1: rosbag reindex'):
        BagReader(tmp_path / 'a.bag.active')


@pytest.mark.parametrize(
    ('name', 'content', 'message'),
    [
        ('x.mcap.zstd', b'\x28\xb5\x2f\xfd', r'compressed as a whole\. Unpack it: zstd -d .*zstd, and give .*x\.mcap'),
        ('x.mcap', b'\x28\xb5\x2f\xfd', r'compressed as a whole'),
        ('x.bag.gz', b'\x1f\x8b', r'with gzip\. Unpack it: gunzip -k'),
        ('x.mp4', b'\0\0\0\x20ftypisom', r'is a video\. Make a bag of it: geo_pose import --videos'),
        ('old.bag', b'#ROSBAG V1.1', 'rosbag fix'),
        ('bag/metadata.yaml', b'a: 1', r'is the metadata of a bag\. Give its folder: .*bag'),
    ],
)  # fmt: skip
def test_what_is_no_bag_is_named(tmp_path, name, content, message):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BagError, match=message):
        BagReader(tmp_path / name)


def test_folders_that_are_no_bag_are_named(tmp_path):
    packed = tmp_path / 'packed'
    packed.mkdir()
    (packed / 'a.mcap.zstd').touch()
    with pytest.raises(BagError, match=r'compressed as a whole\. Unpack them: zstd -d .*packed/\*\.zstd --rm'):
        BagReader(packed)
    write_scene(tmp_path / 'bags' / 'one')
    with pytest.raises(BagError, match=r'is not a bag, but holds some\. Give one of them: .*one'):
        BagReader(tmp_path / 'bags')
    (tmp_path / 'old').mkdir()
    ros1_bag(tmp_path / 'old' / 'a.bag')
    with pytest.raises(BagError, match=r'holds bags of ROS 1\. Give one of them: .*a\.bag'):
        BagReader(tmp_path / 'old')
    assert not is_bag(tmp_path / 'old') and not is_bag(tmp_path / 'old' / 'a.bag') and is_bag(tmp_path / 'bags' / 'one')


def test_frames_without_stamps_get_the_time_received(tmp_path, caplog):
    """Said once; a simulation's first stamp may be 0."""
    ros2 = RosbagsFactory()
    with BagWriter(tmp_path / 'bag') as writer:
        for number in range(3):
            writer.write('/a/image_raw', ros2('sensor_msgs/msg/Image'), START_NS + number)
            image = ros2('sensor_msgs/msg/Image')
            image.header.stamp.nanosec = 10 * number
            writer.write('/b/image_raw', image, START_NS + number)
    with BagReader(tmp_path / 'bag') as reader:
        for _ in range(2):
            found = [(message.topic[1], message.stamp_ns) for message in reader.messages()]
        decoded = next(reader.messages(['/a/image_raw'])).decode()
        assert reader.unstamped == {'/a/image_raw'}
    assert sorted(found) == [*(('a', START_NS + n) for n in range(3)), ('b', 0), ('b', 10), ('b', 20)]
    assert decoded.header.stamp.sec == START_NS // 10**9
    assert caplog.text.count("Topic '/a/image_raw': its stamps are 0; the time of arrival stands for them.") == 1
