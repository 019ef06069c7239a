# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Fuse stored sets by the package that is imported, and say what each costs: what benchmarks/pipeline.py starts.

    python benchmarks/fuse.py SETS.npz LIFTER [PROFILE]     LIFTER: 0 or 1; PROFILE: of the detector, for images

Every line on standard input asks for one run over all sets by a new pipeline; a line of JSON answers. ``time``: CPU
time of every set, ms; ``count``: calls of Python and C functions in every set, by stage; ``live``: CPU ms and wall ms
of a set of JPEG images, bodies and people in images per set, while each set is detected beside the fusion of the one
before. It needs no name that commit 51b5f6e lacks: two commits are measured by one program.
"""

from __future__ import annotations

import gc
import json
import sys
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from time import perf_counter, process_time
from types import FrameType

import cv2
import numpy as np

from geo_pose_ros.pipeline import PosePipeline
from geo_pose_ros.skeleton import BODY17
from geo_pose_ros.types import Camera, CameraRig, Frame, Intrinsics, Keypoints2D

try:
    from geo_pose_ros.lifting.settings import LifterConfig
    from geo_pose_ros.scene.settings import PipelineConfig
except ImportError:
    # Older commits.
    from geo_pose_ros.config import LifterConfig, PipelineConfig  # type: ignore[no-redef, import-not-found]

# Of the images, before a live run is measured.
WARM_IMAGES = 15
Sets = list[tuple[int, dict[str, Keypoints2D]]]
# JPEG files by set and camera.
Images = list[list[bytes]]


def load(path: Path) -> tuple[CameraRig, Sets, Images]:
    """Return the rig and the sets that ``pipeline.store`` or ``store_images`` wrote."""
    with np.load(path) as arrays:
        stored = dict(arrays)
    cameras = tuple(
        Camera(f'c{i}', f'c{i}_optical_frame', Intrinsics(K, D, 'plumb_bob', int(width), int(height)), pose)
        for i, (K, D, (width, height), pose) in enumerate(
            zip(stored['K'], stored['D'], stored['size'], stored['cam_from_world'], strict=True)
        )
    )
    rig = CameraRig(cameras, 'world')
    if 'jpeg' in stored:
        files = iter(np.split(stored['jpeg'], np.cumsum(stored['length'])[:-1]))
        return rig, [], [[bytes(next(files)) for _ in cameras] for _ in range(len(stored['length']) // len(cameras))]
    sets: dict[int, dict[str, Keypoints2D]] = {}
    end = 0
    for set_ns, stamp_ns, camera, people in stored['views'].tolist():
        rows = slice(end, end := end + people)
        seen = Keypoints2D(f'c{camera}', stamp_ns, BODY17, stored['xy'][rows], stored['confidence'][rows])
        sets.setdefault(set_ns, {})[seen.camera] = seen
    return rig, list(sets.items()), []


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


def decode(camera: str, stamp_ns: int, jpeg: bytes) -> Frame:
    """Return a frame of half its size, as the node decodes images of this size."""
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_REDUCED_COLOR_2)
    return Frame(camera, stamp_ns, np.asarray(image, np.uint8), 2)


def run_live(pipeline: PosePipeline, images: Images) -> list[float]:
    """Return CPU and wall ms of a set at 30 Hz, bodies and people in images per set, after the first half second."""
    began, bodies, people = (0.0, 0.0), 0, 0
    pipeline.load()
    detection = None
    for index, files in enumerate([*images, []]):
        if index == WARM_IMAGES:
            began, bodies, people = (process_time(), perf_counter()), 0, 0
        after, stamp_ns = None, 1_000_000_000 + index * 33_333_333
        if files:
            after = pipeline.begin({
                camera.name: partial(decode, camera.name, stamp_ns, jpeg)
                for camera, jpeg in zip(pipeline.rig.cameras, files, strict=True)
            })
        if detection is not None:
            result = pipeline.finish(stamp_ns - 33_333_333, detection.views())
            bodies += len(result.bodies.xyz)
            people += sum(len(seen.xy) for seen in result.keypoints.values())
        detection = after
    count = len(images) - WARM_IMAGES
    return [*((now - then) * 1e3 / count for now, then in zip((process_time(), perf_counter()), began, strict=True)),
            bodies / count, people / count]


def main() -> None:
    """Answer until the input ends."""
    rig, sets, images = load(Path(sys.argv[1]))
    config = PipelineConfig(lifter=LifterConfig(enabled=sys.argv[2] == '1'))
    if sys.argv[3:] and any(one.name == 'profile' for one in fields(config.detector)):
        config = replace(config, detector=replace(config.detector, profile=sys.argv[3]))
    for line in sys.stdin:
        with PosePipeline(rig, config) as pipeline:
            word = line.strip()
            found = (
                run_live(pipeline, images) if word == 'live'
                else (time_sets if word == 'time' else count_calls)(pipeline, sets)
            )
        print(json.dumps(found), flush=True)


if __name__ == '__main__':
    main()
