# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Golden outputs: what the code said before it was moved about, to compare with what it says now.

    python test/golden/record.py [NAME ...]            compares; prints every difference; exit 1 on any
    python test/golden/record.py --write [NAME ...]    records anew: only where a change of results is meant

Recorded at 51b5f6e. The inputs are plain arrays: `single.npz`, `multi.npz` are what BlazePose, as shipped, sees in the
demo's two recordings (four cameras, 100 sets each); `walk.npz` a synthetic person before four cameras (2 px of noise,
3 % outliers, two clocks off). Each case imports what it runs, and nothing else does.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache, partial
from pathlib import Path
from time import process_time
from typing import Any

os.environ.setdefault('OMP_NUM_THREADS', '1')

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))

# Of floats, relative above 1.
TOLERANCE, TORCH_TOLERANCE = 1e-6, 1e-4
# Of Adam: gradients that are rounding alone make no steps.
EPSILON = 0.1
DIGITS = 9


# Inputs -------------------------------------------------------------------------------------------------------------


def stored(name: str) -> dict[str, Any]:
    """Return the arrays of an input."""
    with np.load(HERE / f'{name}.npz') as arrays:
        return dict(arrays)


def rig_of(arrays: Mapping[str, Any], poses: Any = None) -> Any:
    """Return the rig of an input; ``poses`` (C, 3, 4): instead of its own."""
    from geo_pose_ros.types import Camera, CameraRig, ClockModel, Intrinsics

    tree = json.loads(str(arrays['rig']))
    cameras = []
    for number, c in enumerate(tree['cameras']):
        lens = Intrinsics(np.array(c['K']), np.array(c['D']), c['model'], c['width'], c['height'])
        pose = np.array(c['cam_from_world']) if poses is None else poses[number]
        cameras.append(Camera(c['name'], c['frame_id'], lens, pose, ClockModel(c['clock_offset_s'])))
    return CameraRig(tuple(cameras), tree['world'])


def keypoints_of(arrays: Mapping[str, Any]) -> Iterator[Any]:
    """Yield what the cameras of an input saw, by stamp."""
    from geo_pose_ros.skeleton import BODY17
    from geo_pose_ros.types import Keypoints2D

    names = [c['name'] for c in json.loads(str(arrays['rig']))['cameras']]
    ends = np.cumsum(arrays['people'])
    for camera, stamp_ns, people, end in zip(
        arrays['camera'], arrays['stamp_ns'], arrays['people'], ends, strict=True
    ):
        rows = slice(end - people, end)
        confidence = arrays['confidence'][rows].astype(float)
        yield Keypoints2D(names[camera], int(stamp_ns), BODY17, arrays['xy'][rows].astype(float), confidence)


# Outputs ------------------------------------------------------------------------------------------------------------


def bodies_tree(found: Iterable[Any], every: int) -> dict[str, Any]:
    """Return the bodies of all sets: every n-th whole, of the others ids and sums."""
    rows, whole = [], {}
    first_ns = None
    for number, b in enumerate(found):
        first_ns = b.stamp_ns if first_ns is None else first_ns
        fields = {
            'xyz_m': b.xyz, 'sigma_m': np.sqrt(np.diagonal(b.covariance, axis1=2, axis2=3)),
            'confidence': b.confidence, 'num_views': b.num_views, 'reprojection_px': b.reprojection_error,
        }
        sums = {
            **{name: np.nansum(value) for name, value in fields.items()},
            'covariance_cm2': np.nansum(b.covariance) * 1e4, 'velocity_m_s': np.nansum(b.velocity),
            'age_s': np.nansum(b.age_s), 'views': np.sum(b.views), 'unknown': np.isnan(b.xyz).sum(),
        }
        rows.append({'stamp_ns': b.stamp_ns - first_ns, 'ids': b.body_ids, 'sums': list(sums.values())})
        if number % every == 0:
            whole[str(number)] = fields
    names = list(sums) if rows else []
    return {'first_ns': first_ns, 'sums_of': names, 'sets': rows, 'whole': whole}


