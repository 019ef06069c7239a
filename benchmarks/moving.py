"""A rig that drives and turns against one that stands: how well people are found, and what transforms cost.

    python benchmarks/moving.py     ->  a table, and docs/benchmarks/moving.json (--out elsewhere)

Four cameras look at three people who walk, each camera in its own phase. The rig drives a circle at 1 m/s and turns
60 degrees/s; /tf tells where it is 50 times a second. The same people are seen by the same rig at rest, and, to show
what a view's own instant is worth, with all cameras of a set looked up at the set's. `--seeds N`, `--seconds S`.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.harness import RESULTS, parser_of, provenance, show, use_one_thread, write_json
from geo_pose_ros.arrays import NS_PER_S, FloatArray
from geo_pose_ros.bags.message_factory import RosbagsFactory
from geo_pose_ros.geometry.quaternion import IDENTITY, Pose, invert, matrix
from geo_pose_ros.messages.transforms import to_transform
from geo_pose_ros.rigs.moving import Mount, MovingCameras
from geo_pose_ros.rigs.settings import TransformConfig
from geo_pose_ros.rigs.transform_buffer import TransformBuffer
from geo_pose_ros.simulation.metrics import Metrics, measure
from geo_pose_ros.simulation.scenario import EPOCH_NS, Scenario, build
from geo_pose_ros.simulation.simulate import CameraPoses, run
from geo_pose_ros.types import CameraRig

SPEED_M_S, TURN_RAD_S = 1.0, math.radians(60.0)
TF_HZ = 50.0
RESULT = RESULTS / 'moving.json'
MAKE = RosbagsFactory()
# What the issue asks for.
MOST_RATIO, MOST_LOOKUP_MS = 1.2, 0.2


def odom_from_base(time_s: float) -> Pose:
    """Return where the robot is: on a circle about the origin, looking along it."""
    angle, radius_m = TURN_RAD_S * time_s, SPEED_M_S / TURN_RAD_S
    turn = (0.0, 0.0, math.sin(0.5 * angle), math.cos(0.5 * angle))
    return turn, (radius_m * math.sin(angle), -radius_m * math.cos(angle), 0.0)


def base_from_odom(time_s: FloatArray) -> FloatArray:
    """Return (F, 3, 4) at times (F,)."""
    return np.array([matrix(invert(odom_from_base(t))) for t in time_s.tolist()])


def told(parent: str, child: str, stamp_ns: int, pose: Pose) -> Any:
    """Return a TransformStamped."""
    return to_transform(MAKE, parent, child, matrix(pose), stamp_ns)


def robot(rig: CameraRig, seconds: float) -> tuple[MovingCameras, dict[str, Mount]]:
    """Return the cameras of ``rig`` on a head on a base that drives, and what carries each."""
    buffer = TransformBuffer(keep_s=2.0 * seconds + 2.0)
    mounts = {}
    for camera in rig.cameras:
        # TF has the camera's frame; the rig's pose stays in the mount, as where TF has only the base.
        buffer.add([told('head', camera.frame_id, 0, IDENTITY)], static=True)
        mounts[camera.name] = Mount(camera.frame_id, camera.cam_from_world)
    buffer.add([told('base', 'head', 0, IDENTITY)], static=True)
    for step in range(round(-TF_HZ), round((seconds + 1.0) * TF_HZ)):
        stamp_ns = EPOCH_NS + round(step * NS_PER_S / TF_HZ)
        buffer.add([told('odom', 'base', stamp_ns, odom_from_base(step / TF_HZ))], static=False)
    return MovingCameras(buffer, 'odom', TransformConfig()), mounts


def measured(scenario: Scenario) -> tuple[dict[str, Metrics], list[float]]:
    """Return the metrics by case, and the times of the look-ups of one set, ms."""
    standing, driving = build(scenario), build(scenario, base_from_odom)
    took_ms: list[float] = []
    cases = {'standing': measure(run(standing))}
    for case in ('driving', 'driving, all at the set\'s instant'):
        cameras, mounts = robot(driving.rig, scenario.duration_s)

        def at_their_own(
            stamps_ns: Mapping[str, int], cameras: MovingCameras = cameras, mounts: Mapping[str, Mount] = mounts
        ) -> Mapping[str, FloatArray]:
            began = perf_counter()
            where = cameras.poses_at(mounts, stamps_ns)
            took_ms.append(1e3 * (perf_counter() - began))
            return where.cam_from_tracking

        def at_the_sets(stamps_ns: Mapping[str, int], look: CameraPoses = at_their_own) -> Mapping[str, FloatArray]:
            stamps = sorted(stamps_ns.values())
            return look(dict.fromkeys(stamps_ns, stamps[(len(stamps) - 1) // 2]))

        cases[case] = measure(run(driving, camera_poses=at_their_own if case == 'driving' else at_the_sets))
    return cases, took_ms


def main() -> int:
    """Run and write; return 1 if what the issue asks for is not reached."""
    use_one_thread()
    parser = parser_of(__doc__)
    parser.add_argument('--seeds', type=int, default=3)
    parser.add_argument('--seconds', type=float, default=10.0)
    parser.add_argument('--out', type=Path, default=RESULT)
    given = parser.parse_args()
    runs, took_ms = [], []
    for seed in range(given.seeds):
        cases, times = measured(Scenario(phase='random', duration_s=given.seconds, seed=seed))
        runs.append(cases)
        took_ms += times
    table = {
        case: {
            name: float(np.mean([getattr(cases[case], name) for cases in runs]))
            for name in ('mpjpe_m', 'ids', 'recall', 'ghosts', 'views', 'sets', 'clock_error_ms')
        }
        for case in runs[0]
    }
    columns = {
        'mpjpe_m': ('MPJPE mm', 1e3, 1), 'ids': ('ids per person', 1.0, 2), 'recall': ('recall', 1.0, 3),
        'ghosts': ('ghosts per set', 1.0, 3), 'views': ('views per joint', 1.0, 2),
        'clock_error_ms': ('clock error ms', 1.0, 1),
    }
    show('moving rig', {
        case: {heading: round(scale * row[key], digits) for key, (heading, scale, digits) in columns.items()}
        for case, row in table.items()
    })
    ratio = table['driving']['mpjpe_m'] / table['standing']['mpjpe_m']
    lookup_ms = float(np.median(took_ms))
    kept = table['driving']['ids'] <= table['standing']['ids']
    print(
        f'driving / standing {ratio:.3f} (at most {MOST_RATIO}), ids {"kept" if kept else "lost"}; transforms of a '
        f'set {lookup_ms:.3f} ms median, {np.percentile(took_ms, 95.0):.3f} p95 (at most {MOST_LOOKUP_MS})'
    )
    result = {
        'seeds': given.seeds, 'seconds': given.seconds, 'cases': table, 'ratio': ratio,
        'lookup_ms': {'p50': lookup_ms, 'p95': float(np.percentile(took_ms, 95.0))},
    }
    write_json(given.out, provenance('make bench-moving') | result)
    return int(not (ratio <= MOST_RATIO and kept and lookup_ms <= MOST_LOOKUP_MS))


if __name__ == '__main__':
    sys.exit(main())
