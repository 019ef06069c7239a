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
from geo_pose_ros.messages.diagnostics import Level, Status, diagnostics_to_message
from geo_pose_ros.messages.transforms import rig_to_transforms_stamped
from geo_pose_ros.pipeline import PipelineResult
from geo_pose_ros.rigs.builder import RigBuilder
from geo_pose_ros.ros.health import diagnostics
from geo_pose_ros.ros.health.diagnostics import CameraInput, SyncCounts, to_status
from geo_pose_ros.ros.health.faults import Fault, FaultLog
from geo_pose_ros.ros.health.statistics import CameraStatistics, NodeStatistics
from geo_pose_ros.ros.io import tf
from geo_pose_ros.ros.io.qos import explain_incompatible, profile
from geo_pose_ros.ros.nodes.settings import NodeConfig
from geo_pose_ros.scene.cameras.states import CameraState
from geo_pose_ros.scene.scene import SceneResult
from geo_pose_ros.scene.sync import DropCause
from geo_pose_ros.skeleton import BODY17
from geo_pose_ros.types import Bodies3D, CameraRig
from test.ros.harness import MAKE, RIG

S = 1_000_000_000
NONE = SyncCounts({}, {}, {}, {}, {})


def result(residuals: dict[str, list[float]], bodies: int = 0, **stages: float) -> PipelineResult:
    return PipelineResult(SceneResult(
        Bodies3D.empty(0, 'world', BODY17), stage_ms=stages,
        residuals_px={name: np.array(values) for name, values in residuals.items()},
    ))


