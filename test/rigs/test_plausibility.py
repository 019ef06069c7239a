# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""What is said of rigs that are fit, and of those that cannot be."""

import json
import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from geo_pose_ros.errors import CalibrationError
from geo_pose_ros.findings import Severity
from geo_pose_ros.geometry.rigid import compose, invert
from geo_pose_ros.geometry.virtual_camera import look_at
from geo_pose_ros.rigs.files import read_calibration
from geo_pose_ros.rigs.plausibility import check_camera, check_rig, log_findings, require_possible
from geo_pose_ros.simulation import cameras
from geo_pose_ros.types import Camera, CameraRig, Intrinsics

from ..scenes import ring_rig

SHARED_RIGS = Path(__file__).parents[2].parent / 'shared/data/rigs.json'
LINK_FROM_OPTICAL = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])


def wrong(rig, up='z'):
    return [finding for finding in check_rig(rig, up) if finding.severity]


def fit_rigs():
    """Yield the rigs that people use, simulated and real, by name."""
    for count in (1, 2, 3, 4, 8, 12):
        yield f'ring{count}', cameras.ring_rig(count, 2.0, np.random.default_rng(count))
    for seed in range(5):
        yield f'ceiling{seed}', cameras.ceiling_rig(seed)
        yield f'room{seed}', cameras.room_rig(seed)
    for name, entries in json.loads(SHARED_RIGS.read_text()).items() if SHARED_RIGS.is_file() else ():
        yield name, CameraRig(tuple(
            Camera(camera, f'{camera}_optical_frame', Intrinsics(
                np.array(e['K']), np.array(e['D']), e['distortion_model'], e['width'], e['height']
            ), np.column_stack([e['cam_from_world_R'], e['cam_from_world_t']]))
            for camera, e in entries.items()
        ))


FIT = dict(fit_rigs())


@pytest.mark.parametrize('name', FIT)
def test_nothing_is_said_of_a_fit_rig(name):
    assert wrong(FIT[name]) == []
    # Nor where the user says what is up, if that is right.
    y_up = FIT[name].with_poses(lambda pose: compose(pose, np.array([[1.0, 0, 0, 0], [0, 0, -1.0, 0], [0, 1.0, 0, 0]])))
    assert wrong(y_up, 'y') == []


# By name: the change of each pose, severity, kind, and words of the finding.
FAULTS = {
    'mm': (lambda pose: pose * (1, 1, 1, 1000), Severity.ERROR, 'place', 'it looks like mm', '--unit mm'),
    'cm': (lambda pose: pose * (1, 1, 1, 100), Severity.WARNING, 'place', 'it looks like cm', '--unit cm'),
    'km': (lambda pose: pose * (1, 1, 1, 0.001), Severity.WARNING, 'place', 'nearer than', '--unit m'),
    'zero': (lambda pose: np.eye(3, 4), Severity.ERROR, 'place', 'at one place', '--from-scratch'),
    'no translation': (lambda pose: pose * (1, 1, 1, 0), Severity.ERROR, 'place', 'at one place', '--from-scratch'),
    'link': (lambda pose: LINK_FROM_OPTICAL @ pose, Severity.WARNING, 'axes', 'like link frames', 'REP-103'),
    'OpenGL': (lambda pose: np.diag([1, -1, -1]) @ pose, Severity.WARNING, 'axes', "like OpenGL's", 'REP-103'),
    'z down': (lambda pose: pose * (1, -1, -1, 1), Severity.WARNING, 'up', 'upper side towards -z', 'lifter.up=-z'),
}


@pytest.mark.parametrize('fault', FAULTS)
@pytest.mark.parametrize('name', [name for name in FIT if name.startswith(('ring4', 'ring8', 'room', 'h36m_S9'))])
def test_a_rig_that_cannot_be(name, fault):
    change, severity, kind, words, remedy = FAULTS[fault]
    rig = FIT[name].with_poses(change)
    said = {finding.kind: finding for finding in wrong(rig)}[kind]
    if fault != 'cm':
        assert said.severity == severity
    assert words in said.what and remedy in said.remedy
    if said.severity == Severity.ERROR:
        with pytest.raises(CalibrationError, match=f'The calibration cannot be: .*{words}'):
            require_possible(rig)
    else:
        assert said in require_possible(rig)


def test_the_world_of_a_camera_and_its_up():
    rig = FIT['room1']
    first = rig.cameras[0].cam_from_world
    in_first = rig.with_poses(lambda pose: compose(pose, invert(first)))
    [said] = wrong(in_first)
    assert (said.severity, said.kind) == (Severity.WARNING, 'up')
    assert said.what.startswith("the world is camera 'room1'; the images have their upper side towards -y")
    assert '--set pipeline.lifter.up=-y' in said.remedy
    assert wrong(in_first, '-y') == wrong(in_first, 'none') == []
    # One camera of it says the same.
    [alone] = wrong(in_first.subset(['room2']))
    assert alone.kind == 'up' and 'towards -y' in alone.what


