# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Extrinsics from the joints alone (Li et al. 2020, section "without extrinsics"; Hartley & Zisserman ch. 9 and 11).

Between the first camera and each other one the joints that both see give the relative pose up to the length of its
translation. The first pair's is known (the distance of two cameras, by tape measure); the others follow, as all pairs
triangulate the same joints.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from geo_pose_ros.arrays import BoolArray, FloatArray
from geo_pose_ros.calibration.epipolar import essential_of, pair_geometry, sampson
from geo_pose_ros.errors import CalibrationError
from geo_pose_ros.geometry.rigid import compose
from geo_pose_ros.geometry.triangulation import triangulate_dlt
from geo_pose_ros.types import Camera, CameraRig

from ..data.recording import PersonRecording
from .views import by_point

_RANSAC_PX = 4.0
_MIN_POINTS = 50
# Share of the points that must fit the pose; of random ones a few per cent do.
_LEAST_INLIERS = 0.2
# More points change the estimate less than their errors do.
_MAX_POINTS = 4000


def relative_pose(first: FloatArray, second: FloatArray, focal_px: float) -> tuple[FloatArray, BoolArray]:
    """Return ``second_from_first`` (3, 4), its translation of length 1, and the points (N,) that fit it.

    Args:
        first, second: (N, 2) corresponding normalised image points.
        focal_px: of the two cameras in the mean, to weigh errors in px.

    Raises:
        CalibrationError: with too few points, or if no pose puts them in front of both cameras.
    """
    if len(first) < _MIN_POINTS:
        raise CalibrationError(
            f'{len(first)} joints are seen by both cameras, expected at least {_MIN_POINTS}; record for longer.'
        )
    found = pair_geometry(first, second, _RANSAC_PX / focal_px, most_points=_MAX_POINTS)
    if found is None or found.inlier_share < _LEAST_INLIERS:
        raise CalibrationError(
            f'Fewer than {_LEAST_INLIERS:.0%} of {len(first)} joints fit one pose of the two cameras and lie in front '
            'of both; it must be one person, who moves through the volume.'
        )
    distance = sampson(essential_of(found.second_from_first), first, second)
    inliers: BoolArray = np.asarray(distance <= _RANSAC_PX / focal_px)
    some = np.flatnonzero(inliers)
    some = some[np.linspace(0, len(some) - 1, min(len(some), _MAX_POINTS)).astype(int)]
    return _least_sampson(found.second_from_first, first[some], second[some], focal_px), inliers


def _least_sampson(pose: FloatArray, first: FloatArray, second: FloatArray, focal_px: float) -> FloatArray:
    """Return ``pose`` (3, 4) refined on the Sampson distance (Hartley & Zisserman 11.4.3), outliers damped (Cauchy)."""

    def made(change: FloatArray) -> FloatArray:
        t = pose[:, 3:] + change[3:, None]
        return np.concatenate((Rotation.from_rotvec(change[:3]).as_matrix() @ pose[:, :3], t / np.linalg.norm(t)), 1)

    solved = least_squares(
        lambda change: focal_px * sampson(essential_of(made(change)), first, second), np.zeros(6), loss='cauchy',
        f_scale=_RANSAC_PX, max_nfev=30,
    )
    return made(solved.x)


def extrinsics_from_joints(recordings: Sequence[PersonRecording]) -> CameraRig:
    """Return the rig of ``recordings`` with extrinsics estimated from the joints, in the first camera's given frame.

    Of the given extrinsics only the first camera's pose (to have the same world) and its distance to the second
    camera are used.

    Raises:
        CalibrationError: if a camera cannot be related to the first.
    """
    rig, focal_px = recordings[0].rig, recordings[0].focal_px
    views, weights = by_point(
        np.concatenate([recording.rays() for recording in recordings]),
        np.concatenate([recording.confidence for recording in recordings]),
    )
    baseline_m = float(np.linalg.norm(rig.cameras[1].position_m - rig.cameras[0].position_m))
    reference: FloatArray | None = None
    cameras: list[Camera] = [rig.cameras[0]]
    for index, camera in enumerate(rig.cameras[1:], start=1):
        pair = views[[0, index]]
        common = np.flatnonzero(np.isfinite(pair).all((0, 2)))
        try:
            pose, fits = relative_pose(pair[0, common], pair[1, common], float(focal_px[[0, index]].mean()))
        except CalibrationError as error:
            raise CalibrationError(f"Cameras '{rig.cameras[0].name}' and '{camera.name}': {error}") from error
        inliers = common[fits]
        depth = np.full(views.shape[1], np.nan)
        poses = np.stack((np.eye(3, 4), pose))
        depth[inliers] = triangulate_dlt(poses, pair[:, inliers], weights[[0, index]][:, inliers])[:, 2]
        if reference is None:
            reference = baseline_m * depth
        ratios = (reference / depth)[np.isfinite(reference / depth)]
        if not len(ratios):
            raise CalibrationError(f"Camera '{camera.name}' shares no joint with the first pair; record for longer.")
        pose[:, 3] *= np.median(ratios)
        cameras.append(replace(camera, cam_from_world=compose(pose, rig.cameras[0].cam_from_world)))
    return CameraRig(tuple(cameras), rig.world_frame_id)
