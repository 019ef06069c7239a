# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Calibration from people: how near the truth, how honest, how fast; the table that issue and docs ask for.

    python benchmarks/calibrate.py [--only refine ring ...] [--seeds N]   ->  tables, out/bench/calibrate.json, images

Motion: walking clips of mocap17, each walked out and back from one spot in a direction of its own, so that planted
feet stay planted and time has no jumps; bodies of random stature; before published rigs, through the detector noise
model of training/data/noise.py. Everything goes in as detections without names, as from a bag. Errors are after
aligning the world by a similarity; the scale is reported apart.
"""

from __future__ import annotations

import json
import resource
import sys
import tracemalloc
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter, process_time, sleep
from typing import Any

import cv2
import numpy as np
from geo_pose_training.data.synthetic import load_rigs, room_centre
from scipy.spatial.transform import Rotation

from benchmarks.harness import (
    CACHE,
    OUT,
    SHARED_DATA,
    parser_of,
    peer_python,
    provenance,
    run_peer,
    use_one_thread,
    write_json,
)
from geo_pose_ros.arrays import FloatArray
from geo_pose_ros.calibration.bundle.solver import adjust
from geo_pose_ros.calibration.calibrate import Calibrated, calibrate, tracklets_of
from geo_pose_ros.calibration.clocks import synchronous, with_clocks
from geo_pose_ros.calibration.people.matching import sight_people
from geo_pose_ros.calibration.report import write_report
from geo_pose_ros.calibration.settings import AdjustConfig, CalibrateConfig, WatchConfig
from geo_pose_ros.calibration.sizes import people_sizes, size_ratios
from geo_pose_ros.calibration.task import CalibrateTask, ScaleSource
from geo_pose_ros.calibration.verdict import judge
from geo_pose_ros.calibration.watch import CalibrationWatch
from geo_pose_ros.calibration.world import align_rig, lever_m
from geo_pose_ros.demo.footage import fetch_footage
from geo_pose_ros.detection import create_detector
from geo_pose_ros.detection.settings import DetectorConfig
from geo_pose_ros.errors import CalibrationError
from geo_pose_ros.geometry.projection import project_world
from geo_pose_ros.geometry.stats import INSIDE_95
from geo_pose_ros.geometry.virtual_camera import look_at
from geo_pose_ros.lifting.settings import LifterConfig
from geo_pose_ros.pipeline import PosePipeline
from geo_pose_ros.rigs.files import read_calibration
from geo_pose_ros.scene.cameras.states import CameraState
from geo_pose_ros.scene.scene import SceneResult
from geo_pose_ros.scene.settings import PipelineConfig
from geo_pose_ros.simulation.cameras import perturb_rig, turn_camera
from geo_pose_ros.simulation.detector import NoiseSettings, detect_person, detector_joints
from geo_pose_ros.simulation.motion import MotionClip, stature_m
from geo_pose_ros.simulation.motion_files import load_motion
from geo_pose_ros.simulation.recordings import START_NS, record_people
from geo_pose_ros.simulation.walks import GRID_HZ, acted, headings, placed, walk_on_spot
from geo_pose_ros.skeleton import BLAZEPOSE33, BODY17
from geo_pose_ros.types import Bodies3D, Camera, CameraRig, Frame, Intrinsics, Keypoints2D

FPS = 30.0
RIGS = ('h36m_S9', 'h36m_S11', 'pose2sim_demo')
NOISE = NoiseSettings()
# What is compared with, as pip calls it; each in an environment of its own.
PEERS = {'aniposelib': 'aniposelib==0.8.0', 'caliscope': 'caliscope==0.11.8'}
_ANKLE_M = 0.09
_SPOKE_M = 1.8
_CORRIDOR_M = 4.3


# Motion -------------------------------------------------------------------------------------------------------------


def walking_clips(data: Path) -> list[MotionClip]:
    """Return the clips of people who walk on."""
    clips = [c for c in load_motion(data / 'mocap17.npz') if 'walk' in c.name]
    return [c for c in clips if len(c.joints) >= 60 and np.linalg.norm(np.ptp(c.joints[:, 0, :2], axis=0)) > 1.2]


def walker(clips: Sequence[MotionClip], rng: np.random.Generator, seconds: float) -> FloatArray:
    """Return a person (F, 17, 3) m around the origin for so long, planted ankles 9 cm above z = 0."""
    scale = rng.uniform(0.9, 1.1)
    parts: list[FloatArray] = []
    count = 0
    while count < seconds * FPS:
        clip = clips[rng.integers(len(clips))].joints
        far = np.linalg.norm(clip[:, 0, :2] - clip[0, 0, :2], axis=1)
        clip = clip[: int(np.argmax(far > _SPOKE_M)) or len(clip)] * scale
        angle = rng.uniform(0.0, 2.0 * np.pi)
        turn = Rotation.from_rotvec((0.0, 0.0, angle)).as_matrix()
        local = (clip - (*clip[0, 0, :2], np.percentile(clip[:, [3, 6], 2], 3) - _ANKLE_M)) @ turn.T
        parts += [local, local[-2:0:-1]]
        count += 2 * len(local) - 2
    return np.concatenate(parts)[: round(seconds * FPS)]


def circling(
    clips: Sequence[MotionClip], rng: np.random.Generator, seconds: float, start: float, direction: float
) -> FloatArray:
    """Return a person who walks round a corridor, now faster, now slower (feet slide a little)."""
    frames = round(seconds * GRID_HZ)
    body = acted([walk_on_spot(clip, 1.0) for clip in clips], rng, frames)
    share = np.arange(frames) / frames
    phase = 2.0 * np.pi * rng.uniform(1.0, 5.0, 3) * share[:, None] + rng.uniform(0.0, 6.0, 3)
    waves = rng.uniform(0.02, 0.05, 3) * np.sin(phase)
    angle = start + direction * 2.2 * np.pi * (rng.uniform(0.85, 1.15) * share + waves.sum(1))
    radius = _CORRIDOR_M + 0.4 * np.sin(3.0 * angle)
    path = (radius * (np.cos(angle), np.sin(angle))).T[:, None]
    return placed(body[:, None], path, headings(path, rng))[:: round(GRID_HZ / FPS), 0]


def record(
    rig: CameraRig, people: Sequence[FloatArray], rng: np.random.Generator, reach_rad: float | None = None
) -> dict[str, list[Keypoints2D]]:
    """Return what a noisy detector sees; who is who is not said.

    Args:
        rig: the true cameras and clocks.
        people: (F, 17, 3) m each.
        rng: draws the noise.
        reach_rad: a camera sees people only within this angle of its own direction from the origin; None: everywhere.
    """
    def detected(camera: Camera, joints: FloatArray) -> tuple[FloatArray, FloatArray]:
        exact = project_world(camera, detector_joints(joints, NOISE.definition))
        if reach_rad is not None:
            own = np.arctan2(*camera.position_m[1::-1])
            off = np.angle(np.exp(1j * (np.arctan2(joints[:, 0, 1], joints[:, 0, 0]) - own)))
            exact[np.abs(off) > reach_rad] = np.nan
        return detect_person(exact, (camera.intrinsics.width, camera.intrinsics.height), NOISE, rng)

    return record_people(rig, people, FPS, detected, rng)


def ring(cameras: int) -> CameraRig:
    """Return cameras on the outer wall of a round corridor, each looking along it."""
    K = np.array([[1000.0, 0.0, 959.5], [0.0, 1000.0, 539.5], [0.0, 0.0, 1.0]])
    lens = Intrinsics(K, np.array([-0.1, 0.03, 0.0, 0.0, 0.0]), 'plumb_bob', 1920, 1080)
    made = []
    for c in range(cameras):
        angle = 2.0 * np.pi * c / cameras
        position = np.array([7.5 * np.cos(angle), 7.5 * np.sin(angle), 2.4 + 0.3 * (c % 2)])
        target = np.array([3.4 * np.cos(angle), 3.4 * np.sin(angle), 1.0])
        made.append(Camera(f'cam{c:02d}', f'cam{c:02d}', lens, look_at(position, target, np.array([0.0, 0.0, 1.0]))))
    return CameraRig(tuple(made))


# Errors -------------------------------------------------------------------------------------------------------------


def aligned_errors(found: CameraRig, truth: CameraRig, centre: FloatArray) -> tuple[FloatArray, FloatArray, float]:
    """Return rotation (C, 3) rad and position (C, 3) m errors in the cameras' frames, and the scale to the truth."""
    change = align_rig(found, truth, lever_m(truth, centre))
    turn, move = [], []
    for here, true in zip(change.rig(found).cameras, truth.cameras, strict=True):
        R = true.cam_from_world[:, :3]
        turn.append(Rotation.from_matrix(here.cam_from_world[:, :3] @ R.T).as_rotvec())
        move.append(R @ (here.position_m - true.position_m))
    return np.array(turn), np.array(move), change.scale


