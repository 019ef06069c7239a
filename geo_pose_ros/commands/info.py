"""`geo_pose info`: what is in a bag, and what can be done with it."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..bags.info import format_report, inspect_bag
from ..bags.read import BagReader
from .flags import add_camera_arguments, choice_from_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    parser.add_argument('bag', type=Path)
    add_camera_arguments(parser)


def run(arguments: argparse.Namespace) -> None:
    """Print what the bag holds."""
    with BagReader(arguments.bag) as reader:
        print(format_report(reader, inspect_bag(reader, choice_from_arguments(arguments))))