def plain(value: Any) -> Any:
    """Return a tree of dataclasses, arrays and numbers as JSON's types; a number that does not exist is None."""
    if dataclasses.is_dataclass(value):
        value = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(getattr(key, 'value', key)): plain(inner) for key, inner in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, float):
        return (round(value, DIGITS) + 0.0) if math.isfinite(value) else None
    return value


def dumped(tree: Any, indent: str = '') -> str:
    """Return JSON in which only what holds dicts is broken into lines."""
    deeper = indent + ' '
    if isinstance(tree, dict):
        parts = [f'{deeper}{json.dumps(key)}: {dumped(value, deeper)}' for key, value in tree.items()]
        return '{\n' + ',\n'.join(parts) + f'\n{indent}}}' if parts else '{}'
    if isinstance(tree, list) and any(isinstance(one, dict) for one in tree):
        return '[\n' + ',\n'.join(deeper + json.dumps(one, separators=(',', ':')) for one in tree) + f'\n{indent}]'
    return json.dumps(tree, separators=(',', ':'))


# Cases --------------------------------------------------------------------------------------------------------------


def processed(name: str, folder: Path) -> tuple[Path, Any]:
    """Write the recorded keypoints as a bag, process it with default settings, return the result and the summary."""
    from geo_pose_ros.bags.process import process_bag
    from geo_pose_ros.simulation.recordings import write_keypoints_bag

    arrays = stored(name)
    write_keypoints_bag(folder / name, rig_of(arrays), {'': list(keypoints_of(arrays))})
    return folder / f'{name}_out', process_bag(folder / name, folder / f'{name}_out')


def process(name: str) -> dict[str, Any]:
    from geo_pose_ros.bags.read import BagReader
    from geo_pose_ros.messages.clouds.bodies import bodies_from_cloud
    from geo_pose_ros.messages.clouds.details import with_details

    with tempfile.TemporaryDirectory() as folder:
        bag, summary = processed(name, Path(folder))
        with BagReader(bag) as reader:
            bodies = [bodies_from_cloud(m.decode()) for m in reader.messages(['/pose_node/bodies'])]
            details = [m.decode() for m in reader.messages(['/pose_node/details'])]
            topics = {t.name: [t.message_type, t.count] for t in reader.topics.values()}
    found = [with_details(b, message) for b, message in zip(bodies, details, strict=True)]
    residuals = np.concatenate(summary.reprojection_px)
    return {
        'summary': {
            **{key: getattr(summary, key) for key in (
                'sets', 'complete_sets', 'sets_with_bodies', 'bodies', 'unusable_frames', 'dropped_frames',
                'incomplete_sets', 'failed_sets',
            )},
            'reprojection_px': [len(residuals), np.median(residuals), residuals.mean(), residuals.max()],
        },
        'topics': dict(sorted(topics.items())),
        'bodies': bodies_tree(found, 5),
    }


SCENES: tuple[dict[str, Any], ...] = (
    {'people': 1, 'duration_s': 3.0},
    {'people': 2, 'motion': 'cross', 'duration_s': 4.0},
    {'people': 8, 'cameras': 12, 'motion': 'cell', 'spacing_m': 1.2, 'duration_s': 2.0},
    {'people': 2, 'cameras': 2, 'phase': 'half', 'duration_s': 4.0},
    {'people': 1, 'cameras': 1, 'duration_s': 4.0},
    {'people': 2, 'phase': 'random', 'clock_offset_ms': 30.0, 'duration_s': 4.0},
    {'people': 2, 'loss': 0.1, 'miss': 0.1, 'hidden': ({'person': 0, 'start_s': 1.5, 'end_s': 2.5},),
     'duration_s': 4.0},
    {'people': 2, 'knocks': ({'camera': 1, 'pixels': 60.0, 'start_s': 1.0},), 'duration_s': 4.0},
    {'people': 2, 'noise': {'swap_rate': 0.3, 'outlier_rate': 0.08}, 'duration_s': 3.0},
    {'people': 3, 'rate_hz': 0.0, 'phase': 'random', 'calibration_error_deg': 0.5, 'speed': 1.5, 'duration_s': 2.5},
)


