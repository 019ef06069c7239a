# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Core types that flow through the pipeline: frozen, validated, with read-only arrays.

C cameras, P bodies, J joints. Metres, radians, integer nanoseconds, pixels. Optical frames (x right, y down,
z forward, REP-103); the centre of the top-left pixel is (0, 0). NaN marks what was not seen.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType
from typing import TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .arrays import NS_PER_S, FloatArray, IntArray, UInt8Array
from .errors import CalibrationError, ShapeError
from .skeleton import Skeleton, map_to_output

# Number of coefficients each ROS distortion model takes (sensor_msgs/distortion_models.hpp).
DISTORTION_COEFFICIENTS: Mapping[str, tuple[int, ...]] = {
    'plumb_bob': (0, 4, 5),
    'rational_polynomial': (8, 12, 14),
    'equidistant': (4,),
}


def freeze(
    owner: object, what: str, shapes: Mapping[str, tuple[int | None, ...]], dtype: DTypeLike = np.float64
) -> None:
    """Make fields of a frozen dataclass read-only arrays of ``dtype`` and ``shapes`` (None: any extent), by name.

    An array is copied if it was writable.

    Raises:
        ShapeError: naming ``what`` and the field, the received and the right shape.
    """
    for name, shape in shapes.items():
        given = getattr(owner, name)
        # Compiled code takes arrays in C order.
        frozen = isinstance(given, np.ndarray) and given.dtype == dtype and not given.flags.writeable
        array = given if frozen and given.flags.c_contiguous else np.array(given, dtype, copy=True, order='C')
        if array.shape != shape and (array.ndim != len(shape) or any(
            want is not None and have != want for have, want in zip(array.shape, shape, strict=True)
        )):
            wanted = '(' + ', '.join('any' if n is None else str(n) for n in shape) + ')'
            raise ShapeError(f'{what}{name}: received shape {array.shape}, expected {wanted}.')
        array.flags.writeable = False
        object.__setattr__(owner, name, array)


@dataclass(frozen=True, slots=True, eq=False)
class Intrinsics:
    """Pinhole intrinsics with a ROS distortion model.

    Attributes:
        K: (3, 3) camera matrix, px.
        D: (n,) distortion coefficients, dimensionless, in the order of ``distortion_model``.
        distortion_model: plumb_bob, rational_polynomial or equidistant.
        width, height: image size the calibration is valid for, px.

    Raises:
        CalibrationError: for an uncalibrated (zero) K, an unknown model, or a wrong number of coefficients.
    """

    K: FloatArray
    D: FloatArray
    distortion_model: str
    width: int
    height: int

    def __post_init__(self) -> None:
        freeze(self, 'Intrinsics.', {'K': (3, 3), 'D': (None,)})
        if not (np.isfinite(self.K).all() and np.isfinite(self.D).all()):
            raise CalibrationError('Intrinsics: K or D is not finite; calibrate the camera again.')
        if not np.any(self.K):
            raise CalibrationError(
                'K = 0; the camera is uncalibrated. Calibrate it (ros2 run camera_calibration cameracalibrator) '
                'or give a rig file.'
            )
        if self.K[0, 0] <= 0.0 or self.K[1, 1] <= 0.0 or not np.array_equal(self.K[2], (0.0, 0.0, 1.0)):
            raise CalibrationError(
                f'K = {self.K.tolist()} is not a camera matrix: expected fx > 0, fy > 0 and last row [0, 0, 1].'
            )
        if self.K[0, 1] != 0.0 or self.K[1, 0] != 0.0:
            raise CalibrationError('K has skew, which no ROS distortion model supports; calibrate without it.')
        if self.distortion_model not in DISTORTION_COEFFICIENTS:
            raise CalibrationError(
                f"Unknown distortion model '{self.distortion_model}'; expected one of "
                f'{", ".join(DISTORTION_COEFFICIENTS)}. Calibrate with one of them.'
            )
        counts = DISTORTION_COEFFICIENTS[self.distortion_model]
        if len(self.D) not in counts:
            raise CalibrationError(
                f"Distortion model '{self.distortion_model}' got {len(self.D)} coefficients, expected "
                f'{" or ".join(map(str, counts))}.'
            )
        if self.width <= 0 or self.height <= 0:
            raise CalibrationError(
                f'Image size {self.width}x{self.height} is not positive; set width and height of the calibration.'
            )

    @property
    def distorted(self) -> bool:
        """Whether pixels differ from an ideal pinhole's (the equidistant model always does)."""
        return self.distortion_model == 'equidistant' or bool(np.any(self.D))


