"""`geo_pose export MODEL.onnx --format tensorrt`: this machine's engine from a finished ONNX file, without torch."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..errors import BackendError
from ..settings import walk
from .settings import EngineConfig
from .tensorrt import build_engine


def register(subparsers: Any) -> None:
    """Add `export` for ONNX files."""
    limits = {setting.name: setting for setting in walk(EngineConfig)}['max_batch']
    parser = subparsers.add_parser('export', help='build the TensorRT engine of an ONNX file for this machine')
    parser.add_argument('model', metavar='MODEL', type=Path, help='ONNX file; the engine is written beside it')
    parser.add_argument('--format', choices=('tensorrt',), required=True)
    parser.add_argument('--fp16', action='store_true', help='compute in half precision')
    parser.add_argument(
        '--max-batch', type=int, default=limits.default, help=f'{limits.description} [{limits.default}]'
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Build the engine; return 0."""
    if not args.model.is_file():
        raise BackendError(f"Model '{args.model}' does not exist; give an existing ONNX file.")
    config = EngineConfig(engine='tensorrt', fp16=args.fp16, max_batch=args.max_batch)
    print(f"engine: '{build_engine(args.model, config)}'")
    return 0
