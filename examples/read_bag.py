# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""What `geo_pose process` or a recorder left in a bag: read_bag.py BAG."""

import sys
from pathlib import Path

import numpy as np

from geo_pose_ros import BODY17, Recording


def main(bag: str) -> None:
    """Print where everybody's left wrist was, and how surely."""
    with Recording([Path(bag)]) as recording:
        print(f'cameras: {", ".join(recording.cameras)}')
        for message in recording.stream(['bodies']):
            bodies = message.bodies()
            for body_id, joints, covariance in zip(bodies.body_ids, bodies.xyz, bodies.covariance, strict=True):
                wrist = BODY17.index('left_wrist')
                sigma_cm = 100.0 * np.sqrt(np.trace(covariance[wrist]) / 3.0)
                print(f'{bodies.stamp_ns / 1e9:.3f} s: body {body_id}, left wrist {joints[wrist].round(2)} m '
                      f'+- {sigma_cm:.1f} cm')


if __name__ == '__main__':
    main(*sys.argv[1:])
