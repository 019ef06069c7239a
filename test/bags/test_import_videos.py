# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Videos become a bag: names, times, sizes."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from geo_pose_ros.bags.calibrate import rig_with_intrinsics
from geo_pose_ros.bags.cameras import choose_cameras, rig_from_bag
from geo_pose_ros.bags.import_videos import ImportedVideo, import_videos
from geo_pose_ros.bags.read import BagReader
from geo_pose_ros.errors import BagError, CalibrationError
from geo_pose_ros.messages.image import frame_from_message

from ..recorded import START_NS, grey_image
from ..videos import HEIGHT, WIDTH, film, small_rig


def filmed(path: Path, frames: int = 4, fps: float = 25.0) -> Path:
    """Write a video of START_NS."""
    os.utime(film(path, frames, fps), ns=(START_NS, START_NS))
    return path


def test_videos_become_a_bag(tmp_path):
    rig = small_rig(cameras=2)
    videos = [filmed(tmp_path / f'{name}.mp4') for name in ('cam1', 'cam0')]
    done = import_videos(videos, rig, tmp_path / 'bag', storage='sqlite3')
    last_ns = START_NS + 120_000_000
    assert done == [ImportedVideo(name, 4, 25.0, START_NS, last_ns) for name in ('cam1', 'cam0')]
    with BagReader(tmp_path / 'bag') as reader:
        assert {(t.name, t.message_type, t.count) for t in reader.topics.values()} == {
            ('/tf_static', 'tf2_msgs/msg/TFMessage', 1),
            ('/cam0/camera_info', 'sensor_msgs/msg/CameraInfo', 4),
            ('/cam1/camera_info', 'sensor_msgs/msg/CameraInfo', 4),
            ('/cam0/image_raw/compressed', 'sensor_msgs/msg/CompressedImage', 4),
            ('/cam1/image_raw/compressed', 'sensor_msgs/msg/CompressedImage', 4),
        }
        assert reader.offered_qos['/tf_static'][0].durability.name == 'TRANSIENT_LOCAL'
        times = [message.time_ns for message in reader.messages()]
        assert times == sorted(times)
        for name in ('cam0', 'cam1'):
            for number, message in enumerate(reader.messages([f'/{name}/image_raw/compressed'])):
                decoded = message.decode()
                assert decoded.format == 'bgr8; jpeg compressed bgr8'
                assert decoded.header.frame_id == f'{name}_optical_frame'
                frame = frame_from_message(decoded, name, rig[name].intrinsics)
                assert frame.stamp_ns == message.time_ns == START_NS + number * 40_000_000
                assert abs(frame.image.mean() - grey_image(number).mean()) < 4.0
            infos = [message.stamp_ns for message in reader.messages([f'/{name}/camera_info'])]
            assert infos == [START_NS + number * 40_000_000 for number in range(4)]
        back = rig_from_bag(reader)
    assert (back.names, back.world_frame_id) == (('cam0', 'cam1'), 'world')
    for camera in rig.cameras:
        np.testing.assert_allclose(back[camera.name].cam_from_world, camera.cam_from_world, atol=1e-12)
        np.testing.assert_array_equal(back[camera.name].intrinsics.K, camera.intrinsics.K)


