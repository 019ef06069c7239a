"""Clock offsets of seconds between free-running cameras, from the motion of people.

First what needs no calibration: how fast each joint moves in the picture, in body sizes per second, rises and falls
together in all views; the correlation of these speeds over the time shift has few peaks (a walk repeats itself).
Then geometry decides between the peaks: at the right shift the rays of the two cameras meet.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ..arrays import FloatArray
from ..geometry.projection import normalize
from ..geometry.rigid import compose, invert
from ..types import CameraRig
from .clocks import with_clocks
from .epipolar import LEAST_POINTS, essential_of, finite_pairs, pair_geometry, sampson
from .people.tracklets import Tracklet, extent_px, sample
from .refusal import RefusalError

# Motion is compared at this rate.
_RATE_HZ = 30.0
_PEAKS = 20
_FOLLOWED = 3
# Two recordings must have this much motion in common, in joint-seconds, for a shift to be believed.
_LEAST_COMMON_S = 40.0
# Around a peak the shift is searched this far, in steps of half a picture.
_REACH_S = 0.2
_LONGEST = 4
_VERIFY_INSTANTS = 150
_SPEED_FLOOR = 0.05
_LEAST_FIT = 0.02

# Cost of a shift (s): smaller is better, NaN if it cannot be told.
ShiftCost = Callable[[Tracklet, Tracklet, float], float]


def coarse_clocks(
    tracklets: Mapping[str, Sequence[Tracklet]], rig: CameraRig, max_offset_s: float
) -> CameraRig:
    """Return ``rig`` with clock offsets to a fraction of an image, under its calibration.

    Raises:
        CalibrationError: if a camera's motion fits no other's at any shift.
    """
    def cost(first: Tracklet, second: Tracklet, lag_s: float) -> float:
        xn, yn = _corresponding(first, second, lag_s, rig)
        second_from_first = compose(rig[second.camera].cam_from_world, invert(rig[first.camera].cam_from_world))
        distance = sampson(essential_of(second_from_first), xn, yn)
        return float(np.median(distance)) if len(distance) >= LEAST_POINTS else float('nan')

    return with_clocks(rig, chain_lags(rig.names, tracklets, max_offset_s, lambda a, b: cost))


def scratch_cost(rig: CameraRig, bound: float) -> ShiftCost:
    """Return a cost that needs intrinsics only: the share of the joints that no essential matrix explains."""
    def cost(first: Tracklet, second: Tracklet, lag_s: float) -> float:
        xn, yn = _corresponding(first, second, lag_s, rig)
        found = pair_geometry(xn, yn, bound, 150, 400)
        return float('nan') if found is None else 1.0 - found.inlier_share

    return cost


def _corresponding(
    first: Tracklet, second: Tracklet, lag_s: float, rig: CameraRig
) -> tuple[FloatArray, FloatArray]:
    """Return the normalised points (N, 2), (N, 2) that two tracklets have in common at a shift."""
    low = max(first.time_s[0], second.time_s[0] - lag_s)
    high = min(first.time_s[-1], second.time_s[-1] - lag_s)
    inside = first.time_s[(first.time_s >= low) & (first.time_s <= high)]
    if not len(inside):
        return np.zeros((0, 2)), np.zeros((0, 2))
    chosen = inside[np.linspace(0, len(inside) - 1, min(len(inside), _VERIFY_INSTANTS)).round().astype(int)]
    xn = normalize(rig[first.camera].intrinsics, sample(first, chosen)[0]).reshape(-1, 2)
    yn = normalize(rig[second.camera].intrinsics, sample(second, chosen + lag_s)[0]).reshape(-1, 2)
    both = finite_pairs(xn, yn)
    return xn[both], yn[both]


def best_lag(
    first: Sequence[Tracklet], second: Sequence[Tracklet], max_offset_s: float, cost: ShiftCost
) -> tuple[float, float]:
    """Return the shift (s) of the second camera's stamps against the first's, and how well it fits (0 bad .. 1 good).

    Over the longest tracklets of both; (0, 0) if nothing can be told.
    """
    best = (0.0, 0.0)
    for a in sorted(first, key=len)[-_LONGEST:]:
        for b in sorted(second, key=len)[-_LONGEST:]:
            found = _pair_lag(a, b, max_offset_s, cost)
            if found[1] > best[1]:
                best = found
    return best


def _pair_lag(a: Tracklet, b: Tracklet, max_offset_s: float, cost: ShiftCost) -> tuple[float, float]:
    peaks = motion_peaks(a, b, max_offset_s)
    tried = {lag: cost(a, b, lag) for lag, _ in peaks}
    tried = {lag: value for lag, value in tried.items() if np.isfinite(value)}
    if not tried:
        return 0.0, 0.0
    correlation = dict(peaks)
    # At a peak itself the shift may be off by half a picture, so that the right one need not come first.
    for start in sorted(tried, key=lambda lag: tried[lag])[:_FOLLOWED]:
        for lag in start + np.arange(-_REACH_S, _REACH_S + 1e-9, 0.5 / _RATE_HZ):
            tried[float(lag)] = cost(a, b, float(lag))
    finite = {lag: value for lag, value in tried.items() if np.isfinite(value)}
    lag = min(finite, key=lambda x: finite[x])
    near = max((c for at, c in correlation.items() if abs(at - lag) <= 2.0 * _REACH_S), default=0.0)
    overlap_s = min(a.time_s[-1], b.time_s[-1] - lag) - max(a.time_s[0], b.time_s[0] - lag)
    # A fit of many seconds is worth more than one of a few.
    return lag, float(max(near, 1e-3) * overlap_s / (overlap_s + 10.0))


def motion_signal(tracklet: Tracklet, time_s: FloatArray) -> FloatArray:
    """Return (T, J): the logarithm of each joint's speed in extents per second, its mean taken off; NaN = unknown."""
    xy, velocity, _ = sample(tracklet, time_s)
    speed = np.linalg.norm(velocity, axis=-1) / np.maximum(extent_px(xy), 1.0)[:, None]
    signal = np.log(speed + _SPEED_FLOOR)
    known = np.isfinite(signal)
    mean = np.where(known, signal, 0.0).sum(0) / np.maximum(known.sum(0), 1)
    return np.asarray(signal - mean)


