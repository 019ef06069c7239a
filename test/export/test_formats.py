# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Round trips: what the readers of each format find in our files."""

import csv
import re

import numpy as np
import pytest

from geo_pose_ros.errors import ConfigError
from geo_pose_ros.export.formats import parse_formats, write_formats
from geo_pose_ros.export.hierarchy import fit_hierarchy
from geo_pose_ros.export.markers import marker_names
from geo_pose_ros.scene.bones import read_people
from geo_pose_ros.simulation.motion_files import read_bvh
from geo_pose_ros.skeleton import BODY17, HALPE26, OUTPUTS, SKELETONS

from .two_people import COUNT, LATE, two_people


def write(tmp_path, name, bodies=None):
    return write_formats(bodies or two_people(), tmp_path / 'walk', [name])


def test_csv_has_every_joint_with_its_covariance_and_the_angles(tmp_path):
    joints, angles = write(tmp_path, 'csv')
    rows = list(csv.DictReader(joints.open()))
    bodies = two_people()
    assert len(rows) == 17 * (2 * COUNT - LATE)
    last = rows[-1]
    assert (last['person'], last['joint'], last['stamp_ns']) == ('9', 'right_wrist', str(bodies.stamps_ns[-1]))
    np.testing.assert_allclose([float(last[f'{axis}_m']) for axis in 'xyz'], bodies.xyz[-1, 1, -1], rtol=1e-8)
    covariance = [float(last[f'cov_{pair}_m2']) for pair in ('xx', 'xy', 'xz', 'yy', 'yz', 'zz')]
    assert covariance == [1e-4, 0, 0, 2e-4, 0, 3e-4]
    rows = list(csv.DictReader(angles.open()))
    assert len(rows) == 2 * COUNT - LATE
    knees = [float(row['left_knee_flexion_deg']) for row in rows if row['person'] == '4']
    thigh, shank = (bodies.xyz[0, 0, b] - bodies.xyz[0, 0, a] for a, b in ((4, 5), (5, 6)))
    bend = np.degrees(np.arccos(thigh @ shank / np.linalg.norm(thigh) / np.linalg.norm(shank)))
    # They walk and turn, and keep their pose. So straight a limb does not show quite where its hinge is.
    np.testing.assert_allclose(knees, bend, atol=0.01)


def test_parquet_has_the_same_columns(tmp_path):
    parquet = pytest.importorskip('pyarrow.parquet')
    table = parquet.read_table(write(tmp_path, 'parquet')[0])
    with write(tmp_path, 'csv')[0].open() as file:
        assert table.column_names == next(csv.reader(file))
    assert table.schema.metadata[b'frame_id'] == b'world' and table['stamp_ns'][0].as_py() == 10**18
    assert table['z_m'][0].as_py() == two_people().xyz[0, 0, 0, 2]


def test_pandas_and_xarray_have_what_the_files_have(tmp_path):
    pandas, _ = pytest.importorskip('pandas'), pytest.importorskip('xarray')
    bodies = two_people()
    frame, table = bodies.to_pandas(), pandas.read_csv(write(tmp_path, 'csv')[0])
    assert list(frame.columns) == list(table.columns) and len(frame) == 17 * (2 * COUNT - LATE)
    np.testing.assert_allclose(frame['y_m'], table['y_m'], rtol=1e-8)
    late = frame[(frame.person == 9) & (frame.joint == 'left_knee')]
    np.testing.assert_array_equal(late['z_m'], bodies.xyz[LATE:, 1, BODY17.index('left_knee'), 2])
    data = bodies.to_xarray()
    knee = data.position.sel(person=9, joint='left_knee', axis='z').dropna('time')
    np.testing.assert_array_equal(knee, late['z_m'])
    assert knee.units == 'm' and data.covariance.dims == ('time', 'person', 'joint', 'axis', 'axis2')
    np.testing.assert_array_equal(data.left_knee_flexion, bodies.angles()['left_knee_flexion'])


def read_trc(path):
    """Read as Pose2Sim's common.read_trc does, without pandas: names, times (F,), joints (F, J, 3)."""
    lines = path.read_text().split('\n')
    names = [name.strip() for name in lines[3].split('\t')[2::3] if name.strip()]
    assert len(lines[4].rstrip('\t').split('\t')) == 2 + 3 * len(names)
    rows = np.array([[float(v or 'nan') for v in line.split('\t')] for line in lines[5:] if line])
    header = dict(zip(lines[1].split('\t'), lines[2].split('\t'), strict=True))
    return header, names, rows[:, :2], rows[:, 2:].reshape(len(rows), -1, 3)


