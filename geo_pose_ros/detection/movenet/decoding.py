# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""From MoveNet's heads to joints: CenterNet's decoding, as in Google's graphs behind their convolutions.

Zhou et al., "Objects as Points", 2019. The heads are maps of (height, width) cells: a logit that a person's centre is
in the cell; from there, the way to each of its joints (y, x, in cells); a logit for each joint; and where in its cell
a joint lies (y, x).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import cv2
import numpy as np

from ...arrays import Float32Array, FloatArray, IntArray

JOINTS = 17
HEADS: Mapping[str, int] = {'centre': 1, 'heat': JOINTS, 'regression': 2 * JOINTS, 'offset': 2 * JOINTS}
# A centre is the largest value so many cells around.
_PEAK = 5
# Squared distances (n, 17, h, w), in cells, from where the centre puts a joint -> weights of the joint's heat.
NearWeight = Callable[[FloatArray], FloatArray]


def sigmoid(logits: Float32Array) -> Float32Array:
    """Return 1 / (1 + exp(-x)), without overflow."""
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(logits, -60.0, 60.0))), np.float32)


def peaks(centre: Float32Array, least: float) -> IntArray:
    """Return the cells (n, 2) row and column of local maxima of ``centre`` (h, w) from ``least`` on, best first."""
    largest = cv2.dilate(centre, np.ones((_PEAK, _PEAK), np.uint8))
    cells = np.argwhere((centre >= largest) & (centre >= least))
    return np.asarray(cells[np.argsort(-centre[tuple(cells.T)], kind='stable')])


def joints_of(
    heads: Mapping[str, Float32Array], heat: Float32Array, cells: IntArray, weight: NearWeight
) -> tuple[FloatArray, FloatArray]:
    """Return the joints of the people whose centres are in ``cells``.

    Args:
        heads: of one image, by their names, each (channels, h, w).
        heat: (17, h, w) probabilities of joints.
        cells: (n, 2) rows and columns.
        weight: see NearWeight.

    Returns:
        (n, 17, 2) x y in units of the image from its edge, and (n, 17) the heat there.
    """
    height, width = heat.shape[1:]
    rows, columns = cells[:, 0], cells[:, 1]
    from_centre = cells[:, None] + heads['regression'][:, rows, columns].T.reshape(-1, JOINTS, 2)
    down = np.square(np.arange(height) - from_centre[..., :1])
    across = np.square(np.arange(width) - from_centre[..., 1:])
    weighted = heat * weight(down[..., :, None] + across[..., None, :])
    best = weighted.reshape(len(cells), JOINTS, height * width).argmax(-1)
    row, column = np.divmod(best, width)
    joint = np.arange(JOINTS)
    offset = heads['offset'].reshape(JOINTS, 2, height, width)[joint, :, row, column]
    xy = np.stack([(column + offset[..., 1]) / width, (row + offset[..., 0]) / height], -1)
    return xy, heat[joint, row, column].astype(float)
