# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Finding people for a top-down model: by a YOLOX network, or not at all.

Ge et al., "YOLOX: Exceeding YOLO Series in 2021", 2021; rtmlib reads its output.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...arrays import FloatArray, UInt8Array
from ..networks import Batches, EngineNetwork, FoundPeople, ImageRegions
from ..regions import Regions
from .boxes import (
    LEAST_SCORE,
    NMS_OVERLAP,
    image_size,
    letterbox,
    regions_of_boxes,
    suppress_overlapping,
)
from .vendor import import_rtmlib


class YoloxPersons(EngineNetwork):
    """The network with its pre- and post-processing; see PersonNetwork."""

    def __init__(self, network: Batches, aspect: float) -> None:
        """Take over ``network``.

        Args:
            aspect: width by height of the regions that the keypoint network wants.

        Raises:
            DetectorError: if rtmlib is missing.
        """
        super().__init__(network)
        self._aspect = aspect
        # Only its post-processing: the engine is ours.
        self._size = image_size(network.engine, (640, 640))
        self._tool = object.__new__(import_rtmlib().YOLOX)
        self._tool.model_input_size = self._size
        self._tool.det_mode, self._tool.nms_thr, self._tool.score_thr = 'human', NMS_OVERLAP, LEAST_SCORE

    def find_people(self, images: Sequence[ImageRegions]) -> list[FoundPeople]:
        """Return the people; see PersonNetwork."""
        parts = [(index, *part) for index, (image, squares) in enumerate(images) for part in _parts(image, squares)]
        boxes: list[list[FloatArray]] = [[np.zeros((0, 4))] for _ in images]
        if parts:
            prepared = [letterbox(part, *self._size) for _, part, _ in parts]
            inputs = np.stack([canvas.transpose(2, 0, 1) for canvas, _ in prepared]).astype(np.float32)
            output = self._network.infer(inputs)[self._network.engine.outputs[0].name]
            for row, ((index, _, corner), (_, ratio)) in enumerate(zip(parts, prepared, strict=True)):
                found = np.asarray(self._tool.postprocess(output[row : row + 1].copy(), ratio), float).reshape(-1, 4)
                boxes[index].append(found + np.tile(corner, 2))
        return [self._people(np.concatenate(found)) for found in boxes]

    def _people(self, boxes: FloatArray) -> FoundPeople:
        # rtmlib keeps the order by score, not the score.
        kept = suppress_overlapping(boxes, np.linspace(1.0, LEAST_SCORE, len(boxes)), 0.0)
        return FoundPeople(regions_of_boxes(boxes[kept], self._aspect))


class FullImage:
    """Takes the full image for one person; see PersonNetwork."""

    # There is no network.
    on_gpu = False

    def __init__(self, aspect: float) -> None:
        """``aspect`` is as of YoloxPersons."""
        self._aspect = aspect

    def find_people(self, images: Sequence[ImageRegions]) -> list[FoundPeople]:
        """Return one region per image; see PersonNetwork."""
        return [
            FoundPeople(regions_of_boxes(np.array([[0.0, 0.0, *image.shape[1::-1]]]), self._aspect))
            for image, _ in images
        ]

    def close(self) -> None:
        """Nothing to free."""


def _parts(image: UInt8Array, squares: Regions) -> list[tuple[UInt8Array, FloatArray]]:
    """Return what of ``image`` lies in each square, with its top left corner px."""
    height, width = image.shape[:2]
    low = np.clip(np.rint(squares.centre - 0.5 * squares.size + 0.5), 0, (width, height)).astype(int)
    high = np.clip(np.rint(squares.centre + 0.5 * squares.size + 0.5), 0, (width, height)).astype(int)
    return [
        (image[top:bottom, left:right], np.array([left, top], float))
        for (left, top), (right, bottom) in zip(low.tolist(), high.tolist(), strict=True)
        if right > left and bottom > top
    ]
