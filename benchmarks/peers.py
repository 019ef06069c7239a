# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""What a user would pick instead, or goes on with; run by benchmarks in the peers' own environments.

    python peers.py triangulate INPUT.npz OUTPUT.npz
    python peers.py adjust_aniposelib | adjust_caliscope INPUT.npz OUTPUT.npz

INPUT: K (C, 3, 3), D (C, 5), R (C, 3, 3), t (C, 3), size (C, 2); to triangulate: xy (C, F, J, 2) raw px, confidence
(C, F, J); to adjust: xy (C, N, 2) raw px, NaN = not seen.
OUTPUT of triangulate: per peer `NAME_xyz` (F, J, 3), `NAME_set_ms` (n,) ms of single sets, `NAME_batch_ms` ms per set
of all at once (NaN where the peer has no batch); all include undistortion, as ours do. OUTPUT of adjust: K, D, R, t as
found, and ``seconds``.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

os.environ['JAX_PLATFORMS'] = 'cpu'
os.environ['XLA_FLAGS'] = '--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1'

import cv2
import numpy as np

# Single sets that are timed; the whole recording is triangulated for accuracy.
TIMED_SETS = 100
# Pose2Sim takes tens of milliseconds per set: its accuracy is measured on this many sets, evenly spread.
POSE2SIM_SETS = 400


def timed(call: Callable[[int], object], sets: int) -> np.ndarray:
    """Return ms of ``call(i)`` for the first sets, after a warm-up."""
    call(0)
    spent = []
    for i in range(min(TIMED_SETS, sets)):
        began = time.perf_counter()
        call(i)
        spent.append((time.perf_counter() - began) * 1e3)
    return np.array(spent)


