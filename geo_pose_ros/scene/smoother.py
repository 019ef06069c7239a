# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Joints with what comes later: a Rauch-Tung-Striebel smoother, for whoever has the whole recording.

The model is that of ``joint_filter``: constant velocity with white acceleration, quiet or brisk, and measurements whose
jumps count less. A pass forward filters what the scene measured, from the first set of a person on, also while nobody
knew yet that it is one; a pass backward (Rauch, Tung, Striebel 1965) adds to each instant what was measured after it.
Over gaps both agree on a path, with the covariance that they leave it.

S sets of one person, J joints; states of position and velocity (6,).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ..arrays import NS_PER_S, BoolArray, FloatArray, IntArray
from ..types import Bodies3D
from .bodies import MeasuredBodies
from .kernels.constant_velocity import FIRST_SPEED_M_S, GATE
from .settings import SmoothingConfig

# As the filter's: share of the old mean of innovations, and what tells a brisk joint.
_LAG_KEPT, _BRISK = 0.5, 16.3
_LEAST_M2 = 0.002**2
_I3 = np.eye(3)


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
        joints = bodies.xyz[bodies.ids == body_id][0]
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
    inside = _bridged(at, is_measured, config)
    sets, joints = is_measured.shape
    x, P = np.zeros((joints, 6)), np.tile(np.eye(6), (joints, 1, 1))
    lag, known = np.zeros((joints, 3)), np.zeros(joints, bool)
    predicted = np.zeros((sets, joints, 6)), np.zeros((sets, joints, 6, 6))
    filtered = np.zeros((sets, joints, 6)), np.zeros((sets, joints, 6, 6))
    steps = np.diff(at, prepend=at[:1])
    for row in range(sets):
        known &= inside[row]
        x, P = _predict(x, P, steps[row], config.acceleration_noise)
        seen = is_measured[row]
        z, R = np.nan_to_num(person.xyz[row]), np.where(seen[:, None, None], config.alike_sets * person.noise[row], _I3)
        P = _brisk(P, z - x[:, :3], R, lag, seen & known, steps[row], config)
        predicted[0][row], predicted[1][row] = x, P
        x, P = _correct(x, P, z, R, seen & known)
        new = seen & ~known
        x[new, :3], x[new, 3:], P[new] = z[new], 0.0, 0.0
        P[new, :3, :3], P[new, 3:, 3:] = R[new], FIRST_SPEED_M_S**2 * _I3
        lag[new] = 0.0
        known |= new
        filtered[0][row], filtered[1][row] = x, P
    mean, covariance = _backward(predicted, filtered, inside, steps)
    _extend(mean, covariance, inside, is_measured, at, config.acceleration_noise)
    xyz = np.where(inside[..., None], mean[..., :3], np.nan)
    if config.lowpass_hz > 0.0:
        xyz = butterworth(xyz, at, config.lowpass_hz)
    total = covariance[..., :3, :3] + _held(person.systematic)
    return xyz, np.where(inside[..., None, None], total, np.nan)


def _predict(x: FloatArray, P: FloatArray, dt_s: float, noise: float) -> tuple[FloatArray, FloatArray]:
    F = _transition(dt_s)
    return x @ F.T, F @ P @ F.T + _growth(dt_s, noise**2)


def _transition(dt_s: float) -> FloatArray:
    F = np.eye(6)
    F[:3, 3:] = dt_s * _I3
    return F


def _growth(dt_s: float, density: float) -> FloatArray:
    """Return what ``dt_s`` adds to a covariance (6, 6); ``density`` of the acceleration, m^2/s^3."""
    Q = np.zeros((6, 6))
    Q[:3, :3], Q[3:, 3:] = density * dt_s**3 / 3.0 * _I3, density * dt_s * _I3
    Q[:3, 3:] = Q[3:, :3] = density * dt_s**2 / 2.0 * _I3
    return Q


def _brisk(
    P: FloatArray, innovation: FloatArray, R: FloatArray, lag: FloatArray, seen: BoolArray, dt_s: float,
    config: SmoothingConfig,
) -> FloatArray:
    """Return the covariances (J, 6, 6), larger for joints that run away from their predictions; ``lag`` is updated."""
    lag *= _LAG_KEPT
    information = np.linalg.inv(P[:, :3, :3] + R)
    distance2 = np.einsum('ji,jik,jk->j', innovation, information, innovation)
    within = np.sqrt(GATE / np.maximum(distance2, GATE))
    lag[seen] += ((1.0 - _LAG_KEPT) * within[:, None] * innovation)[seen]
    is_brisk = seen & (3.0 * np.einsum('ji,jik,jk->j', lag, information, lag) > _BRISK)
    more = _growth(dt_s, config.acceleration_noise_fast**2 - config.acceleration_noise**2)
    return np.asarray(P + is_brisk[:, None, None] * more)


