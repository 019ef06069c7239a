# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Human3.6M and MPI-INF-3DHP, on small files in exactly their formats."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from geo_pose_training.data.formats.h36m import load_h36m
from geo_pose_training.data.formats.mpi import load_mpi_test, load_mpi_train, read_calibration
from geo_pose_training.data.sources import load_all, parse_sources
from scipy.io import savemat

from geo_pose_ros.errors import CalibrationError, ConfigError
from geo_pose_ros.geometry.projection import project_world
from geo_pose_ros.geometry.rigid import transform_points
from test.scenes import ring_rig
from test.training.people import moving_person, write_rigs

_H36M_17_OF_32 = (0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27)
FRAMES = 6


def _write_h36m(folder: Path, subjects: tuple[str, ...] = ('S1', 'S9')) -> None:
    rig, joints = ring_rig(), moving_person(FRAMES)
    all32 = np.zeros((FRAMES, 32, 3), np.float32)
    all32[:, _H36M_17_OF_32] = joints
    # Detections run longer than the motion capture, as in the real files.
    longer = np.concatenate((joints, joints[-1:]))
    views = [project_world(c, longer).astype(np.float32) for c in rig.cameras]
    np.savez_compressed(folder / 'data_3d_h36m.npz', positions_3d={s: {'Walking 1': all32} for s in subjects})
    np.savez_compressed(
        folder / 'data_2d_h36m_cpn_ft_h36m_dbb.npz', positions_2d={s: {'Walking 1': views} for s in subjects}
    )
    write_rigs(folder / 'cameras.json', {f'h36m_{s}': rig for s in subjects})


def test_h36m(tmp_path: Path) -> None:
    _write_h36m(tmp_path)
    (train,) = load_h36m(tmp_path, test=False)
    (test,) = load_all(parse_sources([f'h36m:{tmp_path}']), test=True)
    assert (train.subject, test.subject, train.action) == ('S1', 'S9', 'Walking')
    assert train.xy.shape == (FRAMES, 4, 17, 2)
    assert (train.confidence == 1.0).all()
    np.testing.assert_allclose(train.truth, moving_person(FRAMES), atol=1e-6)
    np.testing.assert_allclose(train.xy[:, 2], project_world(train.rig.cameras[2], moving_person(FRAMES)), atol=1e-3)


def test_h36m_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match='DATASETS'):
        load_h36m(tmp_path, test=False)
    _write_h36m(tmp_path, ('S1',))
    with pytest.raises(ConfigError, match='none of the subjects'):
        load_h36m(tmp_path, test=True)
    (tmp_path / 'cameras.json').write_text('{}')
    with pytest.raises(ConfigError, match="no rig 'h36m_S1'"):
        load_h36m(tmp_path, test=False)
    _write_h36m(tmp_path)
    stored = np.load(tmp_path / 'data_2d_h36m_cpn_ft_h36m_dbb.npz', allow_pickle=True)['positions_2d'].item()
    stored['S1']['Walking 1'] = stored['S1']['Walking 1'][:3]
    np.savez(tmp_path / 'data_2d_h36m_cpn_ft_h36m_dbb.npz', positions_2d=stored)
    with pytest.raises(ConfigError, match='4 cameras'):
        load_h36m(tmp_path, test=False)
    stored['S1'] = {'Sitting': stored['S1']['Walking 1']}
    np.savez(tmp_path / 'data_2d_h36m_cpn_ft_h36m_dbb.npz', positions_2d=stored)
    with pytest.raises(ConfigError, match='no 3D'):
        load_h36m(tmp_path, test=False)
    np.savez(tmp_path / 'data_3d_h36m.npz', something=1)
    with pytest.raises(ConfigError, match='positions_3d'):
        load_h36m(tmp_path, test=False)


_CAMERA = """name          {name}
  sensor      10 10
  size        2048 2048
  animated    0
  intrinsic   1500 0 1024 0 0 1500 1024 0 0 0 1 0 0 0 0 1
  extrinsic   {extrinsic}
  radial      0
"""
# MPI-INF-3DHP's orders of joints, by the index in body17.
_TO_28 = dict(zip((4, 23, 24, 25, 18, 19, 20, 3, 5, 6, 7, 9, 10, 11, 14, 15, 16), range(17), strict=True))
_TO_17 = dict(zip((14, 8, 9, 10, 11, 12, 13, 15, 1, 16, 0, 5, 6, 7, 2, 3, 4), range(17), strict=True))


