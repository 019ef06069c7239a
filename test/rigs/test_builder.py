# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""A rig that grows from camera_info and transforms, or from a file, with cameras that come and go."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from geo_pose_ros.bags.message_factory import RosbagsFactory
from geo_pose_ros.errors import CalibrationError
from geo_pose_ros.geometry.rigid import compose, from_rotation_vector
from geo_pose_ros.messages.camera_info import camera_info_from_intrinsics
from geo_pose_ros.messages.transforms import rig_to_transforms_stamped
from geo_pose_ros.rigs.builder import RigBuilder
from geo_pose_ros.rigs.transform_buffer import TransformBuffer
from geo_pose_ros.types import CameraRig

from ..scenes import ring_rig

S = 1_000_000_000
MAKE, RIG = RosbagsFactory(), ring_rig(4)


def info(camera: str, **changes: Any) -> Any:
    message = camera_info_from_intrinsics(MAKE, RIG[camera].intrinsics, 0, RIG[camera].frame_id)
    for name, value in changes.items():
        setattr(message, name, value)
    return message


def transforms(*cameras: str) -> Any:
    return SimpleNamespace(transforms=rig_to_transforms_stamped(MAKE, RIG.subset(cameras), 0))


def calibrated(*cameras: str) -> RigBuilder:
    """Return a builder that got camera_info and transforms of ``cameras``."""
    builder = RigBuilder(cameras, 'world')
    for name in cameras:
        builder.on_camera_info(name, info(name), 0)
    builder.on_transforms(transforms(*cameras), 0)
    return builder


def moved_cameras(rig: CameraRig, *names: str) -> CameraRig:
    """Return ``rig`` with some of its cameras calibrated otherwise."""
    move = np.eye(3, 4)
    move[0, 3] = 0.01
    return replace(rig, cameras=tuple(
        replace(c, cam_from_world=compose(move, c.cam_from_world)) if c.name in names else c for c in rig.cameras
    ))


def test_a_rig_grows_from_messages() -> None:
    builder = RigBuilder(['cam0', 'cam1'], 'world')
    assert builder.rig is None
    assert 'no camera_info came yet' in builder.problems['cam0']
    builder.on_camera_info('cam0', info('cam0'), 0)
    assert 'No transform joins' in builder.problems['cam0']
    assert builder.on_transforms(transforms('cam0', 'cam1'), 0) == ''
    assert builder.rig is not None and builder.rig.names == ('cam0',)
    np.testing.assert_allclose(builder.rig['cam0'].cam_from_world, RIG['cam0'].cam_from_world, atol=1e-12)
    # One camera is still missing: wait a second for news.
    assert not builder.is_settled(S)
    assert builder.is_settled(S + 1)
    builder.on_camera_info('cam1', info('cam1'), 2 * S)
    rig = builder.rig
    assert rig is not None and rig.names == ('cam0', 'cam1')
    assert builder.is_settled(2 * S)
    # The same again is no news, nor is a transform that concerns no camera.
    builder.on_camera_info('cam1', info('cam1'), 3 * S)
    builder.on_transforms(transforms('cam0', 'cam1'), 3 * S)
    builder.on_transforms(transforms('cam2', 'cam3'), 3 * S)
    assert builder.rig is rig
    builder.on_camera_info('cam1', info('cam1', k=np.diag([123.0, 123.0, 1.0]).ravel()), 3 * S)
    assert builder.rig is not rig and builder.rig is not None
    assert builder.rig['cam1'].intrinsics.K[0, 0] == 123.0


