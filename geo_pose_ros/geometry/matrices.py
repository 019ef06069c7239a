"""Small matrices in large stacks."""

from __future__ import annotations

import numpy as np

from ..arrays import FloatArray


def traces(matrices: FloatArray) -> FloatArray:
    """Return the traces (...) of matrices (..., 3, 3); several times as fast as numpy's for a few of them."""
    total: FloatArray = matrices[..., 0, 0] + matrices[..., 1, 1] + matrices[..., 2, 2]
    return total


def diagonal_blocks(matrix: FloatArray) -> FloatArray:
    """Return the view (3, 3, B, J) of the elements of (B, 3J, 3J) that couple components of one joint."""
    bodies, size, _ = matrix.shape
    joints = size // 3
    # Without a sum einsum returns a view.
    diagonal: FloatArray = np.einsum('brjcj->rcbj', matrix.reshape(bodies, 3, joints, 3, joints))
    return diagonal
