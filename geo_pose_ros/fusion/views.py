"""What the cameras of one set deliver, as arrays: the pose and the instant of each camera, and its detections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..arrays import BoolArray, FloatArray, IntArray
from ..errors import ShapeError
from .table import BodyTable

# Larger distances count as this much, m: one wrong joint must not decide about a person.
CAP_M = 0.4
# Points nearer than this to the image plane count as behind the camera, m.
NEAR_M = 0.1
# Fewer common joints than this say nothing about identity.
MIN_COMMON_JOINTS = 4
# The settings' pixel distances hold for a body of this extent in the image.
_REFERENCE_EXTENT_PX = 600.0
_LEAST_EXTENT_PX = 60.0


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
        if velocity is not None and self.dt_s.any():
            moved = xyz + self.dt_s[:, None, None, None] * velocity
        else:
            moved = xyz[None]
        R, t = self.cam_from_world[:, None, :, :3], self.cam_from_world[:, None, None, :, 3]
        local: FloatArray = moved @ np.swapaxes(R, -1, -2) + t
        return local

    def image_jacobian(self, local: FloatArray) -> FloatArray:
        """Return (C, ..., 2, 3) how the images, at focal length 1, of points (C, ..., 3) of ``see`` move with them.

        The last axis is the world's.
        """
        R = self.cam_from_world[(slice(None), *(None,) * (local.ndim - 2))][..., :3]
        depth = np.maximum(local[..., 2:], NEAR_M)
        jacobian: FloatArray = (R[..., :2, :] - (local[..., :2] / depth)[..., None] * R[..., 2:, :]) / depth[..., None]
        return jacobian

    def in_image(self, local: FloatArray) -> BoolArray:
        """Return (C, B, J) whether joints (C, B, J, 3) of ``see`` lie in front of the camera and in its image."""
        depth = local[..., 2:]
        # NaN compares false.
        with np.errstate(invalid='ignore'):
            low = local[..., :2] >= self.bounds[:, None, None, :2] * depth
            high = local[..., :2] <= self.bounds[:, None, None, 2:] * depth
            inside: BoolArray = low.all(-1) & high.all(-1) & (depth[..., 0] > NEAR_M)
        return inside


@dataclass(frozen=True, slots=True, eq=False)
class Noise:
    """The errors of the keypoints of C views.

    Attributes:
        level: standard deviation of all keypoints, in units of what the settings say.
        scale: (C,) each view's, in units of ``level``.
        shared: (C,) standard deviation of the error that all joints of a view share, at focal length 1.
    """

    level: float
    scale: FloatArray
    shared: FloatArray

    def applied(self, weights: FloatArray, focal_px: FloatArray) -> FloatArray:
        """Return weights (C, B, J), 1/px, of keypoints that have this noise instead of that of the settings."""
        own = weights / self.scale[:, None, None]
        counted: FloatArray = own / np.sqrt(1.0 + np.square(own * (self.shared * focal_px)[:, None, None]))
        return counted


@dataclass(frozen=True, slots=True, eq=False)
class BodyViews(BodyTable):
    """The keypoints of B bodies in C views.

    Attributes:
        xn: (C, B, J, 2) undistorted normalised keypoints, NaN = not seen.
        confidence: (C, B, J) in [0, 1], 0 where not seen.
    """

    BODY_AXIS: ClassVar[Mapping[str, int]] = {'xn': 1, 'confidence': 1}

    xn: FloatArray
    confidence: FloatArray

    def weights(self, focal_px: FloatArray, noise_px: float) -> FloatArray:
        """Return (C, B, J) 1 / standard deviation of the keypoints, 1/px; 0 where the confidence is 0.

        Detectors work on a crop of the person, so that their error grows with the person's size in the image.

        Args:
            focal_px: (C,).
            noise_px: standard deviation of a keypoint of confidence 1 of a body 600 px tall.
        """
        # fmax and fmin pass over NaN.
        extent = np.fmax.reduce(self.xn, -2) - np.fmin.reduce(self.xn, -2)
        extent_px = np.fmax(extent.max(-1) * focal_px[:, None], _LEAST_EXTENT_PX)
        weights: FloatArray = self.confidence * (_REFERENCE_EXTENT_PX / noise_px / extent_px)[..., None]
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
    """

    camera: IntArray
    xn: FloatArray
    seen: BoolArray
    confidence: FloatArray
    centre: FloatArray
    starts: IntArray

    @classmethod
    def of(cls, xn_by_camera: Sequence[FloatArray], confidence_by_camera: Sequence[FloatArray]) -> Detections:
        """Join what each camera detected.

        Args:
            xn_by_camera: per camera (P_c, J, 2) undistorted normalised keypoints, NaN = not seen.
            confidence_by_camera: per camera (P_c, J) >= 0, 0 = not used.

        Raises:
            ShapeError: if the arrays do not agree.
        """
        shapes = [x.shape for x in xn_by_camera]
        joints = shapes[0][1] if shapes and len(shapes[0]) == 3 else -1
        if not shapes or len(confidence_by_camera) != len(shapes) or any(s[1:] != (joints, 2) for s in shapes) or any(
            w.shape != s[:2] for w, s in zip(confidence_by_camera, shapes, strict=True)
        ):
            raise ShapeError(
                f'Detections: received keypoints {shapes} and confidences {[w.shape for w in confidence_by_camera]}; '
                'expected one (P, J, 2) and one (P, J) per camera.'
            )
        counts = [s[0] for s in shapes]
        given, confidence = np.concatenate(xn_by_camera), np.concatenate(confidence_by_camera)
        # A sum is finite only if all its terms are.
        seen = np.isfinite(given.sum(-1)) & (confidence > 0.0)
        xn = np.where(seen[..., None], given, 0.0)
        centre = xn.sum(1) / np.maximum(seen.sum(1), 1)[:, None]
        camera = np.repeat(np.arange(len(shapes)), counts)
        return cls(camera, xn, seen, np.where(seen, confidence, 0.0), centre, np.cumsum([0, *counts]))

    def __len__(self) -> int:
        return len(self.camera)

    def select(self, index: IntArray) -> Detections:
        """Return the detections ``index`` (D',), rising."""
        camera = self.camera[index]
        return Detections(
            camera, self.xn[index], self.seen[index], self.confidence[index], self.centre[index],
            np.searchsorted(camera, np.arange(len(self.starts))),
        )

    def gather(self, views: IntArray) -> BodyViews:
        """Return the keypoints of bodies whose detections are ``views`` (B, C), -1 for none."""
        index = views.T
        used = (index >= 0)[..., None]
        if not len(self):
            unseen = np.zeros((*index.shape, self.xn.shape[1]))
            return BodyViews(np.full((*unseen.shape, 2), np.nan), unseen)
        seen = self.seen[index] & used
        return BodyViews(np.where(seen[..., None], self.xn[index], np.nan), np.where(used, self.confidence[index], 0.0))


