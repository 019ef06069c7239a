"""Bodies in another frame."""

from __future__ import annotations

from dataclasses import replace

from ..arrays import FloatArray
from ..types import Bodies3D
from .rigid import transform_points


def bodies_in(b_from_a: FloatArray, bodies: Bodies3D, frame_id: str) -> Bodies3D:
    """Return ``bodies`` of frame a in frame b, called ``frame_id``, for ``b_from_a`` (3, 4) at their instant."""
    R = b_from_a[:, :3]
    return replace(
        bodies, frame_id=frame_id, xyz=transform_points(b_from_a, bodies.xyz), velocity=bodies.velocity @ R.T,
        covariance=R @ bodies.covariance @ R.T,
    )
