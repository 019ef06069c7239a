"""The calibration of a running system: a camera that is moved is named, and repaired while people walk."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from geo_pose_ros.calibration.settings import CalibrateConfig, WatchConfig
from geo_pose_ros.calibration.watch import CalibrationWatch
from geo_pose_ros.config import LifterConfig, PipelineConfig
from geo_pose_ros.pipeline import PosePipeline
from geo_pose_ros.skeleton import BODY17
from geo_pose_ros.types import Bodies3D, CameraRig

from ..scenes import ring_rig
from .walking import START_NS, errors_as_is, pictures, walk

FPS = 20.0
MOVED_AT = 100
CONFIG = WatchConfig(calibrate=CalibrateConfig(instants=100))
NO_LIFTER = PipelineConfig(lifter=LifterConfig(enabled=False))


@dataclass
class Set:
    bodies: Bodies3D
    keypoints: dict


def turned(rig, name, degrees):
    """The rig with one camera panned."""
    cameras = []
    for camera in rig.cameras:
        if camera.name == name:
            R = Rotation.from_rotvec((0.0, np.radians(degrees), 0.0)).as_matrix()
            camera = replace(camera, cam_from_world=R @ camera.cam_from_world)
        cameras.append(camera)
    return CameraRig(tuple(cameras), rig.world_frame_id)


@pytest.fixture(scope='module')
def watched():
    """Ten seconds with the rig as calibrated but for a camera that is turned by 3 degrees after five."""
    rig = ring_rig(4)
    now = turned(rig, 'cam2', 3.0)
    motion = walk(16.0)
    before, after = (pictures(r, [motion], noise_px=2.0) for r in (rig, now))
    watch, named_s = CalibrationWatch(rig, CONFIG), []
    with PosePipeline(rig, NO_LIFTER) as pipeline:
        for i in range(len(motion)):
            seen = {name: (before if i < MOVED_AT else after)[name][i] for name in rig.names}
            stamp_ns = START_NS + round(i * 1e9 / FPS)
            watch.add(pipeline.fuse(stamp_ns, seen))
            if watch.off():
                named_s.append((i / FPS, watch.off()))
    yield rig, now, watch, named_s
    watch.close()


def test_a_moved_camera_is_named_within_seconds_and_no_other(watched):
    _, _, _, named = watched
    assert MOVED_AT / FPS < named[0][0] < MOVED_AT / FPS + 3.0
    assert {name for _, names in named for name in names} == {'cam2'}


def test_how_far_it_is_off(watched):
    _, _, watch, _ = watched
    state = watch.state()
    # The other cameras' bodies are drawn a little to it.
    assert np.degrees(state['cam2'].offset_rad) == pytest.approx(3.0, abs=0.7)
    assert np.degrees(state['cam0'].offset_rad) < 0.6
    assert state['cam2'].residual_px > state['cam0'].residual_px
    assert 'off: cam2' in repr(watch)


def test_it_is_repaired_and_the_others_stay(watched):
    rig, now, watch, _ = watched
    proposal = watch.refine_in_background().result(timeout=120)
    assert proposal.refusal == ''
    assert proposal.moved == ('cam2',)
    turns, shifts = errors_as_is(proposal.rig, now)
    assert turns.max() < 0.3
    assert shifts.max() < 20.0
    # What the moved camera saw before it was moved did not enter.
    assert proposal.found.shared[2, 2] < 0.8 * proposal.found.shared[0, 0]
    watch.with_rig(proposal.rig)
    assert watch.rig is proposal.rig
    assert watch.off() == ()
    assert rig.names == proposal.rig.names


def test_nothing_seen_is_a_refusal_not_an_error():
    watch = CalibrationWatch(ring_rig(3))
    assert watch.off() == ()
    assert all(np.isnan(camera.offset_px) and camera.sets == 0 for camera in watch.state().values())
    proposal = watch.refine()
    assert proposal.rig is None
    assert 'holds no keypoints' in proposal.refusal
    watch.close()


def test_memory_is_bounded_by_time_and_number():
    rig = ring_rig(3)
    seen = pictures(rig, [walk(3.0)])
    watch = CalibrationWatch(rig, replace(CONFIG, window_s=5.0, most_sets=50))
    for i in range(60):
        stamp_ns = START_NS + i * 50_000_000
        watch.add(Set(Bodies3D.empty(stamp_ns, 'world', BODY17), {n: seen[n][i] for n in rig.names}))
    assert '50 sets' in repr(watch)
    late_ns = START_NS + 60 * 10**9
    watch.add(Set(Bodies3D.empty(late_ns, 'world', BODY17), {}))
    assert '1 sets' in repr(watch)
    # A clock that is set back begins anew.
    watch.add(Set(Bodies3D.empty(START_NS, 'world', BODY17), {}))
    assert '1 sets' in repr(watch)
    watch.close()


def test_a_second_request_joins_the_first():
    watch = CalibrationWatch(ring_rig(3))
    first = watch.refine_in_background()
    second = watch.refine_in_background()
    assert second is first or first.done()
    second.result(timeout=60)
    watch.close()
