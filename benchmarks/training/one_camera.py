# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Where one camera puts a person: alone, with the floor, after two cameras saw it, and on its way out of the image.

    python benchmarks/training/one_camera.py [--clips 10] [--only lifter scene leaving far people] [--data 'a/ c/']

Prints a table per part, and writes docs/benchmarks/one_camera.json. People of ../shared/data/mocap17.npz that were
never trained on (b/, another skeleton; a/ and c/, other clips) before eye-level and ceiling cameras, through the noise
model.

lifter: the root of single views by the lifter alone: by perspective, with the floor, with bone lengths that two other
cameras triangulated, with both.
scene: the root that the pipeline gives, one camera for 3 s; before, two cameras for 2 s or nobody.
leaving: as scene, but after the 2 s everybody goes sideways, 1 m/s on top of the own motion, until nothing is seen.
far: single views of people 3 to 25 m away through lenses of 30 to 100 degrees, images 1280 px wide, half a pixel of
further noise; by the lifter alone, and with the floor. people: the same of children and of people whose every limb is
the shortest or longest of 100, under a ceiling.
Inside: errors within 2.8 standard deviations by the reported covariance (95 % of a Gaussian).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from geo_pose_training.data.recording import PersonRecording
from geo_pose_training.data.sources import MotionSource
from geo_pose_training.data.synthetic import detect_in_rig, synthesise
from geo_pose_training.evaluation.calibration import INSIDE, mean_root_errors_mm
from geo_pose_training.evaluation.predictor import Predictor, lift_recording

from benchmarks.harness import SHARED_DATA, parser_of, provenance, use_one_thread, write_json
from geo_pose_ros.arrays import FloatArray
from geo_pose_ros.geometry.stats import distance2
from geo_pose_ros.inference.model_card import default_model
from geo_pose_ros.lifting.canonical import camera_heights, up_in_cameras
from geo_pose_ros.lifting.root import locate_root
from geo_pose_ros.lifting.settings import LifterConfig
from geo_pose_ros.pipeline import PosePipeline
from geo_pose_ros.scene.settings import PipelineConfig
from geo_pose_ros.simulation.cameras import ceiling_rig, distant_rig
from geo_pose_ros.simulation.detector import NoiseSettings
from geo_pose_ros.simulation.motion_files import load_motion
from geo_pose_ros.skeleton import BODY17
from geo_pose_ros.types import Keypoints2D

OUT = Path('docs/benchmarks/one_camera.json')
MOTION, RIGS = str(SHARED_DATA / 'mocap17.npz'), str(SHARED_DATA / 'rigs.json')
DATA = {
    'b/, eye level': MotionSource(MOTION, rigs=RIGS, only=('h36m_S9',), clips=('b',)),
    'b/, ceiling': MotionSource(MOTION, ceiling=12, clips=('b',)),
    'a/ c/, eye level': MotionSource(MOTION, rigs=RIGS, only=('h36m_S9',), clips=('a', 'c')),
}
CELLS = {
    ('far', 'b/, eye level'), ('far', 'a/ c/, eye level'), ('people', 'b/, ceiling'), ('people', 'a/ c/, eye level'),
}
TOGETHER_S, ALONE_S = 2.0, 3.0
SPEED_M_S = 1.0
# Distances, m, and horizontal fields of view, degrees, of the part ``far``; the detector's noise beside the usual.
DISTANCES_M, FIELDS_OF_VIEW_DEG = (3.0, 6.0, 9.0, 15.0, 25.0), (30.0, 60.0, 100.0)
FAR_NOISE = NoiseSettings(jitter_px=0.5)
# A view that shows fewer joints is not judged.
SHOWN = 14
# Joints that are left of a person on the way out.
LEFT = ((14, 17), (10, 13), (7, 9), (4, 6), (1, 3))


def follow(
    recording: PersonRecording, camera: int, lifter: LifterConfig, together: bool
) -> list[tuple[int, float, float, float]]:
    """Return, of each set that one camera saw alone, joints seen, the root's error and jump, mm, and error in sigmas.

    The jump is the change of the error from the set before.
    """
    start = round(TOGETHER_S * recording.fps)
    names = recording.rig.names
    rows: list[tuple[int, float, float, float]] = []
    before: FloatArray | None = None
    config = PipelineConfig(lifter=lifter)
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
            sigmas = float(np.sqrt(distance2(error, found.covariance[nearest, 0])))
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


def in_the_scene(recordings: Sequence[PersonRecording], model: Path, walk_out: bool) -> dict[str, Any]:
    """Return the summaries by what is known: the floor, and two cameras' view of the person before."""
    found = {}
    for together in (False, True):
        for floor in (False, True):
            rows = []
            for number, recording in enumerate(recordings):
                camera = number % len(recording.rig)
                seen = leaving(recording, camera, number) if walk_out else recording
                rows += follow(seen, camera, LifterConfig(floor=floor, model=str(model)), together)
            name = ('two cameras before' if together else 'one camera') + (', floor' if floor else '')
            found[name] = summary(rows)
    return found


