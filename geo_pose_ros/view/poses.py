# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Other poses of an instant, to compare with the recorded ones: triangulated alone, or from one camera."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..scene.settings import PipelineConfig
from ..types import Bodies3D, CameraRig
from .instant import Instant

if TYPE_CHECKING:
    from ..pipeline import PosePipeline

NONE, RAW = 'nothing', 'all cameras, unfiltered'


class OtherPoses:
    """Makes poses from the keypoints of an instant.

    ``kinds`` are the names that ``of`` takes: nothing; all cameras without lifter and filter; each camera alone,
    lifted.
    """

    def __init__(self, rig: CameraRig | None) -> None:
        """Load nothing yet."""
        self._rig = rig
        self._pipelines: dict[str, PosePipeline] = {}
        self.kinds: tuple[str, ...] = (NONE,) if rig is None else (NONE, RAW, *(f'{name} alone' for name in rig.names))

    def of(self, kind: str, instant: Instant) -> Bodies3D | None:
        """Return the poses of ``kind``; None where there are no keypoints for them."""
        if kind not in self.kinds or kind == NONE or self._rig is None:
            return None
        names = self._rig.names if kind == RAW else (kind.removesuffix(' alone'),)
        seen = {name: instant.keypoints[name] for name in names if name in instant.keypoints}
        if not seen:
            return None
        # Most people compare nothing: the page does not wait for the pipeline.
        from ..pipeline import PosePipeline

        pipeline = self._pipelines.get(kind)
        if pipeline is None:
            pipeline = self._pipelines[kind] = PosePipeline(self._rig.subset(list(names)), _settings(kind))
        return pipeline.fuse(instant.stamp_ns, seen).bodies

    def close(self) -> None:
        """Release the pipelines."""
        for pipeline in self._pipelines.values():
            pipeline.close()


def _settings(kind: str) -> PipelineConfig:
    """Return settings without memory, so that any instant can be asked for."""
    config = PipelineConfig()
    return replace(
        config,
        tracking=replace(config.tracking, enabled=False, confirm_sets=1, new_body_views=2 if kind == RAW else 1),
        lifter=replace(config.lifter, enabled=kind != RAW),
    )
