# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Cameras and rig of a bag."""

from pathlib import Path

import numpy as np
import pytest

from geo_pose_ros.bags.cameras import choose_cameras, rig_from_bag
from geo_pose_ros.bags.info import estimate_drops, format_report, inspect_bag
from geo_pose_ros.bags.message_factory import RosbagsFactory
from geo_pose_ros.bags.read import BagReader
from geo_pose_ros.bags.write import BagWriter
from geo_pose_ros.errors import BagError, CalibrationError
from geo_pose_ros.geometry.rigid import compose, from_rotation_vector, invert
from geo_pose_ros.messages.transforms import to_transform
from geo_pose_ros.rigs.topics import CameraTopics, survey_cameras

from ..recorded import FRAMES, cut, damage, write_scene
from ..scenes import intrinsics, ring_rig

make = RosbagsFactory()


def write_empty_messages(path: Path, topics: dict[str, str], count: int = 1) -> None:
    with BagWriter(path) as writer:
        for topic, message_type in topics.items():
            writer.add_topic(topic, message_type)
            for number in range(count):
                writer.write(topic, make(message_type), number)


def test_cameras_by_topic_names(tmp_path):
    image, compressed = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'
    cloud = 'sensor_msgs/msg/PointCloud2'
    write_empty_messages(
        tmp_path / 'bag',
        {
            '/left/image_raw': image, '/left/camera_info': 'sensor_msgs/msg/CameraInfo',
            '/rig/right/image_raw/compressed': compressed, '/robot/pose_node/keypoints/top': cloud,
            '/side/keypoints': cloud, '/a/eye/image_raw': image, '/b/eye/image_raw': image,
            '/lidar/points': cloud, '/odd/image_raw': 'std_msgs/msg/String',
            '/alone/camera_info': 'sensor_msgs/msg/CameraInfo',
        },
    )  # fmt: skip
    with BagReader(tmp_path / 'bag') as reader:
        assert survey_cameras(reader.topics.values()).cameras == {
            'left': CameraTopics('left', '/left/image_raw', '/left/camera_info'),
            'right': CameraTopics('right', '/rig/right/image_raw/compressed'),
            'top': CameraTopics('top', keypoints='/robot/pose_node/keypoints/top'),
            'side': CameraTopics('side', keypoints='/side/keypoints'),
            'a_eye': CameraTopics('a_eye', '/a/eye/image_raw'),
            'b_eye': CameraTopics('b_eye', '/b/eye/image_raw'),
        }
        assert list(choose_cameras(reader, ['top', 'left'])) == ['top', 'left']
        with pytest.raises(BagError, match='has no camera middle; it has: a_eye, b_eye, left, right, side, top'):
            choose_cameras(reader, ['left', 'middle'])


def test_of_raw_and_compressed_the_fuller_topic(tmp_path):
    with BagWriter(tmp_path / 'bag') as writer:
        writer.write('/left/image_raw', make('sensor_msgs/msg/Image'), 0)
        for number in range(2):
            writer.write('/left/image_raw/compressed', make('sensor_msgs/msg/CompressedImage'), number)
        writer.add_topic('/right/image_raw', 'sensor_msgs/msg/Image')
    with BagReader(tmp_path / 'bag') as reader:
        found = survey_cameras(reader.topics.values()).cameras
    assert found == {'left': CameraTopics('left', '/left/image_raw/compressed')}


def test_bag_without_cameras(tmp_path):
    write_empty_messages(tmp_path / 'bag', {'/words': 'std_msgs/msg/String'})
    with BagReader(tmp_path / 'bag') as reader:
        with pytest.raises(BagError, match=r'has no camera: expected topics <camera>/image_raw, .*; it has: /words'):
            choose_cameras(reader)
        report = inspect_bag(reader)
        assert report.rig is None and not report.can_retrain and 'cameras: none' in format_report(reader, report)