def test_cameras_that_look_to_the_sky_for_an_unknown_reason():
    def up(pose):
        position = invert(pose)[:, 3]
        return look_at(position, position + (0.1, 0.0, 3.0), np.array([0.0, 0.0, 1.0]))

    rig = FIT['ring4'].with_poses(up)
    [said] = [finding for finding in wrong(rig) if finding.kind == 'axes']
    assert said.what.startswith('all cameras look to the sky') and 'REP-103' in said.remedy


def test_two_of_several_cameras_at_one_place():
    rig = ring_rig(4)
    twice = replace(rig.cameras[1], cam_from_world=rig.cameras[0].cam_from_world, frame_id=rig.cameras[0].frame_id)
    with pytest.raises(CalibrationError, match="cam0, cam1 are at one place, all of frame 'cam0_optical_frame'"):
        require_possible(CameraRig((rig.cameras[0], twice, *rig.cameras[2:])))
    # The cameras of one head look elsewhere.
    R = rig.cameras[1].cam_from_world[:, :3]
    head = replace(twice, cam_from_world=np.column_stack([R, -R @ rig.cameras[0].position_m]))
    said = wrong(CameraRig((rig.cameras[0], head, *rig.cameras[2:])))
    assert [(s.severity, s.kind) for s in said] == [(Severity.WARNING, 'place')]
    assert said[0].what == 'cam0 and cam1 are at one position and look elsewhere'


def test_frames():
    rig = ring_rig(3)
    unnamed = CameraRig((replace(rig.cameras[0], frame_id=''), *rig.cameras[1:]))
    assert [s.what for s in wrong(unnamed)] == ['cam0: the frame_id is empty']
    same = CameraRig(tuple(replace(camera, frame_id='default_cam') for camera in rig.cameras[:2]))
    assert [s.what for s in wrong(same)] == ["cameras that look elsewhere have one frame: cam0 and cam1 'default_cam'"]


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        ({'fx': 50_000.0}, 'unlikely angle of view'),
        ({'cx': 20.0}, 'principal point (20, 478) is far from the middle'),
        ({'fx': 1500.0}, 'fx 1500 and fy 905 differ'),
    ],
)
def test_lenses(change, words):
    camera = ring_rig(1).cameras[0]
    K = camera.intrinsics.K.copy()
    K[0, 0], K[0, 2] = change.get('fx', K[0, 0]), change.get('cx', K[0, 2])
    [said] = check_camera(replace(camera, intrinsics=replace(camera.intrinsics, K=K)))
    assert said.severity == Severity.WARNING and words in said.what and 'alibrate it again' in said.remedy


def test_a_camera_that_looks_away_and_two_that_look_alike():
    rig = ring_rig(4)
    position = rig.cameras[1].position_m
    outwards = look_at(position, position * (2.0, 2.0, 1.0), np.array([0.0, 0.0, 1.0]))
    away = replace(rig.cameras[1], cam_from_world=outwards)
    [said] = wrong(CameraRig((rig.cameras[0], away, *rig.cameras[2:])))
    assert said.severity == Severity.WARNING and said.what.startswith('cam1: no other camera')
    first = rig.cameras[0].cam_from_world
    beside = np.column_stack([first[:, :3], first[:, 3] + (0.1, 0.0, 0.0)])
    stereo = CameraRig((rig.cameras[0], replace(rig.cameras[1], cam_from_world=beside)))
    assert next(s.what for s in wrong(stereo)).startswith('cam0, cam1: no other camera')


def test_log(caplog):
    log_findings(check_rig(ring_rig(4).with_poses(lambda pose: LINK_FROM_OPTICAL @ pose)))
    log_findings(check_rig(ring_rig(4).with_poses(lambda pose: pose * (1.0, 1.0, 1.0, 1000.0))))
    assert [record.levelno for record in caplog.records] == [logging.WARNING, logging.ERROR]
    assert caplog.records[1].message.startswith('Calibration: cameras are ')


def test_a_rotation_vector_in_degrees_is_refused_by_name(tmp_path):
    path = tmp_path / 'calib.toml'
    path.write_text(
        '[cam_a]\nname = "a"\nsize = [640, 480]\nmatrix = [[500.0, 0.0, 320.0], [0.0, 500.0, 240.0], [0.0, 0.0, 1.0]]\n'
        'distortions = [0.0, 0.0, 0.0, 0.0]\nrotation = [12.0, -40.0, 3.0]\ntranslation = [0.0, 0.0, 1.0]\n'
    )
    with pytest.raises(CalibrationError, match=r"calib.toml.*camera 'cam_a'.*length 41.9, .*; expected radians"):
        read_calibration(path)


def test_poses_the_wrong_way_round():
    rig = FIT['ring2'].with_poses(invert)
    [said] = [finding for finding in wrong(rig) if finding.kind == 'axes']
    assert 'look like the poses of cameras in the world' in said.what
