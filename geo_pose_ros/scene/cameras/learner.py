# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""When the cameras are learned about: from a set, once the set after it shows how fast people were."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from ...arrays import NS_PER_S, BoolArray, FloatArray, IntArray
from ...fusion.merging import find_gross_errors
from ...fusion.table import gather
from ..measurement import Measured
from ..observation import Observation
from ..tracks import rows_of
from .states import CameraStates

# A camera's gross error is searched for up to this, at focal length 1: some 20 degrees.
_GROSS_REACH = 0.35
# The cameras are learned about this often, s: successive sets say much the same.
_EVERY_S = 0.09


@dataclass(frozen=True, slots=True, eq=False)
class _PastSet:
    """A set that the cameras may be learned about from.

    Attributes:
        observation, measured: of the set.
        ids: (B,) its people.
        local: (C, B, J, 3) their joints, from ``Cameras.see``.
        visible: (B, C) whether the camera should see the body.
    """

    observation: Observation
    measured: Measured
    ids: IntArray
    local: FloatArray
    visible: BoolArray


class CameraLearner:
    """Hands sets to the camera states, one set late and not too often."""

    def __init__(self, states: CameraStates, gate_m: float) -> None:
        """Start with no set; ``gate_m`` is the largest distance of a body from its detection."""
        self._states, self._gate_m = states, gate_m
        self._past: deque[_PastSet] = deque(maxlen=2)
        self._unlearned_s = 0.0

    def add(
        self, observation: Observation, measured: Measured, ids: IntArray, local: FloatArray, visible: BoolArray,
        dt_s: float,
    ) -> None:
        """Take in a set.

        Args:
            observation: the set.
            measured: its people.
            ids: (B,) theirs.
            local: (C, B, J, 3) their joints, from ``Cameras.see``.
            visible: (B, C) whether the camera should see the body.
            dt_s: since the last set.
        """
        self._unlearned_s += dt_s
        if self._unlearned_s >= _EVERY_S and len(self._past) == 2:
            self._learn(observation.stamp_ns, ids, measured.estimate.solution.seen_xyz)
        self._past.append(_PastSet(observation, measured, ids, local, visible))

    def _learn(self, stamp_ns: int, ids: IntArray, seen_xyz: FloatArray) -> None:
        """Learn from the last set, now that this one's people (B,) and joints (B, J, 3) are known."""
        before, last = self._past
        around_s = (stamp_ns - before.observation.stamp_ns) / NS_PER_S
        after = gather(seen_xyz, rows_of(ids, last.ids), np.nan)
        earlier = gather(before.measured.estimate.solution.seen_xyz, rows_of(before.ids, last.ids), np.nan)
        # A filter's velocity lags; the difference around the set does not.
        velocity = (after - earlier) / max(around_s, 1e-3)
        velocity = np.where(np.isfinite(velocity), velocity, 0.0)
        errors = find_gross_errors(
            last.local, last.observation.detections, last.measured.views, last.visible, self._gate_m, _GROSS_REACH
        )
        self._states.learn(
            last.observation.cameras, last.measured.estimate, last.ids, velocity, errors, self._unlearned_s
        )
        self._unlearned_s = 0.0
