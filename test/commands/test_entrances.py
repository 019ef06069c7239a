# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The same input says the same at every entrance: files, videos, bags of all kinds; never a traceback."""

from __future__ import annotations

import dataclasses
import logging
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import pytest

from geo_pose_ros import cli
from geo_pose_ros.bags import process
from geo_pose_ros.bags.message_factory import RosbagsFactory
from geo_pose_ros.bags.read import BagReader
from geo_pose_ros.bags.write import BagWriter
from geo_pose_ros.messages.camera_info import camera_info_from_intrinsics
from geo_pose_ros.messages.factory import Message
from geo_pose_ros.messages.stamps import NO_STAMP, to_header
from geo_pose_ros.pipeline import PosePipeline
from geo_pose_ros.rigs.files import write_calibration
from geo_pose_ros.skeleton import BODY17
from geo_pose_ros.types import CameraRig, Keypoints2D

from ..recorded import START_NS
from ..rigs.test_more_formats import ECHO, INTRI
from ..scenes import Seer
from ..videos import HEIGHT, WIDTH, film, small_rig

CASES = Path(__file__).parents[2].parent / 'shared' / 'cases'
IMAGE, COMPRESSED = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'
make = RosbagsFactory()


def nobody(frame):
    return Keypoints2D.empty(frame.camera, frame.stamp_ns, BODY17)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Work in an empty folder, with a detector that needs no model."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        process, 'PosePipeline', lambda rig, config: PosePipeline(rig, config, detector=Seer(nobody))
    )


@pytest.fixture
def run(capsys, caplog):
    """Run a command; return its exit status and all that it says, in one line."""
    def run_command(*words: str) -> tuple[int, str]:
        caplog.clear()
        caplog.set_level(logging.WARNING)
        status = cli.main(list(words))
        out, err = capsys.readouterr()
        said = f'{out} {err} {" ".join(r.getMessage() for r in caplog.records)}'
        assert 'Traceback' not in said
        return status, ' '.join(said.split())
    return run_command


def jpeg(header: Message, width: int = WIDTH, data: bytes = b'', text: str = 'jpeg') -> Message:
    coded = np.frombuffer(data, np.uint8) if data else cv2.imencode(
        '.jpg', np.full((HEIGHT, width, 3), 99, np.uint8))[1].ravel()
    return make(COMPRESSED, header=header, format=text, data=coded)


def depth(header: Message) -> Message:
    return make(IMAGE, header=header, height=HEIGHT, width=WIDTH, encoding='16UC1', step=2 * WIDTH,
                data=np.full(2 * WIDTH * HEIGHT, 7, np.uint8))


def write_bag(topics, *, infos=True, stamped=True, rig=None):
    """Write 'bag' of three cameras; ``topics`` returns topic and message of the frames of a camera."""
    rig = rig or small_rig()
    with BagWriter(Path('bag')) as writer:
        writer.write_transforms(rig, START_NS)
        for number in range(3):
            at_ns = START_NS + number * 100_000_000
            for camera in rig.cameras:
                header = to_header(make, at_ns if stamped else 0, camera.frame_id)
                if infos:
                    writer.write_lens(camera, at_ns)
                for topic, message in topics(camera.name, header):
                    writer.write(topic, message, at_ns)


def images(name, header):
    yield f'/{name}/image_raw/compressed', jpeg(header)


def one_otherwise(change):
    """Return topics of which those of cam1 are ``change`` of its header."""
    def topics(name, header):
        yield f'/{name}/image_raw' + '/compressed' * (change is not depth or name != 'cam1'), (
            change(header) if name == 'cam1' else jpeg(header)
        )
    return topics


UNUSABLE = {
    'depth': (depth, "Camera 'cam1': its images hold depth ('16UC1'), which shows no people to a detector."),
    'h264': (lambda h: jpeg(h, data=b'\0\0\0\1\x67aaaa', text='h264'), "'cam1': its images are packets of a video"),
    'broken': (lambda h: jpeg(h, data=b'\xff\xd8\xff'), "Camera 'cam1': truncated JPEG"),
    'another size': (lambda h: jpeg(h, width=32), "'cam1': its images are 32x48 px, its calibration is of 64x48"),
}


@pytest.mark.parametrize('fault', UNUSABLE)
def test_a_camera_that_cannot_be_used_is_left_out_and_named(run, fault):
    change, words = UNUSABLE[fault]
    write_bag(one_otherwise(change))
    status, said = run('info', 'bag')
    assert status == 0 and 'cannot be used: ' in said and words in said
    assert 'rig: of cam0, cam2 (camera_info' in said and 'process: yes, with cam0, cam2' in said
    status, said = run('process', 'bag', '--out', 'out')
    assert words in said and 'It is left out.' in said and '3 sets (3 with every camera)' in said
    with BagReader(Path('out')) as reader:
        (diagnostics,) = reader.messages(['/diagnostics'])
        verdict = str(diagnostics.decode())
    # Who judges the result knows of it; depth is no camera that is missed.
    assert (words in verdict.replace("\\'", "'")) == (fault != 'depth')
    write_calibration(Path('rig.yaml'), small_rig())
    assert words in run('process', 'bag', '--rig', 'rig.yaml', '--out', 'out', '--overwrite')[1]
    status, said = run('calibrate', 'bag', '--rig', 'rig.yaml', '--out', 'new.yaml')
    assert status == 2 and words in said


