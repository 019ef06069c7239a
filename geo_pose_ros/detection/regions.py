# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Regions of an image for a network: rotated rectangles, and crops of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ..arrays import BoolArray, Float32Array, FloatArray, UInt8Array
from ..geometry.stats import nan_median
from ..skeleton import BODY17
from ..types import freeze

# Regions whose centres are nearer than this, in units of the smaller one, and whose sizes differ by less than this
# factor, are of one person.
_NEAR, _ALIKE = 0.16, 2.0
# Side of a tile by the image's longer side, and how much of it two neighbours share at least.
_TILE, _SHARED = 0.5, 0.35
# A person nearer to the side of a tile than this, by its size, may be cut off.
_CUT = 0.03
# A person's region is so much larger than the circle around the body, whose radius is so much larger than the distance
# of the farthest joint from the hips.
_MARGIN, _BEYOND_JOINTS = 1.25, 1.1
_PELVIS, _THORAX = BODY17.index('pelvis'), BODY17.index('thorax')


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
        freeze(self, 'Regions.', {'centre': (None, 2)})
        freeze(self, 'Regions.', {'size': (len(self.centre), 2), 'angle': (len(self.centre),)})

    def __len__(self) -> int:
        return len(self.centre)

    @classmethod
    def none(cls) -> Regions:
        """Return no region."""
        return _NONE

    @classmethod
    def concatenate(cls, parts: Sequence[Regions]) -> Regions:
        """Return the regions of all ``parts``, in order."""
        parts = [part for part in parts if len(part)]
        if len(parts) < 2:
            return parts[0] if parts else cls.none()
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in ('centre', 'size', 'angle')))

    def select(self, index: NDArray[np.generic]) -> Regions:
        """Return the regions of a mask (R,) or of indices."""
        return Regions(self.centre[index], self.size[index], self.angle[index])

    def to_image(self, unit: FloatArray) -> FloatArray:
        """Return points (R, N, 2) of the regions, (0, 0) top left to (1, 1) bottom right, as px of the image."""
        offset = (unit - 0.5) * self.size[:, None]
        cosine, sine = np.cos(self.angle)[:, None], np.sin(self.angle)[:, None]
        x, y = offset[..., 0], offset[..., 1]
        return self.centre[:, None] + np.stack([cosine * x - sine * y, sine * x + cosine * y], -1)

    def from_image(self, xy: FloatArray) -> FloatArray:
        """Return points (R, N, 2), px of the image, as points of the regions; the inverse of ``to_image``."""
        offset = xy - self.centre[:, None]
        cosine, sine = np.cos(self.angle)[:, None], np.sin(self.angle)[:, None]
        x, y = offset[..., 0], offset[..., 1]
        return np.stack([cosine * x + sine * y, cosine * y - sine * x], -1) / self.size[:, None] + 0.5

    def usable(self, width: int, height: int) -> BoolArray:
        """Return (R,) whether a region is finite, of a size that can be sampled, and centred near the image."""
        with np.errstate(invalid='ignore'):
            finite = np.isfinite(self.centre).all(1) & np.isfinite(self.size).all(1) & np.isfinite(self.angle)
            sane = (self.size > 2.0).all(1) & (self.size < 20.0 * max(width, height)).all(1)
            half = 0.5 * self.size.max(1, initial=0.0)[:, None]
            reaches = ((self.centre + half > 0.0) & (self.centre - half < (width, height))).all(1)
        return np.asarray(finite & sane & reaches)


_NONE = Regions(np.zeros((0, 2)), np.zeros((0, 2)), np.zeros(0))


@dataclass(frozen=True, slots=True, eq=False)
class Crop:
    """How a network wants its input: crops of regions as float32, scale x + offset.

    Attributes:
        width, height: of the crops, px.
        border: what lies outside of the image: cv2.BORDER_REPLICATE or cv2.BORDER_CONSTANT (black).
        scale, offset: of all channels, or (3,) per channel in the order of the output.
        is_rgb: the order of the output's channels; else BGR.
        from_edge: sample half a pixel right and below, as mediapipe does, which counts px from the image's edge where
            OpenCV counts from the first pixel's centre.
    """

    width: int
    height: int
    border: int
    scale: float | FloatArray
    offset: float | FloatArray
    is_rgb: bool = False
    from_edge: bool = False

    def cut(self, image: UInt8Array, regions: Regions) -> UInt8Array:
        """Return the ``regions`` of ``image`` (H, W, 3), bilinear, as (R, height, width, 3).

        A crop's first pixel is the region's corner.
        """
        found = np.empty((len(regions), self.height, self.width, 3), np.uint8)
        shape = np.array([self.width, self.height], float)
        for crop, centre, size, angle in zip(found, regions.centre, regions.size, regions.angle, strict=True):
            cosine, sine = np.cos(angle), np.sin(angle)
            turn = np.array([[cosine, -sine], [sine, cosine]]) * (size / shape)
            start = centre + (0.5 if self.from_edge else 0.0) - turn @ (0.5 * shape)
            cv2.warpAffine(
                image, np.column_stack([turn, start]), (self.width, self.height), dst=crop,
                flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=self.border,
            )
        return found

    def to_tensor(self, cut: UInt8Array) -> Float32Array:
        """Return crops (R, H, W, 3) BGR as (R, 3, H, W)."""
        planes = (cut[..., ::-1] if self.is_rgb else cut).transpose(0, 3, 1, 2)
        tensor = np.empty(planes.shape, np.float32)
        np.multiply(planes, np.asarray(self.scale, np.float32).reshape(-1, 1, 1), out=tensor)
        offset = np.asarray(self.offset, np.float32).reshape(-1, 1, 1)
        if offset.any():
            tensor += offset
        return tensor


