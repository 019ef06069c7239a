# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""MoveNet multipose: finds people in an image by their joints. It sees many people that BlazePose's network misses.

What it finds becomes regions of the keypoint network, which reads the people again, larger. Google, "MoveNet.MultiPose
model card", 2021.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import cv2
import numpy as np

from ...arrays import Float32Array, FloatArray, UInt8Array
from ...inference.settings import EngineConfig
from ...skeleton import BODY17, COCO17, map_to_body17
from ..matching import LEAST_JOINTS, distinct
from ..models.catalogue import find_model
from ..networks import Batches, FoundPeople, PersonFinder
from ..regions import Crop, Regions, are_whole
from .decoding import HEADS, joints_of, peaks, sigmoid

INPUT_PX = 256
_CELLS = INPUT_PX // 4
CROP = Crop(INPUT_PX, INPUT_PX, cv2.BORDER_CONSTANT, 2.0 / 255.0, -1.0, is_rgb=True, from_edge=True)
# A joint's heat falls with the squared distance from where the person's centre puts it, by this many cells squared.
_NEAR = 0.3 * _CELLS
_LEAST_CENTRE, _LEAST_JOINT, _LEAST_SCORE = 0.1, 0.13, 0.1
# Joints nearer than this, in units of the larger person's extent, are of one person seen in two squares.
_SAME = 0.15
# A joint that is seen, not guessed, has this confidence.
_SEEN = 0.2
# body17 joints (P, 17, 2) and their standard deviations (P, 17) -> regions.
ProposeRegions = Callable[[FloatArray, FloatArray], Regions]


class MultiposePersons(PersonFinder):
    """The network with its pre- and post-processing; see PersonFinder."""

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

    def _people(self, image: UInt8Array, squares: Regions, outputs: Mapping[str, Float32Array]) -> FoundPeople:
        """See PersonFinder."""
        found = [
            _in_square(squares.select(np.array([row])), {name: value[row] for name, value in outputs.items()})
            for row in range(len(squares))
        ]
        if not sum(len(scores) for _, _, scores in found):
            return FoundPeople(Regions.none(), np.zeros((0, len(BODY17), 2)))
        xy, confidence, scores = (np.concatenate(part) for part in zip(*found, strict=True))
        # Hidden joints too: it guesses them well enough for a region.
        body17_xy, body17_confidence = self._to_body17.apply(xy, confidence)
        square = np.repeat(np.arange(len(squares)), [len(part[2]) for part in found])
        order = np.argsort(-scores, kind='stable')
        # Of a person who is cut off it makes a smaller one.
        order = order[are_whole(squares.select(square[order]), body17_xy[order], image)]
        kept = distinct(body17_xy, order, _SAME)
        return FoundPeople(
            self._propose(body17_xy[kept], np.zeros((len(kept), body17_xy.shape[1]))),
            np.where((body17_confidence >= _SEEN)[..., None], body17_xy, np.nan)[kept],
        )


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
