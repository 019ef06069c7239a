# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""OpenCV's FileStorage, EasyMocap, MC-Calib, Vicon, Panoptic: known numbers in; and files that are something else."""

import json
from pathlib import Path

import numpy as np
import pytest

from geo_pose_ros.errors import CalibrationError
from geo_pose_ros.rigs.files import read_calibration, read_calibration_file, write_calibration

from ..scenes import ring_rig
from .test_foreign_formats import CAMERA_INFO, KALIBR, colmap
from .test_formats import CALISCOPE, POSE2SIM, QCA, written


def cv_matrix(rows: int, cols: int, *data: float) -> str:
    return f'!!opencv-matrix\n   rows: {rows}\n   cols: {cols}\n   dt: d\n   data: [ {", ".join(map(str, data))} ]\n'


K = cv_matrix(3, 3, 1000.0, '0.', 320.5, '0.', 1001.0, 240.5, '0.', '0.', '1.')
D = cv_matrix(1, 5, -0.25, '1e-01', 0.001, 0.002, '0.')
ONE = f'%YAML:1.0\n---\nimage_width: 640\nimage_height: 480\ncamera_matrix: {K}distortion_coefficients: {D}'
INTRI = '%YAML:1.0\n---\nnames:\n  - "01"\n  - "2"\n' + ''.join(
    f'K_{name}: {K}dist_{name}: {D}H_{name}: 480\nW_{name}: 640\n' for name in ('01', '2')
)
EXTRI = '%YAML:1.0\n---\nnames: [ 01, 2 ]\n' + (
    f'R_01: {cv_matrix(3, 1, "0.", "0.", 1.5707963267948966)}T_01: {cv_matrix(3, 1, 50.0, 0.0, 200.0)}'
    f'Rot_2: {cv_matrix(3, 3, 1, 0, 0, 0, 0, -1, 0, 1, 0)}T_2: {cv_matrix(3, 1, 0, 0, 300)}'
)
MC_CALIB = '%YAML:1.0\n---\nnb_camera: 2\n' + ''.join(
    f'camera_{n}:\n   camera_matrix: {K}   distortion_vector: {D}   distortion_type: {n}\n   img_width: 640\n'
    f'   img_height: 480\n   camera_pose_matrix: {cv_matrix(4, 4, 1, 0, 0, n, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1)}'
    .replace('\n   rows', '\n      rows').replace('\n   cols', '\n      cols').replace('\n   d', '\n      d')
    .replace('\n      distortion', '\n   distortion') for n in (0, 1)
)
OPENCV_XML = """<?xml version="1.0"?>
<opencv_storage>
<image_Width>640</image_Width>
<image_Height>480</image_Height>
<Camera_Matrix type_id="opencv-matrix"><rows>3</rows><cols>3</cols><dt>d</dt>
  <data>1000. 0. 320.5 0. 1001. 240.5 0. 0. 1.</data></Camera_Matrix>
<Distortion_Coefficients type_id="opencv-matrix"><rows>5</rows><cols>1</cols><dt>d</dt>
  <data>-0.25 0.1 0.001 0.002 0.</data></Distortion_Coefficients>
</opencv_storage>
"""
ECHO = """header:
  stamp:
    sec: 1
    nanosec: 2
  frame_id: left_optical
height: 960
width: 1280
distortion_model: plumb_bob
d:
- -0.25
- 0.1
- 0.001
- 0.002
- 0.0
k: [2000.0, 0.0, 641.5, 0.0, 2002.0, 481.5, 0.0, 0.0, 1.0]
r: [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
p: [2000.0, 0.0, 641.5, 0.0, 0.0, 2002.0, 481.5, 0.0, 0.0, 0.0, 1.0, 0.0]
binning_x: 2
binning_y: 2
roi: {x_offset: 0, y_offset: 0, height: 0, width: 0, do_rectify: false}
---
header:
  frame_id: left_optical
---
"""
XCP = """<?xml version="1.0" encoding="UTF-8" standalone="no" ?>
<Cameras VERSION="1.5">
  <Camera DEVICEID="1" DISPLAY_TYPE="Vantage 5" SENSOR_SIZE="2432 2048" TYPE="MX"><KeyFrames/></Camera>
  <Camera DEVICEID="2107" DISPLAY_TYPE="Vue" PIXEL_ASPECT_RATIO="1" SENSOR_SIZE="1920 1080" SKEW="0">
    <KeyFrames>
      <KeyFrame FOCAL_LENGTH="1800.5" FRAME="0" ORIENTATION="0.70710678118654757 0 0 0.70710678118654757"
        POSITION="1000 -2000 1500" PRINCIPAL_POINT="960.5 541" VICON_RADIAL="0 0"
        VICON_RADIAL2="ViconRadial2 960.5 541 -0.1 0.02 0.003" WORLD_ERROR="0.2"/>
    </KeyFrames>
  </Camera>
  <Camera DEVICEID="2108" DISPLAY_TYPE="Vue" PIXEL_ASPECT_RATIO="1" SENSOR_SIZE="1920 1080"><KeyFrames/></Camera>
</Cameras>
"""
PANOPTIC = json.dumps({'calibDataSource': '160422_calib_norm', 'cameras': [{
    'name': '00_03', 'type': 'hd', 'resolution': [1920, 1080], 'panel': 0, 'node': 3,
    'K': [[1400.0, 0, 960.5], [0, 1401.0, 540.5], [0, 0, 1]], 'distCoef': [-0.28, 0.2, 0.001, 0.002, 0.07],
    'R': [[1, 0, 0], [0, 1, 0], [0, 0, 1]], 't': [[0.0], [150.0], [300.0]],
}]})
# What all of OpenCV's files above hold.
K_TRUE, D_TRUE = [[1000.0, 0, 320.5], [0, 1001.0, 240.5], [0, 0, 1]], [-0.25, 0.1, 0.001, 0.002]


