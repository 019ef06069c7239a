# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Bodies from a 2D detector of your own: own_detector.py RIG. Give pixels per joint; NaN is what it did not see."""

import sys
from pathlib import Path

import numpy as np

from geo_pose_ros import Keypoints2D, PosePipeline, get_skeleton, read_calibration


def detect(width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """Stand for a detector: the COCO joints (P, 17, 2) px of P people and their confidence (P, 17)."""
    across = np.linspace(0.4, 0.6, 17)
    return np.stack([across * width, np.linspace(0.2, 0.8, 17) * height], -1)[None], np.full((1, 17), 0.9)


def main(rig_file: str) -> None:
    """Print how many bodies three instants have."""
    rig, coco17 = read_calibration(Path(rig_file)), get_skeleton('coco17')
    with PosePipeline(rig) as pipeline:
        for number in range(3):
            stamp_ns = round(number * 1e9 / 30.0)
            seen = {}
            for camera in rig.cameras:
                xy, confidence = detect(camera.intrinsics.width, camera.intrinsics.height)
                seen[camera.name] = Keypoints2D(camera.name, stamp_ns, coco17, xy, confidence)
            bodies = pipeline.fuse(stamp_ns, seen).bodies
            print(f'{stamp_ns / 1e9:.3f} s: {len(bodies)} bodies')


if __name__ == '__main__':
    main(*sys.argv[1:])
