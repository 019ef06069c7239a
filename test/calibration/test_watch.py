# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The calibration of a running system: what cameras saw is remembered, and a moved one repaired while people walk."""

from dataclasses import replace

import numpy as np
import pytest

from geo_pose_ros.calibration.settings import CalibrateConfig, WatchConfig
from geo_pose_ros.calibration.task import CalibrateTask
from geo_pose_ros.calibration.watch import CalibrationWatch, _usable
from geo_pose_ros.lifting.settings import LifterConfig
from geo_pose_ros.pipeline import PosePipeline
from geo_pose_ros.scene.cameras.states import CameraState
from geo_pose_ros.scene.scene import SceneResult
from geo_pose_ros.scene.settings import PipelineConfig
from geo_pose_ros.simulation.cameras import turn_camera
from geo_pose_ros.skeleton import BODY17
from geo_pose_ros.types import Bodies3D, CameraRig, Keypoints2D

from ..scenes import ring_rig
from .walking import FPS, START_NS, errors_as_is, images, walk

MOVED_AT = 100
FEW = CalibrateConfig(instants=50)
NO_LIFTER = PipelineConfig(lifter=LifterConfig(enabled=False))


def state(moved, *error_px):
    return CameraState(0.0, 0.0, 1.0, 1.0, error_px or (0.0, 0.0), 0.0, moved)


def empty_set(second, cameras=None):
    """What the scene makes of nobody."""
    return SceneResult(Bodies3D.empty(START_NS + round(second * 1e9), 'world', BODY17), {}, cameras=cameras or {})


def turned(rig, name, degrees):
    """The rig with one camera panned."""
    pan = np.array((0.0, 1.0, 0.0))
    cameras = [turn_camera(c, pan, np.radians(degrees)) if c.name == name else c for c in rig.cameras]
    return CameraRig(tuple(cameras), rig.world_frame_id)


@pytest.fixture(scope='module')
def watched():
    """Sixteen seconds with the rig as calibrated but for a camera that is turned by 3 degrees after five."""
    rig = ring_rig(4)
    now = turned(rig, 'cam2', 3.0)
    motion = walk(16.0)
    before, after = (images(r, [motion], noise_px=2.0) for r in (rig, now))
    watch, states = CalibrationWatch(task=CalibrateTask(FEW)), []
    with PosePipeline(rig, NO_LIFTER) as pipeline:
        for i in range(len(motion)):
            seen = {name: (before if i < MOVED_AT else after)[name][i] for name in rig.names}
            result = pipeline.fuse(START_NS + round(i * 1e9 / FPS), seen)
            watch.add(rig, result.scene)
            states.append(result.scene.cameras)
    yield rig, now, watch, states
    watch.close()


def test_a_moved_camera_is_named_within_seconds_and_no_other(watched):
    _, _, watch, states = watched
    named = [{name for name, state in cameras.items() if state.moved} for cameras in states]
    first = next(i for i, names in enumerate(named) if names)
    assert MOVED_AT / FPS < first / FPS < MOVED_AT / FPS + 3.0
    assert set.union(*named) == {'cam2'}
    # Nor is it forgotten because its clock would explain as much.
    assert all(names for names in named[first:])
    assert max(abs(state.clock_offset_s) for cameras in states for state in cameras.values()) < 0.010
    assert 'moved: cam2' in repr(watch)


def test_it_is_repaired_and_the_others_stay(watched):
    rig, now, watch, _ = watched
    proposal = watch.refine_in_background().result(timeout=120)
    assert proposal.refusal == ''
    assert proposal.moved == ('cam2',)
    turns, moves = errors_as_is(proposal.rig, now)
    assert turns.max() < 0.3
    assert moves.max() < 20.0
    # What the moved camera saw before it was moved did not enter.
    assert proposal.found.shared[2, 2] < 0.8 * proposal.found.shared[0, 0]
    # It came from another process, and is as good as any.
    assert proposal.found.given.names == rig.names
    assert not proposal.rig.cameras[0].cam_from_world.flags.writeable
    assert not proposal.rig.cameras[0].intrinsics.K.flags.writeable


