"""`geo_pose info`: what is in a bag, and what can be done with it."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..bags.info import format_report, inspect_bag
from ..bags.read import BagReader
from . import Subparsers


def register(subparsers: Subparsers) -> None:
    """Add `geo_pose info`."""
    parser = subparsers.add_parser('info', description=__doc__)
    parser.add_argument('bag', type=Path)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Print what the bag holds."""
    with BagReader(arguments.bag) as reader:
        print(format_report(reader, inspect_bag(reader)))
