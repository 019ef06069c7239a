"""The commands of training without the `geo_pose` program: `torchrun -m geo_pose_training.cli train ...`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from .commands import evaluate, export, fit_noise, retrain, store, train


def main(words: Sequence[str] | None = None) -> int:
    """Run a command; return its exit status."""
    parser = argparse.ArgumentParser(prog='python -m geo_pose_training.cli')
    subparsers = parser.add_subparsers(required=True)
    for command in (train, evaluate, export, retrain, fit_noise, store):
        command.register(subparsers)
    arguments = parser.parse_args(words)
    return int(arguments.run(arguments))


if __name__ == '__main__':
    sys.exit(main())
