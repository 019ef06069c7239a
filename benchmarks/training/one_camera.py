"""Where one camera puts a person: alone, with the floor, after two cameras saw it, and on its way out of the picture.

    python benchmarks/training/one_camera.py [--clips 10] [--only lifter scene leaving]

Prints a table per part, and writes docs/benchmarks/one_camera.json. People of ../shared/data/mocap17.npz that were
never trained on (b/, another skeleton; a/ and c/, other clips) before eye-level and ceiling cameras, through the noise
model.

lifter: the root of single views by the lifter alone: by perspective, with the floor, with bone lengths that two other
cameras triangulated, with both.
scene: the root that the pipeline gives, one camera for 3 s; before, two cameras for 2 s or nobody.
leaving: as scene, but after the 2 s everybody goes sideways, 1 m/s on top of the own motion, until nothing is seen.
Inside: errors within 2.8 standard deviations by the claimed covariance (95 % of a Gaussian).
"""

from __future__ import annotations

import os

os.environ.setdefault('OMP_NUM_THREADS', '1')
os.environ.setdefault('OPENBLAS_NUM_THREADS', '1')

import argparse
import json
import sys
from collections.abc import Sequence as Items
from pathlib import Path
from typing import Any

import numpy as np
from geo_pose_training.cli import predictor
from geo_pose_training.data.sequence import Sequence
from geo_pose_training.data.sources import load_data
from geo_pose_training.evaluate import INSIDE, root_errors_mm

from benchmarks.harness import provenance
from geo_pose_ros.arrays import FloatArray
from geo_pose_ros.geometry.projection import project_world
from geo_pose_ros.inference.model_card import default_model
from geo_pose_ros.lifting.settings import LifterConfig
from geo_pose_ros.pipeline import PosePipeline
from geo_pose_ros.scene.settings import PipelineConfig
from geo_pose_ros.simulation.detector import NoiseSettings, detect_person, detector_joints
from geo_pose_ros.skeleton import BODY17
from geo_pose_ros.types import Keypoints2D

OUT = Path('docs/benchmarks/one_camera.json')
SHARED = Path('../shared/data')
DATA = {
    'b/, eye level': f'motion:{SHARED}/mocap17.npz,rigs:{SHARED}/rigs.json,only:h36m_S9,clips:b',
    'b/, ceiling': f'motion:{SHARED}/mocap17.npz,ceiling:12,clips:b',
    'a/ c/, eye level': f'motion:{SHARED}/mocap17.npz,rigs:{SHARED}/rigs.json,only:h36m_S9,clips:a+c',
}
TOGETHER_S, ALONE_S = 2.0, 3.0
SPEED_M_S = 1.0
# Joints that are left of a person on the way out.
LEFT = ((14, 17), (10, 13), (7, 9), (4, 6), (1, 3))


def roots_of_the_lifter(sequences: Items[Sequence]) -> dict[str, float]:
    """Return mean root errors, mm, of every view alone, by what else is known."""
    predict, windows = predictor(default_model())
    known = {'perspective': ('', False), 'floor': ('z', False), 'bones': ('', True), 'floor and bones': ('z', True)}
    seen = [sequence.frames(slice(None, None, 6)) for sequence in sequences]
    return {
        name: float(root_errors_mm(predict, seen, floor=floor, bones=bones, **windows).mean())
        for name, (floor, bones) in known.items()
    }


def follow(sequence: Sequence, camera: int, floor: bool, together: bool) -> list[tuple[int, float, float, float]]:
    """Return, of each set that one camera saw alone, joints seen, the root's error and jump, mm, and error in sigmas.

    The jump is the change of the error from the set before.
    """
    start = round(TOGETHER_S * sequence.fps)
    names = sequence.rig.names
    rows: list[tuple[int, float, float, float]] = []
    before: FloatArray | None = None
    config = PipelineConfig(lifter=LifterConfig(floor=floor))
    with PosePipeline(sequence.rig, config) as pipeline:
        for number in range(0 if together else start, len(sequence)):
            stamp_ns = round(1e9 * (1.0 + number / sequence.fps))
            views = (camera, (camera + 1) % len(names)) if number < start else (camera,)
            found = pipeline.fuse(stamp_ns, {
                names[view]: Keypoints2D(
                    names[view], stamp_ns, BODY17, sequence.xy[number, view][None],
                    sequence.confidence[number, view][None],
                )
                for view in views
            }).bodies
            left = int((sequence.confidence[number, camera] > 0.0).sum())
            if number < start or not left or not len(found) or sequence.truth is None:
                before = None
                continue
            errors = found.xyz[:, 0] - sequence.truth[number, 0]
            nearest = int(np.nanargmin(np.linalg.norm(errors, axis=-1)))
            error = errors[nearest]
            sigmas = float(np.sqrt(error @ np.linalg.solve(found.covariance[nearest, 0], error)))
            jump = float('nan') if before is None else 1e3 * float(np.linalg.norm(error - before))
            rows.append((left, 1e3 * float(np.linalg.norm(error)), jump, sigmas))
            before = error
    return rows


