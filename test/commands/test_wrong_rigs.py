# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Rigs that cannot be, and images of wrong cameras, through every entrance: each is named; of right ones nothing is."""

from dataclasses import replace
from importlib.util import find_spec

import cv2
import numpy as np
import pytest

from geo_pose_ros import cli
from geo_pose_ros.evaluation.quality import ObservedSet
from geo_pose_ros.evaluation.verdict import RecentVerdict
from geo_pose_ros.geometry.alignment import UP_AXES
from geo_pose_ros.geometry.rigid import compose, invert
from geo_pose_ros.lifting.settings import LifterConfig
from geo_pose_ros.pipeline import PosePipeline
from geo_pose_ros.rigs.files import read_calibration, with_z_up, write_calibration
from geo_pose_ros.scene.settings import PipelineConfig
from geo_pose_ros.simulation.recordings import write_keypoints_bag
from geo_pose_ros.simulation.scenario import Scenario, build
from geo_pose_ros.simulation.simulate import arrivals
from geo_pose_ros.types import CameraRig

LINK_FROM_OPTICAL = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])


def posed(change):
    """Return what gives a rig other poses; the images stay."""
    def make(rig, recorded):
        return rig.with_poses(lambda pose: change(pose, rig.cameras[0].cam_from_world)), recorded
    return make


def seen(change):
    """Return what gives the images of a camera other pixels; the rig stays."""
    def make(rig, recorded):
        end = {c.name: np.array([c.intrinsics.width - 1.0, c.intrinsics.height - 1.0]) for c in rig.cameras}
        return rig, {name: [replace(k, xy=change(k.xy, end[name])) for k in ks] for name, ks in recorded.items()}
    return make


def exchanged(rig, recorded):
    names = {'cam00': 'cam01', 'cam01': 'cam00'}
    return rig, {names.get(n, n): [replace(k, camera=names.get(n, n)) for k in ks] for n, ks in recorded.items()}


def frames(frame_id):
    def make(rig, recorded):
        return CameraRig(tuple(replace(c, frame_id=frame_id) for c in rig.cameras)), recorded
    return make


# By name: the change, words of every entrance, the exit status of process; whether the rig alone shows it.
FAULTS = {
    'mm': (posed(lambda m, first: m * (1, 1, 1, 1e3)), 'it looks like mm', 2, True),
    'cm': (posed(lambda m, first: m * (1, 1, 1, 1e2)), 'looks like cm', 3, True),
    'zero': (posed(lambda m, first: np.eye(3, 4)), 'are at one place', 2, True),
    'link frames': (posed(lambda m, first: LINK_FROM_OPTICAL @ m), 'look like link frames', 3, True),
    'inverse': (posed(lambda m, first: invert(m)), 'look like those of cameras in the world', 3, False),
    'z down': (posed(lambda m, first: m * (1, -1, -1, 1)), 'upside down', 1, False),
    'a camera is the world': (posed(lambda m, first: compose(m, invert(first))), '-y of the world', 0, True),
    'exchanged': (exchanged, 'cam00 and cam01 look exchanged', 3, False),
    'images mirrored': (seen(lambda xy, end: xy * (-1, 1) + end * (1, 0)), 'look mirrored left to right', 3, False),
    'images turned': (seen(lambda xy, end: end - xy), 'look turned by 180 degrees', 3, False),
}


@pytest.fixture(scope='module')
def right():
    """A right rig, and what its cameras recorded of a person."""
    world = build(Scenario(cameras=4, people=1, duration_s=0.5, recorded=False))
    recorded = {name: [] for name in world.rig.names}
    for _, found in arrivals(world):
        recorded[found.camera].append(found)
    return world.rig, recorded


def run(capsys, *words):
    """Return the exit status of a command and all it says."""
    status = cli.main(list(words))
    return status, ''.join(capsys.readouterr())


@pytest.mark.parametrize('fault', FAULTS)
def test_what_is_wrong_is_named_by_process_and_report_and_live(right, fault, tmp_path, capsys, caplog):
    change, words, status, _ = FAULTS[fault]
    rig, recorded = change(*right)
    bag, result = str(tmp_path / 'bag'), str(tmp_path / 'result')
    write_keypoints_bag(tmp_path / 'bag', rig, recorded)
    found, said = run(capsys, 'process', bag, '--out', result, '--set', 'pipeline.lifter.enabled=false')
    assert found == status and words in said
    reported = [result] if status != 2 else [bag]
    _, said = run(capsys, 'report', *reported, '--out', str(tmp_path / 'page.html'), '--set', 'left_out_sets=0')
    assert words in said and words in (tmp_path / 'page.html').read_text()
    # As the node judges its last seconds, whatever it computed.
    recent = RecentVerdict()
    sets = {}
    for keypoints in (k for ks in recorded.values() for k in ks):
        sets.setdefault(round(keypoints.stamp_ns / 1e7), {})[keypoints.camera] = keypoints
    with PosePipeline(rig, PipelineConfig(lifter=LifterConfig(enabled=False))) as pipeline:
        for keypoints in sets.values():
            bodies = pipeline.fuse(min(k.stamp_ns for k in keypoints.values()), keypoints).bodies
            recent.add(ObservedSet(bodies.stamp_ns, keypoints, bodies), rig)
    first = recent.verdict().findings[0]
    assert words in first.what and first.where == 'rig'


