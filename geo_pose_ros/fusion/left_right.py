"""Repair of left-right swaps: detectors that see a person from behind often exchange the sides of arms or legs.

The views of one body vote: where the mirrored labels of a limb group in one view fit the 3D joints of the body much
better than its own labels do, the view's labels are exchanged.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..errors import ShapeError
from ..geometry.triangulation import reprojection_residuals
from ..skeleton import FloatArray, Skeleton

BoolArray = NDArray[np.bool_]

# A swap must explain the view this much better: squared residuals, each capped at the outlier distance.
_GAIN = 0.35
# Below this separation of the sides in the image (in outlier distances) the labels cannot be told apart.
_LEAST_SEPARATION = 0.3

_LIMBS: tuple[tuple[str, ...], ...] = (('hip', 'knee', 'ankle'), ('shoulder', 'elbow', 'wrist'))


def limb_groups(skeleton: Skeleton) -> tuple[tuple[tuple[int, int], ...], ...]:
    """Return the flip pairs (left, right) of the legs and of the arms; groups swap as a whole."""
    groups = []
    for limbs in _LIMBS:
        pairs = [(a, b) for a, b in skeleton.flip_pairs if skeleton.joint_names[a].endswith(limbs)]
        groups.append(tuple(pairs))
    return tuple(group for group in groups if group)


def swapped_views(
    cam_from_world: FloatArray,
    focal_px: FloatArray,
    xn: FloatArray,
    xyz: FloatArray,
    skeleton: Skeleton,
    outlier_px: float,
) -> tuple[tuple[tuple[int, int], ...], int] | None:
    """Return the limb group and the view whose exchange explains the views best, or None if none is swapped.

    Args:
        cam_from_world: (C, 3, 4).
        focal_px: (C,).
        xn: (C, J, 2) normalised points of one body, NaN = not seen.
        xyz: (J, 3) m, the body triangulated robustly from these views.
        skeleton: J joints.
        outlier_px: residuals count at most this much.

    Raises:
        ShapeError: if xn has not the skeleton's joints.
    """
    if xn.shape[1:] != (len(skeleton), 2):
        raise ShapeError(f'swapped_views: received points {xn.shape}, expected (C, {len(skeleton)}, 2).')
    best: tuple[float, tuple[tuple[int, int], ...], int] | None = None
    for group in limb_groups(skeleton):
        left, right = np.array(group).T
        own = np.concatenate([left, right])
        other = np.concatenate([right, left])
        capped = _capped_cost(reprojection_residuals(cam_from_world, focal_px, xn[:, own], xyz[own]), outlier_px)
        mirrored = _capped_cost(reprojection_residuals(cam_from_world, focal_px, xn[:, own], xyz[other]), outlier_px)
        with np.errstate(invalid='ignore'):
            gap = np.linalg.norm(xn[:, left] - xn[:, right], axis=-1) * focal_px[:, None]
        apart = np.nan_to_num(gap).max(1) > _LEAST_SEPARATION * outlier_px
        gain = np.where(apart & (mirrored < _GAIN * capped), capped - mirrored, 0.0)
        view = int(gain.argmax())
        if gain[view] > 0.0 and (best is None or gain[view] > best[0]):
            best = (float(gain[view]), group, view)
    return None if best is None else best[1:]


def _capped_cost(residuals: FloatArray, outlier_px: float) -> FloatArray:
    """Return the mean capped squared residual per view (C,), 0 where nothing is seen."""
    seen = ~np.isnan(residuals)
    cost = np.where(seen, np.minimum(residuals / outlier_px, 1.0) ** 2, 0.0)
    mean: FloatArray = cost.sum(1) / np.maximum(seen.sum(1), 1)
    return mean


def exchange(values: FloatArray, view: int, group: tuple[tuple[int, int], ...]) -> None:
    """Exchange, in place, the left and right joints of ``group`` in one view of ``values`` (C, J, ...)."""
    left, right = np.array(group).T
    values[view, np.concatenate([left, right])] = values[view, np.concatenate([right, left])]
