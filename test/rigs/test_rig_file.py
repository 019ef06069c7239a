# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Rig files."""

from dataclasses import replace

import numpy as np
import pytest
import yaml

from geo_pose_ros.errors import CalibrationError
from geo_pose_ros.geometry.rigid import from_quaternion, to_quaternion
from geo_pose_ros.rigs.rig_file import dump_rig, load_rig, parse_rig, rig_hash
from geo_pose_ros.types import CameraRig, ClockModel

from ..scenes import ring_rig


def test_round_trip_is_exact(tmp_path):
    rig = ring_rig(3, distortion_model='equidistant')
    (tmp_path / 'rig.yaml').write_text(dump_rig(rig))
    again = load_rig(tmp_path / 'rig.yaml')
    assert again.names == rig.names
    for a, b in zip(rig.cameras, again.cameras, strict=True):
        np.testing.assert_array_equal(a.cam_from_world, b.cam_from_world)
        np.testing.assert_array_equal(a.intrinsics.K, b.intrinsics.K)
        np.testing.assert_array_equal(a.intrinsics.D, b.intrinsics.D)
    assert rig_hash(again) == rig_hash(rig) and not again.floor
    (tmp_path / 'rig.yaml').write_text(dump_rig(replace(rig, floor=True)))
    assert load_rig(tmp_path / 'rig.yaml').subset(['cam1']).floor
    assert rig_hash(rig.subset(['cam0', 'cam1'])) != rig_hash(rig)


def test_clock_offsets_are_kept_and_nothing_is_said_where_clocks_agree(tmp_path):
    rig = ring_rig(2)
    late = CameraRig((rig.cameras[0], replace(rig.cameras[1], clock=ClockModel(-0.1234))))
    (tmp_path / 'rig.yaml').write_text(dump_rig(late))
    assert [c.clock.offset_s for c in load_rig(tmp_path / 'rig.yaml').cameras] == [0.0, -0.1234]
    assert 'clock_offset_s' not in dump_rig(rig)
    assert rig_hash(load_rig(tmp_path / 'rig.yaml')) == rig_hash(late) != rig_hash(rig)


def test_hash_survives_a_quaternion_and_sees_a_micrometre():
    rig = ring_rig(2)
    first = rig.cameras[0]
    pose = from_quaternion(to_quaternion(first.cam_from_world), first.cam_from_world[:, 3])
    assert rig_hash(CameraRig((replace(first, cam_from_world=pose), rig.cameras[1]))) == rig_hash(rig)
    moved = first.cam_from_world + [[0, 0, 0, 1e-6], [0, 0, 0, 0], [0, 0, 0, 0]]
    assert rig_hash(CameraRig((replace(first, cam_from_world=moved), rig.cameras[1]))) != rig_hash(rig)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda t: t.update(units='mm'), r"unknown key \['units'\]"),
        (lambda t: t.update(floor='wood'), "floor is 'wood'; expected true"),
        (lambda t: t.pop('world_frame_id'), r"missing key \['world_frame_id'\]"),
        (lambda t: t['cameras']['cam1'].update(fx=3), r"camera 'cam1': unknown key \['fx'\]"),
        (lambda t: t['cameras']['cam1'].pop('D'), r"camera 'cam1': missing key \['D'\]"),
        (lambda t: t['cameras'].update(cam1=3), "camera 'cam1': expected a mapping"),
        (lambda t: t['cameras']['cam0']['cam_from_world'][0].__setitem__(0, 3.0), "camera 'cam0'.*not a rotation"),
        (lambda t: t['cameras']['cam0']['K'][0].pop(), "camera 'cam0': a value is not a number or has a wrong shape"),
        (lambda t: t['cameras']['cam0'].update(width='wide'), "camera 'cam0': a value is not a number"),
        (lambda t: t['cameras']['cam1'].update(clock_offset_s='soon'), 'a value is not a number'),
        (lambda t: t['cameras']['cam1'].update(clock_offset_s=float('nan')),
         r'received clock_offset_s = nan and drift = 0\.0, expected seconds'),
        (lambda t: t.update(cameras={}), 'no camera'),
        (lambda t: t.update(cameras=[1]), 'expected a mapping'),
    ],
)
def test_refuses(change, message):
    tree = yaml.safe_load(dump_rig(ring_rig(2)))
    change(tree)
    with pytest.raises(CalibrationError, match=message):
        parse_rig(tree)


def test_file_errors_name_the_file(tmp_path):
    path = tmp_path / 'rig.yaml'
    with pytest.raises(CalibrationError, match=r"rig.yaml' cannot be read"):
        load_rig(path)
    path.write_text('cameras: [')
    with pytest.raises(CalibrationError, match='not YAML'):
        load_rig(path)
    text = dump_rig(ring_rig(2))
    path.write_text(text.replace('cam1:', 'cam0:'))
    with pytest.raises(CalibrationError, match=r"rig.yaml': \['cam0'\] given more than once at line"):
        load_rig(path)