# A number, or an array of numbers.
_Numbers = TypeVar('_Numbers', float, FloatArray)


@dataclass(frozen=True, slots=True)
class ClockModel:
    """How a camera's stamps follow from the time that all cameras share: stamp = time + offset + drift * time.

    Where drift is not 0, time and stamps count from an origin that whoever estimates the drift chooses.

    Attributes:
        offset_s: the stamps are ahead of the common time by so much.
        drift: relative rate error of the clock, s/s.

    Raises:
        CalibrationError: if one is not finite.
    """

    offset_s: float = 0.0
    drift: float = 0.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.offset_s) and math.isfinite(self.drift)):
            raise CalibrationError(
                f'received clock_offset_s = {self.offset_s} and drift = {self.drift}, expected seconds and a number; '
                'leave them out if the clocks agree.'
            )

    @property
    def offset_ns(self) -> int:
        """``offset_s`` in whole nanoseconds."""
        return round(self.offset_s * NS_PER_S)

    def common_ns(self, stamp_ns: int) -> int:
        """Return the common time of a stamp, ns."""
        since_ns = stamp_ns - self.offset_ns
        return since_ns - round(since_ns * self.drift / (1.0 + self.drift)) if self.drift else since_ns

    def common_s(self, stamp_s: _Numbers) -> _Numbers:
        """Return the common time of stamps, s."""
        return (stamp_s - self.offset_s) / (1.0 + self.drift)

    def stamp_s(self, common_s: _Numbers) -> _Numbers:
        """Return the stamps that the camera gives to instants of the common time, s."""
        return common_s * (1.0 + self.drift) + self.offset_s


@dataclass(frozen=True, slots=True, eq=False)
class Camera:
    """A calibrated camera in the rig's world.

    Attributes:
        name: unique in its rig; also the topic prefix.
        frame_id: its optical frame in TF.
        intrinsics: see Intrinsics.
        cam_from_world: (3, 4) rigid transform [R | t], m: x_cam = R x_world + t.
        clock: how its stamps follow from the rig's common time.

    Raises:
        CalibrationError: if the name is empty, or R is no rotation (to 1e-4).
    """

    name: str
    frame_id: str
    intrinsics: Intrinsics
    cam_from_world: FloatArray
    clock: ClockModel = ClockModel()

    def __post_init__(self) -> None:
        if not self.name:
            raise CalibrationError('A camera has no name; give each camera of the rig one.')
        freeze(self, f"Camera '{self.name}': ", {'cam_from_world': (3, 4)})
        what = f"Camera '{self.name}': cam_from_world"
        if not np.isfinite(self.cam_from_world).all():
            raise CalibrationError(f'{what} is not finite; calibrate its extrinsics again.')
        R = self.cam_from_world[:, :3]
        error = float(np.abs(R @ R.T - np.eye(3)).max())
        if error > 1e-4 or np.linalg.det(R) < 0.0:
            raise CalibrationError(
                f'{what}: its left 3x3 is not a rotation (|R R^T - 1| = {error:.2g}, det = {np.linalg.det(R):.3f}); '
                'expected a right-handed orthonormal matrix.'
            )

    @property
    def position_m(self) -> FloatArray:
        """Camera centre in the world, (3,) m: -R^T t."""
        position: FloatArray = -self.cam_from_world[:, :3].T @ self.cam_from_world[:, 3]
        return position


