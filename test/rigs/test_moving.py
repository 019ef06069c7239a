# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Transforms over time, and cameras looked up in them, against a drive of known poses."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from geo_pose_ros.arrays import FloatArray
from geo_pose_ros.bags.message_factory import RosbagsFactory
from geo_pose_ros.errors import TransformError
from geo_pose_ros.geometry.rigid import compose, from_rotation_vector, invert
from geo_pose_ros.messages.camera_info import camera_info_from_intrinsics
from geo_pose_ros.messages.transforms import rig_to_transforms_stamped, to_transform
from geo_pose_ros.rigs.builder import RigBuilder
from geo_pose_ros.rigs.moving import Mount, MovingCameras, mounts_of
from geo_pose_ros.rigs.settings import TransformConfig
from geo_pose_ros.rigs.transform_buffer import TransformBuffer
from test.scenes import ring_rig

MAKE = RosbagsFactory()
MS = 1_000_000
S = 1000 * MS
RIG = ring_rig(3)


def drive(stamp_ns: int, speed: float = 1.0, turn: float = 1.0) -> FloatArray:
    """odom_from_base (3, 4) of a robot that drives along x and turns about z."""
    t = stamp_ns / S
    return from_rotation_vector(np.array([0.0, 0.0, turn * t]), np.array([speed * t, 0.5, 0.0]))


def stamped(parent: str, child: str, stamp_ns: int, pose: FloatArray) -> Any:
    return to_transform(MAKE, parent, child, pose, stamp_ns)


HEAD = from_rotation_vector(np.array([0.0, 0.2, 0.0]), np.array([0.1, 0.0, 1.2]))


def driven(until_ns: int = 2 * S, step_ns: int = 20 * MS, keep_s: float = 10.0) -> TransformBuffer:
    buffer = TransformBuffer(keep_s)
    assert buffer.add([stamped('/base', 'head', 0, HEAD)], static=True) == ''
    for stamp in range(0, until_ns + 1, step_ns):
        assert buffer.add([stamped('odom', '/base', stamp, drive(stamp))], static=False) == ''
    return buffer


def fault(buffer: TransformBuffer, target: str, source: str, stamp_ns: int | None) -> TransformError:
    with pytest.raises(TransformError) as caught:
        buffer.lookup(target, source, stamp_ns)
    return caught.value


def test_between_two_transforms_a_drive_at_constant_speed_is_exact():
    buffer = driven()
    for stamp in (0, 20 * MS, 1007 * MS, 2 * S):
        expected = compose(drive(stamp), HEAD)
        np.testing.assert_allclose(buffer.lookup('odom', 'head', stamp), expected, atol=1e-12)
        np.testing.assert_allclose(buffer.lookup('head', 'odom', stamp), invert(expected), atol=1e-12)
    # What hangs on one frame does not need to know where that is.
    np.testing.assert_allclose(buffer.lookup('base', 'head', 99 * S), HEAD, atol=1e-15)
    np.testing.assert_array_equal(buffer.lookup('odom', 'odom', 5), np.eye(3, 4))
    assert repr(buffer) == 'TransformBuffer(base->head (static), odom->base (101))'
    # The newest is that of the slowest transform on the way.
    np.testing.assert_array_equal(buffer.lookup('odom', 'head', None), buffer.lookup('odom', 'head', 2 * S))
    buffer.add([stamped('head', 'eye', 1 * S, HEAD)], static=False)
    np.testing.assert_array_equal(buffer.lookup('odom', 'eye', None), buffer.lookup('odom', 'eye', 1 * S))


def test_late_old_missing_and_circular_transforms_say_so():
    buffer = driven()
    late = fault(buffer, 'odom', 'head', 2 * S + 30 * MS)
    assert (late.kind, 'is 0.030 s older than the image' in str(late)) == ('late', True)
    old = fault(buffer, 'odom', 'head', -5 * MS)
    assert (old.kind, 'is 0.005 s newer than the image' in str(old)) == ('old', True)
    missing = fault(buffer, 'odom', 'left_hand', 1 * S)
    assert missing.kind == 'missing' and "joins 'odom' and 'left_hand'; the frames are: base, head" in str(missing)
    buffer.add([stamped('head', 'odom', 0, HEAD)], static=True)
    assert 'round in a circle' in str(fault(buffer, 'odom', 'head', 1 * S))


def test_transforms_out_of_order_and_twice():
    buffer = TransformBuffer()
    for stamp in (0, 40 * MS, 20 * MS, 40 * MS):
        buffer.add([stamped('odom', 'base', stamp, drive(stamp, speed=stamp / S))], static=False)
    expected = 0.5 * sum(drive(t, speed=t / S)[0, 3] for t in (20 * MS, 40 * MS))
    assert buffer.lookup('odom', 'base', 30 * MS)[0, 3] == pytest.approx(expected)


def test_memory_is_bounded_and_time_may_begin_anew():
    buffer = driven(until_ns=60 * S, keep_s=2.0)
    assert len(buffer._edges['base'].stamps) < 100 + 257
    buffer.lookup('odom', 'base', 58 * S)
    assert fault(buffer, 'odom', 'base', 30 * S).kind == 'old'
    buffer.add([stamped('odom', 'base', 1 * S, drive(1 * S))], static=False)
    assert fault(buffer, 'odom', 'base', 58 * S).kind == 'late'
    buffer.lookup('odom', 'base', 1 * S)


