# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""3D labels from geometry alone: triangulation made robust over views, time and bones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.ndimage import gaussian_filter1d

from geo_pose_ros.arrays import BoolArray, FloatArray
from geo_pose_ros.geometry.rigid import transform_points
from geo_pose_ros.geometry.stats import geman_mcclure_weight, nan_median
from geo_pose_ros.geometry.triangulation import triangulate_robust
from geo_pose_ros.skeleton import BODY17

from ..data.recording import PersonRecording
from .sides import exchange_sides, find_exchanges
from .views import SeenJoints, by_point

# Lengths relative to the person's extent in the image, so that near and far people are treated alike.
_NOISE = 0.012
_OUTLIER = 0.1
# Standard deviations, m, of the predictions from neighbours in time and from bones; how long a joint is smooth, s.
_TIME_SIGMA_M = 0.05
_BONE_SIGMA_M = 0.03
_SMOOTH_S = 0.05
_SWEEPS = 8
# A label this uncertain (m) gets half the weight.
_HALF_WEIGHT_M = 0.05


def refined_labels(recording: PersonRecording) -> tuple[FloatArray, FloatArray]:
    """Return joints (F, J, 3) m of a recording and their weights (F, J) in [0, 1]; those that it holds, if it does.

    Starts from outlier-rejecting triangulation and then alternates: each joint gets a prediction from its neighbours
    in time and from the recording's median bone lengths; every measurement is weighted by its agreement with that
    prediction (Geman-McClure); the joint is solved from both (one Gauss-Newton step on the reprojection error with
    the prediction as prior). With two views this is what finds outliers that move along the epipolar line. Where the
    sides of arms or legs are then seen to be exchanged in some views, all is done once more without.
    """
    if recording.refined is not None:
        return recording.refined
    return labels_with_covariance(recording)[:2]


def labels_with_covariance(recording: PersonRecording) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return joints (F, J, 3) m, weights (F, J), as ``refined_labels``, and covariances (F, J, 3, 3) m^2."""
    views, focal_px = SeenJoints.of(recording), recording.focal_px
    found = _solved(views, focal_px)
    confused = find_exchanges(views, found[0])
    if not confused.any():
        return found
    rays, confidence = exchange_sides(views.rays, views.confidence, confused)
    return _solved(replace(views, rays=rays, confidence=confidence), focal_px)


def _solved(views: SeenJoints, focal_px: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return joints, weights and covariances, of views whose sides are right; see ``labels_with_covariance``."""
    frames, _, joints = views.confidence.shape
    seen, extent = views.seen, views.extent()
    # Robust triangulation wants one outlier bound per call; the views' median person is close enough to start from.
    typical_px = float(np.nanmedian(extent * focal_px)) if seen.any() else 1.0
    points, weights = by_point(views.rays, np.where(seen, views.confidence, 0.0) / (_NOISE * typical_px))
    start, _ = triangulate_robust(views.cam_from_world, focal_px, points, weights, outlier_px=_OUTLIER * typical_px)
    xyz = start.reshape(frames, joints, 3)
    known: BoolArray = np.asarray(np.isfinite(xyz).all(-1))
    if known.sum() < joints:
        return np.full_like(xyz, np.nan), np.zeros((frames, joints)), np.full((*xyz.shape, 3), np.nan)
    lengths = bone_lengths(xyz)
    xyz = _fill(xyz, known)
    information = known.astype(float)
    sigma = _NOISE * np.where(np.isfinite(extent), extent, 1.0)[..., None]
    prior_information = 1.0 / _TIME_SIGMA_M**2 + 1.0 / _BONE_SIGMA_M**2
    posterior = np.zeros((frames, joints, 3, 3))
    for _ in range(_SWEEPS):
        smooth = _smooth(xyz, information, views.fps)
        predicted = (
            smooth / _TIME_SIGMA_M**2 + _with_bone_lengths(xyz, lengths) / _BONE_SIGMA_M**2
        ) / prior_information
        normal, gradient = _measurements(views, sigma, predicted)
        information = np.trace(normal, axis1=-2, axis2=-1)
        information = information / (information + 3.0 * prior_information)
        posterior = normal + prior_information * np.eye(3)
        xyz = predicted + np.linalg.solve(posterior, gradient[..., None])[..., 0]
    covariance: FloatArray = np.asarray(np.linalg.inv(posterior), np.float64)
    spread = np.sqrt(np.trace(covariance, axis1=-2, axis2=-1))
    weight = np.where(np.isfinite(spread), information / (1.0 + (spread / _HALF_WEIGHT_M) ** 2), 0.0)
    return xyz, weight, covariance


