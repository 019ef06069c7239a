# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The absolute root of a lifted pose, in closed form from its own 2D.

A lifter gives joints relative to the pelvis. Where the pelvis is follows from the perspective: the translation T for
which the projections of Y + T meet the observed rays x. Each joint gives (Y + T)_xy = x (Y + T)_z, linear in T.

T is as wrong as the pose's size, and one view does not show how tall somebody is. Two things do: bone lengths that
are known from before, and the floor, if a foot stands on it.
"""

from __future__ import annotations

import math

import numpy as np

from ..arrays import FloatArray
from ..compiled import ready
from ..errors import ShapeError
from ..skeleton import BODY17
from .kernels import Placement, SeenPoses, locate_roots

_BONES = len(BODY17.edges)


def solve_root(pose: FloatArray, rays: FloatArray, weights: FloatArray) -> FloatArray:
    """Return the root T (..., 3), m, in the frame of ``pose`` by perspective alone; NaN where it is undefined.

    Args:
        pose: (..., J, 3) m, root-relative joints in a camera frame.
        rays: (..., J, 2) observed normalised image coordinates x/z, y/z in the same frame; NaN = not seen.
        weights: (..., J) >= 0.

    Raises:
        ShapeError: if the shapes do not agree.
    """
    return locate_root(pose, np.zeros(weights.shape), rays, weights).root


def locate_root(
    pose: FloatArray, sigma: FloatArray, rays: FloatArray, weights: FloatArray, *,
    up: FloatArray | None = None, height_m: FloatArray | None = None, lengths: FloatArray | None = None,
) -> Placement:
    """Return where body17 poses are and how large, from perspective, the floor and known bones, each if given.

    Everything is a Gaussian in the logarithm of the distance. Perspective gives it in units of the size. The
    floor gives the distance of the lower ankle: where its ray is at the height of a standing ankle; not used where
    that ankle is not seen, does not look down, or the size that follows is not believable (somebody jumps, or climbs).

    Args:
        pose, rays, weights: as of solve_root; J = 17 for the floor and bones.
        sigma: (..., J) m, standard deviation of each joint per axis.
        up: (..., 3) unit vector in the frame of the pose; None: no floor.
        height_m: (...,) height of the camera's centre above the floor; needed with ``up``.
        lengths: (..., 16) m, bone lengths along the edges of body17, NaN = unknown; None: none is known.

    Raises:
        ShapeError: if shapes do not agree, or ``up`` is given without ``height_m``.
    """
    if (up is None) != (height_m is None):
        raise ShapeError("locate_root: received one of up and height_m; expected both (the floor), or neither.")
    shape, joints = pose.shape[:-2], pose.shape[-2]
    if pose.shape[-1:] != (3,) or rays.shape != (*shape, joints, 2) or weights.shape != (*shape, joints) or (
        lengths is not None and (joints, lengths.shape[-1]) != (len(BODY17), _BONES)
    ):
        raise ShapeError(
            f'locate_root: received pose {pose.shape}, rays {rays.shape}, weights {weights.shape} and lengths '
            f'{None if lengths is None else lengths.shape}; expected (..., J, 3), (..., J, 2), (..., J) and, of '
            f'body17, (..., {_BONES}).'
        )

    def flat(values: FloatArray | None, *axes: int) -> FloatArray:
        if values is None:
            return np.empty((0, *axes))
        full = (*shape, *axes)
        return ready(values if values.shape == full else np.broadcast_to(values, full)).reshape(-1, *axes)

    count = math.prod(shape)
    found = Placement(np.empty((count, 3)), np.empty(count), np.empty(count), np.empty(count, bool))
    locate_roots(
        SeenPoses(
            flat(pose, joints, 3), flat(sigma, joints), flat(rays, joints, 2), flat(weights, joints), flat(up, 3),
            flat(height_m), flat(lengths, _BONES),
        ),
        found,
    )
    return Placement(
        found.root.reshape(*shape, 3), found.scale.reshape(shape), found.spread.reshape(shape),
        found.grounded.reshape(shape),
    )
