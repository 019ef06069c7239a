"""`geo_pose check`: what this installation lacks, and how to get it; it runs where everything is missing."""

from __future__ import annotations

import argparse
import os
import sys

from ..doctor import installation
from . import Subparsers


def register(subparsers: Subparsers) -> None:
    """Add `geo_pose check`."""
    subparsers.add_parser('check', description=__doc__).set_defaults(run=run)


def run(_: argparse.Namespace) -> int:
    """Print what became of each need; return 1 if one is not met."""
    findings = [installation.look(need, os.environ) for need in installation.NEEDS]
    unfit = installation.python_problem(sys.version_info[:2])
    if unfit:
        print(f'MISSING  {unfit}')
    for finding in findings:
        print(finding)
    return 1 if unfit or any(finding.fatal for finding in findings) else 0