def rms(vectors: FloatArray) -> float:
    """Return the root mean square length of vectors (N, 3)."""
    return float(np.sqrt((vectors**2).sum(-1).mean()))


class Tally:
    """Errors over many runs of one case."""

    def __init__(self) -> None:
        """Start with none."""
        self.turn, self.move, self.scale, self.inside, self.clock_s = [], [], [], [], []
        self.wall_s, self.cpu_s, self.gravity_rad, self.floor_m = [], [], [], []
        self.refused = 0

    def add(self, found: Calibrated, truth: CameraRig, centre: FloatArray, late_s: FloatArray | None = None) -> None:
        """Take one run; ``late_s`` (C,) is the true clock offset in the middle of the recording."""
        turn, move, scale = aligned_errors(found.rig, truth, centre)
        self.turn.append(turn)
        self.move.append(move)
        self.scale.append(scale)
        # Variances are of the whole vector: a third belongs to each axis, more or less; judged by chi-square of 3.
        for vectors, sigma in ((turn, found.sigma_rotation_rad), (move, found.sigma_position_m)):
            self.inside.append((vectors**2).sum(1) <= INSIDE_95 / 3.0 * sigma**2)
        self.refused += found.refusal is not None
        if late_s is not None:
            error = found.offset_s + found.drift * 30.0 - late_s
            self.clock_s.append((error - error[0])[1:])

    def result(self) -> dict[str, Any]:
        """Return the case's row."""
        turn_deg, move_mm = np.degrees(np.concatenate(self.turn)), 1e3 * np.concatenate(self.move)
        row: dict[str, Any] = {
            'runs': len(self.turn),
            'rotation_deg': round(rms(turn_deg), 4),
            'rotation_max_deg': round(float(np.linalg.norm(turn_deg, axis=1).max()), 4),
            'position_mm': round(rms(move_mm), 2),
            'position_max_mm': round(float(np.linalg.norm(move_mm, axis=1).max()), 2),
            'inside_95': round(float(np.concatenate(self.inside).mean()), 3),
            'scale_error_percent': round(100.0 * float(np.sqrt(np.mean((np.array(self.scale) - 1.0) ** 2))), 2),
            'refused': self.refused,
        }
        if self.clock_s:
            clock = np.abs(np.concatenate(self.clock_s)) * 1e3
            row |= {'clock_rms_ms': round(float(np.sqrt((clock**2).mean())), 2), 'clock_max_ms': round(clock.max(), 2)}
        if self.wall_s:
            row |= {'wall_s': round(float(np.median(self.wall_s)), 1), 'cpu_s': round(float(np.median(self.cpu_s)), 1)}
        if self.gravity_rad:
            row |= {
                'gravity_deg': round(float(np.degrees(np.sqrt(np.mean(np.square(self.gravity_rad))))), 3),
                'gravity_max_deg': round(float(np.degrees(max(self.gravity_rad))), 3),
                'floor_mm': round(1e3 * float(np.sqrt(np.mean(np.square(self.floor_m)))), 1),
            }
        return row


