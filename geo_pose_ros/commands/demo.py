# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""`geo_pose demo`: the whole way from real footage to bodies, over live ROS 2 topics."""

from __future__ import annotations

import argparse
from pathlib import Path

from .parser import Parser

EXAMPLES = (
    'geo_pose demo',
    'geo_pose demo --view',
    'geo_pose demo --scene people',
)


def add_arguments(parser: Parser) -> None:
    """Add the flags."""
    parser.add_argument('--out', type=Path, default=Path('out/demo'), metavar='FOLDER', help='[default: out/demo]')
    parser.add_argument('--scene', default='person', metavar='NAME', help='person, or people (two) [default: person]')
    parser.add_argument('--loops', type=int, default=12, metavar='N', help='play the footage N times [default: 12]')
    parser.add_argument('--view', action='store_true', help='show it live in 3D in the browser')


def run(arguments: argparse.Namespace) -> None:
    """Run the demo."""
    from ..demo.run import run_demo

    run_demo(arguments.out, arguments.scene, arguments.loops, view=arguments.view)
