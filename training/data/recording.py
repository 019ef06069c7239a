# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The form every data source takes: one person before one rig for some frames."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from geo_pose_ros.arrays import BoolArray, FloatArray, IntArray
from geo_pose_ros.errors import ConfigError, ShapeError
from geo_pose_ros.geometry.projection import normalize
from geo_pose_ros.geometry.rigid import transform_points
from geo_pose_ros.rigs.rig_file import dump_rig
from geo_pose_ros.types import CameraRig


@dataclass(frozen=True, slots=True, eq=False)
class PersonRecording:
    """Keypoints of one person in C synchronised, calibrated views over F frames.

    Attributes:
        name, subject, action: for splits and per-action tables.
        rig: C cameras.
        xy: (F, C, J, 2) raw px, NaN = not seen.
        confidence: (F, C, J) in [0, 1], 0 where not seen.
        fps: frames per second.
        truth: (F, J, 3) m in the world, or None; used by `supervised` and evaluation only.
        refined: joints (F, J, 3) m and weights (F, J) as refined_labels() makes them of all views and the whole
            recording, or None where they are yet to be made.
        stamp_ns: (F,) of the sets, or None where they have none.
    """

    name: str
    subject: str
    action: str
    rig: CameraRig
    xy: FloatArray
    confidence: FloatArray
    fps: float
    truth: FloatArray | None = None
    refined: tuple[FloatArray, FloatArray] | None = None
    stamp_ns: IntArray | None = None

    def __post_init__(self) -> None:
        views = (*self.xy.shape[:1], len(self.rig), *self.xy.shape[2:3])
        if self.xy.ndim != 4 or self.xy.shape[-1] != 2 or self.confidence.shape != views:
            raise ShapeError(
                f"Recording '{self.name}': received xy {self.xy.shape}, confidence {self.confidence.shape} for "
                f'{len(self.rig)} cameras; expected (F, C, J, 2) and (F, C, J).'
            )
        if self.truth is not None and self.truth.shape != (views[0], views[2], 3):
            raise ShapeError(
                f"Recording '{self.name}': received truth {self.truth.shape}, expected {(views[0], views[2], 3)}."
            )

    def __len__(self) -> int:
        return len(self.xy)

    @property
    def focal_px(self) -> FloatArray:
        """(C,) mean focal lengths."""
        return np.array([0.5 * (c.intrinsics.K[0, 0] + c.intrinsics.K[1, 1]) for c in self.rig.cameras])

    @property
    def cam_from_world(self) -> FloatArray:
        """(C, 3, 4) extrinsics."""
        return np.stack([camera.cam_from_world for camera in self.rig.cameras])

    def rays(self) -> FloatArray:
        """Return (F, C, J, 2) undistorted normalised image points, NaN = not seen."""
        views = [normalize(c.intrinsics, self.xy[:, i]) for i, c in enumerate(self.rig.cameras)]
        return np.stack(views, 1)

    def in_cameras(self, xyz: FloatArray) -> FloatArray:
        """Return joints (F, J, 3), m, of the world in each camera's frame, (F, C, J, 3)."""
        return np.stack([transform_points(camera, xyz) for camera in self.cam_from_world], 1)

    def views(self, names: Iterable[str]) -> PersonRecording:
        """Return the recording as the cameras ``names`` alone see it."""
        names = tuple(names)
        index = [self.rig.names.index(self.rig[name].name) for name in names]
        return replace(
            self, rig=self.rig.subset(names), xy=self.xy[:, index], confidence=self.confidence[:, index],
            # They are of all views.
            refined=self.refined if sorted(names) == sorted(self.rig.names) else None,
        )

    def frames(self, chosen: slice | BoolArray) -> PersonRecording:
        """Return the ``chosen`` frames alone."""
        return replace(
            self, xy=self.xy[chosen], confidence=self.confidence[chosen],
            truth=None if self.truth is None else self.truth[chosen],
            refined=None if self.refined is None else (self.refined[0][chosen], self.refined[1][chosen]),
            stamp_ns=None if self.stamp_ns is None else self.stamp_ns[chosen],
        )


def window_rate_hz(recordings: Iterable[PersonRecording], frames: int) -> float:
    """Return the frames per second of windows of ``frames`` frames; 0 for single frames.

    Raises:
        ConfigError: if the recordings have several rates.
    """
    rates = {recording.fps for recording in recordings}
    if frames == 1:
        return 0.0
    if len(rates) != 1:
        raise ConfigError(
            f'Windows of {frames} frames from recordings of {sorted(rates)} frames per second; expected one rate.'
        )
    return rates.pop()


def data_hash(recordings: Iterable[PersonRecording]) -> str:
    """Return the sha256 over all keypoints and rigs, in order: what a training run was fed."""
    digest = hashlib.sha256()
    for recording in recordings:
        digest.update(f'{recording.name}\n{dump_rig(recording.rig)}'.encode())
        digest.update(np.ascontiguousarray(recording.xy, np.float32).tobytes())
        digest.update(np.ascontiguousarray(recording.confidence, np.float32).tobytes())
    return digest.hexdigest()