def _write_calibration(path: Path) -> None:
    cameras = ''
    for index, camera in enumerate(ring_rig(3).cameras):
        extrinsic = np.eye(4)
        extrinsic[:3] = camera.cam_from_world * (1.0, 1.0, 1.0, 1000.0)
        cameras += _CAMERA.format(name=index, extrinsic=' '.join(f'{v:.9g}' for v in extrinsic.ravel()))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'Skeletool Camera Calibration File V1.0\n{cameras}')


def _ordered(joints: np.ndarray, order: dict[int, int], count: int) -> np.ndarray:
    placed = np.zeros((len(joints), count, joints.shape[-1]))
    for there, here in order.items():
        placed[:, there] = joints[:, here]
    return placed


def _write_mpi_train(folder: Path) -> np.ndarray:
    sequence = folder / 'S1' / 'Seq1'
    _write_calibration(sequence / 'camera.calibration')
    joints = moving_person(FRAMES)
    annot2, annot3 = np.empty((3, 1), object), np.empty((3, 1), object)
    for index, camera in enumerate(read_calibration(sequence / 'camera.calibration').cameras):
        local = transform_points(camera.cam_from_world, joints)
        annot3[index, 0] = 1000.0 * _ordered(local, _TO_28, 28).reshape(FRAMES, -1)
        annot2[index, 0] = _ordered(project_world(camera, joints), _TO_28, 28).reshape(FRAMES, -1)
    savemat(
        sequence / 'annot.mat', {'annot2': annot2, 'annot3': annot3, 'univ_annot3': annot3, 'cameras': np.arange(3)}
    )
    return joints


def test_mpi_training_set(tmp_path: Path) -> None:
    joints = _write_mpi_train(tmp_path)
    (found,) = load_all(parse_sources([f'mpi:{tmp_path}']), test=False)
    assert (found.subject, found.action) == ('S1', 'Seq1')
    np.testing.assert_allclose(found.truth, joints, atol=1e-4)
    np.testing.assert_allclose(found.xy[:, 1], project_world(found.rig.cameras[1], joints), atol=0.05)
    assert found.xy.shape[1] == 3


def test_mpi_test_set_takes_valid_frames_by_activity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    h5py = pytest.importorskip('h5py')
    _write_calibration(tmp_path / 'test_util' / 'camera_calibration' / 'ts1-4cameras.calib')
    joints = moving_person(FRAMES) + (0.0, 0.0, 3.0)
    valid = np.array([[1, 1, 0, 1, 1, 1]])
    (tmp_path / 'TS2').mkdir()
    with h5py.File(tmp_path / 'TS2' / 'annot_data.mat', 'w') as file:
        file['annot2'] = _ordered(joints[..., :2] * 100.0, _TO_17, 17)[:, None]
        file['annot3'] = 1000.0 * _ordered(joints, _TO_17, 17)[:, None]
        file['valid_frame'] = valid
        file['activity_annotation'] = np.array([[1, 1, 1, 2, 2, 2]])
    first, second = load_mpi_test(tmp_path)
    assert (first.action, len(first), second.action, len(second)) == ('activity 1', 2, 'activity 2', 3)
    np.testing.assert_allclose(second.truth, joints[3:])
    np.testing.assert_allclose(first.xy[:, 0], joints[:2, :, :2] * 100.0)
    assert len(first.rig) == 1
    monkeypatch.setitem(sys.modules, 'h5py', None)
    with pytest.raises(ConfigError, match='pip install h5py'):
        load_mpi_test(tmp_path)


def test_mpi_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r'annot\.mat'):
        load_mpi_train(tmp_path)
    pytest.importorskip('h5py')
    with pytest.raises(ConfigError, match='annot_data'):
        load_mpi_test(tmp_path)
    _write_mpi_train(tmp_path)
    cell = np.empty((1, 1), object)
    cell[0, 0] = np.zeros((3, 34))
    savemat(tmp_path / 'S1' / 'Seq1' / 'annot.mat', {'annot2': cell, 'annot3': cell})
    with pytest.raises(ConfigError, match='expected \\(F, 56\\)'):
        load_mpi_train(tmp_path)


def test_calibrations_that_are_not_are_refused(tmp_path: Path) -> None:
    path = tmp_path / 'some.calib'
    with pytest.raises(CalibrationError, match='cannot be read'):
        read_calibration(path)
    for text, words in (('Skeletool\n', 'no camera'), ('Skeletool\nname 0\n  extrinsic 1 2 3\n', 'lacks or garbles')):
        path.write_text(text)
        with pytest.raises(CalibrationError, match=words):
            read_calibration(path)
