# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The numbers of a recording against exact truth: residuals, clocks, gaps, ids, bones, views."""

from dataclasses import replace

import numpy as np
import pytest

from geo_pose_ros.evaluation.settings import ReportConfig
from geo_pose_ros.evaluation.statistics import RecordingStatistics
from geo_pose_ros.lifting.settings import LifterConfig
from geo_pose_ros.pipeline import PosePipeline
from geo_pose_ros.scene.settings import CameraStateConfig, PipelineConfig
from geo_pose_ros.skeleton import BODY17, mirror_of
from geo_pose_ros.types import CameraRig, ClockModel, Keypoints2D

from ..scenes import person, ring_rig
from .moving import RATE_HZ, START_NS, bodies_at, pose, recorded, seen_by, stamp_of


def test_a_perfect_recording():
    report = recorded()
    assert (report.sets, report.with_bodies, report.most_people) == (300, 300, 1)
    assert report.start_ns == START_NS and report.duration_s == pytest.approx(299 / 30.0, abs=1e-6)
    for camera in report.cameras.values():
        assert camera.frames == 300 and camera.missing == 0 and camera.gaps_ns == ()
        assert camera.rate_hz == pytest.approx(30.0, abs=0.01)
        assert camera.residual_px == pytest.approx(0.0, abs=1e-6)
        assert camera.clock_ms == pytest.approx(0.0, abs=0.01)
        assert (camera.unmatched, camera.exchanged) == (0.0, 0.0)
        np.testing.assert_allclose(camera.rate.value[1:-1], 30.0, atol=2.1)
    [body] = report.bodies
    assert body.body_id == 0 and body.spans_ns == ((stamp_of(0), stamp_of(299)),)
    joints = person(0)
    for length, (a, b) in zip(body.length_m, BODY17.edges, strict=True):
        assert length == pytest.approx(np.linalg.norm(joints[a] - joints[b]), abs=1e-6)
    np.testing.assert_allclose(body.length_cv, 0.0, atol=1e-6)
    np.testing.assert_allclose(report.views[:, 4], 1.0)
    np.testing.assert_allclose(report.sigma_m, 0.02)


def test_a_moved_camera_has_its_error_from_when_it_was_moved_and_the_others_none():
    shifts = {'cam2': lambda number: (12.0, -5.0), 'cam1': lambda number: (20.0 * (number >= 200), 0.0)}
    report = recorded(shift=lambda name, number: shifts.get(name, lambda number: (0.0, 0.0))(number))
    moved = report.cameras['cam2']
    assert moved.residual_px == pytest.approx(13.0) and moved.p95_px == pytest.approx(13.0)
    np.testing.assert_allclose(moved.bias_px, (12.0, -5.0))
    seen = moved.field.count >= 10
    np.testing.assert_allclose(moved.field.mean_px[seen], np.broadcast_to((12.0, -5.0), (seen.sum(), 2)))
    assert np.isnan(moved.field.mean_px[~seen]).all()
    assert 13.0 / moved.residual_ratio == pytest.approx(400.0, rel=0.5)
    assert report.cameras['cam0'].residual_px == pytest.approx(0.0, abs=1e-6)
    # A wrong calibration is not taken for a wrong clock.
    assert all(abs(report.cameras[name].clock_ms) < 0.5 for name in ('cam0', 'cam2', 'cam3'))
    series = report.cameras['cam1'].residual
    before, after = series.time_s < 200 / 30.0 - 0.5, series.time_s > 200 / 30.0 + 0.5
    np.testing.assert_allclose(series.value[before], 0.0, atol=1e-6)
    np.testing.assert_allclose(series.value[after], 20.0, atol=1e-6)
    assert report.worst_px[0] == pytest.approx(20.0, abs=0.01)
    assert all(stamp >= stamp_of(200) for stamp in report.worst_ns[:2])
    assert (np.diff(np.sort(report.worst_ns)) >= 2_000_000_000).all()


def test_the_clock_of_a_camera_is_found_from_how_people_move():
    late_ms = -40.0
    cameras = recorded(120, late_ms={'cam1': late_ms}).cameras
    assert cameras['cam1'].clock_ms == pytest.approx(late_ms, rel=0.05)
    assert cameras['cam1'].clock_sigma_ms < 2.0
    assert all(abs(cameras[name].clock_ms) < 0.05 * abs(late_ms) for name in ('cam0', 'cam2', 'cam3'))


