# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Overlay videos: H.264 that browsers play, of the right size and length; clear errors."""

import shutil
from dataclasses import replace

import cv2
import numpy as np
import pytest

from geo_pose_ros.bags.recording import Recording
from geo_pose_ros.errors import BagError, ConfigError
from geo_pose_ros.session.video import VideoWriter, find_ffmpeg, write_video

from ..recorded import FRAMES, write_scene
from .test_folder import write_bodies

needs_ffmpeg = pytest.mark.skipif(shutil.which('ffmpeg') is None, reason='no ffmpeg')


@needs_ffmpeg
def test_a_video_shows_all_cameras_in_h264(tmp_path):
    rig = write_scene(tmp_path / 'images')
    write_bodies(tmp_path / 'bodies')
    with Recording([tmp_path / 'bodies', tmp_path / 'images']) as recording:
        path = write_video(recording, tmp_path / 'new' / 'walk')
    video = cv2.VideoCapture(str(path))
    fourcc = int(video.get(cv2.CAP_PROP_FOURCC)).to_bytes(4, 'little')
    assert fourcc in (b'h264', b'avc1') and video.get(cv2.CAP_PROP_FPS) == pytest.approx(50.0)
    assert int(video.get(cv2.CAP_PROP_FRAME_COUNT)) == FRAMES
    assert int(video.get(cv2.CAP_PROP_FRAME_WIDTH)) == len(rig) * 640


def test_a_recording_without_images_is_refused(tmp_path):
    write_bodies(tmp_path / 'bodies')
    with Recording([tmp_path / 'bodies']) as recording, pytest.raises(BagError, match='lacks bodies, images or a rig'):
        write_video(recording, tmp_path / 'walk')


def test_bodies_of_another_time_than_the_images_are_refused(tmp_path):
    write_scene(tmp_path / 'images', rig=None)
    write_bodies(tmp_path / 'bodies')
    with Recording([tmp_path / 'bodies', tmp_path / 'images']) as recording:
        other = replace(recording.rig.cameras[0], name='other', frame_id='other')
        recording.rig = replace(recording.rig, cameras=(*recording.rig.cameras, other))
        with pytest.raises(BagError, match='no set has bodies and an image of each camera'):
            write_video(recording, tmp_path / 'walk')


def test_a_missing_ffmpeg_is_named(monkeypatch):
    monkeypatch.setitem(__import__('sys').modules, 'imageio_ffmpeg', None)
    monkeypatch.setattr(shutil, 'which', lambda name: None)
    with pytest.raises(ConfigError, match='pip install imageio-ffmpeg, or apt install ffmpeg'):
        find_ffmpeg()


@needs_ffmpeg
def test_a_file_that_ffmpeg_cannot_write_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r'cannot be written by ffmpeg: .*No such file'):  # noqa: SIM117
        with VideoWriter(tmp_path / 'none' / 'walk.mp4', 64, 48, 25.0) as writer:
            for _ in range(3):
                writer.write(np.zeros((48, 64, 3), np.uint8))
