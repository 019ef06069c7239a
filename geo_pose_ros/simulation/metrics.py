# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""How good the bodies of a simulated scene are: bodies against people, set by set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import numpy as np
from scipy.optimize import linear_sum_assignment

from ..arrays import NS_PER_S, FloatArray, IntArray
from ..geometry.stats import INSIDE_95, distance2, nan_mean, nan_percentile
from ..skeleton import BODY17
from .scenario import EPOCH_NS, World
from .simulate import SimulatedRun

MATCH_M = 0.35
# A person is found by a body of which joints err by less than this on average, m.
FOUND_M = 0.15
# The oracle is run for so many people and sets of a scene at most.
ORACLE_PEOPLE, ORACLE_SETS = 4, 300
# Fewer joints than this say nothing about a share of 95 %.
LEAST_JUDGED = 100
# Sets until which nothing is warm, and those that count as cold.
COLD_SETS, WARM_AFTER = 10, 10
WRISTS = [BODY17.index('left_wrist'), BODY17.index('right_wrist')]
NAN = float('nan')


@dataclass(frozen=True, slots=True)
class Metrics:
    """One number per name; NaN = does not apply. docs/scenes.md says how each is made.

    Attributes:
        sets: sets published.
        instants: share of the instants in which a camera delivered of which a frame is in a published set.
        sets_per_instant: published sets for each instant in which a camera delivered.
        latency_p95_ms: 95th percentile of the time from the exposure (stamp) to when the set is taken.
        bodies: bodies per person, mean over the sets.
        recall: share of people in sight of two cameras (or all, if there are fewer) that have a body.
        found: share of them whose body has a mean joint error below FOUND_M.
        association_ratio: found, over that of the same pipeline with perfect association.
        ghosts: bodies that are nobody, per set.
        ids: distinct ids per person, over the run.
        same_id: share of the people hidden that came back with the id they had.
        crossed_id: share of people who kept their id while crossing.
        mpjpe_m, wrist_p95_m: mean joint error, and 95th percentile of both wrists', of matched bodies at the
            published stamp.
        jitter_m_s2: mean acceleration of their joints' errors, m/s^2, over sets at even distance.
        views: inlier views per joint of matched bodies.
        inside_2, inside_1, inside_0: share of joints inside the published 95 % ellipsoid; with two inlier views or
            more, with one, with none; not given for fewer than LEAST_JUDGED joints.
        cpu_warm_ms, cpu_cold_ms: process CPU time of a set: median of those after the tenth with everybody known;
            the largest of the first ten; cold_ratio: the latter over the former.
        oracle_ratio: mpjpe_m over that of the oracle.
        clock_error_ms: largest error of a camera's clock offset at the end.
        clock_found_s: from when on all are within 3 ms.
        knock_found_s: time from a knock to its report by name.
        false_knocks: share of sets x cameras reported as moved that were not.
    """

    sets: float = NAN
    instants: float = NAN
    sets_per_instant: float = NAN
    latency_p95_ms: float = NAN
    bodies: float = NAN
    recall: float = NAN
    found: float = NAN
    association_ratio: float = NAN
    ghosts: float = NAN
    ids: float = NAN
    same_id: float = NAN
    crossed_id: float = NAN
    mpjpe_m: float = NAN
    wrist_p95_m: float = NAN
    jitter_m_s2: float = NAN
    views: float = NAN
    inside_2: float = NAN
    inside_1: float = NAN
    inside_0: float = NAN
    cpu_warm_ms: float = NAN
    cpu_cold_ms: float = NAN
    cold_ratio: float = NAN
    oracle_ratio: float = NAN
    clock_error_ms: float = NAN
    clock_found_s: float = NAN
    knock_found_s: float = NAN
    false_knocks: float = NAN


@dataclass(frozen=True, slots=True, eq=False)
class Matched:
    """Bodies of one set against P people.

    Attributes:
        body: (P,) index of the person's body, -1 none.
        xyz: (P, 17, 3) the bodies' joints, aligned where only one camera exists; NaN without a body.
        truth: (P, 17, 3).
        ghosts: indices of bodies that are nobody.
    """

    body: IntArray
    xyz: FloatArray
    truth: FloatArray
    ghosts: IntArray


