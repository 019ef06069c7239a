# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Calibration files of four kinds, both ways."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from geo_pose_ros.errors import CalibrationError
from geo_pose_ros.rigs.files import in_words, read_calibration, ros_name, write_calibration
from geo_pose_ros.rigs.rig_file import dump_rig
from geo_pose_ros.types import CameraRig, ClockModel

from ..scenes import ring_rig

QCA = """<?xml version='1.0' encoding='ASCII'?>
<calibration created="2026-01-01" type="regular">
  <cameras>
    <camera active="1" model="Miqus M3" serial="7"/>
    <camera active="1" model="Miqus Video" serial="21486" viewrotation="0">
      <fov_video left="16" top="8" right="1103" bottom="1927"/>
      <transform x="1000.0" y="-2000.0" z="1500.0"
        r11="1" r12="0" r13="0" r21="0" r22="0" r23="1" r31="0" r32="-1" r33="0"/>
      <intrinsic focalLengthU="64000" focalLengthV="64064" centerPointU="35840" centerPointV="62208" skew="0"
        radialDistortion1="-0.05" radialDistortion2="0.125" radialDistortion3="0.5"
        tangentalDistortion1="0.001" tangentalDistortion2="-0.002"/>
    </camera>
  </cameras>
</calibration>
"""

POSE2SIM = """[int_cam_1]
name = "left"
size = [ 1088.0, 1920.0]
matrix = [ [ 1681.2, 0.0, 532.9], [ 0.0, 1681.0, 948.1], [ 0.0, 0.0, 1.0]]
distortions = [ -0.046, 0.139, 0.0006, 0.0007]
rotation = [ 0.0, 0.0, 1.5707963267948966]
translation = [ 0.5, -1.0, 2.0]
fisheye = false

[metadata]
adjusted = false
error = 0.0
"""

CALISCOPE = """[cameras.0]
cam_id = 0
rotation_count = 0
ignore = false
size = [1280, 720]
matrix = [[663.0, 0.0, 656.3], [0.0, 673.4, 342.1], [0.0, 0.0, 1.0]]
distortions = [0.2, -0.3, -0.004, -0.005, 0.15]
translation = [0.0, 0.0, 1.0]
rotation = [[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]]

[cameras.1]
fisheye = true
size = [1280, 720]
matrix = [[663.0, 0.0, 656.3], [0.0, 673.4, 342.1], [0.0, 0.0, 1.0]]
distortions = [0.2, -0.3, -0.004, -0.005]
translation = [0.0, 0.0, 1.0]
rotation = [0.0, 0.0, 0.0]

[cameras.2]
ignore = true
size = [1280, 720]
matrix = [[663.0, 0.0, 656.3], [0.0, 673.4, 342.1], [0.0, 0.0, 1.0]]
"""


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


def assert_same_rig(a: CameraRig, b: CameraRig, atol: float = 1e-12) -> None:
    assert a.names == b.names
    for one, other in zip(a.cameras, b.cameras, strict=True):
        assert (one.frame_id, one.intrinsics.width, one.intrinsics.height, one.intrinsics.distortion_model) == (
            other.frame_id, other.intrinsics.width, other.intrinsics.height, other.intrinsics.distortion_model
        )  # fmt: skip
        np.testing.assert_allclose(one.intrinsics.K, other.intrinsics.K, atol=atol)
        np.testing.assert_allclose(one.intrinsics.D, other.intrinsics.D, atol=atol)
        np.testing.assert_allclose(one.cam_from_world, other.cam_from_world, atol=atol)


def test_ros_name():
    given = ('cam01', '21486', 'left eye-2', '', 'größe')
    assert [ros_name(name) for name in given] == ['cam01', 'cam_21486', 'left_eye_2', 'cam_', 'gr__e']


def test_qualisys(tmp_path):
    """The camera stands at (1, -2, 1.5) m and looks along +y of the world, whose z is up."""
    rig = read_calibration(written(tmp_path, 'Calib.qca.txt', QCA))
    assert rig.names == ('cam_21486',)
    camera = rig.cameras[0]
    assert camera.frame_id == 'cam_21486_optical_frame'
    lens = camera.intrinsics
    assert (lens.width, lens.height, lens.distortion_model) == (1088, 1920, 'plumb_bob')
    np.testing.assert_array_equal(lens.K, [[1000.0, 0, 560 - 16], [0, 1001.0, 972 - 8], [0, 0, 1]])
    np.testing.assert_array_equal(lens.D, [-0.05, 0.125, 0.001, -0.002, 0.5])
    np.testing.assert_allclose(camera.position_m, [1.0, -2.0, 1.5], atol=1e-15)
    # Axes of the file: x right, y up, z back. Optical axes of ROS: x right, y down, z forward.
    np.testing.assert_array_equal(camera.cam_from_world[:, :3], [[1, 0, 0], [0, 0, -1], [0, 1, 0]])


def test_pose2sim(tmp_path):
    camera = read_calibration(written(tmp_path, 'Calib.toml', POSE2SIM)).cameras[0]
    assert (camera.name, camera.intrinsics.width, camera.intrinsics.height) == ('left', 1088, 1920)
    assert camera.intrinsics.D.tolist() == [-0.046, 0.139, 0.0006, 0.0007]
    np.testing.assert_allclose(camera.cam_from_world, [[0, -1, 0, 0.5], [1, 0, 0, -1], [0, 0, 1, 2]], atol=1e-15)
    camera = read_calibration(tmp_path / 'Calib.toml', 'mm').cameras[0]
    np.testing.assert_allclose(camera.cam_from_world[:, 3], [0.0005, -0.001, 0.002])


