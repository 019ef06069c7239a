"""The absolute root of a lifted pose, in closed form from its own 2D.

A lifter gives joints relative to the pelvis. Where the pelvis is follows from the perspective: the translation T for
which the projections of Y + T meet the observed rays x. Each joint gives (Y + T)_xy = x (Y + T)_z, linear in T.
"""

from __future__ import annotations

import numpy as np

from ..errors import ShapeError
from ..skeleton import FloatArray


def solve_root(pose: FloatArray, rays: FloatArray, weights: FloatArray) -> FloatArray:
    """Return the root T (..., 3), m, in the frame of ``pose``; NaN where it is undefined.

    With u = Y_xy - x Y_z the condition reads T_xy = x T_z - u. Regressing u on x minimises the residual in metres and
    makes T_z too small by the noise in x; regressing x on u minimises it in the image and makes T_z too large by the
    errors of Y. We take their geometric mean, T_z = std(u) / std(x): symmetric, always positive and smooth, so that
    it can also be differentiated in training.

    Args:
        pose: (..., J, 3) m, root-relative joints in a camera frame.
        rays: (..., J, 2) observed normalised image coordinates x/z, y/z in the same frame; NaN = not seen.
        weights: (..., J) >= 0.

    Raises:
        ShapeError: if the shapes do not agree.
    """
    if pose.shape[-1:] != (3,) or rays.shape != (*pose.shape[:-1], 2) or weights.shape != pose.shape[:-1]:
        raise ShapeError(
            f'solve_root: received pose {pose.shape}, rays {rays.shape}, weights {weights.shape}; '
            'expected (..., J, 3), (..., J, 2), (..., J).'
        )
    # A sum is finite only if all its terms are.
    seen = np.isfinite(rays.sum(-1) + pose.sum(-1)) & (weights > 0.0)
    x, y = rays, pose
    if not seen.all():
        x, y = np.where(seen[..., None], rays, 0.0), np.where(seen[..., None], pose, 0.0)
        weights = np.where(seen, weights, 0.0)
    # x and u side by side, so that their moments are taken at once.
    both = np.empty((*weights.shape, 4))
    both[..., :2] = x
    both[..., 2:] = y[..., :2] - x * y[..., 2:]
    with np.errstate(invalid='ignore', divide='ignore'):
        w = (weights / weights.sum(-1, keepdims=True))[..., None, :]
        mean = w @ both
        centred = both - mean
        variance = (w @ (centred * centred))[..., 0, :]
        depth = np.sqrt((variance[..., 2] + variance[..., 3]) / (variance[..., 0] + variance[..., 1]))[..., None]
        root: FloatArray = np.concatenate((mean[..., 0, :2] * depth - mean[..., 0, 2:], depth), -1)
    return np.where((seen.sum(-1) >= 2)[..., None] & np.isfinite(root), root, np.nan)
