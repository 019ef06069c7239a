# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""What the cameras of one set deliver, as arrays: the pose and the instant of each camera, and its detections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import ClassVar

import numpy as np

from ..arrays import BoolArray, FloatArray, IntArray
from ..errors import ShapeError
from ..geometry.kernels import Lenses
from ..geometry.projection import lenses_of
from ..types import Intrinsics
from .kernels.views import (
    DetectionArrays,
    apply_noise,
    fill_detections,
    gather_keypoints,
    see_joints,
    weigh_keypoints,
)
from .table import BodyTable, gather

# The settings' pixel distances hold for a body of this extent in the image.
_REFERENCE_EXTENT_PX = 600.0
_LEAST_EXTENT_PX = 60.0
# Of keypoints that are undistorted and normalised already.
_NO_LENS = Intrinsics(np.eye(3), np.zeros(0), 'plumb_bob', 1, 1)


@dataclass(frozen=True, slots=True, eq=False)
class Cameras:
    """The C cameras of a rig at one set.

    Attributes:
        cam_from_world: (C, 3, 4).
        focal_px: (C,) mean focal length.
        bounds: (C, 4) x min, y min, x max, y max of the image on the ideal plane z = 1.
        dt_s: (C,) each view's own instant minus the set's.
        present: (C,) bool, whether the camera delivered.
    """

    cam_from_world: FloatArray
    focal_px: FloatArray
    bounds: FloatArray
    dt_s: FloatArray
    present: BoolArray

    def __len__(self) -> int:
        return len(self.focal_px)

    def see(self, xyz: FloatArray, velocity: FloatArray | None = None) -> FloatArray:
        """Return joints (B, J, 3) m, moving at ``velocity`` m/s, in each camera's frame at its own instant.

        Returns:
            (C, B, J, 3) m; the image is its first two components over the third.
        """
        xyz = np.ascontiguousarray(xyz)
        local = np.empty((len(self), *xyz.shape))
        given, dt_s = (xyz, np.zeros(len(self))) if velocity is None else (np.ascontiguousarray(velocity), self.dt_s)
        see_joints(np.ascontiguousarray(self.cam_from_world), dt_s, xyz, given, local)
        return local


@dataclass(frozen=True, slots=True, eq=False)
class Noise:
    """The errors of the keypoints of C views.

    Attributes:
        level: standard deviation of all keypoints, in units of what the settings say.
        scale: (C,) each view's, in units of ``level``.
        shared: (C,) standard deviation of the error that all joints of a view share, at focal length 1.
        persistent: part of the keypoints' variance that is the same in the next sets.
        joints: (J,) standard deviation of each joint's keypoints, in units of ``level``; None: all alike.
    """

    level: float
    scale: FloatArray
    shared: FloatArray
    persistent: float = 0.0
    joints: FloatArray | None = None

    def applied(self, weights: FloatArray, focal_px: FloatArray) -> FloatArray:
        """Return weights (C, B, J), 1/px, of keypoints that have this noise instead of that of the settings."""
        counted = np.empty(weights.shape)
        joints = np.ones(weights.shape[2]) if self.joints is None else self.joints
        apply_noise(np.ascontiguousarray(weights), focal_px, self.scale, joints, self.shared, counted)
        return counted


