# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""`geo_pose models export`: write a run as ONNX with its model card, and as a TensorRT engine."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

from geo_pose_ros.commands.flags import add_overwrite, existing
from geo_pose_ros.commands.parser import Parser
from geo_pose_ros.errors import refuse_existing
from geo_pose_ros.inference.settings import EngineConfig

from ..data.recording import window_rate_hz
from ..data.sources import describe, load_all, parse_sources
from ..evaluation.calibration import calibrate_sigma
from ..evaluation.metrics import evaluate, format_report
from ..evaluation.predictor import Predictor, lifter_inputs
from ..export import Origin, export
from ..fit import load_run
from .options import DATA_HELP

_MOCAP_ACKNOWLEDGEMENT = (
    'The data used in this project was obtained from mocap.cs.cmu.edu. '
    'The database was created with funding from NSF EIA-0196217.'
)

EXAMPLES = (
    'geo_pose models export run --out model.onnx',
)


def add_arguments(parser: Parser) -> None:
    """Add the flags."""
    parser.add_argument('folder', metavar='RUN', type=existing, help='run folder')
    parser.add_argument('--out', required=True, type=Path, metavar='MODEL', help='file to write: .onnx')
    add_overwrite(parser)
    parser.add_argument(
        '--format', choices=('onnx', 'tensorrt'), default='onnx',
        help='tensorrt: also build the engine for this machine, beside the ONNX file',
    )
    parser.add_argument('--data', action='append', help=f'for metrics and sigma [default: the run\'s]; {DATA_HELP}')
    parser.add_argument('--licence', default='Apache-2.0', help='of the weights')
    parser.add_argument('--acknowledgement', help='who has to be named; default: CMU for motion data, else nobody')


def run(arguments: argparse.Namespace) -> int:
    """Export; return 0."""
    refuse_existing(arguments.out, overwrite=arguments.overwrite)
    recipe, lifter, data = load_run(arguments.folder)
    sources = parse_sources(arguments.data or data['sources'])
    recordings = load_all(sources, test=True)
    # Runs of older versions did not write it.
    input_range = data.pop('input_range', {})
    predictor = Predictor.of_lifter(lifter, up=recipe.data.up, input_range=input_range)
    metrics = {'data': [describe(source) for source in sources], **evaluate(predictor, recordings)}
    scale = calibrate_sigma(predictor, recordings)
    acknowledgement = arguments.acknowledgement
    if acknowledgement is None:
        # Also in the form of older runs, which is not parsed.
        uses_motion = any(source.lstrip('{').startswith('motion:') for source in data['sources'])
        acknowledgement = _MOCAP_ACKNOWLEDGEMENT if uses_motion else ''
    training = {**data, 'recipe_name': data['recipe'], 'recipe': asdict(recipe), 'sigma_scale': asdict(scale)}
    card = export(
        lifter, arguments.out, Origin(training, metrics, arguments.licence, acknowledgement, input_range),
        lifter_inputs(recordings, predictor.window), sigma_scale=scale,
        rate_hz=window_rate_hz(recordings, lifter.receptive_field),
    )
    print(format_report(metrics))
    size_mb = arguments.out.stat().st_size / 1e6
    print(f"'{arguments.out}' and its card: sha256 {card.sha256[:12]}, {size_mb:.1f} MB")
    if arguments.format == 'tensorrt':
        # Engines belong to one GPU: built here, from the ONNX file, and kept beside it.
        from geo_pose_ros.inference.tensorrt import build_engine

        print(f"engine: '{build_engine(arguments.out, EngineConfig(engine='tensorrt'))}'")
    return 0
