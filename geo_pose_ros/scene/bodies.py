# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Tracks as Bodies3D, and what a set measured of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..arrays import FloatArray, IntArray
from ..fusion.estimate import Estimate
from ..fusion.solver import Solution
from ..skeleton import Skeleton
from ..types import Bodies3D
from .further import FurtherJoints
from .kernels import tracks as kernels
from .kernels.filters import JointStates
from .tracks import Tracks


@dataclass(frozen=True, slots=True, eq=False)
class MeasuredBodies:
    """The B people of one set as the solver measured them, those not confirmed too: what a smoother takes.

    Attributes:
        ids: (B,) of their tracks.
        estimate: their joints.
    """

    ids: IntArray
    estimate: Estimate

    @property
    def solution(self) -> Solution:
        """The joints alone."""
        return self.estimate.solution

    @property
    def confidence(self) -> FloatArray:
        """The mean confidence (B, J) of the inlier views, 0 without one."""
        inlier = self.solution.inlier
        summed = np.where(inlier, self.estimate.views.confidence, 0.0).sum(0)
        return np.asarray(summed / np.maximum(inlier.sum(0), 1))


def to_bodies(
    stamp_ns: int, frame_id: str, skeleton: Skeleton, estimate: Estimate, tracks: Tracks,
    further: FurtherJoints | None = None,
) -> Bodies3D:
    """Return the confirmed bodies, the first of which are those of ``estimate``, with the inliers of each joint.

    Those not measured now are predicted, for as long as the tracks' settings say; with the filter off, bodies are as
    measured. A joint's confidence is the mean of its inliers; of a joint without any, one that falls with its
    uncertainty. The joints of ``skeleton`` after body17's are the ``further`` ones.
    """
    solution, columns, joints = estimate.solution, tracks.columns, tracks.filter.joints
    rows = np.empty(len(tracks), np.int64)
    rows = rows[: kernels.choose_published(columns, joints, len(solution.xyz), tracks.limits, rows)]
    out = _published(columns, joints, (solution, estimate.views.confidence), rows, tracks.limits)
    if further is not None:
        columns = columns._replace(systematic=further.systematic)
        more = _published(columns, further.filter.joints, further.measured, rows, tracks.limits)
        out = kernels.Published(*(np.concatenate(both, 1) for both in zip(out, more, strict=True)))
    for array in out:
        # Bodies need no copy of their own.
        array.flags.writeable = False
    return Bodies3D(
        stamp_ns, frame_id, skeleton, out.xyz, out.covariance, out.confidence, out.num_views, out.error,
        tracks.ids[rows], out.velocity, out.age_s, out.views,
    )


def _published(
    columns: kernels.TrackColumns, joints: JointStates, measured: tuple[Solution, FloatArray], rows: IntArray,
    limits: kernels.TrackLimits,
) -> kernels.Published:
    """Return the joints of the tracks ``rows`` (P,); ``measured``: a solution, and the confidence of its keypoints."""
    each = len(rows), joints.age_s.shape[1]
    out = kernels.Published(
        np.empty((*each, 3)), np.empty((*each, 3, 3)), np.empty(each), np.empty(each, np.int64), np.empty(each),
        np.empty((*each, 3)), np.empty(each), np.empty(each, np.int64),
    )
    kernels.write_published(columns, joints, *measured, rows, limits, out)
    return out
