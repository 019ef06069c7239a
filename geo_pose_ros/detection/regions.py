"""Regions of a picture that a network looks at: rotated rectangles, and the crops of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ..arrays import FloatArray, UInt8Array
from ..types import read_only


@dataclass(frozen=True, slots=True, eq=False)
class Regions:
    """R rotated rectangles.

    Attributes:
        centre: (R, 2) px.
        size: (R, 2) width and height before rotation, px.
        angle: (R,) rad by which the rectangle is turned, x towards y.
    """

    centre: FloatArray
    size: FloatArray
    angle: FloatArray

    def __post_init__(self) -> None:
        object.__setattr__(self, 'centre', read_only(self.centre, np.float64, (None, 2), 'Regions.centre'))
        count = len(self.centre)
        object.__setattr__(self, 'size', read_only(self.size, np.float64, (count, 2), 'Regions.size'))
        object.__setattr__(self, 'angle', read_only(self.angle, np.float64, (count,), 'Regions.angle'))

    def __len__(self) -> int:
        return len(self.centre)

    @classmethod
    def none(cls) -> Regions:
        """Return no region."""
        return cls(np.zeros((0, 2)), np.zeros((0, 2)), np.zeros(0))

    @classmethod
    def concatenate(cls, parts: Sequence[Regions]) -> Regions:
        """Return the regions of all ``parts``, in order."""
        if not parts:
            return cls.none()
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in ('centre', 'size', 'angle')))

    def select(self, index: NDArray[np.generic]) -> Regions:
        """Return the regions of a mask (R,) or of indices."""
        return Regions(self.centre[index], self.size[index], self.angle[index])

    def to_picture(self, unit: FloatArray) -> FloatArray:
        """Return points (R, N, 2) of the regions, (0, 0) top left to (1, 1) bottom right, as px of the picture."""
        offset = (unit - 0.5) * self.size[:, None]
        cosine, sine = np.cos(self.angle)[:, None], np.sin(self.angle)[:, None]
        x, y = offset[..., 0], offset[..., 1]
        return self.centre[:, None] + np.stack([cosine * x - sine * y, sine * x + cosine * y], -1)

    def usable(self, width: int, height: int) -> NDArray[np.bool_]:
        """Return (R,) whether a region is finite, of a size that can be sampled, and centred near the picture."""
        with np.errstate(invalid='ignore'):
            finite = np.isfinite(self.centre).all(1) & np.isfinite(self.size).all(1) & np.isfinite(self.angle)
            sane = (self.size > 2.0).all(1) & (self.size < 20.0 * max(width, height)).all(1)
            half = 0.5 * self.size.max(1, initial=0.0)[:, None]
            reaches = ((self.centre + half > 0.0) & (self.centre - half < (width, height))).all(1)
        usable: NDArray[np.bool_] = finite & sane & reaches
        return usable


def crops(image: UInt8Array, regions: Regions, width: int, height: int, border: int, *, edges: bool) -> UInt8Array:
    """Return (R, height, width, 3) the regions of ``image``, bilinear. A crop's first pixel is the region's corner.

    Args:
        image: (H, W, 3).
        regions: px of ``image``.
        width, height: of the crops, px.
        border: what lies outside of the picture: cv2.BORDER_REPLICATE or cv2.BORDER_CONSTANT (black).
        edges: sample half a pixel right and below, as mediapipe does, which counts px from the picture's edge where
            OpenCV counts from the first pixel's centre.
    """
    found = np.empty((len(regions), height, width, 3), np.uint8)
    shape = np.array([width, height], float)
    for crop, centre, size, angle in zip(found, regions.centre, regions.size, regions.angle, strict=True):
        cosine, sine = np.cos(angle), np.sin(angle)
        turn = np.array([[cosine, -sine], [sine, cosine]]) * (size / shape)
        start = centre + (0.5 if edges else 0.0) - turn @ (0.5 * shape)
        matrix = np.column_stack([turn, start])
        cv2.warpAffine(
            image, matrix, (width, height), dst=crop, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=border
        )
    return found


def to_tensor(
    found: UInt8Array, scale: float | FloatArray, shift: float | FloatArray, *, rgb: bool
) -> NDArray[np.float32]:
    """Return crops (R, H, W, 3) BGR as float32 (R, 3, H, W): scale x + shift, per channel in the output's order."""
    ordered = found[..., ::-1] if rgb else found
    planes = ordered.transpose(0, 3, 1, 2)
    tensor = np.empty(planes.shape, np.float32)
    np.multiply(planes, np.asarray(scale, np.float32).reshape(-1, 1, 1), out=tensor)
    shifts = np.asarray(shift, np.float32).reshape(-1, 1, 1)
    if shifts.any():
        tensor += shifts
    return tensor


def squares_of(width: int, height: int) -> Regions:
    """Return the square around a whole picture."""
    side = float(max(width, height))
    return Regions(np.array([[0.5 * width - 0.5, 0.5 * height - 0.5]]), np.array([[side, side]]), np.zeros(1))
