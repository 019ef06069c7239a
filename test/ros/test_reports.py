"""Statistics, diagnostics, calibration and QoS words, without live topics."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSPolicyKind, ReliabilityPolicy

from geo_pose_ros.errors import CalibrationError, ConfigError
from geo_pose_ros.geometry.rigid import compose, from_rotation_vector
from geo_pose_ros.messages.camera_info import camera_info_from_intrinsics
from geo_pose_ros.messages.transforms import rig_to_transforms_stamped
from geo_pose_ros.rigs.builder import RigBuilder
from geo_pose_ros.ros.health.diagnostics import SyncCounts
from geo_pose_ros.ros.io import tf
from geo_pose_ros.ros.io.qos import explain_incompatible, profile
from geo_pose_ros.types import CameraRig
from test.ros.harness import MAKE, RIG

S = 1_000_000_000
NONE = SyncCounts({}, {}, {}, {}, {})


def info(camera: str, **changes: Any) -> Any:
    message = camera_info_from_intrinsics(MAKE, RIG[camera].intrinsics, 0, RIG[camera].frame_id)
    for name, value in changes.items():
        setattr(message, name, value)
    return message


def transforms(*cameras: str) -> Any:
    return SimpleNamespace(transforms=rig_to_transforms_stamped(MAKE, RIG.subset(cameras), 0))


def test_a_rig_grows_from_messages() -> None:
    calibration = RigBuilder(['cam0', 'cam1'], 'world')
    assert calibration.rig is None
    assert 'no camera_info came yet' in calibration.problems['cam0']
    calibration.on_camera_info('cam0', info('cam0'), 0)
    assert 'No transform joins' in calibration.problems['cam0']
    assert calibration.on_transforms(transforms('cam0', 'cam1'), 0) == ''
    assert calibration.rig is not None and calibration.rig.names == ('cam0',)
    np.testing.assert_allclose(calibration.rig['cam0'].cam_from_world, RIG['cam0'].cam_from_world, atol=1e-12)
    # One camera is still missing: wait a second for news.
    assert not calibration.is_settled(S)
    assert calibration.is_settled(S + 1)
    calibration.on_camera_info('cam1', info('cam1'), 2 * S)
    rig = calibration.rig
    assert rig is not None and rig.names == ('cam0', 'cam1')
    assert calibration.is_settled(2 * S)
    # The same again is no news, nor is a transform that concerns no camera.
    calibration.on_camera_info('cam1', info('cam1'), 3 * S)
    calibration.on_transforms(transforms('cam0', 'cam1'), 3 * S)
    calibration.on_transforms(transforms('cam2', 'cam3'), 3 * S)
    assert calibration.rig is rig
    changed = info('cam1')
    changed.k[0] = 123.0
    calibration.on_camera_info('cam1', changed, 3 * S)
    assert calibration.rig is not rig and calibration.rig is not None
    assert calibration.rig['cam1'].intrinsics.K[0, 0] == 123.0


def test_what_is_wrong_is_said_and_does_not_undo_what_was_right() -> None:
    calibration = RigBuilder(['cam0'], 'world')
    calibration.on_camera_info('cam0', info('cam0', k=np.zeros(9)), 0)
    assert 'camera_info has K = 0' in calibration.problems['cam0']
    assert not calibration.has_intrinsics('cam0')
    calibration.on_camera_info('cam0', info('cam0'), 0)
    calibration.on_transforms(transforms('cam0'), 0)
    assert calibration.problems == {}
    calibration.on_camera_info('cam0', info('cam0', distortion_model='division'), 0)
    assert calibration.rig is not None and calibration.problems == {}
    broken = transforms('cam0')
    broken.transforms[0].transform.rotation.w = float('nan')
    broken.transforms[0].transform.translation.x = float('nan')
    assert 'expected a unit quaternion' in calibration.on_transforms(broken, 0)
    assert calibration.rig is not None


def test_refined_extrinsics_stand_until_tf_tells_others() -> None:
    calibration = RigBuilder(('cam0', 'cam1'), 'world')
    for name in ('cam0', 'cam1'):
        calibration.on_camera_info(name, info(name), 0)
    calibration.on_transforms(transforms('cam0', 'cam1'), 0)
    told = calibration.rig
    assert told is not None
    step = np.column_stack([np.zeros((3, 3)), (0.0, 0.0, 0.1)])
    better = CameraRig(tuple(replace(c, cam_from_world=c.cam_from_world + step) for c in told.cameras))
    calibration.use_refined(better, 1)
    used = calibration.rig
    assert used is not None
    assert np.array_equal(used['cam0'].cam_from_world, better['cam0'].cam_from_world)
    # Said again by whoever comes late: nothing new.
    calibration.on_transforms(transforms('cam0', 'cam1'), 2)
    calibration.on_camera_info('cam0', info('cam0'), 2)
    assert calibration.rig is used
    moved = transforms('cam0')
    moved.transforms[0].transform.translation.x += 0.5
    calibration.on_transforms(moved, 3)
    assert calibration.rig is not None
    shift = calibration.rig['cam0'].position_m - told['cam0'].position_m
    assert shift == pytest.approx((0.5, 0.0, 0.0))
    assert np.array_equal(calibration.rig['cam1'].cam_from_world, better['cam1'].cam_from_world)


def test_a_refined_rig_replaces_a_rig_file() -> None:
    calibration = RigBuilder(('cam1', 'cam0'), 'world', RIG)
    better = CameraRig(tuple(replace(c, frame_id='other') for c in RIG.cameras))
    calibration.use_refined(better, 1)
    assert calibration.rig is not None
    assert [(c.name, c.frame_id) for c in calibration.rig.cameras] == [('cam1', 'other'), ('cam0', 'other')]


def test_rectified_pictures_are_turned_against_their_frame() -> None:
    turn = from_rotation_vector(np.array([0.0, 0.05, 0.0]), np.zeros(3))
    baseline = np.array([900.0, 0, 640, -90.0, 0, 900, 480, 0, 0, 0, 1, 0])
    calibration = RigBuilder(['cam0', 'cam1'], 'world', rectified=['cam0', 'cam1'])
    calibration.on_transforms(transforms('cam0', 'cam1'), 0)
    for name in ('cam0', 'cam1'):
        calibration.on_camera_info(name, info(name, r=turn[:, :3].ravel(), p=baseline), 0)
    rig = calibration.rig
    assert rig is not None and not rig['cam1'].intrinsics.distorted
    # Its frame is its own: TF has the baseline already.
    np.testing.assert_allclose(rig['cam1'].cam_from_world, compose(turn, RIG['cam1'].cam_from_world), atol=1e-12)
    # Both of a stereo pair in one frame: P has it.
    second = info('cam1', r=turn[:, :3].ravel(), p=baseline)
    second.header.frame_id = RIG['cam0'].frame_id
    first = info('cam0', r=turn[:, :3].ravel(), p=np.where(baseline == -90.0, 0.0, baseline))
    calibration.on_camera_info('cam1', second, 0)
    calibration.on_camera_info('cam0', first, 0)
    rig = calibration.rig
    assert rig is not None
    np.testing.assert_allclose(rig['cam0'].cam_from_world, compose(turn, RIG['cam0'].cam_from_world), atol=1e-12)
    apart = rig['cam1'].cam_from_world - rig['cam0'].cam_from_world
    np.testing.assert_allclose(apart, [[0, 0, 0, -0.1], [0, 0, 0, 0], [0, 0, 0, 0]], atol=1e-12)


def test_a_rig_file_of_raw_pictures_does_not_fit_rectified_ones() -> None:
    with pytest.raises(CalibrationError, match="Camera 'cam1': its images are rectified, but the rig file gives its"):
        RigBuilder(['cam1'], 'ignored', RIG, rectified=['cam1'])


def test_a_rig_file_must_hold_the_cameras() -> None:
    assert RigBuilder(['cam1'], 'ignored', RIG).rig is not None
    with pytest.raises(CalibrationError, match="no camera 'left'"):
        RigBuilder(['left'], 'world', RIG)


def test_profiles() -> None:
    latched = profile(3, latched=True)
    assert (latched.depth, latched.history) == (3, HistoryPolicy.KEEP_LAST)
    assert (latched.durability, latched.reliability) == (DurabilityPolicy.TRANSIENT_LOCAL, ReliabilityPolicy.RELIABLE)
    assert profile(1, reliable=False).reliability == ReliabilityPolicy.BEST_EFFORT


def test_incompatible_qos_in_words() -> None:
    def said(kind: Any) -> str:
        return explain_incompatible('left/image_raw', SimpleNamespace(last_policy_kind=kind))

    assert 'set reliability:=best_effort' in said(QoSPolicyKind.RELIABILITY)
    assert 'change deadline of the publisher' in said(QoSPolicyKind.DEADLINE)


def test_tf_static_is_subscribed_late(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    asked: list[tuple[Any, ...]] = []
    node = SimpleNamespace(create_subscription=lambda *a: asked.append(a))
    monkeypatch.setitem(sys.modules, 'tf2_msgs', None)
    with pytest.raises(ConfigError, match=r'Install ros-.*-tf2-msgs, or give a rig file'):
        tf.subscribe_static_transforms(node, print)
    module = SimpleNamespace(TFMessage=int)
    monkeypatch.setitem(sys.modules, 'tf2_msgs', SimpleNamespace(msg=module))
    monkeypatch.setitem(sys.modules, 'tf2_msgs.msg', module)
    tf.subscribe_static_transforms(node, print)
    kind, topic, callback, qos = asked[0]
    assert (kind, topic, callback) == (int, '/tf_static', print)
    assert qos.durability == DurabilityPolicy.TRANSIENT_LOCAL


def test_camera_frames_are_published_latched(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    sent: list[Any] = []
    asked: list[tuple[Any, ...]] = []

    def create_publisher(*arguments: Any) -> Any:
        asked.append(arguments)
        made.append(SimpleNamespace(publish=sent.append))
        return made[-1]

    made: list[Any] = []
    clock = SimpleNamespace(now=lambda: SimpleNamespace(nanoseconds=S))
    node = SimpleNamespace(
        create_publisher=create_publisher, destroy_publisher=made.remove, get_clock=lambda: clock
    )
    monkeypatch.setitem(sys.modules, 'tf2_msgs', None)
    with pytest.raises(ConfigError, match='publish_camera_frames needs the ROS package tf2_msgs'):
        tf.CameraFrames(node, MAKE)
    module = SimpleNamespace(TFMessage=lambda transforms: SimpleNamespace(transforms=transforms))
    monkeypatch.setitem(sys.modules, 'tf2_msgs', SimpleNamespace(msg=module))
    monkeypatch.setitem(sys.modules, 'tf2_msgs.msg', module)
    frames = tf.CameraFrames(node, MAKE)
    frames.publish(RIG)
    assert asked[0][1] == '/tf_static' and asked[0][2].durability == DurabilityPolicy.TRANSIENT_LOCAL
    # What it says is what a listener makes the rig from.
    calibration = RigBuilder(['cam2'], 'world')
    calibration.on_camera_info('cam2', info('cam2'), 0)
    calibration.on_transforms(sent[0], 0)
    assert calibration.rig is not None
    np.testing.assert_allclose(calibration.rig['cam2'].cam_from_world, RIG['cam2'].cam_from_world, atol=1e-12)
    # Another rig stands instead of the one before.
    frames.publish(RIG.subset(['cam1']))
    assert len(made) == 1
    assert [t.child_frame_id for t in sent[1].transforms] == [RIG['cam1'].frame_id]
    frames.close()
    frames.close()
    assert made == []
