# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""What people wear, as numbers: the colours of torso, thighs and shanks, by which who comes back is known again."""

from __future__ import annotations

import numpy as np

from ..arrays import BoolArray, FloatArray, UInt8Array
from ..geometry.stats import nan_median
from ..types import Frame, Keypoints2D

# Points on a bone, as parts of it, and on the torso; a part with fewer of them in the image is unknown.
_ALONG = np.array((0.2, 0.35, 0.5, 0.65, 0.8))
_LEAST_POINTS = 5
# Added to colours, of 255, so that dark pixels say little.
_DARK = 8.0
# Every so many px of the image count for its own colour.
_STEP_PX = 32
_SIDES = ('left', 'right')


def describe(frame: Frame, keypoints: Keypoints2D, min_confidence: float) -> FloatArray:
    """Return the appearance (P, 9) of the people in an image; NaN where a part of the body is not seen.

    Of torso, thighs and shanks each: the median of the logarithms of blue over green, red over green, and of the
    intensity, less those of the whole image, which takes off most of the camera's white balance and exposure.
    """
    names = keypoints.skeleton.joint_names
    if not all(f'{side}_{joint}' in names for side in _SIDES for joint in ('shoulder', 'hip', 'knee', 'ankle')):
        return np.full((len(keypoints.xy), 9), np.nan)
    xy = np.where((keypoints.confidence >= min_confidence)[..., None], frame.from_raw(keypoints.xy), np.nan)
    shoulder, hip, knee, ankle = (
        np.stack([xy[:, names.index(f'{side}_{joint}')] for side in _SIDES], 1)
        for joint in ('shoulder', 'hip', 'knee', 'ankle')
    )
    torso = [_between(*(row[:, 0] + part * (row[:, 1] - row[:, 0]) for row in (shoulder, hip)))
             for part in (0.3, 0.5, 0.7)]
    legs = ([_between(a[:, side], b[:, side]) for side in range(2)] for a, b in ((hip, knee), (knee, ankle)))
    own = np.median(_log_colours(frame.image[::_STEP_PX, ::_STEP_PX].reshape(-1, 3)), 0)
    return np.concatenate([
        _colour_at(frame.image, np.concatenate(points, 1)) - own for points in (torso, *legs)
    ], 1)


def _between(start: FloatArray, end: FloatArray) -> FloatArray:
    """Return points (P, 5, 2) between ``start`` and ``end`` (P, 2)."""
    return np.asarray(start[:, None] + _ALONG[:, None] * (end - start)[:, None])


def _log_colours(colours: UInt8Array) -> FloatArray:
    """Return log blue / green, log red / green and log intensity (..., 3) of BGR colours (..., 3) of 255."""
    logs = np.log(np.asarray(colours, float) + _DARK)
    return np.stack([logs[..., 0] - logs[..., 1], logs[..., 2] - logs[..., 1], logs.mean(-1)], -1)


def _colour_at(image: UInt8Array, points: FloatArray) -> FloatArray:
    """Return the median ``_log_colours`` (P, 3) of the pixels at ``points`` (P, N, 2) px, NaN with few in the image."""
    height, width = image.shape[:2]
    with np.errstate(invalid='ignore'):
        inside: BoolArray = np.asarray(((points > -0.5) & (points < (width - 0.5, height - 0.5))).all(-1))
    x, y = np.moveaxis(np.where(inside[..., None], np.round(np.nan_to_num(points)), 0).astype(np.int64), -1, 0)
    colours = np.where(inside[..., None], _log_colours(image[y, x]), np.nan)
    median = nan_median(np.moveaxis(colours, 1, -1))
    return np.where(inside.sum(1)[:, None] >= _LEAST_POINTS, median, np.nan)