def full_image_square(width: int, height: int) -> Regions:
    """Return the square around a full image."""
    side = float(max(width, height))
    return Regions(np.array([[0.5 * width - 0.5, 0.5 * height - 0.5]]), np.array([[side, side]]), np.zeros(1))


def turned(squares: Regions, quarters: Sequence[int]) -> Regions:
    """Return ``squares`` (R) each turned by all ``quarters`` (Q), (R * Q): who lies in the image stands in one."""
    count = len(quarters)
    angle = squares.angle[:, None] + 0.5 * np.pi * np.array(quarters, float)
    return Regions(squares.centre.repeat(count, 0), squares.size.repeat(count, 0), angle.ravel())


def tiles(width: int, height: int) -> Regions:
    """Return squares of half the image's longer side that overlap and cover the image."""
    side = _TILE * max(width, height)

    def centres(length: int) -> list[float]:
        spare = max(length - side, 0.0)
        count = 1 + int(np.ceil(spare / (side * (1.0 - _SHARED))))
        start = 0.5 * min(side, length) - 0.5
        return [float(c) for c in start + np.linspace(0.0, spare, count)] if count > 1 else [0.5 * length - 0.5]

    grid = np.array([(x, y) for y in centres(height) for x in centres(width)])
    return Regions(grid, np.full(grid.shape, side), np.zeros(len(grid)))


def regions_from_points(centre: FloatArray, on_circle: FloatArray) -> Regions:
    """Return the regions of people: ``centre`` (R, 2) their hips, ``on_circle`` (R, 2) above it on a circle around all.

    A region is turned with the body: it is upright for a person who is upright in the image.
    """
    up = on_circle - centre
    side = 2.0 * _MARGIN * np.hypot(up[:, 0], up[:, 1])
    return Regions(centre, np.repeat(side[:, None], 2, 1), np.arctan2(up[:, 0], -up[:, 1]))


def regions_around(body17_xy: FloatArray, sigma_px: FloatArray) -> Regions:
    """Return the regions of people whose joints are at ``body17_xy`` (P, 17, 2), as BlazePose makes them itself.

    A region reaches from the hips to the farthest joint, with a margin for crown, hands and toes and for the
    uncertainty ``sigma_px`` (P, 17). It is turned with the trunk.
    """
    middle = 0.5 * (np.fmax.reduce(body17_xy, 1) + np.fmin.reduce(body17_xy, 1))
    hips = np.where(np.isnan(body17_xy[:, _PELVIS]), middle, body17_xy[:, _PELVIS])
    trunk = body17_xy[:, _THORAX] - hips
    with np.errstate(invalid='ignore'):
        length = np.hypot(trunk[:, 0], trunk[:, 1])
        upright = ~(length > 0.0)
        up = np.where(upright[:, None], (0.0, -1.0), trunk / np.where(upright, 1.0, length)[:, None])
        gaps = body17_xy - hips[:, None]
        radius = _BEYOND_JOINTS * np.fmax.reduce(np.hypot(gaps[..., 0], gaps[..., 1]), 1) + nan_median(sigma_px)
    return regions_from_points(hips, hips + up * radius[:, None])


def are_whole(squares: Regions, xy: FloatArray, image: UInt8Array) -> BoolArray:
    """Return (R,) whether no upright or lying square (R) cuts the person with points ``xy`` (R, N, 2) px off.

    A person who reaches to the side of a square, with the image going on behind it, may go on there too.
    """
    low, high = (squares.centre + sign * 0.5 * squares.size for sign in (-1.0, 1.0))
    last = np.array(image.shape[1::-1]) - 1.0
    margin = _CUT * squares.size
    inside = (np.fmin.reduce(xy, 1) >= low + margin) | (low <= 0.0)
    return np.asarray((inside & ((np.fmax.reduce(xy, 1) <= high - margin) | (high >= last))).all(1))


def are_near(a: Regions, b: Regions) -> BoolArray:
    """Return (A, B) whether regions are of one person."""
    size_a, size_b = a.size.max(1)[:, None], b.size.max(1)[None]
    apart = np.linalg.norm(a.centre[:, None] - b.centre[None], axis=-1)
    alike = np.maximum(size_a, size_b) < _ALIKE * np.minimum(size_a, size_b)
    return np.asarray((apart < _NEAR * np.minimum(size_a, size_b)) & alike)
