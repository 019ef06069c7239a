"""The absolute root of a lifted pose, in closed form from its own 2D.

A lifter gives joints relative to the pelvis. Where the pelvis is follows from the perspective: the translation T for
which the projections of Y + T meet the observed rays x. Each joint gives (Y + T)_xy = x (Y + T)_z, linear in T.

T is as wrong as the pose's size, and one view does not show how tall somebody is. Two things do: bone lengths that
are known from before, and the floor, if a foot stands on it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..arrays import BoolArray, FloatArray
from ..errors import ShapeError
from ..skeleton import BODY17

_ANKLES = np.array([BODY17.index('right_ankle'), BODY17.index('left_ankle')])
_PARENT, _CHILD = np.array(BODY17.edges).T
# Standard deviation of the logarithm: of people's sizes about the lifter's guess; of a distance solved from a pose of
# the right size, whose foreshortening is wrong. Both as measured on mocap.
_SIZE_SPREAD = 0.08
_SHAPE_SPREAD = 0.05
# A known person's size, from bone lengths that err and lifted bones that do.
_KNOWN_SIZE_SPREAD = 0.03
# The ankle above the floor that it stands on, m, and its standard deviation: heels rise, people walk.
_ANKLE_HEIGHT_M = 0.09
_ANKLE_HEIGHT_SPREAD_M = 0.04
# A floor that contradicts the size by more standard deviations is not what the foot stands on.
_GATE = 3.0
# Squares of sines below this are 0.
_ROUNDING = 1e-12


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


def root_spread(pose: FloatArray, sigma: FloatArray, rays: FloatArray, weights: FloatArray) -> FloatArray:
    """Return the standard deviation (...,) of the logarithm of the root's distance, as ``solve_root`` finds it.

    First order in the errors of the pose, and people's sizes. Few joints, or joints close together, say little about
    the distance: this grows accordingly. NaN where the root is undefined.

    Args:
        pose, rays, weights: as of solve_root.
        sigma: (..., J) m, standard deviation of each joint per axis.
    """
    seen = np.isfinite(rays.sum(-1) + pose.sum(-1)) & (weights > 0.0)
    w = np.where(seen, weights, 0.0)
    u = np.where(seen[..., None], pose[..., :2] - rays * pose[..., 2:], 0.0)
    with np.errstate(invalid='ignore', divide='ignore'):
        w = w / w.sum(-1, keepdims=True)
        off = ((u - (w[..., None] * u).sum(-2, keepdims=True)) ** 2).sum(-1)
        shape = (w**2 * off * np.where(seen, sigma, 0.0) ** 2).sum(-1) / (w * off).sum(-1) ** 2
        spread: FloatArray = np.sqrt(shape + _SIZE_SPREAD**2)
    return np.where((seen.sum(-1) >= 2) & np.isfinite(spread), spread, np.nan)


def bone_scale(pose: FloatArray, lengths: FloatArray, ray: FloatArray) -> FloatArray:
    """Return the factors (...,) that bring the bones of body17 poses (..., 17, 3) to known ``lengths`` (..., 16), m.

    In the sense of least squares over all bones with a known (finite) length; NaN where none is. A bone counts the less
    the more it lies along the ``ray`` (..., 3) towards the body: there the pose errs, and the distance does not depend
    on it.

    Raises:
        ShapeError: if the shapes do not agree.
    """
    if pose.shape[-2:] != (len(BODY17), 3) or lengths.shape[-1:] != (len(_CHILD),):
        raise ShapeError(
            f'bone_scale: received poses {pose.shape} and lengths {lengths.shape}, expected '
            f'(..., {len(BODY17)}, 3) and (..., {len(_CHILD)}).'
        )
    bones = pose[..., _CHILD, :] - pose[..., _PARENT, :]
    lifted = np.linalg.norm(bones, axis=-1)
    known = np.isfinite(lengths) & np.isfinite(lifted)
    lifted, wanted = np.where(known, lifted, 0.0), np.where(known, lengths, 0.0)
    along = (bones * ray[..., None, :]).sum(-1) / np.linalg.norm(ray, axis=-1)[..., None]
    across = 1.0 - (along / np.maximum(lifted, 1e-9)) ** 2
    # Of a bone along the ray, nothing but rounding is left.
    weight = np.where(known & (across > _ROUNDING), across**2, 0.0)
    square = (weight * lifted * lifted).sum(-1)
    return np.where(square > 0.0, (weight * lifted * wanted).sum(-1) / np.where(square > 0.0, square, 1.0), np.nan)


@dataclass(frozen=True, slots=True, eq=False)
class Placement:
    """Roots and sizes of bodies, from all that is known.

    Attributes:
        root: (..., 3) m, the pelvis in the frame of the pose; NaN where undefined.
        scale: (...,) to multiply the pose by: of that size perspective alone puts it at ``root``.
        spread: (...,) standard deviation of the logarithm of the root's distance.
        grounded: (...,) bool, whether the floor was used.
    """

    root: FloatArray
    scale: FloatArray
    spread: FloatArray
    grounded: BoolArray


def locate_root(
    pose: FloatArray, sigma: FloatArray, rays: FloatArray, weights: FloatArray, *,
    up: FloatArray | None = None, height_m: FloatArray | None = None, lengths: FloatArray | None = None,
) -> Placement:
    """Return where body17 poses are and how large, from perspective, the floor and known bones, each if given.

    Everything is a Gaussian in the logarithm of the distance. Perspective gives it in units of the size. The
    floor gives the distance of the lower ankle: where its ray is at the height of a standing ankle; not used where
    that ankle is not seen, does not look down, or the size that follows is not believable (somebody jumps, or climbs).

    Args:
        pose, sigma, rays, weights: as of root_spread, J = 17.
        up: (..., 3) unit vector in the frame of the pose; None: no floor.
        height_m: (...,) height of the camera's centre above the floor; needed with ``up``.
        lengths: (..., 16) m, bone lengths along the edges of body17, NaN = unknown; None: none is known.

    Raises:
        ShapeError: if shapes do not agree, or ``up`` is given without ``height_m``.
    """
    if (up is None) != (height_m is None):
        raise ShapeError("locate_root: received one of up and height_m; expected both (the floor), or neither.")
    root = solve_root(pose, rays, weights)
    shape2 = root_spread(pose, sigma, rays, weights) ** 2 - _SIZE_SPREAD**2 + _SHAPE_SPREAD**2
    distance, distance2 = np.zeros(root.shape[:-1]), np.full(root.shape[:-1], _SIZE_SPREAD**2)
    if lengths is not None:
        known = bone_scale(pose, np.broadcast_to(lengths, (*root.shape[:-1], len(_CHILD))), root)
        usable = np.isfinite(known) & (known > 0.0)
        distance = np.where(usable, np.log(np.where(usable, known, 1.0)), distance)
        distance2 = np.where(usable, _KNOWN_SIZE_SPREAD**2, distance2)
    distance2 = distance2 + shape2
    grounded = np.zeros(root.shape[:-1], bool)
    if up is not None and height_m is not None:
        said, said2 = _floor(pose, sigma, root, rays, weights, up, height_m)
        grounded = (said - distance) ** 2 < _GATE**2 * (said2 + distance2)
        # NaN, where there is no floor, compares false.
        gain = np.where(grounded, distance2 / (distance2 + said2), 0.0)
        distance = distance + gain * np.where(grounded, said - distance, 0.0)
        distance2 = (1.0 - gain) * distance2
    factor = np.exp(distance)
    return Placement(root * factor[..., None], factor, np.sqrt(distance2), grounded)


def _floor(
    pose: FloatArray, sigma: FloatArray, root: FloatArray, rays: FloatArray, weights: FloatArray, up: FloatArray,
    height_m: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Return the logarithm of the factor on pose and root that puts the lower ankle on the floor, and its variance."""
    below = -((pose[..., _ANKLES, :] + root[..., None, :]) * up[..., None, :]).sum(-1)
    lower = below.argmax(-1)[..., None]
    depth = np.take_along_axis(below, lower, -1)[..., 0]
    ankle = np.take_along_axis(np.broadcast_to(_ANKLES, below.shape), lower, -1)
    seen = np.isfinite(np.take_along_axis(rays[..., 0], ankle, -1))[..., 0]
    seen &= (np.take_along_axis(weights, ankle, -1) > 0.0)[..., 0]
    fall = height_m - _ANKLE_HEIGHT_M
    usable = seen & (depth > 0.1) & (fall > 0.1)
    factor = np.where(usable, fall / np.where(usable, depth, 1.0), np.nan)
    # The lifted ankle errs as well, and by what it errs the floor seems higher or lower.
    ankle_sigma = np.take_along_axis(np.broadcast_to(sigma, pose.shape[:-1]), ankle, -1)[..., 0]
    variance = _ANKLE_HEIGHT_SPREAD_M**2 + ankle_sigma**2
    return np.log(factor), variance / np.where(usable, fall, np.nan) ** 2