def scene(number: int) -> dict[str, Any]:
    from geo_pose_ros.simulation.detector import NoiseSettings
    from geo_pose_ros.simulation.scenario import Hidden, Knock, Scenario, build
    from geo_pose_ros.simulation.simulate import arrivals, run

    fields = dict(SCENES[number])
    fields['noise'] = NoiseSettings(**fields.get('noise', {}))
    fields['hidden'] = tuple(Hidden(**h) for h in fields.get('hidden', ()))
    fields['knocks'] = tuple(Knock(**k) for k in fields.get('knocks', ()))
    # Recorded motion is not everywhere.
    world = build(Scenario(seed=number, recorded=False, **fields))
    seen = [keypoints for _, keypoints in arrivals(world)]
    recording = run(world)
    moved = {}
    for n, s in enumerate(recording.sets):
        for name, state in s.cameras.items():
            if state.moved:
                moved.setdefault(name, []).append(n)
    last = recording.sets[-1].cameras
    return {
        # If these differ, so did the simulator.
        'input': {
            'pictures': len(seen), 'people': sum(len(k.xy) for k in seen),
            'xy_px': sum(np.nansum(k.xy) for k in seen), 'confidence': sum(k.confidence.sum() for k in seen),
        },
        'drops': recording.drops,
        'cameras_of_sets': [len(s.stamps_ns) for s in recording.sets],
        'waited_ns': [s.now_ns - s.stamp_ns for s in recording.sets],
        'moved': {name: [len(sets), sets[0], sets[-1]] for name, sets in sorted(moved.items())},
        'cameras': {
            name: {
                'clock_offset_ms': 1e3 * state.clock_offset_s, 'clock_sigma_ms': 1e3 * state.clock_sigma_s,
                'noise_scale': state.noise_scale, 'shared_px': state.shared_px, 'shift_px': state.calibration_error_px,
                'shift_mrad': 1e3 * state.calibration_error_rad,
            }
            for name, state in sorted(last.items())
        },
        'bodies': bodies_tree([s.bodies for s in recording.sets], 20),
    }


def calibration(scratch: bool) -> dict[str, Any]:
    from geo_pose_ros.calibration.calibrate import calibrate
    from geo_pose_ros.calibration.settings import CalibrateConfig
    from geo_pose_ros.calibration.task import CalibrateTask, ScaleSource

    arrays = stored('walk')
    pictures: dict[str, list[Any]] = {}
    for seen in keypoints_of(arrays):
        pictures.setdefault(seen.camera, []).append(seen)
    config = CalibrateConfig(instants=100)
    if scratch:
        task = CalibrateTask(config, from_scratch=True, scale=ScaleSource(stature_m=1.75))
        found = calibrate(pictures, rig_of(arrays), task)
    else:
        found = calibrate(pictures, rig_of(arrays, arrays['perturbed']), CalibrateTask(config))

    def judged(one: Any) -> Any:
        return None if one is None else {'score_px': one.score_px, 'medians': one.medians()}

    return {
        'cameras': {
            c.name: {'cam_from_world': c.cam_from_world, 'clock_offset_ms': 1e3 * c.clock.offset_s, 'K': c.intrinsics.K}
            for c in found.rig.cameras
        },
        'offset_ms': found.offset_s * 1e3, 'sigma_offset_ms': found.sigma_offset_s * 1e3,
        'drift_ppm': found.drift * 1e6,
        'sigma_rotation_mrad': found.sigma_rotation_rad * 1e3, 'sigma_position_mm': found.sigma_position_m * 1e3,
        'sigma_focal': found.sigma_focal, 'shared': found.shared, 'people': found.people, 'poses': found.poses,
        'kept': found.kept, 'before': judged(found.before), 'after': judged(found.after),
        'joints_m': found.joints[::10].sum(1), 'world': found.world,
        'refusal': found.refusal.in_words if found.refusal else '',
    }


