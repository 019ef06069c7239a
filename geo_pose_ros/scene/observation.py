# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""One set of keypoints as arrays, every view at its own instant on the common clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..arrays import NS_PER_S, FloatArray, IntArray
from ..errors import CalibrationError
from ..fusion.depth import beside_body, joint_depths
from ..fusion.settings import DepthConfig
from ..fusion.views import Cameras, Detections
from ..geometry.projection import lenses_of, normalize
from ..skeleton import BODY17, Skeleton
from ..types import CameraRig, Intrinsics, Keypoints2D
from .cameras.clocks import ClockOffsets

# A view is at most this far from its set's instant, s: an absurd stamp must not throw people about.
_MOST_LATE_S = 0.5
_NO_HINTS = np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Observation:
    """What the cameras of one set deliver.

    Attributes:
        stamp_ns: the set's instant.
        cameras: C cameras.
        detections: D detections.
        appearance: (D, A) what each detected person wears, NaN = not seen; None where nothing is known of it.
        further: their joints after body17's, at a detection's row; None where there are none.
        hints: (D,) the id of the body that each detection was made for, -1 for none.
        delivering: how many cameras delivered within the last second; in the first second all count.
    """

    stamp_ns: int
    cameras: Cameras
    detections: Detections
    hints: IntArray
    delivering: int
    further: Detections | None = None
    appearance: FloatArray | None = None


class Observer:
    """Makes observations of a rig's sets."""

    def __init__(self, rig: CameraRig, skeleton: Skeleton = BODY17, depth: DepthConfig | None = None) -> None:
        """Start with no set; keypoints are of ``skeleton``, which begins with body17's joints."""
        self._rig, self._names, self._joints, self._depth = rig, rig.names, len(skeleton), depth or DepthConfig()
        self._unseen = np.zeros((0, self._joints, 2)), np.zeros((0, self._joints))
        self._lenses = lenses_of(*(camera.intrinsics for camera in rig.cameras))
        self._cam_from_world = np.stack([camera.cam_from_world for camera in rig.cameras])
        self._bounds = np.stack([_bounds(camera.intrinsics) for camera in rig.cameras])
        self._known_late_s = np.array([camera.clock.offset_s for camera in rig.cameras])
        self.focal_px: FloatArray = np.array([np.diag(camera.intrinsics.K)[:2].mean() for camera in rig.cameras])
        # Stamps of the first set and of each camera's last one.
        self._began_ns = float('inf')
        self._delivered_ns: dict[str, int] = {}

    def observe(
        self, stamp_ns: int, keypoints: Mapping[str, Keypoints2D], moved: Mapping[str, FloatArray],
        clocks: ClockOffsets, min_confidence: float,
    ) -> Observation:
        """Return a set as arrays.

        Args:
            stamp_ns: the set's instant.
            keypoints: by camera name.
            moved: cam_from_world (3, 4) of cameras that move, by name.
            clocks: what is known of them beyond the rig; they take note of the stamps.
            min_confidence: keypoints of less are not used.

        Raises:
            CalibrationError: if a name is not in the rig.
        """
        names = self._names
        unknown = {*keypoints, *moved}.difference(names)
        if unknown:
            raise CalibrationError(f'Keypoints of {sorted(unknown)}: the rig has only {", ".join(names)}.')
        views = [keypoints.get(name) for name in names]
        stamps_ns = np.array([stamp_ns if seen is None else seen.stamp_ns for seen in views], np.int64)
        present = np.array([seen is not None for seen in views])
        given = [self._unseen if seen is None else (seen.xy, self._confidence(seen, min_confidence)) for seen in views]
        hints = [_NO_HINTS, *[seen.hints for seen in views if seen is not None]]
        pose = self._cam_from_world
        if moved:
            pose = pose.copy()
            for name, cam_from_world in moved.items():
                pose[names.index(name)] = cam_from_world
        clocks.note_stamps(stamps_ns, self._known_late_s, present)
        body, further = given, None
        if self._joints > (first := len(BODY17)):
            body = [(xy[:, :first], used[:, :first]) for xy, used in given]
            further = self._detections([(xy[:, first:], used[:, first:]) for xy, used in given], min_confidence)
        late_s = (stamps_ns - stamp_ns) / NS_PER_S - self._known_late_s - clocks.offset_s
        late_s = np.minimum(np.maximum(late_s, -_MOST_LATE_S), _MOST_LATE_S) * present
        return Observation(
            stamp_ns, Cameras(pose, self.focal_px, self._bounds, late_s, present),
            replace(self._detections(body, min_confidence), depth=self._depths(views)), np.concatenate(hints),
            self._delivering(stamp_ns, keypoints), further, _appearance(views),
        )

    def _confidence(self, seen: Keypoints2D, min_confidence: float) -> FloatArray:
        """Return the confidence (P, J) of keypoints, 0 where a depth image shows that they miss the person."""
        if not self._depth.enabled or seen.depth_m is None:
            return seen.confidence
        is_seen = seen.confidence >= min_confidence
        return np.where(beside_body(seen.depth_m, is_seen, self._depth), 0.0, seen.confidence)

    def _depths(self, views: Sequence[Keypoints2D | None]) -> FloatArray | None:
        """Return (D, J, 2) the depths of body17's joints, see ``BodyViews``; None where nobody measures them."""
        seen = [view for view in views if view is not None]
        if not self._depth.enabled or all(view.depth_m is None for view in seen):
            return None
        surface = [
            np.full((len(view.xy), len(BODY17)), np.nan) if view.depth_m is None else view.depth_m[:, : len(BODY17)]
            for view in seen
        ]
        return joint_depths(np.concatenate(surface), self._depth)

    def _detections(self, given: Sequence[tuple[FloatArray, FloatArray]], min_confidence: float) -> Detections:
        return Detections.of([xy for xy, _ in given], [used for _, used in given], self._lenses, min_confidence)

    def _delivering(self, stamp_ns: int, keypoints: Mapping[str, Keypoints2D]) -> int:
        """Return how many cameras delivered within the last second; in the first second all count."""
        if not self._began_ns <= stamp_ns:
            self._began_ns = stamp_ns
            self._delivered_ns.clear()
        self._delivered_ns.update(dict.fromkeys(keypoints, stamp_ns))
        if stamp_ns - self._began_ns < NS_PER_S:
            return len(self._rig)
        return sum(stamp_ns - last_ns < NS_PER_S for last_ns in self._delivered_ns.values())


def _appearance(views: Sequence[Keypoints2D | None]) -> FloatArray | None:
    """Return the appearance (D, A) of all detected people; None where some camera does not know it."""
    found = [seen.appearance for seen in views if seen is not None and len(seen.xy)]
    if not found or any(rows is None for rows in found):
        return None
    return np.concatenate([rows for rows in found if rows is not None])


def _bounds(intrinsics: Intrinsics) -> FloatArray:
    """Return x min, y min, x max, y max of the image on the ideal plane z = 1."""
    w, h = intrinsics.width - 1.0, intrinsics.height - 1.0
    left, right, top, bottom = normalize(intrinsics, 0.5 * np.array([[0.0, h], [2.0 * w, h], [w, 0.0], [w, 2.0 * h]]))
    return np.array([left[0], top[1], right[0], bottom[1]])
