"""Triangulate keypoints with what a user would pick instead; run by fusion.py in the peers' own environment.

    python peers.py INPUT.npz OUTPUT.npz

INPUT: K (C, 3, 3), D (C, 5), R (C, 3, 3), t (C, 3), size (C, 2), xy (C, F, J, 2) raw px, confidence (C, F, J).
OUTPUT: per peer `NAME_xyz` (F, J, 3), `NAME_set_ms` (n,) ms of single frame sets, `NAME_batch_ms` ms per set of all at
once (NaN where the peer has no batch). All include undistortion, as ours do.
"""

from __future__ import annotations

import itertools
import logging
import os
import sys
import time
from collections.abc import Callable

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


def aniposelib(given, out) -> None:
    """``CameraGroup.triangulate``, its default (DLT by JAX) and ``fast`` (median of pairs by OpenCV)."""
    from aniposelib.cameras import Camera, CameraGroup

    cameras = [
        Camera(matrix=K, dist=D, size=tuple(size), rvec=cv2.Rodrigues(R)[0], tvec=t, name=str(i))
        for i, (K, D, R, t, size) in enumerate(zip(*(given[k] for k in ('K', 'D', 'R', 't', 'size')), strict=True))
    ]
    group = CameraGroup(cameras)
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


def pose2sim(given, out) -> None:
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


def main() -> None:
    """Run all peers on one input."""
    given = dict(np.load(sys.argv[1]))
    out: dict[str, np.ndarray] = {}
    for peer in (aniposelib, pose2sim):
        peer(given, out)
    np.savez(sys.argv[2], **out)
    print(', '.join(sorted({name.rsplit('_', 1)[0] for name in itertools.chain(out)})))


if __name__ == '__main__':
    main()
