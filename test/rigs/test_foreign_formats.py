# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Kalibr, camera_info files and COLMAP: known numbers in, errors that name the fault."""

import numpy as np
import pytest
import yaml

from geo_pose_ros.errors import CalibrationError
from geo_pose_ros.rigs.files import read_calibration
from geo_pose_ros.rigs.topics import COMPRESSED_IMAGE, IMAGE, Topic, survey_cameras

KALIBR = """
cam0:
  camera_model: pinhole
  intrinsics: [461.6, 460.3, 363.0, 248.1]
  distortion_model: radtan
  distortion_coeffs: [-0.28, 0.08, 0.0001, -0.0002]
  resolution: [752, 480]
  rostopic: /rig/left/image_raw
cam1:
  T_cn_cnm1: [[0.0, -1.0, 0.0, 0.5], [1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]]
  camera_model: pinhole
  intrinsics: [457.6, 456.1, 379.9, 255.2]
  distortion_model: equidistant
  distortion_coeffs: [-0.01, 0.02, -0.003, 0.001]
  resolution: [752, 480]
cam2:
  T_cn_cnm1: [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 2.0], [0.0, 0.0, 0.0, 1.0]]
  camera_model: pinhole
  intrinsics: [457.6, 456.1, 379.9, 255.2]
  distortion_model: none
  resolution: [752, 480]
"""

CAMERA_INFO = """
image_width: 640
image_height: 480
camera_name: {name}
camera_matrix: {{rows: 3, cols: 3, data: [438.78, 0.0, 305.59, 0.0, 437.35, 243.74, 0.0, 0.0, 1.0]}}
distortion_model: plumb_bob
distortion_coefficients: {{rows: 1, cols: 5, data: [-0.36, 0.11, 0.001, 0.0005, 0.0]}}
"""

CAMERAS = """# Camera list with one line of data per camera:
1 SIMPLE_RADIAL 1280 960 900 640.5 480.5 -0.1
2 OPENCV 1280 960 900 905 641 478.5 -0.2 0.09 0.001 -0.0007
3 OPENCV_FISHEYE 1280 960 500 500 640.5 480.5 0.1 0.01 0.001 0.0001
"""

IMAGES = """# Image list with two lines of data per image:
1 1 0 0 0 0.1 0.2 0.3 1 left.png

2 0.7071067811865476 0 0 0.7071067811865476 1 2 3 2 right cam/0001.png
10.0 20.0 -1
3 1 0 0 0 0 0 0 3 top.jpg
"""


def colmap(folder, cameras=CAMERAS, images=IMAGES):
    folder.mkdir()
    (folder / 'cameras.txt').write_text(cameras)
    (folder / 'images.txt').write_text(images)
    return folder


def test_kalibr(tmp_path):
    (tmp_path / 'camchain.yaml').write_text(KALIBR)
    rig = read_calibration(tmp_path / 'camchain.yaml')
    assert rig.names == ('left', 'cam1', 'cam2')
    left, second, third = rig.cameras
    assert left.intrinsics.distortion_model == 'plumb_bob'
    assert left.intrinsics.D.tolist() == [-0.28, 0.08, 0.0001, -0.0002]
    np.testing.assert_array_equal(left.intrinsics.K, [[461.6, 0, 363.0], [0, 460.3, 248.1], [0, 0, 1]])
    np.testing.assert_array_equal(left.cam_from_world, np.eye(3, 4))
    assert second.intrinsics.distortion_model == 'equidistant'
    np.testing.assert_array_equal(second.cam_from_world, [[0, -1, 0, 0.5], [1, 0, 0, 0], [0, 0, 1, 0]])
    # Relative to the one before.
    np.testing.assert_array_equal(third.cam_from_world, [[0, -1, 0, 0.5], [1, 0, 0, 0], [0, 0, 1, 2]])
    assert third.intrinsics.D.tolist() == []


