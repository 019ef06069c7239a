"""The world of a rig that people have calibrated: kept, or made from floor, gravity and a length."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation

from ..arrays import FloatArray
from ..errors import CalibrationError
from ..skeleton import BODY17
from ..types import CameraRig

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

    def rig(self, rig: CameraRig, world_frame_id: str | None = None) -> CameraRig:
        """Return the rig in the new world; every pixel stays."""
        cameras = []
        for camera in rig.cameras:
            R = camera.cam_from_world[:, :3] @ self.R.T
            centre = self.points(camera.position_m)
            cameras.append(replace(camera, cam_from_world=np.column_stack([R, -R @ centre])))
        return CameraRig(tuple(cameras), rig.world_frame_id if world_frame_id is None else world_frame_id)


def align_rig(rig: CameraRig, reference: CameraRig, lever_m: float, *, with_scale: bool = True) -> Similarity:
    """Return the similarity that moves ``rig`` onto ``reference`` (same cameras) best.

    Least squares of the cameras' positions (m) and rotations (rad, times ``lever_m``, what they move at the people's
    distance), iteratively reweighted: a camera that was moved does not take the world with it.
    """
    change = Similarity(1.0, _mean_rotation(rig, reference), np.zeros(3))
    mean = np.mean([c.position_m for c in reference.cameras], 0) - np.mean(
        [change.points(c.position_m) for c in rig.cameras], 0
    )
    change = Similarity(1.0, change.R, mean)
    weight = np.ones(len(rig))
    for _ in range(_ITERATIONS):
        rows, values = [], []
        for camera, target, w in zip(change.rig(rig).cameras, reference.cameras, weight, strict=True):
            c = camera.position_m
            turn = _small_rotation(target.cam_from_world[:, :3].T @ camera.cam_from_world[:, :3])
            # A rotation q of the world turns the camera's axes by q, and moves it by q x c + s c + b.
            J = np.zeros((6, 7))
            J[:3, :3] = lever_m * np.eye(3)
            J[3:, :3] = -_cross(c)
            J[3:, 3:6] = np.eye(3)
            J[3:, 6] = c if with_scale else 0.0
            rows.append(np.sqrt(w) * J)
            values.append(np.sqrt(w) * np.concatenate([lever_m * turn, target.position_m - c]))
        J, r = np.concatenate(rows), np.concatenate(values)
        step = np.linalg.lstsq(J[:, : 7 if with_scale else 6], r, rcond=None)[0]
        q, b = step[:3], step[3:6]
        s = float(np.exp(step[6])) if with_scale else 1.0
        Q = _rotation(q)
        change = Similarity(change.scale * s, Q @ change.R, s * (Q @ change.t) + b)
        error = np.linalg.norm(np.reshape(r, (len(rig), 6)) / np.sqrt(weight)[:, None], axis=1)
        typical = max(float(np.median(error)), 1e-9)
        weight = np.maximum((1.0 + (error / (4.0 * typical)) ** 2) ** -2, 1e-6)
        if float(np.abs(step).max()) < 1e-12:
            break
    return change


def _mean_rotation(rig: CameraRig, reference: CameraRig) -> FloatArray:
    total = sum(
        target.cam_from_world[:, :3].T @ camera.cam_from_world[:, :3]
        for camera, target in zip(rig.cameras, reference.cameras, strict=True)
    )
    U, _, Vt = np.linalg.svd(total)
    return np.asarray(U @ np.diag((1.0, 1.0, np.linalg.det(U @ Vt))) @ Vt)


def _cross(v: FloatArray) -> FloatArray:
    x, y, z = v
    return np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])


def _rotation(vector: FloatArray) -> FloatArray:
    return np.asarray(Rotation.from_rotvec(vector).as_matrix())


def _small_rotation(R: FloatArray) -> FloatArray:
    return np.asarray(Rotation.from_matrix(R).as_rotvec())


@dataclass(frozen=True, slots=True)
class ScaleSource:
    """Where lengths come from; the first that is given counts.

    Attributes:
        distance: two cameras and the distance of their centres, m.
        stature_m: standing height of the person seen longest.
    """

    distance: tuple[str, str, float] | None = None
    stature_m: float | None = None


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


# From the ankle's joint to the floor; from there and from the head's joint (between the ears) to floor and crown.
_ANKLE_M = 0.085
_BEYOND_JOINTS_M = 0.2
# Mean stature of adults, men and women; its spread is 5 %.
_MEAN_STATURE_M = 1.69
_LEGS = (('right_hip', 'right_knee', 'right_ankle'), ('left_hip', 'left_knee', 'left_ankle'))
_TRUNK = ('pelvis', 'spine', 'thorax', 'nose', 'head')
# A planted foot's ankle moves slower than this.
_PLANTED_M_S = 0.25
_LEAST_PLANTED = 20
# How far the mean axis of upright people is from gravity.
_AXIS_SPREAD_RAD = 0.05
_FLOOR_SPREAD_M = 0.02


def reach_m(xyz: FloatArray) -> float:
    """Return the length from ankle to head along the bones of one person (M, J, 3), medians; NaN if unseen."""

    def length(names: tuple[str, ...]) -> float:
        bones = [
            np.linalg.norm(xyz[:, BODY17.index(b)] - xyz[:, BODY17.index(a)], axis=-1)
            for a, b in itertools.pairwise(names)
        ]
        return float(sum(np.nanmedian(bone) if np.isfinite(bone).any() else np.nan for bone in bones))

    return 0.5 * (length(_LEGS[0]) + length(_LEGS[1])) + length(_TRUNK)


def usual_size(xyz: FloatArray) -> float:
    """Return the factor that gives one person (M, J, 3) an adult's mean size; NaN if not seen from ankle to head."""
    return (_MEAN_STATURE_M - _BEYOND_JOINTS_M) / reach_m(xyz)


