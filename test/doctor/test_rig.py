"""What is said of rigs that are fit, and of those that cannot be."""

from dataclasses import replace

import numpy as np
import pytest

from geo_pose_ros.doctor.rig import check_camera, check_rig
from geo_pose_ros.findings import Severity
from geo_pose_ros.geometry.virtual_camera import look_at
from geo_pose_ros.types import CameraRig

from ..scenes import ring_rig


def wrong(rig):
    return [(d.severity, d.what, d.remedy) for d in check_rig(rig) if d.severity]


def scaled(rig, factor):
    """Return the rig with its lengths in another unit."""
    scale = (1.0, 1.0, 1.0, factor)
    return CameraRig(tuple(replace(c, cam_from_world=c.cam_from_world * scale) for c in rig.cameras))


@pytest.mark.parametrize('count', [1, 2, 8])
def test_a_fit_rig(count):
    assert wrong(ring_rig(count)) == []


def test_units():
    for factor, words, remedy in ((1000.0, 'farther than cameras are', '--unit mm'), (0.001, 'at one position', '')):
        [found] = [entry for entry in wrong(scaled(ring_rig(4), factor)) if 'apart' in entry[1]]
        assert found[0] == Severity.ERROR and words in found[1] and remedy in found[2]


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
    [(health, what, _)] = wrong(CameraRig((rig.cameras[0], away, *rig.cameras[2:])))
    assert health == Severity.WARNING and what.startswith('cam1: no other camera')
    first = rig.cameras[0].cam_from_world
    beside = np.column_stack([first[:, :3], first[:, 3] + (0.1, 0.0, 0.0)])
    stereo = CameraRig((rig.cameras[0], replace(rig.cameras[1], cam_from_world=beside)))
    assert next(what for _, what, _ in wrong(stereo)).startswith('cam0, cam1: no other camera')
