"""How uncertain solved joints are: the random part of the covariance, and the systematic one.

A filter may average random errors away: the noise of the keypoints, which is new in every set. Systematic errors are
the same in the next set: what the joints of a view share (its calibration, its detector's bias), and the errors of the
lifter and of the bones. The sensitivity of the joints to what a view shares is propagated as that of a
consider parameter (Schmidt 1966; Bar-Shalom, Li, Kirubarajan 2001, 8.6).
"""

from __future__ import annotations

import numpy as np

from ..arrays import BoolArray, FloatArray
from ..geometry.matrices import diagonal_blocks, traces
from .equations import NINE

# Robust weight of a view whose residual equals the robust scale: from there on it is an inlier.
INLIER_WEIGHT = 0.25
# Depth of a body whose place is not known, m.
UNKNOWN_DEPTH_M = 4.0
# Standard deviation per axis of a joint that a view contradicts, as part of the distance; and the largest distance, m.
_CONTRADICTED = 0.6
_MOST_CONTRADICTED_M = 0.5
# Part of the keypoints' variance that may be shared by a view's joints.
_MOST_SHARED = 0.9
_EYE = np.eye(3)


def split_jointly(
    inverse: FloatArray, equations: FloatArray, pulls: FloatArray | None, level: float
) -> tuple[FloatArray, FloatArray]:
    """Return the joints' covariance (B, J, 3, 3), what views share counted, and its random part.

    With L the information of the keypoints, P the posterior's covariance, P L P comes from them; the rest is the
    prior's. ``pulls`` (B, 3J, 2C) turns into a displacement of the joints of P pulls.
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
    return _sum_of_parts(own - keypoints, keypoints, None if pulls is None else inverse @ pulls, level)


def split_each(covariance: FloatArray, pulls: FloatArray | None, level: float) -> tuple[FloatArray, FloatArray]:
    """Return ``split_jointly`` for joints solved each alone, covariance (B, J, 3, 3)."""
    moved = None
    if pulls is not None:
        bodies, size, cameras = pulls.shape
        per_joint = pulls.reshape(bodies, 3, size // 3, cameras).swapaxes(1, 2)
        moved = (covariance @ per_joint).swapaxes(1, 2).reshape(pulls.shape)
    return _sum_of_parts(np.zeros_like(covariance), covariance, moved, level)


def _sum_of_parts(
    others: FloatArray, keypoints: FloatArray, moved: FloatArray | None, level: float
) -> tuple[FloatArray, FloatArray]:
    """Return covariance and random part (B, J, 3, 3) of the parts that come from lifted poses and bones, and keypoints.

    ``keypoints`` counts what a view's joints share as if each had its own. ``moved`` (B, 3J, 2C) m is how far one
    standard deviation of what each view shares moves the joints.
    """
    if moved is None:
        random = level**2 * keypoints
        return others + random, random
    bodies, size, cameras = moved.shape
    per_joint = moved.reshape(bodies, 3, size // 3, cameras).swapaxes(1, 2)
    shared = per_joint @ np.swapaxes(per_joint, -1, -2)
    trace = traces(keypoints)
    part = np.clip(traces(shared) / np.maximum(trace, 1e-12), 0.0, _MOST_SHARED)
    random = (level**2 * (1.0 - part))[..., None, None] * keypoints
    return others + random + shared, random


def contradicted_variance(seen: BoolArray, weight: FloatArray, apart_m: FloatArray) -> FloatArray:
    """Return (B, J, 3, 3) m^2 that is added where few views are inliers and others contradict them.

    Where fewer than two views agree, an outlier may be the one that is right.

    Args:
        seen: (C, B, J) keypoints.
        weight: (C, B, J) their robust weights.
        apart_m: (C, B, J) how far beside the keypoint's ray the joint is.
    """
    inlier = seen & (weight >= INLIER_WEIGHT)
    count = inlier.sum(0)
    against = np.where(seen & ~inlier, apart_m, np.inf).min(0, initial=np.inf)
    undecided = (count < 2) & (against < UNKNOWN_DEPTH_M)
    variance = np.where(undecided, np.square(np.minimum(against, _MOST_CONTRADICTED_M) * _CONTRADICTED), 0.0)
    return variance[..., None, None] * _EYE
