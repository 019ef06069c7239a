# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Topics as cameras of `geo_pose calibrate --live`: images, lenses, and drivers that are not there."""

from dataclasses import replace

import numpy as np
import pytest

from geo_pose_ros.errors import BagError
from geo_pose_ros.messages.camera_info import uncalibrated_camera_info
from geo_pose_ros.ros.io.qos import profile
from geo_pose_ros.ros.tools import topic_cameras
from geo_pose_ros.ros.tools.topic_cameras import TopicCamera
from test.ros.harness import HEIGHT, MAKE, RIG, WIDTH, Cameras, until


@pytest.fixture
def cameras(node):
    running = Cameras(node, 'raw', profile(1), infos=True)
    running.start()
    yield running
    running.stop()


def test_a_topic_gives_its_newest_image_and_its_lens(node, cameras, monkeypatch):
    camera = TopicCamera(node, 'left', '/cam1/image_raw')
    frame = camera.read()
    assert (frame.camera, frame.image.shape) == ('left', (HEIGHT, WIDTH, 3))
    assert until(lambda: (newer := camera.read()).stamp_ns > frame.stamp_ns and newer, 'a newer image')
    np.testing.assert_allclose(camera.intrinsics.K, RIG['cam1'].intrinsics.K)
    cameras.silence('cam1')
    monkeypatch.setattr(topic_cameras, 'SILENT_S', 0.1)
    with pytest.raises(BagError, match="Camera 'left' gives no image on '/cam1/image_raw' any more"):
        while True:
            camera.read()


def test_a_lens_of_another_size_is_refused_and_one_without_numbers_is_none(node, cameras, monkeypatch):
    cameras.info['cam1'] = lambda stamp: uncalibrated_camera_info(MAKE, WIDTH, HEIGHT, stamp, 'cam1')
    until(lambda: TopicCamera(node, 'left', '/cam1/image_raw').intrinsics is None, 'K of zeros')
    camera = TopicCamera(node, 'other', '/cam2/image_raw')
    camera.intrinsics = replace(camera.intrinsics, width=2 * WIDTH)
    monkeypatch.setattr(topic_cameras, 'SILENT_S', 0.3)
    with pytest.raises(BagError, match=f"Camera 'other'.* images are {WIDTH}x{HEIGHT} px, its calibration is of"):
        camera.read()


@pytest.mark.parametrize(('topic', 'received'), [
    ('/nobody/image_raw', 'nothing'), ('/cam1/camera_info', 'sensor_msgs/msg/CameraInfo'),
], ids=['no driver', 'no images'])
def test_a_topic_without_images_is_refused(node, cameras, monkeypatch, topic, received):
    until(lambda: node.count_publishers('/cam1/camera_info'), 'the driver')
    monkeypatch.setattr(topic_cameras, 'SILENT_S', 0.1)
    with pytest.raises(BagError, match=f"received {received} on '{topic}', expected images"):
        TopicCamera(node, 'left', topic)
