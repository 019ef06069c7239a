# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""`geo_pose export`: what was found, as files that other programs open.

csv and parquet: every joint with its covariance, and joint angles; trc: OpenSim, Pose2Sim; c3d: Visual3D, Mokka;
bvh, glb: Blender; mp4: the images with the skeletons; people: bone lengths, by which pipeline.tracking.people knows
them again. A trained lifter is exported by `geo_pose models export`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ...errors import ConfigError
from ...export.formats import FORMATS, MP4, parse_formats
from ...session.folder import export_session
from ..flags import add_overwrite, add_rig_arguments, existing, rig_from_arguments
from ..parser import Parser

EXAMPLES = (
    'geo_pose export session',
    'geo_pose export session --to csv,trc,c3d --out files',
    'geo_pose export bodies walk --to mp4',
)


def add_arguments(parser: Parser) -> None:
    """Add the flags."""
    parser.add_argument('session', type=Path, nargs='+', metavar='SESSION',
                        help='folder of geo_pose run, or bags: of results, for mp4 also of images')
    parser.add_argument('--to', default='csv,trc', metavar='FORMATS',
                        help=f'list of {", ".join((*FORMATS, MP4))} [default: %(default)s]')
    parser.add_argument('--out', type=Path, metavar='FOLDER', help='folder [default: export, in SESSION or beside it]')
    add_overwrite(parser, 'files in --out')
    add_rig_arguments(parser)


def run(arguments: argparse.Namespace) -> None:
    """Write the files and print their names."""
    first: Path = arguments.session[0]
    if first.suffix == '.onnx' or (first / 'recipe.yaml').is_file():
        raise ConfigError(
            f'geo_pose export writes what was found in a session; a lifter is exported by: '
            f'geo_pose models export {first}'
        )
    for path in arguments.session:
        existing(str(path))
    files = export_session(
        arguments.session, parse_formats(arguments.to), arguments.out, rig_from_arguments(arguments),
        overwrite=arguments.overwrite,
    )
    print(*files, sep='\n')
