"""Lifted poses of tracked bodies: the lifter, the views that it is given, and the past that its windows need."""

from __future__ import annotations

from functools import partial

import numpy as np

from ..arrays import IntArray
from ..fusion.lifted import LiftedViews
from ..fusion.views import BodyViews, Cameras
from ..lifting.lifter import PoseLifter
from .history import PoseHistory


class BodyLifter:
    """Lifts the bodies of one scene."""

    def __init__(self, lifter: PoseLifter, views: int) -> None:
        """Start with no past; the lifter stays the caller's to close, and lifts at most ``views`` of a body."""
        self._lifter, self._views, card = lifter, views, lifter.card
        # Only a lifter that reads several frames needs one.
        self._history = PoseHistory(card.receptive_field, card.rate_hz) if card.receptive_field > 1 else None

    def lift(self, stamp_ns: int, cameras: Cameras, keypoints: BodyViews, body_ids: IntArray) -> LiftedViews:
        """Return the lifted poses of the bodies ``body_ids`` (B,), -1 for new ones."""
        camera = _views_to_lift(keypoints, None if self._history else self._views)
        body = np.arange(camera.shape[1])
        cam_from_world = cameras.cam_from_world[camera]
        lifted = self._lifter.lift(
            keypoints.xn[camera, body], keypoints.confidence[camera, body],
            None if self._history is None else partial(self._history.windows, stamp_ns, body_ids),
            up_in_cam=self._lifter.up_in_cam(cam_from_world), height_m=self._lifter.height_m(cam_from_world),
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


def _views_to_lift(keypoints: BodyViews, most: int | None) -> IntArray:
    """Return (V, B) the cameras that show most of each body; all of them, in order, where ``most`` is None."""
    shown = keypoints.confidence.sum(-1)
    cameras, bodies = shown.shape
    views = cameras if most is None else min(most, int((shown > 0.0).any(1).sum()) or 1, cameras)
    if views == cameras:
        return np.repeat(np.arange(cameras)[:, None], bodies, 1)
    return np.argpartition(-shown, views - 1, axis=0)[:views]
