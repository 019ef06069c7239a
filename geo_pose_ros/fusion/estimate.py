# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Bodies from their grouped views: solved, and solved again where a view had its sides exchanged or a lifter helps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import ClassVar

import numpy as np

from ..arrays import BoolArray, FloatArray, IntArray
from ..compiled import ready
from .depth import pose_depths
from .kernels.sides import find_suspects
from .left_right import Sides
from .prior import BodyPrior, LiftedViews
from .settings import SolverConfig
from .solver import Solution, keypoints_table, model_table, solve_rows
from .table import BodyTable
from .views import BodyViews, Cameras, Noise

# Views of bodies, and the rows (K,) of the bodies, to their lifted poses.
Lift = Callable[[BodyViews, IntArray], LiftedViews | None]

# Several views have seen a body within a tenth of a second where its centre is known this well, m^2.
_SURE_M2 = 0.01


@dataclass(frozen=True, slots=True, eq=False)
class Estimate(BodyTable):
    """B bodies and the views they were made from.

    Attributes:
        solution: the joints.
        views: the keypoints as used, sides repaired.
        weights: (C, B, J) 1 / standard deviation, 1/px, that the settings give the keypoints.
        exchanged: (groups, C, B) the limb groups (``LIMBS``) of views whose sides were exchanged.
        lifted: the lifted poses of ``views``; None where nothing is.
    """

    BODY_AXIS: ClassVar[Mapping[str, int]] = {'weights': 1, 'exchanged': 2}

    solution: Solution
    views: BodyViews
    weights: FloatArray
    exchanged: BoolArray
    lifted: LiftedViews | None


def estimate_bodies(
    cameras: Cameras, views: BodyViews, prior: BodyPrior, config: SolverConfig, noise: Noise, lift: Lift | None = None,
) -> Estimate:
    """Estimate B bodies from C views.

    Sides that are not as predicted are repaired before anything is lifted or solved; those that the solution makes
    suspect, afterwards.

    Args:
        cameras: C cameras.
        views: of the bodies.
        prior: what else is known of the bodies; with their lifted poses, or ``lift`` makes them.
        config: settings.
        noise: of the views.
        lift: lifts bodies, and again those whose sides are repaired; None to leave these without lifted poses.
    """
    model, (_, bodies, joints) = model_table(config, noise, len(cameras)), views.confidence.shape
    plain = views.weights(cameras.focal_px, config.noise_px)
    counted = noise.applied(plain, cameras.focal_px)
    sides = Sides(
        keypoints_table(cameras.cam_from_world, cameras.focal_px, views.xn, counted, prior.displacement, views.depth),
        ready(views.confidence),
    )
    settled, changed = np.zeros(bodies, bool), np.zeros(0, np.int64)
    if prior.joints is not None:
        sure = None if prior.centre_variance is None else prior.centre_variance < _SURE_M2
        against = sides.against(prior.joints, sure)
        if against.any():
            settled = np.asarray(against.any((0, 1)))
            changed = sides.repair(np.flatnonzero(settled), model, against)
            views = sides.views()
    solution, rows = Solution.empty(len(cameras), bodies, joints), np.arange(bodies)
    if prior.lifted is None and lift is not None:
        prior = replace(prior, lifted=lift(views, rows))
        if views.depth is not None and prior.lifted is not None:
            depth = pose_depths(views.depth, views.xn, cameras.cam_from_world, prior.lifted)
            views, sides.given = replace(views, depth=depth), sides.given._replace(depth=ready(depth))
    elif len(changed):
        prior = replace(prior, lifted=_lifted_again(prior.lifted, views, changed, lift))
    solve_rows(sides.given, rows, model, prior, solution)
    suspects = np.empty(bodies, bool)
    find_suspects(sides.given, solution, config.robust_sigmas, suspects)
    suspects &= ~settled
    if suspects.any():
        changed = sides.repair(np.flatnonzero(suspects), model)
        views = sides.views()
        if len(changed):
            prior = replace(prior, lifted=_lifted_again(prior.lifted, views, changed, lift))
            solve_rows(sides.given, changed, model, prior.select(changed), solution)
    if sides.exchanged.any():
        plain = views.weights(cameras.focal_px, config.noise_px)
    return Estimate(solution, views, plain, sides.exchanged, prior.lifted)


def _lifted_again(
    lifted: LiftedViews | None, views: BodyViews, rows: IntArray, lift: Lift | None
) -> LiftedViews | None:
    """Return ``lifted`` with the poses of the bodies ``rows`` (K,) from ``views``, whose sides are repaired."""
    if lifted is None:
        return None
    again = None if lift is None else lift(views.select(rows), rows)
    changed = {}
    for name in (field.name for field in fields(lifted)):
        changed[name] = values = getattr(lifted, name).copy()
        values[:, rows] = np.nan if again is None else getattr(again, name)
    return LiftedViews(**changed)
