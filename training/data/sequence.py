"""The form every data source takes: one person before one rig for some frames."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from geo_pose_ros.arrays import FloatArray
from geo_pose_ros.errors import ConfigError, ShapeError
from geo_pose_ros.geometry.projection import normalize
from geo_pose_ros.rigs.rig_file import dump_rig
from geo_pose_ros.types import CameraRig

from ..labels.triangulation import refined


@dataclass(frozen=True, slots=True, eq=False)
class Sequence:
    """Keypoints of one person in C synchronised, calibrated views over F frames.

    Attributes:
        name, subject, action: for splits and per-action tables.
        rig: C cameras.
        xy: (F, C, J, 2) raw px, NaN = not seen.
        confidence: (F, C, J) in [0, 1], 0 where not seen.
        fps: frames per second.
        truth: (F, J, 3) m in the world, or None; used by `supervised` and evaluation only.
        refined: joints (F, J, 3) m and weights (F, J) as labels.refined() makes them of all views and the whole
            recording, or None where they are yet to be made.
        stamp_ns: (F,) of the frame sets, or None where they have none.
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
    stamp_ns: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        expected = (*self.xy.shape[:1], len(self.rig), *self.xy.shape[2:3])
        if self.xy.ndim != 4 or self.xy.shape[-1] != 2 or self.confidence.shape != expected:
            raise ShapeError(
                f"Sequence '{self.name}': received xy {self.xy.shape}, confidence {self.confidence.shape} for "
                f'{len(self.rig)} cameras; expected (F, C, J, 2) and (F, C, J).'
            )
        if self.truth is not None and self.truth.shape != (expected[0], expected[2], 3):
            raise ShapeError(
                f"Sequence '{self.name}': received truth {self.truth.shape}, expected {(expected[0], expected[2], 3)}."
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

    def refined_labels(self) -> tuple[FloatArray, FloatArray]:
        """Return ``refined``, made now from these views and frames if it is None."""
        if self.refined is not None:
            return self.refined
        return refined(self.cam_from_world, self.focal_px, self.rays(), self.confidence, self.fps)

    def views(self, names: Iterable[str]) -> Sequence:
        """Return the sequence as seen by the cameras ``names`` only."""
        names = tuple(names)
        index = [self.rig.names.index(self.rig[name].name) for name in names]
        return replace(
            self, rig=self.rig.subset(names), xy=self.xy[:, index], confidence=self.confidence[:, index],
            # They are of all views.
            refined=self.refined if sorted(names) == sorted(self.rig.names) else None,
        )

    def frames(self, chosen: slice) -> Sequence:
        """Return the sequence on the ``chosen`` frames only."""
        truth = None if self.truth is None else self.truth[chosen]
        refined = None if self.refined is None else (self.refined[0][chosen], self.refined[1][chosen])
        stamp_ns = None if self.stamp_ns is None else self.stamp_ns[chosen]
        return replace(
            self, xy=self.xy[chosen], confidence=self.confidence[chosen], truth=truth, refined=refined,
            stamp_ns=stamp_ns,
        )


def window_rate_hz(sequences: Iterable[Sequence], frames: int) -> float:
    """Return the frames per second of windows of so many ``frames``; 0 for single frames.

    Raises:
        ConfigError: if the sequences have several rates.
    """
    rates = {sequence.fps for sequence in sequences}
    if frames == 1:
        return 0.0
    if len(rates) != 1:
        raise ConfigError(
            f'Windows of {frames} frames from sequences of {sorted(rates)} frames per second; expected one rate.'
        )
    return rates.pop()


def data_hash(sequences: Iterable[Sequence]) -> str:
    """Return the sha256 over all keypoints and rigs, in order: what a training run was fed."""
    digest = hashlib.sha256()
    for sequence in sequences:
        digest.update(f'{sequence.name}\n{dump_rig(sequence.rig)}'.encode())
        digest.update(np.ascontiguousarray(sequence.xy, np.float32).tobytes())
        digest.update(np.ascontiguousarray(sequence.confidence, np.float32).tobytes())
    return digest.hexdigest()