@pytest.mark.parametrize('fault', UNUSABLE)
def test_where_no_camera_remains_all_refuse_in_the_same_words(run, fault):
    change, words = UNUSABLE[fault]
    one = CameraRig((small_rig()['cam1'],))
    write_bag(one_otherwise(change), rig=one)
    assert 'process: no, not one image can be used' in run('info', 'bag')[1]
    for command in (('process', 'bag', '--out', 'out'), ('calibrate', 'bag', '--out', 'new.yaml')):
        status, said = run(*command)
        assert status == 2 and words in said


def test_depth_and_infrared_beside_colour_are_no_cameras(run):
    def device(name, header):
        if name == 'cam0':
            yield '/d435/color/image_raw/compressed', jpeg(header)
            yield '/d435/aligned_depth_to_color/image_raw', depth(header)
            yield '/d435/infra1/image_rect_raw/compressed', jpeg(header)
            for part in ('color', 'aligned_depth_to_color', 'infra1'):
                info = camera_info_from_intrinsics(make, small_rig()['cam0'].intrinsics, START_NS, 'cam0_optical_frame')
                yield f'/d435/{part}/camera_info', info
    write_bag(device, infos=False)
    status, said = run('info', 'bag')
    assert 'aligned_depth_to_color: left out, by its name it holds depth' in said and 'process: yes, with color' in said
    assert 'infra1: left out, it is the infrared image of a device whose colour image is used' in said
    status, said = run('process', 'bag', '--out', 'out')
    assert status < 2 and '3 sets (3 with every camera)' in said and "'infra1' is left out" in said
    # Whoever names it gets it; depth by its content nobody does.
    assert run('process', 'bag', '--cameras', 'infra1', '--out', 'out', '--overwrite')[0] < 2
    status, said = run('process', 'bag', '--cameras', 'aligned_depth_to_color', '--out', 'out', '--overwrite')
    assert status == 2 and 'its images hold depth' in said


def test_a_crop_of_the_codec_is_the_same_everywhere(run):
    """Videos and images of 64x48, a calibration of 72x48."""
    words = "Camera 'cam0': its images are 64x48 px, its calibration is of 72x48; taken as a crop at the right"
    write_calibration(Path('rig.yaml'), small_rig(width=72))
    film(Path('cam0.mp4'))
    assert words in run('import', '--videos', 'cam0.mp4', '--calibration', 'rig.yaml', '--out', 'imported')[1]
    write_bag(images, rig=small_rig(width=72))
    assert words in run('info', 'bag')[1]
    for extra in ((), ('--rig', 'rig.yaml')):
        status, said = run('process', 'bag', *extra, '--out', 'out', '--overwrite')
        assert status < 2 and words in said and '3 sets (3 with every camera)' in said
    assert words in run('calibrate', 'bag', '--rig', 'rig.yaml', '--out', 'new.yaml')[1]


def test_images_on_topics_of_other_names(run):
    """Beside a camera_info they are cameras; without one, somebody must name them."""
    def colour(name, header):
        yield f'/{name}/image_color/compressed', jpeg(header)
    write_bag(colour)
    assert 'process: yes' in run('info', 'bag')[1]
    assert run('process', 'bag', '--out', 'out')[0] < 2
    shutil.rmtree('bag')
    write_bag(colour, infos=False)
    words = 'its images are on topics of other names, without a camera_info beside: /cam0/image_color/compressed'
    advice = '--image-topics cam0=/cam0/image_color/compressed'
    status, said = run('info', 'bag')
    assert f'process: no, {words}' in said and advice in said
    status, said = run('process', 'bag', '--out', 'out', '--overwrite')
    assert status == 2 and words in said and advice in said
    write_calibration(Path('rig.yaml'), small_rig())
    # The advice, followed.
    named = ['--image-topics', *(f'cam{n}=/cam{n}/image_color' for n in range(3))]
    status, said = run('process', 'bag', *named, '--rig', 'rig.yaml', '--out', 'out', '--overwrite')
    assert status < 2 and '3 sets (3 with every camera)' in said
    assert 'process: only with --rig CALIBRATION' in run('info', 'bag', *named)[1]
    status, said = run('process', 'bag', '--image-topics', 'cam0=/nowhere', '--out', 'out', '--overwrite')
    assert status == 2 and "has no topic /nowhere; it has: /cam0/image_color/compressed" in said
    status, said = run('info', 'bag', '--image-topics', 'cam0')
    assert status == 2 and "Parameter 'image_topics': received 'cam0', expected camera=topic." in said


