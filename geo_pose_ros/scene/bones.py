"""Bone lengths of tracked bodies: learned while several views see them, kept when they do not."""

from __future__ import annotations

import numpy as np

from ..arrays import FloatArray, IntArray
from ..fusion.prior import BonePrior
from ..skeleton import BODY17

# Errors of successive sets are alike: a detector puts a joint too low for seconds. So many sets count as one.
_ALIKE_SETS = 10.0
# Share of what is known that a set keeps: a length is a mean over some 200 sets.
_KEPT = 0.995
# ... and after a set whose lengths are another person's, as an id may pass from one to another where they meet. Squared
# differences over their variance are 0.2 on average and rarely above 0.4; of a person 12 % smaller, 1.2.
_KEPT_BY_SURPRISED = 0.7
_SURPRISED = 0.8
# Relative standard deviation that lengths may have from set to set without surprise.
_SPREAD = 0.02
# Joints this close to each other have no direction, m.
_SHORT_M = 1e-3

_PARENT, _CHILD = np.array(BODY17.edges).T
_UNKNOWN = np.zeros((2, len(BODY17.edges)))


class BoneLengths:
    """The lengths of all tracked bodies."""

    def __init__(self) -> None:
        """Start with no body."""
        # By body id: (2, E), sum of lengths weighted by their information, and the information, 1/m and 1/m^2.
        self._sums: dict[int, FloatArray] = {}

    def prior(self, body_ids: IntArray) -> BonePrior | None:
        """Return what is known of ``body_ids`` (B,), -1 for a body without an id; None if nothing is of any."""
        ids = body_ids.tolist()
        if not any(body in self._sums for body in ids):
            return None
        weighted, information = np.stack([self._sums.get(body, _UNKNOWN) for body in ids], 1)
        known = information > 0.0
        length = np.divide(weighted, information, out=np.zeros_like(weighted), where=known)
        variance = np.divide(_ALIKE_SETS, information, out=np.full_like(weighted, np.inf), where=known)
        return BonePrior(length, variance)

    def learn(self, body_ids: IntArray, tracked: IntArray, xyz: FloatArray, covariance: FloatArray) -> None:
        """Take in bodies as measured, and forget those that are no longer tracked.

        Args:
            body_ids: (B,) of the measured bodies.
            tracked: ids of all bodies that are still known.
            xyz: (B, J, 3) m, from the views alone, NaN = unknown: nothing that already depends on bone lengths.
            covariance: (B, J, 3, 3) m^2.
        """
        prior = self.prior(body_ids)
        if len(self._sums) > len(tracked):
            alive = set(tracked.tolist())
            self._sums = {body: sums for body, sums in self._sums.items() if body in alive}
        bone = xyz[:, _CHILD] - xyz[:, _PARENT]
        length = np.sqrt((bone * bone).sum(-1))
        both = covariance[:, _CHILD] + covariance[:, _PARENT]
        along = (bone[..., None, :] @ both @ bone[..., None])[..., 0, 0]
        # NaN is not greater.
        good = (length > _SHORT_M) & (along > 0.0)
        information = np.divide(length * length, along, out=np.zeros_like(length), where=good)
        length[~good] = 0.0
        new = np.stack([length * information, information], 1)
        surprise = [0.0] * len(length) if prior is None else _surprise(length, information, prior).tolist()
        for body, surprised, sums in zip(body_ids.tolist(), surprise, new, strict=True):
            share = _KEPT if surprised <= _SURPRISED else _KEPT_BY_SURPRISED
            if sums[1].any():
                self._sums[body] = share * self._sums.get(body, _UNKNOWN) + sums


def _surprise(length: FloatArray, information: FloatArray, prior: BonePrior) -> FloatArray:
    """Return (B,) the mean over the bones of (length - known length)^2, relative to its variance."""
    both = (information > 0.0) & (prior.length > 0.0)
    variance = prior.variance + np.square(_SPREAD * prior.length) + 1.0 / np.where(both, information, 1.0)
    squared = np.where(both, np.square(length - prior.length) / variance, 0.0)
    return np.asarray(squared.sum(1) / np.maximum(both.sum(1), 1))