@dataclass(frozen=True, slots=True, eq=False)
class CameraRig:
    """Cameras that share one world frame.

    Attributes:
        floor: whether the floor is known to be the plane through the world's origin, across its upward axis.

    Raises:
        CalibrationError: if there is no camera or two share a name.
    """

    cameras: tuple[Camera, ...]
    world_frame_id: str = 'world'
    floor: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, 'cameras', tuple(self.cameras))
        if not self.cameras:
            raise CalibrationError('The rig has no camera; name at least one.')
        names = self.names
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise CalibrationError(f'The rig names {twice} more than once; camera names must be unique.')

    @property
    def names(self) -> tuple[str, ...]:
        """Camera names in rig order."""
        return tuple(camera.name for camera in self.cameras)

    def __len__(self) -> int:
        return len(self.cameras)

    def __getitem__(self, name: str) -> Camera:
        for camera in self.cameras:
            if camera.name == name:
                return camera
        raise CalibrationError(f"The rig has no camera '{name}'; it has: {', '.join(self.names)}.")

    def subset(self, names: tuple[str, ...] | list[str]) -> CameraRig:
        """Return the rig with only ``names``, in that order."""
        return replace(self, cameras=tuple(self[name] for name in names))

    def with_poses(self, change: Callable[[FloatArray], FloatArray]) -> CameraRig:
        """Return the rig with ``change`` of each camera's cam_from_world."""
        cameras = (replace(camera, cam_from_world=change(camera.cam_from_world)) for camera in self.cameras)
        return replace(self, cameras=tuple(cameras))


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One image.

    Attributes:
        camera, stamp_ns: whose, and its acquisition time.
        image: (H, W, 3) uint8 BGR.
        reduction: the image is the camera's, made smaller by this whole factor (JPEG decodes so for less time).
        depth_m: (H', W') float32 m along the optical axis, registered to the image, of any size; 0 or NaN where not
            measured. None: no depth camera.
    """

    camera: str
    stamp_ns: int
    image: UInt8Array
    reduction: int = 1
    depth_m: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        what = f"Frame of camera '{self.camera}'"
        if self.reduction < 1:
            raise ShapeError(f'{what}: received reduction {self.reduction}, expected a whole number of at least 1.')
        if not isinstance(self.image, np.ndarray) or self.image.dtype != np.uint8:
            raise ShapeError(f'{what}: received {getattr(self.image, "dtype", type(self.image))}, expected uint8.')
        if self.image.ndim != 3 or self.image.shape[2] != 3 or 0 in self.image.shape:
            raise ShapeError(f'{what}: received shape {self.image.shape}, expected (H, W, 3).')
        if self.depth_m is not None and self.depth_m.ndim != 2:
            raise ShapeError(f'{what}: received depths of shape {self.depth_m.shape}, expected (H, W).')
        # A view, not a copy: images are large and the decoder gives each away.
        view = self.image.view()
        view.flags.writeable = False
        object.__setattr__(self, 'image', view)

    def to_raw(self, xy: FloatArray) -> FloatArray:
        """Return px (..., 2) of ``image`` as raw px of the camera; pixel centres are at whole numbers in both."""
        raw: FloatArray = (xy + 0.5) * self.reduction - 0.5
        return raw

    @property
    def raw_size(self) -> tuple[int, int]:
        """Width and height of the camera's own image, px."""
        height, width = self.image.shape[:2]
        return width * self.reduction, height * self.reduction

    def from_raw(self, xy: FloatArray) -> FloatArray:
        """Return raw px (..., 2) of the camera as px of ``image``; the inverse of ``to_raw``."""
        own: FloatArray = (xy + 0.5) / self.reduction - 0.5
        return own