def _correct(
    x: FloatArray, P: FloatArray, z: FloatArray, R: FloatArray, seen: BoolArray
) -> tuple[FloatArray, FloatArray]:
    """Return states and covariances with the measurements ``z`` (J, 3) m of the joints ``seen`` (J,)."""
    innovation = z - x[:, :3]
    information = np.linalg.inv(P[:, :3, :3] + R)
    distance2 = np.einsum('ji,jik,jk->j', innovation, information, innovation)
    information = np.linalg.inv(P[:, :3, :3] + np.maximum(distance2 / GATE, 1.0)[:, None, None] * R)
    gain = P[:, :, :3] @ information
    x = np.where(seen[:, None], x + np.einsum('jik,jk->ji', gain, innovation), x)
    less = np.where(seen[:, None, None], gain @ P[:, :3], 0.0)
    P = P - less
    return x, (P + np.swapaxes(P, 1, 2)) / 2.0


def _backward(
    predicted: tuple[FloatArray, FloatArray], filtered: tuple[FloatArray, FloatArray], inside: BoolArray,
    steps: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Return the smoothed states (S, J, 6) and covariances (S, J, 6, 6)."""
    mean, covariance = filtered[0].copy(), filtered[1].copy()
    for row in range(len(mean) - 2, -1, -1):
        both = inside[row] & inside[row + 1]
        if not both.any():
            continue
        F = _transition(steps[row + 1])
        ahead = np.where(both[:, None, None], predicted[1][row + 1], np.eye(6))
        gain = np.swapaxes(np.linalg.solve(ahead, F @ filtered[1][row]), 1, 2)
        more = np.einsum('jik,jk->ji', gain, mean[row + 1] - predicted[0][row + 1])
        mean[row] += np.where(both[:, None], more, 0.0)
        change = gain @ (covariance[row + 1] - predicted[1][row + 1]) @ np.swapaxes(gain, 1, 2)
        covariance[row] += np.where(both[:, None, None], change, 0.0)
    return mean, covariance


def _extend(
    mean: FloatArray, covariance: FloatArray, inside: BoolArray, is_measured: BoolArray, at: FloatArray, noise: float
) -> None:
    """Write the states before each joint's first measurement: predicted backward from there."""
    for joint in np.flatnonzero(is_measured.any(0)):
        first = int(is_measured[:, joint].argmax())
        for row in np.flatnonzero(inside[:first, joint]):
            dt_s = at[row] - at[first]
            x, P = _predict(mean[first, joint], covariance[first, joint], dt_s, 0.0)
            mean[row, joint], covariance[row, joint] = x, P + np.abs(_growth(-dt_s, noise**2))


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
    joints = measured[0].xyz.shape[1]
    xyz = np.full((len(measured), joints, 3), np.nan)
    noise, systematic = np.full((2, len(measured), joints, 3, 3), np.nan)
    for row, bodies in enumerate(measured):
        for index in np.flatnonzero(np.isin(bodies.ids, parts))[:1]:
            known = np.isfinite(bodies.xyz[index]).all(-1) & np.isfinite(bodies.covariance[index]).all((1, 2))
            xyz[row, known] = bodies.xyz[index, known]
            noise[row, known] = bodies.random_covariance[index, known] + _LEAST_M2 * _I3
            systematic[row, known] = (bodies.covariance - bodies.random_covariance)[index, known]
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
            views[row, :smoothed] = measured.num_views[measured_of[body_id]]
            confidence[row, :smoothed] = measured.confidence[measured_of[body_id]]
        xyz[row, :smoothed], covariance[row, :smoothed] = smooth_xyz, smooth_covariance
        confidence[row, ~np.isfinite(xyz[row]).all(-1)] = 0.0
    return Bodies3D(
        published.stamp_ns, published.frame_id, published.skeleton, xyz, covariance, confidence, views, error,
        np.array([one[0] for one in found], np.int64),
    )
