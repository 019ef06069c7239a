"""The commands of training without the `geo_pose` program: `torchrun -m geo_pose_training.cli train ...`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from geo_pose_ros.cli import COMMANDS, add_command
from geo_pose_ros.commands.parser import Parser


def main(words: Sequence[str] | None = None) -> int:
    """Run a command; return its exit status."""
    parser = Parser(prog='python -m geo_pose_training.cli')
    subparsers = parser.add_subparsers(required=True)
    for name, (module, _) in COMMANDS.items():
        if module.startswith('geo_pose_training.'):
            add_command(subparsers, name, module)
    arguments = parser.parse_args(words)
    return int(arguments.run(arguments))


if __name__ == '__main__':
    sys.exit(main())
