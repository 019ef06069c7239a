# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""`geo_pose reload`: give a running node another lifter or detector; people keep their ids."""

from __future__ import annotations

import argparse

from ...ros.tools.reload import reload_model
from ...ros.tools.standalone import standalone_node
from ..flags import existing
from ..parser import Parser

EXAMPLES = (
    'geo_pose reload model2.onnx',
    'geo_pose reload taught.onnx --node /detector_node',
)


def add_arguments(parser: Parser) -> None:
    """Add the flags."""
    parser.add_argument(
        'model', type=existing, metavar='MODEL', help='the model, as `geo_pose models export` or `retrain` writes it'
    )
    parser.add_argument('--node', default='/pose_node', help='name of the node [default /pose_node]')
    parser.add_argument('--timeout', type=float, default=20.0, metavar='S', help='to wait for its answer')


def run(arguments: argparse.Namespace) -> None:
    """Exchange the model and print its hash."""
    with standalone_node('geo_pose_reload') as node:
        sha256 = reload_model(node, arguments.node, arguments.model, arguments.timeout)
    print(f"'{arguments.node}' goes on with {sha256[:12]} from its next set on")
