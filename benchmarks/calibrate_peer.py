"""Bundle adjustment of a peer, run by calibrate.py in the peer's own environment.

    python calibrate_peer.py PEER INPUT.npz OUTPUT.npz

INPUT: K (C, 3, 3), D (C, 5), R (C, 3, 3), t (C, 3), size (C, 2), xy (C, N, 2) raw px, NaN = not seen.
OUTPUT: K, D, R, t as found, and ``seconds``.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from typing import Any

os.environ['JAX_PLATFORMS'] = 'cpu'
os.environ['XLA_FLAGS'] = '--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1'

import cv2
import numpy as np


def aniposelib(given: Mapping[str, Any]) -> dict[str, Any]:
    """``CameraGroup.bundle_adjust_iter`` with its defaults; also estimates focal length and first distortion."""
    from aniposelib.cameras import Camera, CameraGroup

    cameras = [
        Camera(matrix=K, dist=D, size=tuple(int(s) for s in size), rvec=cv2.Rodrigues(R)[0], tvec=t, name=str(i))
        for i, (K, D, R, t, size) in enumerate(zip(*(given[k] for k in ('K', 'D', 'R', 't', 'size')), strict=True))
    ]
    group = CameraGroup(cameras)
    began = time.perf_counter()
    group.bundle_adjust_iter(given['xy'], verbose=False)
    seconds = time.perf_counter() - began
    return {
        'K': [c.get_camera_matrix() for c in group.cameras], 'D': [c.get_distortions() for c in group.cameras],
        'R': [cv2.Rodrigues(c.get_rotation())[0] for c in group.cameras],
        't': [c.get_translation() for c in group.cameras], 'seconds': seconds,
    }


def caliscope(given: Mapping[str, Any]) -> dict[str, Any]:
    """``CaptureVolume`` through the passes of its own workflow (linear, robust, outliers out, linear); extrinsics."""
    import pandas as pd
    from caliscope.cameras.camera_array import CameraArray, CameraData
    from caliscope.core.capture_volume import CaptureVolume
    from caliscope.core.point_data import ImagePoints

    cameras = CameraArray({
        i: CameraData(i, tuple(int(s) for s in size), matrix=K, distortions=D, rotation=R, translation=t)
        for i, (K, D, R, t, size) in enumerate(zip(*(given[k] for k in ('K', 'D', 'R', 't', 'size')), strict=True))
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


PEERS = {'aniposelib': aniposelib, 'caliscope': caliscope}


def main() -> None:
    """Adjust one recording."""
    peer, given, out = sys.argv[1:]
    np.savez(out, **PEERS[peer](dict(np.load(given))))


if __name__ == '__main__':
    main()
