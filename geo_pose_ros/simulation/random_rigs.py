"""Rigs at random: for tests of a lifter on cameras that it has never seen, and to rehearse what it knows."""

from __future__ import annotations

import numpy as np

from geo_pose_ros.arrays import FloatArray
from geo_pose_ros.geometry.virtual_camera import look_at
from geo_pose_ros.types import Camera, CameraRig, Intrinsics

_WIDTH_PX, _HEIGHT_PX, _FOCAL_PX = 1280, 960, 800.0
# What the cameras look at: about the middle of a standing person.
_TARGET_M = np.array((0.0, 0.0, 0.9))


def ceiling_rig(seed: int, cameras: int = 4) -> CameraRig:
    """Return cameras below a ceiling, all around the origin: 2.5 to 4.5 m up, looking down by 30 to 60 degrees.

    World z is up; the optical axes meet 0.9 m above the origin. The same seed gives the same rig.
    """
    rng = np.random.default_rng((seed, cameras))
    positions = []
    for index in range(cameras):
        height, down = rng.uniform(2.5, 4.5), np.radians(rng.uniform(30.0, 60.0))
        away = (height - _TARGET_M[2]) / np.tan(down)
        positions.append(_around(index, cameras, away, height, rng))
    return _looking_in('ceiling', positions)


def room_rig(seed: int, cameras: int = 4) -> CameraRig:
    """Return cameras anywhere around the origin: 0.3 to 4 m up, 3 to 6 m away; else as ceiling_rig."""
    rng = np.random.default_rng((seed, cameras))
    positions = [
        _around(index, cameras, rng.uniform(3.0, 6.0), rng.uniform(0.3, 4.0), rng) for index in range(cameras)
    ]
    return _looking_in('room', positions)


def _around(index: int, cameras: int, away: float, height: float, rng: np.random.Generator) -> FloatArray:
    """Return a position (3,) m in the ``index``-th of so many sectors around the origin."""
    azimuth = 2.0 * np.pi * (index + rng.uniform(0.1, 0.9)) / cameras
    return np.array((away * np.cos(azimuth), away * np.sin(azimuth), height))


def _looking_in(name: str, positions: list[FloatArray]) -> CameraRig:
    K = np.array(((_FOCAL_PX, 0.0, 0.5 * (_WIDTH_PX - 1)), (0.0, _FOCAL_PX, 0.5 * (_HEIGHT_PX - 1)), (0.0, 0.0, 1.0)))
    made = []
    for number, position in enumerate(positions, 1):
        intrinsics = Intrinsics(K, np.zeros(5), 'plumb_bob', _WIDTH_PX, _HEIGHT_PX)
        cam_from_world = look_at(position, _TARGET_M, np.array((0.0, 0.0, 1.0)))
        made.append(Camera(f'{name}{number}', f'{name}{number}_optical_frame', intrinsics, cam_from_world))
    return CameraRig(tuple(made))