def motion_peaks(a: Tracklet, b: Tracklet, max_offset_s: float) -> list[tuple[float, float]]:
    """Return the shifts (s) at which the motion of two tracklets agrees best, and the correlation there, best first."""
    dt_s = 1.0 / _RATE_HZ
    start = min(a.time_s[0], b.time_s[0])
    grid = np.arange(start, max(a.time_s[-1], b.time_s[-1]) + dt_s, dt_s)
    x, y = motion_signal(a, grid), motion_signal(b, grid)
    correlation, lags = _masked_correlation(x, y, round(max_offset_s * _RATE_HZ))
    inner = np.pad(correlation, 1, constant_values=-np.inf)
    peak = np.flatnonzero((inner[1:-1] >= inner[:-2]) & (inner[1:-1] >= inner[2:]) & np.isfinite(correlation))
    peak = peak[np.argsort(-correlation[peak])][:_PEAKS]
    return [(float(lags[p] * dt_s), float(correlation[p])) for p in peak]


def _masked_correlation(x: FloatArray, y: FloatArray, reach: int) -> tuple[FloatArray, FloatArray]:
    """Return the correlation of x(t) with y(t + lag) over what both have, all joints together, |lag| <= reach."""
    n = len(x)
    size = int(2 ** np.ceil(np.log2(2 * n)))
    mx, my = np.isfinite(x), np.isfinite(y)
    x, y = np.where(mx, x, 0.0), np.where(my, y, 0.0)

    def correlated(f: FloatArray, g: FloatArray) -> FloatArray:
        product = np.conj(np.fft.rfft(f, size, axis=0)) * np.fft.rfft(g, size, axis=0)
        return np.asarray(np.fft.irfft(product.sum(1), size))

    fx, fy = mx.astype(float), my.astype(float)
    count = correlated(fx, fy)
    xy, xx, yy = correlated(x, y), correlated(x * x, fy), correlated(fx, y * y)
    reach = min(reach, n - 1)
    lags = np.arange(-reach, reach + 1)
    count, xy, xx, yy = (values[lags] for values in (count, xy, xx, yy))
    with np.errstate(invalid='ignore', divide='ignore'):
        correlation = xy / np.sqrt(np.maximum(xx * yy, 1e-12))
    return np.where(count >= _LEAST_COMMON_S * _RATE_HZ, correlation, -np.inf), lags.astype(float)


def chain_lags(
    names: Sequence[str], tracklets: Mapping[str, Sequence[Tracklet]], max_offset_s: float,
    cost_of: Callable[[str, str], ShiftCost],
) -> FloatArray:
    """Return the offsets (C,) s against the first camera, along a tree of pairs, those of most common motion first.

    Args:
        cost_of: two cameras to what judges their shifts.

    Raises:
        CalibrationError: for cameras that no pair joins to the first.
    """
    pairs = [(i, j) for i in range(len(names)) for j in range(i + 1, len(names))]
    # Two cameras that are each so far from the first may be twice as far from each other.
    reach_s = {(i, j): max_offset_s if i == 0 else 2.0 * max_offset_s for i, j in pairs}
    promise = {
        (i, j): _common_motion(tracklets[names[i]], tracklets[names[j]], reach_s[i, j]) for i, j in pairs
    }
    group, offset_s = list(range(len(names))), np.zeros(len(names))
    for i, j in sorted(pairs, key=lambda pair: -promise[pair]):
        if group[i] == group[j] or not promise[i, j] > 0.0:
            continue
        lag_s, fit = best_lag(tracklets[names[i]], tracklets[names[j]], reach_s[i, j], cost_of(names[i], names[j]))
        if fit < _LEAST_FIT:
            continue
        # The second's group moves so that stamp_j - stamp_i = lag.
        moved = [c for c in range(len(names)) if group[c] == group[j]]
        offset_s[moved] += offset_s[i] + lag_s - offset_s[j]
        for c in moved:
            group[c] = group[i]
    lost = [name for name, g in zip(names, group, strict=True) if g != group[0]]
    if lost:
        raise RefusalError(
            f'No time shift makes the motion that {", ".join(lost)} saw fit the other cameras\'.',
            'Record somebody who moves where they overlap for half a minute, or give a larger --max-offset.',
        )
    return np.asarray(offset_s - offset_s[0])


def _common_motion(first: Sequence[Tracklet], second: Sequence[Tracklet], max_offset_s: float) -> float:
    """Return the best correlation of the two longest tracklets; 0 if they have too little in common."""
    peaks = motion_peaks(max(first, key=len), max(second, key=len), max_offset_s)
    return peaks[0][1] if peaks else 0.0