def test_trc_is_as_pose2sim_writes_it(tmp_path):
    bodies = two_people()
    bodies.xyz[3, 0, 5] = np.nan
    first, second = write(tmp_path, 'trc', bodies)
    assert (first.name, second.name) == ('walk_P4.trc', 'walk_P9.trc')
    assert first.read_text().startswith('PathFileType\t4\t(X/Y/Z)\twalk_P4.trc\n')
    header, names, frames, xyz = read_trc(second)
    named = ('Units', 'DataRate', 'NumFrames', 'OrigDataStartFrame')
    assert [header[name] for name in named] == ['m', '30', '14', '6']
    # y up: the axes of Pose2Sim's zup2yup.
    np.testing.assert_allclose(xyz, two_people().xyz[LATE:, 1][..., [1, 2, 0]], atol=6e-7)
    np.testing.assert_allclose(frames, np.stack([np.arange(6, 20), np.arange(6, 20) / 30.0], 1), atol=1e-6)
    assert names == marker_names(BODY17)
    # What is not known is an empty field.
    assert np.argwhere(np.isnan(read_trc(first)[3]).any(2)).tolist() == [[3, names.index('LKnee')]]


def test_markers_have_pose2sims_names():
    # Pose2Sim/skeletons.py, HALPE_26.
    assert marker_names(HALPE26) == [
        'Nose', 'LEye', 'REye', 'LEar', 'REar', 'LShoulder', 'RShoulder', 'LElbow', 'RElbow', 'LWrist', 'RWrist',
        'LHip', 'RHip', 'LKnee', 'RKnee', 'LAnkle', 'RAnkle', 'Head', 'Neck', 'Hip', 'LBigToe', 'RBigToe', 'LSmallToe',
        'RSmallToe', 'LHeel', 'RHeel',
    ]
    assert marker_names(BODY17)[BODY17.index('head')] == 'MidEar'
    for output in OUTPUTS.values():
        names = marker_names(output)
        assert len(set(names)) == len(output) and ('Head' in names) == ('halpe26' in output.name)


def test_ezc3d_reads_c3d(tmp_path):
    ezc3d = pytest.importorskip('ezc3d')
    bodies = two_people()
    bodies.xyz[8, 1, 2] = np.nan
    c3d = ezc3d.c3d(str(write(tmp_path, 'c3d', bodies)[1]))
    point = c3d['parameters']['POINT']
    assert point['LABELS']['value'] == marker_names(BODY17) and point['UNITS']['value'] == ['mm']
    assert point['RATE']['value'] == [30.0] and point['Y_SCREEN']['value'] == ['+Z']
    assert c3d['header']['points']['first_frame'] == LATE
    xyz = c3d['data']['points'][:3].transpose(2, 1, 0)
    np.testing.assert_allclose(xyz, 1e3 * bodies.turned('z').xyz[LATE:, 1], atol=1e-3)
    assert np.isnan(xyz[2, 2]).all()
    np.testing.assert_allclose(c3d['parameters']['EVENT']['TIMES']['value'][1], [6 / 30, 19 / 30], atol=1e-6)


def read_joints(path):
    """Return the joints (F, J, 3) m of a BVH file, and its frame time."""
    names, places, frame_s = read_bvh(path)
    return places[:, [names.index(name) for name in BODY17.joint_names]] / 100.0, frame_s


def test_forward_kinematics_of_bvh_gives_the_joints(tmp_path, caplog):
    found, frame_s = read_joints(write(tmp_path, 'bvh')[0])
    assert frame_s == pytest.approx(1 / 30, abs=1e-7) and not caplog.records
    truth = two_people().turned('y').xyz[:, 0]
    np.testing.assert_allclose(found, truth, atol=1e-5)


def test_bones_of_bvh_have_their_mean_length(tmp_path):
    bodies = two_people()
    noisy = bodies.xyz[:, :1] + np.random.default_rng(0).normal(0.0, 0.002, (COUNT, 1, 17, 3))
    bodies.xyz[:, :1] = noisy
    found, _ = read_joints(write(tmp_path, 'bvh', bodies)[0])
    parent, child = np.array(BODY17.edges).T
    lengths = np.linalg.norm(found[:, parent] - found[:, child], axis=-1)
    assert np.ptp(lengths, axis=0).max() < 1e-5
    np.testing.assert_allclose(
        lengths[0], np.linalg.norm(noisy[:, 0, parent] - noisy[:, 0, child], axis=-1).mean(0), atol=1e-5
    )
    # A bone points where its joints are: what remains is how lengths vary, 2 mm of noise here.
    assert np.linalg.norm(found - bodies.turned('y').xyz[:, 0], axis=-1).mean() < 0.005


def test_bones_of_bvh_whose_lengths_vary_are_warned_of(tmp_path, caplog):
    bodies = two_people()
    # The legs of the first person become longer by a tenth meanwhile.
    for hip, below in ((1, (2, 3)), (4, (5, 6))):
        grows = 1.0 + 0.1 * np.arange(COUNT)[:, None, None] / COUNT
        bodies.xyz[:, 0, below] = bodies.xyz[:, 0, [hip]] + grows * (bodies.xyz[:, 0, below] - bodies.xyz[:, 0, [hip]])
    write(tmp_path, 'bvh', bodies)
    [said] = [record.getMessage() for record in caplog.records]
    assert re.search(r"walk_P4\.bvh': 5 % of its joints lie more than 2\d mm from those found", said)


