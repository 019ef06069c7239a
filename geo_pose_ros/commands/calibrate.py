"""`geo_pose calibrate`: calibrate the cameras from people walking before them."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..bags.calibrate import CalibrationBag, calibrate_bag
from ..calibration.report import summary_lines
from ..calibration.settings import CalibrateConfig
from ..calibration.task import CalibrateTask, ScaleSource
from ..detection.models.profiles import choose_profile
from ..detection.settings import DetectorConfig
from ..errors import ConfigError, GeoPoseError
from ..rigs.files import in_words
from ..skeleton import SKELETONS
from .flags import (
    add_camera_arguments,
    add_rig_arguments,
    add_settings,
    choice_from_arguments,
    rig_from_arguments,
    settings_from,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    parser.add_argument(
        'bag', type=Path, nargs='+', help='with keypoints or images of every camera; several: of one rig, untouched in '
        'between, with the calibration of the first',
    )
    parser.add_argument('--out', type=Path, required=True, metavar='RIG', help='rig to write: .yaml, .toml or .qca.txt')
    parser.add_argument('--report', type=Path, metavar='DIR', help='folder for a report: index.html, report.json')
    add_rig_arguments(parser, 'calibration to begin with instead of camera_info and /tf_static')
    add_camera_arguments(parser)
    parser.add_argument('--from-scratch', action='store_true', help='no extrinsics are known')
    parser.add_argument(
        '--focal-guess', type=float, metavar='FACTOR',
        help='focal length of uncalibrated cameras to begin with, in longer sides of the image (phones 0.7 to 0.85)',
    )
    parser.add_argument(
        '--intrinsics', choices=('fixed', 'focal', 'focal+distortion'), default=argparse.SUPPRESS,
        dest='setting:adjust.intrinsics', help='intrinsics to estimate too [default: fixed]',
    )
    parser.add_argument('--sync', action='store_true', help='the cameras had no common clock: find offsets and drift')
    parser.add_argument(
        '--max-offset', type=float, default=5.0, metavar='S', help='largest offset to look for [default: %(default)g s]'
    )
    parser.add_argument('--stature', type=float, metavar='M', help='height of the person seen longest, for the scale')
    parser.add_argument(
        '--distance', nargs=3, metavar=('CAMERA', 'CAMERA', 'M'), help='distance of two cameras, for the scale'
    )
    parser.add_argument(
        '--keep-world', default='', metavar='CAMERA', help='from scratch: keep the world in which --rig has this camera'
    )
    parser.add_argument('--skeleton', choices=tuple(SKELETONS), default='body17', help='of recorded keypoints')
    parser.add_argument('--overwrite', action='store_true', help='replace the rig at --out')
    add_settings(parser, CalibrateConfig)


def run(arguments: argparse.Namespace) -> None:
    """Calibrate and print what was found."""
    if arguments.focal_guess is not None and not 0.1 <= arguments.focal_guess <= 10.0:
        raise ConfigError(f'--focal-guess: received {arguments.focal_guess}, expected 0.1 to 10 sides of the image.')
    if arguments.keep_world and not (arguments.from_scratch and arguments.rig):
        raise ConfigError(
            '--keep-world needs --from-scratch, and --rig with the extrinsics of that camera; a refined rig keeps its '
            'world anyway.'
        )
    if not 0.0 < arguments.max_offset <= 600.0:
        raise ConfigError(f'--max-offset: received {arguments.max_offset}, expected more than 0 and at most 600 s.')
    try:
        detector, words = choose_profile(DetectorConfig())
        bag = CalibrationBag(
            arguments.bag[0], choice_from_arguments(arguments), rig_from_arguments(arguments), arguments.focal_guess,
            arguments.skeleton, detector, arguments.bag[1:],
        )
        print(words)
        task = CalibrateTask(
            settings_from(CalibrateConfig, arguments), arguments.from_scratch, arguments.sync, arguments.max_offset,
            _scale(arguments), arguments.keep_world,
        )
        found = calibrate_bag(bag, arguments.out, task, report=arguments.report, overwrite=arguments.overwrite)
    except GeoPoseError:
        if arguments.report is not None and (arguments.report / 'index.html').exists():
            print(f'{arguments.report}/index.html says what was found.')
        raise
    print('\n'.join(summary_lines(found)))
    print(f'{arguments.out}: {len(found.rig)} cameras: {in_words(found.rig)}')


def _scale(arguments: argparse.Namespace) -> ScaleSource | None:
    """Return what the flags say about lengths; raise ConfigError for impossible ones."""
    if arguments.stature is not None and not 0.5 <= arguments.stature <= 2.5:
        raise ConfigError(f'--stature: received {arguments.stature}, expected 0.5 to 2.5 m.')
    if arguments.distance is None:
        return None if arguments.stature is None else ScaleSource(stature_m=arguments.stature)
    first, second, text = arguments.distance
    try:
        metres = float(text)
    except ValueError:
        metres = -1.0
    if not 0.0 < metres < 1e4 or first == second:
        raise ConfigError(f'--distance: received {" ".join(arguments.distance)}, expected two cameras and metres.')
    return ScaleSource(distance=(first, second, metres))
