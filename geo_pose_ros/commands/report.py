"""`geo_pose report`: one page that says whether a recording is good, and what to do."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..evaluation.settings import ReportConfig
from ..findings import as_lines
from ..view.report import write_report
from .flags import add_rig_arguments, add_settings, rig_from_arguments, settings_from


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    parser.add_argument('bags', type=Path, nargs='+', metavar='BAG',
                        help='the recording; several of the same time (results, images) are put together')
    parser.add_argument('--out', type=Path, metavar='HTML', help='page to write [default: BAG.html]')
    add_rig_arguments(parser)
    add_settings(parser, ReportConfig)


def run(arguments: argparse.Namespace) -> None:
    """Write the page and print its findings."""
    first: Path = arguments.bags[0]
    out = arguments.out or first.with_name(f'{first.name}.html')
    config = settings_from(ReportConfig, arguments)
    found, size = write_report(arguments.bags, out, config, rig_from_arguments(arguments))
    print('\n'.join(as_lines(found)))
    print(f'{out}: {size / 1e6:.1f} MB')
