# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The tracks' columns from set to set: how established each is, how uncertain, and what is published of it."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ...compiled import Bool1D, Bool3D, Float1D, Float2D, Float3D, Float4D, Int1D, Int2D, helper, kernel
from ...fusion.kernels.tables import Solution
from .filters import JointStates, median

# Time over which the detection rate is averaged.
_RATE_S = 0.5
# A body seen by this share of the cameras that should see it is confirmed at once, if three cameras or more do; by this
# share after confirm_sets.
_CONFIRMED_AT_ONCE, _CONFIRMED_SOON = 0.75, 0.5
# One that few cameras see is confirmed when it has been seen so often too: at low rates, confirm_s is a set or two.
_LASTED_SETS = 5
# Variance of a body's centre after two views have seen so many of its joints, m^2, and how it grows while they do not,
# m^2/s: one view, or the lifter's idea of a body's size, does not say how far away somebody is.
_LEAST_JOINTS = 4
CENTRE_M2 = 0.05**2
CENTRE_GROWTH_M2_S = 0.08
# How much less a tentative track counts in the assignment than a confirmed one, and one that was not seen for so long;
# and the least detection rate that counts.
_TENTATIVE_WEIGHT = 0.5
_UNSEEN_WEIGHT, _UNSEEN_S = 0.6, 0.15
_LEAST_RATE = 0.2
# A joint without an inlier has half of the largest confidence at this standard deviation.
_HALF_CONFIDENCE_M = 0.1


class TrackColumns(NamedTuple):
    """The columns of T tracks, as ``tracks.Tracks`` describes them."""

    ids: Int1D
    confirmed: Bool1D
    detection_rate: Float1D
    sets: Int1D
    unseen_s: Float1D
    age_s: Float1D
    views: Int1D
    centre_variance: Float1D
    systematic: Float4D


class TrackLimits(NamedTuple):
    """Settings of the tracks; see ``settings.TrackingConfig``."""

    max_gap_s: float
    remember_s: float
    tentative_s: float
    confirm_sets: int
    confirm_s: float
    max_sigma_m: float
    enabled: bool


@kernel('rows')
def find_rows(ids: Int1D, wanted: Int1D, rows: Int1D) -> None:
    """Write (N,) where each of ``wanted`` (N,) is among ``ids`` (T,); -1 where it is not."""
    for n in range(len(wanted)):
        rows[n] = -1
        for t in range(len(ids)):
            if ids[t] == wanted[n]:
                rows[n] = t


@kernel('kept')
def age_tracks(tracks: TrackColumns, joints: JointStates, limits: TrackLimits, dt_s: float, kept: Bool1D) -> int:
    """Let all tracks grow ``dt_s`` older and old joints be unknown; write which (T,) remain, return how many."""
    count = 0
    for t in range(len(kept)):
        tracks.unseen_s[t] += dt_s
        tracks.age_s[t] += dt_s
        tracks.centre_variance[t] += CENTRE_GROWTH_M2_S * dt_s
        known = False
        for j in range(joints.age_s.shape[1]):
            # A joint that is not measured though its body is.
            if tracks.unseen_s[t] <= limits.max_gap_s and joints.age_s[t, j] > max(limits.max_gap_s, 1e-9):
                joints.position[t, j] = np.nan
            known |= math.isfinite(joints.position[t, j, 0])
        remembered_s = limits.remember_s if tracks.confirmed[t] else limits.tentative_s
        kept[t] = known and not tracks.unseen_s[t] > remembered_s
        count += kept[t]
    return count


@kernel('sigma_m')
def sigmas(joints: JointStates, sigma_m: Float1D) -> None:
    """Write (T,) m the standard deviation of each body's joints, per axis: the median of the random part."""
    variance = np.empty(joints.age_s.shape[1])
    for t in range(len(sigma_m)):
        sigma_m[t] = _sigma(joints, joints.blocks[:0, :, 0], t, variance)


@kernel('sigma_m')
def joint_sigmas(joints: JointStates, systematic: Float4D, rows: Int1D, sigma_m: Float2D) -> None:
    """Write (N, J) m the standard deviation of the joints of the tracks ``rows`` (N,), per axis."""
    for n in range(len(rows)):
        for j in range(sigma_m.shape[1]):
            P, more = joints.blocks[rows[n], j, 0], systematic[rows[n], j]
            trace = P[0, 0] + more[0, 0] + (P[1, 1] + more[1, 1]) + (P[2, 2] + more[2, 2])
            sigma_m[n, j] = math.sqrt(trace / 3.0)