def along_ray(xyz: FloatArray, truth: FloatArray, centre_m: FloatArray) -> FloatArray:
    """Return a body (17, 3) scaled about a camera's centre so that its pelvis is as far as the true one's.

    One camera cannot measure distance; what it can, direction and shape, is what is compared then.
    """
    ours, true = np.linalg.norm(xyz[0] - centre_m), np.linalg.norm(truth[0] - centre_m)
    return np.asarray(centre_m + (xyz - centre_m) * (true / ours if ours > 0.0 else 1.0))


def match(xyz: FloatArray, truth: FloatArray, centre_m: FloatArray | None = None) -> Matched:
    """Assign bodies (B, 17, 3) to people (P, 17, 3): least sum of mean joint distances, each below MATCH_M.

    Args:
        xyz, truth: m; NaN = unknown.
        centre_m: of the only camera, if there is one only; see ``along_ray``.
    """
    bodies, people = len(xyz), len(truth)
    aligned = np.broadcast_to(xyz[:, None], (bodies, people, *xyz.shape[1:])).copy()
    if centre_m is not None:
        for b, p in np.ndindex(bodies, people):
            aligned[b, p] = along_ray(xyz[b], truth[p], centre_m)
    distance = np.linalg.norm(aligned - truth[None], axis=-1)
    known = np.isfinite(distance)
    mean = np.where(known, distance, 0.0).sum(-1) / np.maximum(known.sum(-1), 1)
    mean = np.where(known.any(-1), mean, 1e6)
    rows, columns = linear_sum_assignment(np.where(mean < MATCH_M, mean, 1e3))
    body, found = np.full(people, -1), np.full(truth.shape, np.nan)
    for b, p in zip(rows.tolist(), columns.tolist(), strict=True):
        if mean[b, p] < MATCH_M:
            body[p], found[p] = b, aligned[b, p]
    return Matched(body, found, truth, np.setdiff1d(np.arange(bodies), body))


def gauge_s(simulated: SimulatedRun) -> float:
    """Return by how much the clock of published stamps is ahead of the true one, s.

    Nobody can tell what all clocks have in common; stamps are compared at the mean of the true offsets (zero) less
    the mean of the offsets found, where any were.
    """
    found = [camera.clock_offset_s for camera in simulated.sets[-1].cameras.values()] if simulated.sets else []
    return -float(np.mean(found)) if found else 0.0


def in_sight(world: World, stamp_ns: int) -> FloatArray:
    """Return in how many cameras each person is in sight at the image nearest to a stamp, (P,)."""
    count = np.zeros(world.scenario.people)
    for record in world.cameras:
        if len(record.stamp_ns):
            count += record.visible[int(np.abs(record.stamp_ns - stamp_ns).argmin())]
    return count


def measure(simulated: SimulatedRun) -> Metrics:
    """Return the metrics of a run, all but the oracle's."""
    world, sets = simulated.world, simulated.sets
    people = world.scenario.people
    centre = world.rig.cameras[0].position_m if len(world.rig) == 1 else None
    needed = min(2, len(world.rig))
    gauge_ns = round(gauge_s(simulated) * NS_PER_S)
    matched = [match(s.bodies.xyz, world.truth(s.stamp_ns - gauge_ns), centre) for s in sets]
    body = np.array([m.body for m in matched]).reshape(len(sets), people)
    sight = np.array([in_sight(world, s.stamp_ns) for s in sets]).reshape(len(sets), people) >= needed
    ids = np.array([
        np.where(m.body >= 0, np.append(s.bodies.body_ids, -1)[m.body], -1) for m, s in zip(matched, sets, strict=True)
    ]).reshape(len(sets), people)
    distinct = [len(set(column[column >= 0].tolist())) for column in ids.T]
    off = np.array([m.xyz - m.truth for m in matched]).reshape(len(sets), people, 17, 3)
    error = np.linalg.norm(off, axis=-1)
    wrists, mean_m = error[..., WRISTS], nan_mean(error, 2)
    values: dict[str, float] = {
        'sets': len(sets),
        'bodies': _mean([len(s.bodies) for s in sets]) / people,
        'recall': _ratio(float(((body >= 0) & sight).sum()), float(sight.sum())),
        'found': _ratio(float((sight & (mean_m < FOUND_M)).sum()), float(sight.sum())),
        'ghosts': _mean([len(m.ghosts) for m in matched]),
        'ids': _mean(distinct),
        'mpjpe_m': _mean(error),
        'wrist_p95_m': nan_percentile(wrists, 95.0),
        'jitter_m_s2': mean_acceleration([s.stamp_ns for s in sets], off),
        'views': _mean([
            s.bodies.num_views[b].mean() for s, m in zip(sets, matched, strict=True) for b in m.body[m.body >= 0]
        ]),
    }
    values |= delivered(simulated) | coverage(simulated, matched) | costs(simulated)
    values |= identities(simulated, ids) | reports(simulated)
    return Metrics(**values)


