# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The world of a rig that people have calibrated: kept, or made from floor, gravity and a length."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation

from ..arrays import FloatArray, IntArray
from ..geometry.rigid import cross_matrix, invert
from ..geometry.stats import geman_mcclure_weight, median_spread
from ..skeleton import BODY17
from ..types import CameraRig
from .people.views import PoseViews
from .task import CalibrateTask, RefusalError, ScaleSource

_ITERATIONS = 30


@dataclass(frozen=True, slots=True, eq=False)
class Similarity:
    """x_new = scale R x_old + t.

    Attributes:
        scale: dimensionless.
        R: (3, 3).
        t: (3,) m.
    """

    scale: float
    R: FloatArray
    t: FloatArray

    def points(self, xyz: FloatArray) -> FloatArray:
        """Return points (..., 3) of the old world in the new one."""
        moved: FloatArray = self.scale * (xyz @ self.R.T) + self.t
        return moved

    def rig(self, rig: CameraRig) -> CameraRig:
        """Return the rig in the new world; every pixel stays."""
        def moved(cam_from_world: FloatArray) -> FloatArray:
            R = cam_from_world[:, :3] @ self.R.T
            return np.column_stack([R, -R @ self.points(invert(cam_from_world)[:, 3])])

        return rig.with_poses(moved)


def lever_m(rig: CameraRig, xyz: FloatArray) -> float:
    """Return the median distance (m) between cameras and joints (..., 3)."""
    middle = np.nanmedian(xyz.reshape(-1, 3), axis=0)
    return float(np.median([np.linalg.norm(camera.position_m - middle) for camera in rig.cameras]))


def align_rig(rig: CameraRig, reference: CameraRig, distance_m: float) -> Similarity:
    """Return the similarity that moves ``rig`` onto ``reference`` (same cameras) best.

    Least squares of the cameras' positions (m) and rotations (rad, times ``distance_m``, what they move at the people's
    distance), iteratively reweighted: a camera that was moved does not take the world with it.
    """
    targets = reference.cameras
    turns = [t.cam_from_world[:, :3].T @ c.cam_from_world[:, :3] for c, t in zip(rig.cameras, targets, strict=True)]
    change = Similarity(1.0, Rotation.from_matrix(turns).mean().as_matrix(), np.zeros(3))
    moved = change.points(np.array([c.position_m for c in rig.cameras]))
    change = Similarity(1.0, change.R, np.mean([c.position_m for c in targets], 0) - moved.mean(0))
    weight = np.ones(len(rig))
    for _ in range(_ITERATIONS):
        J, residual = np.zeros((len(rig), 6, 7)), np.zeros((len(rig), 6))
        for i, (camera, target) in enumerate(zip(change.rig(rig).cameras, targets, strict=True)):
            c = camera.position_m
            turn = Rotation.from_matrix(target.cam_from_world[:, :3].T @ camera.cam_from_world[:, :3]).as_rotvec()
            # A rotation q of the world turns the camera's axes by q, and moves it by q x c + s c + b.
            J[i, :3, :3] = distance_m * np.eye(3)
            J[i, 3:, :3] = -cross_matrix(c)
            J[i, 3:, 3:6] = np.eye(3)
            J[i, 3:, 6] = c
            residual[i] = *(distance_m * turn), *(target.position_m - c)
        root = np.sqrt(weight)[:, None]
        step = np.linalg.lstsq((root[..., None] * J).reshape(-1, 7), (root * residual).ravel(), rcond=None)[0]
        Q, scale = Rotation.from_rotvec(step[:3]).as_matrix(), float(np.exp(step[6]))
        change = Similarity(change.scale * scale, Q @ change.R, scale * (Q @ change.t) + step[3:6])
        error = np.linalg.norm(residual, axis=1)
        usual = max(float(np.median(error)), 1e-9)
        weight = np.maximum(geman_mcclure_weight((error / (4.0 * usual)) ** 2), 1e-6)
        if float(np.abs(step).max()) < 1e-12:
            break
    return change


@dataclass(frozen=True, slots=True)
class WorldReport:
    """What was assumed to make the world, in words, and how sure it is.

    Attributes:
        scale: where lengths come from.
        axes: where the axes come from.
        sigma_gravity_rad, sigma_floor_m: standard deviations; 0 where nothing was estimated.
    """

    scale: str
    axes: str
    sigma_gravity_rad: float
    sigma_floor_m: float


