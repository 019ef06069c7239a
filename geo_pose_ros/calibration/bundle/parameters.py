"""The unknowns of the bundle adjustment: named blocks of a camera's row, which of them are free, and their values."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation

from ...arrays import BoolArray, FloatArray, IntArray
from ...skeleton import BODY17
from ...types import Intrinsics
from ..settings import AdjustConfig

# A camera's row: rotation (rad) and translation (m) in its own frame, clock offset (s) and drift, the logarithm of
# the focal length, and the first two coefficients of distortion.
PARAMETERS = 11
ROTATION, TRANSLATION, POSE = slice(0, 3), slice(3, 6), slice(0, 6)
OFFSET, DRIFT, LOG_FOCAL = 6, 7, 8
DISTORTION = slice(9, 11)
# Clock and lens.
_OTHERS = slice(6, 11)

# The bones of a person.
PARENT, CHILD = np.array(BODY17.edges, np.int64).T


def free_parameters(cameras: int, config: AdjustConfig) -> BoolArray:
    """Return which parameters (C, 11) the adjustment estimates; the first camera's clock is the time."""
    free = np.zeros((cameras, PARAMETERS), bool)
    free[:, POSE] = True
    free[1:, OFFSET], free[1:, DRIFT] = config.clocks, config.drift
    free[:, LOG_FOCAL] = config.intrinsics != 'fixed'
    free[:, DISTORTION] = config.intrinsics == 'focal+distortion'
    return free


@dataclass(frozen=True, slots=True, eq=False)
class Unknowns:
    """The current values.

    Attributes:
        R, t: (C, 3, 3) and (C, 3) m, world to camera.
        others: (C, 5) clock offset, drift, and what the lens differs by from the given one.
        xyz: (M, J, 3) m, the joints of every pose.
        bones_m: (P, B), the lengths of every person's bones.
    """

    R: FloatArray
    t: FloatArray
    others: FloatArray
    xyz: FloatArray
    bones_m: FloatArray

    @property
    def offset_s(self) -> FloatArray:
        """(C,)."""
        return self.others[:, 0]

    @property
    def drift(self) -> FloatArray:
        """(C,)."""
        return self.others[:, 1]

    def moved(self, step: FloatArray, points: FloatArray, bones: FloatArray) -> Unknowns:
        """Return the values after a step: cameras (C, 11), points (M, J, 3), bones (P, B)."""
        turn = Rotation.from_rotvec(step[:, ROTATION]).as_matrix()
        return Unknowns(
            turn @ self.R, (turn @ self.t[..., None])[..., 0] + step[:, TRANSLATION], self.others + step[:, _OTHERS],
            self.xyz + points, self.bones_m + bones,
        )

    def lens(self, given: Intrinsics, camera: int) -> Intrinsics:
        """Return the intrinsics of a camera, which differ from the given ones by its parameters."""
        log_focal, *distortion = self.others[camera, 2:]
        if not log_focal and not any(distortion):
            return given
        K = given.K.copy()
        K[[0, 1], [0, 1]] *= np.exp(log_focal)
        D = given.D
        if any(distortion):
            D = np.pad(D, (0, max(0, 4 - len(D))))
            D[:2] += distortion
        return replace(given, K=K, D=D)


def bone_lengths(xyz: FloatArray, person: IntArray) -> FloatArray:
    """Return the median length (P, B) m of every person's bones over the poses (M, J, 3); 0.3 where never seen."""
    length = np.linalg.norm(xyz[:, CHILD] - xyz[:, PARENT], axis=-1)
    bones = np.full((int(person.max()) + 1, len(PARENT)), 0.3)
    for p in range(len(bones)):
        own = length[person == p]
        seen = np.isfinite(own).any(0)
        if seen.any():
            bones[p, seen] = np.nanmedian(own[:, seen], axis=0)
    return bones