@pytest.mark.parametrize('skeleton', SKELETONS.values(), ids=list(SKELETONS))
def test_any_skeleton_is_a_tree_whose_bones_point_to_the_joints(skeleton):
    still = np.random.default_rng(1).normal(size=(len(skeleton), 3))
    xyz = still + 0.1 * np.arange(6.0)[:, None, None]
    xyz[2:4, 1] = np.nan
    person = fit_hierarchy(skeleton, xyz)
    assert all(parent < node for node, parent in enumerate(person.parents)) and person.parents.count(-1) == 1
    nodes = [person.names.index(name) for name in skeleton.joint_names]
    # What is not known is interpolated.
    np.testing.assert_allclose(person.positions()[:, nodes], still + 0.1 * np.arange(6.0)[:, None, None], atol=1e-6)
    turned = person.rotations @ np.swapaxes(person.rotations, -1, -2)
    np.testing.assert_allclose(turned, np.broadcast_to(np.eye(3), turned.shape), atol=1e-6)


def test_trimesh_reads_glb(tmp_path):
    trimesh = pytest.importorskip('trimesh')
    pygltflib = pytest.importorskip('pygltflib')
    [path] = write(tmp_path, 'glb')
    scene = trimesh.load(path)
    assert sorted(scene.geometry) == ['walk_P4', 'walk_P9']
    # The rest pose stands: as high as the bones between foot and head.
    extents = scene.geometry['walk_P4'].extents
    assert 1.2 < extents[1] < 2.0 and extents[1] > 2.0 * extents[2]
    gltf = pygltflib.GLTF2().load(str(path))
    names = [node.name for node in gltf.nodes]
    first, second = (i for i, name in enumerate(names) if name == 'pelvis')
    assert [len(skin.joints) for skin in gltf.skins] == [second - first - 1] * 2

    def values(sampler, what):
        accessor = gltf.accessors[getattr(sampler, what)]
        view = gltf.bufferViews[accessor.bufferView]
        data = np.frombuffer(gltf.binary_blob(), np.float32, view.byteLength // 4, view.byteOffset)
        return data.reshape(accessor.count, -1)

    channels = {(c.target.node, c.target.path): gltf.animations[0].samplers[c.sampler]
                for c in gltf.animations[0].channels}
    truth = two_people().turned('y')
    np.testing.assert_allclose(values(channels[second, 'translation'], 'output'), truth.xyz[LATE:, 1, 0], atol=1e-6)
    np.testing.assert_allclose(values(channels[second, 'translation'], 'input')[0], LATE / 30)
    assert values(channels[second, 'scale'], 'output')[:, 0].tolist() == [0.0, 1.0, 1.0, 0.0]
    turns = values(channels[first + 2, 'rotation'], 'output')
    np.testing.assert_allclose(np.linalg.norm(turns, axis=1), 1.0, atol=1e-6)


def test_people_are_written_as_the_scene_reads_them(tmp_path):
    bodies = two_people(range(LATE + 30))
    [path] = write(tmp_path, 'people', bodies)
    found = read_people(str(path))
    first, second = np.array(BODY17.edges).T
    length = np.linalg.norm(bodies.xyz[-1][:, second] - bodies.xyz[-1][:, first], axis=-1)
    assert path.name == 'walk_people.json'
    np.testing.assert_allclose(found[:, 0], length, atol=1e-4)
    np.testing.assert_allclose(found[:, 1], 0.02 * found[:, 0])
    # Who is seen in 29 sets may be a ghost.
    [path] = write(tmp_path, 'people', two_people(range(LATE + 29)))
    assert len(read_people(str(path))) == 1


def test_formats_are_named_and_files_can_be_written(tmp_path, monkeypatch):
    assert parse_formats('csv, TRC,csv') == ['csv', 'trc']
    with pytest.raises(ConfigError, match=r"received 'csv,fbx', expected a list of csv, parquet, trc, c3d"):
        parse_formats('csv,fbx')
    (tmp_path / 'file').touch()
    with pytest.raises(ConfigError, match='cannot be written'):
        write_formats(two_people(), tmp_path / 'file' / 'walk', ['csv'])


@pytest.mark.parametrize(('name', 'library'), [
    ('parquet', 'pyarrow'), ('c3d', 'ezc3d'), ('glb', 'pygltflib'), ('to_pandas', 'pandas'), ('to_xarray', 'xarray'),
])
def test_a_missing_library_is_named(tmp_path, monkeypatch, name, library):
    monkeypatch.setitem(__import__('sys').modules, library, None)
    with pytest.raises(ConfigError, match=re.escape(f'pip install {library}')):
        getattr(two_people(), name)() if name.startswith('to_') else write(tmp_path, name)