def judge(lifter: Predictor, recordings: Sequence[PersonRecording]) -> dict[str, float]:
    """Return how well single views are lifted, each camera alone, without and with the floor; roots per distance."""
    found: dict[str, list[FloatArray]] = {}
    for recording in recordings:
        assert recording.truth is not None  # noqa: S101
        lifted, local = lift_recording(lifter, recording, min_joints=SHOWN), recording.in_cameras(recording.truth)
        rays, centred = recording.rays(), local - local[:, :, :1]
        for view, camera in enumerate(recording.cam_from_world):
            done = np.isfinite(lifted.root[:, view]).all(-1)
            placed = locate_root(
                lifted.xyz[done, view], lifted.sigma[done, view], rays[done, view], recording.confidence[done, view],
                up=up_in_cameras(camera, 'z'), height_m=np.asarray(camera_heights(camera, 'z')),
            )
            root, pose = local[done, view, 0], centred[done, view]
            away = np.linalg.norm(root, axis=-1)
            error = np.linalg.norm(lifted.xyz[done, view] - pose, axis=-1)
            seen = (recording.confidence[done, view] > 0.0) & (np.arange(error.shape[1]) > 0)
            scaled = placed.scale[:, None, None] * lifted.xyz[done, view]
            for name, values in (
                ('mpjpe_mm', 1e3 * error), ('floor_mpjpe_mm', 1e3 * np.linalg.norm(scaled - pose, axis=-1)),
                ('inside', (error / lifted.sigma[done, view])[seen] <= INSIDE),
                ('root', np.linalg.norm(lifted.root[done, view] - root, axis=-1) / away),
                ('floor_root', np.linalg.norm(placed.root - root, axis=-1) / away),
            ):
                found.setdefault(name, []).append(values.ravel())
    joined = {name: np.concatenate(parts) for name, parts in found.items()}
    return {'poses': len(joined['root']), **{name: float(values.mean()) for name, values in joined.items()}}


def cells(name: str, part: str, every: int) -> dict[str, list[PersonRecording]]:
    """Return the recordings of each cell of ``far`` or ``people``, of every ``every``-th validation clip."""
    chosen = DATA[name].clips
    clips = [c for c in load_motion(Path(MOTION)) if c.validation and c.name.split('/')[0] in chosen][::every]
    sixth = slice(None, None, 6)
    if part == 'people':
        rig = ceiling_rig(12)
        return {
            people: [synthesise(c, 'ceiling', rig, NoiseSettings(), 1, people).frames(sixth) for c in clips]
            for people in ('usual', 'children', 'extreme')
        }
    return {
        f'{distance:.0f} m, {field:.0f} deg': [
            synthesise(c, 'far', distant_rig(number, distance, field), FAR_NOISE, 1).frames(sixth)
            for number, c in enumerate(clips)
        ]
        for distance in DISTANCES_M for field in FIELDS_OF_VIEW_DEG
    }


def print_cell(where: str, numbers: Mapping[str, float]) -> None:
    """Print one line of ``judge``."""
    print(
        f'{where:<40} {numbers["poses"]:6.0f} poses, {numbers["mpjpe_mm"]:5.1f} mm, root {numbers["root"]:6.1%}; floor '
        f'{numbers["floor_mpjpe_mm"]:5.1f} mm, root {numbers["floor_root"]:5.1%}; {numbers["inside"]:.3f} inside',
        flush=True,
    )


def main() -> None:
    """Measure, print and write."""
    parser = parser_of(__doc__)
    parser.add_argument('--clips', type=int, default=10, help='of each kind')
    parser.add_argument('--only', nargs='+', default=['lifter', 'scene', 'leaving', 'far', 'people'])
    parser.add_argument('--data', nargs='+', default=list(DATA), help='names of the data')
    parser.add_argument('--model', type=Path, default=default_model(), help='lifter')
    parser.add_argument('--out', type=Path, default=OUT, help='numbers')
    arguments = parser.parse_args()
    if not SHARED_DATA.is_dir():
        sys.exit(f"one_camera: needs '{SHARED_DATA}'.")
    lifter, out = Predictor.load(arguments.model), arguments.out
    frames = round((TOGETHER_S + ALONE_S) * 30.0)
    found: dict[str, Any] = json.loads(out.read_text()) if out.exists() else {}
    found |= {**provenance('python benchmarks/training/one_camera.py'), 'clips': arguments.clips}
    for name, source in ((name, DATA[name]) for name in arguments.data):
        for part in ('far', 'people'):
            # Cells have cameras of their own.
            if part in arguments.only and (part, name) in CELLS:
                made = cells(name, part, max(1, 40 // arguments.clips))
                numbers = {cell: judge(lifter, recordings) for cell, recordings in made.items()}
                found.setdefault(part, {})[name] = numbers
                for cell, one in numbers.items():
                    print_cell(f'{name:<17} {part:<7} {cell}', one)
        if not set(arguments.only) & {'lifter', 'scene', 'leaving'}:
            continue
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
            numbers = found.setdefault(part, {})[name] = in_the_scene(chosen, arguments.model, part == 'leaving')
            for known, one in numbers.items():
                print(
                    f'{name:<17} {part:<8} {known:<26} {one["root_mm"]:4.0f} mm, p95 {one["p95_mm"]:4.0f}, '
                    f'{one["inside"]:.3f} inside, jump p99 {one["jump_p99_mm"]:4.0f}', flush=True,
                )
    write_json(out, found)


if __name__ == '__main__':
    use_one_thread()
    main()
