"""Finding people for a top-down model: by a YOLOX network, or not at all.

Ge et al., "YOLOX: Exceeding YOLO Series in 2021", 2021; rtmlib reads its output.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from ...arrays import FloatArray, UInt8Array
from ...errors import DetectorError
from ..batches import Batches
from ..regions import Regions
from .boxes import image_size, regions_of_boxes

_LEAST_SCORE, _NMS_OVERLAP = 0.3, 0.45


class YoloxPersons:
    """The network with its pre- and post-processing; see PersonNetwork."""

    def __init__(self, network: Batches, aspect: float) -> None:
        """Take over ``network``.

        Args:
            aspect: width by height of the regions that the keypoint network wants.

        Raises:
            DetectorError: if rtmlib is missing.
        """
        try:
            from rtmlib import YOLOX
        except ImportError as error:
            raise DetectorError(
                f"Detector 'rtmpose': rtmlib cannot be imported ({error}). Install it: pip install --no-deps "
                "'rtmlib==0.0.16', or choose another detector."
            ) from error
        self._network, self._aspect = network, aspect
        # Only its pre- and post-processing: the engine is ours.
        self._tool: Any = object.__new__(YOLOX)
        self._tool.model_input_size = image_size(network.engine, (640, 640))
        self._tool.det_mode, self._tool.nms_thr, self._tool.score_thr = 'human', _NMS_OVERLAP, _LEAST_SCORE

    @property
    def on_gpu(self) -> bool:
        """Whether the engine runs on a GPU."""
        return self._network.on_gpu

    def find(self, pictures: Sequence[tuple[UInt8Array, Regions]]) -> list[tuple[Regions, FloatArray]]:
        """Return the regions of people, best first; see PersonNetwork."""
        parts = [(index, *part) for index, (image, squares) in enumerate(pictures) for part in _parts(image, squares)]
        if not parts:
            return [(Regions.none(), np.zeros(0)) for _ in pictures]
        prepared = [self._tool.preprocess(part) for _, part, _ in parts]
        images = np.stack([image.transpose(2, 0, 1) for image, _ in prepared]).astype(np.float32)
        output = self._network.infer(images)[self._network.engine.outputs[0].name]
        boxes: list[list[FloatArray]] = [[] for _ in pictures]
        for row, ((index, _, corner), (_, ratio)) in enumerate(zip(parts, prepared, strict=True)):
            found = np.asarray(self._tool.postprocess(output[row : row + 1].copy(), ratio), float).reshape(-1, 4)
            boxes[index].append(found + np.tile(corner, 2))
        return [self._people(np.concatenate(found)) if found else (Regions.none(), np.zeros(0)) for found in boxes]

    def _people(self, boxes: FloatArray) -> tuple[Regions, FloatArray]:
        corners = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], 1)
        # rtmlib keeps the order by score, not the score.
        scores = np.linspace(1.0, _LEAST_SCORE, len(boxes))
        kept = np.asarray(cv2.dnn.NMSBoxes(corners.tolist(), scores.tolist(), 0.0, _NMS_OVERLAP), int).ravel()
        return regions_of_boxes(boxes[kept], self._aspect), scores[kept]

    def close(self) -> None:
        """Free the network."""
        self._network.close()


class WholePicture:
    """Takes the whole picture for one person; see PersonNetwork."""

    def __init__(self, aspect: float) -> None:
        """``aspect`` is as of YoloxPersons."""
        self._aspect = aspect

    @property
    def on_gpu(self) -> bool:
        """There is no network."""
        return False

    def find(self, pictures: Sequence[tuple[UInt8Array, Regions]]) -> list[tuple[Regions, FloatArray]]:
        """Return one region per picture; see PersonNetwork."""
        return [
            (regions_of_boxes(np.array([[0.0, 0.0, image.shape[1], image.shape[0]]]), self._aspect), np.ones(1))
            for image, _ in pictures
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
