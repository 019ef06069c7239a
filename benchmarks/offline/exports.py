# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""What other programs make of our files of a session: BVH by forward kinematics, TRC by Pose2Sim and OpenSim.

    python -m benchmarks.offline.exports SESSION [--no-pose2sim]    ->  a table

Pose2Sim's kinematics (OpenSim's scaling and inverse kinematics, with the markers of HALPE_26) runs in an environment of
its own, which the first call installs from PyPI.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.harness import markdown_table, parser_of, peer_python, run_peer, use_one_thread
from geo_pose_ros.export.formats import write_formats
from geo_pose_ros.export.markers import people_of
from geo_pose_ros.session.folder import load
from geo_pose_ros.simulation.motion_files import read_bvh

PEERS = (
    ['--no-deps', 'pose2sim==0.10.49'],
    ['opensim', 'rtoml', 'anytree', 'pandas', 'c3d', 'tqdm', 'matplotlib', 'scipy', 'lxml', 'statsmodels', 'filterpy',
     'opencv-python-headless'],
)


def main() -> None:
    """Write, read, print."""
    parser = parser_of(__doc__)
    parser.add_argument('session', type=Path)
    parser.add_argument('--no-pose2sim', action='store_true')
    arguments = parser.parse_args()
    use_one_thread()
    bodies, rows = load(arguments.session), []
    with TemporaryDirectory() as folder:
        files = write_formats(bodies, Path(folder) / 'walk', ['trc', 'bvh'])
        for path, _, _, xyz in people_of(bodies.turned('y'), Path(folder) / 'walk', '.bvh'):
            names, positions, _ = read_bvh(path)
            found = positions[:, [names.index(name) for name in bodies.skeleton.joint_names]] / 100.0
            off_mm = 1e3 * np.linalg.norm(found - xyz, axis=-1)
            values = np.nanmean(off_mm), np.nanpercentile(off_mm, 95), np.nanmax(off_mm)
            text = 'joints by forward kinematics, mm: mean, 95 %, most'
            rows.append((path.name, text, *(f'{v:.1f}' for v in values)))
        for path in [] if arguments.no_pose2sim else [path for path in files if path.suffix == '.trc']:
            found = run_peer(peer_python('pose2sim_kinematics', PEERS), ['kinematics'], {'trc': path.read_text()})
            same = np.abs(found['xyz'] - people_xyz(path)).max()
            rows.append((path.name, 'as Pose2Sim reads it, m: largest difference', f'{same:.1e}', '', ''))
            rows.append((path.name, 'stature that Pose2Sim finds, m', f'{float(found["height_m"]):.2f}', '', ''))
            error = 1e3 * found['rms_m'], 1e3 * found['most_m']
            values = error[0].mean(), np.percentile(error[0], 95), error[1].max()
            text = "OpenSim's markers, mm: RMS in the mean, in 95 % of the frames, most"
            rows.append((path.name, text, *(f'{v:.0f}' for v in values)))
    print(*markdown_table(('file', 'what', '', '', ''), rows), sep='\n')


def people_xyz(path: Path) -> np.ndarray:
    """Return the numbers (F, 3 J) of a TRC file, NaN where a field is empty."""
    lines = path.read_text().split('\n')[5:]
    return np.array([[float(word or 'nan') for word in line.split('\t')[2:]] for line in lines if line])


if __name__ == '__main__':
    main()
