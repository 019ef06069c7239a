# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Fuse stored sets by the package that is imported, and say what each costs: what benchmarks/pipeline.py starts.

    python benchmarks/fuse.py SETS.npz LIFTER     LIFTER: 0 or 1

Every line on standard input asks for one run over all sets by a new pipeline; a line of JSON answers. ``time``: CPU
time of every set, ms; ``count``: calls of Python and C functions in every set, by stage. It needs no name that commit
51b5f6e lacks: two commits are measured by one program.
"""

from __future__ import annotations

import gc
import json
import sys
from pathlib import Path
from time import process_time
from types import FrameType

import numpy as np

from geo_pose_ros.pipeline import PosePipeline
from geo_pose_ros.skeleton import BODY17
from geo_pose_ros.types import Camera, CameraRig, Intrinsics, Keypoints2D

try:
    from geo_pose_ros.lifting.settings import LifterConfig
    from geo_pose_ros.scene.settings import PipelineConfig
except ImportError:
    # Older commits.
    from geo_pose_ros.config import LifterConfig, PipelineConfig  # type: ignore[no-redef, import-not-found]

Sets = list[tuple[int, dict[str, Keypoints2D]]]


def load(path: Path) -> tuple[CameraRig, Sets]:
    """Return the rig and the sets that ``pipeline.store`` wrote."""
    with np.load(path) as arrays:
        stored = dict(arrays)
    cameras = tuple(
        Camera(f'c{i}', f'c{i}_optical_frame', Intrinsics(K, D, 'plumb_bob', int(width), int(height)), pose)
        for i, (K, D, (width, height), pose) in enumerate(
            zip(stored['K'], stored['D'], stored['size'], stored['cam_from_world'], strict=True)
        )
    )
    sets: dict[int, dict[str, Keypoints2D]] = {}
    end = 0
    for set_ns, stamp_ns, camera, people in stored['views'].tolist():
        rows = slice(end, end := end + people)
        seen = Keypoints2D(f'c{camera}', stamp_ns, BODY17, stored['xy'][rows], stored['confidence'][rows])
        sets.setdefault(set_ns, {})[seen.camera] = seen
    return CameraRig(cameras, 'world'), list(sets.items())


def time_sets(pipeline: PosePipeline, sets: Sets) -> list[float]:
    """Return the CPU time of every set, ms, the garbage collector off: another process that is busy does not count."""
    spent: list[float] = []
    gc.disable()
    for stamp_ns, keypoints in sets:
        began = process_time()
        pipeline.fuse(stamp_ns, keypoints)
        spent.append((process_time() - began) * 1e3)
    gc.enable()
    return spent


def count_calls(pipeline: PosePipeline, sets: Sets) -> list[dict[str, int]]:
    """Return the calls of every set: of Python and C functions, by stage; what follows the last stage is 'rest'."""
    counts: list[dict[str, int]] = []
    current = 0

    def note(frame: FrameType, event: str, _: object) -> None:
        nonlocal current
        if event == 'call' and frame.f_code.co_name == 'lap':
            counts[-1][frame.f_locals['stage']] = current
            current = 0
        elif event in ('call', 'c_call'):
            current += 1

    for stamp_ns, keypoints in sets:
        counts.append({})
        current = 0
        sys.setprofile(note)
        pipeline.fuse(stamp_ns, keypoints)
        sys.setprofile(None)
        counts[-1]['rest'] = current
    return counts


def main() -> None:
    """Answer until the input ends."""
    rig, sets = load(Path(sys.argv[1]))
    config = PipelineConfig(lifter=LifterConfig(enabled=sys.argv[2] == '1'))
    for line in sys.stdin:
        with PosePipeline(rig, config) as pipeline:
            found = (time_sets if line.strip() == 'time' else count_calls)(pipeline, sets)
        print(json.dumps(found), flush=True)


if __name__ == '__main__':
    main()