def test_what_is_wrong_is_said_and_does_not_undo_what_was_right() -> None:
    builder = RigBuilder(['cam0'], 'world')
    builder.on_camera_info('cam0', info('cam0', k=np.zeros(9)), 0)
    assert 'camera_info has K = 0' in builder.problems['cam0']
    builder.on_camera_info('cam0', info('cam0'), 0)
    builder.on_transforms(transforms('cam0'), 0)
    assert builder.problems == {}
    rig = builder.rig
    assert rig is not None and builder.faults == {}
    unnamed = info('cam0')
    unnamed.header.frame_id = ''
    for wrong, words in (
        (info('cam0', distortion_model='division'), 'division'), (info('cam0', k=np.zeros(9)), 'camera_info has K = 0'),
        (unnamed, "names no frame (frame_id is '')"),
    ):
        assert builder.on_camera_info('cam0', wrong, 0) == ''
        assert builder.rig is rig and builder.problems == {} and words in builder.faults['cam0']
    assert builder.on_camera_info('cam0', info('cam0'), 0) == '' and builder.faults == {}
    other = builder.on_camera_info('cam0', info('cam0', k=np.diag([123.0, 124.0, 1.0]).ravel()), 0)
    assert "-> frame 'cam0_optical_frame'" in other and 'focal lengths 123.0 124.0 px' in other
    broken = transforms('cam0')
    broken.transforms[0].transform.rotation.w = float('nan')
    broken.transforms[0].transform.translation.x = float('nan')
    assert 'expected a unit quaternion' in builder.on_transforms(broken, 0)
    assert builder.rig is not None


def test_refined_extrinsics_stand_until_tf_tells_others() -> None:
    builder = calibrated('cam0', 'cam1')
    told = builder.rig
    assert told is not None
    better = moved_cameras(told, 'cam0', 'cam1')
    builder.use_refined(better, 1)
    used = builder.rig
    assert used is not None
    assert np.array_equal(used['cam0'].cam_from_world, better['cam0'].cam_from_world)
    # Said again by whoever comes late: nothing new.
    builder.on_transforms(transforms('cam0', 'cam1'), 2)
    builder.on_camera_info('cam0', info('cam0'), 2)
    assert builder.rig is used
    moved = transforms('cam0')
    moved.transforms[0].transform.translation.x += 0.5
    builder.on_transforms(moved, 3)
    assert builder.rig is not None
    moved_m = builder.rig['cam0'].position_m - told['cam0'].position_m
    assert moved_m == pytest.approx((0.5, 0.0, 0.0))
    assert np.array_equal(builder.rig['cam1'].cam_from_world, better['cam1'].cam_from_world)


def test_rectified_images_are_turned_against_their_frame() -> None:
    turn = from_rotation_vector(np.array([0.0, 0.05, 0.0]), np.zeros(3))
    baseline = np.array([900.0, 0, 640, -90.0, 0, 900, 480, 0, 0, 0, 1, 0])
    builder = RigBuilder(['cam0', 'cam1'], 'world', rectified=['cam0', 'cam1'])
    builder.on_transforms(transforms('cam0', 'cam1'), 0)
    for name in ('cam0', 'cam1'):
        builder.on_camera_info(name, info(name, r=turn[:, :3].ravel(), p=baseline), 0)
    rig = builder.rig
    assert rig is not None and not rig['cam1'].intrinsics.distorted
    # Its frame is its own: TF has the baseline already.
    np.testing.assert_allclose(rig['cam1'].cam_from_world, compose(turn, RIG['cam1'].cam_from_world), atol=1e-12)
    # Both of a stereo pair in one frame: P has it.
    second = info('cam1', r=turn[:, :3].ravel(), p=baseline)
    second.header.frame_id = RIG['cam0'].frame_id
    first = info('cam0', r=turn[:, :3].ravel(), p=np.where(baseline == -90.0, 0.0, baseline))
    builder.on_camera_info('cam1', second, 0)
    builder.on_camera_info('cam0', first, 0)
    rig = builder.rig
    assert rig is not None
    np.testing.assert_allclose(rig['cam0'].cam_from_world, compose(turn, RIG['cam0'].cam_from_world), atol=1e-12)
    apart = rig['cam1'].cam_from_world - rig['cam0'].cam_from_world
    np.testing.assert_allclose(apart, [[0, 0, 0, -0.1], [0, 0, 0, 0], [0, 0, 0, 0]], atol=1e-12)


