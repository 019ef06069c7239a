# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""MPI-INF-3DHP (Mehta et al. 2017) as distributed.

Training: `S<n>/Seq<m>/annot.mat` (MATLAB 5; annot2: per camera (F, 56) px, annot3: per camera (F, 84) mm in the camera
frame) and `camera.calibration` beside it. Test: `TS<n>/annot_data.mat` (MATLAB 7.3, HDF5; annot2 (F, 1, 17, 2) px,
annot3 (F, 1, 17, 3) mm, valid_frame) and `test_util/camera_calibration/ts1-4cameras.calib`, `ts5-6cameras.calib`.
The annotated 2D is used as the detection, with confidence 1: the dataset carries no confidences. Lenses are treated as
free of distortion, as its own tools do.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.io import loadmat

from geo_pose_ros.arrays import FloatArray
from geo_pose_ros.errors import CalibrationError, ConfigError
from geo_pose_ros.geometry.rigid import invert, transform_points
from geo_pose_ros.types import Camera, CameraRig, Intrinsics

from ..recording import PersonRecording

# The cameras at chest height and above that are commonly trained on (no ceiling views).
CAMERAS = (0, 1, 2, 4, 5, 6, 7, 8)
FPS = 25.0
# body17 from the 28 joints of the training set, and from the 17 of the test set.
_FROM_28 = (4, 23, 24, 25, 18, 19, 20, 3, 5, 6, 7, 9, 10, 11, 14, 15, 16)
_FROM_17 = (14, 8, 9, 10, 11, 12, 13, 15, 1, 16, 0, 5, 6, 7, 2, 3, 4)


def load_mpi_train(folder: Path, cameras: tuple[int, ...] = CAMERAS) -> list[PersonRecording]:
    """Load all training recordings below ``folder``, seen by ``cameras``.

    Raises:
        ConfigError: if there is none, or an annotation has another shape than the dataset's.
    """
    recordings = []
    for path in sorted(folder.glob('S*/Seq*/annot.mat')):
        annotation = loadmat(path)
        rig = read_calibration(path.with_name('camera.calibration'))
        known = [i for i in cameras if i < min(len(rig), len(annotation['annot2']))]
        rig = rig.subset([rig.names[i] for i in known])
        xy = np.stack([_joints(annotation['annot2'][i, 0], 2, path) for i in known], 1)
        first = 1e-3 * _joints(annotation['annot3'][known[0], 0], 3, path)
        truth = transform_points(invert(rig.cameras[0].cam_from_world), first)
        subject, action = path.parent.parent.name, path.parent.name
        recordings.append(
            PersonRecording(f'{subject}/{action}', subject, action, rig, xy, np.ones(xy.shape[:3]), FPS, truth)
        )
    if not recordings:
        raise ConfigError(f"'{folder}' has no S*/Seq*/annot.mat; give the folder of MPI-INF-3DHP's training set.")
    return recordings


def load_mpi_test(folder: Path) -> list[PersonRecording]:
    """Load the official test set's valid frames, one camera each.

    Raises:
        ConfigError: if there is none, or h5py is missing.
    """
    try:
        import h5py
    except ImportError as error:
        raise ConfigError("The test set's files are HDF5; pip install h5py.") from error
    recordings = []
    for path in sorted(folder.glob('TS*/annot_data.mat')):
        subject = path.parent.name
        group = 'ts1-4cameras' if int(subject[2:]) <= 4 else 'ts5-6cameras'
        camera = read_calibration(folder / 'test_util' / 'camera_calibration' / f'{group}.calib').cameras[0]
        # The truth is in the camera's frame, so the camera is the world.
        here = Camera(camera.name, camera.frame_id, camera.intrinsics, np.eye(3, 4))
        with h5py.File(path) as file:
            valid = np.asarray(file['valid_frame']).ravel() > 0
            xy = np.asarray(file['annot2'], np.float64).reshape(-1, 17, 2)[valid][:, _FROM_17]
            truth = 1e-3 * np.asarray(file['annot3'], np.float64).reshape(-1, 17, 3)[valid][:, _FROM_17]
            activity = np.asarray(file['activity_annotation']).ravel()[valid] if 'activity_annotation' in file else None
        for action in np.unique(activity) if activity is not None else (None,):
            chosen = activity == action if activity is not None else np.ones(len(xy), bool)
            label = subject if action is None else f'activity {int(action)}'
            recordings.append(
                PersonRecording(
                    f'{subject}/{label}', subject, label, CameraRig((here,)), xy[chosen][:, None],
                    np.ones((int(chosen.sum()), 1, 17)), FPS, truth[chosen],
                )
            )
    if not recordings:
        raise ConfigError(f"'{folder}' has no TS*/annot_data.mat; give the folder of MPI-INF-3DHP's test set.")
    return recordings


def _joints(flat: np.ndarray, dimensions: int, path: Path) -> FloatArray:
    if flat.ndim != 2 or flat.shape[1] != 28 * dimensions:
        raise ConfigError(f"'{path}': received an annotation {flat.shape}, expected (F, {28 * dimensions}).")
    return np.asarray(flat.astype(np.float64).reshape(len(flat), 28, dimensions)[:, _FROM_28])


def read_calibration(path: Path) -> CameraRig:
    """Read a 'Skeletool Camera Calibration File V1.0'; translations are mm there, m here.

    Raises:
        CalibrationError: if the file is missing or not of this form.
    """
    try:
        lines = path.read_text(encoding='utf-8').splitlines()
    except OSError as error:
        raise CalibrationError(f"Calibration '{path}' cannot be read: {error}.") from error
    cameras: list[Camera] = []
    entry: dict[str, list[str]] = {}
    for line in lines[1:]:
        words = line.split()
        if words:
            entry[words[0]] = words[1:]
        if words and words[0] == 'extrinsic':
            try:
                K = np.array(entry['intrinsic'], float).reshape(4, 4)[:3, :3]
                extrinsic = np.array(entry['extrinsic'], float).reshape(4, 4)[:3]
                width, height = (int(float(word)) for word in entry['size'])
                name = entry['name'][0]
            except (KeyError, ValueError, IndexError) as error:
                raise CalibrationError(
                    f"Calibration '{path}': camera {len(cameras)} lacks or garbles name, size, intrinsic or extrinsic "
                    f'({error}).'
                ) from error
            K[0, 1] = 0.0
            extrinsic[:, 3] *= 1e-3
            U, _, Vt = np.linalg.svd(extrinsic[:, :3])
            extrinsic[:, :3] = U @ Vt
            intrinsics = Intrinsics(K, np.zeros(0), 'plumb_bob', width, height)
            cameras.append(Camera(name, f'camera_{name}_optical_frame', intrinsics, extrinsic))
            entry = {}
    if not cameras:
        raise CalibrationError(f"Calibration '{path}' holds no camera; expected MPI-INF-3DHP's camera.calibration.")
    return CameraRig(tuple(cameras))