@dataclass(frozen=True, slots=True, eq=False)
class BodyViews(BodyTable):
    """The keypoints of B bodies in C views.

    Attributes:
        xn: (C, B, J, 2) undistorted normalised keypoints, NaN = not seen.
        confidence: (C, B, J) in [0, 1], 0 where not seen.
        depth: (C, B, J, 2) m and 1/m, depths of joints and 1 / standard deviation, of ``depth.joint_depths``; None
            where no camera measures them.
    """

    BODY_AXIS: ClassVar[Mapping[str, int]] = {'xn': 1, 'confidence': 1, 'depth': 1}

    xn: FloatArray
    confidence: FloatArray
    depth: FloatArray | None = None

    def weights(self, focal_px: FloatArray, noise_px: float) -> FloatArray:
        """Return (C, B, J) 1 / standard deviation of the keypoints, 1/px; 0 where the confidence is 0.

        Detectors work on a crop of the person, so that their error grows with the person's size in the image.

        Args:
            focal_px: (C,).
            noise_px: standard deviation of a keypoint of confidence 1 of a body 600 px tall.
        """
        weights = np.empty(self.confidence.shape)
        per_px = _REFERENCE_EXTENT_PX / noise_px
        xn, confidence = np.ascontiguousarray(self.xn), np.ascontiguousarray(self.confidence)
        weigh_keypoints(xn, confidence, focal_px, per_px, _LEAST_EXTENT_PX, weights)
        return weights


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """The D detections of all cameras, camera after camera.

    Attributes:
        camera: (D,) index, rising.
        xn: (D, J, 2) undistorted normalised keypoints, 0 where not seen.
        seen: (D, J) whether the keypoint is used.
        confidence: (D, J) in [0, 1], 0 where not seen.
        centre: (D, 2) mean of the seen keypoints.
        starts: (C + 1,) camera c's detections are starts[c] .. starts[c + 1].
        depth: (D, J, 2) as of BodyViews; None where no camera measures depths.
    """

    camera: IntArray
    xn: FloatArray
    seen: BoolArray
    confidence: FloatArray
    centre: FloatArray
    starts: IntArray
    depth: FloatArray | None = None

    @classmethod
    def of(
        cls, keypoints_by_camera: Sequence[FloatArray], confidence_by_camera: Sequence[FloatArray],
        lenses: Lenses | None = None, least_confidence: float = 0.0,
    ) -> Detections:
        """Join what each camera detected.

        Args:
            keypoints_by_camera: per camera (P_c, J, 2) raw px, NaN = not seen; or, without lenses, undistorted
                normalised keypoints.
            confidence_by_camera: per camera (P_c, J) >= 0, 0 = not used.
            lenses: of the cameras.
            least_confidence: keypoints of less are not used.

        Raises:
            ShapeError: if the arrays do not agree.
        """
        shapes = [x.shape for x in keypoints_by_camera]
        joints = shapes[0][1] if shapes and len(shapes[0]) == 3 else -1
        if {s[1:] for s in shapes} != {(joints, 2)} or [w.shape for w in confidence_by_camera] != [
            s[:2] for s in shapes
        ]:
            raise ShapeError(
                f'Detections: received keypoints {shapes} and confidences {[w.shape for w in confidence_by_camera]}; '
                'expected one (P, J, 2) and one (P, J) per camera.'
            )
        starts = np.array([*accumulate([s[0] for s in shapes], initial=0)], np.int64)
        given = np.ascontiguousarray(np.concatenate(keypoints_by_camera))
        confidence = np.ascontiguousarray(np.concatenate(confidence_by_camera))
        count = len(given)
        filled = DetectionArrays(
            np.empty(count, np.int64), np.empty(given.shape), np.empty((count, joints), np.bool_),
            np.empty((count, joints)), np.empty((count, 2)), starts,
        )
        fill_detections(lenses or lenses_of(*(_NO_LENS,) * len(shapes)), given, confidence, least_confidence, filled)
        return cls(*filled)

    def __len__(self) -> int:
        return len(self.camera)

    def select(self, index: IntArray) -> Detections:
        """Return the detections ``index`` (D',), rising."""
        camera = self.camera[index]
        return Detections(
            camera, self.xn[index], self.seen[index], self.confidence[index], self.centre[index],
            np.searchsorted(camera, np.arange(len(self.starts))), None if self.depth is None else self.depth[index],
        )

    @property
    def arrays(self) -> DetectionArrays:
        """The detections, as kernels take them."""
        return DetectionArrays(
            self.camera, np.ascontiguousarray(self.xn), np.ascontiguousarray(self.seen),
            np.ascontiguousarray(self.confidence), self.centre, self.starts,
        )

    def gather(self, views: IntArray) -> BodyViews:
        """Return the keypoints of bodies whose detections are ``views`` (B, C), -1 for none."""
        confidence = np.empty((*views.shape[::-1], self.xn.shape[1]))
        xn = np.empty((*confidence.shape, 2))
        gather_keypoints(self.arrays, np.ascontiguousarray(views), xn, confidence)
        depth = None if self.depth is None else gather(self.depth, views.T.reshape(-1), 0.0).reshape(xn.shape)
        return BodyViews(xn, confidence, depth)
