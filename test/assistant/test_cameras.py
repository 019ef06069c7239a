# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Cameras by OpenCV: names, videos in their place, devices that cannot be opened or fall silent."""

import cv2
import numpy as np
import pytest

from geo_pose_ros.assistant import cameras as module
from geo_pose_ros.assistant.cameras import LiveCameras, is_topic, parse_sources
from geo_pose_ros.errors import BagError, ConfigError

from ..videos import HEIGHT, WIDTH, write_two_videos


def test_cameras_have_names():
    words = ['left=0', '2', 'walk/cam 3.mp4', 'rtsp://host/door?a=b', 'hall=rtsp://host/2', '/lab/cam1/image_raw']
    assert parse_sources(words) == {
        'left': '0', 'camera2': '2', 'cam_3': 'walk/cam 3.mp4', 'door_a_b': 'rtsp://host/door?a=b',
        'hall': 'rtsp://host/2', 'cam1': '/lab/cam1/image_raw'}
    assert is_topic('/lab/cam1/image_raw')
    assert not any(map(is_topic, ('/dev/video0', '/tmp/no.mp4', '/tmp/no', '/cam 1/image', 'cam1/x')))
    with pytest.raises(ConfigError, match="two cameras are called 'a'; name them"):
        parse_sources(['a=0', 'a=1'])


def test_videos_stand_in_for_cameras(tmp_path):
    folder = write_two_videos(tmp_path, 'rig.yaml')
    with LiveCameras({name: str(folder / f'{name}.mp4') for name in ('cam0', 'cam1')}) as cameras:
        read = list(iter(cameras.read, None))
    assert [frames['cam1'].stamp_ns for frames in read] == [0, 40_000_000, 80_000_000]
    assert read[0]['cam0'].image.shape == (HEIGHT, WIDTH, 3) and read[0]['cam0'].camera == 'cam0'


class FakeCapture:
    """A device that gives three images, the last of which is 30."""

    def __init__(self, source):
        self.source, self.left = source, 3

    def isOpened(self):
        return self.source == 0

    def read(self):
        self.left -= 1
        return self.left >= 0, np.full((4, 6, 3), 10 * (3 - self.left), np.uint8)

    def release(self):
        return


def test_of_a_device_the_newest_image_is_read_and_its_silence_is_named(monkeypatch):
    monkeypatch.setattr(cv2, 'VideoCapture', FakeCapture)
    monkeypatch.setattr(module, 'SILENT_S', 0.05)
    with LiveCameras({'left': '0'}) as cameras:
        cameras._cameras['left']._thread.join()
        assert cameras.read()['left'].image.max() == 30
        with pytest.raises(BagError, match="Camera 'left' gives no image any more; plug '0' in again"):
            cameras.read()
    with pytest.raises(BagError, match="Camera 'right': '7' cannot be opened, expected the number of a device"):
        LiveCameras({'left': '0', 'right': '7'})