def test_the_clock_is_found_although_the_late_camera_had_its_say_in_the_bodies():
    rig, late_ms, rng = ring_rig(4), 40.0, np.random.default_rng(3)
    statistics = RecordingStatistics(BODY17, rig, ReportConfig(left_out_sets=0), 90)
    # Left on, the scene would find the clock itself, and the late camera would have no say.
    config = PipelineConfig(lifter=LifterConfig(enabled=False), cameras=CameraStateConfig(clock_offsets=False))
    with PosePipeline(rig, config) as pipeline:
        for number in range(90):
            seen = {}
            for name in rig.names:
                shown = pose(number / RATE_HZ - (late_ms / 1e3 if name == 'cam1' else 0.0))
                seen[name] = seen_by(rig, name, shown, stamp_of(number), tuple(rng.normal(0.0, 2.0, 2)))
                statistics.add_keypoints(seen[name])
            statistics.add_bodies(pipeline.fuse(stamp_of(number), seen).bodies)
    cameras = statistics.report().cameras
    assert cameras['cam1'].clock_ms == pytest.approx(late_ms, abs=5.0)
    assert all(abs(cameras[name].clock_ms) < 5.0 for name in ('cam0', 'cam2', 'cam3'))


@pytest.mark.parametrize('late_s', [-0.3, 0.04])
def test_a_clock_that_the_rig_corrects_is_not_called_off(late_s):
    rig = ring_rig(4)
    corrected = CameraRig(tuple(
        replace(c, clock=ClockModel(late_s if c.name == 'cam1' else 0.0)) for c in rig.cameras
    ))
    config = ReportConfig(left_out_sets=20)
    report = recorded(120, rig=corrected, late_ms={'cam1': 1e3 * late_s}, config=config)
    for camera in report.cameras.values():
        assert camera.clock_ms == pytest.approx(0.0, abs=0.5)
        assert camera.residual_px == pytest.approx(0.0, abs=0.1)
        assert camera.left_out_px < 2.0
    uncorrected = recorded(120, rig=rig, late_ms={'cam1': 1e3 * late_s})
    assert uncorrected.cameras['cam1'].residual_px > 5.0


def test_views_with_stamps_of_their_own_are_compared_at_their_own_time():
    # Free-running cameras: right stamps, 0, 8 and 16 ms after the set's.
    report = recorded(90, rig=ring_rig(3), after_ms={'cam1': 8.0, 'cam2': 16.0})
    for camera in report.cameras.values():
        assert camera.residual_px < 0.2
        assert abs(camera.clock_ms) < 0.3


def test_nothing_is_said_of_the_clock_when_nobody_moves():
    report = recorded(60, rig=ring_rig(3), people=lambda time_s: (person(0),))
    assert all(np.isnan(camera.clock_ms) for camera in report.cameras.values())


def test_gaps_and_missing_frames():
    report = recorded(there=lambda name, number: not (name == 'cam0' and 60 <= number < 150)
                      and not (name == 'cam1' and number % 10 == 5) and not (name == 'cam2' and number >= 240))
    assert report.cameras['cam0'].gaps_ns == ((stamp_of(59), stamp_of(150)),)
    assert report.cameras['cam0'].silent_s == pytest.approx(91 / RATE_HZ)
    assert report.cameras['cam1'].missing == 30 and report.cameras['cam1'].gaps_ns == ()
    assert report.cameras['cam2'].gaps_ns == ((stamp_of(239), stamp_of(299)),)
    assert np.isnan(report.cameras['cam0'].residual.value[5:9]).all()


def test_people_without_a_body_and_exchanged_sides_do_not_count_as_residuals():
    rig, bystander = ring_rig(4), person(5, (0.0, 3.0))

    def change(name, number, found):
        if name == 'cam3':
            both = np.concatenate([found.xy, seen_by(rig, name, bystander, found.stamp_ns).xy])
            return Keypoints2D(name, found.stamp_ns, BODY17, both, np.ones((2, 17)))
        if name == 'cam2' and number % 4 == 0:
            return replace(found, xy=found.xy[:, mirror_of(BODY17)])
        if name == 'cam1':
            # Keypoints of little confidence are left out.
            xy, confidence = found.xy.copy(), found.confidence.copy()
            xy[:, 4], confidence[:, 4] = 0.0, 0.1
            return replace(found, xy=xy, confidence=confidence)
        return found

    cameras = recorded(rig=rig, change=change).cameras
    assert [camera.unmatched for camera in cameras.values()] == pytest.approx([0.0, 0.0, 0.0, 0.5])
    assert [camera.exchanged for camera in cameras.values()] == pytest.approx([0.0, 0.0, 0.25, 0.0])
    assert all(camera.p95_px == pytest.approx(0.0, abs=1e-6) for camera in cameras.values())


def test_two_people_are_matched_whatever_their_order():
    report = recorded(
        60, people=lambda time_s: (pose(time_s), person(7, (1.2, -1.0))),
        change=lambda name, number, found: replace(found, xy=found.xy[:: 1 if number % 2 else -1]),
        bodies=lambda number: bodies_at(number, (pose(number / RATE_HZ), person(7, (1.2, -1.0))), (3, 9)),
    )
    assert report.most_people == 2 and [body.body_id for body in report.bodies] == [3, 9]
    assert all(camera.p95_px < 1e-6 and camera.unmatched == 0.0 for camera in report.cameras.values())