def scale_of(xyz: FloatArray, person: np.ndarray, rig: CameraRig, source: ScaleSource) -> tuple[float, str]:
    """Return the factor from the world of ``xyz`` (M, J, 3) and ``rig`` to metres, and where it comes from.

    Raises:
        CalibrationError: if a camera is unknown, or the person was not seen from head to foot.
    """
    if source.distance is not None:
        first, second, metres = source.distance
        found = float(np.linalg.norm(rig[first].position_m - rig[second].position_m))
        return metres / found, f'the distance of {metres:g} m between {first} and {second}'
    reach = reach_m(xyz[person == 0])
    if not np.isfinite(reach):
        raise CalibrationError(
            'The person seen longest is never seen from ankle to head, so that a stature gives no scale; give '
            '--distance CAMERA CAMERA METRES instead.'
        )
    if source.stature_m is not None:
        return (source.stature_m - _BEYOND_JOINTS_M) / reach, f'the stature of {source.stature_m:g} m'
    everybody = [reach_m(xyz[person == p]) for p in range(int(person.max()) + 1)]
    mean = float(np.nanmean(everybody))
    count = int(np.isfinite(everybody).sum())
    return (_MEAN_STATURE_M - _BEYOND_JOINTS_M) / mean, (
        f'bone-length statistics of adults ({count} people; standard deviation {5.0 / np.sqrt(count):.0f} %; give '
        '--stature or --distance to be sure)'
    )


def upright_axis(xyz: FloatArray, person: np.ndarray) -> FloatArray:
    """Return the mean direction (3,) from feet to shoulders of people who stand or walk upright.

    Raises:
        CalibrationError: if nobody was seen upright.
    """
    feet = 0.5 * (xyz[:, BODY17.index('left_ankle')] + xyz[:, BODY17.index('right_ankle')])
    axis = xyz[:, BODY17.index('thorax')] - feet
    length = np.linalg.norm(axis, axis=-1)
    upright = np.zeros(len(xyz), bool)
    for p in range(int(person.max()) + 1):
        own = (person == p) & np.isfinite(length)
        if own.any():
            upright |= own & (length >= 0.93 * np.percentile(length[own], 90))
    if upright.sum() < 3:
        raise CalibrationError('Nobody is seen from feet to shoulders, so that up is unknown; use --keep-world CAMERA.')
    axes = axis[upright] / length[upright, None]
    mean = np.median(axes, axis=0)
    for _ in range(10):
        mean = mean / np.linalg.norm(mean)
        off = np.linalg.norm(axes - mean, axis=1)
        weight = 1.0 / (1.0 + (off / 0.1) ** 2) ** 2
        mean = (weight[:, None] * axes).sum(0)
    return np.asarray(mean / np.linalg.norm(mean))


def planted_ankles(xyz: FloatArray, time_s: FloatArray, person: np.ndarray, up: FloatArray) -> FloatArray:
    """Return the ankles (N, 3) that hardly move between two instants, while the other one is not lower."""
    points = [np.zeros((0, 3))]
    ankles = [BODY17.index('left_ankle'), BODY17.index('right_ankle')]
    for p in range(int(person.max()) + 1):
        order = np.flatnonzero(person == p)
        order = order[np.argsort(time_s[order])]
        both, dt_s = xyz[order][:, ankles], np.diff(time_s[order])
        with np.errstate(invalid='ignore'):
            speed = np.linalg.norm(np.diff(both, axis=0), axis=-1) / np.maximum(dt_s, 1e-6)[:, None]
            still = (speed < _PLANTED_M_S) & (dt_s < 0.5)[:, None]
            height = both @ up
            lower = height <= np.fmin.reduce(height, axis=1, keepdims=True) + 0.03
        middle = 0.5 * (both[1:] + both[:-1])
        chosen = still & lower[1:] & np.isfinite(middle).all(-1)
        points.append(middle[chosen])
    return np.concatenate(points)


def floor_world(
    xyz: FloatArray, time_s: FloatArray, person: np.ndarray, rig: CameraRig
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
        ankles = xyz[:, [BODY17.index('left_ankle'), BODY17.index('right_ankle')]].reshape(-1, 3)
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
        spread = max(1.4826 * float(np.median(np.abs(residual))), 0.5 * _FLOOR_SPREAD_M)
        weight = (1.0 + (residual / (2.5 * spread)) ** 2) ** -2 / spread**2
        normal = (A * weight[:, None]).T @ A + prior
        solution = np.linalg.solve(normal, A.T @ (weight * points[:, 2]))
    # Successive instants of one stance are one observation.
    return solution[:2], float(solution[2]), np.linalg.inv(normal) * 4.0
