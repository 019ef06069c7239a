# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""`geo_pose report`: one page that says whether a recording is good, and what to do.

Exit status: 0, also of a bad recording; with --strict 1 if it is bad, 3 if the cameras' rays do not meet; 2 if it
cannot be read.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ..errors import refuse_existing
from ..evaluation.settings import ReportConfig
from ..findings import as_lines
from ..view.report import write_report
from .flags import add_overwrite, add_rig_arguments, add_settings, existing, rig_from_arguments, settings_from
from .parser import Parser

EXAMPLES = (
    'geo_pose report bodies',
    'geo_pose report bodies walk --out walk.html --overwrite',
    'geo_pose report bodies --set left_out_sets=0',
)


def add_arguments(parser: Parser) -> None:
    """Add the flags."""
    parser.add_argument('bags', type=existing, nargs='+', metavar='BAG',
                        help='the recording; several of the same time (results, images) are put together')
    parser.add_argument('--out', type=Path, metavar='HTML', help='page to write [default: BAG.html]')
    add_overwrite(parser)
    parser.add_argument('--strict', action='store_true', help='end with status 1 if the recording is bad')
    add_rig_arguments(parser)
    add_settings(parser, ReportConfig)


def run(arguments: argparse.Namespace) -> int:
    """Write the page and print its verdict; return the exit status."""
    first: Path = arguments.bags[0]
    out = arguments.out or first.with_name(f'{first.name}.html')
    refuse_existing(out, overwrite=arguments.overwrite)
    config = settings_from(ReportConfig, arguments)
    verdict, _ = write_report(arguments.bags, out, config, rig_from_arguments(arguments))
    print(verdict.in_words, *as_lines(verdict.findings), f'{out}: {out.stat().st_size / 1e6:.1f} MB', sep='\n')
    return verdict.exit_status if arguments.strict else 0