# From the ankle's joint to the floor.
_ANKLE_M = 0.085
# A detector's own joints are not as near as this, px, to the mean of others.
_MEAN_JOINT_PX = 0.05
# Mean stature of adults, men and women; its spread is 5 %.
_MEAN_STATURE_M = 1.69
_LEGS = (('right_hip', 'right_knee', 'right_ankle'), ('left_hip', 'left_knee', 'left_ankle'))
_ANKLES = [BODY17.index('left_ankle'), BODY17.index('right_ankle')]
# Who reaches this part of nearly their largest height from feet to shoulders is upright.
_UPRIGHT = 0.93
# A planted foot's ankle moves slower than this between two instants nearer than that, and is as low as the other one.
_PLANTED_M_S, _PLANTED_S, _LEVEL_M = 0.25, 0.5, 0.03
_LEAST_PLANTED = 20
# How far the mean axis of upright people is from gravity.
_AXIS_SPREAD_RAD = 0.05
_FLOOR_SPREAD_M = 0.02


@dataclass(frozen=True, slots=True)
class Tape:
    """How a stature follows from the joints of a detector: docs/calibration.md says how it was measured.

    Attributes:
        trunk: joints from the hips to the head.
        beyond_m: from head to crown and from ankle to floor, less what the joints lie beyond anatomy's.
    """

    trunk: tuple[str, ...]
    beyond_m: float


# Joints as of motion capture, moved as simulation/detector.py moves them.
OWN_JOINTS = Tape(('pelvis', 'spine', 'thorax', 'nose', 'head'), 0.187)
# Detectors of hips, shoulders, nose and ears (COCO, BlazePose); their nose is the nose's tip, and no part of the spine.
# ANSUR II (Gordon et al. 2014): ear to crown 130 +- 7 mm, ankle to floor 70 +- 7 mm; less 14 mm by which the chain is
# longer than an upright body is tall (mocap17: its straightest people).
MEAN_JOINTS = Tape(('pelvis', 'thorax', 'head'), 0.185)


def tape_of(xy: FloatArray) -> Tape:
    """Return how to measure people by the detector that gave body17 keypoints (..., J, 2) px."""
    pelvis, spine, thorax = (xy[..., BODY17.index(name), :] for name in ('pelvis', 'spine', 'thorax'))
    off_px = np.linalg.norm(spine - 0.5 * (pelvis + thorax), axis=-1)
    is_mean = np.isfinite(off_px).any() and float(np.nanmedian(off_px)) < _MEAN_JOINT_PX
    return MEAN_JOINTS if is_mean else OWN_JOINTS


def reach_m(xyz: FloatArray, tape: Tape = OWN_JOINTS, covariance: FloatArray | None = None) -> float:
    """Return the length from ankle to head along the bones of one person (M, J, 3), medians; NaN if unseen.

    Noise across a bone makes it longer, by its variance over twice the length; that is taken off where ``covariance``
    (M, J, 3, 3) of the joints is known.
    """

    def length(names: tuple[str, ...]) -> float:
        total = 0.0
        for a, b in itertools.pairwise(BODY17.index(name) for name in names):
            along = xyz[:, b] - xyz[:, a]
            bone = np.linalg.norm(along, axis=-1)
            if covariance is not None:
                both = covariance[:, a] + covariance[:, b]
                own = np.einsum('mi,mij,mj->m', along, both, along) / bone**2
                bone = bone - 0.5 * (np.trace(both, axis1=1, axis2=2) - own) / bone
            total += float(np.nanmedian(bone)) if np.isfinite(bone).any() else float('nan')
        return total

    return 0.5 * (length(_LEGS[0]) + length(_LEGS[1])) + length(tape.trunk)


def usual_size(xyz: FloatArray) -> float:
    """Return the factor that gives one person (M, J, 3) about an adult's size; NaN if not seen from ankle to head."""
    return (_MEAN_STATURE_M - OWN_JOINTS.beyond_m) / reach_m(xyz)


