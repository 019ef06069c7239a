"""How well a rig explains what people looked like at instants that did not enter it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..arrays import FloatArray
from ..geometry.projection import project_world
from ..types import CameraRig
from .people.views import PoseViews, at_clocks, triangulate_views


@dataclass(frozen=True, slots=True, eq=False)
class Judgement:
    """Distances in px of the keypoints that P people's views left, by camera.

    Attributes:
        left_out_px: (n,) to the joints that all other cameras give; empty with two cameras.
        reprojection_px: (n,) to the joints that all cameras give.
        where: (n, 2) px, the keypoints of ``reprojection_px``; ``offset_px`` (n, 2) from them to the joints.
    """

    left_out_px: Mapping[str, FloatArray]
    reprojection_px: Mapping[str, FloatArray]
    where: Mapping[str, FloatArray]
    offset_px: Mapping[str, FloatArray]

    @property
    def score_px(self) -> float:
        """The median over all keypoints of the left-out distance, or with two cameras of the reprojection."""
        chosen = self.left_out_px if any(len(v) for v in self.left_out_px.values()) else self.reprojection_px
        values = np.concatenate([np.zeros(0), *chosen.values()])
        return float(np.median(values)) if len(values) else float('nan')

    def medians(self) -> dict[str, dict[str, float]]:
        """Return camera -> median left-out and reprojection distance, px; NaN where there is none."""
        return {
            name: {
                'left_out_px': _median(self.left_out_px.get(name, np.zeros(0))),
                'reprojection_px': _median(self.reprojection_px[name]),
            }
            for name in self.reprojection_px
        }


def _median(values: FloatArray) -> float:
    return float(np.median(values)) if len(values) else float('nan')


def judge(rig: CameraRig, views: PoseViews) -> Judgement:
    """Return how far the keypoints of ``views`` (sampled without the clocks of ``rig``) lie from the joints."""
    seen = at_clocks(rig, views)
    used = views.weight > 0.0
    left_out, reprojection, where, offset = {}, {}, {}, {}
    everything = triangulate_views(rig, views)
    for c, camera in enumerate(rig.cameras):
        difference = project_world(camera, everything) - seen[c]
        known = used[c] & np.isfinite(difference).all(-1)
        reprojection[camera.name] = np.linalg.norm(difference[known], axis=-1)
        where[camera.name], offset[camera.name] = seen[c][known], difference[known]
        if len(rig) < 3:
            continue
        difference = project_world(camera, triangulate_views(rig, views.without(c))) - seen[c]
        known = used[c] & np.isfinite(difference).all(-1)
        left_out[camera.name] = np.linalg.norm(difference[known], axis=-1)
    return Judgement(left_out, reprojection, where, offset)
