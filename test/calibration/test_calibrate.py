# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""From detections to a judged rig: refined, from scratch, unsynchronised, and what must be refused on the way."""

import re
from dataclasses import replace

import numpy as np
import pytest

from geo_pose_ros.calibration.calibrate import calibrate
from geo_pose_ros.calibration.settings import AdjustConfig, CalibrateConfig
from geo_pose_ros.calibration.task import CalibrateTask, ScaleSource
from geo_pose_ros.calibration.world import reach_m
from geo_pose_ros.errors import CalibrationError
from geo_pose_ros.simulation.walks import STANDING
from geo_pose_ros.skeleton import BODY17, COCO17
from geo_pose_ros.types import CameraRig, ClockModel, Keypoints2D

from ..scenes import ring_rig
from .walking import errors_as_is, images, perturbed, pose_errors, walk

FEW = CalibrateTask(CalibrateConfig(instants=50, least_shared=15))
TRUTH = ring_rig(3)
START = perturbed(TRUTH, 1.5, 0.03)
EARLY = np.arange(400)[None] < 190


def walked(**changes):
    return images(TRUTH, [walk(10.0)], noise_px=1.0, **changes)


def assert_right(found, truth=TRUTH, degrees=0.15, mm=15.0):
    assert found.refusal is None
    turns, moves, _ = pose_errors(found.rig, truth)
    assert turns.max() < degrees
    assert moves.max() < mm


def test_refined(refined):
    truth, found = refined
    assert_right(found, truth, 0.1, 8.0)
    assert found.after.score_px < 0.25 * found.before.score_px
    assert (found.people, found.kept) == (1, pytest.approx(24, abs=6))
    assert np.abs(found.offset_s).max() < 2e-3
    assert repr(found).startswith('Calibrated(cam0, cam1, cam2, cam3; 1 people')
    # The world stays: the given cameras are 50 mm off in all directions; nothing of this is common to all.
    assert (found.world, found.rig.world_frame_id) == (None, truth.world_frame_id)
    turns, moves = errors_as_is(found.rig, found.given)
    aligned_turns, aligned_moves, scale = pose_errors(found.rig, found.given)
    assert scale == pytest.approx(1.0, abs=1e-6)
    np.testing.assert_allclose(turns, aligned_turns, atol=0.05)
    np.testing.assert_allclose(moves, aligned_moves, atol=2.0)


def late(rig, *offsets_s):
    return CameraRig(tuple(replace(c, clock=ClockModel(s)) for c, s in zip(rig.cameras, offsets_s, strict=True)))


def test_clock_offsets_of_the_rig_are_the_beginning_and_the_end():
    seen = walked(offsets_s=(0.1, 0.515, -0.8))
    found = calibrate(seen, late(START, 0.1, 0.5, -0.8), FEW)
    assert found.refusal is None
    assert found.offset_s == pytest.approx((0.1, 0.515, -0.8), abs=2e-3)
    assert [c.clock.offset_s for c in found.rig.cameras] == pytest.approx(found.offset_s, abs=1e-12)
    # Where noise explains the rest, what was given stays as it is.
    again = calibrate(seen, late(found.rig, 0.1, 0.515, -0.8), FEW)
    assert [c.clock.offset_s for c in again.rig.cameras] == [0.1, 0.515, -0.8]


@pytest.mark.parametrize(('late_from_s', 'found_s'), [(0.0, 0.03), (4.0, 0.0)], ids=['all late', 'kept aside in time'])
def test_clock_offsets_must_help_at_the_instants_kept_aside(monkeypatch, late_from_s, found_s):
    monkeypatch.setattr('geo_pose_ros.calibration.people.matching.kept_aside', lambda time_s, share: time_s < 4.0)
    seen = images(TRUTH, [walk(16.0)], noise_px=1.0)
    began_ns = seen['cam1'][0].stamp_ns
    seen['cam1'] = [
        replace(k, stamp_ns=k.stamp_ns + 30_000_000) if k.stamp_ns - began_ns >= late_from_s * 1e9 else k
        for k in seen['cam1']
    ]
    found = calibrate(seen, START, FEW)
    assert found.offset_s == pytest.approx((0.0, found_s, 0.0), abs=3e-3)
    assert found.sigma_offset_s[1] < 0.005


