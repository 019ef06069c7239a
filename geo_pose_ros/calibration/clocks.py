# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The clocks of a rig, and offsets of seconds between them; the first camera's clock is the time.

Offsets of free-running cameras come from the motion of people. First what needs no calibration: how fast each joint
moves in the image, in body sizes per second, rises and falls together in all views; the correlation of the speeds
over the lag has few peaks (a walk repeats itself). Then geometry decides between the peaks: at the right lag the rays
of the two cameras meet.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from scipy.signal import fftconvolve

from ..arrays import FloatArray
from ..geometry.projection import normalize
from ..geometry.rigid import compose, invert
from ..geometry.stats import nan_mean
from ..types import CameraRig, ClockModel
from .epipolar import LEAST_POINTS, essential_of, finite_pairs, pair_geometry, sampson
from .people.tracklets import Tracklet, evenly, extent_px, instants, sample
from .task import RefusalError

# Motion is compared at this rate.
_RATE_HZ = 30.0
_PEAKS = 20
_FOLLOWED = 3
# Two recordings must have this much motion in common, in joint-seconds; of less, some lag always fits.
_LEAST_COMMON_S = 40.0
# Around a peak the lag is searched this far, in steps of half an image.
_REACH_S = 0.2
_LONGEST = 4
_VERIFY_INSTANTS = 150
_SPEED_FLOOR = 0.05
_LEAST_FIT = 0.02

# Cost of a lag (s) between two cameras' tracklets: smaller is better, NaN if it is unknown.
LagCost = Callable[[Tracklet, Tracklet, float], float]


def clock_offsets_s(rig: CameraRig) -> FloatArray:
    """Return the offsets (C,) of the cameras' clocks."""
    return np.array([camera.clock.offset_s for camera in rig.cameras])


def clock_drifts(rig: CameraRig) -> FloatArray:
    """Return the drifts (C,) of the cameras' clocks."""
    return np.array([camera.clock.drift for camera in rig.cameras])


def with_clocks(rig: CameraRig, offset_s: FloatArray, drift: FloatArray | None = None) -> CameraRig:
    """Return the rig with other clocks: offsets (C,) and drifts (C,), None: none drifts."""
    rates = np.zeros(len(rig)) if drift is None else drift
    clocks = (ClockModel(*clock) for clock in zip(offset_s.tolist(), rates.tolist(), strict=True))
    return replace(rig, cameras=tuple(replace(c, clock=clock) for c, clock in zip(rig.cameras, clocks, strict=True)))


def synchronous(rig: CameraRig) -> CameraRig:
    """Return the rig with clocks that agree."""
    return with_clocks(rig, np.zeros(len(rig)))


def with_clocks_beyond(rig: CameraRig, sampled: CameraRig) -> CameraRig:
    """Return a rig found from views that were sampled under the clocks of ``sampled``, with its clocks beyond these."""
    return with_clocks(
        rig, clock_offsets_s(sampled) + clock_offsets_s(rig), clock_drifts(sampled) + clock_drifts(rig)
    )


def common_instants(tracklets: Mapping[str, Sequence[Tracklet]], rig: CameraRig, most: int) -> FloatArray:
    """Return up to ``most`` instants (M,) of the common time at which the cameras of ``rig`` see people."""
    return instants(
        [replace(t, time_s=c.clock.common_s(t.time_s)) for c in rig.cameras for t in tracklets[c.name]], most
    )


def coarse_clocks(
    tracklets: Mapping[str, Sequence[Tracklet]], rig: CameraRig, max_offset_s: float,
    bounds: Mapping[str, float] | None = None,
) -> CameraRig:
    """Return ``rig`` with clock offsets to a fraction of an image.

    Args:
        tracklets: by camera.
        rig: calibrated, or of unknown extrinsics with ``bounds``.
        max_offset_s: of a camera against the first one.
        bounds: by camera, the normalised distance within which a joint fits: at the right lag an essential matrix
            explains most. None: joints lie nearest to the epipolar lines of ``rig``.

    Raises:
        CalibrationError: if a camera's motion fits no other's at any lag.
    """
    def cost(first: Tracklet, second: Tracklet, lag_s: float) -> float:
        xn, yn = _corresponding(first, second, lag_s, rig)
        if bounds is not None:
            found = pair_geometry(xn, yn, 0.5 * (bounds[first.camera] + bounds[second.camera]), 150, 400)
            return float('nan') if found is None else 1.0 - found.inlier_share
        second_from_first = compose(rig[second.camera].cam_from_world, invert(rig[first.camera].cam_from_world))
        distance = sampson(essential_of(second_from_first), xn, yn)
        return float(np.median(distance)) if len(distance) >= LEAST_POINTS else float('nan')

    return with_clocks(rig, _chain_lags(rig.names, tracklets, max_offset_s, cost))


def _corresponding(
    first: Tracklet, second: Tracklet, lag_s: float, rig: CameraRig
) -> tuple[FloatArray, FloatArray]:
    """Return the normalised points (N, 2), (N, 2) that two tracklets have in common at a lag."""
    low = max(first.time_s[0], second.time_s[0] - lag_s)
    high = min(first.time_s[-1], second.time_s[-1] - lag_s)
    inside = first.time_s[(first.time_s >= low) & (first.time_s <= high)]
    chosen = inside[evenly(len(inside), _VERIFY_INSTANTS)]
    xn = normalize(rig[first.camera].intrinsics, sample(first, chosen)[0]).reshape(-1, 2)
    yn = normalize(rig[second.camera].intrinsics, sample(second, chosen + lag_s)[0]).reshape(-1, 2)
    both = finite_pairs(xn, yn)
    return xn[both], yn[both]


