# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""People in one camera alone who look as nobody did in the lifter's training: too small, too large, too steep."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import numpy as np

from ..errors import GeoPoseError
from ..findings import Finding, Severity
from ..geometry.projection import project_rays
from ..inference.model_card import VIEW_PARTS, InputRange, default_model, load_card
from ..lifting.canonical import canonical_poses, up_in_cameras, within_range
from ..skeleton import BODY17
from ..types import CameraRig
from .quality import ObservedSet, measured
from .settings import ReportConfig

# Fewer such people say nothing.
_LEAST = 10


class LifterRange:
    """A ``Contribution``: whether bodies that rest on one view lie in the range that the lifter's card states.

    Where several cameras see somebody, they tell how far away that is, and the lifter decides little.
    """

    def __init__(self, rig: CameraRig, config: ReportConfig) -> None:
        """Begin without a set; the card is that of ``config.lifter``."""
        self._rig, self._config = rig, config
        self._range = _range_of(config.lifter) if config.up != 'none' else {}
        self._people, self._outside, self._smaller = 0, np.zeros(len(VIEW_PARTS), np.int64), 1.0

    def add(self, seen: ObservedSet) -> None:
        """Take one set into account."""
        bodies = measured(seen.bodies)
        alone = bodies.xyz[bodies.num_views.max(1, initial=0) == 1, : len(BODY17)]
        cameras = [self._rig[name].cam_from_world for name in self._rig.names if name in seen.keypoints]
        if not (self._range and len(alone) and cameras):
            return
        cam_from_world = np.stack(cameras)
        rays = project_rays(cam_from_world, alone)
        known = np.isfinite(rays).all(-1).astype(float)
        view = canonical_poses(rays, known, up_in_cameras(cam_from_world, self._config.up)).view
        beyond = view - within_range(view, self._range)[0]
        # Each body is judged in the camera that suits it best.
        best = np.abs(beyond).sum(-1).argmin(1)
        beyond = beyond[np.arange(len(alone)), best]
        self._people += len(alone)
        self._outside += (beyond != 0.0).sum(0)
        self._smaller = max(self._smaller, float(np.exp(-beyond[:, 1].min())))

    def findings(self) -> Iterator[Finding]:
        """Yield what is outside, if so many people are."""
        if self._people < _LEAST:
            return
        for part, count in zip(VIEW_PARTS, self._outside, strict=True):
            share = count / self._people
            if share <= self._config.range_ratio:
                continue
            how = 'are seen more steeply, from above or below,'
            if part == 'log_size':
                how = f'appear up to {self._smaller:.1f} times smaller' if self._smaller > 1.0 else 'appear larger'
            yield Finding(
                Severity.WARNING,
                f'{share:.0%} of the people in one camera alone {how} than anybody the lifter was trained on; '
                'their pose and distance are extrapolated, and their covariance is enlarged',
                'Add a camera nearer to them, or retrain the lifter on such views.', 'lifter', part,
            )


@lru_cache(maxsize=8)
def _range_of(model: str) -> InputRange:
    """Return what the card of a lifter states; nothing where it cannot be read, which is for others to say."""
    with suppress(GeoPoseError):
        return load_card(Path(model) if model else default_model()).input_range
    return {}
