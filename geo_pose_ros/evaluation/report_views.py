"""One camera's view of bodies over time: which person is which body, how far off, and how fast it moves.

S sets, U bodies, P people found, J joints. A residual is from the reprojected joint to the joint found, raw px.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..arrays import BoolArray, FloatArray, IntArray
from ..geometry.projection import project_world
from ..skeleton import Skeleton, mirror_of
from ..types import Bodies3D, Camera, Keypoints2D

_NS_PER_S = 1_000_000_000
# A joint's velocity is not taken over a longer gap.
_VELOCITY_SPAN_S = 0.3
# Step of the numerical derivative of a joint's place in the picture.
_STEP_S = 1e-3
# Sides count as exchanged where joints then lie nearer than this share of their distance.
_EXCHANGED = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class ComparedView:
    """Bodies against what one camera found.

    Attributes:
        projected: (S, U, J, 2) px, at the view's own stamps.
        found: (S, P, J, 2) px, NaN where uncertain.
        residual: (S, U, J, 2) px of the person that is the body, NaN without one.
        speed: (S, U, J, 2) px/s of the projected joints.
        size: (S, U) px of the projected bodies.
        exchanged: (S, U) whether left and right were exchanged.
    """

    projected: FloatArray
    found: FloatArray
    residual: FloatArray
    speed: FloatArray
    size: FloatArray
    exchanged: BoolArray

    def part(self, sets: slice) -> ComparedView:
        """Return the view of some of the sets."""
        return ComparedView(
            self.projected[sets], self.found[sets], self.residual[sets], self.speed[sets], self.size[sets],
            self.exchanged[sets],
        )


def stack_bodies(sets: Sequence[Bodies3D], skeleton: Skeleton) -> tuple[IntArray, FloatArray]:
    """Return the ids (U,) of all measured bodies and their joints (S, U, J, 3) m, NaN where they are not."""
    measured: list[BoolArray] = [np.asarray(bodies.num_views.any(1)) for bodies in sets]
    ids = sorted({int(i) for bodies, seen in zip(sets, measured, strict=True) for i in bodies.body_ids[seen]})
    xyz = np.full((len(sets), len(ids), len(skeleton), 3), np.nan)
    for number, (bodies, seen) in enumerate(zip(sets, measured, strict=True)):
        xyz[number, np.searchsorted(ids, bodies.body_ids[seen])] = bodies.xyz[seen]
    return np.array(ids, np.int64), xyz


def compare_view(
    camera: Camera, xyz: FloatArray, velocity: FloatArray, stamps_ns: IntArray,
    found: Sequence[Keypoints2D | None], skeleton: Skeleton, *, min_confidence: float, same_body_ratio: float,
) -> ComparedView:
    """Compare bodies (S, U, J, 3) m of sets (S,) with what a camera found in each, None where it found nothing.

    Args:
        camera: whose view it is.
        xyz: of the bodies, at the stamps of the sets.
        velocity: (S, U, J, 3) m/s, see ``velocities``; carries the bodies to the view's own stamps.
        stamps_ns: (S,).
        found: one per set.
        skeleton: J joints.
        min_confidence: keypoints below are left out.
        same_body_ratio: a person farther from a body than this share of its size is somebody else.
    """
    people, own_ns = _padded(found, stamps_ns, len(skeleton), min_confidence)
    after_s = (own_ns - stamps_ns) / _NS_PER_S - camera.clock.offset_s
    place = xyz + np.nan_to_num(velocity) * after_s[:, None, None, None]
    projected = project_world(camera, place)
    size = _size(projected)
    residual, exchanged = _paired(projected, people, same_body_ratio * size, mirror_of(skeleton))
    with np.errstate(invalid='ignore'):
        speed = (project_world(camera, place + velocity * _STEP_S) - projected) / _STEP_S
    return ComparedView(projected, people, residual, speed, size, exchanged)


def velocities(xyz: FloatArray, stamps_ns: IntArray) -> FloatArray:
    """Return the velocity (S, U, J, 3) m/s by central differences, NaN where a neighbour is missing or far."""
    velocity = np.full(xyz.shape, np.nan)
    if len(xyz) >= 3:
        span_s = (stamps_ns[2:] - stamps_ns[:-2]) / _NS_PER_S
        usable = (span_s > 0.0) & (span_s < _VELOCITY_SPAN_S)
        step = (xyz[2:] - xyz[:-2]) / np.where(usable, span_s, np.nan)[:, None, None, None]
        velocity[1:-1] = step
    return velocity


def _padded(
    found: Sequence[Keypoints2D | None], stamps_ns: IntArray, joints: int, min_confidence: float
) -> tuple[FloatArray, IntArray]:
    """Return keypoints as one array (S, P, J, 2), NaN where uncertain or absent, and their own stamps (S,)."""
    people = max((len(k.xy) for k in found if k is not None), default=0)
    xy = np.full((len(found), people, joints, 2), np.nan)
    own_ns = stamps_ns.copy()
    for number, k in enumerate(found):
        if k is not None:
            xy[number, : len(k.xy)] = np.where((k.confidence >= min_confidence)[..., None], k.xy, np.nan)
            own_ns[number] = k.stamp_ns
    return xy, own_ns


def _size(projected: FloatArray) -> FloatArray:
    """Return the diagonal (S, U) px of the box around each projected body; 0 where nothing of it is known."""
    known = np.isfinite(projected)
    low = np.where(known, projected, np.inf).min(2, initial=np.inf)
    high = np.where(known, projected, -np.inf).max(2, initial=-np.inf)
    size: FloatArray = np.linalg.norm(np.where(np.isfinite(low) & np.isfinite(high), high - low, 0.0), axis=-1)
    return size


def _paired(
    projected: FloatArray, found: FloatArray, farthest_px: FloatArray, flip: IntArray
) -> tuple[FloatArray, BoolArray]:
    """Return found minus projected (S, U, J, 2) of the bodies and people that fit each other best, NaN elsewhere.

    They are the same only if the median joint is at most ``farthest_px`` (S, U) off. Where a person fits far better
    with left and right exchanged (joints ``flip`` (J,)), the residual is that, and (S, U) is True.
    """
    sets, bodies, joints, _ = projected.shape
    if not bodies or not found.shape[1]:
        return np.full((sets, bodies, joints, 2), np.nan), np.zeros((sets, bodies), bool)
    straight = _middle_distance(projected, found)
    turned = _middle_distance(projected, found[:, :, flip])
    exchanged = turned < _EXCHANGED * straight
    middle = np.where(exchanged, turned, straight)
    best = middle.argmin(2)
    mutual = np.take_along_axis(middle.argmin(1), best, 1) == np.arange(bodies)
    mutual &= middle.min(2) <= farthest_px
    exchanged = np.take_along_axis(exchanged, best[..., None], 2)[..., 0] & mutual
    chosen = np.take_along_axis(found, best[:, :, None, None], 1)
    chosen = np.where(exchanged[..., None, None], chosen[:, :, flip], chosen)
    return np.where(mutual[..., None, None], chosen - projected, np.nan), exchanged


def _middle_distance(projected: FloatArray, found: FloatArray) -> FloatArray:
    """Return the median px (S, U, P) between the joints of each body and each person, inf where none is common."""
    middle = lower_median(np.linalg.norm(projected[:, :, None] - found[:, None], axis=-1))
    return np.where(np.isnan(middle), np.inf, middle)


def lower_median(values: FloatArray) -> FloatArray:
    """Return the lower median of the finite values along the last axis, NaN where there is none."""
    ranked = np.sort(np.where(np.isnan(values), np.inf, values), axis=-1)
    count = np.isfinite(ranked).sum(-1)
    if not values.shape[-1]:
        return np.full(values.shape[:-1], np.nan)
    middle = np.take_along_axis(ranked, (np.maximum(count - 1, 0) // 2)[..., None], -1)[..., 0]
    return np.where(count > 0, middle, np.nan)
