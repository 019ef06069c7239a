"""What one set says about the pictures of the next: whom to expect where."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..geometry.projection import project
from ..geometry.rigid import transform_points
from ..skeleton import FloatArray, Skeleton
from ..types import Bodies3D, Camera, ExpectedPeople, IntArray

_NS_PER_S = 1e9
_STEP_NS = 1_000_000
# How much less is known of a joint per second ahead, m.
_DRIFT_M_S = 0.3
# A body keeps its velocity for about so long, and a joint what it has beyond its body's, s: arms swing back.
_BODY_S, _JOINT_S = 0.5, 0.1


@dataclass(frozen=True, slots=True, eq=False)
class Foreseen:
    """B bodies at ``stamp_ns``: ``xyz`` (B, J, 3) m, ``velocity`` (B, J, 3) m/s and ``sigma_m`` (B, J)."""

    stamp_ns: int
    skeleton: Skeleton
    xyz: FloatArray
    velocity: FloatArray
    sigma_m: FloatArray
    body_ids: IntArray

    def seen_by(self, camera: Camera, stamp_ns: int) -> ExpectedPeople:
        """Return the bodies in the picture of ``camera`` at ``stamp_ns``."""
        ahead_s = (stamp_ns - self.stamp_ns) / _NS_PER_S
        xyz_cam = transform_points(camera.cam_from_world, self.xyz + self._displacement(ahead_s))
        xy = project(camera.intrinsics, xyz_cam)
        focal_px = float(np.diag(camera.intrinsics.K)[:2].mean())
        with np.errstate(invalid='ignore', divide='ignore'):
            sigma_px = focal_px * (self.sigma_m + _DRIFT_M_S * abs(ahead_s)) / xyz_cam[..., 2]
        known = np.asarray(np.isfinite(xy).all(-1))
        return ExpectedPeople(
            camera.name, stamp_ns, self.skeleton, np.where(known[..., None], xy, np.nan),
            np.where(known, sigma_px, np.nan), self.body_ids,
        )


    def _displacement(self, ahead_s: float) -> FloatArray:
        """Return how far the joints (B, J, 3) m will have come, with velocities that die away."""
        known = np.isfinite(self.velocity)
        count = np.maximum(known.sum(1, keepdims=True), 1)
        body = np.where(known, self.velocity, 0.0).sum(1, keepdims=True) / count
        body_s, joint_s = (
            np.sign(ahead_s) * tau_s * -np.expm1(-abs(ahead_s) / tau_s) for tau_s in (_BODY_S, _JOINT_S)
        )
        moved: FloatArray = body * body_s + (self.velocity - body) * joint_s
        return moved


def foresee(stamp_ns: int, bodies: Bodies3D, predict: Callable[[int], FloatArray]) -> Foreseen:
    """Return what tracked ``bodies`` of ``stamp_ns`` let expect; ``predict`` is the tracker's of the same bodies."""
    now, soon = predict(stamp_ns), predict(stamp_ns + _STEP_NS)
    count = min(len(bodies), len(now))
    variance = np.trace(bodies.covariance[:count], axis1=-2, axis2=-1) / 3.0
    return Foreseen(
        stamp_ns, bodies.skeleton, now[:count], (soon - now)[:count] * (_NS_PER_S / _STEP_NS),
        np.sqrt(np.maximum(variance, 0.0)), bodies.body_ids[:count],
    )
