# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Tracklets: the detections of one person in one camera over time, and what they say at any instant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from ...arrays import NS_PER_S, BoolArray, FloatArray, IntArray
from ...errors import ShapeError
from ...geometry.stats import nan_median
from ...skeleton import map_to_body17
from ...types import Keypoints2D
from ..settings import CalibrateConfig

# Between two images farther apart than this a keypoint is not interpolated.
_MAX_BRIDGE_S = 0.12
# Nearer to an image than this share of a period its keypoint is taken as it is.
_ON_IMAGE = 0.02
_LEAST_IMAGES = 5
# What is kept aside is kept in stretches of at least this length, in recordings that allow it.
_LEAST_STRETCH_S = 0.1
# Velocities are slopes over so long, and at most so many images to each side.
_SLOPE_S = 0.11
_SLOPE_IMAGES = 6
# A keypoint jumps where its line misfits by so many times the usual.
_JUMP = 2.5
_LEAST_JUMP_PX = 0.3


@dataclass(frozen=True, slots=True, eq=False)
class Tracklet:
    """One person in F images of one camera, body17.

    Attributes:
        camera: its name.
        time_s: (F,) ascending, the camera's own clock.
        xy: (F, J, 2) raw px, NaN = not seen.
        confidence: (F, J).
        velocity: (F, J, 2) px/s, NaN where it is unknown.
    """

    camera: str
    time_s: FloatArray
    xy: FloatArray
    confidence: FloatArray
    velocity: FloatArray

    def __post_init__(self) -> None:
        frames = len(self.time_s)
        if self.xy.ndim != 3 or self.xy.shape[::2] != (frames, 2) or self.confidence.shape != self.xy.shape[:2]:
            raise ShapeError(
                f"Tracklet of camera '{self.camera}': received {frames} times, xy {self.xy.shape}, confidence "
                f'{self.confidence.shape}; expected (F,), (F, J, 2), (F, J).'
            )
        if frames > 1 and not (np.diff(self.time_s) > 0.0).all():
            raise ShapeError(f"Tracklet of camera '{self.camera}': times do not ascend; sort them, each once.")

    def __len__(self) -> int:
        return len(self.time_s)


def make_tracklet(camera: str, time_s: FloatArray, xy: FloatArray, confidence: FloatArray) -> Tracklet:
    """Return a tracklet; keypoints of confidence 0 become NaN, velocities follow from the neighbours in time."""
    seen = np.isfinite(xy).all(-1) & (confidence > 0.0)
    xy = np.where(seen[..., None], xy, np.nan)
    return Tracklet(camera, time_s, xy, np.where(seen, confidence, 0.0), _velocity(time_s, xy))


def _velocity(time_s: FloatArray, xy: FloatArray) -> FloatArray:
    """Return (F, J, 2) px/s: the slope of a line through the images up to _SLOPE_S away, at least three of them.

    Where the line fits much worse than is usual for the joint, a keypoint jumps there (an outlier, sides exchanged):
    NaN.
    """
    count, t1, t2 = np.zeros((3, *xy.shape[:2]))
    x1, tx, x2 = np.zeros((3, *xy.shape))
    # Squares of small numbers: pixels counted from the middle.
    centred = xy - np.nanmean(xy, axis=(0, 1)) if np.isfinite(xy).any() else xy
    index = np.arange(len(time_s))
    for step in range(-_SLOPE_IMAGES, _SLOPE_IMAGES + 1):
        other = np.clip(index + step, 0, len(time_s) - 1)
        dt_s = time_s[other] - time_s
        there = (other == index + step) & (np.abs(dt_s) <= _SLOPE_S)
        seen = there[:, None] & np.isfinite(xy[other]).all(-1)
        values = np.where(seen[..., None], centred[other], 0.0)
        weight = seen.astype(float)
        count += weight
        t1 += weight * dt_s[:, None]
        t2 += weight * dt_s[:, None] ** 2
        x1 += values
        tx += values * dt_s[:, None, None]
        x2 += values**2
    spread = count * t2 - t1**2
    usable = (count >= 3) & (spread > 0.0)
    slope = (count[..., None] * tx - t1[..., None] * x1) / np.where(usable, spread, 1.0)[..., None]
    n = np.maximum(count, 1.0)[..., None]
    misfit2 = (x2 - x1**2 / n - slope**2 * (spread / n[..., 0])[..., None]).sum(-1) / n[..., 0]
    misfit = np.sqrt(np.where(usable, np.maximum(misfit2, 0.0), np.nan))
    usable &= misfit <= _JUMP * nan_median(misfit.T) + _LEAST_JUMP_PX
    return np.where(usable[..., None], slope, np.nan)


