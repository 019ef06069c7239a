# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""`geo_pose info`: what is in a bag, and what can be done with it."""

from __future__ import annotations

import argparse

from ..bags.info import format_report, inspect_bag
from ..bags.read import BagReader
from .flags import add_camera_arguments, choice_from_arguments, existing
from .parser import Parser

EXAMPLES = (
    'geo_pose info walk',
    'geo_pose info walk --cameras front',
)


def add_arguments(parser: Parser) -> None:
    """Add the flags."""
    parser.add_argument('bag', type=existing, metavar='BAG', help='folder that holds metadata.yaml, or .mcap file')
    add_camera_arguments(parser)


def run(arguments: argparse.Namespace) -> None:
    """Print what the bag holds."""
    with BagReader(arguments.bag) as reader:
        print(format_report(reader, inspect_bag(reader, choice_from_arguments(arguments))))
