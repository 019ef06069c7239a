"""Which camera stands elsewhere than it did: from the shifts of all views against the bodies, agreeing or not.

A body that C cameras see at mean shifts m has moved to where they fit best; what is left are the shifts' parts that no
place of the body explains: with W the views' information and A how the body's place moves the images, the normal
equations of the cameras' shifts b are S b = S m, S = W - W A (A^T W A)^-1 A^T W. In a ring a turned camera also pushes
the one opposite, so that the residuals alone do not name it; but one camera's shift explains all of them, the other's
half. The camera is named whose shift alone explains most (one step of matching pursuit), then the next.
"""

from __future__ import annotations

import numpy as np

from ..arrays import FloatArray
from ..fusion.views import Cameras
from .settings import CameraStateConfig

# How shifts are averaged, lately and as usual, s.
_LATELY_S = 0.8
_USUALLY_S = 20.0
# Sets with at least three views of a body before the usual shifts are known.
_LEAST_LOOKS = 20
# ... and before their scatter is, so that it is followed slowly from then on.
_LEARNED_LOOKS = 60
# A shift so many times its usual scatter is not chance.
_UNUSUAL = 6.0
# A camera that was moved is right again when so much of the shift is gone.
_BACK = 0.5
# At most so many cameras are moved at once, by this part of the largest shift at least: while that one comes or goes,
# its average is neither, and a part of it passes for others'.
_MOST_MOVED = 3
_LEAST_PART = 0.25
# Standard deviation of a camera's shift before anything is known, at focal length 1; decides only what nothing else
# does.
_SHIFT = 0.01
# Joints' errors of one view are alike: so many count as one.
_ALIKE_JOINTS = 4.0


class RigHealth:
    """The shifts of C cameras.

    Attributes:
        moved: (C,) whether the camera stands elsewhere than it did, or than its calibration says.
        shift: (C, 2) at focal length 1, of the cameras that were moved against what was usual; of the others as usual.
    """

    def __init__(self, focal_px: FloatArray, config: CameraStateConfig) -> None:
        """Start with nothing known of cameras of focal lengths (C,) px."""
        cameras = len(focal_px)
        self._focal_px, self._config = focal_px, config
        self._information = np.zeros((2 * cameras, 2 * cameras))
        self._right = np.zeros(2 * cameras)
        self._usual = np.zeros((cameras, 2))
        self._scatter2 = np.zeros(cameras)
        self._looks = 0
        self._unusual_s = np.zeros(cameras)
        self.moved = np.zeros(cameras, bool)
        self.shift = np.zeros((cameras, 2))

    def learn(
        self, cameras: Cameras, place: FloatArray, shift: FloatArray, information: FloatArray, dt_s: float
    ) -> None:
        """Take in a set of B bodies.

        Args:
            cameras: C cameras.
            place: (B, 3) m, the middle of each body.
            shift: (C, B, 2) mean residual of each view at focal length 1, NaN = no view.
            information: (C, B) 1 / variance of ``shift``.
            dt_s: since the last set.
        """
        forget = np.exp(-dt_s / _LATELY_S)
        self._information *= forget
        self._right *= forget
        seen = np.isfinite(shift[..., 0]) & (information > 0.0)
        told = seen.sum(0) >= 3
        told &= np.isfinite(place[:, 0])
        if told.any():
            self._add(cameras, place[told], shift[:, told], np.where(seen, information, 0.0)[:, told])
            self._looks += 1
        self._judge(told.any(), dt_s)

    def _add(self, cameras: Cameras, place: FloatArray, shift: FloatArray, information: FloatArray) -> None:
        count, bodies = information.shape
        local = cameras.see(place[:, None])[:, :, 0]
        jacobian = cameras.image_jacobian(local)
        weight = information[..., None, None] / _ALIKE_JOINTS
        weighted = (weight * jacobian).transpose(1, 0, 2, 3).reshape(bodies, 2 * count, 3)
        own = (np.swapaxes(jacobian, -1, -2) @ (weight * jacobian)).sum(0)
        projector = -weighted @ np.linalg.inv(own + 1e-6 * np.eye(3)) @ np.swapaxes(weighted, -1, -2)
        diagonal = np.repeat((information / _ALIKE_JOINTS).T, 2, 1)
        projector[:, np.arange(2 * count), np.arange(2 * count)] += diagonal
        measured = np.nan_to_num(shift).transpose(1, 0, 2).reshape(bodies, 2 * count)
        # Bodies are many and stand before the same cameras: each set counts once.
        self._information += projector.mean(0)
        self._right += (projector @ measured[..., None])[..., 0].mean(0)

    def _judge(self, looked: bool, dt_s: float) -> None:
        """Decide who was moved, and follow the usual shifts while nobody was."""
        if not looked:
            return
        cameras = len(self._focal_px)
        known = self._looks >= _LEAST_LOOKS
        usual = self._usual if known else np.zeros((cameras, 2))
        right = self._right - self._information @ usual.ravel()
        alone, gain = self._alone(right)
        beyond = np.maximum(self._config.moved_px / self._focal_px, _UNUSUAL * np.sqrt(self._scatter2))
        if not known:
            beyond = self._config.wrong_px / self._focal_px
        unusual = np.zeros(cameras, bool)
        shift = self._usual.copy()
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
            shift[best] = alone[best]
            right = right - self._information[:, 2 * best : 2 * best + 2] @ alone[best]
            first = alone
            alone, gain = self._alone(right)
            gain[unusual] = 0.0
            # What one explains, the others do not need to.
            alone = np.where(unusual[:, None], first, alone)
        self._unusual_s = np.where(unusual, self._unusual_s + dt_s, 0.0)
        self.moved = unusual & (self.moved | (self._unusual_s >= self._config.moved_after_s))
        self.shift = np.where(self.moved[:, None], shift, usual)
        if not unusual.any():
            self._follow(alone, dt_s)

    def _alone(self, right: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the shift (C, 2) of each camera if it alone had one, and how much that explains (C,)."""
        cameras = len(self._focal_px)
        index = np.arange(cameras)
        own = self._information.reshape(cameras, 2, cameras, 2)[index, :, index] + _SHIFT**-2 * 0.01 * np.eye(2)
        wanted = right.reshape(cameras, 2)
        alone = np.asarray(np.linalg.solve(own, wanted[..., None])[..., 0], np.float64)
        return alone, (wanted * alone).sum(1)

    def _follow(self, alone: FloatArray, dt_s: float) -> None:
        share = 1.0 - np.exp(-dt_s / _USUALLY_S)
        if self._looks < _LEARNED_LOOKS:
            share = max(share, 1.0 / self._looks)
        if self._looks >= _LEAST_LOOKS:
            # A camera that has just begun to move must not pass for one that scatters.
            off2 = np.minimum((alone**2).sum(1), np.maximum(9.0 * self._scatter2, (1.0 / self._focal_px) ** 2))
            self._scatter2 += share * (off2 - self._scatter2)
        both = self._information + _SHIFT**-2 * np.eye(len(self._right))
        self._usual += share * (np.linalg.solve(both, self._right).reshape(-1, 2) - self._usual)
