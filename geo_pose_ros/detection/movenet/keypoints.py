# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""MoveNet thunder: the 17 joints of the one person that a region shows.

They say low confidences of hidden joints, which suits images that show the upper half of a person. Google,
"MoveNet.SinglePose model card", 2021.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from ...arrays import Float32Array, FloatArray
from ...inference.settings import EngineConfig
from ...skeleton import COCO17, map_to_body17
from ..networks import Batches, KeypointReader, RegionKeypoints
from ..regions import Regions, regions_around
from ..rtmpose.boxes import image_size
from .decoding import HEADS, JOINTS, joints_of, sigmoid
from .persons import CROP

# Cells added to the distance that divides a joint's heat.
_NEAR = 1.8


class SingleposeKeypoints(KeypointReader):
    """The network with its pre- and post-processing; see KeypointReader."""

    skeleton = COCO17

    def __init__(self, config: EngineConfig, model: Path) -> None:
        """Load ``model``; raise BackendError if the engine cannot, or it is another kind of model."""
        network = Batches(model, config)
        height, width = image_size(network.engine, (CROP.height, CROP.width))
        network.require((height, width), {name: (n, height // 4, width // 4) for name, n in HEADS.items()})
        super().__init__(network, replace(CROP, width=width, height=height))
        self._to_body17 = map_to_body17(COCO17)

    def _decode(self, regions: Regions, outputs: Mapping[str, Float32Array]) -> RegionKeypoints:
        """See KeypointReader; a region's presence is the mean confidence of its surer joints, twice it at most 1."""
        unit, confidence = np.zeros((len(regions), JOINTS, 2)), np.zeros((len(regions), JOINTS))
        for row in range(len(regions)):
            heads = {name: value[row] for name, value in outputs.items()}
            centre, heat = sigmoid(heads['centre'][0]), sigmoid(heads['heat'])
            cell = np.unravel_index(np.argmax(centre * _near_the_middle(centre.shape)), centre.shape)
            found = joints_of(heads, heat, np.array([cell]), lambda squared: 1.0 / (np.sqrt(squared) + _NEAR))
            unit[row], confidence[row] = found[0][0], found[1][0]
        xy = regions.to_image(unit)
        presence = np.minimum(2.0 * np.sort(confidence, 1)[:, JOINTS // 2 :].mean(1), 1.0)
        body17_xy, _ = self._to_body17.apply(xy, np.ones_like(confidence))
        return RegionKeypoints(xy, confidence, presence, regions_around(body17_xy, np.zeros(body17_xy.shape[:2])))


def _near_the_middle(shape: tuple[int, ...]) -> FloatArray:
    """Return (h, w) weights: of two people the one in the middle of the region is read."""
    height, width = shape
    down, across = np.arange(height) - 0.5 * height, np.arange(width) - 0.5 * width
    return np.asarray(1.0 / (np.hypot(down[:, None], across) + _NEAR))