@pytest.mark.parametrize(
    ('name', 'text', 'camera'),
    [
        ('left.yml', ONE, 'left'), ('left.yaml', '\ufeff' + ONE, 'left'), ('left.xml', OPENCV_XML, 'left'),
        ('left.json', '{"image_size": [640, 480], "cameraMatrix": {"type_id": "opencv-matrix", "rows": 3, "cols": 3, '
         '"dt": "d", "data": [1000, 0, 320.5, 0, 1001, 240.5, 0, 0, 1]}, "distCoeffs": '
         '[-0.25, 0.1, 0.001, 0.002, 0]}', 'left'),
    ],
    ids=['yaml', 'bom', 'xml', 'json'],
)  # fmt: skip
def test_opencv_files_of_one_camera(tmp_path, name, text, camera):
    found = read_calibration_file(written(tmp_path, name, text))
    assert not found.has_poses and found.rig.names == (camera,) and found.up == 'unknown'
    lens = found.rig[camera].intrinsics
    np.testing.assert_array_equal(lens.K, K_TRUE)
    assert (lens.D[:4].tolist(), lens.distortion_model, lens.width, lens.height) == (D_TRUE, 'plumb_bob', 640, 480)


@pytest.mark.parametrize('encoding', ['utf-8', 'utf-16', 'utf-8-sig'])
@pytest.mark.parametrize('ros1', [False, True])
def test_what_topic_echo_prints(tmp_path, encoding, ros1):
    """Binning of 2 halves K about the centre of the first pixel's corner; PowerShell writes UTF-16."""
    text = ECHO.replace('\nd:', '\nD:').replace('\nk:', '\nK:').replace('\np:', '\nP:') if ros1 else ECHO
    (tmp_path / 'left.txt').write_bytes(text.encode(encoding))
    lens = read_calibration(tmp_path / 'left.txt')['left'].intrinsics
    assert (lens.width, lens.height, lens.D.tolist()) == (640, 480, [*D_TRUE, 0.0])
    np.testing.assert_allclose(lens.K, [[1000.0, 0, 320.5], [0, 1001.0, 240.5], [0, 0, 1]])


def test_the_camera_info_of_an_older_calibrator(tmp_path):
    text = CAMERA_INFO.format(name='left').replace('distortion_model', 'camera_model')
    assert read_calibration(written(tmp_path, 'left.yaml', text))['left'].intrinsics.distortion_model == 'plumb_bob'


def test_a_camera_of_kalibr_alone(tmp_path):
    one = '\n'.join(line[2:] for line in KALIBR.split('cam1')[0].splitlines()[2:])
    found = read_calibration_file(written(tmp_path, 'c.yaml', one.replace('pinhole', 'pinhole-radtan')))
    assert found.rig.names == ('left',) and not found.has_poses


@pytest.mark.parametrize('given', ['.', 'intri.yml', 'extri.yml'])
def test_easymocap(tmp_path, given):
    written(tmp_path, 'intri.yml', INTRI)
    written(tmp_path, 'extri.yml', EXTRI)
    found = read_calibration_file(tmp_path / given, 'cm')
    assert found.kind == 'intri.yml and extri.yml of EasyMocap' and found.up == 'unknown' and found.has_poses
    first, second = found.rig.cameras
    assert (first.name, second.name) == ('cam_01', 'cam_2')
    np.testing.assert_allclose(first.cam_from_world, [[0, -1, 0, 0.5], [1, 0, 0, 0], [0, 0, 1, 2]], atol=1e-12)
    np.testing.assert_array_equal(second.cam_from_world, [[1, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 3]])
    np.testing.assert_array_equal(second.intrinsics.K, K_TRUE)


