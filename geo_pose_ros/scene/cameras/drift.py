# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Extrinsic drift: which camera was moved, from the offsets of all views against the bodies, inliers or not.

A body that C cameras see at mean offsets m has moved to where they fit best; what is left are the parts of the offsets
that no place of the body explains. With W the views' information and A how the body's place moves the images, the
normal equations of the cameras' calibration errors b are S b = S m, S = W - W A (A^T W A)^-1 A^T W. In a ring a turned
camera also pushes the one opposite, so that the residuals alone do not name it; but one camera's error explains all of
them, the other's half. The camera is named whose error alone explains most (one step of matching pursuit), then the
next.
"""

from __future__ import annotations

import numpy as np

from ...arrays import FloatArray
from ..kernels.cameras import learn_drift
from ..settings import CameraStateConfig

# Times over which the present and the usual calibration error are averaged, s.
_PRESENT_S = 0.8
_USUAL_S = 20.0
# Sets with at least three views of a body before the usual errors are known.
_LEAST_SETS = 20
# ... and before their scatter is, so that it is followed slowly from then on.
_LEARNED_SETS = 60
# An error so many times its usual scatter is not chance.
_UNUSUAL = 6.0
# A camera that was moved is right again when so much of the error is gone.
_BACK = 0.5
# At most so many cameras are moved at once, by this part of the largest error at least: while that one comes or goes,
# its average is neither, and a part of it passes for others'.
_MOST_MOVED = 3
_LEAST_PART = 0.25
# Standard deviation of a calibration error before anything is known, at focal length 1; decides only what nothing else
# does.
_PRIOR_ERROR = 0.01


class DriftDetector:
    """The calibration errors of C cameras, and which camera was moved.

    Attributes:
        moved: (C,) whether the camera was moved, or never was where its calibration says.
        error: (C, 2) calibration error at focal length 1: since it was moved, or the usual one.
    """

    def __init__(self, focal_px: FloatArray, config: CameraStateConfig) -> None:
        """Start with nothing known of cameras of focal lengths (C,) px."""
        cameras = len(focal_px)
        self._focal_px, self._config = focal_px, config
        self._information = np.zeros((2 * cameras, 2 * cameras))
        self._right = np.zeros(2 * cameras)
        self._usual = np.zeros((cameras, 2))
        self._scatter2 = np.zeros(cameras)
        self._sets = 0
        self._unusual_s = np.zeros(cameras)
        self.moved = np.zeros(cameras, bool)
        self.error = np.zeros((cameras, 2))

    def learn(
        self, cam_from_world: FloatArray, centre: FloatArray, offset: FloatArray, information: FloatArray, dt_s: float
    ) -> None:
        """Take in a set of B bodies.

        Args:
            cam_from_world: (C, 3, 4).
            centre: (B, 3) m, the mean of each body's joints, NaN = unknown.
            offset: (C, B, 2) mean residual of each view at focal length 1, NaN = no view.
            information: (C, B) 1 / variance of ``offset``.
            dt_s: since the last set.
        """
        forget = np.exp(-dt_s / _PRESENT_S)
        self._information *= forget
        self._right *= forget
        if learn_drift(cam_from_world, centre, offset, information, self._information, self._right):
            self._sets += 1
            self._judge(dt_s)

    def _judge(self, dt_s: float) -> None:
        """Decide which cameras were moved, and follow the usual errors while none was."""
        cameras = len(self._focal_px)
        known = self._sets >= _LEAST_SETS
        usual = self._usual if known else np.zeros((cameras, 2))
        right = self._right - self._information @ usual.ravel()
        alone, gain = self._alone(right)
        beyond = np.maximum(self._config.moved_px / self._focal_px, _UNUSUAL * np.sqrt(self._scatter2))
        if not known:
            beyond = self._config.wrong_px / self._focal_px
        unusual = np.zeros(cameras, bool)
        error = self._usual.copy()
        largest = 0.0
        for _ in range(min(_MOST_MOVED, cameras - 2)):
            best = int(gain.argmax())
            size = float(np.hypot(*alone[best]))
            if unusual[best] or size <= beyond[best] * (_BACK if self.moved[best] else 1.0):
                break
            if size < _LEAST_PART * largest:
                break
            largest = max(largest, size)
            unusual[best] = True
            error[best] = alone[best]
            right = right - self._information[:, 2 * best : 2 * best + 2] @ alone[best]
            first = alone
            alone, gain = self._alone(right)
            gain[unusual] = 0.0
            # What one explains, the others do not need to.
            alone = np.where(unusual[:, None], first, alone)
        self._unusual_s = np.where(unusual, self._unusual_s + dt_s, 0.0)
        self.moved = unusual & (self.moved | (self._unusual_s >= self._config.moved_after_s))
        self.error = np.where(self.moved[:, None], error, usual)
        if not unusual.any():
            self._follow(alone, dt_s)

    def _alone(self, right: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the error (C, 2) of each camera if it alone had one, and how much that explains (C,)."""
        cameras = len(self._focal_px)
        index = np.arange(cameras)
        own = self._information.reshape(cameras, 2, cameras, 2)[index, :, index] + _PRIOR_ERROR**-2 * 0.01 * np.eye(2)
        wanted = right.reshape(cameras, 2)
        alone = np.asarray(np.linalg.solve(own, wanted[..., None])[..., 0], np.float64)
        return alone, (wanted * alone).sum(1)

    def _follow(self, alone: FloatArray, dt_s: float) -> None:
        share = 1.0 - np.exp(-dt_s / _USUAL_S)
        if self._sets < _LEARNED_SETS:
            share = max(share, 1.0 / self._sets)
        if self._sets >= _LEAST_SETS:
            # A camera that has just begun to move must not pass for one that scatters.
            off2 = np.minimum((alone**2).sum(1), np.maximum(9.0 * self._scatter2, (1.0 / self._focal_px) ** 2))
            self._scatter2 += share * (off2 - self._scatter2)
        both = self._information + _PRIOR_ERROR**-2 * np.eye(len(self._right))
        self._usual += share * (np.linalg.solve(both, self._right).reshape(-1, 2) - self._usual)
