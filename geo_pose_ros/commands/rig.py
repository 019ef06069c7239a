# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""`geo_pose rig convert`: write a calibration in another format."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..errors import refuse_existing
from ..findings import Finding, Severity, as_lines
from ..geometry.alignment import UP_AXES
from ..rigs.files import in_words, read_calibration_file, with_z_up, write_calibration
from ..rigs.plausibility import check_rig
from .flags import add_overwrite, add_unit_argument, existing
from .parser import Parser

EXAMPLES = (
    'geo_pose rig convert calibration.toml rig.yaml',
    'geo_pose rig convert --unit mm calibration.toml rig.yaml',
)


def add_arguments(parser: Parser) -> None:
    """Add the flags."""
    commands = parser.add_subparsers(required=True, metavar='COMMAND')
    convert = commands.add_parser('convert', help='write a calibration in another format', description=__doc__)
    convert.add_argument('source', type=existing, metavar='IN')
    convert.add_argument('target', type=Path, metavar='OUT', help='.yaml, .toml or .qca.txt')
    add_unit_argument(convert)
    convert.add_argument(
        '--up', choices=tuple(UP_AXES), help="axis of IN's world that points upwards; OUT's is turned so that z does",
    )
    add_overwrite(convert, 'OUT')


def run(arguments: argparse.Namespace) -> None:
    """Convert the file, and print its cameras and what is improbable of them."""
    refuse_existing(arguments.target, overwrite=arguments.overwrite)
    found = read_calibration_file(arguments.source, arguments.unit)
    rig = with_z_up(found.rig, arguments.up) if arguments.up else found.rig
    write_calibration(arguments.target, rig, overwrite=arguments.overwrite)
    print(f'{arguments.target}: {len(rig)} cameras: {in_words(rig)}; read as {found.kind}')
    improbable = [finding for finding in check_rig(rig) if finding.severity > Severity.OK]
    if found.up != 'z' and found.has_poses and not (arguments.up or improbable):
        improbable.append(Finding(
            Severity.OK, f'{found.kind} does not say which way is up; z is taken, which fits the images',
            'If it is another axis, convert again with --up.', kind='up',
        ))
    for line in as_lines((*found.findings, *improbable)):
        print(line)
