# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""`geo_pose play`: publish a bag in real time, without `ros2 bag`."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from pathlib import Path

from ...errors import refuse_existing
from ...ros.tools.play import Player
from ...ros.tools.standalone import standalone_node, stop_at_signals
from ..flags import add_overwrite, existing
from ..parser import Parser

_LOG = logging.getLogger(__name__)

EXAMPLES = (
    'geo_pose play walk',
    'geo_pose play walk --rate 0.5 --loop',
    'geo_pose play walk --topics /cam0/image_raw/compressed',
)


def add_arguments(parser: Parser) -> None:
    """Add the flags."""
    parser.add_argument('bag', type=existing, metavar='BAG', help='the recording')
    parser.add_argument('--rate', type=float, default=1.0, metavar='X', help='2 is twice as fast [default: 1]')
    parser.add_argument('--loop', type=int, nargs='?', const=0, default=1, metavar='N',
                        help='play N times; without N until Ctrl-C')
    parser.add_argument('--topics', nargs='*', default=[], help='only these')
    parser.add_argument('--namespace', default='', help="of its topics, as of a node's; /tf and the like stay")
    parser.add_argument('--restamp', action='store_true', help='header stamps become the time of playing')
    parser.add_argument('--clock', action='store_true',
                        help='publish the time of the bag on /clock, for nodes with use_sim_time')
    parser.add_argument('--wait', type=float, default=0.0, metavar='S',
                        help='wait up to so many seconds for subscribers')
    parser.add_argument('--report', type=Path, metavar='FILE', help='write what was played as JSON')
    add_overwrite(parser, 'the file at --report')


def run(arguments: argparse.Namespace) -> None:
    """Play the bag and print what was published."""
    if arguments.report:
        refuse_existing(arguments.report, overwrite=arguments.overwrite)
    # Ctrl-C is how a loop ends, and no error.
    stop = stop_at_signals()
    with standalone_node('geo_pose_play', sends_images=True) as node:
        player = Player(node, arguments.bag, arguments.topics, arguments.namespace)
        if arguments.wait > 0.0:
            alone = player.wait_for_subscribers(arguments.wait, stop)
            if alone:
                _LOG.warning('Nobody subscribed to %s.', ', '.join(alone))
        try:
            player.play(
                rate=arguments.rate, loops=arguments.loop, restamp=arguments.restamp, clock=arguments.clock, stop=stop,
            )
        finally:
            stop.set()
            print(player.report, file=sys.stderr)
            if arguments.report:
                arguments.report.write_text(json.dumps(vars(player.report), indent=2) + '\n')