@helper
def _sigma(joints: JointStates, systematic: Float4D, t: int, variance: Float1D) -> float:
    for j in range(len(variance)):
        P = joints.blocks[t, j, 0]
        variance[j] = P[0, 0] + P[1, 1] + P[2, 2]
        if len(systematic):
            variance[j] += systematic[t, j, 0, 0] + systematic[t, j, 1, 1] + systematic[t, j, 2, 2]
    return math.sqrt(median(variance) / 3.0)


@kernel('priority')
def priorities(tracks: TrackColumns, priority: Float1D) -> None:
    """Write (T,) in (0, 1], how well established each body is beside others in the assignment."""
    for t in range(len(priority)):
        sure = 1.0 if tracks.confirmed[t] else _TENTATIVE_WEIGHT
        if tracks.unseen_s[t] > _UNSEEN_S:
            sure *= _UNSEEN_WEIGHT
        priority[t] = sure * min(max(tracks.detection_rate[t], _LEAST_RATE), 1.0)


class Evidence(NamedTuple):
    """How well a set shows its B bodies.

    Attributes:
        views: (B,) cameras that see each.
        rate: (B,) share of the cameras that should see it that do.
        inlier: (C, B, J) keypoints that agree with the joint.
        alone: no camera sees more than one person, so that there is nobody to be confused with.
    """

    views: Int1D
    rate: Float1D
    inlier: Bool3D
    alone: bool


@kernel()
def update_tracks(
    tracks: TrackColumns, covariance: Float4D, random_covariance: Float4D, evidence: Evidence, limits: TrackLimits
) -> None:
    """Take in the bodies measured now, which are the first B tracks.

    Args:
        tracks: their columns.
        covariance, random_covariance: (B, J, 3, 3) m^2, NaN where unknown.
        evidence: of the set.
        limits: settings.
    """
    cameras, bodies, joints = evidence.inlier.shape
    for b in range(bodies):
        located = 0
        for j in range(joints):
            inliers = 0
            for c in range(cameras):
                inliers += evidence.inlier[c, b, j]
            located += inliers >= 2
            for r in range(3):
                for k in range(3):
                    if math.isfinite(covariance[b, j, r, k]):
                        tracks.systematic[b, j, r, k] = covariance[b, j, r, k] - random_covariance[b, j, r, k]
        if located >= _LEAST_JOINTS:
            tracks.centre_variance[b] = CENTRE_M2
        kept = math.exp(-tracks.unseen_s[b] / _RATE_S) if tracks.sets[b] > 0 else 0.0
        rate, views = kept * tracks.detection_rate[b] + (1.0 - kept) * evidence.rate[b], evidence.views[b]
        tracks.detection_rate[b] = rate
        tracks.sets[b] += 1
        tracks.views[b] = views
        tracks.unseen_s[b] = 0.0
        at_once = rate >= _CONFIRMED_AT_ONCE and (views >= 3 or evidence.alone)
        soon = tracks.sets[b] >= limits.confirm_sets and rate >= _CONFIRMED_SOON
        lasted = tracks.sets[b] >= _LASTED_SETS and tracks.age_s[b] >= limits.confirm_s
        tracks.confirmed[b] |= at_once or soon or lasted


@kernel('rows')
def choose_published(tracks: TrackColumns, joints: JointStates, measured: int, limits: TrackLimits, rows: Int1D) -> int:
    """Write the tracks to be published, the first ``measured`` of which were measured now; return how many."""
    variance = np.empty(joints.age_s.shape[1])
    count = 0
    for t in range(len(rows)):
        if not tracks.confirmed[t] or tracks.unseen_s[t] > limits.max_gap_s:
            continue
        if t < measured:
            # Two views have placed the body, but do not now.
            unplaced = CENTRE_M2 < tracks.centre_variance[t] < np.inf
            shown = not unplaced or _sigma(joints, tracks.systematic, t, variance) <= limits.max_sigma_m
        else:
            shown = limits.enabled and _sigma(joints, joints.blocks[:0, :, 0], t, variance) <= limits.max_sigma_m
        if shown:
            rows[count] = t
            count += 1
    return count


