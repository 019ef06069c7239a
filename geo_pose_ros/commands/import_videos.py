# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""`geo_pose import`: make a bag from videos and a calibration."""

from __future__ import annotations

import argparse

from ..bags.import_videos import import_videos
from ..errors import ConfigError
from ..rigs.files import read_calibration
from ..rigs.plausibility import check_rig, log_findings
from .flags import add_bag_arguments, add_unit_argument, existing
from .parser import Parser

EXAMPLES = (
    'geo_pose import --videos cam0.mp4 cam1.mp4 --calibration rig.toml --out walk',
    'geo_pose import --videos *.mp4 --calibration rig.toml --unit mm --out walk',
    'geo_pose import --videos *.mp4 --out walk --fps 25',
)


def add_arguments(parser: Parser) -> None:
    """Add the flags."""
    parser.add_argument('--videos', type=existing, nargs='+', required=True, metavar='VIDEO',
                        help='one per camera, named after it')
    parser.add_argument(
        '--calibration', type=existing, metavar='FILE',
        help='.yaml, .toml or .qca.txt; without it: geo_pose calibrate --from-scratch',
    )
    add_bag_arguments(parser)
    parser.add_argument('--fps', type=float, metavar='HZ', help='frames per second [default: the times in the videos]')
    add_unit_argument(parser)


def run(arguments: argparse.Namespace) -> None:
    """Import the videos and print the frames of each camera."""
    if arguments.fps is not None and not 0.0 < arguments.fps < 1e6:
        raise ConfigError(f'--fps: received {arguments.fps}, expected more than 0.')
    rig = read_calibration(arguments.calibration, arguments.unit) if arguments.calibration else None
    if rig is not None:
        # `geo_pose calibrate --from-scratch` can do without extrinsics.
        log_findings(check_rig(rig))
    done = import_videos(
        arguments.videos, rig, arguments.out, fps=arguments.fps, storage=arguments.storage,
        overwrite=arguments.overwrite,
    )
    print(f'{arguments.out}: {len(done)} cameras; frames: {", ".join(map(str, done))}')
