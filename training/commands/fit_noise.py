# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""`geo_pose fit-noise`: estimate a detector's noise from bags, for the option noise of motion data."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

import yaml

from geo_pose_ros.commands.flags import add_overwrite, existing
from geo_pose_ros.commands.parser import Parser
from geo_pose_ros.errors import refuse_existing

from ..labels.fit_noise import fit_noise

EXAMPLES = (
    'geo_pose fit-noise walk --out noise.yaml',
)


def add_arguments(parser: Parser) -> None:
    """Add the flags."""
    parser.add_argument(
        'bag', nargs='+', type=existing, metavar='BAG', help='bags of one person before three cameras or more'
    )
    parser.add_argument('--out', required=True, type=Path, metavar='FILE', help='file to write: .yaml')
    add_overwrite(parser)


def run(arguments: argparse.Namespace) -> int:
    """Write the noise of the detector that saw the bags; return 0."""
    refuse_existing(arguments.out, overwrite=arguments.overwrite)
    # Bags are read by another optional dependency (rosbags).
    from ..data.bag import load_people

    found = asdict(fit_noise([person for bag in arguments.bag for person in load_people(bag)]))
    arguments.out.write_text(yaml.safe_dump(found, sort_keys=False), encoding='utf-8')
    for name, value in found.items():
        print(f'{name:<14} {value:.4g}')
    return 0
