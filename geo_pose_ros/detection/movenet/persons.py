# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""MoveNet multipose: finds people in an image by their joints. It sees many people that BlazePose's network misses.

What it finds becomes regions of the keypoint network, which reads the people again, larger. Google, "MoveNet.MultiPose
model card", 2021.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np

from ...arrays import Float32Array, FloatArray
from ...inference.settings import EngineConfig
from ...skeleton import COCO17, map_to_body17
from ..matching import LEAST_JOINTS, distinct
from ..models.catalogue import find_model
from ..networks import Batches, CropNetwork, ImageRegions
from ..regions import Crop, Regions
from .decoding import HEADS, joints_of, peaks, sigmoid

INPUT_PX = 256
_CELLS = INPUT_PX // 4
CROP = Crop(INPUT_PX, INPUT_PX, cv2.BORDER_CONSTANT, 2.0 / 255.0, -1.0, is_rgb=True, from_edge=True)
# A joint's heat falls with the squared distance from where the person's centre puts it, by this many cells squared.
_NEAR = 0.3 * _CELLS
_LEAST_CENTRE, _LEAST_JOINT, _LEAST_SCORE = 0.1, 0.13, 0.1
# Joints nearer than this, in units of the larger person's extent, are of one person seen in two squares.
_SAME = 0.15
# body17 joints (P, 17, 2) and their standard deviations (P, 17) -> regions.
ProposeRegions = Callable[[FloatArray, FloatArray], Regions]


class MultiposePersons(CropNetwork):
    """The network with its pre- and post-processing; see PersonNetwork."""

    def __init__(self, config: EngineConfig, propose: ProposeRegions, model: Path | None = None) -> None:
        """Load the network.

        Args:
            config: the engine.
            propose: makes the keypoint network's regions of the joints that are found.
            model: None for the one that ships.

        Raises:
            BackendError: if the engine cannot, or the file is another kind of model.
        """
        network = Batches(model or find_model('movenet_multipose'), config)
        network.require((INPUT_PX, INPUT_PX), {name: (n, _CELLS, _CELLS) for name, n in HEADS.items()})
        super().__init__(network, CROP)
        self._propose = propose
        self._to_body17 = map_to_body17(COCO17)

    def find_people(self, images: Sequence[ImageRegions]) -> list[tuple[Regions, FloatArray]]:
        """Return the regions of people and their scores; people that several squares of one image show are one."""
        return [
            self._people(squares, outputs) for (_, squares), outputs in zip(images, self._infer(images), strict=True)
        ]

    def _people(self, squares: Regions, outputs: dict[str, Float32Array]) -> tuple[Regions, FloatArray]:
        found = [
            _in_square(squares.select(np.array([row])), {name: value[row] for name, value in outputs.items()})
            for row in range(len(squares))
        ]
        if not sum(len(scores) for _, _, scores in found):
            return Regions.none(), np.zeros(0)
        xy, confidence, scores = (np.concatenate(part) for part in zip(*found, strict=True))
        # Hidden joints too: it guesses them well enough for a region.
        body17_xy, _ = self._to_body17.apply(xy, confidence)
        kept = distinct(body17_xy, np.argsort(-scores, kind='stable'), _SAME)
        return self._propose(body17_xy[kept], np.zeros((len(kept), body17_xy.shape[1]))), scores[kept]


def _in_square(
    square: Regions, heads: dict[str, Float32Array]
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the joints (n, 17, 2) px of the people in one square, their confidences (n, 17) and scores (n,)."""
    centre, heat = sigmoid(heads['centre'][0]), sigmoid(heads['heat'])
    cells = peaks(centre, _LEAST_CENTRE)
    unit, confidence = joints_of(heads, heat, cells, lambda squared: np.exp(-squared / _NEAR))
    seen = confidence > _LEAST_JOINT
    scores = centre[tuple(cells.T)] * np.where(seen, confidence, 0.0).sum(1) / np.maximum(seen.sum(1), 1)
    kept = (scores >= _LEAST_SCORE) & (seen.sum(1) >= LEAST_JOINTS)
    xy = square.to_image(unit[kept].reshape(1, -1, 2)).reshape(-1, *unit.shape[1:])
    return xy, confidence[kept], scores[kept]
