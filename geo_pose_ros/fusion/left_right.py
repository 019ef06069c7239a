# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Repair of left-right swaps: detectors that see a person from behind often exchange the sides of arms or legs.

The views of one body vote: where a view disagrees about a limb group, its labels are exchanged on trial, the body is
triangulated again, and the exchange is kept if all views then agree much better (``kernels.sides``).

Often the vote is a tie: of four views two look at the limbs from the side, where left and right are one, and the others
contradict each other. The predicted joints decide a tie, and nothing else: a track that has its sides exchanged would
never be put right.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from ..arrays import BoolArray, FloatArray, IntArray
from ..compiled import ready
from ..skeleton import Skeleton, anchors
from .kernels.sides import LIMB_PAIRS, LIMBS, MIRROR, find_sides_against, repair_sides
from .kernels.tables import Keypoints, Model
from .views import BodyViews

__all__ = ['LIMBS', 'LIMB_PAIRS', 'MIRROR', 'Sides']


@cache
def limbs_of(skeleton: Skeleton) -> tuple[IntArray, ...]:
    """Return the joints of each limb group of a skeleton that begins with body17, those that hang from it included."""
    hung = anchors(skeleton)
    return tuple(np.flatnonzero(np.isin(hung, limb)) for limb in LIMBS)


class Sides:
    """The keypoints of B bodies while the sides of their limbs are repaired; what is given does not change.

    Attributes:
        given: the keypoints, with the weights that the solver uses.
        confidence: (C, B, J) in [0, 1].
        exchanged: (groups, C, B) the limb groups of views whose sides were exchanged.
    """

    def __init__(self, given: Keypoints, confidence: FloatArray) -> None:
        """Start with the keypoints as they are."""
        self.given, self.confidence = given, confidence
        self.exchanged: BoolArray = np.zeros((len(LIMBS), *confidence.shape[:2]), bool)
        self._owns = False

    def against(self, predicted: FloatArray, sure: BoolArray | None = None) -> BoolArray:
        """Return (groups, C, B) the views in which a limb group's sides are not as predicted, where these are not most.

        Nor is a lone view where the prediction is ``sure``: several views have just seen the body.

        Args:
            predicted: (B, J, 3) m at the set's instant, NaN = unknown.
            sure: (B,), None for nobody.
        """
        found = np.empty(self.exchanged.shape, bool)
        sure = np.zeros(len(predicted), bool) if sure is None else sure
        find_sides_against(self.given, ready(predicted), sure, found)
        return found

    def views(self) -> BodyViews:
        """Return the keypoints as they are now."""
        depth = self.given.depth
        return BodyViews(self.given.xn, self.confidence, depth if depth.shape[1] else None)

    def repair(self, rows: IntArray, model: Model, against: BoolArray | None = None) -> IntArray:
        """Exchange sides of bodies ``rows`` (N,) where that makes the views agree; return those that it changed.

        Args:
            rows: bodies that were not repaired before.
            model: settings and noise.
            against: (groups, C, B) exchanges to try first; None for none.
        """
        if not self._owns:
            given = self.given
            self.given = given._replace(xn=given.xn.copy(), weights=given.weights.copy(), depth=given.depth.copy())
            self.confidence, self._owns = self.confidence.copy(), True
        if against is None:
            against = np.zeros((len(LIMBS), *self.confidence.shape[:2]), bool)
        repair_sides(self.given, self.confidence, against, rows, model, self.exchanged)
        return rows[self.exchanged[:, :, rows].any((0, 1))]
