# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Bodies from synchronised videos or webcams: videos.py RIG VIDEO|CAMERA_NUMBER..., in the order of the rig."""

import sys
import time
from pathlib import Path

import cv2

from geo_pose_ros import Frame, FrameSet, PosePipeline, read_calibration


def main(rig_file: str, *sources: str) -> None:
    """Print where everybody's pelvis is, until the sources end."""
    rig = read_calibration(Path(rig_file))
    opened = [cv2.VideoCapture(int(source) if source.isdigit() else source) for source in sources]
    captures = dict(zip(rig.names, opened, strict=True))
    with PosePipeline(rig) as pipeline:
        for number in range(10**9):
            # A video's own time; a webcam's is that of this computer.
            now_ns = time.time_ns() if sources[0].isdigit() else round(number * 1e9 / 30.0)
            taken = {name: capture.read()[1] for name, capture in captures.items()}
            frames = {name: Frame(name, now_ns, image) for name, image in taken.items() if image is not None}
            if not frames:
                break
            result = pipeline.process(FrameSet(frames))
            for body_id, joints in zip(result.bodies.body_ids, result.bodies.xyz, strict=True):
                print(f'{now_ns / 1e9:.3f} s: body {body_id}, pelvis at {joints[0].round(3)} m')


if __name__ == '__main__':
    main(*sys.argv[1:])