def scale_of(
    xyz: FloatArray, person: IntArray, rig: CameraRig, source: ScaleSource, tape: Tape = OWN_JOINTS,
    covariance: FloatArray | None = None,
) -> tuple[float, str]:
    """Return the factor from the world of ``xyz`` (M, J, 3) and ``rig`` to metres, and where it comes from.

    ``tape`` and ``covariance`` are those of ``reach_m``.

    Raises:
        CalibrationError: if a camera is unknown, or the person was not seen from head to foot.
    """
    if source.distance is not None:
        first, second, metres = source.distance
        found = float(np.linalg.norm(rig[first].position_m - rig[second].position_m))
        return metres / found, f'the distance of {metres:g} m between {first} and {second}'
    covariance = np.zeros((*xyz.shape, 3)) if covariance is None else covariance
    everybody = [reach_m(xyz[person == p], tape, covariance[person == p]) for p in range(int(person.max()) + 1)]
    reach = everybody[0]
    if not np.isfinite(reach):
        raise RefusalError(
            'The person seen longest is never seen from ankle to head, so that a stature gives no scale',
            'Give --distance CAMERA CAMERA METRES instead.',
        )
    if source.stature_m is not None:
        return (source.stature_m - tape.beyond_m) / reach, f'the stature of {source.stature_m:g} m'
    mean = float(np.nanmean(everybody))
    count = int(np.isfinite(everybody).sum())
    return (_MEAN_STATURE_M - tape.beyond_m) / mean, (
        f'bone-length statistics of adults ({count} people; standard deviation {5.0 / np.sqrt(count):.0f} %; give '
        '--stature or --distance to be sure)'
    )


def upright_axis(xyz: FloatArray, person: IntArray) -> FloatArray:
    """Return the mean direction (3,) from feet to shoulders of people who stand or walk upright.

    Raises:
        CalibrationError: if nobody was seen upright.
    """
    axis = xyz[:, BODY17.index('thorax')] - xyz[:, _ANKLES].mean(1)
    length = np.linalg.norm(axis, axis=-1)
    upright = np.zeros(len(xyz), bool)
    for p in range(int(person.max()) + 1):
        own = (person == p) & np.isfinite(length)
        if own.any():
            upright |= own & (length >= _UPRIGHT * np.percentile(length[own], 90))
    if upright.sum() < 3:
        raise RefusalError(
            'Nobody is seen from feet to shoulders, so that up is unknown', 'Use --keep-world CAMERA.'
        )
    axes = axis[upright] / length[upright, None]
    mean = np.median(axes, axis=0)
    for _ in range(10):
        mean = mean / np.linalg.norm(mean)
        off = np.linalg.norm(axes - mean, axis=1)
        weight = geman_mcclure_weight((off / 0.1) ** 2)
        mean = (weight[:, None] * axes).sum(0)
    return np.asarray(mean / np.linalg.norm(mean))


def planted_ankles(xyz: FloatArray, time_s: FloatArray, person: IntArray, up: FloatArray) -> FloatArray:
    """Return the ankles (N, 3) that hardly move between two instants, while the other one is not lower."""
    points = [np.zeros((0, 3))]
    for p in range(int(person.max()) + 1):
        order = np.flatnonzero(person == p)
        order = order[np.argsort(time_s[order])]
        both, dt_s = xyz[order][:, _ANKLES], np.diff(time_s[order])
        with np.errstate(invalid='ignore'):
            speed = np.linalg.norm(np.diff(both, axis=0), axis=-1) / np.maximum(dt_s, 1e-6)[:, None]
            still = (speed < _PLANTED_M_S) & (dt_s < _PLANTED_S)[:, None]
            height = both @ up
            lower = height <= np.fmin.reduce(height, axis=1, keepdims=True) + _LEVEL_M
        middle = 0.5 * (both[1:] + both[:-1])
        chosen = still & lower[1:] & np.isfinite(middle).all(-1)
        points.append(middle[chosen])
    return np.concatenate(points)


