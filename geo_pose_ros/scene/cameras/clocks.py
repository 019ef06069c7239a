"""Clock offsets of the cameras, from people's motion.

A camera whose stamps are late by tau sees a moving joint where it was tau ago: its residual is -g tau, g the joint's
velocity in the image, beside a constant offset b of the view (its calibration) and the joint's own error. All cameras'
(tau, b) are one linear least-squares problem, the joints eliminated (Schur complement, as in bundle adjustment; Triggs
et al. 1999, section 6), summed over time with forgetting. Without motion nothing is learned.

Where all people walk one way, a late clock looks like a wrong calibration along that way. Stamps that are always the
same decide: free-running clocks do not agree to a millisecond by chance, so these cameras have one trigger and one
clock.
"""

from __future__ import annotations

import numpy as np

from ...arrays import NS_PER_S, BoolArray, FloatArray, IntArray
from ...fusion.views import NEAR_M, Cameras

# Joints slower than this say nothing, m/s.
_LEAST_SPEED_M_S = 0.25
# The fastest joints of a set are enough.
_MOST_JOINTS = 48
# What was learned is forgotten over this, s: clocks drift.
_MEMORY_S = 20.0
# Errors of successive sets are alike: so many sets count as one.
ALIKE_SETS = 4.0
# Standard deviations of clock offsets (s) and view offsets (at focal length 1) before anything is known.
_OFFSET_S = 0.05
_VIEW_OFFSET = 0.01
# ... and of an offset where the stamps are the same, s: to this, in that share of the last sets.
_TRIGGER_S = 0.001
_MOSTLY = 0.9
_LAST_SETS = 16.0
# Clocks that agree lie this close to their median, s.
_AGREE_S = 0.005
# Offsets are solved for this often, s.
_EVERY_S = 0.2