def test_impossible_transforms_are_left_out_and_named():
    buffer = driven()
    before = buffer.lookup('odom', 'head', None)
    for part, name, wrong in (('rotation', 'w', 0.0), ('translation', 'x', math.nan), ('rotation', 'x', math.inf)):
        message = stamped('odom', 'base', 3 * S, np.eye(3, 4))
        setattr(getattr(message.transform, part), name, wrong)
        assert "'odom' -> 'base'" in buffer.add([message], static=False)
    np.testing.assert_array_equal(buffer.lookup('odom', 'head', None), before)


def cameras(buffer: TransformBuffer, **limits: float) -> MovingCameras:
    return MovingCameras(buffer, 'odom', TransformConfig(**limits))


def test_each_camera_is_looked_up_at_its_own_instant():
    base_rig = RIG.subset(['cam0', 'cam1'])
    mounts = {**mounts_of(base_rig), 'eye': Mount('head', np.eye(3, 4))}
    mounts = {name: Mount('base' if m.frame == 'world' else m.frame, m.cam_from_frame) for name, m in mounts.items()}
    stamps = {'cam0': 500 * MS, 'cam1': 513 * MS, 'eye': 507 * MS}
    poses = cameras(driven()).poses_at(mounts, stamps)
    assert not poses.faults
    for name, stamp in stamps.items():
        on = compose(drive(stamp), HEAD) if name == 'eye' else drive(stamp)
        expected = compose(mounts[name].cam_from_frame, invert(on))
        np.testing.assert_allclose(poses.cam_from_tracking[name], expected, atol=1e-12)


def test_a_camera_without_transforms_costs_itself():
    mounts = {'eye': Mount('head', np.eye(3, 4)), 'hand': Mount('hand', np.eye(3, 4))}
    looked = cameras(driven()).poses_at(mounts, {'eye': 1 * S, 'hand': 1 * S})
    assert set(looked.cam_from_tracking) == {'eye'} and looked.faults['hand'].kind == 'missing'
    # A camera whose calibration went while its image was on the way.
    looked = cameras(driven()).poses_at({}, {'eye': 1 * S})
    assert "no frame is known that carries camera 'eye'" in str(looked.faults['eye'])
    assert set(cameras(driven()).poses_about(mounts)) == {'eye'}


def test_a_jump_costs_the_instants_around_it():
    buffer = driven(until_ns=1 * S)
    moved = from_rotation_vector(np.zeros(3), np.array([5.0, 0.0, 0.0]))
    for stamp in range(1020 * MS, 1500 * MS, 20 * MS):
        buffer.add([stamped('odom', 'base', stamp, compose(moved, drive(stamp)))], static=False)
    looking, kinds = cameras(buffer), []
    for stamp in range(900 * MS, 1200 * MS, 33 * MS):
        faults = looking.poses_at({'cam': Mount('base', np.eye(3, 4))}, {'cam': stamp}).faults
        kinds.append(faults['cam'].kind if faults else '')
    assert kinds.count('jump') == 1 and kinds[-1] == '' and kinds[0] == ''


def test_a_turn_that_no_head_makes_is_a_jump():
    buffer = TransformBuffer()
    for stamp in range(0, S, 20 * MS):
        buffer.add([stamped('odom', 'base', stamp, drive(stamp, 0.0, turn=3.0))], static=False)
    mounts = {'cam': Mount('base', np.eye(3, 4))}
    for most, jumps in ((4.0, 0), (1.0, 1)):
        looking = cameras(buffer, max_turn_rad_s=most)
        looking.poses_at(mounts, {'cam': 100 * MS})
        assert len(looking.poses_at(mounts, {'cam': 200 * MS}).faults) == jumps
        # After a second nothing can be said.
        looking.poses_at(mounts, {'cam': 960 * MS})


def test_a_rig_that_moves_is_calibrated_once_and_stays_the_same_object():
    buffer = TransformBuffer()
    buffer.add(rig_to_transforms_stamped(MAKE, RIG, 0), static=True)
    for transform in rig_to_transforms_stamped(MAKE, RIG, 0):
        transform.header.frame_id = 'base'
        buffer.add([transform], static=True)
    calibration = RigBuilder(RIG.names, 'odom', moving=buffer)
    for camera in RIG.cameras:
        info = camera_info_from_intrinsics(MAKE, camera.intrinsics, 0, camera.frame_id)
        calibration.on_camera_info(camera.name, info, 0)
    assert "No transform joins 'odom' and 'cam0_optical_frame'" in calibration.problems['cam0']
    buffer.add([stamped('odom', 'base', 0, drive(0))], static=False)
    calibration.retry(0)
    rig = calibration.rig
    assert rig is not None and rig.world_frame_id == 'odom' and not calibration.problems
    assert {name: mount.frame for name, mount in calibration.mounts.items()} == {
        camera.name: camera.frame_id for camera in RIG.cameras
    }
    buffer.add([stamped('odom', 'base', 1 * S, drive(1 * S))], static=False)
    calibration.retry(1 * S)
    info = camera_info_from_intrinsics(MAKE, RIG['cam0'].intrinsics, 1 * S, RIG['cam0'].frame_id)
    calibration.on_camera_info('cam0', info, 1 * S)
    assert calibration.rig is rig
