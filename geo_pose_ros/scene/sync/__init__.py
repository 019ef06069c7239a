# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Synchronisation: stamped payloads of several cameras in, sets of one instant out.

A set is what arrived. It grows while its cameras differ and its stamps span less than the fastest camera's period, so
that one trigger, free-running cameras and mixed rates all give sets of everybody. It is closed as soon as nobody else
can join it: every camera that is alive is in, has already sent something newer (a camera's frames come in order, so
its frame of this instant was lost), or has nothing due; and at the latest at a deadline. A lost frame thus costs
itself. Closed sets are handed out in order while the consumer keeps up; for one that does not, the newest wins. Every
frame that does not end up in a set that was taken is counted with its cause. Payloads are not read, so they may be
undecoded. The same class serves the node, `geo_pose process` (its arrival clock is then the bag's) and tests.
"""

from __future__ import annotations

from .sets import DROP_CAUSES, DropCause, FrameCounts, StampedSet
from .synchronizer import FrameSynchronizer

__all__ = ['DROP_CAUSES', 'DropCause', 'FrameCounts', 'FrameSynchronizer', 'StampedSet']
