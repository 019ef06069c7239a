"""Tracked bodies as Bodies3D."""

from __future__ import annotations

import numpy as np

from ..fusion.estimate import Estimate
from ..skeleton import Skeleton
from ..types import Bodies3D
from .tracks import TrackedBodies

# A joint that no view supports is half trusted at this standard deviation.
_HALF_TRUSTED_M = 0.1


def to_bodies(stamp_ns: int, frame_id: str, skeleton: Skeleton, estimate: Estimate, tracked: TrackedBodies) -> Bodies3D:
    """Return the tracked bodies, the first B of which are those of ``estimate``, with what supports each joint.

    A joint's confidence is the mean of the views that support it; of a joint that none does, one that falls with its
    uncertainty.
    """
    solution, support = estimate.solution, estimate.solution.support
    bodies, joints = len(tracked.body_ids), len(skeleton)
    num_views = np.zeros((bodies, joints), np.int64)
    error = np.full((bodies, joints), np.nan)
    measured, count = support.shape[1], solution.num_views
    num_views[:measured] = count
    covariance = tracked.covariance
    variance = covariance[..., 0, 0] + covariance[..., 1, 1] + covariance[..., 2, 2]
    confidence = 0.5 / (1.0 + variance / _HALF_TRUSTED_M**2)
    confidence[np.isnan(confidence)] = 0.0
    seen, divisor = count > 0, np.maximum(count, 1)
    np.copyto(error[:measured], np.where(support, solution.residual_px, 0.0).sum(0) / divisor, where=seen)
    np.copyto(confidence[:measured], (support * estimate.confidence).sum(0) / divisor, where=seen)
    return Bodies3D(
        stamp_ns, frame_id, skeleton, tracked.xyz, tracked.covariance, confidence, num_views, error, tracked.body_ids
    )
