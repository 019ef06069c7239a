"""detector_node: a lifecycle node from pictures of some cameras to their 2D keypoints.

pose_node elsewhere takes them (transport keypoints, or keypoints_cameras) and says on a small topic per camera whom to
expect where. Without that, or while it is silent, this node finds people by itself.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from .detector_session import DetectorSession
from .pose_node import PoseNode
from .pose_node import main as run_node
from .settings import DetectorNodeConfig


class DetectorNode(PoseNode):
    """pose_node's life, with another content."""

    NAME = 'detector_node'
    CONFIG = DetectorNodeConfig

    def _make_session(self) -> DetectorSession:
        return DetectorSession(self, self._settings.read(), self._on_crash)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of ``detector_node``; a start-up fault is one line and a non-zero exit status."""
    return run_node(arguments, DetectorNode)


if __name__ == '__main__':
    sys.exit(main())
