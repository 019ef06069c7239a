# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Where one camera puts a person: alone, with the floor, after two cameras saw it, and on its way out of the image.

    python benchmarks/training/one_camera.py [--clips 10] [--only lifter scene leaving]

Prints a table per part, and writes docs/benchmarks/one_camera.json. People of ../shared/data/mocap17.npz that were
never trained on (b/, another skeleton; a/ and c/, other clips) before eye-level and ceiling cameras, through the noise
model.

lifter: the root of single views by the lifter alone: by perspective, with the floor, with bone lengths that two other
cameras triangulated, with both.
scene: the root that the pipeline gives, one camera for 3 s; before, two cameras for 2 s or nobody.
leaving: as scene, but after the 2 s everybody goes sideways, 1 m/s on top of the own motion, until nothing is seen.
Inside: errors within 2.8 standard deviations by the reported covariance (95 % of a Gaussian).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from geo_pose_training.data.recording import PersonRecording
from geo_pose_training.data.sources import MotionSource
from geo_pose_training.data.synthetic import detect_in_rig
from geo_pose_training.evaluation.calibration import INSIDE, mean_root_errors_mm
from geo_pose_training.evaluation.predictor import Predictor

from benchmarks.harness import SHARED_DATA, parser_of, provenance, use_one_thread, write_json
from geo_pose_ros.arrays import FloatArray
from geo_pose_ros.inference.model_card import default_model
from geo_pose_ros.lifting.settings import LifterConfig
from geo_pose_ros.pipeline import PosePipeline
from geo_pose_ros.scene.settings import PipelineConfig
from geo_pose_ros.simulation.detector import NoiseSettings
from geo_pose_ros.skeleton import BODY17
from geo_pose_ros.types import Keypoints2D

OUT = Path('docs/benchmarks/one_camera.json')
MOTION, RIGS = str(SHARED_DATA / 'mocap17.npz'), str(SHARED_DATA / 'rigs.json')
DATA = {
    'b/, eye level': MotionSource(MOTION, rigs=RIGS, only=('h36m_S9',), clips=('b',)),
    'b/, ceiling': MotionSource(MOTION, ceiling=12, clips=('b',)),
    'a/ c/, eye level': MotionSource(MOTION, rigs=RIGS, only=('h36m_S9',), clips=('a', 'c')),
}
TOGETHER_S, ALONE_S = 2.0, 3.0
SPEED_M_S = 1.0
# Joints that are left of a person on the way out.
LEFT = ((14, 17), (10, 13), (7, 9), (4, 6), (1, 3))


def follow(
    recording: PersonRecording, camera: int, floor: bool, together: bool
) -> list[tuple[int, float, float, float]]:
    """Return, of each set that one camera saw alone, joints seen, the root's error and jump, mm, and error in sigmas.

    The jump is the change of the error from the set before.
    """
    start = round(TOGETHER_S * recording.fps)
    names = recording.rig.names
    rows: list[tuple[int, float, float, float]] = []
    before: FloatArray | None = None
    config = PipelineConfig(lifter=LifterConfig(floor=floor))
    with PosePipeline(recording.rig, config) as pipeline:
        for number in range(0 if together else start, len(recording)):
            stamp_ns = round(1e9 * (1.0 + number / recording.fps))
            views = (camera, (camera + 1) % len(names)) if number < start else (camera,)
            found = pipeline.fuse(stamp_ns, {
                names[view]: Keypoints2D(
                    names[view], stamp_ns, BODY17, recording.xy[number, view][None],
                    recording.confidence[number, view][None],
                )
                for view in views
            }).bodies
            left = int((recording.confidence[number, camera] > 0.0).sum())
            if number < start or not left or not len(found) or recording.truth is None:
                before = None
                continue
            errors = found.xyz[:, 0] - recording.truth[number, 0]
            nearest = int(np.nanargmin(np.linalg.norm(errors, axis=-1)))
            error = errors[nearest]
            sigmas = float(np.sqrt(error @ np.linalg.solve(found.covariance[nearest, 0], error)))
            jump = float('nan') if before is None else 1e3 * float(np.linalg.norm(error - before))
            rows.append((left, 1e3 * float(np.linalg.norm(error)), jump, sigmas))
            before = error
    return rows


