# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""`geo_pose calibrate`: calibrate the cameras from people walking before them.

With --live by cameras or topics; a page says where to walk next.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from pathlib import Path

from ..assistant.assist import Assistant, AssistConfig, assist, guessed_rig
from ..assistant.cameras import LiveCameras, is_topic, parse_sources
from ..bags.calibrate import FOCAL_GUESS, CalibrationBag, calibrate_bag
from ..calibration.report import summary_lines
from ..calibration.settings import CalibrateConfig
from ..calibration.task import CalibrateTask, ScaleSource
from ..detection.base import create_detector
from ..detection.models.profiles import choose_profile
from ..detection.settings import DetectorConfig
from ..errors import ConfigError, GeoPoseError, refuse_existing, refuse_other_folder
from ..rigs.files import in_words
from ..skeleton import SKELETONS
from ..view.settings import ViewConfig
from ..view.stage import serve
from .flags import (
    add_camera_arguments,
    add_overwrite,
    add_rig_arguments,
    add_settings,
    choice_from_arguments,
    existing,
    rig_from_arguments,
    settings_from,
)
from .parser import Parser

EXAMPLES = (
    'geo_pose calibrate walk --out rig.yaml --report report --stature 1.75',
    'geo_pose calibrate walk --out rig.yaml --from-scratch --focal-guess 0.8',
    'geo_pose calibrate --live left=0 right=1 --out rig.yaml --stature 1.75',
)


def add_arguments(parser: Parser) -> None:
    """Add the flags."""
    parser.add_argument(
        'bag', type=existing, nargs='*', metavar='BAG',
        help='keypoints or images; several: of one rig, untouched',
    )
    parser.add_argument(
        '--live', nargs='+', metavar='[NAME=]CAMERA',
        help='instead of bags: devices, topics, streams, videos',
    )
    parser.add_argument('--out', type=Path, required=True, metavar='RIG', help='file to write: .yaml, .toml, .qca.txt')
    parser.add_argument('--report', type=Path, metavar='DIR', help='folder of its own for a report')
    add_rig_arguments(parser, "calibration to begin with [default: the bag's own]")
    add_camera_arguments(parser)
    parser.add_argument('--from-scratch', action='store_true', help='no extrinsics are known')
    parser.add_argument(
        '--focal-guess', type=float, metavar='FACTOR',
        help='focal length, in longer sides of the image [0.8]',
    )
    parser.add_argument(
        '--intrinsics', choices=('fixed', 'focal', 'focal+distortion'), default=argparse.SUPPRESS,
        dest='setting:adjust.intrinsics', metavar='WHICH', help='fixed, focal, or focal+distortion [default: fixed]',
    )
    parser.add_argument('--sync', action='store_true', help='find clock offsets and drift too')
    parser.add_rare_argument(
        '--max-offset', type=float, default=5.0, metavar='S', help='largest clock offset [default: 5 s]'
    )
    parser.add_argument('--stature', type=float, metavar='M', help='height of the person seen longest, m')
    parser.add_argument(
        '--distance', nargs=3, metavar=('CAM', 'CAM', 'M'), help='distance of two cameras, m'
    )
    parser.add_rare_argument(
        '--keep-world', default='', metavar='CAMERA', help='from scratch: keep the world of --rig here'
    )
    parser.add_rare_argument('--skeleton', choices=tuple(SKELETONS), default='body17', metavar='NAME',
                        help=f'of recorded keypoints: {", ".join(SKELETONS)}')
    add_overwrite(parser, 'what is at --out and --report')
    add_settings(parser, CalibrateConfig, AssistConfig, ViewConfig)


def run(arguments: argparse.Namespace) -> None:
    """Calibrate and print what was found."""
    if bool(arguments.live) == bool(arguments.bag):
        received = 'both' if arguments.live else 'neither'
        raise ConfigError(f'geo_pose calibrate takes bags, or --live; received {received}.')
    if arguments.focal_guess is not None and not 0.1 <= arguments.focal_guess <= 10.0:
        raise ConfigError(f'--focal-guess: received {arguments.focal_guess}, expected 0.1 to 10 sides of the image.')
    if arguments.keep_world and not (arguments.from_scratch and arguments.rig):
        raise ConfigError(
            '--keep-world needs --from-scratch, and --rig with the extrinsics of that camera; a refined rig keeps its '
            'world anyway.'
        )
    if not 0.0 < arguments.max_offset <= 600.0:
        raise ConfigError(f'--max-offset: received {arguments.max_offset}, expected more than 0 and at most 600 s.')
    refuse_existing(arguments.out, overwrite=arguments.overwrite)
    if arguments.report is not None:
        refuse_other_folder(arguments.report, 'report.json', overwrite=arguments.overwrite)
    if arguments.live:
        _run_live(arguments)
        return
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


def _run_live(arguments: argparse.Namespace) -> None:
    """Calibrate while somebody walks."""
    detector, words = choose_profile(DetectorConfig(), len(arguments.live))
    print(words)
    view = settings_from(ViewConfig, arguments)
    given, settings = rig_from_arguments(arguments), settings_from(CalibrateConfig, arguments)
    with ExitStack() as stack:
        cameras = stack.enter_context(_live_cameras(arguments.live, stack))
        finder = stack.enter_context(closing(create_detector(detector)))
        first = cameras.read()
        if first is None:
            raise ConfigError(f'--live: {", ".join(arguments.live)} give no image.')
        guess, lenses = arguments.focal_guess or FOCAL_GUESS, cameras.intrinsics
        rig = given.subset(list(first)) if given is not None else guessed_rig(first, lenses, guess)
        if given is None and set(first) - set(lenses) and settings.adjust.intrinsics == 'fixed':
            settings = replace(settings, adjust=replace(settings.adjust, intrinsics='focal'))
        task = CalibrateTask(settings, given is None or arguments.from_scratch, scale=_scale(arguments))
        config = settings_from(AssistConfig, arguments)
        with (
            serve(view) as stage, closing(Assistant(rig, task, config, arguments.out)) as assistant,
            suppress(KeyboardInterrupt),
        ):
            assist(stage, cameras, finder, assistant, first)
    if assistant.found is not None and not assistant.ended:
        # Ctrl-C ends as the button does.
        assistant.save()
    print(assistant.said)
    if assistant.found is None:
        lines = ''.join(f' {finding.in_words}' for finding in assistant.coverage.findings())
        raise ConfigError(f'No rig is written.{lines}')
    print('\n'.join(summary_lines(assistant.found)))


def _live_cameras(words: Sequence[str], stack: ExitStack) -> LiveCameras:
    """Return the cameras of --live; their topics are read until ``stack`` is left."""
    sources = parse_sources(words)
    topics = {name: source for name, source in sources.items() if is_topic(source)}
    if not topics:
        return LiveCameras(sources)
    from ..ros.tools.topic_cameras import open_topics

    return LiveCameras({**sources, **stack.enter_context(open_topics(topics))})


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