def timed(tally: Tally, *args: Any, **kwargs: Any) -> Calibrated:
    """Return ``calibrate`` of the arguments; its times go to the tally."""
    wall, cpu = perf_counter(), process_time()
    found = calibrate(*args, **kwargs)
    tally.wall_s.append(perf_counter() - wall)
    tally.cpu_s.append(process_time() - cpu)
    return found


# Cases --------------------------------------------------------------------------------------------------------------


def cases(data: Path, seeds: int) -> list[tuple[str, CameraRig, FloatArray, FloatArray, np.random.Generator]]:
    """Return name, rig, room centre, a minute of walking, and the random numbers of each run."""
    rigs, clips = load_rigs(data / 'rigs.json'), walking_clips(data)
    rows = []
    for r, name in enumerate(RIGS):
        for seed in range(seeds):
            rng = np.random.default_rng([seed, r])
            centre = room_centre(rigs[name])
            rows.append((name, rigs[name], centre, walker(clips, rng, 60.0) + centre, rng))
    return rows


def refine(data: Path, seeds: int) -> dict[str, Any]:
    """Two degrees and 50 mm, clocks up to 50 ms apart."""
    tally = Tally()
    for _, rig, centre, motion, rng in cases(data, seeds):
        late = np.concatenate([[0.0], rng.uniform(-0.05, 0.05, len(rig) - 1)])
        seen = record(with_clocks(rig, late), [motion], rng)
        found = timed(tally, seen, perturb_rig(rig, 2.0, 0.05, rng))
        tally.add(found, rig, centre, late)
    write_report(OUT / 'calibrate_refine', found, 'Refined, synthetic')
    return tally.result()


