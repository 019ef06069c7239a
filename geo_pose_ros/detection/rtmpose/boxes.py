# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Boxes around people: as regions of a fixed shape, for mmpose's top-down models, and each person's only once."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ...arrays import FloatArray, IntArray, UInt8Array
from ...errors import ShapeError
from ...inference.base import InferenceBackend
from ..regions import Regions

# Of the detectors of whole images: boxes below this score are nobody, boxes that overlap by more are one person.
LEAST_SCORE, NMS_OVERLAP = 0.3, 0.45
# What mmpose adds around a person's box.
_MARGIN = 1.25
# Grey around an image that has not the shape of the input.
_GREY = 114


def regions_of_boxes(boxes: FloatArray, aspect: float) -> Regions:
    """Return upright regions with a margin around ``boxes`` (R, 4) left, top, right, bottom px.

    Args:
        aspect: width by height of the regions; the box is widened or heightened to it.
    """
    centre = 0.5 * (boxes[:, :2] + boxes[:, 2:4])
    width, height = np.moveaxis((boxes[:, 2:4] - boxes[:, :2]) * _MARGIN, -1, 0)
    size = np.stack([np.maximum(width, height * aspect), np.maximum(height, width / aspect)], -1)
    return Regions(centre, size, np.zeros(len(boxes)))


def box_of(xy: FloatArray, beyond: float) -> FloatArray:
    """Return boxes (P, 4) px around the known joints of ``xy`` (P, J, 2), NaN where there is none.

    Args:
        beyond: what the person has beyond its joints on each side, in units of the box' longer side.
    """
    low, high = np.fmin.reduce(xy, 1), np.fmax.reduce(xy, 1)
    more = beyond * (high - low).max(-1, keepdims=True, initial=0.0)
    return np.concatenate([low - more, high + more], -1)


def image_size(engine: InferenceBackend, default: tuple[int, int]) -> tuple[int, int]:
    """Return (height, width) px of the image that an engine takes; ``default`` where it is free.

    Raises:
        ShapeError: if its input is not (N, 3, H, W).
    """
    shape = engine.inputs[0].shape
    if len(shape) != 4 or shape[1] not in (3, None):
        raise ShapeError(f'The model takes {engine.inputs[0]}, expected images (any, 3, height, width).')
    return shape[2] or default[0], shape[3] or default[1]


def letterbox(image: UInt8Array, height: int, width: int) -> tuple[UInt8Array, float]:
    """Return ``image`` (H, W, 3) in the upper left of (height, width, 3), and the px of that per px of ``image``."""
    ratio = min(height / image.shape[0], width / image.shape[1])
    canvas = np.full((height, width, 3), _GREY, np.uint8)
    wide, high = (max(1, int(side * ratio)) for side in (image.shape[1], image.shape[0]))
    canvas[:high, :wide] = cv2.resize(image, (wide, high), interpolation=cv2.INTER_LINEAR)
    return canvas, ratio


def suppress_overlapping(
    boxes: NDArray[np.floating], scores: NDArray[np.floating], least_score: float
) -> IntArray:
    """Return which of ``boxes`` (N, 4) left, top, right, bottom are kept, best first, by ``scores`` (N,)."""
    corners = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], 1)
    return np.asarray(cv2.dnn.NMSBoxes(corners.tolist(), scores.tolist(), least_score, NMS_OVERLAP), int).ravel()
