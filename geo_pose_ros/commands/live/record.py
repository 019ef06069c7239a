# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""`geo_pose record`: record topics into a bag, without `ros2 bag`."""

from __future__ import annotations

import argparse
import sys

from ...ros.tools.record import record
from ..flags import add_bag_arguments
from ..parser import Parser

EXAMPLES = (
    'geo_pose record --out walk',
    "geo_pose record --out walk --regex '/cam.*|/tf_static'",
)


def add_arguments(parser: Parser) -> None:
    """Add the flags."""
    add_bag_arguments(parser)
    parser.add_argument('--topics', nargs='*', default=[], help='only these; without, all')
    parser.add_argument('--regex', default='', help='only topics whose whole name matches')


def run(arguments: argparse.Namespace) -> int:
    """Record; return 1 if writing failed, messages were lost or a topic was never published."""
    recorder = record(
        arguments.out, arguments.storage, topics=arguments.topics, pattern=arguments.regex,
        overwrite=arguments.overwrite,
    )
    print(f'recorded {sum(recorder.recorded.values())} messages of {len(recorder.recorded)} topics in '
          f"'{arguments.out}'", file=sys.stderr)
    if recorder.failure is not None:
        print(f'geo_pose: {recorder.failure}', file=sys.stderr)
    if recorder.lost:
        lost = ', '.join(f'{topic} {count}' for topic, count in sorted(recorder.lost.items()))
        print(f'geo_pose: messages came faster than the disk wrote; lost: {lost}', file=sys.stderr)
    missing = sorted(set(arguments.topics) - recorder.subscriptions.keys())
    if missing:
        print(f'geo_pose: never published: {", ".join(missing)}', file=sys.stderr)
    return int(recorder.failure is not None or bool(missing or recorder.lost))
