# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The commands of training without the `geo_pose` program: `torchrun -m geo_pose_training.cli train ...`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from geo_pose_ros.cli import parser_for


def main(words: Sequence[str] | None = None) -> int:
    """Run a command; return its exit status."""
    words = sys.argv[1:] if words is None else words
    arguments = parser_for(words).parse_args(words)
    return int(arguments.run(arguments) or 0)


if __name__ == '__main__':
    sys.exit(main())
