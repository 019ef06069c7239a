"""Extrinsics from the joints alone (Li et al. 2020, section "without extrinsics"; Hartley & Zisserman ch. 9 and 11).

Between the first camera and each other one: the fundamental matrix of all joint correspondences by RANSAC, from it
the essential matrix, its decomposition, and the solution with the points in front of both cameras (cheirality). That
leaves the lengths of the translations: the first pair's is known (the distance of two cameras, by tape measure); the
others follow, as all pairs triangulate the same joints.
"""

from __future__ import annotations

from collections.abc import Sequence as Items
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from geo_pose_ros.arrays import FloatArray
from geo_pose_ros.errors import CalibrationError
from geo_pose_ros.geometry.rigid import compose
from geo_pose_ros.geometry.triangulation import triangulate_dlt
from geo_pose_ros.types import CameraRig

from ..data.sequence import Sequence

_RANSAC_PX = 4.0
_MIN_POINTS = 50
# Share of the points that must support the pose; random ones give a few per cent.
_LEAST_SUPPORT = 0.2
# More points change the estimate less than their errors do.
_MAX_POINTS = 4000


def relative_pose(
    first: FloatArray, second: FloatArray, first_focal_px: float, second_focal_px: float
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Return ``second_from_first`` (3, 4), its translation of length 1, and the points (N,) that support it.

    Args:
        first, second: (N, 2) corresponding normalised image points.
        first_focal_px, second_focal_px: to weigh errors in px.

    Raises:
        CalibrationError: with too few points, or if no pose puts them in front of both cameras.
    """
    if len(first) > _MAX_POINTS:
        chosen = np.linspace(0, len(first) - 1, _MAX_POINTS).astype(int)
        pose, _ = relative_pose(first[chosen], second[chosen], first_focal_px, second_focal_px)
        return pose, np.ones(len(first), bool)
    if len(first) < _MIN_POINTS:
        raise CalibrationError(
            f'{len(first)} joints are seen by both cameras, expected at least {_MIN_POINTS}; record for longer.'
        )
    # Ideal pixels about a common principal point, so that the RANSAC bound means the same in both images.
    F, found = cv2.findFundamentalMat(
        first * first_focal_px, second * second_focal_px, cv2.FM_RANSAC, _RANSAC_PX, 0.9999
    )
    ahead = 0
    if F is not None and F.shape == (3, 3):
        E = np.diag((second_focal_px, second_focal_px, 1.0)) @ F @ np.diag((first_focal_px, first_focal_px, 1.0))
        U, _, Vt = np.linalg.svd(E)
        inliers = found[:, 0] > 0
        ahead, R, t, _ = cv2.recoverPose(
            U @ np.diag((1.0, 1.0, 0.0)) @ Vt, first[inliers], second[inliers], np.eye(3)
        )
    if ahead < _LEAST_SUPPORT * len(first):
        raise CalibrationError(
            f'Only {ahead} of {len(first)} joints fit one pose of the two cameras and lie in front of both, expected '
            f'{_LEAST_SUPPORT:.0%} or more; it must be one person, who moves through the volume.'
        )
    pose = _least_sampson(np.concatenate((R, t), 1), first[inliers], second[inliers], second_focal_px)
    return pose, inliers


def _least_sampson(pose: FloatArray, first: FloatArray, second: FloatArray, focal_px: float) -> FloatArray:
    """Return ``pose`` (3, 4) refined on the Sampson distance (Hartley & Zisserman 11.4.3), outliers damped (Cauchy)."""
    x1 = np.concatenate((first, np.ones_like(first[:, :1])), 1)
    x2 = np.concatenate((second, np.ones_like(second[:, :1])), 1)
    R0, t0 = pose[:, :3], pose[:, 3]

    def made(change: FloatArray) -> FloatArray:
        t = t0 + change[3:]
        R = Rotation.from_rotvec(change[:3]).as_matrix() @ R0
        return np.concatenate((R, t[:, None] / np.linalg.norm(t)), 1)

    def sampson_px(change: FloatArray) -> FloatArray:
        moved = made(change)
        E = np.cross(np.eye(3), moved[:, 3]) @ moved[:, :3]
        lines2, lines1 = x1 @ E.T, x2 @ E
        scale = np.sqrt((lines2[:, :2] ** 2).sum(1) + (lines1[:, :2] ** 2).sum(1))
        distances: FloatArray = focal_px * (x2 * lines2).sum(1) / np.maximum(scale, 1e-12)
        return distances

    solved = least_squares(sampson_px, np.zeros(6), loss='cauchy', f_scale=_RANSAC_PX, max_nfev=30)
    return made(solved.x)


def extrinsics_from_joints(sequences: Items[Sequence]) -> CameraRig:
    """Return the rig of ``sequences`` with extrinsics estimated from the joints, in the first camera's given frame.

    Of the given extrinsics only the first camera's pose (to have the same world) and its distance to the second
    camera are used.

    Raises:
        CalibrationError: if a camera cannot be related to the first.
    """
    rig = sequences[0].rig
    focal = sequences[0].focal_px
    rays = np.concatenate([sequence.rays() for sequence in sequences])
    views = np.moveaxis(rays, 1, 0).reshape(len(rig), -1, 2)
    weights = np.concatenate([sequence.confidence for sequence in sequences])
    weights = np.moveaxis(weights, 1, 0).reshape(len(rig), -1)
    baseline_m = float(np.linalg.norm(rig.cameras[1].position_m - rig.cameras[0].position_m))
    world_from_scratch = rig.cameras[0].cam_from_world
    cv2.setRNGSeed(0)
    reference: FloatArray | None = None
    cameras = [rig.cameras[0]]
    for index, camera in enumerate(rig.cameras[1:], start=1):
        pair = views[[0, index]]
        common = np.isfinite(pair).all((0, 2))
        try:
            pose, kept = relative_pose(pair[0, common], pair[1, common], focal[0], focal[index])
        except CalibrationError as error:
            raise CalibrationError(f"Cameras '{rig.cameras[0].name}' and '{camera.name}': {error}") from error
        inliers = np.flatnonzero(common)[kept]
        poses = np.stack((np.eye(3, 4), pose))
        depth = np.full(len(common), np.nan)
        depth[inliers] = triangulate_dlt(poses, pair[:, inliers], weights[[0, index]][:, inliers])[:, 2]
        if reference is None:
            scale = baseline_m
            reference = scale * depth
        else:
            ratios = reference / depth
            scale = float(np.median(ratios[np.isfinite(ratios)])) if np.isfinite(ratios).any() else np.nan
            if not np.isfinite(scale):
                raise CalibrationError(
                    f"Camera '{camera.name}' shares no joint with the first pair; record for longer."
                )
        pose = np.concatenate((pose[:, :3], scale * pose[:, 3:]), 1)
        cameras.append(replace(camera, cam_from_world=compose(pose, world_from_scratch)))
    return CameraRig(tuple(cameras), rig.world_frame_id)