def test_world_frame_may_be_chosen(tmp_path):
    """map -> base -> optical frame, in two messages: the root is map, but base may be the world too."""
    rig = ring_rig(1)
    map_from_base = from_rotation_vector(np.array([0.0, 0.0, 0.5]), np.array([1.0, 2.0, 3.0]))

    camera = rig.cameras[0]
    with BagWriter(tmp_path / 'bag') as writer:
        for transform in (
            to_transform(make, '/map', 'base', map_from_base, 0),
            to_transform(make, 'base', camera.frame_id, invert(camera.cam_from_world), 0),
        ):
            writer.write('/tf_static', make('tf2_msgs/msg/TFMessage', transforms=[transform]), 0)
        writer.write_lens(camera, 0)
        writer.write('/cam0/image_raw', make('sensor_msgs/msg/Image'), 0)
    with BagReader(tmp_path / 'bag') as reader:
        from_map = rig_from_bag(reader)
        assert from_map.world_frame_id == 'map'
        np.testing.assert_allclose(
            from_map['cam0'].cam_from_world, compose(camera.cam_from_world, invert(map_from_base)), atol=1e-12
        )
        from_base = rig_from_bag(reader, world_frame_id='base')
        np.testing.assert_allclose(from_base['cam0'].cam_from_world, camera.cam_from_world, atol=1e-12)
        with pytest.raises(CalibrationError, match="No transform joins 'odom' and 'cam0_optical_frame'"):
            rig_from_bag(reader, world_frame_id='odom')


def test_bag_without_camera_info(tmp_path):
    write_scene(tmp_path / 'bag', infos=False)
    with BagReader(tmp_path / 'bag') as reader:
        with pytest.raises(BagError, match=r'no camera_info of cam0, cam1, cam2; it has: .*or give the cali.* --rig'):
            rig_from_bag(reader)
        report = inspect_bag(reader)
    assert report.cameras['cam0'].calibration == 'no camera_info'
    assert report.rig is None and 'no camera_info' in report.rig_fault


def test_uncalibrated_camera_is_named(tmp_path):
    with BagWriter(tmp_path / 'bag') as writer:
        writer.write('/left/camera_info', make('sensor_msgs/msg/CameraInfo', width=640, height=480), 0)
        writer.write('/left/image_raw', make('sensor_msgs/msg/Image'), 0)
    with BagReader(tmp_path / 'bag') as reader:
        with pytest.raises(CalibrationError, match="Camera 'left': camera_info has K = 0; the driver is uncalibrated"):
            rig_from_bag(reader)
        report = inspect_bag(reader)
    assert 'the driver is uncalibrated' in report.cameras['left'].calibration


@pytest.mark.parametrize(
    ('stamps', 'rate', 'drops'),
    [([], 0.0, 0), ([5], 0.0, 0), ([0, 0], 0.0, 0), ([0, 20, 40, 60], 5e7, 0), ([60, 0, 20, 40], 5e7, 0),
     ([0, 20, 40, 100, 121, 140], 5e7, 2)],
)  # fmt: skip
def test_drop_estimate(stamps, rate, drops):
    assert estimate_drops(stamps) == (pytest.approx(rate), drops)


def test_report(tmp_path):
    write_scene(tmp_path / 'bag', clouds=True)
    with BagReader(tmp_path / 'bag') as reader:
        report = inspect_bag(reader)
        text = format_report(reader, report)
    assert report.can_retrain
    camera = report.cameras['cam1']
    assert (camera.frames, camera.rate_hz, camera.dropped) == (FRAMES, pytest.approx(50.0), 0)
    assert camera.topics.keypoints == '/pose_node/keypoints/cam1'
    lens = intrinsics()
    assert camera.calibration == f'{lens.width}x{lens.height} px, plumb_bob'
    assert '  /cam1/camera_info: 5 x sensor_msgs/msg/CameraInfo, 50.0/s' in text
    assert '  cam1: 5 images at 50.0/s, about 0 dropped; 1280x960 px, plumb_bob' in text
    assert text.endswith('geo_pose process: yes\ngeo_pose retrain: yes')


def test_report_of_a_damaged_bag(tmp_path, caplog):
    for name in ('cut', 'overwritten'):
        write_scene(tmp_path / name, frames=60)
    cut(tmp_path / 'cut' / 'cut.mcap', 0.8)
    damage(tmp_path / 'overwritten' / 'overwritten.mcap', 0.7, 30_000)
    for name in ('cut', 'overwritten'):
        with BagReader(tmp_path / name) as reader:
            report = inspect_bag(reader)
            text = format_report(reader, report)
        assert 10 < report.cameras['cam0'].frames < 60 and report.rig is not None
        assert ('cut.mcap is cut off: ' in text.splitlines()[1]) == (name == 'cut')
    assert 'is damaged after' in caplog.text
