"""Upright boxes around people, as regions of a fixed shape; how mmpose's top-down models are fed."""

from __future__ import annotations

import numpy as np

from ...arrays import FloatArray
from ...errors import ShapeError
from ...inference.base import InferenceBackend
from ..regions import Regions

# What mmpose adds around a person's box.
_MARGIN = 1.25


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
        raise ShapeError(f'The model takes {engine.inputs[0]}, expected pictures (any, 3, height, width).')
    return shape[2] or default[0], shape[3] or default[1]
