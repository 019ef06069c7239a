# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""`geo_pose models export MODEL.onnx --format tensorrt`: this machine's engine from an ONNX file, without torch."""

from __future__ import annotations

import argparse
from pathlib import Path

from ...errors import BackendError
from ...inference.settings import EngineConfig
from ...inference.tensorrt import build_engine
from ...settings import walk
from ..parser import Parser

EXAMPLES = (
    'geo_pose models export model.onnx --format tensorrt',
)


def add_arguments(parser: Parser) -> None:
    """Add the flags."""
    limits = {setting.name: setting for setting in walk(EngineConfig)}['max_batch']
    parser.add_argument('model', metavar='MODEL', type=Path, help='ONNX file; the engine is written beside it')
    parser.add_argument('--format', choices=('tensorrt',), required=True)
    parser.add_argument('--fp16', action='store_true', help='compute in half precision')
    parser.add_argument(
        '--max-batch', type=int, default=limits.default, help=f'{limits.description} [{limits.default}]'
    )


def run(arguments: argparse.Namespace) -> None:
    """Build the engine."""
    if not arguments.model.is_file():
        raise BackendError(f"Model '{arguments.model}' does not exist; give an existing ONNX file.")
    config = EngineConfig(engine='tensorrt', fp16=arguments.fp16, max_batch=arguments.max_batch)
    print(f"engine: '{build_engine(arguments.model, config)}'")