def report() -> dict[str, Any]:
    from geo_pose_ros.bags.recording import Recording
    from geo_pose_ros.evaluation.findings import find_problems
    from geo_pose_ros.evaluation.settings import ReportConfig
    from geo_pose_ros.view.report import measure_recording

    config = ReportConfig(bins=20, left_out_sets=20)
    with tempfile.TemporaryDirectory() as folder:
        bag, _ = processed('single', Path(folder))
        with Recording([bag]) as recording:
            measured = measure_recording(recording, config)
    numbers = {f.name: getattr(measured.report, f.name) for f in dataclasses.fields(measured.report)}
    del numbers['skeleton']
    reported = {
        name: {key: said for key, said in values.items() if not key.startswith('stage_ms')}
        for name, values in measured.reported.values.items()
    }
    found = find_problems(measured.report, config, lambda offset_s: f'{offset_s:.1f} s')
    return {
        'numbers': numbers, 'reported': reported, 'complaints': len(measured.reported.complaints),
        'findings': [[int(one.severity), one.what, one.remedy] for one in found],
    }


def training() -> dict[str, Any]:
    import torch
    from geo_pose_training.batches import EpochDraw, epoch_batches
    from geo_pose_training.data.prepare import prepare
    from geo_pose_training.data.recording import PersonRecording
    from geo_pose_training.settings import load_recipe
    from geo_pose_training.trainer import Trainer

    torch.set_num_threads(1)
    arrays = stored('walk')
    rig = rig_of(arrays)
    frames, order = 60, np.argsort(arrays['camera'], kind='stable')
    xy, confidence = (
        arrays[key][order].reshape(len(rig), -1, *arrays[key].shape[1:]).swapaxes(0, 1)[:frames].astype(float)
        for key in ('xy', 'confidence')
    )
    truth = arrays['truth'][:frames].astype(float)
    recording = PersonRecording('walk', 'someone', 'walk', rig, xy, confidence, 20.0, truth)
    small: dict[str, object] = {
        'model.width': 32, 'model.blocks': 1, 'optim.steps': 8, 'optim.steps_per_epoch': 4, 'optim.batch': 16,
        'data.copies.count': 2,
    }
    paper: dict[str, object] = {
        'data.labels': 'none', 'data.copies.count': 0, 'data.copies.occlusion.limbs': 0.0, 'loss.label': 0.0,
        'loss.root': 'branch', 'loss.reprojection': 1.0, 'loss.transform': 1.0, 'loss.pretrain_share': 0.25,
        'loss.confidence': 'source', 'optim.lifted_views': 2,
    }
    recipes = {
        # The recipe that ships, and Li et al.'s two branches that learn from the views alone.
        'body17': load_recipe('body17', small), 'branches': load_recipe('body17_canonical', {**small, **paper}),
    }
    found = {}
    for name, recipe in recipes.items():
        bank = prepare([recording], recipe.data, 0, gravity=recipe.model.gravity)
        trainer = Trainer(recipe, bank, seed=1)
        # Rounding is all the gradient of a bias that a normalisation takes off again; Adam would make full steps of it,
        # and the last bit of anything would decide.
        for group in trainer.optimiser.param_groups:
            group['eps'] = EPSILON
        losses = [trainer.train_epoch() for _ in range(2)]
        trainer.networks.eval()
        batch = next(epoch_batches(bank, recipe, EpochDraw(seed=5, epoch=0, share=8, steps=1)))
        with torch.no_grad():
            lifted, root = trainer.networks(batch.window, batch.window_size, batch.view)
        found[name] = {
            'frames': len(bank),
            'input': [float(t.double().sum()) for t in (batch.window, batch.window_size, batch.view)],
            'losses': losses, 'xyz_m': lifted.xyz[:4].double().numpy(), 'sigma': lifted.sigma[:4].double().numpy(),
            'root': None if root is None else root.double().numpy(),
            'weights': {k: float(v.double().abs().sum()) for k, v in trainer.networks.state_dict().items()},
        }
    return found


