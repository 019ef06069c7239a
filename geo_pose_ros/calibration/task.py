# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""What is asked of a calibration, and the error that says why it cannot be done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from ..errors import CalibrationError
from ..findings import Finding, Severity
from .settings import CalibrateConfig


class RefusalError(CalibrationError):
    """A calibration that ends without a rig; ``finding`` says why, and what to do."""

    def __init__(self, what: str, remedy: str) -> None:
        # Both, so that it can be pickled.
        super().__init__(what, remedy)
        self.finding = Finding(Severity.ERROR, what, remedy)

    def __str__(self) -> str:
        return self.finding.in_words


@dataclass(frozen=True, slots=True)
class ScaleSource:
    """Where lengths come from; the first that is given counts.

    Attributes:
        distance: two cameras and the distance of their centres, m.
        stature_m: standing height of the person seen longest.
    """

    distance: tuple[str, str, float] | None = None
    stature_m: float | None = None


@dataclass(frozen=True, slots=True)
class CalibrateTask:
    """What to find, and how.

    Attributes:
        config: see CalibrateConfig.
        from_scratch: use no extrinsics.
        sync: look for clock offsets up to ``max_offset_s`` first, and estimate drift.
        max_offset_s: only with ``sync``.
        scale: where lengths come from; None: from scratch bone-length statistics, else the given rig.
        keep_world: from scratch, the camera whose frame (of the given rig) fixes the world; '' for floor and gravity.
    """

    config: CalibrateConfig = field(default_factory=CalibrateConfig)
    from_scratch: bool = False
    sync: bool = False
    max_offset_s: float = 5.0
    scale: ScaleSource | None = None
    keep_world: str = ''

    @property
    def settings(self) -> CalibrateConfig:
        """``config``, with clocks and drift where they are asked for."""
        if not self.sync:
            return self.config
        return replace(self.config, adjust=replace(self.config.adjust, clocks=True, drift=True))

    def check(self, names: Sequence[str]) -> None:
        """Raise CalibrationError if the cameras ``names`` cannot do what is asked."""
        if self.keep_world and self.keep_world not in names:
            raise CalibrationError(
                f"There is no camera '{self.keep_world}' to keep the world of; there are: {', '.join(names)}."
            )
