# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""`geo_pose store`: recorded bags into a store to train from, several at a time; what is there is not made again."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

from geo_pose_ros.bags.fleet import find_bags, jobs_for, process_fleet
from geo_pose_ros.commands.flags import add_settings, existing, existing_or_pattern, settings_from
from geo_pose_ros.commands.parser import Parser
from geo_pose_ros.rigs.rig_file import load_rig

from ..data.store.from_bags import StoreJob
from ..data.store.shards import StoreSettings

EXAMPLES = (
    "geo_pose store 'bags/*' --out store",
)


def add_arguments(parser: Parser) -> None:
    """Add the flags."""
    parser.add_argument(
        'bag', type=existing_or_pattern, nargs='+', metavar='BAG', help="bags, or patterns as 'bags/*.mcap'"
    )
    parser.add_argument('--out', type=Path, required=True, metavar='STORE', help='folder of the store')
    parser.add_argument('--workers', type=int, default=0, metavar='N', help='processes [default: one per core]')
    parser.add_argument('--scheduler', default='', metavar='ADDRESS',
                        help='Dask scheduler (tcp://...) whose workers see the same paths')
    parser.add_argument(
        '--rig', type=existing, metavar='FILE', help='rig file of the cameras [default: what the bags say]'
    )
    parser.add_argument('--cameras', nargs='+', default=(), metavar='CAMERA', help='use only these')
    parser.add_argument('--skeleton', default='body17', metavar='NAME', help='of the keypoint topics [default body17]')
    add_settings(parser, StoreSettings)


def run(arguments: argparse.Namespace) -> int:
    """Store the bags; return 1 if one failed."""
    settings = settings_from(StoreSettings, arguments)
    rig = None if arguments.rig is None else load_rig(arguments.rig)

    make = partial(
        StoreJob, settings=settings, rig=rig, cameras=tuple(arguments.cameras), skeleton=arguments.skeleton
    )
    outcomes = process_fleet(
        jobs_for(find_bags(arguments.bag), arguments.out, make), arguments.out, workers=arguments.workers,
        scheduler=arguments.scheduler,
    )
    return int(any(outcome.error for outcome in outcomes))
