# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""`geo_pose check`: say what this installation lacks, and how to get it.

It is the part of `geo_pose doctor` that needs nothing but the standard library.
"""

from __future__ import annotations

import argparse

from ...doctor.installation import check_installation
from ...findings import Severity, as_lines, worst
from ..parser import Parser

EXAMPLES = (
    'geo_pose check',
)


def add_arguments(_: Parser) -> None:
    """Add no flags."""


def run(_: argparse.Namespace) -> int:
    """Print what became of each need; return 1 if a part of the package cannot work."""
    found = list(check_installation())
    print('\n'.join(as_lines(found)))
    return int(worst(found) > Severity.OK)
