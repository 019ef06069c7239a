# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""BlazePose's keypoint network: 33 landmarks of the one person that a region shows.

As in mediapipe's graph pose_landmark_by_roi, without segmentation and smoothing. Bazarevsky et al., "BlazePose:
On-device Real-time Body Pose Tracking", 2020.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np

from ...arrays import Float32Array, FloatArray
from ...inference.settings import EngineConfig
from ...skeleton import BLAZEPOSE33
from ..models.catalogue import packaged
from ..networks import Batches, KeypointReader, RegionKeypoints
from ..regions import Crop, Regions, regions_from_points

INPUT_PX = 256
INPUT_CROP = Crop(INPUT_PX, INPUT_PX, cv2.BORDER_REPLICATE, 1.0 / 255.0, 0.0, is_rgb=True, from_edge=True)
LANDMARKS = 39
# The region's next place: hip centre, and a point on the circle around the body.
_CENTRE, _ON_CIRCLE = 33, 34
# Cells around a landmark that its heat map is averaged over, each way.
REACH = 3
LEAST_HEAT = 0.5


def refine(xy: FloatArray, heat: Float32Array) -> FloatArray:
    """Return landmarks ``xy`` (R, N, 2), in units of the region, moved to the centre of the heat around them.

    Args:
        xy: where outside of the map or nowhere warm (under 0.5), a landmark stays.
        heat: (R, H, W, N) logits.
    """
    height, width = heat.shape[1:3]
    # Truncated, not rounded: as it was trained for.
    with np.errstate(invalid='ignore'):
        cell = np.where(np.isfinite(xy), xy, -1.0) * (width, height)
    # -0.5 truncates to 0, as mediapipe's cast does.
    cell = np.trunc(cell).astype(int)
    inside = ((cell >= 0) & (cell < (width, height))).all(-1)
    around = np.arange(-REACH, REACH + 1)
    columns = cell[..., 0, None] + around
    rows = cell[..., 1, None] + around
    valid = ((rows >= 0) & (rows < height))[..., :, None] & ((columns >= 0) & (columns < width))[..., None, :]
    region = np.arange(xy.shape[0])[:, None, None, None]
    landmark = np.arange(xy.shape[1])[None, :, None, None]
    values = heat[
        region, np.clip(rows, 0, height - 1)[..., :, None], np.clip(columns, 0, width - 1)[..., None, :], landmark
    ]
    warmth = np.where(valid, 1.0 / (1.0 + np.exp(-values.astype(float))), 0.0)
    total = warmth.sum((-1, -2))
    moved = np.stack([
        (warmth * columns[..., None, :]).sum((-1, -2)) / width, (warmth * rows[..., :, None]).sum((-1, -2)) / height,
    ], -1) / np.maximum(total, 1e-12)[..., None]
    warm = inside & (warmth.max((-1, -2)) >= LEAST_HEAT)
    return np.where(warm[..., None], moved, xy)


class BlazePoseKeypoints(KeypointReader):
    """The network with its pre- and post-processing; see KeypointReader."""

    skeleton = BLAZEPOSE33

    def __init__(self, config: EngineConfig, model: Path | None = None) -> None:
        """Load the network that ships, or ``model``; raise BackendError if the engine cannot."""
        network = Batches(model or packaged('blazepose_full'), config)
        network.require(
            (INPUT_PX, INPUT_PX), {'landmarks': (5 * LANDMARKS,), 'presence': (1,), 'heatmap': (64, 64, LANDMARKS)}
        )
        super().__init__(network, INPUT_CROP)

    def _decode(self, regions: Regions, outputs: Mapping[str, Float32Array]) -> RegionKeypoints:
        """See KeypointReader."""
        marks = outputs['landmarks'].reshape(-1, LANDMARKS, 5).astype(float)
        xy = regions.to_image(refine(marks[..., :2] / INPUT_PX, outputs['heatmap']))
        visibility = 1.0 / (1.0 + np.exp(-np.clip(marks[:, : len(BLAZEPOSE33), 3], -100.0, 100.0)))
        return RegionKeypoints(
            xy[:, : len(BLAZEPOSE33)], visibility, outputs['presence'][:, 0].astype(float),
            regions_from_points(xy[:, _CENTRE], xy[:, _ON_CIRCLE]),
        )