@pytest.mark.parametrize(
    'from_scratch', [pytest.param(False, id='refined'), pytest.param(True, id='from scratch', marks=pytest.mark.slow)]
)
def test_clocks_that_are_seconds_apart(from_scratch):
    offsets, drift = np.array((0.0, 2.31, -3.07)), np.array((0.0, 4e-5, -3e-5))
    seen = images(TRUTH, [walk(25.0)], noise_px=1.5, offsets_s=offsets, drift=drift)
    found = calibrate(seen, START, replace(FEW, sync=True, from_scratch=from_scratch))
    # The clock of the recording starts with the earliest stamp, of cam2.
    time_s = 12.0
    error_s = found.offset_s + found.drift * time_s - offsets - drift * time_s
    np.testing.assert_allclose(error_s, error_s[0], atol=3e-3)
    assert_right(found, degrees=0.15 if from_scratch else 0.1)


def test_from_scratch_with_stature():
    truth, motion = ring_rig(4), walk(8.0, reach_m=2.0)
    seen = images(truth, [motion], noise_px=2.0, outliers=0.03)
    scale = ScaleSource(stature_m=reach_m(motion) + 0.2)
    found = calibrate(seen, truth, replace(FEW, from_scratch=True, scale=scale))
    assert found.given is None and found.rig.floor
    assert_right(found, truth, 0.25, 20.0)
    assert pose_errors(found.rig, truth)[2] == pytest.approx(1.0, abs=0.01)
    # z is up: the cameras stand as high above the floor as they do.
    heights = [camera.position_m[2] for camera in found.rig.cameras]
    np.testing.assert_allclose(heights, [camera.position_m[2] for camera in truth.cameras], atol=0.05)
    assert 'stature' in found.world.scale


def test_from_scratch_in_the_world_of_one_camera():
    length = float(np.linalg.norm(TRUTH['cam0'].position_m - TRUTH['cam2'].position_m))
    task = replace(FEW, from_scratch=True, keep_world='cam1', scale=ScaleSource(('cam0', 'cam2', length)))
    found = calibrate(images(TRUTH, [walk(10.0)]), TRUTH, task).rig
    turns, moves = errors_as_is(found, TRUTH)
    assert not found.floor
    assert turns.max() < 0.1
    assert moves.max() < 10.0


@pytest.mark.slow
def test_from_scratch_with_two_people_in_the_world_of_one_camera():
    people = [walk(6.0, seed=1) + (0.0, 1.3, 0.0), walk(6.0, seed=2) - (0.0, 1.3, 0.0)]
    length = float(np.linalg.norm(TRUTH['cam0'].position_m - TRUTH['cam2'].position_m))
    task = replace(FEW, from_scratch=True, keep_world='cam1', scale=ScaleSource(('cam0', 'cam2', length)))
    found = calibrate(images(TRUTH, people, noise_px=1.0), TRUTH, task)
    assert found.people == 2
    assert_right(found)
    turns, moves = errors_as_is(found.rig, TRUTH)
    assert turns.max() < 0.15
    assert moves.max() < 15.0


def with_focal(factor):
    lens = START['cam1'].intrinsics
    K = lens.K * ((factor,), (factor,), (1.0,))
    K[:2, 2] = lens.K[:2, 2]
    wrong = replace(START['cam1'], intrinsics=replace(lens, K=K))
    return CameraRig((START.cameras[0], wrong, START.cameras[2]))


def test_a_wrong_focal_length_is_estimated_on_request():
    task = CalibrateTask(replace(FEW.config, adjust=AdjustConfig(intrinsics='focal')))
    found = calibrate(images(TRUTH, [walk(12.0, reach_m=2.0)], noise_px=1.0), with_focal(1.2), task)
    assert found.refusal is None
    assert found.rig['cam1'].intrinsics.K[0, 0] == pytest.approx(900.0, rel=0.01)
    assert 0.0 < found.sigma_focal[1] < 0.01


def of_coco():
    where = [BODY17.index(name if name in BODY17.joint_names else 'head') for name in COCO17.joint_names]
    return {
        name: [Keypoints2D(name, k.stamp_ns, COCO17, k.xy[:, where], k.confidence[:, where]) for k in seen]
        for name, seen in walked().items()
    }


def shuffled():
    """One camera's keypoints of a skeleton that is not the one they are called by."""
    seen, order = walked(), np.random.default_rng(5).permutation(len(BODY17))
    return {**seen, 'cam1': [replace(k, xy=k.xy[:, order], confidence=k.confidence[:, order]) for k in seen['cam1']]}


def exchanged():
    """Two people whose order in one camera's list is exchanged halfway: order is not identity."""
    seen = images(TRUTH, [walk(6.0, seed=3), walk(6.0, seed=4)], noise_px=1.0)
    seen['cam2'][60:] = [replace(k, xy=k.xy[::-1], confidence=k.confidence[::-1]) for k in seen['cam2'][60:]]
    return seen