def test_easymocap_in_parts(tmp_path, caplog):
    path = written(tmp_path, 'intri.yml', INTRI)
    assert not read_calibration_file(path).has_poses
    written(tmp_path, 'extri.yml', EXTRI.replace('T_2', 'U_2'))
    assert read_calibration(path).names == ('cam_01',)
    assert "Camera '2' lacks 'T_2'; calibrate it, or take it out of the file. It is left out." in caplog.text
    written(tmp_path, 'intri.yml', INTRI.replace('H_', 'X_').replace('W_', 'Y_'))
    with pytest.raises(CalibrationError, match=r"'01': the file does not say the size .*; add W_01 and H_01, in px"):
        read_calibration(path)
    path.unlink()
    with pytest.raises(CalibrationError, match=r'holds extrinsics alone; put intri\.yml with the intrinsics beside it'):
        read_calibration(tmp_path / 'extri.yml')


def test_mc_calib(tmp_path):
    found = read_calibration_file(written(tmp_path, 'calibrated_cameras_data.yml', MC_CALIB))
    assert found.rig.names == ('camera_0', 'camera_1') and found.kind == 'a calibration of MC-Calib'
    assert [c.intrinsics.distortion_model for c in found.rig.cameras] == ['plumb_bob', 'equidistant']
    # The file has the camera's place in the first one.
    np.testing.assert_array_equal(found.rig['camera_1'].position_m, [1.0, 0, 0])


def test_vicon(tmp_path, caplog):
    """The camera stands at (1, -2, 1.5) m and looks up along z turned by 90 degrees about x: along +y of the world."""
    found = read_calibration_file(written(tmp_path, 'a.xcp', XCP))
    assert (found.kind, found.up, found.rig.names) == ('an .xcp of Vicon', 'z', ('cam_2107',))
    camera = found.rig.cameras[0]
    np.testing.assert_array_equal(camera.intrinsics.K, [[1800.5, 0, 960.5], [0, 1800.5, 541], [0, 0, 1]])
    assert camera.intrinsics.D.tolist() == [-0.1, 0.02, 0, 0, 0.003]
    np.testing.assert_allclose(camera.position_m, [1.0, -2.0, 1.5])
    np.testing.assert_allclose(camera.cam_from_world[:, :3], [[1, 0, 0], [0, 0, -1], [0, 1, 0]], atol=1e-15)
    assert [finding.in_words for finding in found.findings] == [
        "Camera '2108' lacks '<KeyFrame>'; calibrate it, or take it out of the file. It is left out.",
        'rig: 1 marker cameras are left out (Vantage 5)',
    ]
    for old, new, message in (
        ('POSITION', 'PLACE', r"camera '2107' lacks 'POSITION=\"\.\.\.\"'"), ('<Camera ', '<Lens ', 'no <Camera>'),
    ):
        text = XCP.replace(old, new).replace('</Camera>', '</Lens>' if 'Lens' in new else '</Camera>')
        with pytest.raises(CalibrationError, match=message):
            read_calibration(written(tmp_path, 'a.xcp', text))


def test_panoptic(tmp_path):
    """The camera looks along z of the file, 1.5 m above the origin (y = -150 cm), 3 m before it."""
    found = read_calibration_file(written(tmp_path, 'calibration_a.json', PANOPTIC))
    assert (found.rig.names, found.up) == (('cam_00_03',), 'z')
    assert 'the world is turned so that z is up' in found.findings[0].what
    camera = found.rig.cameras[0]
    np.testing.assert_allclose(camera.position_m, [0.0, -3.0, 1.5])
    np.testing.assert_array_equal(camera.cam_from_world[:, :3], [[1, 0, 0], [0, 0, -1], [0, 1, 0]])
    assert camera.intrinsics.D.tolist() == [-0.28, 0.2, 0.001, 0.002, 0.07]
    with pytest.raises(CalibrationError, match=r"camera '00_03': t has 2 numbers, expected 3"):
        read_calibration(written(tmp_path, 'a.json', PANOPTIC.replace('[0.0], ', '')))


def test_cameras_that_cannot_be_used_are_left_out_and_named(tmp_path):
    caliscope = CALISCOPE.replace('translation = [0.0, 0.0, 1.0]\nrotation = [0.0, 0.0, 0.0]\n', '')
    found = read_calibration_file(written(tmp_path, 'a.toml', caliscope))
    assert found.rig.names == ('cam_0',)
    assert [finding.in_words for finding in found.findings] == [
        "Camera '1' lacks 'rotation'; calibrate it, or take it out of the file. It is left out.",
        'rig: 2 left out: the file says to ignore them',
    ]
    found = read_calibration_file(written(tmp_path, 'a.qca.txt', QCA.replace('Miqus Video', 'Miqus Hybrid')))
    assert found.rig.names == ('cam_21486',)
    assert found.findings[0].in_words == 'rig: 1 marker cameras are left out (Miqus M3)'