def test_caliscope(tmp_path):
    rig = read_calibration(written(tmp_path, 'camera_array.toml', CALISCOPE))
    assert rig.names == ('cam_0', 'cam_1')
    assert [c.intrinsics.distortion_model for c in rig.cameras] == ['plumb_bob', 'equidistant']
    np.testing.assert_array_equal(rig['cam_0'].cam_from_world, [[1, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 1]])


@pytest.mark.parametrize('suffix', ['.yml', '.toml', '.qca.txt'])
def test_round_trip(tmp_path, suffix):
    rig = ring_rig(3)
    path = tmp_path / f'rig{suffix}'
    write_calibration(path, rig)
    assert_same_rig(read_calibration(path), rig)


@pytest.mark.parametrize('model', ['rational_polynomial', 'equidistant'])
def test_lens_models_of_toml(tmp_path, model):
    rig = ring_rig(2, distortion_model=model)
    write_calibration(tmp_path / 'rig.toml', rig)
    assert_same_rig(read_calibration(tmp_path / 'rig.toml'), rig)
    with pytest.raises(CalibrationError, match=f"camera 'cam0': the Qualisys format holds plumb_bob .* not {model}"):
        write_calibration(tmp_path / 'rig.qca.txt', rig)
    assert not (tmp_path / 'rig.qca.txt').exists()


def test_existing_file_is_kept_unless_asked(tmp_path):
    path = written(tmp_path, 'rig.yaml', 'precious')
    with pytest.raises(CalibrationError, match=r"rig\.yaml' exists already"):
        write_calibration(path, ring_rig(2))
    assert path.read_text() == 'precious'
    write_calibration(path, ring_rig(2), overwrite=True)
    assert path.read_text() == dump_rig(ring_rig(2))


def test_formats_without_clocks_say_what_they_lose(tmp_path, caplog):
    rig = ring_rig(2)
    late = CameraRig((rig.cameras[0], replace(rig.cameras[1], clock=ClockModel(0.012))))
    write_calibration(tmp_path / 'rig.yaml', late)
    assert read_calibration(tmp_path / 'rig.yaml')['cam1'].clock.offset_s == 0.012
    write_calibration(tmp_path / 'same.toml', rig)
    assert caplog.text == ''
    write_calibration(tmp_path / 'rig.toml', late)
    assert 'cannot hold the clock offsets of cam1, which are left out; write .yaml' in caplog.text
    assert in_words(late) == 'cam0, cam1 (clock +12.0 ms)'


def test_paths_that_cannot_be_read_or_written(tmp_path):
    with pytest.raises(CalibrationError, match='cannot be read'):
        read_calibration(tmp_path / 'a.toml')
    with pytest.raises(CalibrationError, match=r'unknown suffix; expected one of \.yaml, \.yml, \.toml, \.qca\.txt'):
        write_calibration(tmp_path / 'rig.json', ring_rig(2))
    with pytest.raises(CalibrationError, match='cannot be written'):
        write_calibration(tmp_path / 'nowhere' / 'rig.yaml', ring_rig(2))


@pytest.mark.parametrize(
    ('name', 'text', 'message'),
    [
        ('a.toml', 'a = [', 'not TOML'),
        ('a.toml', '[project]\nfps = 60', r"no table with a 'matrix'; found: project\. Give the calibration"),
        ('a.toml', POSE2SIM.replace('rotation', 'turn'), r"camera 'left' lacks 'rotation'; calibrate it"),
        ('a.toml', POSE2SIM.replace('[ 0.5,', '[ "x",'), "camera 'left': a value is not a number"),
        ('a.toml', POSE2SIM.replace('[ 0.5,', '['), "camera 'left': a value is not a number or has a wrong shape"),
        ('a.toml', POSE2SIM.replace('1681.2', '0.0'), "camera 'left': K = .* is not a camera matrix"),
        ('a.toml', POSE2SIM.replace('-0.046,', ''), "camera 'left': Distortion model 'plumb_bob' got 3 coefficients"),
        ('a.toml', POSE2SIM + POSE2SIM.replace('int_cam_1', 'other').split('[metadata]')[0],
         r"The rig names \['left'\] more than once"),
        ('a.qca.txt', '<calibration>', 'not XML'),
        ('a.qca.txt', QCA.replace('Miqus Video', 'Oqus'), 'no video camera; the models are: Miqus M3, Oqus'),
        ('a.qca.txt', QCA.replace('r23=', 'q23='), r"camera '21486' lacks '<transform r23=\"\.\.\.\">'"),
        ('a.qca.txt', QCA.replace('<fov_video', '<fov'), "camera '21486' lacks '<fov_video left="),
        ('a.qca.txt', QCA.replace('"1000.0"', '"one"'), "camera '21486': a value is not a number"),
        ('a.qca.txt', QCA.replace('skew="0"', 'skew="1"'), 'skew or viewrotation is not 0; neither is supported'),
        ('a.qca.txt', QCA.replace('r11="1"', 'r11="2"'), 'its left 3x3 is not a rotation'),
    ],
)  # fmt: skip
def test_wrong_calibrations_name_file_and_fault(tmp_path, name, text, message):
    with pytest.raises(CalibrationError, match=message) as caught:
        read_calibration(written(tmp_path, name, text))
    assert str(tmp_path / name) in str(caught.value)