class ClockOffsets:
    """How far each camera's stamps are ahead of what the cameras have in common.

    Attributes:
        offset_s: (C,).
        sigma_s: (C,) standard deviation.
    """

    def __init__(self, cameras: int) -> None:
        """Start with clocks that agree."""
        self.offset_s = np.zeros(cameras)
        self.sigma_s = np.full(cameras, _OFFSET_S)
        self._information = np.zeros((3 * cameras, 3 * cameras))
        self._right = np.zeros(3 * cameras)
        self._since_s = 0.0
        # (C,) share of the last sets in which the camera's stamp was that of most; NaN before the first.
        self._triggered = np.full(cameras, np.nan)
        self._last_ns = np.zeros(cameras, np.int64)
        self._period_s = np.full(cameras, np.inf)

    def note_stamps(self, stamp_ns: IntArray, known_s: FloatArray, present: BoolArray) -> None:
        """Take note of a set's stamps.

        Args:
            stamp_ns: (C,) as they came, ns.
            known_s: (C,) the cameras' offsets in the rig. Stamps may be the same as they came (offsets are then
                delays behind one trigger), or with these taken off (one trigger, clocks that were set apart).
            present: (C,) the cameras of the set.
        """
        step_s = np.where(self._last_ns > 0, (stamp_ns - self._last_ns) / NS_PER_S, np.inf)
        # Frames may be lost: the least step is the period.
        self._period_s[present] = np.minimum(self._period_s, step_s)[present]
        self._last_ns[present] = stamp_ns[present]
        if present.sum() < 2:
            return
        late_s = (stamp_ns - stamp_ns[present].min()) / NS_PER_S
        same = self._alike(late_s, present) | self._alike(late_s - known_s, present)
        share = np.where(np.isnan(self._triggered), same, self._triggered)
        self._triggered[present] = (share + (same - share) / _LAST_SETS)[present]

    def _alike(self, late_s: FloatArray, present: BoolArray) -> BoolArray:
        """Return (C,) whose stamps are those of most of the cameras present, up to whole periods.

        Clocks that are off by more than half of a period put frames of different triggers into one set.
        """
        apart_s = late_s - np.median(late_s[present])
        known = np.isfinite(self._period_s) & (self._period_s > 4.0 * _TRIGGER_S)
        period_s = np.where(known, self._period_s, 1.0)
        same = np.abs(apart_s - known * np.round(apart_s / period_s) * period_s) <= _TRIGGER_S
        # Two clocks of one trigger that are a period apart agree too; most of the cameras do not.
        return np.asarray(same & (2 * (same & present).sum() > present.sum()))

    def learn(
        self, cameras: Cameras, xn: FloatArray, information: FloatArray, xyz: FloatArray, velocity: FloatArray,
        dt_s: float,
    ) -> None:
        """Take in a set.

        Args:
            cameras: C cameras; dt_s with ``offset_s`` taken off.
            xn: (C, B, J, 2) keypoints.
            information: (C, B, J) 1 / variance of the keypoints at focal length 1, 0 where not to be used.
            xyz: (B, J, 3) m, from the views alone; NaN = unknown.
            velocity: (B, J, 3) m/s, from before this set.
            dt_s: since the last set.
        """
        forget = np.exp(-dt_s / _MEMORY_S)
        self._information *= forget
        self._right *= forget
        self._since_s += dt_s
        speed = np.sqrt((velocity * velocity).sum(-1))
        views = (information > 0.0).sum(0)
        moving = (speed > _LEAST_SPEED_M_S) & (views >= 2) & np.isfinite(xyz.sum(-1))
        if moving.any():
            body, joint = np.nonzero(moving)
            if len(body) > _MOST_JOINTS:
                fastest = np.argpartition(-speed[body, joint], _MOST_JOINTS)[:_MOST_JOINTS]
                body, joint = body[fastest], joint[fastest]
            self._add(cameras, xn[:, body, joint], information[:, body, joint], xyz[body, joint], velocity[body, joint])
        if self._since_s >= _EVERY_S:
            self._since_s = 0.0
            self._solve()

    def _add(
        self, cameras: Cameras, xn: FloatArray, information: FloatArray, xyz: FloatArray, velocity: FloatArray
    ) -> None:
        """Add N joints: keypoints (C, N, 2), information (C, N), joints and velocities (N, 3)."""
        local = cameras.see(xyz[:, None], velocity[:, None])[:, :, 0]
        depth = np.maximum(local[..., 2], NEAR_M)[..., None]
        image = local[..., :2] / depth
        jacobian = cameras.image_jacobian(local)
        flow = (jacobian @ velocity[..., None])[..., 0]
        weight = np.where(np.isfinite(xn[..., 0]), information / ALIKE_SETS, 0.0)[..., None]
        error = np.where(weight > 0.0, xn - image, 0.0) - flow * self.offset_s[:, None, None]
        count, joints = xn.shape[:2]
        design = np.zeros((count, joints, 2, 3))
        design[..., 0] = -flow
        design[..., 0, 1] = design[..., 1, 2] = 1.0
        weighted = weight[..., None] * design
        # Per joint: its own information (N, 3, 3), and how it is coupled to the cameras (N, 3, 3C).
        own = (np.swapaxes(jacobian, -1, -2) @ (weight[..., None] * jacobian)).sum(0)
        coupled = (np.swapaxes(jacobian, -1, -2) @ weighted).transpose(1, 2, 0, 3).reshape(joints, 3, 3 * count)
        pulled = (np.swapaxes(jacobian, -1, -2) @ (weight * error)[..., None])[..., 0].sum(0)
        inverse = np.linalg.inv(own + 1e-6 * np.eye(3))
        eliminated = np.swapaxes(coupled, -1, -2) @ inverse
        blocks = (np.swapaxes(design, -1, -2) @ weighted).sum(1)
        stacked = self._information.reshape(count, 3, count, 3)
        stacked[np.arange(count), :, np.arange(count)] += blocks
        self._information -= (eliminated @ coupled).sum(0)
        self._right += (np.swapaxes(weighted, -1, -2) @ error[..., None])[..., 0].sum(1).ravel()
        self._right -= (eliminated @ pulled[..., None])[..., 0].sum(0)

    def _solve(self) -> None:
        cameras = len(self.offset_s)
        prior = np.tile((_OFFSET_S**-2, _VIEW_OFFSET**-2, _VIEW_OFFSET**-2), cameras)
        prior[::3][self._triggered >= _MOSTLY] = _TRIGGER_S**-2
        covariance = np.linalg.inv(self._information + np.diag(prior))
        offset = (covariance @ self._right)[::3]
        self.offset_s = offset - _common(offset)
        # What all clocks have in common is not known, and does not count.
        apart = np.eye(cameras) - 1.0 / cameras
        self.sigma_s = np.sqrt(np.diag(apart @ covariance[::3, ::3] @ apart))


def _common(offset_s: FloatArray) -> float:
    """Return what the clocks (C,) have in common, s: what most of them say where most agree, else their mean.

    Motion tells differences only.
    """
    agree = np.abs(offset_s - np.median(offset_s)) <= _AGREE_S
    return float(offset_s[agree].mean() if 2 * agree.sum() > len(offset_s) else offset_s.mean())
