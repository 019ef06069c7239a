# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""`geo_pose evaluate`: measure a lifter on the test part of data."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from geo_pose_ros.commands.flags import add_overwrite, existing
from geo_pose_ros.commands.parser import Parser
from geo_pose_ros.errors import ConfigError, refuse_existing
from geo_pose_ros.inference.model_card import default_model

from ..data.recording import PersonRecording
from ..data.sources import load_all, parse_sources
from ..evaluation.calibration import mean_root_errors_mm, sigma_coverage
from ..evaluation.metrics import evaluate, format_report
from ..evaluation.predictor import Predictor
from ..retraining.check import check
from .options import DATA_HELP, add_hold_out_arguments, held_out, print_check, write_numbers

EXAMPLES = (
    'geo_pose evaluate model.onnx --data bag:walk',
    'geo_pose evaluate --data bag:walk --held-out cam3',
)


def add_arguments(parser: Parser) -> None:
    """Add the flags."""
    parser.add_argument(
        'model', type=existing, nargs='?', metavar='MODEL', default=default_model(),
        help='run folder or .onnx [default: the package\'s]'
    )
    parser.add_argument('--data', required=True, action='append', help=DATA_HELP)
    add_hold_out_arguments(
        parser, 'camera to measure by what the others triangulate, as retrain does, not all by the truth'
    )
    parser.add_argument('--every', type=int, default=1, metavar='N', help='measure on every N-th frame only')
    parser.add_argument('--json', type=Path, metavar='FILE', help='also write the numbers here')
    add_overwrite(parser, 'the file at --json')


def run(arguments: argparse.Namespace) -> int:
    """Print the metrics; return 0."""
    if arguments.json is not None:
        refuse_existing(arguments.json, overwrite=arguments.overwrite)
    predictor = Predictor.load(arguments.model)
    if arguments.every < 1:
        raise ConfigError(f'--every {arguments.every}: expected 1 or more.')
    loaded = load_all(parse_sources(arguments.data), test=True)
    if arguments.held_out:
        found = check(predictor, [held_out(recording, arguments) for recording in loaded])
        print_check(arguments.model.stem, found)
        write_numbers(arguments.json, found.known())
        return 0
    recordings = [recording.frames(slice(None, None, arguments.every)) for recording in loaded]
    report = {**evaluate(predictor, recordings), **_with_truth(predictor, recordings)}
    print(format_report(report))
    write_numbers(arguments.json, report)
    return 0


def _with_truth(predictor: Predictor, recordings: Sequence[PersonRecording]) -> dict[str, object]:
    """Return how true sigma is, and where the root is if floor and bones are known; nothing without truth."""
    if not any(recording.truth is not None for recording in recordings):
        return {}
    return {
        'inside_2_8_sigma_percent': {
            name: 100.0 * share for name, share in sigma_coverage(predictor, recordings).items()
        },
        'root_with_mm': mean_root_errors_mm(predictor, recordings),
    }