class Published(NamedTuple):
    """The P bodies to be written, as in ``types.Bodies3D``."""

    xyz: Float3D
    covariance: Float4D
    confidence: Float2D
    num_views: Int2D
    error: Float2D
    velocity: Float3D
    age_s: Float2D
    views: Int2D


@kernel()
def write_published(
    tracks: TrackColumns, joints: JointStates, solved: Solution, confidence: Float3D, rows: Int1D, limits: TrackLimits,
    out: Published,
) -> None:
    """Write the tracks ``rows`` (P,); with the filter off, the first B as ``solved``.

    ``confidence`` (C, B, J) is that of their keypoints.
    """
    bodies = solved.inlier.shape[1]
    for p in range(len(rows)):
        t = rows[p]
        as_measured = t < bodies and not limits.enabled
        for j in range(out.age_s.shape[1]):
            for r in range(3):
                out.xyz[p, j, r] = solved.xyz[t, j, r] if as_measured else joints.position[t, j, r]
                for k in range(3):
                    filtered = joints.blocks[t, j, 0, r, k] + tracks.systematic[t, j, r, k]
                    out.covariance[p, j, r, k] = solved.covariance[t, j, r, k] if as_measured else filtered
                out.velocity[p, j, r] = joints.velocity[t, j, r]
            out.age_s[p, j] = joints.age_s[t, j]
            if not math.isfinite(out.xyz[p, j, 0]):
                out.covariance[p, j], out.velocity[p, j], out.age_s[p, j] = np.nan, np.nan, np.nan
            _write_views(solved, confidence, t, j, p, out)


@helper
def _write_views(solved: Solution, confidence: Float3D, t: int, j: int, p: int, out: Published) -> None:
    """Write of a joint which views are inliers, how far off, and its confidence."""
    count, error, sure, views = 0, 0.0, 0.0, 0
    if t < solved.inlier.shape[1]:
        for c in range(solved.inlier.shape[0]):
            if solved.inlier[c, t, j]:
                count += 1
                error += solved.residual_px[c, t, j]
                sure += confidence[c, t, j]
                views |= 1 << c
    out.num_views[p, j], out.views[p, j] = count, views
    if count:
        out.error[p, j], out.confidence[p, j] = error / count, sure / count
        return
    P = out.covariance[p, j]
    uncertain = 0.5 / (1.0 + (P[0, 0] + P[1, 1] + P[2, 2]) / _HALF_CONFIDENCE_M**2)
    out.error[p, j], out.confidence[p, j] = np.nan, uncertain if math.isfinite(uncertain) else 0.0


class ReportArrays(NamedTuple):
    """To be written, of D detections in C cameras.

    Attributes:
        owners: (D,) the id of the body that each detection is of, -1 for none.
        used: (C,) how many bodies have a keypoint in the view.
        residuals_px: (C B J,) of the inliers, camera after camera.
        ends: (C,) where each camera's residuals end.
    """

    owners: Int1D
    used: Int1D
    residuals_px: Float1D
    ends: Int1D


@kernel()
def write_report(
    views: Int2D, ids: Int1D, confidence: Float3D, inlier: Bool3D, residual_px: Float3D, out: ReportArrays
) -> None:
    """Write the report of B bodies.

    Args:
        views: (B, C) the detection of each body in each camera, -1 for none.
        ids: (B,) of the bodies.
        confidence: (C, B, J) of the keypoints, 0 where not seen.
        inlier, residual_px: (C, B, J) of the keypoints.
        out: to be written.
    """
    cameras, bodies, joints = inlier.shape
    out.owners[:] = -1
    end = 0
    for c in range(cameras):
        out.used[c] = 0
        for b in range(bodies):
            if views[b, c] >= 0:
                out.owners[views[b, c]] = ids[b]
            used = False
            for j in range(joints):
                used |= confidence[c, b, j] > 0.0
                if inlier[c, b, j]:
                    out.residuals_px[end] = residual_px[c, b, j]
                    end += 1
            out.used[c] += used
        out.ends[c] = end
