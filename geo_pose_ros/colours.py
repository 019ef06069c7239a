# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""One colour for each body in every image, page and view: its left side is lighter, its right side darker.

Sides differ by shade alone, so that no colour means a side in one image and a body in another, and so that people who
confuse red and green see them too. What belongs to no body, as a detector's keypoints, is grey.
"""

from __future__ import annotations

import numpy as np

from .arrays import FloatArray
from .skeleton import Skeleton

# After Okabe and Ito; all read on light and on dark ground.
PALETTE = ('#0f7fd1', '#d9770a', '#159a6c', '#c455a0', '#7a6ff0', '#b58900', '#3aa6b9', '#d1495b')
# Of the way to white, and of the colour itself.
_LIGHTER, _DARKER = 0.45, 0.5
_NOBODY = (160.0, 160.0, 160.0)


def colour_of(number: int) -> str:
    """Return the colour of a body id, or of the line ``number`` of a chart, as '#rrggbb'."""
    return PALETTE[number % len(PALETTE)]


def rgb_of(body_id: int | None) -> FloatArray:
    """Return the colour (3,) of a body, RGB in [0, 255]; grey for None."""
    if body_id is None:
        return np.array(_NOBODY)
    return np.array(list(bytes.fromhex(colour_of(body_id)[1:])), float)


def joint_colours(skeleton: Skeleton, body_id: int | None) -> FloatArray:
    """Return the colours (J, 3) of a body's joints, RGB in [0, 255]: left lighter, right darker; grey for None."""
    colours = np.tile(rgb_of(body_id), (len(skeleton), 1))
    left, right = np.array(skeleton.flip_pairs, int).reshape(-1, 2).T
    colours[left] += _LIGHTER * (255.0 - colours[left])
    colours[right] *= _DARKER
    return np.round(colours)
