# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Joints with what comes later: a Rauch-Tung-Striebel smoother, for whoever has the whole recording.

The model is that of ``joint_filter``: constant velocity with white acceleration. A pass forward filters what the scene
measured, from the first set of a person on, also while nobody knew yet that it is one; a pass backward (Rauch, Tung,
Striebel 1965) adds to each instant what was measured after it. Over gaps both agree on a path, with the covariance that
they leave it.

How strongly each joint accelerates is not a setting. Rounds of expectation and maximisation (Shumway, Stoffer 1982)
find it from the track, for each joint and time of it. The rounds also find measurements that the smoothed path
contradicts: errors with Student's t, of which those count less. In the end bones get the lengths that they have on the
whole track.

S sets of one person, J joints; states of position and velocity (6,).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ..arrays import NS_PER_S, BoolArray, FloatArray, IntArray
from ..skeleton import BODY17
from ..types import Bodies3D
from .bodies import MeasuredBodies
from .kernels.bones import ALIKE_SETS, hold_lengths
from .kernels.constant_velocity import FIRST_SPEED_M_S, GATE
from .settings import SmoothingConfig

# Rounds until noise and weights hardly change, and the noise of the acceleration to begin with, m/s^2/sqrt(Hz).
_ROUNDS, _FIRST_NOISE = 8, 1.0
# Half the time over which a joint's acceleration is alike, s; its whole track counts as one set more.
_ALIKE_S = 0.2
# Degrees of freedom of Student's t.
_FREEDOM = 4.0
_FAR_M2 = 100.0
_LEAST_M2 = 0.002**2
_EDGES = np.array(BODY17.edges, np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class _Person:
    """What the scene measured of one person: NaN where it did not."""

    times_s: FloatArray
    xyz: FloatArray
    noise: FloatArray
    systematic: FloatArray


def smooth_people(
    measured: Sequence[MeasuredBodies], published: Sequence[Bodies3D], config: SmoothingConfig
) -> list[Bodies3D]:
    """Return the bodies of all sets, smoothed; only people who were published once are in them.

    Args:
        measured: what the scene measured in each set, see ``SceneResult.measured``.
        published: of the same sets; confidence, views and errors are theirs where they have the joint.
        config: settings.
    """
    if not published:
        return []
    stamps = np.array([bodies.stamp_ns for bodies in published], np.int64)
    times_s = (stamps - stamps[0]) / NS_PER_S
    ids = np.unique(np.concatenate([bodies.body_ids for bodies in published]))
    spans = {}
    for body_id in ids.tolist():
        rows = np.array([row for row, bodies in enumerate(measured) if body_id in bodies.ids], np.int64)
        if len(rows):
            spans[body_id] = rows
    groups = join_people(measured, times_s, spans, config)
    found: list[list[tuple[int, FloatArray, FloatArray]]] = [[] for _ in published]
    for body_id, parts in groups.items():
        begin_s, end_s = (times_s[f(spans[part][k] for part in parts)] for f, k in ((min, 0), (max, -1)))
        first, last = np.searchsorted(times_s, (begin_s - config.extend_s, end_s + config.extend_s + 1e-9)).tolist()
        person = _gather(measured[first:last], times_s[first:last], parts)
        xyz, covariance = smooth_person(person, config)
        for row in range(first, last):
            if np.isfinite(xyz[row - first]).any():
                found[row].append((body_id, xyz[row - first], covariance[row - first]))
    renamed = {part: body_id for body_id, parts in groups.items() for part in parts}
    return [_bodies(*row, renamed) for row in zip(published, measured, found, strict=True)]


def join_people(
    measured: Sequence[MeasuredBodies], times_s: FloatArray, spans: dict[int, IntArray], config: SmoothingConfig
) -> dict[int, list[int]]:
    """Return the ids that are one person, by the first of them: one ends where and as the next begins.

    Two are joined where the gap is at most ``join_s``, and the bodies on both sides are no farther apart than
    ``join_m`` and what people walk meanwhile; each end goes to the nearest beginning.
    """
    def centre(body_id: int, row: int) -> FloatArray:
        bodies = measured[row]
        joints = bodies.solution.xyz[bodies.ids == body_id][0]
        return np.asarray(joints[np.isfinite(joints).all(-1)].mean(0))

    pairs = []
    for a, rows_a in spans.items():
        for b, rows_b in spans.items():
            gap_s = times_s[rows_b[0]] - times_s[rows_a[-1]]
            if a == b or not 0.0 < gap_s <= config.join_s:
                continue
            away_m = float(np.linalg.norm(centre(a, rows_a[-1]) - centre(b, rows_b[0])))
            if away_m <= config.join_m + FIRST_SPEED_M_S * gap_s:
                pairs.append((away_m, a, b))
    before: dict[int, int] = {}
    for _, a, b in sorted(pairs):
        if b not in before and a not in before.values():
            before[b] = a
    groups: dict[int, list[int]] = {}
    for body_id in sorted(spans, key=lambda one: int(spans[one][0])):
        first = body_id
        while first in before:
            first = before[first]
        groups.setdefault(first, []).append(body_id)
    return groups


def smooth_person(person: _Person, config: SmoothingConfig) -> tuple[FloatArray, FloatArray]:
    """Return positions (S, J, 3) m and covariances (S, J, 3, 3) m^2.

    NaN where a joint is not known: in gaps longer than ``max_gap_s``, and farther than ``extend_s`` from its first and
    last measurement.
    """
    at, is_measured = person.times_s, np.asarray(np.isfinite(person.xyz).all(-1))
    noise = np.where(is_measured[..., None, None], config.alike_sets * person.noise, np.eye(3))
    weight, density = np.ones(is_measured.shape), np.full(is_measured.shape, _FIRST_NOISE**2)
    z, information = np.nan_to_num(person.xyz), np.linalg.inv(noise)
    for _ in range(_ROUNDS):
        predicted, filtered = _forward(at, z, noise / weight[..., None, None], density, is_measured)
        xyz, covariance, moved = _backward(at, predicted, filtered, density)
        density = _local_mean(at, moved)
        off = z - xyz
        distance2 = np.einsum('sji,sjik,sjk->sj', off, information, off)
        distance2 += np.einsum('sjik,sjki->sj', information, covariance)
        weight = np.minimum((_FREEDOM + 3.0) / (_FREEDOM + distance2), 1.0)
    inside = _bridged(at, is_measured, config)
    xyz[~inside], covariance[~inside] = np.nan, np.nan
    total = covariance + _held(person.systematic)
    _hold_bones(xyz, total, covariance)
    if config.lowpass_hz > 0.0:
        xyz = butterworth(xyz, at, config.lowpass_hz)
    return xyz, total


def _growth(dt_s: float) -> FloatArray:
    """Return what ``dt_s`` adds to a covariance (6, 6) for a density of 1 m^2/s^3 of the acceleration."""
    return np.asarray(np.kron([[dt_s**3 / 3.0, dt_s**2 / 2.0], [dt_s**2 / 2.0, dt_s]], np.eye(3)), np.float64)


def _forward(
    at: FloatArray, z: FloatArray, noise: FloatArray, density: FloatArray, is_measured: BoolArray
) -> tuple[tuple[FloatArray, FloatArray], tuple[FloatArray, FloatArray]]:
    """Return states (S, J, 6) and covariances (S, J, 6, 6), as predicted for each set and as filtered.

    Args:
        at: (S,) s.
        z, noise: measurements (S, J, 3) m, and covariances (S, J, 3, 3) m^2, of those that ``is_measured`` (S, J).
        density: (S, J) m^2/s^3 of the acceleration before each set.
    """
    sets, joints = is_measured.shape
    x, F = np.zeros((joints, 6)), np.eye(6)
    # Each joint starts at its first measurement, far less sure of it than that is.
    x[:, :3] = z[is_measured.argmax(0), np.arange(joints)]
    P = np.tile(np.diag([_FAR_M2] * 3 + [FIRST_SPEED_M_S**2] * 3), (joints, 1, 1))
    states, covariances = np.empty((2, sets, joints, 6)), np.empty((2, sets, joints, 6, 6))
    for row, dt_s in enumerate(np.diff(at, prepend=at[:1]).tolist()):
        F[:3, 3:] = dt_s * np.eye(3)
        x, P = x @ F.T, F @ P @ F.T + density[row, :, None, None] * _growth(dt_s)
        states[0, row], covariances[0, row] = x, P
        innovation, R = z[row] - x[:, :3], noise[row]
        information = np.linalg.inv(P[:, :3, :3] + R)
        distance2 = np.einsum('ji,jik,jk->j', innovation, information, innovation)
        # A jump beyond the gate counts less.
        information = np.linalg.inv(P[:, :3, :3] + np.maximum(distance2 / GATE, 1.0)[:, None, None] * R)
        gain = np.where(is_measured[row, :, None, None], P[:, :, :3] @ information, 0.0)
        x = x + np.einsum('jik,jk->ji', gain, innovation)
        P = P - gain @ P[:, :3]
        P = (P + np.swapaxes(P, 1, 2)) / 2.0
        states[1, row], covariances[1, row] = x, P
    return (states[0], covariances[0]), (states[1], covariances[1])


def _backward(
    at: FloatArray, predicted: tuple[FloatArray, FloatArray], filtered: tuple[FloatArray, FloatArray],
    density: FloatArray,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return smoothed positions (S, J, 3) m, covariances (S, J, 3, 3) m^2, and densities (S, J) m^2/s^3.

    The densities are what each step of the smoothed path says of the acceleration before it, in the mean over what the
    path may be: of the disturbance smoother, w = Q r and Var w = Q - Q N Q (Durbin, Koopman 2012, 4.5). ``filtered`` is
    changed.
    """
    (ahead, P_ahead), (mean, P) = predicted, filtered
    found, steps, F = np.array(density), np.diff(at, prepend=at[:1]), np.eye(6)
    for row in range(len(at) - 1, 0, -1):
        F[:3, 3:] = steps[row] * np.eye(3)
        Q, known = _growth(steps[row]), np.linalg.inv(P_ahead[row])
        off, less = mean[row] - ahead[row], P_ahead[row] - P[row]
        r, N = np.einsum('jik,jk->ji', known, off), known @ less @ known
        squares = np.einsum('ji,ik,jk->j', r, Q, r) - np.einsum('ik,jki->j', Q, N)
        found[row] += density[row] ** 2 * squares / 6.0
        gain = P[row - 1] @ F.T @ known
        mean[row - 1] += np.einsum('jik,jk->ji', gain, off)
        P[row - 1] -= gain @ less @ np.swapaxes(gain, 1, 2)
    return np.array(mean[..., :3]), np.array(P[..., :3, :3]), np.maximum(found, 0.0)


def _local_mean(at: FloatArray, moved: FloatArray) -> FloatArray:
    """Return densities (S, J): means of ``moved`` (S, J) over ``_ALIKE_S`` on both sides and the whole track."""
    if len(at) < 2:
        return moved
    reach = max(1, round(_ALIKE_S / max(float(np.median(np.diff(at))), 1e-6)))
    # The first set has no step before it.
    sums = np.concatenate([np.zeros((1, moved.shape[1])), np.cumsum(moved[1:], 0)])
    rows = np.arange(len(at))
    first, last = np.maximum(rows - reach - 1, 0), np.minimum(rows + reach, len(at) - 1)
    first = np.minimum(first, last - 1)
    count = (last - first)[:, None]
    return np.asarray((sums[last] - sums[first] + moved[1:].mean(0)) / (count + 1))


def _hold_bones(xyz: FloatArray, covariance: FloatArray, random: FloatArray) -> None:
    """Give bones about their mean lengths on the track; the arguments are those of ``hold_lengths``, in place."""
    bones = xyz[:, _EDGES[:, 1]] - xyz[:, _EDGES[:, 0]]
    length = np.linalg.norm(bones, axis=-1)
    both = covariance[:, _EDGES].sum(2)
    variance = np.einsum('sei,seik,sek->se', bones, both, bones) / np.maximum(length, 1e-3) ** 2
    information = np.where(np.isfinite(length) & (variance > 0.0), 1.0 / np.where(variance > 0.0, variance, 1.0), 0.0)
    total = information.sum(0)
    known = np.maximum(total, 1e-12)
    lengths = (information * np.nan_to_num(length)).sum(0) / known, ALIKE_SETS / known
    held = np.ascontiguousarray(np.broadcast_to(np.stack(lengths)[:, None], (2, len(xyz), len(_EDGES))))
    hold_lengths(_EDGES, held, 0, xyz, covariance, random)


def _bridged(at: FloatArray, is_measured: BoolArray, config: SmoothingConfig) -> BoolArray:
    """Return which joints (S, J) are measured, in a gap that is bridged, or just before or after."""
    inside = is_measured.copy()
    for joint in range(is_measured.shape[1]):
        rows = np.flatnonzero(is_measured[:, joint])
        for a, b in pairwise(rows):
            if b > a + 1 and at[b] - at[a] <= config.max_gap_s:
                inside[a:b, joint] = True
        if len(rows):
            begin, end = at[rows[0]] - config.extend_s, at[rows[-1]] + config.extend_s
            inside[:, joint] |= ((at >= begin) & (at < at[rows[0]])) | ((at > at[rows[-1]]) & (at <= end))
    return inside


def _held(systematic: FloatArray) -> FloatArray:
    """Return covariances (S, J, 3, 3) with the last known one where there is none."""
    known = np.isfinite(systematic).all((2, 3))
    rows = np.where(known, np.arange(len(systematic))[:, None], 0)
    held = systematic[np.maximum.accumulate(rows, 0), np.arange(systematic.shape[1])]
    return np.nan_to_num(held)


def butterworth(xyz: FloatArray, at: FloatArray, cutoff_hz: float) -> FloatArray:
    """Return joints (S, J, 3) m low-passed forward and backward: fourth order in all, as Pose2Sim's.

    Each stretch without NaN is filtered on its own; one shorter than the filter's padding stays as it is.
    """
    from scipy.signal import butter, filtfilt

    if len(at) < 3:
        return xyz
    rate_hz = 1.0 / float(np.median(np.diff(at)))
    if cutoff_hz >= rate_hz / 2.0:
        return xyz
    b, a = butter(2, cutoff_hz / (rate_hz / 2.0))
    least, smooth = 3 * max(len(a), len(b)) + 1, xyz.copy()
    for joint in range(xyz.shape[1]):
        known = np.isfinite(xyz[:, joint]).all(-1)
        edges = np.flatnonzero(np.diff(known.astype(int), prepend=0, append=0))
        for start, stop in zip(edges[::2], edges[1::2], strict=True):
            if stop - start >= least:
                smooth[start:stop, joint] = filtfilt(b, a, xyz[start:stop, joint], axis=0)
    return smooth


def _gather(measured: Sequence[MeasuredBodies], times_s: FloatArray, parts: Sequence[int]) -> _Person:
    """Return what was measured of the person with the ids ``parts``."""
    joints = measured[0].solution.xyz.shape[1]
    xyz = np.full((len(measured), joints, 3), np.nan)
    noise, systematic = np.full((2, len(measured), joints, 3, 3), np.nan)
    for row, bodies in enumerate(measured):
        found = bodies.solution
        for index in np.flatnonzero(np.isin(bodies.ids, parts))[:1]:
            known = np.isfinite(found.xyz[index]).all(-1) & np.isfinite(found.covariance[index]).all((1, 2))
            xyz[row, known] = found.xyz[index, known]
            noise[row, known] = found.random_covariance[index, known] + _LEAST_M2 * np.eye(3)
            systematic[row, known] = (found.covariance - found.random_covariance)[index, known]
    return _Person(times_s, xyz, noise, systematic)


def _bodies(
    published: Bodies3D, measured: MeasuredBodies, found: Sequence[tuple[int, FloatArray, FloatArray]],
    renamed: dict[int, int],
) -> Bodies3D:
    """Return a set's smoothed people; what else is known of them, and joints beyond body17's, are as published."""
    people, joints = len(found), len(published.skeleton)
    xyz, covariance = np.full((people, joints, 3), np.nan), np.full((people, joints, 3, 3), np.nan)
    views, confidence = np.zeros((people, joints), np.int64), np.zeros((people, joints))
    error = np.full((people, joints), np.nan)
    row_of = {renamed.get(int(i), int(i)): row for row, i in enumerate(published.body_ids)}
    measured_of = {renamed.get(int(i), int(i)): row for row, i in enumerate(measured.ids)}
    for row, (body_id, smooth_xyz, smooth_covariance) in enumerate(found):
        smoothed = len(smooth_xyz)
        if body_id in row_of:
            of = row_of[body_id]
            xyz[row], covariance[row] = published.xyz[of], published.covariance[of]
            views[row], confidence[row], error[row] = (
                published.num_views[of], published.confidence[of], published.reprojection_error[of])
        elif body_id in measured_of:
            views[row, :smoothed] = measured.solution.num_views[measured_of[body_id]]
            confidence[row, :smoothed] = measured.confidence[measured_of[body_id]]
        xyz[row, :smoothed], covariance[row, :smoothed] = smooth_xyz, smooth_covariance
        confidence[row, ~np.isfinite(xyz[row]).all(-1)] = 0.0
    return Bodies3D(
        published.stamp_ns, published.frame_id, published.skeleton, xyz, covariance, confidence, views, error,
        np.array([one[0] for one in found], np.int64),
    )