def scratch(data: Path, seeds: int) -> dict[str, Any]:
    """No extrinsics; stature given."""
    tally = Tally()
    for _, rig, centre, motion, rng in cases(data, seeds):
        task = CalibrateTask(from_scratch=True, scale=ScaleSource(stature_m=stature_m(motion)))
        found = timed(tally, record(rig, [motion], rng), rig, task)
        tally.add(found, rig, centre)
        change = align_rig(rig, found.rig, lever_m(rig, centre))
        up = change.R @ (0.0, 0.0, 1.0)
        tally.gravity_rad.append(float(np.arccos(np.clip(up[2], -1.0, 1.0))))
        tally.floor_m.append(float(change.points(centre * (1.0, 1.0, 0.0))[2]))
    return tally.result()


def sync(data: Path, seeds: int) -> dict[str, Any]:
    """From scratch, clocks up to 5 s apart that drift by up to 50 ppm."""
    tally = Tally()
    for _, rig, centre, motion, rng in cases(data, seeds):
        offset = np.concatenate([[0.0], rng.uniform(-5.0, 5.0, len(rig) - 1)])
        drift = np.concatenate([[0.0], rng.uniform(-5e-5, 5e-5, len(rig) - 1)])
        seen = record(with_clocks(rig, offset, drift), [motion], rng)
        found = timed(tally, seen, rig, CalibrateTask(from_scratch=True, sync=True))
        tally.add(found, rig, centre, offset + drift * 30.0)
    return tally.result()