def _pair_lag(a: Tracklet, b: Tracklet, max_offset_s: float, cost: LagCost) -> tuple[float, float]:
    """Return the lag (s) of b's stamps behind a's, and how well it fits (0 bad .. 1 good); (0, 0) if none does."""
    peaks = motion_peaks(a, b, max_offset_s)
    tried = {lag: cost(a, b, lag) for lag, _ in peaks}
    tried = {lag: value for lag, value in tried.items() if np.isfinite(value)}
    if not tried:
        return 0.0, 0.0
    # At a peak itself the lag may be off by half an image, so that the right one need not come first.
    for start in sorted(tried, key=lambda lag: tried[lag])[:_FOLLOWED]:
        for lag in (start + np.arange(-_REACH_S, _REACH_S + 1e-9, 0.5 / _RATE_HZ)).tolist():
            tried[lag] = cost(a, b, lag)
    lag = min(tried, key=lambda lag: np.nan_to_num(tried[lag], nan=np.inf))
    near = max((correlation for at, correlation in peaks if abs(at - lag) <= 2.0 * _REACH_S), default=0.0)
    overlap_s = min(a.time_s[-1], b.time_s[-1] - lag) - max(a.time_s[0], b.time_s[0] - lag)
    # A fit of many seconds is worth more than one of a few.
    return lag, float(max(near, 1e-3) * overlap_s / (overlap_s + 10.0))


def motion_peaks(a: Tracklet, b: Tracklet, max_offset_s: float) -> list[tuple[float, float]]:
    """Return the lags (s) at which the motion of two tracklets agrees best, and the correlation there, best first."""
    dt_s = 1.0 / _RATE_HZ
    grid = np.arange(min(a.time_s[0], b.time_s[0]), max(a.time_s[-1], b.time_s[-1]) + dt_s, dt_s)
    reach = min(round(max_offset_s * _RATE_HZ), len(grid) - 1)
    correlation = _masked_correlation(_motion_signal(a, grid), _motion_signal(b, grid), reach)
    inner = np.pad(correlation, 1, constant_values=-np.inf)
    peak = np.flatnonzero((inner[1:-1] >= inner[:-2]) & (inner[1:-1] >= inner[2:]) & np.isfinite(correlation))
    peak = peak[np.argsort(-correlation[peak])][:_PEAKS]
    return [(float((p - reach) * dt_s), float(correlation[p])) for p in peak]


def _motion_signal(tracklet: Tracklet, time_s: FloatArray) -> FloatArray:
    """Return (T, J): the logarithm of each joint's speed in extents per second, its mean taken off; NaN = unknown."""
    xy, velocity, _ = sample(tracklet, time_s)
    speed = np.linalg.norm(velocity, axis=-1) / np.maximum(extent_px(xy), 1.0)[:, None]
    signal = np.log(speed + _SPEED_FLOOR)
    return np.asarray(signal - nan_mean(signal, 0))


def _masked_correlation(x: FloatArray, y: FloatArray, reach: int) -> FloatArray:
    """Return the correlation of x(t) with y(t + lag) over what both have, all joints together, -reach <= lag <= reach.

    -inf where they have too little in common.
    """
    n = len(x)
    mx, my = np.isfinite(x), np.isfinite(y)
    x, y = np.where(mx, x, 0.0), np.where(my, y, 0.0)

    def correlated(f: FloatArray, g: FloatArray) -> FloatArray:
        return np.asarray(fftconvolve(g, f[::-1], axes=0).sum(1)[n - 1 - reach : n + reach])

    fx, fy = mx.astype(float), my.astype(float)
    xy, xx, yy = correlated(x, y), correlated(x * x, fy), correlated(fx, y * y)
    correlation = xy / np.sqrt(np.maximum(xx * yy, 1e-12))
    return np.where(correlated(fx, fy) >= _LEAST_COMMON_S * _RATE_HZ, correlation, -np.inf)


def _chain_lags(
    names: Sequence[str], tracklets: Mapping[str, Sequence[Tracklet]], max_offset_s: float, cost: LagCost
) -> FloatArray:
    """Return the offsets (C,) s against the first camera, along a tree of pairs, those of most common motion first.

    Raises:
        CalibrationError: for cameras that no pair joins to the first.
    """
    promising = []
    for i, j in itertools.combinations(range(len(names)), 2):
        # Two cameras that are each so far from the first may be twice as far from each other.
        reach_s = max_offset_s if i == 0 else 2.0 * max_offset_s
        first, second = (max(tracklets[names[k]], key=len) for k in (i, j))
        peaks = motion_peaks(first, second, reach_s)
        if peaks and peaks[0][1] > 0.0:
            promising.append((peaks[0][1], i, j, reach_s))
    group, offset_s = np.arange(len(names)), np.zeros(len(names))
    for _, i, j, reach_s in sorted(promising, key=lambda pair: -pair[0]):
        if group[i] == group[j]:
            continue
        longest = (sorted(tracklets[names[k]], key=len)[-_LONGEST:] for k in (i, j))
        lags = (_pair_lag(a, b, reach_s, cost) for a, b in itertools.product(*longest))
        lag_s, fit = max(lags, key=lambda found: found[1])
        if fit < _LEAST_FIT:
            continue
        # The second's group moves so that stamp_j - stamp_i = lag.
        moved = group == group[j]
        offset_s[moved] += offset_s[i] + lag_s - offset_s[j]
        group[moved] = group[i]
    lost = [name for name, g in zip(names, group, strict=True) if g != group[0]]
    if lost:
        raise RefusalError(
            f'No time lag makes the motion that {", ".join(lost)} saw fit the other cameras\'.',
            'Record somebody who moves where they overlap for half a minute, or give a larger --max-offset.',
        )
    return np.asarray(offset_s - offset_s[0])