def _measurements(views: SeenJoints, sigma: FloatArray, xyz: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return Gauss-Newton's normal matrices (F, J, 3, 3) and gradients (F, J, 3) of the robust errors at ``xyz``."""
    local = np.moveaxis(transform_points(views.cam_from_world[:, None], xyz[None]), 0, 1)
    ahead = views.seen & (local[..., 2] > 0.1)
    depth = np.where(ahead, local[..., 2], 1.0)[..., None]
    projected = local[..., :2] / depth
    error = np.where(ahead[..., None], views.rays - projected, 0.0)
    robust = geman_mcclure_weight((error**2).sum(-1) / (_OUTLIER / _NOISE * 0.5 * sigma) ** 2)
    weight = np.where(ahead, views.confidence**2 / sigma**2 * robust, 0.0)
    R = views.cam_from_world[None, :, None, :, :3]
    normal, gradient = np.zeros((*xyz.shape, 3)), np.zeros_like(xyz)
    for axis in range(2):
        # Element by element: 3 x 3 products this small are an order faster than through einsum.
        J = [(R[..., axis, i] - projected[..., axis] * R[..., 2, i]) / depth[..., 0] for i in range(3)]
        for i in range(3):
            WJ = weight * J[i]
            gradient[..., i] += (WJ * error[..., axis]).sum(1)
            for k in range(i, 3):
                normal[..., i, k] += (WJ * J[k]).sum(1)
    for i, k in ((0, 1), (0, 2), (1, 2)):
        normal[..., k, i] = normal[..., i, k]
    return normal, gradient


def _fill(xyz: FloatArray, known: BoolArray) -> FloatArray:
    """Return ``xyz`` (F, J, 3) with gaps bridged in time; a joint that is never known takes the person's centre."""
    filled = np.array(xyz)
    times = np.arange(len(xyz))
    centre = np.nanmean(xyz, axis=(0, 1))
    for joint in range(xyz.shape[1]):
        have = known[:, joint]
        for axis in range(3):
            values = xyz[have, joint, axis]
            filled[:, joint, axis] = np.interp(times, times[have], values) if have.any() else centre[axis]
    return filled


def _smooth(xyz: FloatArray, information: FloatArray, fps: float) -> FloatArray:
    """Return the joints (F, J, 3) as weighted means over neighbouring frames."""
    width = _SMOOTH_S * fps
    weights = information + 1e-3
    total = gaussian_filter1d(weights, width, axis=0, mode='nearest')
    return np.asarray(gaussian_filter1d(xyz * weights[..., None], width, axis=0, mode='nearest') / total[..., None])


def bone_lengths(xyz: FloatArray) -> FloatArray:
    """Return the median length (B,) of each bone over the recording, m; NaN if never seen."""
    parents, children = np.array(BODY17.edges).T
    return nan_median(np.linalg.norm(xyz[:, children] - xyz[:, parents], axis=-1).T)


def _with_bone_lengths(xyz: FloatArray, lengths: FloatArray) -> FloatArray:
    """Return the joints (F, J, 3) moved half-way along each bone towards its length, averaged over a joint's bones."""
    moved, count = np.zeros_like(xyz), np.zeros(xyz.shape[1])
    for (parent, child), length in zip(BODY17.edges, lengths, strict=True):
        if not np.isfinite(length):
            continue
        bone = xyz[:, child] - xyz[:, parent]
        actual = np.linalg.norm(bone, axis=-1, keepdims=True)
        step = 0.5 * (length / np.maximum(actual, 1e-6) - 1.0) * bone
        moved[:, child] += step
        moved[:, parent] -= step
        count[[parent, child]] += 1
    return np.asarray(xyz + moved / np.maximum(count, 1.0)[:, None])
