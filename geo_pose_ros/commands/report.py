"""`geo_pose report`: one page that says whether a recording is good, and what to do."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..evaluation.settings import ReportConfig
from ..findings import as_lines
from ..view.report import write_report
from . import Subparsers
from .flags import add_arguments, add_rig_arguments, from_arguments, rig_from_arguments


def register(subparsers: Subparsers) -> None:
    """Add `geo_pose report`."""
    parser = subparsers.add_parser('report', description=__doc__)
    parser.add_argument('bags', type=Path, nargs='+', metavar='BAG',
                        help='the recording; several of the same time (results, images) are put together')
    parser.add_argument('--out', type=Path, metavar='HTML', help='page to write [default: BAG.html]')
    add_rig_arguments(parser)
    add_arguments(parser, ReportConfig)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Write the page and print its findings."""
    first: Path = arguments.bags[0]
    out = arguments.out or first.with_name(f'{first.name}.html')
    config = from_arguments(ReportConfig, arguments)
    found, size = write_report(arguments.bags, out, config, rig_from_arguments(arguments))
    print('\n'.join(as_lines(found)))
    print(f'{out}: {size / 1e6:.1f} MB')
