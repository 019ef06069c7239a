# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""BlazePose's person network: finds people in an image, as regions for its keypoint network.

A single-shot detector with anchors, as in mediapipe's graph pose_detection: Liu et al., "SSD: Single Shot MultiBox
Detector", 2016; overlapping detections are averaged, not dropped, as in Bazarevsky et al., "BlazeFace", 2019.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np

from ...arrays import Float32Array, FloatArray, UInt8Array
from ...inference.settings import EngineConfig
from ..models.catalogue import packaged
from ..networks import Batches, FoundPeople, PersonFinder
from ..regions import Crop, Regions, are_whole, regions_from_points

INPUT_PX = 224
_CROP = Crop(INPUT_PX, INPUT_PX, cv2.BORDER_CONSTANT, 2.0 / 255.0, -1.0, is_rgb=True, from_edge=True)
# Stride of each feature map, px of the input, and anchors per cell of it.
_LAYERS = ((8, 2), (16, 2), (32, 6))
_LEAST_SCORE, _LARGEST_OVERLAP = 0.5, 0.3


def anchor_centres() -> FloatArray:
    """Return (2254, 2) the anchors' centres, in units of the input; all have its size."""
    layers = []
    for stride, per_cell in _LAYERS:
        cells = INPUT_PX // stride
        centres = (np.arange(cells) + 0.5) / cells
        grid = np.stack(np.meshgrid(centres, centres), -1).reshape(-1, 2)
        layers.append(np.repeat(grid, per_cell, axis=0))
    return np.concatenate(layers)


def average_overlapping(detections: FloatArray, scores: FloatArray) -> FloatArray:
    """Return detections (n, 12), best first: each the mean of those that overlap it, weighted by their scores.

    Args:
        detections: (N, 12): left, top, right, bottom, then four points x y.
        scores: (N,).
    """
    order = np.argsort(-scores, kind='stable')
    kept = []
    while len(order):
        overlap = _overlap(detections[order[0], :4], detections[order, :4])
        near = overlap > _LARGEST_OVERLAP
        # A box without area overlaps nothing, itself neither.
        near[0] = True
        group = order[near]
        kept.append(np.average(detections[group], axis=0, weights=scores[group]))
        order = order[~near]
    return np.array(kept).reshape(-1, 12)


def _overlap(box: FloatArray, boxes: FloatArray) -> FloatArray:
    """Return (N,) intersection over union of ``box`` (4,) with ``boxes`` (N, 4)."""
    low, high = np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:], boxes[:, 2:])
    common = np.clip(high - low, 0.0, None).prod(1)
    union = (box[2:] - box[:2]).prod() + (boxes[:, 2:] - boxes[:, :2]).prod(1) - common
    return np.asarray(common / np.maximum(union, 1e-12))


class BlazePosePersons(PersonFinder):
    """The network with its pre- and post-processing; see PersonFinder."""

    def __init__(self, config: EngineConfig, model: Path | None = None) -> None:
        """Load the network that ships, or ``model``; raise BackendError if the engine cannot."""
        network = Batches(model or packaged('blazepose_person'), config)
        self._anchors = anchor_centres()
        count = len(self._anchors)
        network.require((INPUT_PX, INPUT_PX), {'boxes': (count, 12), 'scores': (count, 1)})
        super().__init__(network, _CROP)

    def _people(self, image: UInt8Array, squares: Regions, outputs: Mapping[str, Float32Array]) -> FoundPeople:
        """See PersonFinder."""
        boxes, logits = outputs['boxes'], outputs['scores'][..., 0]
        # 1 / (1 + exp(-x)) >= s, without computing it for all.
        square, anchor = np.nonzero(logits >= np.log(_LEAST_SCORE / (1.0 - _LEAST_SCORE)))
        if not len(square):
            return FoundPeople(Regions.none())
        scores = 1.0 / (1.0 + np.exp(-np.clip(logits[square, anchor].astype(float), -100.0, 100.0)))
        raw = boxes[square, anchor].astype(float) / INPUT_PX
        # Centre, and the four points; the second pair is the size.
        points = np.delete(raw.reshape(-1, 6, 2), 1, 1) + self._anchors[anchor, None]
        half = 0.5 * raw[:, None, 2:4]
        corners = np.concatenate([points[:, :1] - half, points[:, :1] + half, points[:, 1:]], 1)
        in_image = squares.select(square).to_image(corners)
        # From the hips to the circle, and as far down.
        ends = np.stack([in_image[:, 3], 2.0 * in_image[:, 2] - in_image[:, 3]], 1)
        whole = are_whole(squares.select(square), ends, image)
        in_image, scores = in_image[whole], scores[whole]
        # Of a turned square another corner is the upper left.
        in_image[:, :2] = np.sort(in_image[:, :2], 1)
        people = average_overlapping(in_image.reshape(-1, 12), scores).reshape(-1, 6, 2)
        return FoundPeople(regions_from_points(people[:, 2], people[:, 3]))