def leaving(sequence: Sequence, camera: int, seed: int) -> Sequence:
    """Return the sequence as the cameras see it when the person goes sideways, out of ``camera``'s picture."""
    rng = np.random.default_rng(seed)
    assert sequence.truth is not None  # noqa: S101
    aside = sequence.rig.cameras[camera].cam_from_world[0, :3] * (1.0, 1.0, 0.0)
    aside *= rng.choice((-1.0, 1.0)) / np.linalg.norm(aside)
    later_s = np.maximum(np.arange(len(sequence)) / sequence.fps - TOGETHER_S, 0.0)
    truth = sequence.truth + SPEED_M_S * later_s[:, None, None] * aside
    by_detector = detector_joints(truth)
    xy, confidence = zip(*(
        detect_person(project_world(c, by_detector), (c.intrinsics.width, c.intrinsics.height), NoiseSettings(), rng)
        for c in sequence.rig.cameras
    ), strict=True)
    return Sequence(
        sequence.name, sequence.subject, sequence.action, sequence.rig, np.stack(xy, 1), np.stack(confidence, 1),
        sequence.fps, truth,
    )


def summary(rows: Items[tuple[int, float, float, float]]) -> dict[str, Any]:
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


def in_the_scene(sequences: Items[Sequence], walk_out: bool) -> dict[str, Any]:
    """Return the summaries by what is known: the floor, and two cameras' view of the person before."""
    found = {}
    for together in (False, True):
        for floor in (False, True):
            rows = []
            for number, sequence in enumerate(sequences):
                camera = number % len(sequence.rig)
                seen = leaving(sequence, camera, number) if walk_out else sequence
                rows += follow(seen, camera, floor, together)
            name = ('two cameras before' if together else 'one camera') + (', floor' if floor else '')
            found[name] = summary(rows)
    return found


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--clips', type=int, default=10, help='of each kind')
    parser.add_argument('--only', nargs='+', default=['lifter', 'scene', 'leaving'])
    arguments = parser.parse_args()
    if not SHARED.is_dir():
        sys.exit(f"one_camera: needs '{SHARED}'.")
    frames = round((TOGETHER_S + ALONE_S) * 30.0)
    found: dict[str, Any] = json.loads(OUT.read_text()) if OUT.exists() else {}
    found |= {**provenance('python benchmarks/training/one_camera.py'), 'clips': arguments.clips}
    for name, specification in DATA.items():
        long = [sequence for sequence in load_data(specification, test=True) if len(sequence) >= frames]
        chosen = [s.frames(slice(0, frames)) for s in long[:: max(1, len(long) // arguments.clips)][: arguments.clips]]
        if 'lifter' in arguments.only:
            roots = found.setdefault('lifter', {})[name] = roots_of_the_lifter(chosen)
            told = ', '.join(f'{known} {mm:.0f} mm' for known, mm in roots.items())
            print(f'{name:<17} lifter   {told}', flush=True)
        for part in ('scene', 'leaving'):
            if part not in arguments.only:
                continue
            numbers = found.setdefault(part, {})[name] = in_the_scene(chosen, part == 'leaving')
            for known, one in numbers.items():
                print(
                    f'{name:<17} {part:<8} {known:<26} {one["root_mm"]:4.0f} mm, p95 {one["p95_mm"]:4.0f}, '
                    f'{one["inside"]:.3f} inside, jump p99 {one["jump_p99_mm"]:4.0f}', flush=True,
                )
    OUT.write_text(json.dumps(found, indent=1) + '\n')


if __name__ == '__main__':
    main()