def test_rectified_images_are_described_by_P(run):
    """Their K, with a lens, would be refused as a rig of rectified images; P is taken."""
    def rectified(name, header):
        yield f'/{name}/image_rect/compressed', jpeg(header)
    write_bag(rectified)
    assert '64x48 px, rectified' in run('info', 'bag')[1]
    assert '64x48 px, plumb_bob' in run('info', 'bag', '--rectified', 'no')[1]
    assert run('process', 'bag', '--out', 'out')[0] < 2


def test_stamps_of_0(run):
    write_bag(images, stamped=False)
    status, said = run('info', 'bag')
    assert 'cam0: 3 images at 10.0/s' in said and NO_STAMP[1:] in said and 'process: yes' in said
    status, said = run('process', 'bag', '--out', 'out')
    assert status < 2 and '3 sets (3 with every camera)' in said and NO_STAMP in said


def test_video_packets_are_named_with_what_makes_images_of_them(run):
    """Of a type that this package has no definition of: as String, whose name is not looked at further."""
    from rosbags.rosbag2 import StoragePlugin, Writer
    from rosbags.typesys import Stores, get_types_from_msg, get_typestore

    store, kind = get_typestore(Stores.ROS2_HUMBLE), 'ffmpeg_image_transport_msgs/msg/FFMPEGPacket'
    store.register(get_types_from_msg('string data', kind))
    with Writer(Path('bag'), version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connection = writer.add_connection('/eye/image_raw/ffmpeg', kind, typestore=store)
        writer.write(connection, START_NS, store.serialize_cdr(store.types[kind]('a'), kind))
    words = f'holds video packets ({kind}); make images of them: ros2 run image_transport republish ffmpeg'
    assert words in run('info', 'bag')[1]
    status, said = run('process', 'bag', '--out', 'out')
    assert status == 2 and words in said


FILES = {
    'no kind': ('notes: 1', 'unknown kind of file, which holds notes'),
    'xml': ('<robot name="r"/>', 'it is a robot description (URDF)'),
    'a bag': ('rosbag2_bagfile_information: {}', "it is a bag's metadata.yaml"),
    'no size': (INTRI.replace('W_', 'X_'), "camera '01': the file does not say the size of its images; add W_01"),
    'cut': (ECHO.replace('- 0.1\n', "- '...'\n"), "camera 'calibration': its numbers are cut off"),
}


@pytest.mark.parametrize('kind', FILES)
def test_a_calibration_that_is_none_is_refused_alike(run, kind):
    text, words = FILES[kind]
    Path('calibration.yml').write_text(text)
    Path('cam0.mp4').touch()
    write_bag(images)
    for command in (
        ('rig', 'convert', 'calibration.yml', 'out.yaml'),
        ('import', '--videos', 'cam0.mp4', '--calibration', 'calibration.yml', '--out', 'out'),
        ('process', 'bag', '--rig', 'calibration.yml', '--out', 'out'),
        ('calibrate', 'bag', '--rig', 'calibration.yml', '--out', 'out.yaml'),
        ('report', 'bag', '--rig', 'calibration.yml', '--out', 'out'),
        ('view', 'bag', '--rig', 'calibration.yml', '--export', 'out'),
        ('doctor', '--rig', 'calibration.yml'),
    ):
        status, said = run(*command)
        assert status == 2 and f"'calibration.yml': {words}" in said, command


def test_a_rig_of_cameras_of_other_names_is_named_by_all(run):
    write_bag(images)
    rig = CameraRig(tuple(dataclasses.replace(c, name=c.name.replace('cam', 'eye')) for c in small_rig().cameras))
    write_calibration(Path('rig.yaml'), rig)
    for words in (
        ('process', 'bag', '--rig', 'rig.yaml', '--out', 'out'),
        ('calibrate', 'bag', '--rig', 'rig.yaml', '--out', 'new.yaml'),
        ('report', 'bag', '--rig', 'rig.yaml', '--out', 'out.html'),
        ('view', 'bag', '--rig', 'rig.yaml', '--export', 'view.html'),
    ):
        if words[0] != 'view' or find_spec('viser') is not None:
            assert "The rig has no camera 'cam0'" in run(*words)[1], words


@pytest.mark.skipif(not CASES.exists(), reason='the shared cases are not beside the repository')
@pytest.mark.parametrize(
    ('case', 'arguments', 'bag', 'words'),
    [
        ('01_ros1_advice_crashes', [], 'in.bag', ['cam_a: 2 images', '64x48 px', 'process: yes']),
        ('02_frames_at_one_place', ['same'], 'bag_same', ["the same frame 'default_cam'", 'only with --rig']),
        ('02_frames_at_one_place', ['empty'], 'bag_empty', ['names no frame', 'only with --rig']),
    ],
)
def test_the_shared_cases(run, case, arguments, bag, words):
    shutil.copy(CASES / case / 'make.py', 'make.py')
    subprocess.run([sys.executable, 'make.py', *arguments], check=True, env={**os.environ, 'PYTHONPATH': ''})
    status, said = run('info', bag)
    assert status == 0 and all(word in said for word in words), said
    status, said = run('process', bag, '--out', 'out')
    assert (status < 2) == ('process: yes' in words) and (status < 2 or words[0] in said)