def merged(parts: Sequence[Tracklet]) -> Tracklet:
    """Return one person's tracklets of one camera as one; they do not overlap in time."""
    order = sorted(parts, key=lambda part: float(part.time_s[0]))
    return Tracklet(
        order[0].camera, *(np.concatenate([getattr(part, name) for part in order])
                           for name in ('time_s', 'xy', 'confidence', 'velocity'))
    )


def extent_px(xy: FloatArray) -> FloatArray:
    """Return the larger side (...,) px of the box around the joints (..., J, 2) seen; NaN where none is."""
    span = np.fmax.reduce(xy, -2) - np.fmin.reduce(xy, -2)
    return np.asarray(span.max(-1), np.float64)


def link_detections(
    detections: Sequence[Keypoints2D], origin_ns: int, config: CalibrateConfig
) -> list[Tracklet]:
    """Link the detections of one camera into tracklets.

    A detection goes on with the tracklet whose last one it is nearest to, by the median over the common joints (limbs
    with exchanged sides do not matter), one-to-one (Hungarian). Images whose time repeats or runs backwards by
    less than a second are left out; beyond, a new recording begins and nothing is linked across.

    Args:
        detections: one image after the other, in the order received, of a skeleton that maps to body17.
        origin_ns: the instant of time 0.
        config: see CalibrateConfig.
    """
    # Of each image of a tracklet its time, keypoints and confidence.
    done: list[list[tuple[float, FloatArray, FloatArray]]] = []
    alive: list[list[tuple[float, FloatArray, FloatArray]]] = []
    last_s = -np.inf
    for found in detections:
        time_s = (found.stamp_ns - origin_ns) / NS_PER_S
        if time_s <= last_s:
            if time_s > last_s - 1.0:
                continue
            done, alive = done + alive, []
        last_s = time_s
        xy, confidence = map_to_body17(found.skeleton).apply(found.xy, found.confidence)
        seen = np.isfinite(xy).all(-1) & (confidence >= max(config.min_confidence, 1e-9))
        xy = np.where(seen[..., None], xy, np.nan)
        usable = np.flatnonzero(seen.sum(-1) >= 4)
        done += [track for track in alive if time_s - track[-1][0] > config.max_gap_s]
        alive = [track for track in alive if time_s - track[-1][0] <= config.max_gap_s]
        taken = _assign([track[-1][1] for track in alive], xy[usable], config.max_step)
        for row, person in enumerate(usable.tolist()):
            image = time_s, xy[person], np.where(seen[person], confidence[person], 0.0)
            if row in taken:
                alive[taken[row]].append(image)
            else:
                alive.append([image])
    return [
        make_tracklet(detections[0].camera, *(np.array(values) for values in zip(*track, strict=True)))
        for track in done + alive if len(track) >= _LEAST_IMAGES
    ]


def _assign(last: Sequence[FloatArray], xy: FloatArray, max_step: float) -> dict[int, int]:
    """Return detection -> tracklet for the detections (P, J, 2) that go on with one, last seen at (J, 2)."""
    if not last or not len(xy):
        return {}
    distance = np.linalg.norm(xy[:, None] - np.stack(last), axis=-1)
    common = np.isfinite(distance).sum(-1)
    cost = np.where(common >= 4, nan_median(distance), 1e6) / np.maximum(extent_px(xy), 1.0)[:, None]
    rows, columns = linear_sum_assignment(np.minimum(cost, 2.0 * max_step))
    return {int(r): int(c) for r, c in zip(rows, columns, strict=True) if cost[r, c] <= max_step}