def lateral_distance(local: FloatArray, detections: Detections, body: IntArray, detection: IntArray) -> FloatArray:
    """Return (K,) m: how far beside a detection's rays a body's joints lie, on average.

    The mean over the common joints of the distance across the view at the joint's depth, capped at CAP_M: metric, so
    that no threshold depends on image size or zoom. Infinite with fewer than MIN_COMMON_JOINTS common joints.

    Args:
        local: (C, B, J, 3) bodies in the cameras' frames, from ``Cameras.see``.
        detections: D detections.
        body, detection: (K,) the pairs.
    """
    joints = local[detections.camera[detection], body]
    depth = joints[..., 2]
    off = joints[..., :2] - detections.xn[detection] * depth[..., None]
    with np.errstate(invalid='ignore'):
        distance = np.where(depth > NEAR_M, np.sqrt((off * off).sum(-1)), CAP_M)
    return mean_capped(distance, detections.seen[detection] & np.isfinite(depth))


def mean_capped(distance: FloatArray, valid: BoolArray) -> FloatArray:
    """Return the mean over the last axis of ``distance`` capped at CAP_M; inf with too few ``valid`` joints."""
    count = valid.sum(-1)
    total = np.where(valid, np.minimum(distance, CAP_M), 0.0).sum(-1)
    return np.where(count >= MIN_COMMON_JOINTS, total / np.maximum(count, 1), np.inf)


def nearby(local: FloatArray, detections: Detections, reach_m: float) -> tuple[IntArray, IntArray]:
    """Return the pairs (body, detection), (K,) each, whose centres are within ``reach_m`` across the view."""
    known = np.isfinite(local[..., 2])
    count = np.maximum(known.sum(-1), 1)[..., None]
    centre = np.where(known[..., None], local, 0.0).sum(-2) / count
    of_body = centre[detections.camera]
    off = of_body[..., :2] - detections.centre[:, None] * of_body[..., 2:]
    near = ((off * off).sum(-1) < reach_m * reach_m) & (of_body[..., 2] > NEAR_M)
    detection, body = np.nonzero(near)
    return body, detection
