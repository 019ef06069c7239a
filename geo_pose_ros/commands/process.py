# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""`geo_pose process`: run the pipeline over every frame of a bag, without ROS.

Exit status: 0 the result is good, also with warnings; 1 it is bad; 2 the bag cannot be processed, or one of several;
3 the cameras see people, but their rays do not meet. The result is written with 0, 1 and 3.
"""

from __future__ import annotations

import argparse
import glob
from dataclasses import replace
from functools import partial
from pathlib import Path

from ..bags.fleet import Job, find_bags, jobs_for, process_fleet
from ..bags.process import ProcessConfig, process_bag
from ..detection.models.profiles import choose_profile
from ..findings import Severity, as_lines
from .flags import (
    add_bag_arguments,
    add_camera_arguments,
    add_rig_arguments,
    add_settings,
    existing_or_pattern,
    rig_from_arguments,
    settings_from,
)
from .parser import Parser

EXAMPLES = (
    'geo_pose process walk --out bodies',
    "geo_pose process 'bags/*' --out results",
    'geo_pose process walk --out bodies --set pipeline.lifter.enabled=false',
)


def add_arguments(parser: Parser) -> None:
    """Add the flags."""
    parser.add_argument('bag', type=existing_or_pattern, nargs='+', metavar='BAG',
                        help="a bag; several, or a pattern as 'bags/*': --out is a folder")
    add_bag_arguments(parser, 'bag to write, or folder for several')
    parser.add_argument(
        '--workers', type=int, default=0, metavar='N', help='processes for several [default: all cores]'
    )
    parser.add_argument(
        '--scheduler', default='', metavar='ADDRESS', help='Dask scheduler (tcp://...) for several bags'
    )
    add_rig_arguments(parser)
    add_camera_arguments(parser)
    add_settings(parser, ProcessConfig, flags=('world_frame',))


def run(arguments: argparse.Namespace) -> int:
    """Process one bag or several; return the exit status."""
    config = settings_from(ProcessConfig, arguments)
    detector, words = choose_profile(config.pipeline.detector)
    config = replace(config, pipeline=replace(config.pipeline, detector=detector))
    config = replace(
        config, cameras=tuple(arguments.cameras) or config.cameras,
        image_topics=tuple(arguments.image_topics) or config.image_topics,
        camera_info_topics=tuple(arguments.camera_info_topics) or config.camera_info_topics,
        rectified=config.rectified if arguments.rectified == 'auto' else arguments.rectified,
    )
    print(words)
    rig = rig_from_arguments(arguments)
    if len(arguments.bag) > 1 or glob.has_magic(arguments.bag[0]) or arguments.scheduler:
        make = partial(Job, config=config, rig=rig, storage=arguments.storage)
        outcomes = process_fleet(
            jobs_for(find_bags(arguments.bag), arguments.out, make), arguments.out,
            workers=arguments.workers, scheduler=arguments.scheduler,
        )
        return 2 if any(outcome.error for outcome in outcomes) else 0
    summary = process_bag(
        Path(arguments.bag[0]), arguments.out, config=config, rig=rig, storage=arguments.storage,
        overwrite=arguments.overwrite,
    )
    print(f'{arguments.out}: {summary}')
    found = summary.verdict.findings
    print('\n'.join(as_lines(found, least=Severity.WARNING)) or '\n'.join(as_lines(found)))
    return summary.verdict.exit_status