def test_ids_bones_and_views_over_time_and_predicted_bodies_do_not_count():
    def bodies(number):
        joints = pose(number / RATE_HZ)
        # One shank grows and shrinks by a tenth.
        joints[6] = joints[5] + (joints[6] - joints[5]) * (1.1 if number % 2 else 0.9)
        views = 0 if number < 30 else 2 if number < 165 else 3
        return bodies_at(number, (joints,), (1 if 100 <= number < 200 else 0,), views=views)

    report = recorded(bodies=bodies)
    first, second = report.bodies
    assert (report.sets, report.with_bodies) == (300, 270)
    assert (first.body_id, first.sets, second.body_id, second.sets) == (0, 170, 1, 100)
    assert first.spans_ns == ((stamp_of(30), stamp_of(99)), (stamp_of(200), stamp_of(299)))
    assert second.seen_s == pytest.approx(99 / 30.0, abs=1e-6)
    bone = BODY17.bones.index('left_knee-left_ankle')
    assert first.length_cv[bone] == pytest.approx(0.1, abs=1e-3)
    assert np.delete(first.length_cv, bone).max() < 1e-6
    np.testing.assert_allclose(report.views[:, 2:4], 0.5)


def test_left_out_cameras_are_measured_on_a_spread_of_sets():
    report = recorded(120, config=ReportConfig(left_out_sets=60),
                      shift=lambda name, number: (15.0, 0.0) if name == 'cam0' else (0.0, 0.0))
    assert report.left_out_sets == 60
    px = {name: camera.left_out_px for name, camera in report.cameras.items()}
    assert px['cam0'] == pytest.approx(15.0, abs=5.0)
    assert px['cam0'] == max(px.values())


def test_a_recording_that_is_looped_or_whose_clock_is_set_back_is_read_on():
    report = recorded(90, rig=ring_rig(3), rounds=2)
    assert report.sets == 180 and report.with_bodies == 180
    assert all(camera.p95_px < 1e-6 for camera in report.cameras.values())


def test_no_rig_no_camera_no_body():
    statistics = RecordingStatistics(BODY17, None, ReportConfig())
    for number in range(10):
        statistics.add_bodies(bodies_at(number, (pose(0.0),)))
        statistics.add_keypoints(seen_by(ring_rig(1), 'cam0', pose(0.0), stamp_of(number)))
    report = statistics.report()
    assert report.sets == 10 and report.worst_ns == () and np.isnan(report.cameras['cam0'].residual_px)

    empty = RecordingStatistics(BODY17, ring_rig(2), ReportConfig()).report()
    assert (empty.sets, empty.bodies, empty.duration_s) == (0, (), 0.0)
    assert [camera.frames for camera in empty.cameras.values()] == [0, 0]


def test_what_a_camera_contributes_is_counted():
    def change(name, number, k):
        covered = name == 'cam0' and 90 <= number < 240
        return replace(k, xy=k.xy[:0], confidence=k.confidence[:0], hints=None) if covered else k

    cameras = recorded(shift=lambda name, number: (900.0 * (name == 'cam1'), 0.0), change=change).cameras
    assert [(c.in_view, c.found, c.matched) for c in list(cameras.values())[:3]] == [
        (300, 150, 150), (300, 300, 0), (300, 300, 300)]
    assert cameras['cam0'].blind_ns == (stamp_of(90), stamp_of(239)) and cameras['cam2'].blind_ns == (0, 0)


def test_a_calibration_moves_all_joints_alike_and_a_detector_does_not():
    rng = np.random.default_rng(0)

    def change(name, number, k):
        middle = np.array([320.0, 240.0])
        if name == 'cam0':
            return replace(k, xy=k.xy + 0.1 * (k.xy - middle) + (5.0, 0.0))
        return replace(k, xy=k.xy + rng.normal(0.0, 10.0, k.xy.shape)) if name == 'cam1' else k

    cameras = recorded(change=change).cameras
    assert cameras['cam0'].shared > 0.9 and cameras['cam1'].shared < 0.2
    metres = np.linalg.norm(ring_rig(4)['cam1'].position_m[:2])
    scale = 1e3 * metres / ring_rig(4)['cam1'].intrinsics.K[0, 0]
    assert cameras['cam1'].residual_mm == pytest.approx(scale * cameras['cam1'].residual_px, rel=0.1)


def test_people_at_once_leave_out_who_is_there_for_a_blink():
    def bodies(number):
        count = 3 if number == 100 else 2 if number > 150 else 1
        return bodies_at(number, [person(i, (i, 0.0)) for i in range(count)], range(9))

    assert recorded(bodies=bodies).most_people == 2


def test_an_error_is_corrected_by_what_the_fit_takes():
    rng = np.random.default_rng(1)
    for views, factor in ((2, 2.0), (4, 1.265)):
        report = recorded(60, rig=ring_rig(views), shift=lambda name, number: tuple(rng.normal(0.0, 2.0, 2)))
        usual = np.median([camera.residual_px for camera in report.cameras.values()])
        assert report.error_px == pytest.approx(factor * usual, rel=0.1)
