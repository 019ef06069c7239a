# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Synthetic rigs and people with exact truth, seeded."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from geo_pose_ros.arrays import FloatArray
from geo_pose_ros.fusion.depth import BONE_DEPTH_M
from geo_pose_ros.geometry.projection import project_world
from geo_pose_ros.geometry.rigid import transform_points
from geo_pose_ros.geometry.virtual_camera import look_at
from geo_pose_ros.messages.stamps import to_header
from geo_pose_ros.simulation.walks import standing
from geo_pose_ros.skeleton import BODY17, Skeleton
from geo_pose_ros.types import Camera, CameraRig, Frame, Intrinsics, Keypoints2D, PredictedPeople

WIDTH, HEIGHT = 1280, 960
person = standing


class Seer:
    """A detector that finds in each frame what ``see`` says; it keeps what it was told to expect."""

    is_batched = False

    def __init__(self, see: Callable[[Frame], Keypoints2D], skeleton: Skeleton = BODY17) -> None:
        self.see, self.skeleton, self.closed = see, skeleton, False
        self.expected: list[Mapping[str, PredictedPeople]] = []

    def detect(
        self, frames: Mapping[str, Frame], predicted: Mapping[str, PredictedPeople]
    ) -> dict[str, Keypoints2D]:
        self.expected.append(predicted)
        return {name: self.see(frame) for name, frame in frames.items()}

    def close(self) -> None:
        self.closed = True


def intrinsics(distortion_model: str = 'plumb_bob') -> Intrinsics:
    """Return intrinsics with a visible lens distortion."""
    D = {
        'plumb_bob': (-0.21, 0.09, 0.001, -0.0007, 0.01),
        'rational_polynomial': (0.3, -0.1, 0.0005, -0.0003, 0.02, 0.5, -0.12, 0.03),
        'equidistant': (0.02, -0.01, 0.003, -0.001),
    }[distortion_model]
    K = np.array([[900.0, 0.0, 640.5], [0.0, 905.0, 478.0], [0.0, 0.0, 1.0]])
    return Intrinsics(K, np.array(D), distortion_model, WIDTH, HEIGHT)


def ring_rig(cameras: int = 4, radius_m: float = 4.0, distortion_model: str = 'plumb_bob') -> CameraRig:
    """Return cameras on a circle at heights around 2 m, looking at the middle of a person."""
    rig = []
    for i in range(cameras):
        angle = 2.0 * np.pi * i / cameras + 0.3
        position = np.array([radius_m * np.cos(angle), radius_m * np.sin(angle), 1.8 + 0.3 * (i % 3)])
        pose = look_at(position, np.array([0.0, 0.0, 1.0]), np.array([0.0, 0.0, 1.0]))
        rig.append(Camera(f'cam{i}', f'cam{i}_optical_frame', intrinsics(distortion_model), pose))
    return CameraRig(tuple(rig), 'world')


def keypoints(
    rig: CameraRig, people: list[FloatArray], stamp_ns: int = 1_000_000_000, noise_px: float = 0.0, seed: int = 0,
    skeleton: Skeleton = BODY17,
) -> dict[str, Keypoints2D]:
    """Return the keypoints of ``people`` (J, 3) m in every camera, confidence 1, with Gaussian noise."""
    rng = np.random.default_rng(seed)
    seen = {}
    for camera in rig.cameras:
        xy = np.stack([project_world(camera, joints) for joints in people])
        xy = xy + rng.normal(0.0, noise_px, xy.shape)
        seen[camera.name] = Keypoints2D(camera.name, stamp_ns, skeleton, xy, np.ones(xy.shape[:2]))
    return seen


def depth_image(make, depth_m, encoding='16UC1', kind='<u2', unit=1000.0, pad=0, stamp_ns=0, **fields):
    """Return a sensor_msgs/Image of depths (H, W), ``pad`` bytes at the end of each row."""
    rows = np.ascontiguousarray((depth_m * unit).round(3).astype(kind))
    data = np.pad(rows.view(np.uint8).reshape(len(rows), -1), ((0, 0), (0, pad)))
    given = {
        'header': to_header(make, stamp_ns, 'optical'), 'height': len(rows), 'width': rows.shape[1],
        'encoding': encoding, 'is_bigendian': int(kind[0] == '>'), 'step': data.shape[1], 'data': data.reshape(-1),
    }
    return make('sensor_msgs/msg/Image', **{**given, **fields})


def surface_of(camera: Camera, joints: FloatArray) -> FloatArray:
    """Return (H, W) m, a depth image that shows each of ``joints`` (17, 3) as far below as ``fusion.depth`` has it."""
    depth = transform_points(camera.cam_from_world, joints)[:, 2] - BONE_DEPTH_M
    rows, columns = np.mgrid[: camera.intrinsics.height, : camera.intrinsics.width]
    away = np.stack([columns, rows], -1)[:, :, None] - project_world(camera, joints)
    return depth[np.linalg.norm(away, axis=-1).argmin(-1)]