@pytest.mark.parametrize(
    'make', [pytest.param(of_coco, id='COCO'), pytest.param(exchanged, id='exchanged people', marks=pytest.mark.slow)]
)
def test_a_right_rig_in_spite_of(make):
    assert_right(calibrate(make(), START, FEW))


# Refused before there is a rig, or after ---------------------------------------------------------------------------


def nobody():
    return {name: [Keypoints2D.empty(name, k.stamp_ns, BODY17) for k in seen] for name, seen in walked().items()}


def standing():
    return images(TRUTH, [np.repeat(STANDING[None], 150, 0)], noise_px=3.0)


def seen_by(**masks):
    return images(ring_rig(4), [walk(20.0)], seen_by=masks)


def jumping_stamps():
    seen = walked()
    seen['cam1'][100:] = [replace(k, stamp_ns=k.stamp_ns + 400_000_000) for k in seen['cam1'][100:]]
    return seen


def another_walk_in_one_camera():
    return {**walked(), 'cam1': images(TRUTH, [walk(10.0, seed=7)], noise_px=1.0)['cam1']}


@pytest.mark.parametrize(
    ('make', 'rig', 'reason'),
    [
        pytest.param(walked, START.subset(('cam0',)), r'one camera \(cam0\).* Record two', id='one camera'),
        pytest.param(dict, START, 'holds no keypoints', id='nothing'),
        pytest.param(nobody, START, 'seen for a few images on end by cam0, cam1, cam2', id='nobody'),
        pytest.param(standing, START, "'cam0' saw 1 clearly different poses .* walks through", id='standing'),
        pytest.param(
            lambda: seen_by(cam0=EARLY, cam1=EARLY, cam2=~EARLY, cam3=~EARLY), ring_rig(4),
            'fall apart into groups .* cam0, cam1; cam2, cam3', id='two groups',
        ),
        pytest.param(
            lambda: seen_by(cam0=EARLY, cam1=EARLY, cam2=EARLY, cam3=~EARLY), ring_rig(4),
            "Camera 'cam3' shares 0 instants", id='no overlap',
        ),
        pytest.param(walked, perturbed(TRUTH, 60.0, 3.0), 'by two cameras together.* use --from-scratch', id='far off'),
        pytest.param(another_walk_in_one_camera, START, 'is not determined: .* walk through more', id='other people'),
    ],
)
def test_nothing_can_be_determined(make, rig, reason):
    with pytest.raises(CalibrationError, match=reason):
        calibrate(make(), rig, FEW)


@pytest.mark.parametrize(
    ('make', 'rig', 'reason'),
    [
        pytest.param(jumping_stamps, START, "the clock of camera 'cam1' jumps", id='stamps jump'),
        pytest.param(walked, TRUTH, 'The rig given is kept', id='right already'),
        pytest.param(
            walked, with_focal(1.2), r"the focal length of 'cam1' \(given 1080 px, seen (8[89]|9[01])\d px\) is wrong",
            id='focal length',
        ),
        pytest.param(shuffled, START, 'errs by', id='another skeleton in one camera'),
    ],
)
def test_a_rig_that_must_not_be_used(make, rig, reason):
    found = calibrate(make(), rig, FEW)
    assert repr(found).startswith('Calibrated(cam0, cam1, cam2; 1 people, ')
    assert 'refused: ' in repr(found)
    assert re.search(reason, found.refusal.in_words)


def test_from_scratch_without_overlap():
    rig = ring_rig(2)
    seen = images(rig, [walk(20.0)], seen_by={'cam0': EARLY, 'cam1': ~EARLY})
    with pytest.raises(CalibrationError, match='No two cameras see joints that fit'):
        calibrate(seen, rig, replace(FEW, from_scratch=True))


def test_no_lag_fits():
    rig = ring_rig(2)
    one, other = (images(rig, [walk(12.0, seed=s)])[name] for s, name in ((1, 'cam0'), (9, 'cam1')))
    task = CalibrateTask(CalibrateConfig(least_poses=1), sync=True)
    with pytest.raises(CalibrationError, match='No time lag makes the motion that cam1 saw fit'):
        calibrate({'cam0': one, 'cam1': other[:40]}, rig, task)


def test_a_world_of_no_camera():
    with pytest.raises(CalibrationError, match="no camera 'door' to keep the world of; there are: cam0, cam1, cam2"):
        calibrate({}, TRUTH, CalibrateTask(from_scratch=True, keep_world='door'))
