"""Bundle adjustment of a peer, run by calibrate.py in the peer's own environment.

    python calibrate_peer.py INPUT.npz OUTPUT.npz

INPUT: K (C, 3, 3), D (C, 5), R (C, 3, 3), t (C, 3), size (C, 2), xy (C, N, 2) raw px, NaN = not seen.
OUTPUT: K, D, R, t as found, and ``seconds``. ``CameraGroup.bundle_adjust_iter`` with its defaults, which also estimates
focal length and first distortion coefficient.
"""

from __future__ import annotations

import os
import sys
import time

os.environ['JAX_PLATFORMS'] = 'cpu'
os.environ['XLA_FLAGS'] = '--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1'

import cv2
import numpy as np
from aniposelib.cameras import Camera, CameraGroup


def main() -> None:
    """Adjust one recording."""
    given = dict(np.load(sys.argv[1]))
    cameras = [
        Camera(matrix=K, dist=D, size=tuple(int(s) for s in size), rvec=cv2.Rodrigues(R)[0], tvec=t, name=str(i))
        for i, (K, D, R, t, size) in enumerate(zip(*(given[k] for k in ('K', 'D', 'R', 't', 'size')), strict=True))
    ]
    group = CameraGroup(cameras)
    began = time.perf_counter()
    group.bundle_adjust_iter(given['xy'], verbose=False)
    seconds = time.perf_counter() - began
    np.savez(
        sys.argv[2], K=[c.get_camera_matrix() for c in group.cameras], D=[c.get_distortions() for c in group.cameras],
        R=[cv2.Rodrigues(c.get_rotation())[0] for c in group.cameras],
        t=[c.get_translation() for c in group.cameras], seconds=seconds,
    )


if __name__ == '__main__':
    main()