@dataclass(frozen=True, slots=True, eq=False)
class FrameSet:
    """Frames of one instant; may be partial.

    Attributes:
        frames: by camera name.
        stamp_ns: the set's acquisition time, the median of its frames' stamps.
        span_ns: newest minus oldest stamp.
    """

    frames: Mapping[str, Frame]
    stamp_ns: int = field(init=False)
    span_ns: int = field(init=False)

    def __post_init__(self) -> None:
        if not self.frames:
            raise ShapeError('FrameSet: received no frame, expected at least one.')
        object.__setattr__(self, 'frames', MappingProxyType(dict(self.frames)))
        stamps = sorted(frame.stamp_ns for frame in self.frames.values())
        object.__setattr__(self, 'stamp_ns', stamps[(len(stamps) - 1) // 2])
        object.__setattr__(self, 'span_ns', stamps[-1] - stamps[0])


@dataclass(frozen=True, slots=True, eq=False)
class Keypoints2D:
    """2D keypoints of P people in one image.

    Attributes:
        camera, stamp_ns: of the image.
        skeleton: J joints.
        xy: (P, J, 2) raw (distorted) px, NaN = not seen.
        confidence: (P, J) in [0, 1], 0 where not seen.
        hints: (P,) id of the body that a detection was made for (see PredictedPeople), -1 for none; None: none at all.
            A hint, not a fact: geometry decides.
        appearance: (P, A) what the people wear, as ``detection.appearance`` describes it, NaN = not seen; None: nothing
            is known of it.
        depth_m: (P, J) m along the optical axis, of the surface that a depth camera sees there, NaN = not measured;
            None: no depth camera.
    """

    camera: str
    stamp_ns: int
    skeleton: Skeleton
    xy: FloatArray
    confidence: FloatArray
    hints: IntArray = None  # type: ignore[assignment]  # filled in at once
    appearance: FloatArray | None = None
    depth_m: FloatArray | None = None

    def __post_init__(self) -> None:
        what = f"Keypoints2D of camera '{self.camera}'"
        joints = len(self.skeleton)
        freeze(self, f'{what}: ', {'xy': (None, joints, 2)})
        people = len(self.xy)
        freeze(self, f'{what}: ', {'confidence': (people, joints)})
        least, most = self.confidence.min(initial=0.0), self.confidence.max(initial=0.0)
        # NaN is in no interval.
        if not (least >= 0.0 and most <= 1.0):
            raise ShapeError(f'{what}: a confidence is outside [0, 1]; scale the detector\'s scores.')
        object.__setattr__(self, 'hints', np.full(people, -1) if self.hints is None else self.hints)
        freeze(self, f'{what}: ', {'hints': (people,)}, np.int64)
        if self.appearance is not None:
            freeze(self, f'{what}: ', {'appearance': (people, None)})
        if self.depth_m is not None:
            freeze(self, f'{what}: ', {'depth_m': (people, joints)})

    def as_output(self, output: Skeleton) -> Keypoints2D:
        """Return the keypoints as those of one of ``skeleton.OUTPUTS``; raise ConfigError if there is no map to it."""
        if self.skeleton is output:
            return self
        xy, confidence = map_to_output(self.skeleton, output, self.xy, self.confidence)
        return Keypoints2D(self.camera, self.stamp_ns, output, xy, confidence, self.hints, self.appearance)

    @classmethod
    def empty(cls, camera: str, stamp_ns: int, skeleton: Skeleton) -> Keypoints2D:
        """Return keypoints of nobody."""
        joints = len(skeleton)
        return cls(camera, stamp_ns, skeleton, np.zeros((0, joints, 2)), np.zeros((0, joints)))


@dataclass(frozen=True, slots=True, eq=False)
class PredictedPeople:
    """P people that the scene predicts in one camera's image; a detector may look there first.

    Attributes:
        camera, stamp_ns: of the image, and the instant that they are predicted for.
        skeleton: J joints.
        xy: (P, J, 2) raw (distorted) px, NaN = unknown or behind the camera; may lie outside the image.
        sigma_px: (P, J) standard deviation of ``xy`` along its worse axis, NaN as ``xy``.
        body_ids: (P,) of Bodies3D.
        roll_rad: by how much people who stand are turned in the image, x towards y; 0 too where that is not known.
    """

    camera: str
    stamp_ns: int
    skeleton: Skeleton
    xy: FloatArray
    sigma_px: FloatArray
    body_ids: IntArray
    roll_rad: float = 0.0

    def __post_init__(self) -> None:
        what = f"PredictedPeople of camera '{self.camera}'"
        joints = len(self.skeleton)
        freeze(self, f'{what}: ', {'xy': (None, joints, 2)})
        freeze(self, f'{what}: ', {'sigma_px': (len(self.xy), joints)})
        freeze(self, f'{what}: ', {'body_ids': (len(self.xy),)}, np.int64)

    def __len__(self) -> int:
        return int(self.xy.shape[0])


@dataclass(frozen=True, slots=True, eq=False)
class Bodies3D:
    """3D joints of P bodies in the world frame.

    Attributes:
        stamp_ns: acquisition time of the set.
        frame_id: the world frame.
        skeleton: J joints.
        xyz: (P, J, 3) m, NaN = unknown.
        covariance: (P, J, 3, 3) m^2, NaN where unknown.
        confidence: (P, J) in [0, 1].
        num_views: (P, J) inlier views of the joint.
        reprojection_error: (P, J) px, mean over the inlier views, NaN where there is none.
        body_ids: (P,) stable over time.
        velocity: (P, J, 3) m/s, NaN where unknown; None: nowhere known.
        age_s: (P, J) since the joint was last measured, NaN where unknown; None: nowhere known.
        views: (P, J) the inlier views of the joint: bit c of camera c of the rig; None: unknown.
    """

    stamp_ns: int
    frame_id: str
    skeleton: Skeleton
    xyz: FloatArray
    covariance: FloatArray
    confidence: FloatArray
    num_views: IntArray
    reprojection_error: FloatArray
    body_ids: IntArray
    velocity: FloatArray = None  # type: ignore[assignment]  # filled in at once, as are those below
    age_s: FloatArray = None  # type: ignore[assignment]
    views: IntArray = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        joints = len(self.skeleton)
        freeze(self, 'Bodies3D.', {'xyz': (None, joints, 3)})
        each = (len(self.xyz), joints)
        for name, shape, unknown in (('velocity', (*each, 3), np.nan), ('age_s', each, np.nan), ('views', each, 0)):
            if getattr(self, name) is None:
                object.__setattr__(self, name, np.full(shape, unknown))
        freeze(self, 'Bodies3D.', {
            'covariance': (*each, 3, 3), 'confidence': each, 'reprojection_error': each, 'velocity': (*each, 3),
            'age_s': each,
        })
        freeze(self, 'Bodies3D.', {'num_views': each, 'views': each, 'body_ids': each[:1]}, np.int64)

    def __len__(self) -> int:
        return int(self.xyz.shape[0])

    @classmethod
    def empty(cls, stamp_ns: int, frame_id: str, skeleton: Skeleton) -> Bodies3D:
        """Return no body."""
        joints = len(skeleton)
        return cls(
            stamp_ns, frame_id, skeleton, np.zeros((0, joints, 3)), np.zeros((0, joints, 3, 3)), np.zeros((0, joints)),
            np.zeros((0, joints), np.int64), np.zeros((0, joints)), np.zeros(0, np.int64),
        )

    def select(self, kept: NDArray[np.bool_]) -> Bodies3D:
        """Return the bodies of the mask ``kept`` (P,)."""
        # The first three are of the set.
        return replace(self, **{field.name: getattr(self, field.name)[kept] for field in fields(self)[3:]})