def test_every_camera_needs_a_frame_of_its_own() -> None:
    builder = RigBuilder(['cam0', 'cam1'], 'world')
    builder.on_transforms(transforms('cam0', 'cam1'), 0)
    unnamed, same = info('cam1'), info('cam1')
    unnamed.header.frame_id, same.header.frame_id = '', RIG['cam0'].frame_id
    builder.on_camera_info('cam0', info('cam0'), 0)
    for wrong, words in ((unnamed, 'names no frame'), (same, "the same frame 'cam0_optical_frame' as that of cam0")):
        builder.on_camera_info('cam1', wrong, 0)
        assert builder.rig is not None and builder.rig.names == ('cam0',)
        assert words in builder.problems['cam1']
    builder.on_camera_info('cam1', info('cam1'), 0)
    assert builder.rig.names == ('cam0', 'cam1')
    # One camera alone stands where it likes.
    alone = RigBuilder(['cam1'], '')
    alone.on_camera_info('cam1', unnamed, 0)
    assert alone.rig is not None


def test_a_rig_file_must_fit_the_cameras() -> None:
    assert RigBuilder(['cam1'], 'ignored', RIG).rig is not None
    with pytest.raises(CalibrationError, match="no camera 'left'"):
        RigBuilder(['left'], 'world', RIG)
    far = RIG.with_poses(lambda pose: pose * (1, 1, 1, 1e3))
    with pytest.raises(CalibrationError, match=r'cannot be: cameras are .* it looks like mm'):
        RigBuilder(RIG.names, 'world', far)
    with pytest.raises(CalibrationError, match="Camera 'cam1': its images are rectified, but the rig file gives its"):
        RigBuilder(['cam1'], 'ignored', RIG, rectified=['cam1'])


def test_a_better_rig_stays_for_those_that_stay() -> None:
    builder = RigBuilder(['cam0', 'cam1'], 'world', RIG)
    better = moved_cameras(RIG, 'cam0', 'cam1')
    builder.use_refined(better.subset(['cam0', 'cam1']), 0)
    builder.use_cameras(['cam1', 'cam2'], RIG, [], S)
    assert builder.rig is not None and builder.rig.names == ('cam1', 'cam2')
    np.testing.assert_array_equal(builder.rig['cam1'].cam_from_world, better['cam1'].cam_from_world)
    np.testing.assert_array_equal(builder.rig['cam2'].cam_from_world, RIG['cam2'].cam_from_world)
    # A refinement of cameras that have gone meanwhile.
    builder.use_refined(moved_cameras(RIG, 'cam0').subset(['cam0']), S)
    assert builder.rig.names == ('cam1', 'cam2')
    # The file was calibrated anew: it tells of all of them.
    anew = moved_cameras(RIG, 'cam1', 'cam3')
    builder.use_cameras(['cam1', 'cam3'], anew, [], S)
    for name in ('cam1', 'cam3'):
        np.testing.assert_array_equal(builder.rig[name].cam_from_world, anew[name].cam_from_world)
    with pytest.raises(CalibrationError, match='cam9'):
        builder.use_cameras(['cam9'], RIG, [], S)
    assert builder.rig.names == ('cam1', 'cam3')


def test_a_refinement_of_a_camera_that_camera_info_no_longer_tells_of() -> None:
    builder = calibrated('cam0', 'cam1')
    better = moved_cameras(RIG, 'cam0', 'cam1')
    builder.use_cameras(['cam1'], None, [], S)
    builder.use_refined(better.subset(['cam0', 'cam1']), S)
    assert builder.rig is not None and builder.rig.names == ('cam1',)
    np.testing.assert_array_equal(builder.rig['cam1'].cam_from_world, better['cam1'].cam_from_world)
    # Nothing is known any more of one that comes back.
    builder.use_cameras(['cam0', 'cam1'], None, [], S)
    assert builder.rig.names == ('cam1',)
    assert 'no camera_info came yet' in builder.problems['cam0']


def test_a_moving_rig_takes_other_cameras_of_its_file() -> None:
    builder = RigBuilder(['cam0', 'cam1'], 'odom', RIG, moving=TransformBuffer())
    builder.use_cameras(['cam1', 'cam3'], RIG, [], S)
    assert builder.rig is not None and builder.rig.world_frame_id == 'odom'
    assert set(builder.mounts) == {'cam1', 'cam3'}
    assert {mount.frame for mount in builder.mounts.values()} == {'world'}
    np.testing.assert_array_equal(builder.mounts['cam1'].cam_from_frame, RIG['cam1'].cam_from_world)
