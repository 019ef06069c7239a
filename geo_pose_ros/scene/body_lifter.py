# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Lifted poses of tracked bodies: the lifter, the views that it is given, and the past that its windows need.

Sets are not periodic, and a lifter of several frames was trained at one rate; so its windows are sampled from the past
at the lifter's own rate, between two sets by linear interpolation.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from ..arrays import NS_PER_S, FloatArray, IntArray
from ..fusion.prior import LiftedViews
from ..fusion.views import BodyViews, Cameras
from ..lifting.canonical import Poses
from ..lifting.lifter import PoseLifter
from ..lifting.settings import LifterConfig
from .kernels.measurement import choose_views


class PoseHistory:
    """The canonical 2D poses of all tracked bodies, as far back as a window reaches."""

    def __init__(self, frames: int, rate_hz: float) -> None:
        """Start with nothing.

        Args:
            frames: T, of a window.
            rate_hz: frames per second of a window.
        """
        self._ages_ns = np.arange(frames - 1, -1, -1) * (NS_PER_S / rate_hz)
        # By body id: stamps, and as many poses (C, J, 3).
        self._past: dict[int, tuple[list[int], list[Poses]]] = {}

    def windows(self, stamp_ns: int, body_ids: IntArray, current: Poses) -> Poses:
        """Return the windows (C, B, T, J, 3) that end with ``current`` (C, B, J, 3), of bodies (B,), -1 for new ones.

        Before a body was first seen its first pose repeats, as at the beginning of a training sequence. A joint that
        one of two neighbouring sets did not see is taken from the nearer of them, seen or not.
        """
        views, bodies, joints, _ = current.shape
        frames = len(self._ages_ns)
        windows = np.empty((views, bodies, frames, joints, 3), np.float32)
        for row, body in enumerate(body_ids.tolist()):
            stamps, poses = self._past.get(body, ([], []))
            known = np.stack([*poses, current[:, row]], 1)
            ages_ns = stamp_ns - np.array([*stamps, stamp_ns], np.float64)
            # Ages fall, searchsorted wants them to rise.
            after = np.searchsorted(-ages_ns, -self._ages_ns, side='left').clip(0, len(ages_ns) - 1)
            before = np.maximum(after - 1, 0)
            span = ages_ns[before] - ages_ns[after]
            share = np.where(span > 0.0, (ages_ns[before] - self._ages_ns) / np.where(span > 0.0, span, 1.0), 1.0)
            share = share.clip(0.0, 1.0).astype(np.float32)[:, None, None]
            first, second = known[:, before], known[:, after]
            both = (first[..., 2:] > 0.0) & (second[..., 2:] > 0.0)
            nearer = np.where(share < 0.5, first, second)
            windows[:, row] = np.where(both, (1.0 - share) * first + share * second, nearer)
        return windows

    def remember(self, stamp_ns: int, body_ids: IntArray, tracked: IntArray, current: Poses) -> None:
        """Keep the poses of the measured bodies; forget bodies that are not ``tracked`` any more.

        Args:
            stamp_ns: of the set; one that is not later than the last (a bag began again) starts anew.
            body_ids: (B,) of the measured bodies.
            tracked: ids of all bodies that are still known.
            current: (C, B, J, 3).
        """
        alive = set(tracked.tolist())
        self._past = {body: past for body, past in self._past.items() if body in alive and past[0][-1] < stamp_ns}
        for row, body in enumerate(body_ids.tolist()):
            stamps, poses = self._past.setdefault(body, ([], []))
            stamps.append(stamp_ns)
            poses.append(current[:, row])
            # One older than the window stays, to interpolate from.
            while len(stamps) > 2 and stamp_ns - stamps[1] >= self._ages_ns[0]:
                del stamps[0], poses[0]


class BodyLifter:
    """Lifts the bodies of one scene."""

    def __init__(self, lifter: PoseLifter, config: LifterConfig, floor: bool = False) -> None:
        """Start with no past; the lifter stays the caller's to close. ``floor``: what the rig says of its world's."""
        self._lifter, self._config, card = lifter, config, lifter.card
        self._floor = floor or config.floor
        # Only a lifter that reads several frames needs one.
        self._history = PoseHistory(card.receptive_field, card.rate_hz) if card.receptive_field > 1 else None

    def lift(
        self, stamp_ns: int, cameras: Cameras, keypoints: BodyViews, body_ids: IntArray, lengths_m: FloatArray | None
    ) -> LiftedViews:
        """Return the lifted poses of the bodies ``body_ids`` (B,), -1 for new ones; see ``PoseLifter.lift``."""
        count, bodies = keypoints.confidence.shape[:2]
        camera, body = np.repeat(np.arange(count)[:, None], bodies, 1), np.arange(bodies)
        if self._history is None and self._config.views < count:
            camera = np.empty((self._config.views, bodies), np.int64)
            choose_views(np.ascontiguousarray(keypoints.confidence), self._config.when == 'needed', camera)
        cam_from_world = cameras.cam_from_world[camera]
        lifted = self._lifter.lift(
            keypoints.xn[camera, body], np.where(camera[..., None] < 0, 0.0, keypoints.confidence[camera, body]),
            None if self._history is None else partial(self._history.windows, stamp_ns, body_ids),
            up_in_cam=self._lifter.up_in_cam(cam_from_world),
            height_m=self._lifter.height_m(cam_from_world) if self._floor else None,
            lengths=lengths_m,
        )
        return LiftedViews.of_cameras(lifted.pose, lifted.sigma, lifted.root, cam_from_world)

    def remember(
        self, stamp_ns: int, cameras: Cameras, keypoints: BodyViews, body_ids: IntArray, tracked: IntArray
    ) -> None:
        """Keep what the views show of the measured bodies ``body_ids`` (B,); forget those that are not ``tracked``."""
        if self._history is not None:
            up_in_cam = self._lifter.up_in_cam(cameras.cam_from_world)
            poses = self._lifter.canonical(keypoints.xn, keypoints.confidence, up_in_cam).pose2d
            self._history.remember(stamp_ns, body_ids, tracked, poses)
