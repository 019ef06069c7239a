"""People who walk, as exact motion, and what cameras and a detector make of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from scipy.spatial.transform import Rotation

from geo_pose_ros.arrays import FloatArray
from geo_pose_ros.calibration.views import RigState
from geo_pose_ros.calibration.world import align_rig
from geo_pose_ros.geometry.projection import project_world
from geo_pose_ros.skeleton import BODY17
from geo_pose_ros.types import CameraRig, Keypoints2D

from ..scenes import STANDING

START_NS = 1_700_000_000_000_000_000
_SWINGS = (
    # joints below the pivot, pivot, amplitude (rad), phase
    (('right_knee', 'right_ankle'), 'right_hip', 0.5, 0.0),
    (('left_knee', 'left_ankle'), 'left_hip', 0.5, np.pi),
    (('right_elbow', 'right_wrist'), 'right_shoulder', 0.6, np.pi),
    (('left_elbow', 'left_wrist'), 'left_shoulder', 0.6, 0.0),
)


def walk(seconds: float, fps: float = 20.0, seed: int = 0, reach_m: float = 1.5, late_s: float = 0.0) -> FloatArray:
    """Return a person (F, 17, 3) m who walks on a winding path around the origin, z up, bones of constant length."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * fps)) / fps + late_s
    frequency, phase = rng.uniform(0.05, 0.12, 4), rng.uniform(0.0, 2.0 * np.pi, 4)
    waves = np.sin(2.0 * np.pi * frequency * t[:, None] + phase)
    place = reach_m * (waves[:, :2] * 0.7 + waves[:, 2:] * 0.3)
    heading = np.unwrap(np.arctan2(*np.gradient(place, axis=0).T[::-1]))
    joints = np.repeat(STANDING[None], len(t), 0)
    for names, pivot, amplitude, start in _SWINGS:
        angle = amplitude * np.sin(2.0 * np.pi * 0.9 * t + start + 0.3 * waves[:, 0])
        turn = Rotation.from_rotvec(angle[:, None] * (0.0, 1.0, 0.0)).as_matrix()
        about = STANDING[BODY17.index(pivot)]
        for name in names:
            joints[:, BODY17.index(name)] = (turn @ (STANDING[BODY17.index(name)] - about)) + about
    turn = Rotation.from_rotvec(heading[:, None] * (0.0, 0.0, 1.0)).as_matrix()
    walked: FloatArray = np.einsum('fij,fnj->fni', turn, joints)
    walked[..., :2] += place[:, None]
    return walked


def pictures(
    rig: CameraRig, people: Sequence[FloatArray], fps: float = 20.0, *, noise_px: float = 0.0, seed: int = 0,
    offsets_s: Sequence[float] = (), drift: Sequence[float] = (), outliers: float = 0.0,
    seen_by: Mapping[str, FloatArray] | None = None,
) -> dict[str, list[Keypoints2D]]:
    """Return every camera's detections of ``people`` (F, 17, 3), in random order within each picture.

    Args:
        offsets_s, drift: stamp = time + offset + drift * time, by camera.
        outliers: share of the keypoints that lie up to 150 px away.
        seen_by: by camera, the mask (P, F) of who is seen when; None: always.
    """
    rng = np.random.default_rng(seed)
    found = {}
    for c, camera in enumerate(rig.cameras):
        exact = np.stack([project_world(camera, joints) for joints in people])
        xy = exact + rng.normal(0.0, noise_px, exact.shape)
        wild = rng.random(xy.shape[:-1]) < outliers
        xy[wild] += rng.uniform(-150.0, 150.0, xy[wild].shape)
        time_s = np.arange(exact.shape[1]) / fps
        stamp_s = time_s * (1.0 + (drift[c] if len(drift) else 0.0)) + (offsets_s[c] if len(offsets_s) else 0.0)
        mine = np.ones(exact.shape[:2], bool) if seen_by is None else seen_by[camera.name]
        found[camera.name] = []
        for frame, stamp in enumerate(stamp_s):
            who = rng.permutation(np.flatnonzero(mine[:, frame]))
            points = xy[who, frame]
            confidence = np.where(np.isfinite(points).all(-1), 0.9, 0.0)
            found[camera.name].append(
                Keypoints2D(camera.name, START_NS + round(stamp * 1e9), BODY17, points, confidence)
            )
    return found


def perturbed(rig: CameraRig, degrees: float, metres: float, seed: int = 0) -> CameraRig:
    """Return the rig with every camera turned and moved by so much in a random direction."""
    rng = np.random.default_rng(seed)
    cameras = []
    for camera in rig.cameras:
        axis, shift = (v / np.linalg.norm(v) for v in rng.normal(size=(2, 3)))
        R = Rotation.from_rotvec(np.radians(degrees) * axis).as_matrix() @ camera.cam_from_world[:, :3]
        place = camera.position_m + metres * shift
        cameras.append(replace(camera, cam_from_world=np.column_stack([R, -R @ place])))
    return CameraRig(tuple(cameras), rig.world_frame_id)


def pose_errors(rig: CameraRig | RigState, truth: CameraRig) -> tuple[FloatArray, FloatArray, float]:
    """Return the cameras' rotation errors (degrees), position errors (mm) after aligning the world, and its scale."""
    rig = rig.rig if isinstance(rig, RigState) else rig
    change = align_rig(rig, truth, 4.0)
    return (*errors_as_is(change.rig(rig), truth), change.scale)


def errors_as_is(rig: CameraRig, truth: CameraRig) -> tuple[FloatArray, FloatArray]:
    """Return rotation errors (degrees) and position errors (mm) without aligning anything."""
    turns, shifts = [], []
    for found, true in zip(rig.cameras, truth.cameras, strict=True):
        turn = Rotation.from_matrix(found.cam_from_world[:, :3] @ true.cam_from_world[:, :3].T)
        turns.append(np.degrees(turn.magnitude()))
        shifts.append(1e3 * np.linalg.norm(found.position_m - true.position_m))
    return np.array(turns), np.array(shifts)
