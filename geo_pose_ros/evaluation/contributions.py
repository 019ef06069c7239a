# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""What judges one aspect of the sets of a recording or a running node, set by set: the parts of a verdict.

To add one: write a class with the two methods of ``Contribution``, in a module of its own, and name it in
``contributions_for``. Report, `process`, the node and all that listens to it say its findings then.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from ..findings import Finding, Severity
from ..rigs.plausibility import check_rig
from ..types import CameraRig
from .lifter_range import LifterRange
from .quality import ObservedSet
from .rig_check.ray_meeting import RayMeeting
from .rig_check.world_check import WorldCheck
from .settings import ReportConfig


class Contribution(Protocol):
    """Judges one aspect, from keypoints and bodies alone, so that it says the same live and of a bag."""

    def add(self, seen: ObservedSet) -> None:
        """Take one set into account; sets come in the order of their stamps, also those without bodies."""

    def findings(self) -> Iterable[Finding]:
        """Return what is wrong by the sets so far, each with its place and kind; nothing if all is well."""


def contributions_for(rig: CameraRig, config: ReportConfig) -> tuple[Contribution, ...]:
    """Return new contributions, without a set, for the cameras of ``rig``."""
    of_rig = check_rig(rig, config.up)
    world = WorldCheck(rig, config.up, of_rig)
    if any(finding.severity == Severity.ERROR for finding in of_rig):
        # Rays of cameras that cannot be tell nothing more.
        return (world,)
    # Of findings that are equally bad, those of the last come first: others may be their consequences.
    return world, RayMeeting(rig, config.min_confidence), LifterRange(rig, config)