ANIPOSE = POSE2SIM.replace('fisheye = false\n', '')
FREEMOCAP = POSE2SIM + 'charuco_square_size = 39.0\n'


@pytest.mark.parametrize(
    ('name', 'text', 'kind', 'up'),
    [
        ('a.toml', POSE2SIM, 'Pose2Sim', 'z'), ('a.toml', ANIPOSE, 'aniposelib', 'unknown'),
        ('a.toml', FREEMOCAP, 'FreeMoCap', 'unknown'), ('a.toml', CALISCOPE, 'Caliscope', 'unknown'),
        ('a.txt', POSE2SIM, 'Pose2Sim', 'z'), ('a.qca.txt', QCA, 'Qualisys', 'z'), ('a.xml', QCA, 'Qualisys', 'z'),
        ('a.yaml', KALIBR, 'Kalibr', 'unknown'),
    ],
)
def test_the_world_is_known_to_be_z_up_or_not(tmp_path, name, text, kind, up):
    found = read_calibration_file(written(tmp_path, name, text))
    assert kind in found.kind and found.up == up


def test_our_rig_file_is_z_up_and_colmaps_world_is_not_known(tmp_path):
    write_calibration(tmp_path / 'rig.yaml', ring_rig(2))
    found = read_calibration_file(tmp_path / 'rig.yaml')
    assert (found.kind, found.up, found.has_poses, found.findings) == ('a rig file', 'z', True, ())
    model = colmap(tmp_path / 'sparse')
    for path in (model, tmp_path / 'sparse' / 'images.txt'):
        assert read_calibration_file(path).up == 'unknown'
    model.rename(tmp_path / 'again')
    (tmp_path / 'project' / 'sparse').mkdir(parents=True)
    (tmp_path / 'again').rename(tmp_path / 'project' / 'sparse' / '0')
    assert read_calibration(tmp_path / 'project').names == ('left', 'right_cam', 'top')


@pytest.mark.parametrize(
    ('name', 'content', 'message'),
    [
        ('metadata.yaml', 'rosbag2_bagfile_information: {version: 5}', r"a bag's metadata\.yaml; give the calibration"),
        ('node.yaml', '/**: {ros__parameters: {rig: a}}', 'a parameter file of nodes'),
        ('robot.urdf', '<robot name="r"/>', r'a robot description \(URDF\); run robot_state_publisher'),
        ('a.xml', '<svg/>', r'XML with the root <svg>, of no known kind; expected a rig \.yaml'),
        ('a.json', '{"frames": []}', r'a transforms\.json of nerfstudio'),
        ('a.yaml', 'model_type: PINHOLE\nprojection_parameters: {fx: 1}', 'a calibration of camodocal; give K and D'),
        ('a.json', '{"a": ', 'not JSON: '),
        ('a.yaml', 'a: [1', r'not YAML: .* at line \d+\. Expected a rig'),
        ('a.yaml', 'a: [1, 2]\n\tb: 3', r'not YAML: '),
        ('a.yaml', '- 1', r'unknown kind of file; expected a rig'),
        ('a.yaml', '', r'unknown kind of file; expected a rig'),
        ('a.yaml', ECHO.replace('- 0.1\n', "- '...'\n"), r'cut off \(\.\.\.\); print them with: .*--full-length'),
        ('a.yml', ONE.replace('image_width: 640\n', ''), r"'a': the file does not say the size.*; add image_width"),
        ('a.yml', ONE.replace('rows: 3', 'rows: 4'), r"camera 'a': a value is not a number or has a wrong shape"),
        ('a.npz', b'PK\x03\x04rest', 'it is a zip archive'), ('a.pickle', b'\x80\x04rest', 'a pickle, as OpenCap'),
        ('a.mcap', b'\x89MCAP0\r\n', 'a bag, not a calibration'), ('a.bin', b'\0\0\0\1', 'it holds no text'),
        ('a.yaml', 'world_frame_id: w\ncameras: {a: {K: 1}}', r"camera 'a': missing key"),
    ],
)  # fmt: skip
def test_files_that_are_something_else_are_named(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(CalibrationError, match=message) as caught:
        read_calibration(path)
    assert name in str(caught.value)


def test_folders_that_are_something_else_are_named(tmp_path):
    Path(tmp_path / 'cameras.bin').touch()
    with pytest.raises(CalibrationError, match=r"COLMAP's binary model; write it as text: colmap model_converter"):
        read_calibration(tmp_path)


def test_old_encodings_are_read(tmp_path):
    (tmp_path / 'left.yaml').write_bytes(('# gr\xfcn\n' + CAMERA_INFO.format(name='left')).encode('latin-1'))
    assert read_calibration(tmp_path / 'left.yaml').names == ('left',)
