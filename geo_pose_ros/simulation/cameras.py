# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Simulated rigs: rings, ceilings and rooms of cameras, and rigs whose calibration errs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.spatial.transform import Rotation

from ..arrays import FloatArray
from ..geometry.virtual_camera import look_at
from ..types import Camera, CameraRig, Intrinsics

_WIDTH_PX, _HEIGHT_PX, _FOCAL_PX = 1280, 960, 800.0
# Focal length of the cameras of ring_rig.
RING_FOCAL_PX = 900.0
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


def distant_rig(seed: int, distance_m: float, field_of_view_deg: float, cameras: int = 4) -> CameraRig:
    """Return cameras all around the origin: 0.3 to 4 m up, ``distance_m`` away, with that horizontal field of view."""
    rng = np.random.default_rng((seed, cameras))
    positions = []
    for index in range(cameras):
        height = rng.uniform(0.3, min(4.0, distance_m))
        away = np.sqrt(distance_m**2 - (height - _TARGET_M[2]) ** 2)
        positions.append(_around(index, cameras, away, height, rng))
    return _looking_in('distant', positions, 0.5 * _WIDTH_PX / np.tan(0.5 * np.radians(field_of_view_deg)))


def _around(index: int, cameras: int, away: float, height: float, rng: np.random.Generator) -> FloatArray:
    """Return a position (3,) m in the ``index``-th of so many sectors around the origin."""
    azimuth = 2.0 * np.pi * (index + rng.uniform(0.1, 0.9)) / cameras
    return np.array((away * np.cos(azimuth), away * np.sin(azimuth), height))


def _looking_in(name: str, positions: list[FloatArray], focal_px: float = _FOCAL_PX) -> CameraRig:
    K = np.array(((focal_px, 0.0, 0.5 * (_WIDTH_PX - 1)), (0.0, focal_px, 0.5 * (_HEIGHT_PX - 1)), (0.0, 0.0, 1.0)))
    made = []
    for number, position in enumerate(positions, 1):
        intrinsics = Intrinsics(K, np.zeros(5), 'plumb_bob', _WIDTH_PX, _HEIGHT_PX)
        cam_from_world = look_at(position, _TARGET_M, np.array((0.0, 0.0, 1.0)))
        made.append(Camera(f'{name}{number}', f'{name}{number}_optical_frame', intrinsics, cam_from_world))
    return CameraRig(tuple(made))


def ring_rig(cameras: int, reach_m: float, rng: np.random.Generator, pair_deg: float = 80.0) -> CameraRig:
    """Return cameras around people who stay within ``reach_m`` of the origin, 1.5 to 3 m high, all in sight of all.

    Two cameras see from about ``pair_deg`` apart, more from all sides.
    """
    intrinsics = Intrinsics(
        np.array([[RING_FOCAL_PX, 0.0, 640.5], [0.0, RING_FOCAL_PX, 478.0], [0.0, 0.0, 1.0]]),
        np.array([-0.12, 0.05, 0.0005, -0.0004, 0.0]), 'plumb_bob', 1280, 960,
    )
    turn = np.deg2rad(pair_deg) if cameras == 2 else 2.0 * np.pi / cameras
    rig = []
    for k in range(cameras):
        angle = 0.3 + k * turn + rng.uniform(-0.15, 0.15)
        distance = 1.35 * reach_m + rng.uniform(2.6, 3.4)
        position = np.array([distance * np.cos(angle), distance * np.sin(angle), rng.uniform(1.5, 3.0)])
        pose = look_at(position, np.array([0.0, 0.0, 0.95]), np.array([0.0, 0.0, 1.0]))
        rig.append(Camera(f'cam{k:02d}', f'cam{k:02d}_optical_frame', intrinsics, pose))
    return CameraRig(tuple(rig), 'world')


def turn_camera(camera: Camera, axis: FloatArray, angle_rad: float) -> Camera:
    """Return the camera turned about an axis (3,) of its own frame; its position stays."""
    turn = Rotation.from_rotvec(angle_rad * axis / np.linalg.norm(axis)).as_matrix()
    return replace(camera, cam_from_world=turn @ camera.cam_from_world)


def perturb_rotations(rig: CameraRig, angle_deg: float, rng: np.random.Generator) -> CameraRig:
    """Return the rig with every camera turned by ``angle_deg`` about a random axis; positions stay."""
    axes = rng.standard_normal((len(rig), 3))
    turned = (turn_camera(c, axis, np.deg2rad(angle_deg)) for c, axis in zip(rig.cameras, axes, strict=True))
    return CameraRig(tuple(turned), rig.world_frame_id)


def perturb_rig(rig: CameraRig, angle_deg: float, distance_m: float, rng: np.random.Generator) -> CameraRig:
    """Return the rig with every camera turned and moved by so much in random directions."""
    cameras = []
    for camera in rig.cameras:
        axis, direction = (v / np.linalg.norm(v) for v in rng.normal(size=(2, 3)))
        R = turn_camera(camera, axis, np.deg2rad(angle_deg)).cam_from_world[:, :3]
        centre = camera.position_m + distance_m * direction
        cameras.append(replace(camera, cam_from_world=np.column_stack([R, -R @ centre])))
    return CameraRig(tuple(cameras), rig.world_frame_id)
