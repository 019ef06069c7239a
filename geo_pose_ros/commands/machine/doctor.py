# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""`geo_pose doctor`: check installation, machine, ROS set-up and a calibration, and say what to do.

Exit status: 0 all is well, 1 a warning, 2 an error.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable

from ...doctor.installation import check_installation
from ...doctor.machine import check_machine
from ...findings import Finding, Severity, as_lines, worst
from ...rigs.plausibility import check_rig
from ..flags import add_rig_arguments, rig_from_arguments
from ..parser import Parser

EXAMPLES = (
    'geo_pose doctor',
    'geo_pose doctor --rig rig.yaml',
    'geo_pose doctor --live',
)


def add_arguments(parser: Parser) -> None:
    """Add the flags."""
    add_rig_arguments(parser, 'calibration to check')
    parser.add_argument('--live', action='store_true', help='check the topics that are published now')
    parser.add_argument('--listen', type=float, default=3.0, metavar='S', help='with --live: for so long [default: 3]')
    parser.add_argument('--quiet', action='store_true', help='only what is wrong')


def run(arguments: argparse.Namespace) -> int:
    """Print all findings; return the worst severity."""
    parts: dict[str, Iterable[Finding]] = {'installation': check_installation(), 'machine': check_machine()}
    rig = rig_from_arguments(arguments)
    if rig is not None:
        parts[f'rig {arguments.rig}'] = check_rig(rig)
    if arguments.live:
        from ...ros.tools.check_topics import check_topics

        parts['topics'] = check_topics(arguments.listen)
    status = Severity.OK
    for heading, checks in parts.items():
        print(heading)
        found = list(checks)
        lines = list(as_lines(found, least=Severity.WARNING if arguments.quiet else Severity.OK))
        print('\n'.join(lines or ['  ok']))
        status = max(status, worst(found))
    return int(status)
