# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Clock offsets of the cameras, from people's motion.

A camera whose stamps are late by tau sees a moving joint where it was tau ago: its residual is -g tau, g the joint's
velocity in the image, beside a constant offset b of the view (its calibration) and the joint's own error. All cameras'
(tau, b) are one linear least-squares problem, the joints eliminated (Schur complement, as in bundle adjustment; Triggs
et al. 1999, section 6), summed over time with forgetting. Without motion nothing is learned.

Where all people walk one way, a late clock looks like a wrong calibration along that way. Stamps that are always the
same decide: free-running clocks do not agree to a millisecond by chance, so these cameras have one trigger and one
clock.
"""

from __future__ import annotations

import numpy as np

from ...arrays import BoolArray, FloatArray, IntArray
from ..kernels import cameras as kernels

# What was learned is forgotten over this, s: clocks drift.
_MEMORY_S = 20.0
# Standard deviations of clock offsets (s) and view offsets (at focal length 1) before anything is known.
_OFFSET_S = 0.05
_VIEW_OFFSET = 0.01
# Where the stamps were the same in this share of the last sets, the standard deviation is how much the same they were.
_MOSTLY = 0.9
# Clocks that agree lie this close to their median, s.
_AGREE_S = 0.005
# Offsets are solved for this often, s.
_EVERY_S = 0.2


class ClockOffsets:
    """How far each camera's stamps are ahead of what the cameras have in common.

    Attributes:
        offset_s: (C,).
        sigma_s: (C,) standard deviation.
    """

    def __init__(self, cameras: int) -> None:
        """Start with clocks that agree."""
        self.offset_s = np.zeros(cameras)
        self.sigma_s = np.full(cameras, _OFFSET_S)
        self._information = np.zeros((3 * cameras, 3 * cameras))
        self._right = np.zeros(3 * cameras)
        self._since_s = 0.0
        self._stamps = kernels.Stamps(np.zeros(cameras, np.int64), np.full(cameras, np.inf), np.full(cameras, np.nan))

    def note_stamps(self, stamp_ns: IntArray, known_s: FloatArray, present: BoolArray) -> None:
        """Take note of a set's stamps.

        Args:
            stamp_ns: (C,) as they came, ns.
            known_s: (C,) the cameras' offsets in the rig. Stamps may be the same as they came (offsets are then
                delays behind one trigger), or with these taken off (one trigger, clocks that were set apart).
            present: (C,) the cameras of the set.
        """
        kernels.note_stamps(self._stamps, stamp_ns, known_s, present)

    def learn(self, views: kernels.SeenBodies, dt_s: float) -> None:
        """Take in a set, ``dt_s`` after the last; its cameras' dt_s have ``offset_s`` taken off."""
        forget = np.exp(-dt_s / _MEMORY_S)
        self._information *= forget
        self._right *= forget
        self._since_s += dt_s
        kernels.learn_clocks(views, self.offset_s, self._information, self._right)
        if self._since_s >= _EVERY_S:
            self._since_s = 0.0
            self._solve()

    def _solve(self) -> None:
        cameras = len(self.offset_s)
        prior = np.tile((_OFFSET_S**-2, _VIEW_OFFSET**-2, _VIEW_OFFSET**-2), cameras)
        prior[::3][self._stamps.triggered >= _MOSTLY] = kernels.TRIGGER_S**-2
        covariance = np.linalg.inv(self._information + np.diag(prior))
        offset = (covariance @ self._right)[::3]
        self.offset_s = offset - _common(offset)
        # What all clocks have in common is not known, and does not count.
        apart = np.eye(cameras) - 1.0 / cameras
        self.sigma_s = np.sqrt(np.diag(apart @ covariance[::3, ::3] @ apart))


def _common(offset_s: FloatArray) -> float:
    """Return what the clocks (C,) have in common, s: what most of them say where most agree, else their mean.

    Motion tells differences only.
    """
    agree = np.abs(offset_s - np.median(offset_s)) <= _AGREE_S
    return float(offset_s[agree].mean() if 2 * agree.sum() > len(offset_s) else offset_s.mean())
