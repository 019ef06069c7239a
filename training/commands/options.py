# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""What several commands of training take."""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from geo_pose_ros.commands.flags import add_settings
from geo_pose_ros.commands.parser import Parser

from ..data.recording import PersonRecording
from ..retraining.check import Check
from ..retraining.hold_out import HoldOut, hold_out
from ..settings import Recipe

DATA_HELP = (
    "KIND:PATH, KIND one of h36m, mpi, bag, store; or YAML, text or file, e.g. '{motion: NPZ_OR_BVH_FOLDER, rigs: "
    "JSON}' (repeatable; see docs/training.md)"
)


def add_recipe_arguments(parser: Parser, recipe: str) -> None:
    """Add --recipe, --set, --seed and --resume."""
    parser.add_argument('--recipe', default=recipe, metavar='NAME',
                        help=f'recipe to begin with, or YAML file [default: {recipe}]')
    add_settings(parser, Recipe)
    parser.add_argument('--seed', type=int, default=0, metavar='N', help='of all random numbers [default: 0]')
    parser.add_argument('--resume', action='store_true', help='continue an interrupted run')


def add_hold_out_arguments(parser: Parser, held_out: str) -> None:
    """Add --held-out, --frames and --held-out-frames."""
    parser.add_argument('--held-out', default='', metavar='CAMERA', help=held_out)
    parser.add_rare_argument('--frames', default='', help='to train on, e.g. 0-70 [default: all but the last 40 %]')
    parser.add_rare_argument('--held-out-frames', default='', help='to check on [default: the last 40 %]')


def held_out(whole: PersonRecording, arguments: argparse.Namespace, cameras: Sequence[str] = ()) -> HoldOut:
    """Return the recording with what the arguments hold out."""
    # Bags are read by another optional dependency (rosbags).
    from ..data.bag import parse_range

    train, test = (parse_range(text) if text else None for text in (arguments.frames, arguments.held_out_frames))
    return hold_out(whole, camera=arguments.held_out, cameras=tuple(cameras), train=train, test=test)


def print_check(when: str, found: Check) -> None:
    """Print what was measured on what is held out."""
    numbers = found.known()
    elsewhere = f", other people {numbers['elsewhere_mm']:.1f} mm" if 'elsewhere_mm' in numbers else ''
    print(
        f'{when:<7} {found.poses} poses: MPJPE {found.mpjpe_mm:.1f} mm, P-MPJPE {found.p_mpjpe_mm:.1f} mm, '
        f'reprojection {found.reprojection_px:.1f} px, {found.inside_percent:.0f} % within 2.8 sigma{elsewhere}'
    )


def write_numbers(path: Path | None, numbers: Mapping[str, object]) -> None:
    """Write numbers as JSON; None: nowhere."""
    if path is not None:
        path.write_text(json.dumps(numbers, indent=1), encoding='utf-8')


def provenance(arguments: argparse.Namespace) -> dict[str, object]:
    """Return what a run says of its origin: its seed, the command that started this process, and the commit."""
    return {
        'seed': arguments.seed, 'command': shlex.join(['geo_pose', *sys.argv[1:]]), 'commit': source_commit(),
    }


def source_commit() -> str:
    """Return the commit of the source tree this package runs from, or '' outside one (or without git)."""
    try:
        found = subprocess.run(
            ['git', 'rev-parse', 'HEAD'], cwd=Path(__file__).parent, capture_output=True, text=True, check=False
        )
    except OSError:
        return ''
    return found.stdout.strip()