CASES: dict[str, Callable[[], dict[str, Any]]] = {
    **{f'scene_{n:02d}': partial(scene, n) for n in range(len(SCENES))},
    'calibrate_refined': partial(calibration, False), 'calibrate_scratch': partial(calibration, True),
    'process_single': partial(process, 'single'), 'process_multi': partial(process, 'multi'),
    'report': report, 'training': training,
}


# Comparison ---------------------------------------------------------------------------------------------------------


def differences(golden: Any, now: Any, tolerance: float, where: str = '') -> Iterator[tuple[float, str]]:
    """Yield the size (infinite where it is none) and the description of every difference."""
    if isinstance(golden, dict) and isinstance(now, dict):
        for key in [*golden, *(key for key in now if key not in golden)]:
            if key in golden and key in now:
                yield from differences(golden[key], now[key], tolerance, f'{where}/{key}')
            else:
                yield math.inf, f'{where}/{key}: only {"recorded" if key in golden else "now"}'
    elif isinstance(golden, list) and isinstance(now, list):
        if len(golden) != len(now):
            yield math.inf, f'{where}: {len(golden)} recorded, {len(now)} now'
        for number, (old, new) in enumerate(zip(golden, now, strict=False)):
            yield from differences(old, new, tolerance, f'{where}[{number}]')
    elif isinstance(golden, float) and isinstance(now, float):
        size = abs(golden - now)
        if size > tolerance * max(1.0, abs(golden)):
            yield size, f'{where}: {golden} recorded, {now} now, differs by {size:.3g}'
    elif golden != now or type(golden) is not type(now):
        size = abs(golden - now) if type(golden) is type(now) is int else math.inf
        # Nanoseconds are rounded from seconds: the last digit of these may turn that of those.
        if size > 1 or not re.search(r'_ns(\[\d+\])?$', where):
            yield float(size), f'{where}: {golden!r} recorded, {now!r} now'


@cache
def computed(name: str) -> Any:
    """Return what a case gives now, as it would be read back."""
    return json.loads(dumped(plain(CASES[name]())))


def compare(name: str) -> list[tuple[float, str]]:
    """Return the differences of a case, the largest first."""
    golden = json.loads((HERE / f'{name}.json').read_text(encoding='utf-8'))
    tolerance = TORCH_TOLERANCE if name == 'training' else TOLERANCE
    return sorted(differences(golden, computed(name), tolerance), key=lambda found: -found[0])


def main() -> int:
    """Compare or write; return 1 if anything differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('names', nargs='*', metavar='NAME', help=', '.join(CASES))
    parser.add_argument('--write', action='store_true', help='record anew')
    parser.add_argument('--most', type=int, default=50, help='differences that are printed of a case')
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(CASES)
    if unknown:
        parser.error(f'no case {", ".join(sorted(unknown))}; there are: {", ".join(CASES)}')
    differ = 0
    for name in arguments.names or CASES:
        began_s = process_time()
        if arguments.write:
            (HERE / f'{name}.json').write_text(dumped(computed(name)) + '\n', encoding='utf-8')
            found = []
        else:
            found = compare(name)
        state = 'recorded' if arguments.write else f'{len(found)} differences' if found else 'same'
        print(f'{name}: {state}  [{process_time() - began_s:.1f} s]', flush=True)
        for _, text in found[: arguments.most]:
            print(f'    {text}')
        differ += bool(found)
    return int(differ > 0)


if __name__ == '__main__':
    sys.exit(main())
