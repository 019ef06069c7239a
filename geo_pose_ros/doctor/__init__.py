"""`geo_pose doctor`: whether this machine, its ROS set-up and a rig are fit, and what to do where they are not."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..findings import Finding, Severity
from ..rigs.files import add_unit_argument, read_calibration
from .machine import check_machine
from .rig import check_rig

_MARKS = ('ok   ', 'warn ', 'ERROR')


def report(heading: str, found: Iterable[Finding], *, everything: bool) -> Severity:
    """Print what was found, all of it or what is wrong, and return the worst."""
    worst = Severity.OK
    print(heading)
    for diagnosis in found:
        worst = max(worst, diagnosis.health)
        if everything or diagnosis.health:
            print(f'  {_MARKS[diagnosis.health]} {diagnosis.what}')
            if diagnosis.remedy:
                print(f'        {diagnosis.remedy}')
    if worst == Severity.OK and not everything:
        print('  ok')
    return worst


def register(subparsers: Any) -> None:
    """Add `geo_pose doctor`."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        'doctor', help='check machine, ROS set-up and rig, with remedies',
        description=f'{__doc__} Exit status: 0 all is well, 1 a warning, 2 an error.',
    )
    parser.add_argument('--rig', type=Path, help='calibration to check')
    add_unit_argument(parser)
    parser.add_argument('--live', action='store_true', help='check the topics that are published now')
    parser.add_argument('--listen', type=float, default=3.0, metavar='S', help='with --live: for so long [default: 3]')
    parser.add_argument('--quiet', action='store_true', help='only what is wrong')
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    everything = not arguments.quiet
    worst = report('machine', check_machine(), everything=everything)
    if arguments.rig:
        rig = read_calibration(arguments.rig, arguments.unit)
        worst = max(worst, report(f'rig {arguments.rig}', check_rig(rig), everything=everything))
    if arguments.live:
        from ..ros.tools.check_topics import check_topics

        worst = max(worst, report('topics', check_topics(arguments.listen), everything=everything))
    return int(worst)