def leaving(recording: PersonRecording, camera: int, seed: int) -> PersonRecording:
    """Return the recording as the cameras see it when the person goes sideways, out of ``camera``'s image."""
    rng = np.random.default_rng(seed)
    assert recording.truth is not None  # noqa: S101
    aside = recording.rig.cameras[camera].cam_from_world[0, :3] * (1.0, 1.0, 0.0)
    aside *= rng.choice((-1.0, 1.0)) / np.linalg.norm(aside)
    later_s = np.maximum(np.arange(len(recording)) / recording.fps - TOGETHER_S, 0.0)
    truth = recording.truth + SPEED_M_S * later_s[:, None, None] * aside
    xy, confidence = detect_in_rig(recording.rig, truth, NoiseSettings(), rng)
    return replace(recording, xy=xy, confidence=confidence, truth=truth)


def summary(rows: Sequence[tuple[int, float, float, float]]) -> dict[str, Any]:
    """Return what ``follow`` found, in numbers, as a whole and by the joints that were left."""
    left, error, jump, sigmas = np.array(rows).T
    return {
        'sets': len(rows), 'root_mm': float(error.mean()), 'p95_mm': float(np.percentile(error, 95)),
        'inside': float((sigmas <= INSIDE).mean()), 'jump_p99_mm': float(np.nanpercentile(jump, 99)),
        'by_joints_left': {
            f'{low}-{high}': {
                'sets': int(some.sum()), 'root_mm': float(error[some].mean()),
                'inside': float((sigmas[some] <= INSIDE).mean()), 'jump_max_mm': float(np.nanmax(jump[some])),
            }
            for low, high in LEFT if (some := (left >= low) & (left <= high)).any()
        },
    }


def in_the_scene(recordings: Sequence[PersonRecording], walk_out: bool) -> dict[str, Any]:
    """Return the summaries by what is known: the floor, and two cameras' view of the person before."""
    found = {}
    for together in (False, True):
        for floor in (False, True):
            rows = []
            for number, recording in enumerate(recordings):
                camera = number % len(recording.rig)
                seen = leaving(recording, camera, number) if walk_out else recording
                rows += follow(seen, camera, floor, together)
            name = ('two cameras before' if together else 'one camera') + (', floor' if floor else '')
            found[name] = summary(rows)
    return found


def main() -> None:
    """Measure, print and write."""
    parser = parser_of(__doc__)
    parser.add_argument('--clips', type=int, default=10, help='of each kind')
    parser.add_argument('--only', nargs='+', default=['lifter', 'scene', 'leaving'])
    arguments = parser.parse_args()
    if not SHARED_DATA.is_dir():
        sys.exit(f"one_camera: needs '{SHARED_DATA}'.")
    lifter = Predictor.load(default_model())
    frames = round((TOGETHER_S + ALONE_S) * 30.0)
    found: dict[str, Any] = json.loads(OUT.read_text()) if OUT.exists() else {}
    found |= {**provenance('python benchmarks/training/one_camera.py'), 'clips': arguments.clips}
    for name, source in DATA.items():
        long = [recording for recording in source.load(test=True) if len(recording) >= frames]
        chosen = [s.frames(slice(0, frames)) for s in long[:: max(1, len(long) // arguments.clips)][: arguments.clips]]
        if 'lifter' in arguments.only:
            roots = found.setdefault('lifter', {})[name] = mean_root_errors_mm(
                lifter, [recording.frames(slice(None, None, 6)) for recording in chosen]
            )
            shown = ', '.join(f'{known} {mm:.0f} mm' for known, mm in roots.items())
            print(f'{name:<17} lifter   {shown}', flush=True)
        for part in ('scene', 'leaving'):
            if part not in arguments.only:
                continue
            numbers = found.setdefault(part, {})[name] = in_the_scene(chosen, part == 'leaving')
            for known, one in numbers.items():
                print(
                    f'{name:<17} {part:<8} {known:<26} {one["root_mm"]:4.0f} mm, p95 {one["p95_mm"]:4.0f}, '
                    f'{one["inside"]:.3f} inside, jump p99 {one["jump_p99_mm"]:4.0f}', flush=True,
                )
    write_json(OUT, found)


if __name__ == '__main__':
    use_one_thread()
    main()