def choose_world(
    xyz: FloatArray, views: PoseViews, rig: CameraRig, asked: CameraRig, task: CalibrateTask,
    covariance: FloatArray | None = None,
) -> tuple[Similarity, WorldReport | None]:
    """Return how to get into the world that was asked for, and what was assumed for it; None: the given rig's.

    Args:
        xyz: (M, J, 3) m in the world of ``rig``.
        views: whose and when.
        rig: the cameras found.
        asked: the same cameras as they were given.
        task: what is asked.
        covariance: (M, J, 3, 3) m2 of the joints, if it is known.
    """
    kept = None if task.from_scratch else align_rig(rig, asked, lever_m(rig, xyz))
    if kept is not None and task.scale is None:
        return kept, None
    factor, said = scale_of(xyz, views.person, rig, task.scale or ScaleSource(), tape_of(views.xy), covariance)
    if kept is not None:
        return Similarity(factor, kept.R, kept.t / kept.scale * factor), WorldReport(said, 'the given rig', 0.0, 0.0)
    if task.keep_world:
        anchor, here = asked[task.keep_world], rig[task.keep_world]
        R = anchor.cam_from_world[:, :3].T @ here.cam_from_world[:, :3]
        t = anchor.position_m - factor * R @ here.position_m
        return Similarity(factor, R, t), WorldReport(said, f"camera '{task.keep_world}'", 0.0, 0.0)
    scaled = Similarity(factor, np.eye(3), np.zeros(3))
    floor, report = floor_world(scaled.points(xyz), views.time_s, views.person, scaled.rig(rig))
    return Similarity(factor, floor.R, floor.t), replace(report, scale=said)


def floor_world(
    xyz: FloatArray, time_s: FloatArray, person: IntArray, rig: CameraRig
) -> tuple[Similarity, WorldReport]:
    """Return the move into a world with z up and the floor at z = 0 below the people; the first camera looks along x.

    Up is the axis of upright people, made exact by the plane of planted feet as far as they spread.

    Args:
        xyz: (M, J, 3) m in the rig's present world.
        time_s, person: (M,).

    Raises:
        CalibrationError: if nobody is seen upright.
    """
    up = upright_axis(xyz, person)
    feet = planted_ankles(xyz, time_s, person, up)
    axes = 'the axis of upright people and the feet that stand on the floor'
    if len(feet) < _LEAST_PLANTED:
        ankles = xyz[:, _ANKLES].reshape(-1, 3)
        ankles = ankles[np.isfinite(ankles).all(-1)]
        height = ankles @ up
        feet = ankles[height <= np.percentile(height, 20)]
        axes = 'the axis of upright people; the floor from their lowest ankles, as no foot was seen planted'
    side = np.cross(up, rig.cameras[0].cam_from_world[2, :3])
    if np.linalg.norm(side) < 1e-3:
        side = np.cross(up, rig.cameras[0].cam_from_world[0, :3])
    y = side / np.linalg.norm(side)
    basis = np.stack([np.cross(y, up), y, up])
    local = feet @ basis.T
    middle = np.median(local, axis=0)
    slope, height_m, covariance = _floor_plane(local - middle)
    normal = np.array([-slope[0], -slope[1], 1.0]) @ basis
    z = normal / np.linalg.norm(normal)
    y = np.cross(z, basis[0])
    y /= np.linalg.norm(y)
    R = np.stack([np.cross(y, z), y, z])
    origin = middle @ basis + height_m * up
    t = -R @ origin + np.array([0.0, 0.0, _ANKLE_M])
    sigma = np.sqrt(np.diag(covariance))
    return Similarity(1.0, R, t), WorldReport('', axes, float(np.hypot(sigma[0], sigma[1])), float(sigma[2]))


def _floor_plane(points: FloatArray) -> tuple[FloatArray, float, FloatArray]:
    """Return slope (2,), height and their covariance (3, 3) of the plane through ``points`` (N, 3), nearly level."""
    A = np.column_stack([points[:, :2], np.ones(len(points))])
    prior = np.diag([1.0 / _AXIS_SPREAD_RAD**2, 1.0 / _AXIS_SPREAD_RAD**2, 0.0])
    solution, normal = np.array([0.0, 0.0, float(np.median(points[:, 2]))]), prior
    for _ in range(30):
        residual = points[:, 2] - A @ solution
        spread = max(median_spread(residual), 0.5 * _FLOOR_SPREAD_M)
        weight = geman_mcclure_weight((residual / (2.5 * spread)) ** 2) / spread**2
        normal = (A * weight[:, None]).T @ A + prior
        solution = np.linalg.solve(normal, A.T @ (weight * points[:, 2]))
    # Successive instants of one stance are one observation.
    return solution[:2], float(solution[2]), np.linalg.inv(normal) * 4.0