def cameras_of(given: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """Return K, D, R, t and size of every camera."""
    rows = zip(*(given[key] for key in ('K', 'D', 'R', 't', 'size')), strict=True)
    return [(K, D, R, t, tuple(int(s) for s in size)) for K, D, R, t, size in rows]


def anipose_group(given: Mapping[str, Any]) -> Any:
    """Return aniposelib's cameras."""
    from aniposelib.cameras import Camera, CameraGroup

    return CameraGroup([
        Camera(matrix=K, dist=D, size=size, rvec=cv2.Rodrigues(R)[0], tvec=t, name=str(i))
        for i, (K, D, R, t, size) in enumerate(cameras_of(given))
    ])


def aniposelib(given: Mapping[str, Any], out: dict[str, Any]) -> None:
    """``CameraGroup.triangulate``, its default (DLT by JAX) and ``fast`` (median of pairs by OpenCV)."""
    group = anipose_group(given)
    xy = given['xy']
    views, sets, joints, _ = xy.shape
    flat = xy.reshape(views, sets * joints, 2)
    for name, options in (('aniposelib', {}), ('aniposelib_fast', {'fast': True})):
        group.triangulate(flat, **options)
        began = time.perf_counter()
        xyz = group.triangulate(flat, **options)
        out[f'{name}_batch_ms'] = (time.perf_counter() - began) * 1e3 / sets
        out[f'{name}_xyz'] = np.asarray(xyz).reshape(sets, joints, 3)
        out[f'{name}_set_ms'] = timed(lambda i, o=options: group.triangulate(xy[:, i], **o), sets)


def pose2sim(given: Mapping[str, Any], out: dict[str, Any]) -> None:
    """``triangulation_from_best_cameras`` with Pose2Sim's default settings, joint by joint as its loop does."""
    logging.disable(logging.CRITICAL)
    from Pose2Sim.triangulation import triangulation_from_best_cameras

    config = {
        'triangulation': {
            'reproj_error_threshold_triangulation': 15, 'min_cameras_for_triangulation': 2, 'handle_LR_swap': False,
            'undistort_points': True,
        }
    }
    threshold = 0.3
    K, D, R, t = (given[k] for k in ('K', 'D', 'R', 't'))
    calibration = {
        'K': list(K), 'dist': list(D), 'R': [cv2.Rodrigues(r)[0] for r in R], 'T': list(t), 'R_mat': list(R),
    }
    P = [k @ np.column_stack([r, x]) for k, r, x in zip(K, R, t, strict=True)]
    xy, confidence = given['xy'], given['confidence']
    views, sets, joints, _ = xy.shape

    def one(i: int) -> np.ndarray:
        found = np.full((joints, 3), np.nan)
        ideal = np.stack([
            cv2.undistortPoints(xy[c, i].reshape(-1, 1, 2), K[c], D[c], None, K[c]).reshape(-1, 2) for c in range(views)
        ])
        for j in range(joints):
            score = confidence[:, i, j].copy()
            score[(score < threshold) | np.isnan(ideal[:, j, 0])] = np.nan
            point = np.where(np.isnan(score), np.nan, ideal[:, j, 0]), np.where(np.isnan(score), np.nan, ideal[:, j, 1])
            if np.isfinite(score).sum() < 2:
                continue
            given_2d = (*point, score)
            found[j] = triangulation_from_best_cameras(config, given_2d, given_2d, P, calibration)[0]
        return found

    spread = np.unique(np.linspace(0, sets - 1, min(sets, POSE2SIM_SETS)).astype(int))
    xyz = np.full((sets, joints, 3), np.nan)
    for i in spread:
        xyz[i] = one(i)
    out['pose2sim_xyz'], out['pose2sim_batch_ms'] = xyz, np.nan
    out['pose2sim_set_ms'] = timed(one, sets)


def triangulate(given: Mapping[str, Any]) -> dict[str, Any]:
    """Triangulate with all peers."""
    out: dict[str, Any] = {}
    for peer in (aniposelib, pose2sim):
        peer(given, out)
    return out


def adjust_aniposelib(given: Mapping[str, Any]) -> dict[str, Any]:
    """``CameraGroup.bundle_adjust_iter`` with its defaults; also estimates focal length and first distortion."""
    group = anipose_group(given)
    began = time.perf_counter()
    group.bundle_adjust_iter(given['xy'], verbose=False)
    seconds = time.perf_counter() - began
    return {
        'K': [c.get_camera_matrix() for c in group.cameras], 'D': [c.get_distortions() for c in group.cameras],
        'R': [cv2.Rodrigues(c.get_rotation())[0] for c in group.cameras],
        't': [c.get_translation() for c in group.cameras], 'seconds': seconds,
    }


def adjust_caliscope(given: Mapping[str, Any]) -> dict[str, Any]:
    """``CaptureVolume`` through the passes of its own workflow (linear, robust, outliers out, linear); extrinsics."""
    import pandas as pd
    from caliscope.cameras.camera_array import CameraArray, CameraData
    from caliscope.core.capture_volume import CaptureVolume
    from caliscope.core.point_data import ImagePoints

    cameras = CameraArray({
        i: CameraData(i, size, matrix=K, distortions=D, rotation=R, translation=t)
        for i, (K, D, R, t, size) in enumerate(cameras_of(given))
    })
    camera, point = np.nonzero(np.isfinite(given['xy']).all(-1))
    x, y = given['xy'][camera, point].T
    seen = pd.DataFrame({
        'sync_index': point, 'cam_id': camera, 'object_id': 0, 'keypoint_id': 0, 'img_loc_x': x, 'img_loc_y': y,
        'obj_loc_x': np.nan, 'obj_loc_y': np.nan, 'obj_loc_z': np.nan,
    })
    points = ImagePoints(seen)
    began = time.perf_counter()
    volume = CaptureVolume(cameras, points, points.triangulate(cameras)).optimize(strict=False)
    volume = volume.optimize(
        loss='soft_l1', f_scale=volume.pixel_f_scale(px=1.0), max_nfev=2000, ftol=1e-4, strict=False
    )
    volume = volume.filter_by_percentile_error(2.5).optimize(strict=False)
    seconds = time.perf_counter() - began
    found = [volume.camera_array[i] for i in range(len(given['K']))]
    return {
        'K': [c.matrix for c in found], 'D': [c.distortions for c in found], 'R': [c.rotation for c in found],
        't': [c.translation for c in found], 'seconds': seconds,
    }


TASKS = {task.__name__: task for task in (triangulate, adjust_aniposelib, adjust_caliscope)}


if __name__ == '__main__':
    chosen, source, target = sys.argv[1:]
    np.savez(target, **TASKS[chosen](dict(np.load(source))))
