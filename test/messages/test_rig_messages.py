# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""CameraInfo, /tf_static, ~/skeleton, stamps."""

import json

import numpy as np
import pytest

from geo_pose_ros.errors import CalibrationError, ShapeError
from geo_pose_ros.geometry.projection import project
from geo_pose_ros.geometry.rigid import from_rotation_vector
from geo_pose_ros.messages.camera_info import (
    camera_info_from_intrinsics,
    intrinsics_from_camera_info,
    rectified_from_camera_info,
)
from geo_pose_ros.messages.skeleton import skeleton_to_message
from geo_pose_ros.messages.stamps import from_time, nearest_indices, to_time
from geo_pose_ros.messages.transforms import optical_frame_id, rig_to_transforms, rig_to_transforms_stamped
from geo_pose_ros.rigs.rig_file import rig_hash
from geo_pose_ros.rigs.transform_buffer import TransformBuffer
from geo_pose_ros.skeleton import BODY17

from ..scenes import intrinsics, ring_rig
from .conftest import rosbags_library

INFO = 'sensor_msgs/msg/CameraInfo'


def test_times(library):
    for stamp_ns in (0, 999_999_999, 1_783_653_482_016_666_667, -1):
        time = library.wire(to_time(library.make, stamp_ns), 'builtin_interfaces/msg/Time')
        assert 0 <= time.nanosec < 10**9
        assert from_time(time) == stamp_ns
    with pytest.raises(ShapeError, match='expected 32-bit seconds'):
        to_time(library.make, 2**31 * 10**9)


def test_nearest_stamps():
    """Before all, between, in the middle (the earlier one), at the edge of what is near, too far."""
    stamps_ns = [10, 20, 40]
    assert nearest_indices(stamps_ns, [7, 14, 15, 16, 43, 44], 3).tolist() == [0, -1, -1, -1, 2, -1]
    assert nearest_indices(stamps_ns, [14, 15, 16, 30, 31], 10).tolist() == [0, 0, 1, 1, 2]
    assert nearest_indices([5], [4, 9], 2).tolist() == [0, -1]
    assert nearest_indices([], [4, 9], 2).tolist() == [-1, -1]


@pytest.mark.parametrize('model', ['plumb_bob', 'rational_polynomial', 'equidistant'])
def test_camera_info_round_trip(library, model):
    lens = intrinsics(model)
    message = library.wire(camera_info_from_intrinsics(library.make, lens, 17, 'left_optical_frame'), INFO)
    assert message.header.frame_id == 'left_optical_frame' and from_time(message.header.stamp) == 17
    assert np.asarray(message.r).reshape(3, 3).tolist() == np.eye(3).tolist()
    assert np.asarray(message.p).reshape(3, 4)[:, :3].tolist() == lens.K.tolist()
    back = intrinsics_from_camera_info(message, 'left')
    assert (back.width, back.height, back.distortion_model) == (lens.width, lens.height, model)
    np.testing.assert_array_equal(back.K, lens.K)
    np.testing.assert_array_equal(back.D, lens.D)


def test_camera_info_without_lens_is_a_pinhole_and_others_are_refused(library):
    message = library.make(INFO, width=640, height=480, k=np.array([500.0, 0, 320, 0, 500, 240, 0, 0, 1]))
    lens = intrinsics_from_camera_info(message, 'left')
    assert (lens.distortion_model, lens.D.tolist(), lens.distorted) == ('plumb_bob', [], False)
    with pytest.raises(CalibrationError) as caught:
        intrinsics_from_camera_info(library.make(INFO, width=640, height=480), 'left')
    assert str(caught.value) == (
        "Camera 'left': camera_info has K = 0; the driver is uncalibrated. "
        'Calibrate it, give a rig file (node: rig:=FILE, commands: --rig FILE), or find all of it from people: '
        'geo_pose calibrate --from-scratch --focal-guess.'
    )
    message = camera_info_from_intrinsics(library.make, intrinsics(), 0, 'f')
    for message.distortion_model in ('thin_prism', ''):
        with pytest.raises(CalibrationError, match=r"'left': camera_info: Unknown distortion model '(thin_prism)?'"):
            intrinsics_from_camera_info(message, 'left')


def rectifying(library):
    """A stereo pair's right camera: 12 cm to the right, turned by R, its rectified picture of another focal length."""
    message = camera_info_from_intrinsics(library.make, intrinsics(), 0, 'f')
    rotation = from_rotation_vector(np.array([0.01, -0.03, 0.02]), np.zeros(3))[:, :3]
    message.r = rotation.ravel()
    message.p = np.array([800.0, 0, 630, -0.12 * 800, 0, 800, 470, 0, 0, 0, 1, 0])
    return message, rotation


