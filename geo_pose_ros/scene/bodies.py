"""Tracks as Bodies3D."""

from __future__ import annotations

import numpy as np

from ..fusion.estimate import Estimate
from ..geometry.matrices import traces
from ..skeleton import Skeleton
from ..types import Bodies3D
from .settings import TrackingConfig
from .tracks import Tracks

# A joint without an inlier has half of the largest confidence at this standard deviation.
_HALF_CONFIDENCE_M = 0.1


def to_bodies(
    stamp_ns: int, frame_id: str, skeleton: Skeleton, estimate: Estimate, tracks: Tracks, config: TrackingConfig
) -> Bodies3D:
    """Return the confirmed bodies, the first of which are those of ``estimate``, with the inliers of each joint.

    Those not measured now are predicted, for as long as ``config`` says; with the filter off, bodies are as measured. A
    joint's confidence is the mean of its inliers; of a joint without any, one that falls with its uncertainty.
    """
    solution, inlier = estimate.solution, estimate.solution.inlier
    measured, joints = inlier.shape[1], len(skeleton)
    shown = tracks.confirmed & ~tracks.lost
    shown[measured:] &= tracks.sigma_m()[measured:] <= config.max_sigma_m
    xyz, covariance = tracks.filter.position, tracks.filter.covariance + tracks.systematic
    if not config.enabled:
        shown[measured:] = False
        xyz = np.concatenate([solution.xyz, xyz[measured:]])
        covariance = np.concatenate([solution.covariance, covariance[measured:]])
    known = np.isfinite(xyz[..., 0])
    covariance = np.where(known[..., None, None], covariance, np.nan)
    num_views = np.zeros((len(tracks), joints), np.int64)
    error = np.full((len(tracks), joints), np.nan)
    count = solution.num_views
    num_views[:measured] = count
    confidence = 0.5 / (1.0 + traces(covariance) / _HALF_CONFIDENCE_M**2)
    confidence[np.isnan(confidence)] = 0.0
    seen, divisor = count > 0, np.maximum(count, 1)
    np.copyto(error[:measured], np.where(inlier, solution.residual_px, 0.0).sum(0) / divisor, where=seen)
    np.copyto(confidence[:measured], (inlier * estimate.views.confidence).sum(0) / divisor, where=seen)
    velocity = np.where(known[..., None], tracks.filter.velocity, np.nan)
    age_s = np.where(known, tracks.filter.age_s, np.nan)
    views = np.zeros((len(tracks), joints), np.int64)
    views[:measured] = np.tensordot(1 << np.arange(len(inlier)), inlier.astype(np.int64), 1)
    bodies = Bodies3D(
        stamp_ns, frame_id, skeleton, xyz, covariance, confidence, num_views, error, tracks.ids, velocity, age_s, views
    )
    return bodies.select(shown)