def test_kalibr_keeps_the_order_of_ten_cameras(tmp_path):
    chain = yaml.safe_load(KALIBR)
    chain = {'cam0': chain['cam0']} | {f'cam{i}': chain['cam2'] for i in (10, 9, 2, 1)}
    (tmp_path / 'chain.yaml').write_text(yaml.safe_dump(chain))
    rig = read_calibration(tmp_path / 'chain.yaml')
    assert rig.names == ('left', 'cam1', 'cam2', 'cam9', 'cam10')
    assert rig['cam10'].cam_from_world[2, 3] == 8.0


def test_camera_info_of_one_camera_and_of_a_folder(tmp_path):
    (tmp_path / 'left.yaml').write_text(CAMERA_INFO.format(name='narrow_stereo'))
    (tmp_path / 'b.yaml').write_text(CAMERA_INFO.format(name='right'))
    rig = read_calibration(tmp_path)
    assert rig.names == ('right', 'left')
    lens = rig['left'].intrinsics
    assert (lens.width, lens.height, lens.distortion_model) == (640, 480, 'plumb_bob')
    assert lens.D.tolist() == [-0.36, 0.11, 0.001, 0.0005, 0.0]
    assert lens.K[0, 0] == 438.78
    assert read_calibration(tmp_path / 'left.yaml').names == ('left',)


def test_colmap(tmp_path):
    rig = read_calibration(colmap(tmp_path / 'model'), 'cm')
    assert rig.names == ('left', 'right_cam', 'top')
    left, right, top = rig.cameras
    # The corner of the first pixel is (0, 0) there, its centre here.
    np.testing.assert_array_equal(left.intrinsics.K, [[900, 0, 640], [0, 900, 480], [0, 0, 1]])
    assert left.intrinsics.D.tolist() == [-0.1, 0, 0, 0]
    np.testing.assert_allclose(left.cam_from_world, [[1, 0, 0, 0.001], [0, 1, 0, 0.002], [0, 0, 1, 0.003]])
    np.testing.assert_allclose(
        right.cam_from_world, [[0, -1, 0, 0.01], [1, 0, 0, 0.02], [0, 0, 1, 0.03]], atol=1e-12
    )
    assert right.intrinsics.D.tolist() == [-0.2, 0.09, 0.001, -0.0007]
    assert top.intrinsics.distortion_model == 'equidistant'


@pytest.mark.parametrize(
    ('old', 'new', 'names', 'message'),
    [
        ('cam0:\n  camera_model: pinhole', 'cam0:\n  camera_model: omni', 'cam1 cam2', "'omni' is not supported"),
        ('radtan', 'fov', 'cam1 cam2', "distortion_model 'fov' is not supported"),
        ('cam1:\n  T_cn_cnm1', 'cam1:\n  T_cam_imu', 'left', "Camera 'cam1' lacks 'T_cn_cnm1'"),
        ('[461.6, 460.3, 363.0, 248.1]', '[461.6]', 'cam1 cam2', "'left': a value is not a number"),
        ('cam2:\n', 'note: 3\ncam2:\n', 'left cam1 cam2', ''),
    ],
)
def test_kalibr_without_cameras_that_cannot_be_used(tmp_path, old, new, names, message, caplog):
    """They are left out and named; the poses of the others stay. The camera behind a missing transform is lost too."""
    path = tmp_path / 'chain.yaml'
    path.write_text(KALIBR.replace(old, new))
    rig = read_calibration(path)
    assert ' '.join(rig.names) == names
    assert message in caplog.text and ('It is left out.' in caplog.text) == bool(message)
    if 'cam2' in rig.names:
        np.testing.assert_array_equal(rig['cam2'].cam_from_world[:, 3], [0.5, 0, 2])
    path.write_text(KALIBR.replace('pinhole', 'omni'))
    with pytest.raises(CalibrationError, match=r"chain\.yaml': camera 'left': .*'omni' is not sup.* camera 'cam2'"):
        read_calibration(path)


