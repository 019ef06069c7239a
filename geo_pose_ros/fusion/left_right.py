"""Repair of left-right swaps: detectors that see a person from behind often exchange the sides of arms or legs.

The views of one body vote: where the mirrored labels of a limb group in one view fit the 3D joints of the body much
better than its own labels do, the view's labels are exchanged.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from ..errors import ShapeError
from ..geometry.triangulation import reprojection_residuals
from ..skeleton import FloatArray, Skeleton

FlipGroup = tuple[tuple[int, int], ...]

# A view is suspected where its mirrored labels fit this much better; squared residuals, capped at the outlier distance.
_SUSPICION = 0.9
# Below this separation of the sides in the image (in outlier distances) the labels cannot be told apart.
_LEAST_SEPARATION = 0.3

_LIMBS: tuple[tuple[str, ...], ...] = (('hip', 'knee', 'ankle'), ('shoulder', 'elbow', 'wrist'))


@cache
def limb_groups(skeleton: Skeleton) -> tuple[FlipGroup, ...]:
    """Return the flip pairs (left, right) of the legs and of the arms; groups swap as a whole."""
    groups = []
    for limbs in _LIMBS:
        pairs = [(a, b) for a, b in skeleton.flip_pairs if skeleton.joint_names[a].endswith(limbs)]
        groups.append(tuple(pairs))
    return tuple(group for group in groups if group)


def suspected_swap(
    cam_from_world: FloatArray,
    focal_px: FloatArray,
    xn: FloatArray,
    xyz: FloatArray,
    skeleton: Skeleton,
    outlier_px: float,
) -> tuple[FlipGroup, int] | None:
    """Return the limb group and the view whose mirrored labels fit better than its own by most, or None.

    A suspicion only: a swapped view within the outlier distance drags the joints towards itself, so that the caller
    must exchange the sides, triangulate again and compare ``limb_cost``.

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
        raise ShapeError(f'suspected_swap: received points {xn.shape}, expected (C, {len(skeleton)}, 2).')
    best: tuple[float, FlipGroup, int] | None = None
    for group in limb_groups(skeleton):
        left, right = np.array(group).T
        labels, mirror = np.concatenate([left, right]), np.concatenate([right, left])
        own = limb_cost(reprojection_residuals(cam_from_world, focal_px, xn[:, labels], xyz[labels]), outlier_px)
        mirrored = limb_cost(reprojection_residuals(cam_from_world, focal_px, xn[:, labels], xyz[mirror]), outlier_px)
        gap = np.linalg.norm(xn[:, left] - xn[:, right], axis=-1) * focal_px[:, None]
        apart = np.nan_to_num(gap).max(1) > _LEAST_SEPARATION * outlier_px
        gain = np.where(apart & (mirrored < _SUSPICION * own), own - mirrored, 0.0)
        view = int(gain.argmax())
        if gain[view] > 0.0 and (best is None or gain[view] > best[0]):
            best = (float(gain[view]), group, view)
    return None if best is None else best[1:]


def limb_cost(residuals_px: FloatArray, outlier_px: float) -> FloatArray:
    """Return per view (C,) the mean capped squared residual of joints (C, N), in [0, 1]; 0 where nothing is seen."""
    seen = ~np.isnan(residuals_px)
    cost = np.where(seen, np.minimum(residuals_px / outlier_px, 1.0) ** 2, 0.0)
    mean: FloatArray = cost.sum(1) / np.maximum(seen.sum(1), 1)
    return mean


def exchange(values: FloatArray, view: int, group: FlipGroup) -> None:
    """Exchange, in place, the left and right joints of ``group`` in one view of ``values`` (C, J, ...)."""
    left, right = np.array(group).T
    values[view, np.concatenate([left, right])] = values[view, np.concatenate([right, left])]
