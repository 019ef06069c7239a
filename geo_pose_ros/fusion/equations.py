"""Linear equations of the joints, from keypoints and from bone lengths, and the joints that solve them alone.

A view's residual is (f / z) (R_xy - x R_z) (X - c): exact, and with the depth z of the step before linear in X (Hartley
& Zisserman, 2nd ed., 12.2, iterated).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..arrays import FloatArray
from .prior import INCIDENCE, BonePrior
from .views import NEAR_M

# Squared residual, at focal length 1, of a joint behind the camera.
_FAR2 = 1e6
# Estimate of the condition number beyond which rays are parallel.
_ILL_CONDITIONED = 1e9

# Of a symmetric 3x3: row and column of its six different elements, and which of the six each of the nine is.
_ROW, _COLUMN = np.triu_indices(3)
NINE = np.array([[0, 1, 2], [1, 3, 4], [2, 4, 5]])
# The cofactors of the six: first times second less third times fourth.
_COFACTORS = np.array([[3, 2, 1, 0, 1, 0], [5, 4, 4, 5, 2, 3], [4, 1, 2, 2, 0, 1], [4, 5, 3, 2, 4, 1]])
_DIAGONAL = np.array([0, 3, 5])
_NO_COVARIANCE = np.zeros((0, 0, 3, 3))


@dataclass(frozen=True, slots=True, eq=False)
class ViewEquations:
    """Everything about the keypoints that does not change from step to step; components first, for speed.

    Attributes:
        rows, offset: (3, 3, C, B, J) and (3, C, B, J): with p = rows X - offset, the depth is p_z and the residual in
            the image (p_x, p_y) / p_z.
        normal: (9, C, B, J): the six numbers of A^T A and the three of A^T b, A and b the first two rows.
        weight2: (C, B, J) (focal length / standard deviation)^2, 0 where not seen.
    """

    rows: FloatArray
    offset: FloatArray
    normal: FloatArray
    weight2: FloatArray

    @classmethod
    def of(
        cls, cam_from_world: FloatArray, focal_px: FloatArray, xn: FloatArray, weights: FloatArray,
        displacement: FloatArray | None,
    ) -> ViewEquations:
        """Return the equations of keypoints; arguments as of ``solver.solve`` and its prior."""
        seen = np.isfinite(xn[..., 0]) & np.isfinite(xn[..., 1]) & (weights > 0.0)
        x = np.zeros((3, *seen.shape))
        np.copyto(x[:2], xn.transpose(3, 0, 1, 2), where=seen)
        parts = cam_from_world.transpose(1, 2, 0)[..., None, None]
        R, t = parts[:, :3], parts[:, 3]
        # The third element of x is 0, so that the third row stays the depth's.
        rows = R - x[:, None] * R[2]
        offset = x * t[2] - t
        if displacement is not None:
            offset = offset - (rows * displacement.transpose(3, 0, 1, 2)).sum(1)
        first, second = rows[0], rows[1]
        normal = np.concatenate(
            [
                first.take(_ROW, 0) * first.take(_COLUMN, 0) + second.take(_ROW, 0) * second.take(_COLUMN, 0),
                first * offset[0] + second * offset[1],
            ]
        )
        return cls(rows, offset, normal, np.where(seen, (weights * focal_px[:, None, None]) ** 2, 0.0))

    def normal_equations(self, weight: FloatArray, depth: FloatArray) -> FloatArray:
        """Return (9, B, J), ``normal`` summed over the views at robust weights (C, B, J) and depth."""
        total: FloatArray = (weight * self.weight2 / (depth * depth) * self.normal).sum(1)
        return total

    def shared_pulls(self, weight: FloatArray, depth: FloatArray, shared: FloatArray) -> FloatArray:
        """Return (B, 3J, 2C): what a standard deviation of each view's shared error adds to the right-hand sides."""
        _, _, cameras, bodies, joints = self.rows.shape
        pull = weight * self.weight2 / depth * shared[:, None, None]
        # (2, 3, C, B, J) -> (B, 3, J, 2, C)
        moved = (self.rows[:2] * pull).transpose(3, 1, 4, 0, 2)
        return moved.reshape(bodies, 3 * joints, 2 * cameras)

    def residuals(self, xyz: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return depth (C, B, J) m, at least NEAR_M, and squared residual (C, B, J) in the image at focal length 1.

        Behind the camera the residual is as large as no other.
        """
        p = (self.rows * xyz[:, None]).sum(1) - self.offset
        depth = np.maximum(p[2], NEAR_M)
        error2 = (p[0] * p[0] + p[1] * p[1]) / (depth * depth)
        error2[p[2] <= NEAR_M] = _FAR2
        return depth, error2


def triangulate(equations: FloatArray, with_covariance: bool) -> tuple[FloatArray, FloatArray]:
    """Solve each joint alone: xyz (3, B, J), 0 where rays are parallel, and covariance (B, J, 3, 3), NaN there.

    The covariance is empty unless it is asked for.

    The inverse of a symmetric 3x3 by cofactors.
    """
    factors = equations.take(_COFACTORS, 0)
    inverse = factors[0] * factors[1] - factors[2] * factors[3]
    determinant = (equations[:3] * inverse[:3]).sum(0)
    # trace(m) trace(m^-1) bounds the condition number.
    traces = equations.take(_DIAGONAL, 0).sum(0) * inverse.take(_DIAGONAL, 0).sum(0)
    determined = traces < _ILL_CONDITIONED * determinant
    inverse *= determined / np.where(determined, determinant, 1.0)
    square = inverse.take(NINE, 0)
    xyz = (square * equations[6:]).sum(1)
    if not with_covariance:
        return xyz, _NO_COVARIANCE
    return xyz, np.where(determined[..., None, None], square.transpose(2, 3, 0, 1), np.nan)


@dataclass(frozen=True, slots=True, eq=False)
class LinearBones:
    """Bone lengths, linear in the joints: ``rows`` (B, E, 3J) X = ``length`` (B, E, 1), weighted by ``certain``."""

    rows: FloatArray
    length: FloatArray
    certain: FloatArray

    @classmethod
    def of(cls, bones: BonePrior, xyz: FloatArray, spread: float) -> LinearBones:
        """Linearise at joints (3, B, J): a length is |d|, d the bone's vector, and its gradient d / |d|."""
        _, bodies, joints = xyz.shape
        # (3, B, E)
        bone = xyz @ INCIDENCE.T
        length = np.sqrt((bone * bone).sum(0))
        direction = bone / np.maximum(length, NEAR_M * NEAR_M)
        rows = direction.transpose(1, 2, 0)[..., None] * INCIDENCE[:, None]
        certain = 1.0 / (bones.variance + np.square(spread * bones.length))
        return cls(rows.reshape(bodies, -1, 3 * joints), bones.length[..., None], certain[..., None])

    def add_to(self, information: FloatArray, right: FloatArray) -> None:
        """Add to normal matrices (B, 3J, 3J) and right-hand sides (B, 3J)."""
        weighted = np.swapaxes(self.certain * self.rows, -1, -2)
        information += weighted @ self.rows
        right += (weighted @ self.length)[..., 0]
