"""`geo_pose demo` and `geo_pose loop`: the whole way from real footage to bodies, over live ROS 2 topics.

`loop` goes round once more: it records a running node, retrains its lifter on that recording, puts the new lifter
into the node, and measures again.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from . import Subparsers


def register(subparsers: Subparsers) -> None:
    """Add `geo_pose demo` and `geo_pose loop`."""
    demo = subparsers.add_parser('demo', description=__doc__)
    demo.add_argument('--out', type=Path, default=Path('out/demo'))
    demo.add_argument('--scene', default='person', help='person, or people (two of them)')
    demo.add_argument('--loops', type=int, default=12, help='how often the footage is played')
    demo.add_argument('--view', action='store_true', help='show it live in 3D in the browser; needs viser')
    demo.set_defaults(run=run_demo_command)
    loop = subparsers.add_parser('loop', description=__doc__)
    loop.add_argument('--out', type=Path, default=Path('out/loop'))
    loop.add_argument('--rate', type=float, default=0.05, help='of playing; the node must take every frame')
    loop.add_argument('--held-out', default='cam04', help='camera that is not trained on')
    loop.add_argument('--frames', default='0-60', help='to train on')
    loop.add_argument('--held-out-frames', default='60-100', help='to check on')
    loop.set_defaults(run=run_loop_command)
    for parser in (demo, loop):
        parser.add_argument('--cache', type=Path, default=Path('.cache'), help='where downloads are kept')


def run_demo_command(arguments: argparse.Namespace) -> None:
    """Run the demo."""
    from ..demo.run import run_demo

    run_demo(arguments.out, arguments.cache, arguments.scene, arguments.loops, view=arguments.view)


def run_loop_command(arguments: argparse.Namespace) -> int:
    """Run the loop and say how the node took its new lifter; return 1 if it lost somebody."""
    from ..demo.loop import Split, run_loop

    split = Split(arguments.held_out, arguments.frames, arguments.held_out_frames)
    exchange = run_loop(arguments.out, arguments.cache, arguments.rate, split)
    print(
        f'\nThe node went from {exchange.before[:12]} to {exchange.after[:12]} between two sets '
        f'({exchange.sets_before} before, {exchange.sets_after} after): {len(exchange.kept)} bodies kept, '
        f'{len(exchange.lost)} lost.\n'
        f'Look at {arguments.out}/model_report_*/index.html'
    )
    return 0 if not exchange.lost else 1