def mean_acceleration(stamps_ns: Sequence[int], xyz: FloatArray) -> float:
    """Return the mean acceleration, m/s^2, of points (S, ..., 3) m, NaN = unknown, over sets at even distance."""
    step_s = np.diff(np.array(stamps_ns, float)) / NS_PER_S
    even = np.isclose(step_s[1:], step_s[:-1], rtol=0.1) & (step_s[1:] > 0.0)
    return _mean(np.linalg.norm(np.diff(xyz, 2, axis=0)[even], axis=-1).T / step_s[1:][even] ** 2)


def _mean(values: Sequence[float] | FloatArray) -> float:
    array = np.asarray(values, float)
    array = array[np.isfinite(array)]
    return float(array.mean()) if array.size else NAN


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else NAN


def delivered(simulated: SimulatedRun) -> dict[str, float]:
    """Return which of what the cameras delivered was published."""
    world = simulated.world
    period_ns = world.period_s * NS_PER_S
    delivering: set[int] = set()
    instant_of: dict[tuple[str, int], int] = {}
    for record, offset_s in zip(world.cameras, world.clock_offset_s, strict=True):
        for stamp in record.stamp_ns.tolist():
            # Half a nanosecond's rounding must not put a frame into the instant before.
            instant = int((stamp - EPOCH_NS - round(offset_s * NS_PER_S) + 1000) // period_ns)
            delivering.add(instant)
            instant_of[record.camera.name, stamp] = instant
    used = [instant_of[name, stamp] for s in simulated.sets for name, stamp in s.stamps_ns.items()]
    return {
        'instants': _ratio(len(set(used)), len(delivering)),
        'sets_per_instant': _ratio(len(simulated.sets), len(delivering)),
        'latency_p95_ms': nan_percentile([(s.now_ns - s.stamp_ns) / 1e6 for s in simulated.sets], 95.0),
    }


def coverage(simulated: SimulatedRun, matched: Sequence[Matched]) -> dict[str, float]:
    """Return the share of joints inside the published ellipsoid, by their inlier views."""
    inside: dict[int, list[bool]] = {0: [], 1: [], 2: []}
    for s, m in zip(simulated.sets, matched, strict=True):
        for p in np.flatnonzero(m.body >= 0):
            b = m.body[p]
            off = distance2(m.xyz[p] - m.truth[p], s.bodies.covariance[b])
            for j in np.flatnonzero(np.isfinite(off)):
                inside[min(int(s.bodies.num_views[b, j]), 2)].append(bool(off[j] <= INSIDE_95))
    return {
        f'inside_{views}': _mean(np.array(found, float))
        for views, found in inside.items() if len(found) >= LEAST_JUDGED
    }


def costs(simulated: SimulatedRun) -> dict[str, float]:
    """Return time and memory of a set."""
    sets, people = simulated.sets, simulated.world.scenario.people
    warm = [s.cpu_ms for s in sets[WARM_AFTER:] if len(s.bodies) >= people]
    typical = float(np.median(warm)) if warm else NAN
    cold = max((s.cpu_ms for s in sets[:COLD_SETS]), default=NAN)
    return {'cpu_warm_ms': typical, 'cpu_cold_ms': cold, 'cold_ratio': _ratio(cold, typical)}


def identities(simulated: SimulatedRun, ids: IntArray) -> dict[str, float]:
    """Return whose id outlived being hidden, and crossing; ``ids`` (S, P), -1 without a body."""
    scenario = simulated.world.scenario
    time_s = np.array([(s.stamp_ns - EPOCH_NS) / NS_PER_S for s in simulated.sets])

    def usual(person: int, start_s: float, end_s: float) -> int:
        column = ids[(time_s >= start_s) & (time_s < end_s), person] if len(ids) else np.zeros(0, np.int64)
        column = column[column >= 0]
        return int(np.bincount(column).argmax()) if len(column) else -1

    values: dict[str, float] = {}
    if scenario.hidden:
        same = [
            usual(h.person, h.start_s - 1.0, h.start_s) == usual(h.person, h.end_s + 0.5, h.end_s + 1.5) != -1
            for h in scenario.hidden
        ]
        values['same_id'] = _mean(np.array(same, float))
    if scenario.motion == 'cross':
        meet = scenario.duration_s / 2.0
        kept = [
            usual(p, meet - 2.0, meet - 1.0) == usual(p, meet + 1.0, meet + 2.0) != -1 for p in range(scenario.people)
        ]
        values['crossed_id'] = _mean(np.array(kept, float))
    return values


def reports(simulated: SimulatedRun) -> dict[str, float]:
    """Return how good what the pipeline says about its cameras is; nothing where it says nothing."""
    world, sets = simulated.world, simulated.sets
    if not sets or not sets[-1].cameras:
        return {}
    names = world.rig.names
    time_s = np.array([(s.stamp_ns - EPOCH_NS) / NS_PER_S for s in sets])
    offsets = np.array([[s.cameras[name].clock_offset_s for name in names] for s in sets])
    wrong = offsets - offsets.mean(1, keepdims=True) - world.clock_offset_s
    within = np.abs(wrong).max(1) <= 0.003
    late = np.flatnonzero(~within)
    first = 0 if not len(late) else int(late[-1]) + 1
    moved = np.array([[bool(s.cameras[name].moved) for name in names] for s in sets])
    true = np.zeros(moved.shape, bool)
    for knock in world.scenario.knocks:
        # Ten seconds to be taken back are not false.
        true[(time_s >= knock.start_s) & (time_s < knock.end_s + 10.0), knock.camera] = True
    values = {
        'clock_error_ms': float(np.abs(wrong[-1]).max() * 1e3),
        'clock_found_s': float(time_s[first]) if first < len(sets) else float('inf'),
        'false_knocks': float((moved & ~true).mean()),
    }
    if world.scenario.knocks:
        knock = world.scenario.knocks[0]
        reported = time_s[(time_s >= knock.start_s) & moved[:, knock.camera]]
        values['knock_found_s'] = float(reported[0] - knock.start_s) if len(reported) else float('inf')
    return values


def errors(simulated: SimulatedRun, people: Sequence[int]) -> dict[int, FloatArray]:
    """Return joint errors (len(people), 17) m by published stamp, NaN without a body, of ``people`` alone."""
    world = simulated.world
    centre = world.rig.cameras[0].position_m if len(world.rig) == 1 else None
    gauge_ns = round(gauge_s(simulated) * NS_PER_S)
    found = {}
    for s in simulated.sets:
        matched = match(s.bodies.xyz, world.truth(s.stamp_ns - gauge_ns)[list(people)], centre)
        found[s.stamp_ns] = np.linalg.norm(matched.xyz - matched.truth, axis=-1)
    return found


def association_ratio(simulated: SimulatedRun, run_alone: Callable[[int], SimulatedRun]) -> float:
    """Return ``found`` over that of perfect association: of runs in which each person is alone, as detected."""
    people = range(simulated.world.scenario.people)
    return _ratio(times_found(simulated, people), sum(times_found(run_alone(person), [person]) for person in people))


def times_found(simulated: SimulatedRun, people: Sequence[int]) -> int:
    """Return how many times, in all sets, one of ``people`` is in sight and found."""
    world = simulated.world
    needed = min(2, len(world.rig))
    return sum(
        int(((nan_mean(error, 1) < FOUND_M) & (in_sight(world, stamp_ns)[list(people)] >= needed)).sum())
        for stamp_ns, error in errors(simulated, people).items()
    )


def oracle_ratio(simulated: SimulatedRun, run_oracle: Callable[[int], SimulatedRun]) -> float:
    """Return the mean joint error over the oracle's, of joints and instants that both have.

    The oracle is the same pipeline with one person at a time, whose keypoints come without gross errors, exchanged
    sides and other people's joints. Of crowds the first ORACLE_PEOPLE are compared.
    """
    people = range(min(simulated.world.scenario.people, ORACLE_PEOPLE))
    ours = errors(simulated, range(simulated.world.scenario.people))
    total = np.zeros(2)
    for person in people:
        theirs = errors(run_oracle(person), [person])
        for stamp_ns in ours.keys() & theirs.keys():
            pair = np.stack([ours[stamp_ns][person], theirs[stamp_ns][0]])
            total += pair[:, np.isfinite(pair).all(0)].sum(1)
    return _ratio(float(total[0]), float(total[1]))


METRICS = tuple(f.name for f in fields(Metrics))
