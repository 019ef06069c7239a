# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Accuracy and cost of lifting and fusion: against triangulation, against peers, and on real footage.

    python benchmarks/fusion.py [--data ../shared/data]     ->  tables, and out/bench/fusion.json

Motion: the validation clips of mocap17 before the rigs of S9 and S11, through the detector noise model of
training/data/noise.py, seed 0; each clip runs through PosePipeline as a live stream of 30 sets a second, and what it
publishes is compared with the truth, absolute, in the world. `--every N` takes every N-th clip. "DLT" is linear
triangulation weighted by confidence over all views, on joints that it has.
"""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from runpy import run_path
from typing import Any

import numpy as np
from geo_pose_training.data.recording import PersonRecording
from geo_pose_training.data.synthetic import load_rigs, synthesise
from numpy.typing import NDArray

from benchmarks.fuse import Sets
from benchmarks.harness import (
    OUT,
    ROOT,
    SHARED_DATA,
    parser_of,
    peer_python,
    provenance,
    run_peer,
    show,
    time_ms,
    use_one_thread,
    write_json,
)
from geo_pose_ros.arrays import FloatArray, IntArray
from geo_pose_ros.evaluation.quality import ObservedSet, bone_length_cv, leave_one_out_compared, leave_one_out_px
from geo_pose_ros.fusion.estimate import estimate_bodies
from geo_pose_ros.fusion.prior import BodyPrior, LiftedViews
from geo_pose_ros.fusion.views import BodyViews, Noise
from geo_pose_ros.geometry.projection import normalize, project_world
from geo_pose_ros.geometry.triangulation import triangulate_dlt
from geo_pose_ros.inference.model_card import default_model, load_card
from geo_pose_ros.lifting.lifter import PoseLifter
from geo_pose_ros.lifting.settings import LifterConfig
from geo_pose_ros.pipeline import PosePipeline
from geo_pose_ros.scene.bones import BoneLengths
from geo_pose_ros.scene.cameras.clocks import ClockOffsets
from geo_pose_ros.scene.observation import Observer
from geo_pose_ros.scene.settings import PipelineConfig, TrackingConfig
from geo_pose_ros.simulation.detector import NoiseSettings
from geo_pose_ros.simulation.motion_files import load_motion
from geo_pose_ros.skeleton import BODY17
from geo_pose_ros.types import CameraRig, Keypoints2D

# Pose2Sim declares GUIs and simulators; the last line is what its triangulation imports.
PEERS = (
    ['aniposelib==0.8.0'], ['--no-deps', 'pose2sim==0.10.49'],
    ['rtoml', 'anytree', 'pandas', 'c3d', 'tqdm', 'matplotlib', 'scipy', 'lxml'],
)
PEER_MODES = ('aniposelib', 'aniposelib_fast', 'pose2sim')
RIGS = ('h36m_S9', 'h36m_S11')
FULL = PipelineConfig()
NO_LIFTER = replace(FULL, lifter=LifterConfig(enabled=False))
NO_FILTER = replace(FULL, tracking=TrackingConfig(enabled=False))
NEITHER = replace(NO_LIFTER, tracking=TrackingConfig(enabled=False))
VARIANTS = {
    'lifter, filter': FULL, 'lifter': NO_FILTER, 'triangulation, filter': NO_LIFTER, 'triangulation': NEITHER,
}
LEFT_ARM = [BODY17.index(f'left_{joint}') for joint in ('shoulder', 'elbow', 'wrist')]


def mean_mm(error_m: FloatArray) -> float:
    """Return the mean of distances that exist, mm."""
    return round(1e3 * float(np.nanmean(error_m)), 2)


def published(
    recording: PersonRecording, names: Sequence[str], config: PipelineConfig, hidden: NDArray[np.bool_] | None = None
) -> FloatArray:
    """Return (F, J, 3) m: the body the pipeline publishes for each set, NaN where it publishes none.

    Joints of ``hidden`` (F, J) are seen by no camera.
    """
    part = recording.views(names)
    xy, confidence = part.xy.copy(), part.confidence.copy()
    if hidden is not None:
        xy[np.broadcast_to(hidden[:, None], confidence.shape)] = np.nan
        confidence[np.broadcast_to(hidden[:, None], confidence.shape)] = 0.0
    joints = np.full((len(part), len(BODY17), 3), np.nan)
    with PosePipeline(part.rig, config) as pipeline:
        for i in range(len(part)):
            stamp_ns = int(i * 1e9 / part.fps)
            seen = {
                name: Keypoints2D(name, stamp_ns, BODY17, xy[i, c, None], confidence[i, c, None])
                for c, name in enumerate(names)
            }
            bodies = pipeline.fuse(stamp_ns, seen).bodies
            if len(bodies):
                # The body with most views is the measured one; a lost track may still be predicted beside it.
                joints[i] = bodies.xyz[int(bodies.num_views.sum(1).argmax())]
    return joints


def dlt(recording: PersonRecording, names: Sequence[str]) -> FloatArray:
    """Return (F, J, 3) m: confidence-weighted linear triangulation, keypoints below the usual confidence left out."""
    part = recording.views(names)
    frames, views, joints = part.confidence.shape
    weights = np.where(part.confidence >= FULL.detector.min_confidence, part.confidence, 0.0)
    xn = part.rays().swapaxes(0, 1).reshape(views, -1, 2)
    flat = weights.swapaxes(0, 1).reshape(views, -1)
    return triangulate_dlt(part.cam_from_world, xn, flat).reshape(frames, joints, 3)


def compare(clips: Sequence[PersonRecording], names: Sequence[str], config: PipelineConfig) -> dict[str, float]:
    """Return MPJPE of ours and of DLT on the joints that DLT has, and of ours on all."""
    ours, theirs, everything, joints = [], [], [], []
    for clip in clips:
        body, linear = published(clip, names, config), dlt(clip, names)
        error, linear_error = (np.linalg.norm(x - clip.truth, axis=-1) for x in (body, linear))
        common = np.isfinite(error) & np.isfinite(linear_error)
        ours.append(error[common])
        theirs.append(linear_error[common])
        everything.append(error.ravel())
        joints.append(np.isfinite(linear_error).ravel())
    a, b, c = (np.concatenate(values) for values in (ours, theirs, everything))
    return {
        'ours_mm': mean_mm(a), 'dlt_mm': mean_mm(b), 'ratio': round(float(a.mean() / b.mean()), 4),
        'ours_median_mm': round(1e3 * float(np.median(a)), 2), 'dlt_median_mm': round(1e3 * float(np.median(b)), 2),
        'ours_all_joints_mm': mean_mm(c), 'complete': round(float(np.isfinite(c).mean()), 4),
        'dlt_complete': round(float(np.concatenate(joints).mean()), 4),
    }


def occluded_arm(clips: Sequence[PersonRecording], names: Sequence[str]) -> dict[str, float]:
    """Return the error of an arm that neither camera sees, and how complete the body is.

    Hidden for whole clips, so that nothing but the rest of the body tells where it is; and (``passing_mm``) for half a
    second in every two, as when something passes.
    """
    error, complete, passing = [], [], []
    for clip in clips:
        arm = np.isin(np.arange(len(BODY17)), LEFT_ARM)[None].repeat(len(clip), 0)
        body = published(clip, names, FULL, arm)
        error.append(np.linalg.norm(body - clip.truth, axis=-1)[:, LEFT_ARM])
        complete.append(np.isfinite(body).all((1, 2)))
        second = np.arange(len(clip)) / clip.fps
        now = (second % 2.0 >= 1.5)[:, None] & arm
        passing.append(np.linalg.norm(published(clip, names, FULL, now) - clip.truth, axis=-1)[now])
    stacked = np.concatenate(error)
    return {
        'arm_mm': mean_mm(stacked), 'complete': round(float(np.concatenate(complete).mean()), 4),
        **{BODY17.joint_names[j] + '_mm': mean_mm(stacked[:, k]) for k, j in enumerate(LEFT_ARM)},
        'passing_mm': mean_mm(np.concatenate(passing)),
    }


def one_camera(clips: Sequence[PersonRecording], lifter: PoseLifter) -> dict[str, float]:
    """Return root-relative MPJPE of ours and of the lifter alone, and the absolute root error, over all cameras."""
    ours, alone, roots = [], [], []
    for clip in clips:
        for c, camera in enumerate(clip.rig.cameras):
            body = published(clip, (camera.name,), FULL)
            confidence = np.where(clip.confidence[:, c] >= FULL.detector.min_confidence, clip.confidence[:, c], 0.0)
            up = lifter.up_in_cam(camera.cam_from_world[None])
            own = lifter.lift(clip.rays()[None, :, c], confidence[None], up_in_cam=up)
            lifted = own.pose[0] @ camera.cam_from_world[:, :3]
            relative = [np.linalg.norm(x - x[:, :1] - clip.truth + clip.truth[:, :1], axis=-1) for x in (body, lifted)]
            common = np.isfinite(relative[0]) & np.isfinite(relative[1])
            ours.append(relative[0][common])
            alone.append(relative[1][common])
            roots.append(np.linalg.norm(body[:, 0] - clip.truth[:, 0], axis=-1))
    a, b, root = (np.concatenate(values) for values in (ours, alone, roots))
    return {
        'ours_mm': mean_mm(a), 'lifter_mm': mean_mm(b), 'ratio': round(float(a.mean() / b.mean()), 4),
        'root_mm': mean_mm(root), 'root_median_mm': round(1e3 * float(np.nanmedian(root)), 1),
    }


def ours_on(
    rig: CameraRig, xy: FloatArray, confidence: FloatArray, lifter: PoseLifter | None, bones: BoneLengths | None = None
) -> Callable[[slice], FloatArray]:
    """Return a function of a slice of frames that gives our joints (F, J, 3) from raw px (C, F, J, 2).

    With ``bones`` set after set, as a track: by the lengths that the views of the sets before showed.
    """
    cameras, who = Observer(rig).observe(0, {}, {}, ClockOffsets(len(rig)), 0.0).cameras, np.zeros(1, np.int64)
    used = np.where(confidence >= FULL.detector.min_confidence, confidence, 0.0)

    def lift(views: BodyViews, _: IntArray) -> LiftedViews | None:
        if lifter is None:
            return None
        cams = cameras.cam_from_world
        own = lifter.lift(views.xn, views.confidence, up_in_cam=lifter.up_in_cam(cams))
        return LiftedViews.of_cameras(own.pose, own.sigma, own.root, cams[:, None])

    def block(frames: slice) -> FloatArray:
        xn = np.stack([normalize(camera.intrinsics, xy[c, frames]) for c, camera in enumerate(rig.cameras)])
        views = BodyViews(np.where(used[:, frames, :, None] > 0.0, xn, np.nan), used[:, frames])
        noise = Noise(1.0, np.ones(len(rig)), np.zeros(len(rig)))
        prior = BodyPrior(bones=None if bones is None else bones.prior(who))
        found = estimate_bodies(cameras, views, prior, FULL.solver, noise, lift).solution
        if bones is not None:
            bones.learn(who, who, found.seen_xyz, found.seen_covariance)
        return found.xyz

    def run(frames: slice) -> FloatArray:
        # Blocks of sets that fit the processor's cache.
        start, stop, _ = frames.indices(xy.shape[1])
        step = 256 if bones is None else 1
        return np.concatenate([block(slice(i, min(i + step, stop))) for i in range(start, stop, step)])

    return run


def reprojection(rig: CameraRig, xy: FloatArray, joints: FloatArray) -> float:
    """Return the median px between keypoints (C, F, J, 2) and projected joints (F, J, 3)."""
    distance = [np.linalg.norm(project_world(c, joints) - xy[i], axis=-1) for i, c in enumerate(rig.cameras)]
    return round(float(np.nanmedian(np.stack(distance))), 2)


def against_peers(
    rig: CameraRig, xy: FloatArray, confidence: FloatArray, truth: FloatArray | None, lifter: PoseLifter
) -> dict[str, Any]:
    """Return reprojection, accuracy and time per set of ours and the peers on the same keypoints (C, F, J, 2)."""
    sets = xy.shape[1]
    lenses = [camera.intrinsics for camera in rig.cameras]
    found = run_peer(peer_python('peers', PEERS), ['triangulate'], {
        'K': [lens.K for lens in lenses], 'D': [np.pad(lens.D, (0, 5 - len(lens.D))) for lens in lenses],
        'R': [c.cam_from_world[:, :3] for c in rig.cameras], 't': [c.cam_from_world[:, 3] for c in rig.cameras],
        'size': [(lens.width, lens.height) for lens in lenses], 'xy': xy, 'confidence': confidence,
    })
    joints: dict[str, FloatArray] = {}
    rows: dict[str, dict[str, Any]] = {}
    for name in PEER_MODES:
        joints[name] = found[f'{name}_xyz']
        batch = float(found[f'{name}_batch_ms'])
        rows[name] = {
            'set_ms': round(float(np.median(found[f'{name}_set_ms'])), 3),
            'batch_ms_per_set': None if np.isnan(batch) else round(batch, 4),
        }
    for name, used, bones in (
        ('ours_triangulation', None, None), ('ours_bones', None, BoneLengths()), ('ours', lifter, None),
    ):
        run = ours_on(rig, xy, confidence, used, bones)
        joints[name] = run(slice(None))
        turn = itertools.cycle(range(min(sets, 100)))
        batch = time_ms(lambda: run(slice(None)), 0.0 if sets > 1000 else 2.0)['p50'] / sets  # noqa: B023
        single = time_ms(lambda: run(slice(i := next(turn), i + 1)))['p50']  # noqa: B023
        rows[name] = {'set_ms': single, 'batch_ms_per_set': round(batch, 4)}
    common = np.isfinite(joints['pose2sim']).all(-1)
    for name, body in joints.items():
        rows[name]['reprojection_px'] = reprojection(rig, xy, body)
        rows[name]['complete'] = round(float(np.isfinite(body).all(-1)[common.any(1)].mean()), 4)
        if truth is not None:
            error = np.linalg.norm(body - truth, axis=-1)
            rows[name]['mpjpe_mm'] = mean_mm(error)
        else:
            parent, child = np.array(BODY17.edges).T
            lengths = np.linalg.norm(body[:, parent] - body[:, child], axis=-1)
            rows[name]['bone_length_cv'] = round(float(np.median(np.nanstd(lengths, 0) / np.nanmean(lengths, 0))), 4)
    return rows


def footage(name: str) -> tuple[CameraRig, Sets]:
    """Return rig and sets of a demo's recording, `single` or `multi`: BlazePose's keypoints of the golden outputs."""
    golden = run_path(str(ROOT / 'test' / 'golden' / 'record.py'))
    arrays, sets = golden['stored'](name), dict[int, dict[str, Keypoints2D]]()
    for seen in golden['keypoints_of'](arrays):
        sets.setdefault(seen.stamp_ns, {})[seen.camera] = seen
    return golden['rig_of'](arrays), sorted(sets.items())


@dataclass
class Inputs:
    """What the parts measure on; each is made when it is first wanted."""

    data: Path
    every: int

    @cached_property
    def clips(self) -> list[PersonRecording]:
        """The validation clips before the test rigs."""
        rigs = load_rigs(self.data / 'rigs.json')
        clips = [clip for clip in load_motion(self.data / 'mocap17.npz') if clip.validation][:: self.every]
        return [synthesise(clip, name, rigs[name], NoiseSettings(), 0) for name in RIGS for clip in clips]

    @cached_property
    def lifter(self) -> PoseLifter:
        """The lifter that ships."""
        return PoseLifter(LifterConfig())


def accuracy(inputs: Inputs) -> dict[str, Any]:
    """Measure against DLT, with few cameras and with hidden arms."""
    names = inputs.clips[0].rig.names
    pairs = list(itertools.combinations(names, 2))
    result: dict[str, Any] = {
        'four_cameras': {name: compare(inputs.clips, names, config) for name, config in VARIANTS.items()},
        'two_cameras': {'+'.join(pair): compare(inputs.clips, pair, FULL) for pair in pairs},
        'occluded_arm': {'+'.join(pair): occluded_arm(inputs.clips, pair) for pair in pairs},
    }
    for part, rows in result.items():
        show(part.replace('_', ' '), rows)
    one = one_camera(inputs.clips, inputs.lifter)
    show('one camera', {'all': one})
    return {
        **result, 'one_camera': one, 'four_cameras_vs_dlt': result['four_cameras']['lifter, filter']['ratio'],
        # The pair that gains least.
        'two_cameras_vs_dlt': max(row['ratio'] for row in result['two_cameras'].values()),
        'passing_arm_mm': max(row['passing_mm'] for row in result['occluded_arm'].values()),
        'occluded_arm_mm': max(row['arm_mm'] for row in result['occluded_arm'].values()),
        'one_camera_vs_lifter': one['ratio'],
    }


def peers(inputs: Inputs) -> dict[str, Any]:
    """Measure peers and ours on the same keypoints."""
    subject = [clip for clip in inputs.clips if clip.subject == RIGS[0]]
    xy = np.concatenate([c.xy for c in subject]).swapaxes(0, 1)
    confidence = np.concatenate([c.confidence for c in subject]).swapaxes(0, 1)
    truth = np.concatenate([c.truth for c in subject if c.truth is not None])
    rig, sets = footage('single')
    with PosePipeline(rig, NEITHER) as mapper:
        mapped = [mapper.fuse(i, found).keypoints for i, (_, found) in enumerate(sets)]
    real_xy, real_confidence = (
        np.stack([[getattr(k[n], field)[0] for k in mapped] for n in rig.names]) for field in ('xy', 'confidence')
    )
    result = {
        'mocap17, four cameras': against_peers(subject[0].rig, xy, confidence, truth, inputs.lifter),
        'real footage': against_peers(rig, real_xy, real_confidence, None, inputs.lifter),
    }
    for name, rows in result.items():
        show(f'peers: {name}', rows)
    rows = result['mocap17, four cameras']
    # As a user would call them: default entry points, one set after the other. The table has the rest.
    theirs = min(rows[name]['set_ms'] for name in ('aniposelib', 'pose2sim'))
    fastest, bones = min(rows[name]['set_ms'] for name in PEER_MODES), rows['ours_bones']
    error = next(rows[name]['mpjpe_mm'] for name in PEER_MODES if rows[name]['set_ms'] == fastest)
    return {
        'bones_ms_vs_fastest': round(bones['set_ms'] / fastest, 3),
        'bones_error_vs_fastest': round(bones['mpjpe_mm'] / error, 3),
        'peers': result, 'speedup_vs_fastest_peer': round(theirs / rows['ours_triangulation']['set_ms'], 2),
        'speedup_with_lifter_vs_fastest_peer': round(theirs / rows['ours']['set_ms'], 2),
    }


def real_footage(inputs: Inputs) -> dict[str, Any]:
    """Return leave-one-camera-out error and bone-length variation on the demo's footage, by what is switched on."""
    rig, sets = footage('single')
    rows: dict[str, dict[str, Any]] = {}
    for name, config in VARIANTS.items():
        observations = []
        with PosePipeline(rig, config) as pipeline:
            for stamp_ns, found in sets:
                fused = pipeline.fuse(stamp_ns, found)
                observations.append(ObservedSet(stamp_ns, fused.keypoints, fused.bodies))
        errors = leave_one_out_px(rig, observations, config)
        variation = bone_length_cv(BODY17, [seen.bodies for seen in observations])
        rows[name] = {
            'leave_one_out_px': round(float(np.median(np.concatenate(list(errors.values())))), 2),
            'leave_one_out_mean_px': round(float(np.mean(np.concatenate(list(errors.values())))), 2),
            'bone_length_cv': round(float(np.nanmedian(list(variation.values()))), 4),
            'complete': round(float(np.mean([np.isfinite(o.bodies.xyz).all(-1).mean() for o in observations])), 4),
        }
        # On the joints that triangulation alone has: it leaves out those that it is unsure of.
        ours, alone = leave_one_out_compared(rig, observations, config, NEITHER)
        rows[name] |= {
            'common_px': round(float(np.median(ours)), 2), 'common_mean_px': round(float(ours.mean()), 2),
            'ratio_of_means': round(float(ours.mean() / alone.mean()), 4),
        }
    show('real footage', rows)
    return {'real_footage': rows}


