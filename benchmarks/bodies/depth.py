# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Where one camera puts a person, with and without a depth image: python benchmarks/bodies/depth.py [--out FILE].

Simulated people walk on the spot at 1 to 5 m from an eye-level camera (RealSense D435's colour: 640 x 480, 615 px),
keypoints with the detector's noise model. Depth images show capsules, round and untapered, of a thickness of each
person's own: not the body that ``fusion.depth`` takes. Each pixel has the noise of a D435: sigma = 0.00163 +
0.0007278 z + 0.003949 z^2 m (Ahn et al. 2019), here 0.004 z^2 m. The constants of ``fusion.depth`` were chosen with
people 1000 to 1035, and 0 to 11 were looked at; people from 100 on are reported. Prints the root's median and mean
error, mm, by distance, the people's worst mean, and the first set's error.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from benchmarks.harness import parser_of, provenance, use_one_thread, write_json
from geo_pose_ros.arrays import NS_PER_S, FloatArray
from geo_pose_ros.fusion.depth import sample_depths
from geo_pose_ros.fusion.settings import DepthConfig
from geo_pose_ros.geometry.projection import project_world
from geo_pose_ros.geometry.virtual_camera import look_at
from geo_pose_ros.pipeline import PosePipeline
from geo_pose_ros.scene.settings import PipelineConfig
from geo_pose_ros.simulation.detector import NoiseSettings, detect_person, detector_joints
from geo_pose_ros.simulation.sight import render_depth
from geo_pose_ros.simulation.walks import turn, walker
from geo_pose_ros.skeleton import BODY17
from geo_pose_ros.types import Camera, CameraRig, Intrinsics, Keypoints2D

DISTANCES_M = (1.0, 2.0, 3.0, 4.0, 5.0)
OUT = Path('docs/benchmarks/depth.json')
_RATE_HZ, _NOISE_PER_M = 30.0, 0.004
_UP = np.array((0.0, 0.0, 1.0))


def rgbd_camera(distance_m: float) -> Camera:
    """Return a camera so far from the origin, 1.2 m high, that looks at a person's middle."""
    K = np.array(((615.0, 0.0, 319.5), (0.0, 615.0, 239.5), (0.0, 0.0, 1.0)))
    pose = look_at(np.array((distance_m, 0.0, 1.2)), np.array((0.0, 0.0, 1.0)), _UP)
    return Camera('rgbd', 'rgbd_optical_frame', Intrinsics(K, np.zeros(5), 'plumb_bob', 640, 480), pose)


def root_errors_m(distance_m: float, seed: int, depth: bool, frames: int = 45) -> FloatArray:
    """Return (N,) m, how far the published root of a person is from the true one in each set, NaN without a body."""
    rng = np.random.default_rng((seed, round(distance_m * 10)))
    camera = rgbd_camera(distance_m)
    joints = turn(walker(rng, frames / _RATE_HZ).joints, np.full(frames, rng.uniform(0.0, 2.0 * np.pi)))
    joints *= rng.uniform(0.9, 1.1)
    truth, thick = detector_joints(joints), rng.uniform(0.75, 1.1)
    xy, confidence = detect_person(project_world(camera, truth), (640, 480), NoiseSettings(), rng)
    config = PipelineConfig(depth=DepthConfig(enabled=depth))
    errors = []
    with PosePipeline(CameraRig((camera,)), config) as pipeline:
        for f in range(frames):
            stamp_ns, measured = round(NS_PER_S * (1.0 + f / _RATE_HZ)), None
            if depth:
                image = render_depth(camera, joints[f:f + 1], distance_m + 1.5, rng, _NOISE_PER_M, thick)
                measured = sample_depths(image, xy[f:f + 1], (640, 480))
            seen = Keypoints2D('rgbd', stamp_ns, BODY17, xy[f:f + 1], confidence[f:f + 1], depth_m=measured)
            bodies = pipeline.fuse(stamp_ns, {'rgbd': seen}).bodies
            errors.append(float(np.linalg.norm(bodies.xyz[0, 0] - truth[f, 0])) if len(bodies.xyz) else np.nan)
    return np.array(errors)


def main(arguments: list[str]) -> None:
    """Print the table, and write it."""
    parser = parser_of(__doc__)
    parser.add_argument('--people', type=int, default=6, help='at each distance')
    parser.add_argument('--first', type=int, default=100, help='number of the first person')
    parser.add_argument('--out', type=Path, default=OUT)
    given = parser.parse_args(arguments)
    people = range(given.first, given.first + given.people)
    table: dict[str, dict[str, dict[str, float]]] = {}
    for distance_m in DISTANCES_M:
        for depth in (False, True):
            errors = 1e3 * np.array([root_errors_m(distance_m, seed, depth) for seed in people])
            row = {
                'median_mm': float(np.nanmedian(errors)), 'mean_mm': float(np.nanmean(errors)),
                'worst_person_mm': float(np.nanmean(errors, 1).max()), 'first_set_mm': float(np.nanmean(errors[:, 0])),
                'without_a_body': float(np.isnan(errors).mean()),
            }
            table.setdefault(f'{distance_m:g} m', {})['with depth' if depth else 'without'] = row
            words = ', '.join(f'{name} {value:.2f}' for name, value in row.items())
            print(f'{distance_m:g} m {"with depth" if depth else "without"}: {words}', flush=True)
    write_json(given.out, {**provenance(f'python benchmarks/bodies/depth.py --people {given.people}'), 'root': table})


if __name__ == '__main__':
    use_one_thread()
    main(sys.argv[1:])