def test_rates_count_the_silence_since() -> None:
    camera = CameraStatistics()
    assert camera.rate_hz(0) == 0.0
    assert camera.age_s(0) is None
    camera.arrivals_ns.extend(k * S // 10 for k in range(11))
    assert camera.rate_hz(S) == pytest.approx(10.0)
    assert camera.rate_hz(11 * S) == pytest.approx(1.0)
    assert camera.age_s(4 * S) == 3.0


def test_latency_stages_and_reprojection() -> None:
    statistics = NodeStatistics(['a', 'b'])
    assert statistics.latency_ms() == {}
    for k in range(5):
        statistics.processed(result({'a': [k, k, 100.0], 'b': []}, solve=2.0 * k), 3_000_000, k * 10_000_000, k * S)
    assert statistics.published == 5
    assert statistics.latency_ms() == {'p50': 20.0, 'p95': pytest.approx(38.0), 'max': 40.0}
    assert statistics.span_ms()['p50'] == 3.0
    assert statistics.stages_ms() == {'solve': 4.0}
    assert statistics.rate_hz(4 * S) == pytest.approx(1.0)
    assert statistics.reprojection_px() == {'a': (2.0, 5)}


def state_of(moved: bool) -> CameraState:
    return CameraState(0.0123, 0.0004, 1.25, 0.6, (3.0, -4.0), 0.01, moved)


@pytest.mark.parametrize('moved', [False, True])
def test_a_camera_that_was_moved_is_named(moved: bool) -> None:
    statistics = NodeStatistics(['cam01', 'cam02'])
    found = SceneResult(Bodies3D.empty(0, 'world', BODY17), cameras={'cam02': state_of(moved)})
    statistics.processed(PipelineResult(found), 0, 0, S)
    status = to_status('rig', diagnostics.rig_faults(statistics, {}, S), diagnostics.rig_values(statistics))
    words = (
        "camera 'cam02' moved: its keypoints lie 5 px (0.6 degrees) beside the bodies that the others see; calibrate "
        'again (the service ~/calibrate, or geo_pose calibrate)'
    )
    assert (status.level, status.message) == (
        (Level.WARN, words) if moved else (Level.OK, 'ok')
    )
    known = CameraInput('/cam02/image_raw')
    values = diagnostics.camera_values('cam02', known, statistics, NONE, S)
    shown = {key: values[key] for key in ('clock_offset_ms', 'clock_sigma_ms', 'noise_scale', 'shift_px', 'shift_deg')}
    assert shown == {
        'clock_offset_ms': '12.3', 'clock_sigma_ms': '0.4', 'noise_scale': '1.25', 'shift_px': '3.0 -4.0',
        'shift_deg': '0.57',
    }
    # Nothing is invented of a camera that nothing is known of.
    assert 'clock_offset_ms' not in diagnostics.camera_values('cam01', known, statistics, NONE, S)


def statistics_of(camera: CameraStatistics) -> NodeStatistics:
    statistics = NodeStatistics(['left'])
    statistics.cameras['left'] = camera
    return statistics


def camera_status(
    statistics: NodeStatistics, counts: SyncCounts = NONE, now_ns: int = 10 * S, **known: Any
) -> Status:
    about = CameraInput('/left/image_raw', **known)
    faults = diagnostics.camera_faults('left', about, statistics, counts, NodeConfig(), now_ns)
    return to_status('camera left', faults, diagnostics.camera_values('left', about, statistics, counts, now_ns))


def test_a_healthy_camera_is_ok() -> None:
    camera = CameraStatistics()
    camera.arrivals_ns.extend([9 * S, 10 * S])
    drops = {'left': {DropCause.LATE: 2}}
    status = camera_status(
        statistics_of(camera), SyncCounts({'left': 7}, {'left': 5}, drops, {}, {'left': 1_000_000})
    )
    assert (status.level, status.message) == (Level.OK, 'ok')
    assert status.values['rate_hz'] == '1.0'
    assert status.values['dropped: its set was already closed'] == '2'
    assert (status.values['frames_received'], status.values['frames_used']) == ('7', '5')
    assert status.values['clock_error_ms'] == '1.0'


def test_the_worst_comes_first() -> None:
    statistics = statistics_of(CameraStatistics())
    statistics.problem('left', 'unreadable', 'truncated', 9 * S)
    status = camera_status(statistics, notes={'qos': 'QoS is wrong'})
    assert status.level == Level.ERROR
    assert status.message == "no frame on '/left/image_raw' yet; QoS is wrong; truncated"
    assert status.values['unusable: unreadable'] == '1'
    statistics.cameras['left'].arrivals_ns.append(10 * S)
    assert camera_status(statistics).level == Level.WARN
    # An old problem is history.
    statistics.cameras['left'].arrivals_ns.append(14 * S)
    assert camera_status(statistics, now_ns=14 * S).level == Level.OK


def test_a_camera_that_is_not_calibrated_is_not_ok() -> None:
    camera = CameraStatistics()
    camera.arrivals_ns.append(10 * S)
    statistics = statistics_of(camera)
    statistics.problem('left', 'not calibrated', 'not calibrated yet', 10 * S)
    status = camera_status(statistics, calibration='no camera_info came yet')
    assert (status.level, status.message) == (Level.ERROR, 'no camera_info came yet')


def test_losses_of_the_middleware_count() -> None:
    camera = CameraStatistics()
    camera.arrivals_ns.append(10 * S)
    statistics = statistics_of(camera)
    statistics.lost('left', 23, 9 * S)
    status = camera_status(statistics)
    assert (status.level, status.values['frames_lost_by_middleware']) == (Level.WARN, '23')
    assert 'the middleware loses its frames, 23 so far; give its driver the large-data profile' in status.message
    # The same total again is no new loss.
    statistics.lost('left', 23, 14 * S)
    camera.arrivals_ns.append(14 * S)
    assert camera_status(statistics, now_ns=14 * S).level == Level.OK


def test_clock_errors_in_words() -> None:
    camera = CameraStatistics()
    camera.arrivals_ns.append(10 * S)
    for error_ns, words in ((3 * S, 'its clock is 3.000 s ahead of'), (-S, 'its clock is 1.000 s behind')):
        status = camera_status(statistics_of(camera), SyncCounts({}, {}, {}, {}, {'left': error_ns}))
        assert status.level == Level.ERROR
        assert words in status.message


@pytest.mark.parametrize(
    ('received', 'used', 'drops', 'words'),
    [
        (20, 0, {DropCause.DUPLICATE: 20}, 'none of its last 20 frames was used: its stamp is the last one of'),
        (20, 1, {DropCause.DUPLICATE: 19}, ''),
        (4, 0, {DropCause.DUPLICATE: 4}, ''),
        # A slow machine is nobody's fault.
        (20, 0, {DropCause.SUPERSEDED: 20}, ''),
    ],
)
def test_frames_that_come_and_are_never_used(
    received: int, used: int, drops: dict[DropCause, int], words: str
) -> None:
    before = SyncCounts({'left': 100}, {'left': 50}, {'left': {DropCause.LATE: 50}}, {}, {})
    dropped = {'left': {DropCause.LATE: 50, **drops}}
    now = SyncCounts({'left': 100 + received}, {'left': 50 + used}, dropped, {}, {})
    found = diagnostics.unused_fault('left', before, now)
    assert (found is not None) is bool(words)
    if found is not None:
        assert words in found.text and found.level == Level.ERROR


def pipeline_status(statistics: NodeStatistics, counts: SyncCounts, now_ns: int) -> Status:
    faults = diagnostics.pipeline_faults(statistics, counts, NodeConfig(), now_ns)
    return to_status('pipeline', faults, diagnostics.pipeline_values(statistics, counts, now_ns))


def test_the_pipeline_says_why_nothing_comes() -> None:
    statistics = NodeStatistics(['a'])
    assert pipeline_status(statistics, NONE, 0).message == 'no set published yet: no camera has sent a frame'
    statistics.arrived('a', S)
    some = SyncCounts({'a': 9}, {'a': 9}, {}, {'taken': 2}, {})
    statistics.processed(result({}, triangulate=1.0), 0, 20_000_000, 0)
    statistics.processed(result({}, triangulate=3.0), 0, 20_000_000, S)
    status = pipeline_status(statistics, some, S)
    assert (status.level, status.message) == (Level.OK, 'ok')
    assert status.values['stage_ms triangulate'] == '2.00'
    assert status.values['sets taken'] == '2'
    # What failed long ago is not blamed.
    statistics.set_failed('DetectorError', 'old', S)
    statistics.arrived('a', 100 * S)
    status = pipeline_status(statistics, some, 100 * S)
    assert (status.level, status.message) == (
        Level.ERROR, 'no set published for 99.0 s: frames come, but make no set; see the cameras'
    )
    statistics.set_failed('DetectorError', 'frame set at 7 ns: it broke', 100 * S)
    assert pipeline_status(statistics, some, 100 * S).message.endswith(': frame set at 7 ns: it broke')
    assert pipeline_status(statistics, some, 110 * S).message == 'no set published for 109.0 s: no camera sends'


class Logger:
    """What was logged, by severity."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    def __getattr__(self, severity: str) -> Any:
        return lambda text: self.lines.append((severity, text))


def test_a_fault_is_one_line_when_it_begins_and_one_when_it_is_over() -> None:
    logger = Logger()
    log = FaultLog(logger)
    silent = [Fault('camera left', 'silent', Level.ERROR, f'silent for {n} s') for n in (2, 3)]
    lost = Fault('camera left', 'lost', Level.WARN, "Camera 'left': frames are lost")
    log.update([], 0)
    log.update(silent[:1], S)
    log.update([silent[1], lost], 2 * S)
    log.update([lost], 3 * S)
    log.update([], 4 * S)
    log.update(silent[:1], 5 * S)
    assert logger.lines == [
        ('error', 'camera left: silent for 2 s'),
        ('warning', "Camera 'left': frames are lost"),
        ('info', 'over after 2.0 s: camera left: silent for 2 s'),
        ('info', "over after 2.0 s: Camera 'left': frames are lost"),
        ('error', 'camera left: silent for 2 s'),
    ]


def test_the_message() -> None:
    status = Status('pipeline', Level.WARN, 'slow', {'rate_hz': '1'})
    message = diagnostics_to_message(MAKE, 'pose_node', [status], 5 * S)
    assert message.header.stamp.sec == 5
    (only,) = message.status
    assert (only.name, only.level, only.message) == ('pose_node: pipeline', b'\x01', 'slow')
    assert [(v.key, v.value) for v in only.values] == [('rate_hz', '1')]


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