PARTS: Mapping[str, Callable[[Inputs], dict[str, Any]]] = {
    'accuracy': accuracy, 'peers': peers, 'real': real_footage,
}


def main() -> int:
    """Measure, print and write; return 0."""
    use_one_thread()
    parser = parser_of(__doc__)
    parser.add_argument('--data', type=Path, default=SHARED_DATA)
    parser.add_argument('--every', type=int, default=1, help='every N-th clip for accuracy')
    parser.add_argument('--only', nargs='*', choices=tuple(PARTS), default=list(PARTS))
    args = parser.parse_args()
    path = OUT / 'fusion.json'
    result: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    origin = provenance('python benchmarks/fusion.py')
    result |= origin | {'lifter_sha256': load_card(default_model()).sha256[:12]}
    if not (args.data / 'mocap17.npz').is_file():
        print(f"no motion data in '{args.data}': only the parts that need none; give --data", file=sys.stderr)
        args.only = [part for part in args.only if part == 'real']
    inputs = Inputs(args.data, args.every)
    for part in args.only:
        result |= PARTS[part](inputs)
        # Parts may be run one by one; each says of which commit it is, and on which clips.
        result.setdefault('parts', {})[part] = {'commit': origin['commit'], 'clips': f'every {args.every}'}
        write_json(path, result)
    print({k: v for k, v in result.items() if not isinstance(v, (dict, list))})
    return 0


if __name__ == '__main__':
    sys.exit(main())