def test_rectified_pictures_are_as_p_and_r_say(library):
    message, rotation = rectifying(library)
    lens, rectified_from_camera = rectified_from_camera_info(library.wire(message, INFO), 'right')
    assert not lens.distorted and (lens.width, lens.height) == (1280, 960)
    points = np.random.default_rng(0).uniform((-0.3, -0.3, 2.0), (0.3, 0.3, 3.0), (20, 3))
    # As sensor_msgs/CameraInfo.msg defines it.
    seen = np.column_stack([points @ rotation.T, np.ones(20)]) @ np.asarray(message.p).reshape(3, 4).T
    turned = points @ rectified_from_camera[:, :3].T + rectified_from_camera[:, 3]
    np.testing.assert_allclose(project(lens, turned), seen[:, :2] / seen[:, 2:], atol=1e-9)
    message.r = np.zeros(9)
    np.testing.assert_array_equal(rectified_from_camera_info(message, 'right')[1][:, :3], np.eye(3))
    message.binning_x = message.binning_y = 2
    assert rectified_from_camera_info(message, 'right')[0].K[0, 0] == 400.0


@pytest.mark.parametrize(('field', 'value', 'reason'), [
    ('p', np.zeros(12), 'its images are rectified, but camera_info has P = '),
    ('r', np.full(9, np.nan), 'camera_info has R = '),
    ('r', 2.0 * np.eye(3).ravel(), 'camera_info has R = .*, expected a rotation'),
], ids=['no P', 'NaN', 'no rotation'])  # fmt: skip
def test_impossible_rectification(library, field, value, reason):
    message, _ = rectifying(library)
    setattr(message, field, value)
    with pytest.raises(CalibrationError, match=f"Camera 'right': {reason}"):
        rectified_from_camera_info(message, 'right')


def test_binning_and_region_of_interest(library):
    """A point of the full image at the centre of a 2x2 bin is at that bin's whole-numbered centre."""
    lens = intrinsics()
    message = camera_info_from_intrinsics(library.make, lens, 0, 'f')
    message.binning_x = message.binning_y = 2
    message.roi = library.make('sensor_msgs/msg/RegionOfInterest', x_offset=100, y_offset=60, width=800, height=600)
    part = intrinsics_from_camera_info(library.wire(message, INFO), 'left')
    assert (part.width, part.height) == (400, 300)
    points = np.random.default_rng(0).uniform((-0.3, -0.3, 2.0), (0.3, 0.3, 3.0), (20, 3))
    full = project(lens, points)
    np.testing.assert_allclose(project(part, points), (full - (100, 60) + 0.5) / 2 - 0.5, atol=1e-9)


def test_transforms_round_trip(library):
    rig = ring_rig(4)
    # tf2_msgs is not among the rclpy wheels; its content is.
    rosbags = rosbags_library()
    message = rosbags.wire(rig_to_transforms(rosbags.make, rig, 0), 'tf2_msgs/msg/TFMessage')
    assert [t.child_frame_id for t in message.transforms] == [f'cam{i}_optical_frame' for i in range(4)]
    stamped = [library.wire(t, 'geometry_msgs/msg/TransformStamped')
               for t in rig_to_transforms_stamped(library.make, rig, 9)]
    assert [from_time(t.header.stamp) for t in stamped] == [9] * 4
    buffer = TransformBuffer()
    assert buffer.add(stamped, static=True) == ''
    for camera in rig.cameras:
        assert camera.frame_id == optical_frame_id(camera.name)
        pose = buffer.lookup(camera.frame_id, 'world', None)
        np.testing.assert_allclose(pose, camera.cam_from_world, atol=1e-12)


def test_what_a_skeleton_message_says(library):
    rig = ring_rig(2)
    message = library.wire(skeleton_to_message(library.make, BODY17, rig, rig_hash(rig), 'abc'), 'std_msgs/msg/String')
    tree = json.loads(message.data)
    assert tuple(tree['joint_names']) == BODY17.joint_names
    assert [tuple(edge) for edge in tree['edges']] == list(BODY17.edges)
    assert [tuple(pair) for pair in tree['flip_pairs']] == list(BODY17.flip_pairs)
    assert tree['units']['x'] == 'm' and tree['units']['reprojection_error'] == 'px'
    assert (tree['rig_hash'], tree['model_card_hash'], tree['cameras']) == (rig_hash(rig), 'abc', ['cam0', 'cam1'])
    assert (tree['frame_id'], tree['name']) == ('world', 'body17')
