# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""`geo_pose monitor`: the state of a running pose_node as one live table, on a terminal."""

from __future__ import annotations

import argparse
import sys

from ...ros.tools.monitor import monitor
from ..parser import Parser

EXAMPLES = (
    'geo_pose monitor',
    'geo_pose monitor --once --wait 30',
)


def add_arguments(parser: Parser) -> None:
    """Add the flags."""
    parser.add_argument('--node', default='pose_node', help='its full name, as robot1/pose_node [default: pose_node]')
    parser.add_argument('--period', type=float, default=1.0, metavar='S', help='time between two tables [default: 1]')
    parser.add_argument('--once', action='store_true',
                        help='one table, then end: status 0 if all is well, 1 after a warning, 2 after an error')
    parser.add_argument('--wait', type=float, default=10.0, metavar='S', help='with --once: wait up to so long')


def run(arguments: argparse.Namespace) -> int:
    """Show the table until Ctrl-C, or once."""
    return monitor(
        arguments.node, sys.stdout, period_s=arguments.period, once_within_s=arguments.wait if arguments.once else None
    )