def ring_of_twelve(data: Path, seeds: int) -> dict[str, Any]:
    """Twelve cameras round a corridor, three people, refined and from scratch."""
    clips, rig = walking_clips(data), ring(12)
    tallies = {'refined': Tally(), 'scratch': Tally()}
    people_found = []
    for seed in range(max(1, seeds // 2)):
        rng = np.random.default_rng([seed, 12])
        people = [circling(clips, rng, 60.0, 2.1 * p, direction) for p, direction in enumerate((1.0, -1.0, 1.0))]
        seen = record(rig, people, rng, reach_rad=0.7)
        for name, tally in tallies.items():
            start = perturb_rig(rig, 2.0, 0.05, rng) if name == 'refined' else rig
            found = timed(tally, seen, start, CalibrateTask(from_scratch=name == 'scratch'))
            tally.add(found, rig, np.zeros(3))
            people_found.append(found.people)
    write_report(OUT / 'calibrate_ring', found, 'Ring of twelve, from scratch')
    return {
        **{name: tally.result() for name, tally in tallies.items()}, 'tracks_of_people': people_found,
        'peak_memory_gb': round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
    }


def recording(
    data: Path, number: int
) -> tuple[str, CameraRig, CameraRig, FloatArray, dict[str, list[Keypoints2D]], CalibrateTask]:
    """Return kind, true rig, rig given, room centre, detections and task of one of many recordings.

    1.5 to 60 s, one to three people; refined from 0 to 2 degrees and 0 to 50 mm, with right lenses, one that is 10 %
    off or all 6 % off, some with free focal lengths; or from scratch, with clocks or without; by stature or distance.
    """
    rng = np.random.default_rng([number, 19])
    rig = load_rigs(data / 'rigs.json')[RIGS[number % len(RIGS)]]
    centre, clips = room_centre(rig), walking_clips(data)
    kind = ('refine', 'refine', 'focal', 'scratch', 'sync')[number % 5]
    seconds = 1.5 * 40.0 ** rng.uniform()
    aside = centre + np.array([(0.0, 0.0, 0.0), (1.2, 0.6, 0.0), (-0.8, 1.1, 0.0)])
    people = [walker(clips, rng, seconds) + aside[p] for p in range(1 + number % 3)]
    if kind in ('refine', 'focal'):
        error = rng.choice((0.0, 0.3, 1.0, 2.0))
        lens = ('right', 'one', 'right', 'all')[number // 5 % 4]
        factor = np.where((lens == 'all') | ((lens == 'one') & (np.arange(len(rig)) == rng.integers(len(rig)))),
                          {'one': 1.1}.get(lens, 1.06), 1.0)
        start = CameraRig(tuple(
            replace(c, intrinsics=replace(c.intrinsics, K=c.intrinsics.K * np.array([[f, 1, 1], [1, f, 1], [1, 1, 1]])))
            for c, f in zip(perturb_rig(rig, error, 0.025 * error, rng).cameras, factor, strict=True)
        ))
        config = replace(_QUICK, adjust=AdjustConfig(intrinsics='focal' if kind == 'focal' else 'fixed'))
        kind = f'{kind}, lenses: {lens}'
        return kind, rig, start, centre, record(rig, people, rng), CalibrateTask(config)
    first, second = rig.names[:2]
    apart_m = float(np.linalg.norm(rig[first].position_m - rig[second].position_m))
    seen_longest = stature_m(people[0]) if len(people) == 1 else None
    scale = ScaleSource(stature_m=seen_longest) if seen_longest else ScaleSource(distance=(first, second, apart_m))
    offset = np.concatenate([[0.0], rng.uniform(-3.0, 3.0, len(rig) - 1)]) * (kind == 'sync')
    seen = record(with_clocks(rig, offset), people, rng)
    kind = f'{kind}, {"stature" if seen_longest else "distance"}'
    return kind, rig, rig, centre, seen, CalibrateTask(_QUICK, True, kind.startswith('sync'), scale=scale)


# Forty recordings in an hour.
_QUICK = CalibrateConfig(instants=150)


def recordings(data: Path, seeds: int) -> dict[str, Any]:
    """Whatever is recorded, calibrate does no harm: what is written, and how it fares with another walk."""
    rows: list[dict[str, Any]] = []
    for number in range(40 * seeds // 3):
        rows.append(calibrated_recording(data, number))
        print(json.dumps(rows[-1]), flush=True)
    return of_recordings(rows)


def calibrated_recording(data: Path, number: int) -> dict[str, Any]:
    """Return the row of one recording: why it is refused, or how its rig fares."""
    kind, rig, start, centre, seen, task = recording(data, number)
    row: dict[str, Any] = {'number': number, 'kind': kind, 'images': max(len(images) for images in seen.values())}
    try:
        found = calibrate(seen, start, task)
        row['refusal'] = found.refusal.what if found.refusal else ''
    except CalibrationError as error:
        row['refusal'] = str(error)
    if row['refusal']:
        return row
    tally = Tally()
    tally.add(found, rig, centre)
    row |= {key: tally.result()[key] for key in ('rotation_deg', 'position_mm', 'inside_95')}
    row['scale_percent'] = round(100.0 * (tally.scale[0] - 1.0), 2)
    if found.given is not None:
        rng = np.random.default_rng([number, 20])
        fresh = record(rig, [walker(walking_clips(data), rng, 20.0) + centre], rng)
        views = sight_people(tracklets_of(fresh, rig, _QUICK), rig, _QUICK).views(synchronous(rig))
        rigs = synchronous(start), synchronous(found.rig)
        row['left_out_px'] = [round(judge(r, views).score_px, 2) for r in rigs]
        own = size_ratios(found.sizes_before, found.sizes)
        other = size_ratios(*(people_sizes(r, views, 1) for r in rigs))
        row['size_percent'] = (100.0 * (np.concatenate([own, other]) - 1.0)).round(2).tolist()
    return row


def of_recordings(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the worst of all recordings whose rig is written, and every row."""
    written = [row for row in rows if not row['refusal']]
    refined, scratched = ([r for r in written if ('left_out_px' in r) == was] for was in (True, False))

    def worst(key: str, of: Sequence[dict[str, Any]]) -> float:
        return float(max((np.abs(r[key]).max() for r in of), default=0.0))

    return {
        'recordings': len(rows), 'written': len(written),
        'size_change_max_percent': worst('size_percent', refined),
        'left_out_grew': sum(r['left_out_px'][1] > r['left_out_px'][0] for r in refined),
        'inside_95': round(float(np.mean([r['inside_95'] for r in written])), 3),
        'scratch_position_max_mm': worst('position_mm', scratched),
        'scale_stature_max_percent': worst('scale_percent', [r for r in scratched if 'stature' in r['kind']]),
        'scale_distance_max_percent': worst('scale_percent', [r for r in scratched if 'distance' in r['kind']]),
        'each': list(rows),
    }


def live(data: Path, seeds: int) -> dict[str, Any]:
    """A camera turned by 3 degrees after 10 s while sets come in: when it is named, and when a refinement mends it."""
    rows: dict[str, list[float]] = {'named_after_s': [], 'repaired_after_s': [], 'rotation_deg': []}
    wrongly = 0
    for _, rig, _, motion, rng in cases(data, max(1, seeds // 2)):
        turned = rng.integers(len(rig))
        name = rig.names[turned]
        axis = rng.normal(size=3)
        now = CameraRig(tuple(turn_camera(c, axis, np.radians(3.0)) if c.name == name else c for c in rig.cameras))
        before, after = record(rig, [motion[:1500]], rng), record(now, [motion[:1500]], rng)
        watch, named, repaired, error = CalibrationWatch(), np.nan, np.nan, np.nan
        with PosePipeline(rig, PipelineConfig(lifter=LifterConfig(enabled=False))) as pipeline:
            for i in range(1500):
                seen = {n: (before if i < 300 else after)[n][i] for n in rig.names}
                result = pipeline.fuse(START_NS + round(i * 1e9 / FPS), seen)
                watch.add(rig, result.scene)
                moved = {n for n, state in result.scene.cameras.items() if state.moved}
                wrongly += bool(moved - {name}) or (i < 300 and bool(moved))
                if np.isnan(named) and i >= 300 and name in moved:
                    named = i / FPS - 10.0
                if np.isfinite(named) and i % 60 == 0:
                    proposal = watch.refine_in_background().result()
                    if proposal.rig is None:
                        continue
                    found, true = proposal.rig[name].cam_from_world[:, :3], now[name].cam_from_world[:, :3]
                    error = float(np.degrees(Rotation.from_matrix(found @ true.T).magnitude()))
                    if error < 0.3:
                        repaired = i / FPS - 10.0
                        break
        watch.close()
        for key, value in (('named_after_s', named), ('repaired_after_s', repaired), ('rotation_deg', error)):
            rows[key].append(round(float(value), 2))
    return {**rows, 'sets_with_another_camera_named': wrongly}


def watch(data: Path, seeds: int) -> dict[str, Any]:
    """What the watch costs the thread that fuses, and what its memory holds."""
    del data, seeds
    rng, rows = np.random.default_rng(0), {}
    for cameras, people in ((4, 1), (12, 8)):
        rig, most = ring(cameras), WatchConfig().most_sets
        watch, took_ms = CalibrationWatch(), []
        tracemalloc.start()
        for i in range(most):
            stamp_ns = START_NS + round(i * 1e9 / FPS)
            seen = {
                n: Keypoints2D(n, stamp_ns, BODY17, rng.uniform(0.0, 1000.0, (people, 17, 2)), np.ones((people, 17)))
                for n in rig.names
            }
            states = {n: CameraState(0.0, 0.0, 1.0, 1.0, (0.0, 0.0), 0.0, False) for n in rig.names}
            found = SceneResult(Bodies3D.empty(stamp_ns, 'world', BODY17), seen, cameras=states)
            began = perf_counter()
            watch.add(rig, found)
            took_ms.append(1e3 * (perf_counter() - began))
        megabytes = tracemalloc.get_traced_memory()[0] / 1e6
        tracemalloc.stop()
        # Sets go on coming while everything is copied for a refinement, which finds nobody in this noise.
        began, longest_ms, running = perf_counter(), 0.0, watch.refine_in_background()
        while not running.done() and perf_counter() < began + 5.0:
            before = perf_counter()
            watch.add(rig, found)
            longest_ms = max(longest_ms, 1e3 * (perf_counter() - before))
            sleep(1e-3)
        watch.close()
        rows[f'{cameras} x {people}'] = {
            'ms_per_set': round(float(np.median(took_ms)), 4), 'ms_at_most_while_refining': round(longest_ms, 1),
            'sets': most, 'mb': round(megabytes, 1),
        }
    return rows


_DEMO_PERIOD_NS = 100_000_000


def detect_demo(videos: tuple[Path, ...], rig: CameraRig) -> list[dict[str, Keypoints2D]]:
    """Return the keypoints of the surest person of every set; detections are cached."""
    cache = OUT / 'demo_keypoints.npz'
    if not cache.exists():
        cache.parent.mkdir(parents=True, exist_ok=True)
        np.savez(cache, **{path.stem: _marks(path) for path in videos})
    stored = np.load(cache)
    marks = {name: stored[name] for name in rig.names}
    return [
        {
            name: Keypoints2D(name, i * _DEMO_PERIOD_NS, BLAZEPOSE33, found[i, None, :, :2], found[i, None, :, 2])
            for name, found in marks.items()
        }
        for i in range(min(map(len, marks.values())))
    ]


def _marks(path: Path) -> FloatArray:
    """Return x, y px and confidence (F, 33, 3) in a video, found at half its size."""
    detector, capture = create_detector(DetectorConfig()), cv2.VideoCapture(str(path))
    found: list[FloatArray] = []
    while (read := capture.read())[0]:
        half = cv2.resize(read[1], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        frame = Frame(path.stem, len(found) * _DEMO_PERIOD_NS, half, 2)
        seen = detector.detect({path.stem: frame}, {})[path.stem]
        marks = np.full((len(BLAZEPOSE33), 3), (np.nan, np.nan, 0.0))
        if len(seen.xy):
            marks = np.concatenate([seen.xy[0], seen.confidence[0, :, None]], 1)
        found.append(marks)
    detector.close()
    return np.stack(found)


def demo(data: Path, seeds: int) -> dict[str, Any]:
    """The demo's footage: refined on its first 60 frames, judged on the last 40; `geo_pose calibrate` refuses it."""
    del data, seeds
    footage = fetch_footage(CACHE)
    rig = read_calibration(footage.calibration)
    sets = detect_demo(footage.videos, rig)
    seen = {
        name: [replace(s[name], stamp_ns=START_NS + round(i * 1e9 / 60.0)) for i, s in enumerate(sets)]
        for name in rig.names
    }
    first = {name: k[:60] for name, k in seen.items()}
    last = {name: k[60:] for name, k in seen.items()}
    rows: dict[str, Any] = {'refusal': ''}
    try:
        calibrate(first, rig)
    except CalibrationError as error:
        # One pose, a second long: rightly refused. What it would bring is measured all the same.
        rows['refusal'] = str(error)
    bold = CalibrateTask(CalibrateConfig(
        least_poses=1, least_shared=2, least_seen_s=0.0, least_way_m=0.0, least_cover=0.0, most_sigma_rad=1.0,
        most_sigma=1.0,
    ))
    found, bound = calibrate(first, rig, bold), calibrate(seen, rig, bold)
    write_report(OUT / 'calibrate_demo', found, 'Demo footage, first 60 frames')
    rigs = {
        'before': rig, 'after': with_clocks(found.rig, found.offset_s, found.drift),
        # What judges entered too: nothing fitted to less is better.
        'adjusted_to_all': with_clocks(bound.rig, bound.offset_s, bound.drift),
    }
    for label, state in rigs.items():
        views = sight_people(tracklets_of(last, rig, CalibrateConfig()), state, CalibrateConfig()).views(state)
        judged = judge(synchronous(state), views)
        medians = judged.medians()
        rows[label] = {
            'left_out_px': round(judged.score_px, 2),
            'reprojection_px': round(float(np.median(np.concatenate(list(judged.reprojection_px.values())))), 2),
            'worst_camera_px': round(max(m['reprojection_px'] for m in medians.values()), 2),
        }
    return rows


def peers(data: Path, seeds: int) -> dict[str, Any]:
    """The peers' bundle adjustments on the same keypoints: one person, no clocks, who is who known."""
    rows: dict[str, dict[str, list[float]]] = {'ours': {}, **{peer: {} for peer in PEERS}}
    for _, rig, centre, motion, rng in cases(data, max(1, seeds // 2)):
        seen = record(rig, [motion], rng)
        start = perturb_rig(rig, 2.0, 0.05, rng)
        config = CalibrateConfig()
        sightings = sight_people(tracklets_of(seen, start, config), start, config)
        fitted, kept = (sightings.views(start, mask) for mask in (~sightings.is_kept, sightings.is_kept))
        began = perf_counter()
        ours = adjust(fitted, start, AdjustConfig(clocks=False), given=start).rig
        results = {'ours': (ours, perf_counter() - began)}
        xy = np.where((fitted.weight > 0.0)[..., None], fitted.xy, np.nan)
        results |= {peer: adjusted_by(peer, start, xy) for peer in PEERS}
        for name, (found, seconds) in results.items():
            turn, move, _ = aligned_errors(found, rig, centre)
            row = {
                'rotation_deg': np.degrees(rms(turn)), 'position_mm': 1e3 * rms(move), 'wall_s': seconds,
                'held_out_px': judge(found, kept).score_px,
            }
            for key, value in row.items():
                rows[name].setdefault(key, []).append(float(value))
    return {
        name: {key: round(float(np.sqrt(np.mean(np.square(v)))), 3) for key, v in row.items()}
        for name, row in rows.items()
    }


def adjusted_by(peer: str, rig: CameraRig, xy: FloatArray) -> tuple[CameraRig, float]:
    """Return the rig that a peer finds from keypoints (C, M, J, 2), and its seconds."""
    cameras = rig.cameras
    found = run_peer(peer_python(f'calibrate_{peer}', [[PEERS[peer]]]), [f'adjust_{peer}'], {
        'K': [c.intrinsics.K for c in cameras], 'D': [np.pad(c.intrinsics.D, (0, 5))[:5] for c in cameras],
        'R': [c.cam_from_world[:, :3] for c in cameras], 't': [c.cam_from_world[:, 3] for c in cameras],
        'size': [(c.intrinsics.width, c.intrinsics.height) for c in cameras], 'xy': xy.reshape(len(rig), -1, 2),
    })
    made = []
    for c, camera in enumerate(cameras):
        lens = replace(camera.intrinsics, K=found['K'][c], D=found['D'][c])
        made.append(replace(camera, intrinsics=lens, cam_from_world=np.column_stack([found['R'][c], found['t'][c]])))
    return CameraRig(tuple(made)), float(found['seconds'])


CASES = {
    'demo': demo, 'recordings': recordings, 'refine': refine, 'scratch': scratch, 'sync': sync, 'ring': ring_of_twelve,
    'live': live, 'watch': watch, 'peers': peers,
}


def main() -> int:
    """Measure, print and write; return 0."""
    use_one_thread()
    parser = parser_of(__doc__)
    parser.add_argument('--data', type=Path, default=SHARED_DATA)
    parser.add_argument('--only', nargs='+', choices=tuple(CASES), default=tuple(CASES))
    parser.add_argument('--seeds', type=int, default=3, help='runs per rig')
    args = parser.parse_args()
    if not (args.data / 'mocap17.npz').exists():
        print(f'{args.data} has no mocap17.npz; give --data.', file=sys.stderr)
        return 1
    path = OUT / 'calibrate.json'
    result = json.loads(path.read_text()) if path.exists() else {}
    for name in args.only:
        result[name] = CASES[name](args.data, args.seeds)
        origin = provenance('make bench-calibrate')
        result.setdefault('parts', {})[name] = {'commit': origin['commit'], 'seeds': args.seeds}
        print(name, json.dumps(result[name], indent=1), flush=True)
        write_json(path, result | origin)
    return 0


if __name__ == '__main__':
    sys.exit(main())
