"""Bodies from their grouped views: solved, and solved again where a view had its sides exchanged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from ..arrays import FloatArray, IntArray
from .left_right import find_suspects, repair_sides
from .lifted import LiftedViews
from .prior import BodyPrior
from .settings import SolverConfig
from .solver import Solution, solve
from .table import BodyTable
from .views import BodyViews, Cameras, Noise

# Views of bodies whose sides were repaired, and the rows (K,) of the bodies, to their lifted poses.
Relift = Callable[[BodyViews, IntArray], LiftedViews | None]


@dataclass(frozen=True, slots=True, eq=False)
class Estimate(BodyTable):
    """B bodies and the views they were made from.

    Attributes:
        solution: the joints.
        views: the keypoints as used, sides repaired.
        weights: (C, B, J) 1 / standard deviation, 1/px, that the settings give the keypoints.
        swaps: (B,) limb groups of views whose sides were exchanged.
    """

    BODY_AXIS: ClassVar[Mapping[str, int]] = {'weights': 1}

    solution: Solution
    views: BodyViews
    weights: FloatArray
    swaps: IntArray


def estimate_bodies(
    cameras: Cameras, views: BodyViews, prior: BodyPrior, config: SolverConfig, noise: Noise,
    relift: Relift | None = None,
) -> Estimate:
    """Estimate B bodies from C views.

    Args:
        cameras: C cameras.
        views: of the bodies.
        prior: what else is known of the bodies, their lifted poses included.
        config: settings.
        noise: of the views.
        relift: lifts bodies again whose sides were repaired; None to triangulate those only.
    """

    def solved(views: BodyViews, weights: FloatArray, prior: BodyPrior) -> Solution:
        weights = noise.applied(weights, cameras.focal_px)
        return solve(cameras.cam_from_world, cameras.focal_px, views.xn, weights, config, prior, noise)

    weights = views.weights(cameras.focal_px, config.noise_px)
    solution = solved(views, weights, prior)
    swaps = np.zeros(views.xn.shape[1], np.int64)
    suspects, against_prediction = find_suspects(
        cameras, views, noise.applied(weights, cameras.focal_px), solution, prior, config.robust_sigmas
    )
    if not len(suspects):
        return Estimate(solution, views, weights, swaps)
    bare = BodyPrior(displacement=prior.displacement).select(suspects)

    def triangulated(some: BodyViews, rows: IntArray) -> Solution:
        weights = noise.applied(some.weights(cameras.focal_px, config.noise_px), cameras.focal_px)
        moved = bare.select(rows)
        return solve(cameras.cam_from_world, cameras.focal_px, some.xn, weights, config, moved)

    repaired, count = repair_sides(views.select(suspects), against_prediction, triangulated)
    changed = count > 0
    if not changed.any():
        return Estimate(solution, views, weights, swaps)
    again, repaired = suspects[changed], repaired.select(changed)
    swaps[again] = count[changed]
    known = prior.select(again)
    if relift is not None:
        known = replace(known, lifted=relift(repaired, again))
    repaired_weights = repaired.weights(cameras.focal_px, config.noise_px)
    weights[:, again] = repaired_weights
    return Estimate(
        solution.with_rows(again, solved(repaired, repaired_weights, known)), views.with_rows(again, repaired), weights,
        swaps,
    )
