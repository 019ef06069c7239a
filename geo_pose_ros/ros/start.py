# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Where the processes of the nodes begin: Ctrl-C while they import ends them without a traceback."""

from __future__ import annotations

import signal
from importlib import import_module


def end_quietly() -> None:
    """Let SIGINT end this process at once, until somebody else handles it; nothing where somebody does already."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def pose_node() -> int:
    """Run a pose_node; return the exit status."""
    return _main('pose_node')


def detector_node() -> int:
    """Run a detector_node; return the exit status."""
    return _main('detector_node')


def _main(name: str) -> int:
    end_quietly()
    status: int = import_module(f'geo_pose_ros.ros.nodes.{name}').main()
    return status