@pytest.mark.parametrize('fault', [name for name, (*_, of_rig) in FAULTS.items() if of_rig])
def test_a_rig_that_cannot_be_is_named_by_all_that_read_it(right, fault, tmp_path, capsys, caplog):
    change, words, _, _ = FAULTS[fault]
    rig, recorded = change(*right)
    write_calibration(tmp_path / 'rig.yaml', rig)
    path = str(tmp_path / 'rig.yaml')
    assert words in run(capsys, 'doctor', '--rig', path)[1]
    assert words in run(capsys, 'rig', 'convert', path, str(tmp_path / 'rig.toml'))[1]
    write_keypoints_bag(tmp_path / 'bag', rig, recorded)
    assert words in run(capsys, 'info', str(tmp_path / 'bag'))[1]
    if words != '-y of the world' and find_spec('viser') is not None:
        # Which way is up, the page asks the people in it.
        assert words in run(capsys, 'view', str(tmp_path / 'bag'), '--export', str(tmp_path / 'page.html'))[1]
    for name in rig.names:
        video = cv2.VideoWriter(str(tmp_path / f'{name}.mp4'), cv2.VideoWriter_fourcc(*'mp4v'), 25.0, (1280, 960))
        video.write(np.zeros((960, 1280, 3), np.uint8))
        video.release()
    videos = [str(tmp_path / f'{name}.mp4') for name in rig.names]
    run(capsys, 'import', '--videos', *videos, '--calibration', path, '--out', str(tmp_path / 'imported'))
    assert words in caplog.text


def test_a_world_of_which_another_axis_is_up_is_turned_on_request(right, tmp_path, capsys):
    """The advice, followed: nothing more is said, and z is up."""
    rig, _ = FAULTS['a camera is the world'][0](*right)
    write_calibration(tmp_path / 'rig.toml', rig)
    path, turned = str(tmp_path / 'rig.toml'), tmp_path / 'turned.yaml'
    _, said = run(capsys, 'rig', 'convert', path, str(tmp_path / 'as_it_is.yaml'))
    assert 'geo_pose rig convert IN OUT.yaml --up=-y' in said
    assert run(capsys, 'rig', 'convert', path, str(turned), '--up=-y') == (
        0, f'{turned}: 4 cameras: cam00, cam01, cam02, cam03; read as a calibration of Pose2Sim\n')
    for before, after in zip(rig.cameras, read_calibration(turned).cameras, strict=True):
        # (x, y, z) -> (x, z, -y)
        np.testing.assert_allclose(after.cam_from_world @ (1.0, 3.0, -2.0, 1.0), before.cam_from_world @ (1, 2, 3, 1),
                                   atol=1e-9)


@pytest.mark.parametrize('up', UP_AXES)
def test_any_axis_becomes_z(right, up):
    rig, turned = right[0], with_z_up(right[0], up)
    for before, after in zip(rig.cameras, turned.cameras, strict=True):
        np.testing.assert_allclose(after.cam_from_world[:, 2], before.cam_from_world[:, :3] @ UP_AXES[up], atol=1e-12)
        assert np.linalg.det(after.cam_from_world[:, :3]) == pytest.approx(1.0)


@pytest.mark.parametrize(('frame_id', 'words'), [('', 'names no frame'), ('default_cam', "same frame 'default_cam'")])
def test_frames_that_are_empty_or_equal_make_no_rig(right, frame_id, words, tmp_path, capsys):
    rig, recorded = frames(frame_id)(*right)
    bag = str(tmp_path / 'bag')
    write_keypoints_bag(tmp_path / 'bag', rig, recorded)
    assert words in run(capsys, 'info', bag)[1]
    status, said = run(capsys, 'process', bag, '--out', str(tmp_path / 'result'))
    assert status == 2 and words in said
    assert words in run(capsys, 'report', bag, '--out', str(tmp_path / 'page.html'), '--set', 'left_out_sets=0')[1]


def test_nothing_is_said_of_the_right_rig(right, tmp_path, capsys, caplog):
    rig, recorded = right
    bag, result = str(tmp_path / 'bag'), str(tmp_path / 'result')
    write_keypoints_bag(tmp_path / 'bag', rig, recorded)
    status, said = run(capsys, 'process', bag, '--out', result, '--set', 'pipeline.lifter.enabled=false')
    assert status == 0 and 'rig: ' not in said
    page = str(tmp_path / 'page.html')
    assert 'rig: ' not in run(capsys, 'report', result, '--out', page, '--set', 'left_out_sets=0')[1]
    assert not [record for record in caplog.records if 'Calibration' in record.message]
