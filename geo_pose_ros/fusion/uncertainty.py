"""How uncertain solved joints are, and which part of it another set would have drawn anew.

Errors that a filter may average away are told from those that last: the noise of the keypoints, of which every set has
another, and what the joints of a view share (its calibration, its detector's bias) or the lifter and the bones say,
which is the same in the next set. The sensitivity of the joints to what a view shares is propagated as that of a
consider parameter (Schmidt 1966; Bar-Shalom, Li, Kirubarajan 2001, 8.6).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..arrays import FloatArray
from ..geometry.matrices import diagonal_blocks, traces
from .equations import NINE

# Trust of a view whose residual equals the robust scale: from there on it agrees.
SUPPORT = 0.25
# Depth at which a body is taken to be of which nothing is known, m.
UNKNOWN_DEPTH_M = 4.0
# Standard deviation per axis of a joint that a view contradicts, as part of the distance; and the largest distance, m.
_CONTRADICTED = 0.6
_MOST_DOUBT_M = 0.5
# Part of the keypoints' variance that may be shared by a view's joints.
_MOST_SHARED = 0.9
_EYE = np.eye(3)


def parted(
    inverse: FloatArray, equations: FloatArray, shifts: FloatArray | None, level: float
) -> tuple[FloatArray, FloatArray]:
    """Return the joints' covariance (B, J, 3, 3), what views share counted, and its fleeting part.

    With L the information of the keypoints, P the posterior's covariance, P L P comes from them; the rest is the
    prior's. ``shifts`` (B, 3J, 2C) turns into a displacement of the joints of P shifts.
    """
    bodies, size, _ = inverse.shape
    joints = size // 3
    own = diagonal_blocks(inverse).transpose(2, 3, 0, 1)
    rows = inverse.reshape(bodies, 3, joints, 3, joints)
    # (B, 3, J, 3, J): P L, L block-diagonal
    weighted = np.einsum('brjak,cabk->brjck', rows, equations[NINE])
    per_joint = (bodies, joints, 3, size)
    keypoints = weighted.transpose(0, 2, 1, 3, 4).reshape(per_joint) @ np.swapaxes(
        rows.transpose(0, 2, 1, 3, 4).reshape(per_joint), -1, -2
    )
    return _sum_of_parts(own - keypoints, keypoints, None if shifts is None else inverse @ shifts, level)


def parted_alone(covariance: FloatArray, shifts: FloatArray | None, level: float) -> tuple[FloatArray, FloatArray]:
    """Return ``parted`` for joints solved each alone, covariance (B, J, 3, 3)."""
    moved = None
    if shifts is not None:
        bodies, size, cameras = shifts.shape
        per_joint = shifts.reshape(bodies, 3, size // 3, cameras).swapaxes(1, 2)
        moved = (covariance @ per_joint).swapaxes(1, 2).reshape(shifts.shape)
    return _sum_of_parts(np.zeros_like(covariance), covariance, moved, level)


def _sum_of_parts(
    others: FloatArray, keypoints: FloatArray, moved: FloatArray | None, level: float
) -> tuple[FloatArray, FloatArray]:
    """Return covariance and fleeting part (B, J, 3, 3).

    Args:
        others: the part that comes from the lifted poses and bones.
        keypoints: the part that comes from the keypoints, in which what a view's joints share counts as if each had its
            own.
        moved: (B, 3J, 2C) m, displacement of the joints by one standard deviation of what each view shares.
        level: see Circumstances.
    """
    if moved is None:
        fleeting = level**2 * keypoints
        return others + fleeting, fleeting
    bodies, size, cameras = moved.shape
    per_joint = moved.reshape(bodies, 3, size // 3, cameras).swapaxes(1, 2)
    shared = per_joint @ np.swapaxes(per_joint, -1, -2)
    trace = traces(keypoints)
    part = np.clip(traces(shared) / np.maximum(trace, 1e-12), 0.0, _MOST_SHARED)
    fleeting = (level**2 * (1.0 - part))[..., None, None] * keypoints
    return others + fleeting + shared, fleeting


def doubt(seen: NDArray[np.bool_], trust: FloatArray, apart_m: FloatArray) -> FloatArray:
    """Return (B, J, 3, 3) m^2: what joints are more uncertain by that few views support and others contradict.

    Where fewer than two views agree, one that was not believed may be the one that is right.

    Args:
        seen: (C, B, J) keypoints.
        trust: (C, B, J) in them.
        apart_m: (C, B, J) how far beside the keypoint's ray the joint is.
    """
    supporting = seen & (trust >= SUPPORT)
    count = supporting.sum(0)
    against = np.where(seen & ~supporting, apart_m, np.inf).min(0, initial=np.inf)
    open_question = (count < 2) & (against < UNKNOWN_DEPTH_M)
    variance = np.where(open_question, np.square(np.minimum(against, _MOST_DOUBT_M) * _CONTRADICTED), 0.0)
    return variance[..., None, None] * _EYE
