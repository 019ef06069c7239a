"""`geo_pose rig convert`: write a calibration in another format."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..findings import Severity, as_lines
from ..rigs.files import in_words, read_calibration_file, write_calibration
from ..rigs.plausibility import check_rig
from .flags import add_unit_argument


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    commands = parser.add_subparsers(required=True, metavar='COMMAND')
    convert = commands.add_parser('convert', help='write a calibration in another format', description=__doc__)
    convert.add_argument('source', type=Path, metavar='IN')
    convert.add_argument('target', type=Path, metavar='OUT', help='.yaml, .toml or .qca.txt')
    add_unit_argument(convert)
    convert.add_argument('--overwrite', action='store_true', help='replace OUT')


def run(arguments: argparse.Namespace) -> None:
    """Convert the file, and print its cameras and what is improbable of them."""
    found = read_calibration_file(arguments.source, arguments.unit)
    write_calibration(arguments.target, found.rig, overwrite=arguments.overwrite)
    print(f'{arguments.target}: {len(found.rig)} cameras: {in_words(found.rig)}; read as {found.kind}')
    improbable = (finding for finding in check_rig(found.rig) if finding.severity > Severity.OK)
    for line in as_lines((*found.findings, *improbable)):
        print(line)
