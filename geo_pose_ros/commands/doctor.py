"""`geo_pose doctor`: whether this machine, its ROS set-up and a rig are fit, and what to do where they are not."""

from __future__ import annotations

import argparse
from collections.abc import Iterable

from ..doctor.machine import check_machine
from ..doctor.rig import check_rig
from ..findings import Finding, Severity
from . import Subparsers
from .flags import add_rig_arguments, rig_from_arguments

_MARKS = ('ok   ', 'warn ', 'ERROR')


def register(subparsers: Subparsers) -> None:
    """Add `geo_pose doctor`."""
    parser = subparsers.add_parser(
        'doctor', description=f'{__doc__} Exit status: 0 all is well, 1 a warning, 2 an error.'
    )
    add_rig_arguments(parser, 'calibration to check')
    parser.add_argument('--live', action='store_true', help='check the topics that are published now')
    parser.add_argument('--listen', type=float, default=3.0, metavar='S', help='with --live: for so long [default: 3]')
    parser.add_argument('--quiet', action='store_true', help='only what is wrong')
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print all findings; return the worst severity."""
    everything = not arguments.quiet
    worst = _report('machine', check_machine(), everything=everything)
    rig = rig_from_arguments(arguments)
    if rig is not None:
        worst = max(worst, _report(f'rig {arguments.rig}', check_rig(rig), everything=everything))
    if arguments.live:
        from ..ros.tools.check_topics import check_topics

        worst = max(worst, _report('topics', check_topics(arguments.listen), everything=everything))
    return int(worst)


def _report(heading: str, found: Iterable[Finding], *, everything: bool) -> Severity:
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