def test_nothing_seen_is_a_refusal_not_an_error():
    watch = CalibrationWatch()
    proposal = watch.refine_in_background().result(timeout=60)
    assert proposal.rig is None
    assert 'no set of calibrated cameras' in proposal.refusal
    rig = ring_rig(3)
    watch.add(rig, empty_set(0))
    proposal = watch.refine_in_background().result(timeout=60)
    assert proposal.rig is None
    assert 'holds no keypoints' in proposal.refusal
    watch.close()


def test_memory_is_bounded_by_time_and_number():
    rig = ring_rig(3)
    watch = CalibrationWatch(WatchConfig(window_s=5.0, most_sets=50))
    for i in range(60):
        watch.add(rig, empty_set(0.05 * i))
    assert '50 sets' in repr(watch)
    watch.add(rig, empty_set(60))
    assert '1 sets' in repr(watch)
    # A clock that is set back begins anew.
    watch.add(rig, empty_set(0))
    assert '1 sets' in repr(watch)
    watch.close()


# What is known of the camera at each second, and from which second on its detections count.
@pytest.mark.parametrize(
    ('states', 'since_s'),
    [
        pytest.param([state(False)] * 6, None, id='never moved'),
        pytest.param([state(False)] * 2 + [state(True, 40.0, 0.0)] * 4, 2, id='moved'),
        pytest.param([state(True, 40.0, 0.0)] * 3 + [state(False)] * 3, 3, id='put back'),
        pytest.param([state(True, 30.0, 0.0), state(True, 40.0, 5.0), state(True, -20.0, 0.0)], 2, id='again'),
    ],
)
def test_what_a_camera_saw_elsewhere_does_not_count(states, since_s):
    rig = ring_rig(3)
    watch = CalibrationWatch()
    for second, known in enumerate(states):
        watch.add(rig, empty_set(second, {'cam1': known, 'cam0': state(False)}))
    expected = {} if since_s is None else {'cam1': START_NS + since_s * 10**9}
    assert watch._since_ns == expected
    # A better rig is not a camera that is put back.
    watch.add(turned(rig, 'cam1', 1.0), empty_set(10))
    assert watch._since_ns == expected
    watch.close()


def test_half_of_the_time_is_from_since_the_last_camera_was_moved():
    rig = ring_rig(3)
    sets = [
        (START_NS + second * 10**9, {n: Keypoints2D.empty(n, START_NS + second * 10**9, BODY17) for n in rig.names})
        for second in range(61)
    ]
    since_ns = {'cam1': START_NS + 50 * 10**9, 'cam2': START_NS + 10 * 10**9}
    seen = _usable(sets, rig, since_ns)
    assert [round((seen[n][0].stamp_ns - START_NS) / 1e9) for n in rig.names] == [40, 50, 40]
    assert [len(seen[n]) for n in rig.names] == [21, 11, 21]
    assert all(len(found) == 61 for found in _usable(sets, rig, {}).values())
    assert _usable([], rig, {}) == {name: [] for name in rig.names}


def test_a_second_request_joins_the_first():
    watch = CalibrationWatch()
    first = watch.refine_in_background()
    second = watch.refine_in_background()
    assert second is first or first.done()
    second.result(timeout=60)
    assert not watch.busy
    watch.close()


def test_closing_stops_what_runs(watched):
    rig, _, _, _ = watched
    watch = CalibrationWatch(task=CalibrateTask(CalibrateConfig(instants=20_000)))
    motion = walk(30.0)
    seen = images(rig, [motion], noise_px=2.0)
    for i in range(len(motion)):
        watch.add(rig, replace(empty_set(i / FPS), keypoints={name: seen[name][i] for name in rig.names}))
    running = watch.refine_in_background()
    assert watch.busy
    watch.close()
    assert 'stopped' in running.result(timeout=10).refusal
