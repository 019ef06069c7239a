"""From detections to a judged rig: refined, from scratch, unsynchronised; and everything that must be refused."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from geo_pose_ros.calibration import scratch
from geo_pose_ros.calibration.clocks import coarse_clocks, motion_peaks
from geo_pose_ros.calibration.judge import Judgement
from geo_pose_ros.calibration.people import match_people
from geo_pose_ros.calibration.refinement import (
    _refusal,
    calibrate,
    check_overlap,
    connected,
    gather,
    tracklets_of,
)
from geo_pose_ros.calibration.report import as_tree, residual_field, summary_lines, write_report
from geo_pose_ros.calibration.settings import AdjustConfig, CalibrateConfig
from geo_pose_ros.calibration.views import PoseViews, RigState, shared_instants, triangulate_views, view_person
from geo_pose_ros.calibration.world import ScaleSource, reach_m
from geo_pose_ros.errors import CalibrationError
from geo_pose_ros.skeleton import BODY17, COCO17
from geo_pose_ros.types import CameraRig, ClockModel, Keypoints2D

from ..scenes import STANDING, ring_rig
from .walking import errors_as_is, perturbed, pictures, pose_errors, walk

FEW = CalibrateConfig(instants=100)
FEWER = CalibrateConfig(instants=60)


@pytest.fixture(scope='module')
def refined():
    truth = ring_rig(4)
    seen = pictures(truth, [walk(14.0)], noise_px=2.0, outliers=0.03)
    return truth, seen, calibrate(seen, perturbed(truth, 2.0, 0.05), FEW)


def test_refined(refined):
    truth, _, found = refined
    turns, shifts, _ = pose_errors(found.rig, truth)
    assert turns.max() < 0.1
    assert shifts.max() < 8.0
    assert found.refusal == ''
    assert found.after.score_px < 0.25 * found.before.score_px
    assert found.world is None
    assert (found.people, found.kept) == (1, pytest.approx(24, abs=6))
    assert np.abs(found.offset_s).max() < 2e-3
    assert 'px' in repr(found)


def test_refined_keeps_the_world_of_the_rig_given(refined):
    truth, _, found = refined
    turns, shifts = errors_as_is(found.rig, found.given)
    assert turns.max() < 3.0
    assert shifts.max() < 150.0
    assert found.rig.names == truth.names
    assert found.rig.world_frame_id == truth.world_frame_id


def late(rig, *offsets_s):
    return CameraRig(tuple(replace(c, clock=ClockModel(s)) for c, s in zip(rig.cameras, offsets_s, strict=True)))


def test_clock_offsets_of_the_rig_are_the_beginning_and_the_end():
    truth = ring_rig(3)
    seen = pictures(truth, [walk(12.0)], noise_px=1.0, offsets_s=(0.1, 0.515, -0.8))
    found = calibrate(seen, late(perturbed(truth, 1.0, 0.02), 0.1, 0.5, -0.8), FEWER)
    assert found.refusal == ''
    assert found.offset_s == pytest.approx((0.1, 0.515, -0.8), abs=2e-3)
    assert [c.clock.offset_s for c in found.rig.cameras] == pytest.approx(found.offset_s, abs=1e-12)
    # Where noise explains the rest, what was given stays as it is.
    again = calibrate(seen, late(found.rig, 0.1, 0.515, -0.8), FEWER)
    assert [c.clock.offset_s for c in again.rig.cameras] == [0.1, 0.515, -0.8]


@pytest.mark.parametrize('late_from_s, found_s', [(0.0, 0.03), (4.0, 0.0)])
def test_clock_offsets_must_help_at_the_instants_kept_aside(monkeypatch, late_from_s, found_s):
    monkeypatch.setattr('geo_pose_ros.calibration.refinement.kept_aside', lambda time_s, share: time_s < 4.0)
    truth = ring_rig(3)
    seen = pictures(truth, [walk(16.0)], noise_px=1.0)
    began_ns = seen['cam1'][0].stamp_ns
    seen['cam1'] = [
        replace(k, stamp_ns=k.stamp_ns + 30_000_000) if k.stamp_ns - began_ns >= late_from_s * 1e9 else k
        for k in seen['cam1']
    ]
    found = calibrate(seen, perturbed(truth, 1.0, 0.02), FEWER)
    assert found.offset_s == pytest.approx((0.0, found_s, 0.0), abs=3e-3)
    assert found.sigma_offset_s[1] < 0.005


def test_report(refined, tmp_path):
    _, _, found = refined
    write_report(tmp_path / 'deep' / 'report', found, 'A <title>')
    tree = json.loads((tmp_path / 'deep' / 'report' / 'report.json').read_text())
    assert tree == as_tree(found)
    assert tree['refusal'] == ''
    assert tree['cameras']['cam1']['before']['left_out_px'] > tree['cameras']['cam1']['after']['left_out_px']
    assert tree['cameras']['cam1']['turned_deg'] > 0.5
    page = (tmp_path / 'deep' / 'report' / 'index.html').read_text()
    assert 'A &lt;title&gt;' in page
    assert 'cam3' in page
    for name in ('residuals.png', 'above.png'):
        assert (tmp_path / 'deep' / 'report' / name).stat().st_size > 5000
    lines = summary_lines(found)
    assert len(lines) == 4
    assert 'hangs on cam' in lines[0]


def test_report_that_cannot_be_written(refined, tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(CalibrationError, match='cannot be written'):
        write_report(tmp_path / 'file' / 'report', refined[2], 'x')


def test_residual_field_is_the_median_by_cell():
    where = np.tile([[10.0, 10.0], [630.0, 470.0]], (5, 1))
    offset = np.tile([[1.0, 2.0], [-3.0, 0.0]], (5, 1))
    centres, field = residual_field(where, offset, 640, 480)
    np.testing.assert_allclose(field, [[1.0, 2.0], [-3.0, 0.0]])
    assert len(centres) == 2
    assert residual_field(where[:4], offset[:4], 640, 480)[0].shape == (0, 2)


def test_a_rig_that_is_right_already_is_kept():
    truth = ring_rig(4)
    found = calibrate(pictures(truth, [walk(10.0)], noise_px=3.0), truth, replace(FEW, instants=40))
    assert found.after.score_px < 1.1 * found.before.score_px
    if found.refusal:
        assert 'The rig given is kept' in found.refusal
        assert 'refused' in repr(found)


def test_from_scratch_with_stature():
    truth = ring_rig(4)
    motion = walk(16.0, reach_m=2.0)
    seen = pictures(truth, [motion], noise_px=2.0, outliers=0.03)
    found = calibrate(seen, truth, FEW, from_scratch=True, scale=ScaleSource(stature_m=reach_m(motion) + 0.2))
    turns, shifts, scale = pose_errors(found.rig, truth)
    assert found.given is None
    assert turns.max() < 0.25
    assert shifts.max() < 20.0
    assert scale == pytest.approx(1.0, abs=0.01)
    # z is up: the cameras stand as high above the floor as they do.
    heights = [camera.position_m[2] for camera in found.rig.cameras]
    np.testing.assert_allclose(heights, [camera.position_m[2] for camera in truth.cameras], atol=0.05)
    assert 'stature' in found.world.scale


def test_from_scratch_in_the_world_of_one_camera():
    truth = ring_rig(3)
    length = float(np.linalg.norm(truth['cam0'].position_m - truth['cam2'].position_m))
    found = calibrate(
        pictures(truth, [walk(10.0)]), truth, FEWER, from_scratch=True, keep_world='cam1',
        scale=ScaleSource(distance=('cam0', 'cam2', length)),
    )
    turns, shifts = errors_as_is(found.rig, truth)
    assert turns.max() < 0.1
    assert shifts.max() < 10.0


def test_from_scratch_with_two_people_in_any_order():
    truth = ring_rig(3)
    people = [walk(10.0, seed=1) + (0.0, 1.3, 0.0), walk(10.0, seed=2) - (0.0, 1.3, 0.0)]
    found = calibrate(pictures(truth, people, noise_px=1.0), truth, FEWER, from_scratch=True)
    turns, shifts, _ = pose_errors(found.rig, truth)
    assert found.people == 2
    assert turns.max() < 0.15
    assert shifts.max() < 15.0


def test_clocks_that_are_seconds_apart():
    truth = ring_rig(3)
    offsets, drift = (0.0, 2.31, -3.07), (0.0, 4e-5, -3e-5)
    seen = pictures(truth, [walk(30.0)], noise_px=1.5, offsets_s=offsets, drift=drift)
    found = calibrate(seen, perturbed(truth, 1.0, 0.03), FEW, sync=True)
    time_s = 15.0
    late = found.offset_s + found.drift * time_s
    # The clock of the recording starts with the earliest stamp, of cam2.
    expected = np.array(offsets) + np.array(drift) * time_s
    np.testing.assert_allclose(late - late[0], expected - expected[0], atol=3e-3)
    assert pose_errors(found.rig, truth)[0].max() < 0.1


def test_motion_alone_finds_the_shift_among_its_peaks():
    truth = ring_rig(2)
    seen = pictures(truth, [walk(30.0)], offsets_s=(0.0, 1.4))
    tracklets = tracklets_of(seen, truth, FEW)
    peaks = motion_peaks(tracklets['cam0'][0], tracklets['cam1'][0], 5.0)
    assert min(abs(lag - 1.4) for lag, _ in peaks) < 0.05
    assert all(abs(lag) <= 5.0 for lag, _ in peaks)


def test_people_are_matched_by_geometry_not_by_order():
    truth = ring_rig(4)
    people = [walk(10.0, seed=1) + (0.0, 1.0, 0.0), walk(10.0, seed=2) - (0.0, 1.0, 0.0)]
    tracklets = tracklets_of(pictures(truth, people), truth, FEW)
    time_s = np.arange(0, 200, 5) / 20.0
    found = match_people(tracklets, RigState.of(perturbed(truth, 2.0, 0.05)), 0.6, time_s)
    assert len(found) == 2
    whose = set()
    for person in found:
        views = view_person(person, RigState.of(truth), time_s)
        np.testing.assert_array_equal(shared_instants(views), np.full((4, 4), len(views)))
        # All four cameras' rays meet in one of the two.
        joints = triangulate_views(RigState.of(truth), views)
        errors = [np.abs(joints - motion[::5]).max() for motion in people]
        assert min(errors) < 1e-3
        whose.add(int(np.argmin(errors)))
    assert whose == {0, 1}


# What must be refused -----------------------------------------------------------------------------------------------


def test_one_camera():
    rig = ring_rig(1)
    with pytest.raises(CalibrationError, match=r'one camera \(cam0\)'):
        calibrate(pictures(rig, [walk(5.0)]), rig)


def test_nobody():
    rig = ring_rig(2)
    nothing = {name: [] for name in rig.names}
    with pytest.raises(CalibrationError, match='holds no keypoints'):
        calibrate(nothing, rig)
    empty = {name: [Keypoints2D.empty(name, i * 50_000_000, BODY17) for i in range(20)] for name in rig.names}
    with pytest.raises(CalibrationError, match='No person is seen for a few pictures on end by cam0, cam1'):
        calibrate(empty, rig)


def test_one_frame():
    rig = ring_rig(2)
    with pytest.raises(CalibrationError, match='No person is seen for a few pictures on end'):
        calibrate({name: seen[:1] for name, seen in pictures(rig, [walk(5.0)]).items()}, rig)


def test_people_who_stand_still():
    rig = ring_rig(3)
    still = np.repeat(STANDING[None], 300, 0)
    with pytest.raises(CalibrationError, match=r"Camera 'cam0' saw 1 clearly different poses .* walks through"):
        calibrate(pictures(rig, [still], noise_px=3.0), rig)


def test_cameras_that_never_see_the_same():
    rig, frames = ring_rig(4), 400
    early = np.arange(frames)[None] < 190
    seen_by = {'cam0': early, 'cam1': early, 'cam2': ~early, 'cam3': ~early}
    with pytest.raises(CalibrationError, match=r'fall apart into groups .* cam0, cam1; cam2, cam3'):
        calibrate(pictures(rig, [walk(20.0)], seen_by=seen_by), rig, FEW)
    alone = {**dict.fromkeys(('cam0', 'cam1', 'cam2'), early), 'cam3': ~early}
    with pytest.raises(CalibrationError, match=r"Camera 'cam3' shares 0 instants"):
        calibrate(pictures(rig, [walk(20.0)], seen_by=alone), rig, FEW)


def test_a_world_of_no_camera():
    with pytest.raises(CalibrationError, match="no camera 'door' to keep the world of; there are: cam0, cam1"):
        calibrate({}, ring_rig(2), from_scratch=True, keep_world='door')


def test_groups_of_cameras():
    shared = np.array([[50, 40, 0], [40, 50, 5], [0, 5, 50]], float)
    assert connected(shared, 30) == [[0, 1], [2]]
    assert connected(shared, 5) == [[0, 1, 2]]
    check_overlap(np.full((2, 2), 50.0), ('a', 'b'), CalibrateConfig())


def test_a_rig_so_wrong_that_nobody_can_be_matched():
    truth = ring_rig(3)
    with pytest.raises(CalibrationError, match='No person is seen by two cameras together'):
        calibrate(pictures(truth, [walk(8.0)]), perturbed(truth, 60.0, 3.0), FEW)


def test_wrong_focal_length_is_named_and_estimated_on_request():
    truth = ring_rig(4)
    camera = truth.cameras[1]
    K = camera.intrinsics.K.copy()
    K[[0, 1], [0, 1]] *= 1.2
    wrong = CameraRig(
        (truth.cameras[0], replace(camera, intrinsics=replace(camera.intrinsics, K=K)), *truth.cameras[2:])
    )
    seen = pictures(truth, [walk(12.0, reach_m=2.0)], noise_px=1.0)
    found = calibrate(seen, wrong, FEW)
    assert re.search(r"the focal length of 'cam1' \(given 1080 px, seen (89|90)\d px\) is wrong", found.refusal)
    assert 'cam2' not in found.refusal
    right = calibrate(seen, wrong, replace(FEW, adjust=AdjustConfig(intrinsics='focal')))
    assert right.refusal == ''
    assert right.rig['cam1'].intrinsics.K[0, 0] == pytest.approx(900.0, rel=0.01)
    assert 0.0 < right.sigma_focal[1] < 0.01


def test_a_mirrored_guess_is_refused_or_right():
    """Positions mirrored, rotations made right-handed again: nothing like the truth."""
    truth = ring_rig(4)
    mirrored = []
    for camera in truth.cameras:
        R = camera.cam_from_world[:, :3] @ np.diag((-1.0, -1.0, 1.0)) @ np.diag((1.0, -1.0, -1.0))
        mirrored.append(replace(camera, cam_from_world=np.column_stack([R, -R @ (camera.position_m * (1, -1, 1))])))
    try:
        found = calibrate(pictures(truth, [walk(10.0)], noise_px=1.0), CameraRig(tuple(mirrored)), FEW)
    except CalibrationError as error:
        assert 'from-scratch' in str(error) or 'not determined' in str(error)
    else:
        assert found.refusal or pose_errors(found.rig, truth)[0].max() < 0.2


def test_a_clock_that_jumps_in_the_middle_is_refused_or_right():
    truth = ring_rig(3)
    seen = pictures(truth, [walk(20.0)], noise_px=1.0)
    jumped = [
        k if i < 200 else Keypoints2D(k.camera, k.stamp_ns + 400_000_000, k.skeleton, k.xy, k.confidence)
        for i, k in enumerate(seen['cam1'])
    ]
    try:
        found = calibrate({**seen, 'cam1': jumped}, perturbed(truth, 1.0, 0.03), FEW)
    except CalibrationError:
        return
    assert found.refusal or pose_errors(found.rig, truth)[0].max() < 0.25


def test_no_shift_fits():
    truth = ring_rig(2)
    one, other = (pictures(truth, [walk(15.0, seed=s)])[name] for s, name in ((1, 'cam0'), (9, 'cam1')))
    tracklets = tracklets_of({'cam0': one, 'cam1': other[:20]}, truth, FEW)
    with pytest.raises(CalibrationError, match='No time shift makes the motion that cam1 saw fit'):
        coarse_clocks(tracklets, RigState.of(truth), 5.0)


def test_from_scratch_without_overlap():
    rig, frames = ring_rig(2), 400
    early = np.arange(frames)[None] < 190
    seen = pictures(rig, [walk(20.0)], seen_by={'cam0': early, 'cam1': ~early})
    with pytest.raises(CalibrationError, match='No two cameras see joints that fit'):
        calibrate(seen, rig, FEW, from_scratch=True)


def right_or_refused(found, truth, degrees=0.3, mm=30.0):
    if found.refusal:
        return
    turns, shifts, _ = pose_errors(found.rig, truth)
    assert turns.max() < degrees
    assert shifts.max() < mm


def test_keypoints_of_another_skeleton_are_mapped():
    truth = ring_rig(3)
    where = [BODY17.index(name if name in BODY17.joint_names else 'head') for name in COCO17.joint_names]
    seen = {
        name: [Keypoints2D(name, k.stamp_ns, COCO17, k.xy[:, where], k.confidence[:, where]) for k in pictured]
        for name, pictured in pictures(truth, [walk(10.0)], noise_px=1.0).items()
    }
    found = calibrate(seen, perturbed(truth, 1.0, 0.02), FEWER)
    assert found.refusal == ''
    right_or_refused(found, truth)


def test_keypoints_that_are_called_by_another_skeleton_give_no_wrong_rig():
    truth = ring_rig(3)
    shuffled = np.random.default_rng(5).permutation(len(BODY17))
    seen = {
        name: [replace(k, xy=k.xy[:, shuffled], confidence=k.confidence[:, shuffled]) for k in pictured]
        for name, pictured in pictures(truth, [walk(10.0)], noise_px=1.0).items()
    }
    right_or_refused(calibrate(seen, perturbed(truth, 1.0, 0.02), FEWER), truth)
    # In one camera only, nothing fits.
    mixed = {**pictures(truth, [walk(10.0)], noise_px=1.0), 'cam1': seen['cam1']}
    try:
        right_or_refused(calibrate(mixed, perturbed(truth, 1.0, 0.02), FEWER), truth)
    except CalibrationError as refusal:
        assert str(refusal)


def test_two_people_who_pass_through_each_other_and_are_exchanged():
    truth = ring_rig(4)
    first, second = walk(12.0, seed=3), walk(12.0, seed=4)
    # Their paths cross in the picture of one camera, in which they are exchanged from then on; ids are not believed.
    seen = pictures(truth, [first, second], noise_px=1.0)
    for k, pictured in enumerate(seen['cam2']):
        if k >= 120:
            seen['cam2'][k] = replace(pictured, xy=pictured.xy[::-1], confidence=pictured.confidence[::-1])
    found = calibrate(seen, perturbed(truth, 1.0, 0.02), FEWER)
    assert found.people >= 2
    assert found.refusal == ''
    right_or_refused(found, truth)


def judgement(left_out_px):
    """Of cameras whose keypoints lie so far from what the others see."""
    values = {name: np.full(10, px) for name, px in left_out_px.items()}
    return Judgement(values, values, {}, {})


@pytest.mark.parametrize(('cam2_px', 'refused'), [(5.0, False), (25.0, False), (60.0, True)])
def test_a_rig_with_a_camera_elsewhere_is_refused(cam2_px, refused):
    # People of 300 px.
    shape = (3, 10, len(BODY17))
    views = PoseViews(
        np.arange(10.0), np.zeros(10, int), np.zeros((*shape, 2)), np.zeros((*shape, 2)), np.full(shape, 75.0 / 300.0)
    )
    said = _refusal(None, judgement({'cam0': 5.0, 'cam1': 6.0, 'cam2': cam2_px}), views)
    assert bool(said) == refused
    assert not said or "camera 'cam2' errs by 60 px against what the others see, all cameras by 6.0 px" in said


def test_a_camera_astray_is_found():
    truth = ring_rig(5)
    seen = tracklets_of(pictures(truth, [walk(10.0)], noise_px=1.0), truth, FEWER)
    _, views, _ = gather(seen, RigState.of(truth), FEWER)
    assert scratch._astray(RigState.of(truth), views) == ''
    elsewhere = replace(truth['cam3'], cam_from_world=truth['cam3'].cam_from_world + (0, 0, 0, 0.3))
    wrong = CameraRig(tuple(elsewhere if c.name == 'cam3' else c for c in truth.cameras))
    assert scratch._astray(RigState.of(wrong), views) == 'cam3'
    two = RigState.of(wrong.subset(('cam0', 'cam3')))
    _, views, _ = gather({n: seen[n] for n in two.rig.names}, two, FEWER)
    assert scratch._astray(two, views) == ''


def test_a_camera_that_was_joined_in_the_wrong_place_is_joined_again(monkeypatch):
    truth = ring_rig(5)
    seen = pictures(truth, [walk(12.0)], noise_px=1.0)
    found, joined = scratch._next_camera, []

    def wrong_at_first(left, *rest):
        name, pose = found(left, *rest)
        joined.append(name)
        # A metre and a half aside: an adjustment that only has to come near leaves it there or nearly.
        return name, pose + (0, 0, 0, 1.5 if joined.count(name) == 1 and len(left) == 1 else 0)

    monkeypatch.setattr(scratch, '_next_camera', wrong_at_first)
    monkeypatch.setattr(scratch, '_astray', lambda state, views: joined[-1] if len(joined) == 3 else '')
    rig = calibrate(seen, truth, FEWER, from_scratch=True).rig
    assert joined[2] == joined[3] and len(joined) == 4
    assert pose_errors(rig, truth)[0].max() < 0.3