def test_rates_and_lengths_may_differ(tmp_path, caplog):
    videos = [filmed(tmp_path / 'cam0.mp4', 5, 50.0), filmed(tmp_path / 'cam1.mp4', 2, 25.0)]
    import_videos(videos, small_rig(cameras=2), tmp_path / 'bag')
    with BagReader(tmp_path / 'bag') as reader:
        order = [(m.topic[1:5], (m.time_ns - START_NS) // 10**6) for m in reader.messages() if 'image_raw' in m.topic]
    assert sorted(order) == [*(('cam0', ms) for ms in (0, 20, 40, 60, 80)), ('cam1', 0), ('cam1', 40)]
    assert [ms for _, ms in order] == [0, 0, 20, 40, 40, 60, 80]
    assert 'The videos differ (cam0 5 frames at 50/s to 0.080 s, cam1 2 frames at 25/s to 0.040 s)' in caplog.text


def test_camera_without_video_is_left_out(tmp_path, caplog):
    import_videos([filmed(tmp_path / 'cam1.mp4')], small_rig(), tmp_path / 'bag')
    with BagReader(tmp_path / 'bag') as reader:
        assert rig_from_bag(reader).names == ('cam1',)
    assert 'No video for the calibrated cameras cam0, cam2; they are left out.' in caplog.text


def test_videos_that_do_not_fit_the_cameras(tmp_path):
    (tmp_path / 'b').mkdir()
    videos = [filmed(tmp_path / name) for name in ('cam1.mp4', '7.mp4', 'b/cam1.mp4')]
    for given, message in (
        (videos[:2], r'No calibration for the videos cam_7; the calibration has: cam0, cam1, cam2\.'),
        (videos[::2], "are both of camera 'cam1'; give one"),
    ):
        with pytest.raises(CalibrationError, match=message):
            import_videos(given, small_rig(), tmp_path / 'bag')
    assert not (tmp_path / 'bag').exists()


@pytest.mark.parametrize(('width', 'height'), [(WIDTH + 16, HEIGHT), (HEIGHT, WIDTH)])
def test_another_size_is_refused(tmp_path, width, height):
    with pytest.raises(
        CalibrationError, match=f"Camera 'cam0': its images are 64x48 px, its calibration is of {width}x{height}"
    ):
        import_videos([filmed(tmp_path / 'cam0.mp4')], small_rig(1, width, height), tmp_path / 'bag')
    assert not (tmp_path / 'bag').exists()


@pytest.mark.parametrize('content', [None, b'no video at all'])
def test_what_is_no_video(tmp_path, content):
    path = tmp_path / 'cam0.mp4'
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BagError, match=r"Video '.*cam0\.mp4' cannot be opened"):
        import_videos([path], small_rig(cameras=1), tmp_path / 'bag')
    assert not (tmp_path / 'bag').exists()


class FakeCapture:
    """cv2.VideoCapture of frames ``width`` px wide, at given times."""

    def __init__(self, times_ms, fps=50.0, count=None, widths=(WIDTH,) * 40, flag=0.0):
        self.times_ms, self.widths, self.at = times_ms, widths, -1
        self.properties = {
            cv2.CAP_PROP_FPS: fps, cv2.CAP_PROP_FRAME_WIDTH: WIDTH, cv2.CAP_PROP_FRAME_HEIGHT: HEIGHT,
            cv2.CAP_PROP_FRAME_COUNT: len(times_ms) if count is None else count, cv2.CAP_PROP_ORIENTATION_META: flag,
        }  # fmt: skip

    def isOpened(self):
        return True

    def read(self):
        self.at += 1
        more = self.at < len(self.times_ms)
        return more, grey_image(self.at, HEIGHT, self.widths[self.at]) if more else None

    def get(self, key):
        return self.times_ms[self.at] if key == cv2.CAP_PROP_POS_MSEC else self.properties[key]

    def set(self, key, value):
        assert (key, value) == (cv2.CAP_PROP_ORIENTATION_AUTO, 0)

    def release(self):
        pass


def import_fake(tmp_path, monkeypatch, capture, **options):
    (tmp_path / 'cam0.mp4').write_bytes(b'')
    os.utime(tmp_path / 'cam0.mp4', ns=(START_NS, START_NS))
    monkeypatch.setattr(cv2, 'VideoCapture', lambda _: capture)
    import_videos([tmp_path / 'cam0.mp4'], small_rig(cameras=1), tmp_path / 'bag', **options)
    with BagReader(tmp_path / 'bag') as reader:
        return [message.time_ns - START_NS for message in reader.messages(['/cam0/image_raw/compressed'])]


@pytest.mark.parametrize(
    ('capture', 'fps', 'times_ns', 'warning'),
    [
        (FakeCapture([100.0, 110.0, 150.5]), None, [0, 10_000_000, 50_500_000], ''),
        (FakeCapture([0.0, 30.0, 0.0, 0.0]), None, [0, 30_000_000, 50_000_000, 70_000_000], ''),
        (FakeCapture([0.0, 20.0] + 17 * [0.0]), None, [20_000_000 * n for n in range(19)],
         'has no usable times from frame 2 on; the rate 50 is used'),
        (FakeCapture([0.0, 20.0], count=10), None, [0, 20_000_000],
         'ends after 2 of 10 frames; it is cut off or damaged there'),
        (FakeCapture([0.0, 0.0], fps=0.0), 10.0, [0, 100_000_000], ''),
    ],
    ids=['variable rate', 'frames that the decoder held', 'unusable times', 'ends early', 'no rate'],
)  # fmt: skip
def test_times_are_the_containers_or_the_rates(tmp_path, monkeypatch, caplog, capture, fps, times_ns, warning):
    assert import_fake(tmp_path, monkeypatch, capture, fps=fps) == times_ns
    assert warning in caplog.text if warning else not caplog.text


@pytest.mark.parametrize('version', ['4.5.4', '4.6.0', '4.14.0'])
@pytest.mark.parametrize('clockwise_deg', [0, 90, 180, 270])
def test_videos_are_turned_alike_with_every_opencv(tmp_path, monkeypatch, caplog, version, clockwise_deg):
    """4.6 gives the turn of the container counterclockwise. The corner that is dark tells how an image was turned."""
    stored = np.full((HEIGHT, WIDTH, 3), 200, np.uint8)
    stored[: HEIGHT // 2, : WIDTH // 2] = 20
    flag = -clockwise_deg % 360 if version == '4.6.0' else clockwise_deg
    capture = FakeCapture([0.0], flag=float(flag))
    read = capture.read
    monkeypatch.setattr(capture, 'read', lambda: (read()[0], stored))
    monkeypatch.setattr(cv2, '__version__', version)
    monkeypatch.setattr(cv2, 'VideoCapture', lambda _: capture)
    (tmp_path / 'cam0.mp4').write_bytes(b'')
    size = (HEIGHT, WIDTH) if clockwise_deg in (90, 270) else (WIDTH, HEIGHT)
    [done] = import_videos([tmp_path / 'cam0.mp4'], small_rig(1, *size), tmp_path / 'bag')
    turned = f' (turned by {clockwise_deg} degrees, as the video says)' if clockwise_deg else ''
    assert str(done) == f'cam0 1{turned}'
    with BagReader(tmp_path / 'bag') as reader:
        image = frame_from_message(next(reader.messages(['/cam0/image_raw/compressed'])).decode(), 'cam0').image
    corners = [image[y, x].max() < 60 for y, x in ((4, 4), (4, -4), (-4, -4), (-4, 4))]
    assert image.shape[1::-1] == size and corners.index(True) == clockwise_deg // 90 and sum(corners) == 1
    assert ('to be turned by 180 degrees, and was. Its calibration must' in caplog.text) == (clockwise_deg == 180)


def test_a_turned_video_of_another_size_names_its_flag(tmp_path, monkeypatch):
    capture = FakeCapture([0.0], flag=90.0)
    with pytest.raises(CalibrationError, match=r'is turned by 90 degrees\..* to be turned by 90 degrees, and'):
        import_fake(tmp_path, monkeypatch, capture)


@pytest.mark.parametrize(
    ('capture', 'message'),
    [
        (FakeCapture([], fps=0.0), r'does not say its frame rate\. Give it with --fps'),
        (FakeCapture([]), 'holds no frame that can be decoded'),
        (FakeCapture([0.0, 20.0], widths=(WIDTH, WIDTH // 2)), r"cam0\.mp4': a frame of 32x48 px in a video of 64x48"),
    ],
    ids=['no rate', 'no frame', 'two sizes'],
)
def test_videos_that_cannot_be_used(tmp_path, monkeypatch, capture, message):
    with pytest.raises(BagError, match=message):
        import_fake(tmp_path, monkeypatch, capture)
    assert not (tmp_path / 'bag').exists()


def test_videos_without_any_calibration(tmp_path):
    """Uncalibrated as ROS says it; `geo_pose calibrate --from-scratch --focal-guess` begins from there."""
    videos = [filmed(tmp_path / f'{name}.mp4') for name in ('a', 'b')]
    import_videos(videos, None, tmp_path / 'bag')
    with BagReader(tmp_path / 'bag') as reader:
        assert '/tf_static' not in reader.topics
        info = next(reader.messages(['/a/camera_info'])).decode()
        assert (info.width, info.height, info.k.any()) == (WIDTH, HEIGHT, False)
        assert info.header.frame_id == 'a_optical_frame'
        rig = rig_with_intrinsics(reader, choose_cameras(reader), 0.8)
        assert rig.names == ('a', 'b')
        assert rig['a'].intrinsics.K[0, 0] == 0.8 * WIDTH
        with pytest.raises(CalibrationError, match='no common world frame'):
            rig_from_bag(reader)
