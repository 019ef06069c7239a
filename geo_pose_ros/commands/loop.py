# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""`geo_pose loop`: the demo, and round once more.

It records a running node, retrains its lifter on that recording, puts the new lifter into the node, and measures again.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from .parser import Parser

EXAMPLES = (
    'geo_pose loop',
    'geo_pose loop --rate 0.02 --held-out cam03',
)


def add_arguments(parser: Parser) -> None:
    """Add the flags."""
    parser.add_argument('--out', type=Path, default=Path('out/loop'), metavar='FOLDER', help='[default: out/loop]')
    parser.add_argument('--rate', type=float, default=0.05, metavar='X',
                        help='of playing; so slow that the node takes every frame [default: 0.05]')
    parser.add_argument('--held-out', default='cam04', metavar='CAMERA',
                        help='camera to check on, not to train on [default: cam04]')
    parser.add_argument('--frames', default='0-60', metavar='A-B', help='to train on [default: 0-60]')
    parser.add_argument('--held-out-frames', default='60-100', metavar='A-B', help='to check on [default: 60-100]')


def run(arguments: argparse.Namespace) -> int:
    """Run the loop and say how the node took its new lifter; return 1 if it lost somebody."""
    from ..demo.loop import Split, run_loop

    split = Split(arguments.held_out, arguments.frames, arguments.held_out_frames)
    exchange = run_loop(arguments.out, arguments.rate, split)
    print(
        f'\nThe node went from {exchange.before[:12]} to {exchange.after[:12]} between two sets '
        f'({exchange.sets_before} before, {exchange.sets_after} after): {len(exchange.kept)} bodies kept, '
        f'{len(exchange.lost)} lost.\n'
        f'Look at {arguments.out}/model_report_*/index.html'
    )
    return 0 if not exchange.lost else 1
