"""Repair of left-right swaps: detectors that see a person from behind often exchange the sides of arms or legs.

The views of one body vote: where a view disagrees about a limb group, its labels are exchanged on trial, the body is
triangulated again, and the exchange is kept if all views then agree much better. All bodies at once.

Often the vote is a tie: of four views two look at the limbs from the side, where left and right are one, and the others
contradict each other. The predicted joints decide a tie, and nothing else: a track that has its sides exchanged would
never be put right.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..arrays import BoolArray, FloatArray, IntArray
from ..geometry.stats import geman_mcclure_cost, nan_lower_median
from ..geometry.triangulation import reprojection_residuals
from ..skeleton import BODY17, mirror_of
from .prior import BodyPrior
from .solver import Solution
from .views import BodyViews, Cameras

# The views of the bodies (B',) to these bodies, triangulated.
Triangulate = Callable[[BodyViews, IntArray], Solution]

# A view is suspect if so many joints of a limb group of six disagree with the body.
_SUSPECT_JOINTS = 3
# ... and the mirrored labels cost at most this part of its own.
_SUSPICION = 0.8
# An exchange must lower the limb's cost over all views to this part.
_SWAP_GAIN = 0.6
# Legs and arms of at most two views; more means that the views disagree for another reason.
_MOST_SWAPS = 4
# Two views cannot outvote each other.
_LEAST_VIEWS = 3
# A view has a limb group's sides as predicted, or exchanged, if the other way is this many times as far off.
_CLEARLY = 2.0
# The prediction decides unless the views then agree less, by a keypoint's cost.
_TIE = 0.5
# Several views have seen a body within a tenth of a second where its centre is known this well, m^2.
_SURE_M2 = 0.01

# (groups, 3, 2) the flip pairs (left, right) of body17's legs and of its arms; a group's sides are exchanged together.
LIMB_PAIRS: IntArray = np.array([
    [pair for pair in BODY17.flip_pairs if BODY17.joint_names[pair[0]].endswith(names)]
    for names in (('hip', 'knee', 'ankle'), ('shoulder', 'elbow', 'wrist'))
])
# (groups, 6) the joints of each group; (J, groups) whether a joint is one of them.
LIMBS = LIMB_PAIRS.reshape(len(LIMB_PAIRS), -1)
_MEMBER = (np.arange(len(BODY17))[:, None, None] == LIMBS).any(-1).astype(np.int64)
_MIRROR = mirror_of(BODY17)


def find_suspects(
    cameras: Cameras, views: BodyViews, weights: FloatArray, solution: Solution, prior: BodyPrior, robust_sigmas: float
) -> tuple[IntArray, BoolArray]:
    """Find the bodies of which a view may have exchanged the sides: a suspicion only, and cheap.

    Either most joints of a limb group are outliers in a view and fit better with mirrored labels, or the predicted
    joints say so.

    Args:
        cameras: C cameras.
        views: of B bodies.
        weights: (C, B, J) 1 / standard deviation, 1/px, 0 = not used.
        solution: made from ``views``; a swapped view also drags the joints towards itself.
        prior: of the bodies.
        robust_sigmas: residual, in standard deviations, at which a view counts a quarter.

    Returns:
        bodies: (S,) rising.
        against_prediction: (groups, C, S) the views in which a limb group's sides are not as predicted.
    """
    outliers = (weights > 0.0) & ~solution.inlier
    contradicted = np.asarray((outliers @ _MEMBER >= _SUSPECT_JOINTS).transpose(2, 0, 1))
    against = np.zeros_like(contradicted)
    if prior.joints is not None:
        sure = None if prior.centre_variance is None else prior.centre_variance < _SURE_M2
        against = sides_against_prediction(
            cameras.cam_from_world, views.xn, prior.joints, prior.displacement, sure
        )
    surprising = against.any((0, 1))
    if not (contradicted.any() or surprising.any()):
        return np.zeros(0, np.int64), against[..., :0]
    enough = (weights > 0.0).any(-1).sum(0) >= _LEAST_VIEWS
    bodies = np.flatnonzero(contradicted.any((0, 1)) & ~surprising & enough)
    if len(bodies):
        mirrored = views.xn[:, bodies][..., _MIRROR, :]
        distance = reprojection_residuals(
            cameras.cam_from_world, cameras.focal_px, mirrored.reshape(len(cameras), -1, 2),
            solution.xyz[bodies].reshape(-1, 3),
        ).reshape(mirrored.shape[:-1])
        sharpness = weights[:, bodies] / robust_sigmas
        own, other = (
            _limb_sums(geman_mcclure_cost(np.square(np.nan_to_num(residual_px, posinf=np.inf) * sharpness)))
            for residual_px in (solution.residual_px[:, bodies], distance)
        )
        bodies = bodies[(contradicted[:, :, bodies] & (other < _SUSPICION * own)).any((0, 1))]
    bodies = np.union1d(bodies, np.flatnonzero(surprising))
    return bodies, against[..., bodies]


def sides_against_prediction(
    cam_from_world: FloatArray, xn: FloatArray, predicted: FloatArray, displacement: FloatArray | None,
    sure: BoolArray | None = None,
) -> BoolArray:
    """Return (groups, C, B) the views in which a limb group's sides are not as predicted, where that is no majority.

    Nor is a lone view where the prediction is ``sure``: several views have just seen the body.

    Args:
        cam_from_world: (C, 3, 4).
        xn: (C, B, J, 2) keypoints, NaN = not seen.
        predicted: (B, J, 3) m, NaN = unknown.
        displacement: (C, B, J, 3) m, from ``predicted`` to the joint at the view's instant; None for none.
        sure: (B,), None for nobody.
    """
    there = predicted[None] if displacement is None else predicted + displacement
    local = there @ np.swapaxes(cam_from_world[:, None, :, :3], -1, -2) + cam_from_world[:, None, None, :, 3]
    with np.errstate(divide='ignore', invalid='ignore'):
        image = np.where(local[..., 2:] > 0.0, local[..., :2] / local[..., 2:], np.nan)
    off = np.stack([xn, xn[..., _MIRROR, :]]) - image
    distance = np.sqrt((off * off).sum(-1))[..., LIMBS]
    own, other = nan_lower_median(distance).transpose(0, 3, 1, 2)
    exchanged, straight = _CLEARLY * other < own, _CLEARLY * own < other
    most = straight.sum(1)
    if sure is not None:
        most = np.maximum(most, sure & (np.isfinite(xn[..., 0]).any(-1).sum(0) == 1))
    return np.asarray(exchanged & (exchanged.sum(1) <= most)[:, None])


def repair_sides(
    views: BodyViews, against_prediction: BoolArray, triangulate: Triangulate
) -> tuple[BodyViews, IntArray]:
    """Return the views with the sides of limbs exchanged that views confuse, and (B,) the exchanges per body.

    Args:
        views: of B bodies.
        against_prediction: (groups, C, B) exchanges to try first.
        triangulate: robust triangulation of such views.
    """
    everybody = np.arange(views.xn.shape[1])
    swaps = np.zeros(len(everybody), np.int64)
    active, solution = everybody, triangulate(views, everybody)
    if against_prediction.any():
        tried_views = exchanged(views, against_prediction)
        tried = triangulate(tried_views, everybody)
        before, after = (_limb_cost(s, v).sum((0, 1)) for s, v in ((solution, views), (tried, tried_views)))
        better = np.flatnonzero(after <= before + _TIE)
        views = views.with_rows(better, tried_views.select(better))
        swaps[better] += against_prediction[..., better].sum((0, 1))
        solution = solution.with_rows(better, tried.select(better))
    while len(active):
        current = views.select(active)
        cost = _limb_cost(solution, current)
        group, view = np.divmod(cost.reshape(-1, len(active)).argmax(0), len(views.xn))
        rows = np.arange(len(active))
        chosen = np.zeros(cost.shape, bool)
        chosen[group, view, rows] = True
        tried_views = exchanged(current, chosen)
        tried = triangulate(tried_views, active)
        limb_before = cost.sum(1)[group, rows]
        limb_after = _limb_cost(tried, tried_views).sum(1)[group, rows]
        better = np.flatnonzero(limb_after < _SWAP_GAIN * limb_before)
        views = views.with_rows(active[better], tried_views.select(better))
        swaps[active[better]] += 1
        better = better[swaps[active[better]] < _MOST_SWAPS]
        active, solution = active[better], tried.select(better)
    return views, swaps


def _limb_cost(solution: Solution, views: BodyViews) -> FloatArray:
    """Return (groups, C, B): Geman and McClure's cost, in [0, 1] per joint, summed over the limb group's joints."""
    # Joints that no two views agree on have robust weight 0 in all views, the highest cost.
    return _limb_sums(np.where(views.confidence > 0.0, 1.0 - np.sqrt(solution.robust_weight), 0.0))


def _limb_sums(cost: FloatArray) -> FloatArray:
    """Return (groups, C, B): ``cost`` (C, B, J) summed over the joints of each limb group."""
    return np.stack([cost[..., group].sum(-1) for group in LIMBS])


def exchanged(views: BodyViews, chosen: BoolArray) -> BodyViews:
    """Return the views (C, B) with the sides exchanged where ``chosen`` (groups, C, B)."""
    xn, confidence = views.xn.copy(), views.confidence.copy()
    for group, pairs in zip(chosen, LIMB_PAIRS, strict=True):
        view, body = np.nonzero(group)
        left, right = pairs.T
        to, source = np.concatenate([left, right]), np.concatenate([right, left])
        for values in (xn, confidence):
            values[view[:, None], body[:, None], to] = values[view[:, None], body[:, None], source]
    return BodyViews(xn, confidence)