def test_kalibr_names_cameras_as_a_bag_of_their_topics_does(tmp_path):
    """Of two that end alike, the whole namespace; a camera without a topic keeps its key."""
    text = KALIBR.replace('/rig/left/image_raw', '/front/eye/image_raw').replace(
        'cam2:\n', 'cam2:\n  rostopic: /back/eye/image_rect/compressed\n'
    )
    (tmp_path / 'chain.yaml').write_text(text)
    topics = [Topic('/front/eye/image_raw', IMAGE), Topic('/back/eye/image_raw/compressed', COMPRESSED_IMAGE)]
    rig = read_calibration(tmp_path / 'chain.yaml')
    assert rig.names == ('front_eye', 'cam1', 'back_eye')
    assert set(survey_cameras(topics).cameras) == {'front_eye', 'back_eye'}


@pytest.mark.parametrize(
    ('cameras', 'images', 'message'),
    [
        (CAMERAS.replace('SIMPLE_RADIAL', 'THIN_PRISM'), IMAGES, "model 'THIN_PRISM' is not supported"),
        (CAMERAS.replace(' -0.1\n', '\n'), IMAGES, 'SIMPLE_RADIAL has 3 parameters, expected 4'),
        (CAMERAS.replace('900 640.5', 'x 640.5'), IMAGES, "Camera 'left': a value is not a number"),
        (CAMERAS, IMAGES.replace('0.3 1 left', '0.3 9 left'), 'no camera 9'),
    ],
)
def test_colmap_without_a_camera_that_cannot_be_used(tmp_path, cameras, images, message, caplog):
    assert read_calibration(colmap(tmp_path / 'model', cameras, images)).names == ('right_cam', 'top')
    assert message in caplog.text


@pytest.mark.parametrize(
    ('cameras', 'images', 'message'),
    [
        (CAMERAS, '# nothing\n', 'names no image'),
        (CAMERAS, IMAGES.replace(' 1 left.png', ' left.png'), 'has 9 words, expected 10'),
        ('', IMAGES, 'no camera 1, which'),
        (CAMERAS, IMAGES.replace('top.jpg', 'right cam/0002.png'), 'right cam took several images'),
    ],
)
def test_wrong_colmap(tmp_path, cameras, images, message):
    with pytest.raises(CalibrationError, match=message) as caught:
        read_calibration(colmap(tmp_path / 'model', cameras, images))
    assert 'model' in str(caught.value)


def test_images_of_colmap_may_share_a_lens_and_a_folder(tmp_path):
    images = IMAGES.replace('0 0 0 3 top', '0 0 0 1 top')
    shared = read_calibration(colmap(tmp_path / 'model', images=images))
    assert shared.names == ('left', 'right_cam', 'top')
    assert shared['top'].intrinsics.D.tolist() == shared['left'].intrinsics.D.tolist() == [-0.1, 0, 0, 0]
    one_folder = IMAGES.replace('right cam/0001.png', 'all/b.png').replace('left', 'all/a').replace('top', 'all/c')
    assert read_calibration(colmap(tmp_path / 'flat', images=one_folder)).names == ('a', 'b', 'c')


def test_wrong_folders_and_camera_infos(tmp_path):
    with pytest.raises(CalibrationError, match=r"is no calibration; expected COLMAP's"):
        read_calibration(tmp_path)
    (tmp_path / 'a.yaml').write_text(CAMERA_INFO.format(name='a').replace('plumb_bob', 'fov'))
    with pytest.raises(CalibrationError, match=r"camera 'a': Unknown distortion model 'fov'"):
        read_calibration(tmp_path)
    with pytest.raises(CalibrationError, match=r"a\.yaml': camera 'a'"):
        read_calibration(tmp_path / 'a.yaml')
    (tmp_path / 'b.yaml').write_text('other: 1\n')
    with pytest.raises(CalibrationError, match=r'no other \.yaml'):
        read_calibration(tmp_path)