def sample(tracklet: Tracklet, time_s: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return xy and velocity (M, J, 2) and confidence (M, J) at instants (M,) of the camera's clock.

    Between two images keypoints are interpolated linearly; NaN and 0 where there is none within reach.
    """
    after = np.clip(np.searchsorted(tracklet.time_s, time_s), 1, max(len(tracklet) - 1, 1))
    before = after - 1
    after = np.minimum(after, len(tracklet) - 1)
    start, end = tracklet.time_s[before], tracklet.time_s[after]
    span = np.maximum(end - start, 1e-9)
    share = (time_s - start) / span
    first, second = np.abs(share) <= _ON_IMAGE, np.abs(share - 1.0) <= _ON_IMAGE
    between = ~first & ~second & (share > 0.0) & (share < 1.0) & (span <= _MAX_BRIDGE_S)
    share = np.where(first, 0.0, np.where(second, 1.0, share))
    usable = first | second | between

    def mixed(values: FloatArray) -> FloatArray:
        shape = (-1,) + (1,) * (values.ndim - 1)
        a, b = values[before], values[after]
        blend = a + share.reshape(shape) * (b - a)
        blend = np.where(first.reshape(shape), a, np.where(second.reshape(shape), b, blend))
        return np.where(usable.reshape(shape), blend, np.nan)

    xy = mixed(tracklet.xy)
    confidence = np.where(np.isfinite(xy).all(-1), np.nan_to_num(mixed(tracklet.confidence)), 0.0)
    return xy, mixed(tracklet.velocity), confidence


def different_poses(tracklet: Tracklet, least_change: float) -> int:
    """Return how many clearly different poses or positions in the image a person takes up, one after the other."""
    chosen = 0
    reference: FloatArray | None = None
    size = extent_px(tracklet.xy)
    for xy, extent in zip(tracklet.xy, size, strict=True):
        if not np.isfinite(extent):
            continue
        if reference is not None:
            distance = np.linalg.norm(xy - reference, axis=-1)
            distance = distance[np.isfinite(distance)]
            if len(distance) < 4 or np.median(distance) < least_change * extent:
                continue
        reference = xy
        chosen += 1
    return chosen


def instants(tracklets: Sequence[Tracklet], most: int) -> FloatArray:
    """Return up to ``most`` instants (M,), evenly drawn from the times of the tracklets' images.

    Times that several cameras share count once, as do those nearer to each other than most of a period.
    """
    times = np.unique(np.concatenate([tracklet.time_s for tracklet in tracklets]))
    periods = [float(np.median(np.diff(t.time_s))) for t in tracklets if len(t) > 1]
    period = float(np.median(periods)) if periods else 0.0
    kept = [0]
    for index in range(1, len(times)):
        if times[index] - times[kept[-1]] >= 0.8 * period:
            kept.append(index)
    times = times[kept]
    return np.asarray(times[evenly(len(times), most)])


def evenly(count: int, most: int) -> IntArray:
    """Return the indices of at most ``most`` of ``count`` things, evenly chosen."""
    return np.linspace(0, count - 1, min(count, most)).round().astype(np.int64)


def kept_aside(time_s: FloatArray, share: float) -> BoolArray:
    """Return the mask (M,) of the instants kept aside: whole stretches, since neighbours in time are alike.

    Stretches hold equally many instants, so that one falls on every part of a recording with gaps.
    """
    if not len(time_s):
        return np.zeros(0, bool)
    times, rank = np.unique(time_s, return_inverse=True)
    period = round(1.0 / share)
    stretches = int(np.clip(np.ptp(times) / _LEAST_STRETCH_S, period, 5 * period))
    return np.asarray(rank * stretches // len(times) % period == period // 2)
