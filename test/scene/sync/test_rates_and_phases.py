# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Default settings over rates, phases, losses and numbers of cameras: what was delivered is in a set."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from random import Random

import pytest

from geo_pose_ros.scene.sync import FrameSynchronizer, StampedSet
from geo_pose_ros.types import ClockModel

MS = 1_000_000
SECONDS = 6


@dataclass
class Outcome:
    sets: list[StampedSet[int]]
    sent: list[tuple[int, str]]
    sync: FrameSynchronizer[int]


def phases_of(kind: str, cameras: int, rng: Random) -> list[float]:
    """Phase of each camera, in periods."""
    return {
        'trigger': [0.0] * cameras,
        'half': [0.5 * (i % 2) for i in range(cameras)],
        'random': [rng.random() for _ in range(cameras)],
    }[kind]


def run(
    cameras: int, rates_hz: list[float], phase: str, loss: float, seed: int = 0, busy_ms: float = 0.0,
    seconds: float = SECONDS,
) -> Outcome:
    """Play cameras of ``rates_hz`` by turns; frames arrive 20 to 26 ms after their exposure."""
    rng = Random(seed)
    names = [f'c{i}' for i in range(cameras)]
    phases = phases_of(phase, cameras, rng)
    frames = []
    for i, name in enumerate(names):
        period_ms = 1000.0 / rates_hz[i % len(rates_hz)]
        for k in range(int(seconds * 1000.0 / period_ms)):
            stamp_ns = round((k + phases[i]) * period_ms * MS + rng.uniform(-0.2, 0.2) * MS)
            if rng.random() >= loss:
                frames.append((stamp_ns + round(rng.uniform(20.0, 26.0) * MS), stamp_ns, name))
    frames.sort()
    sync: FrameSynchronizer[int] = FrameSynchronizer(names)
    sets = []
    free_ns = 0

    def drain(until_ns: int) -> None:
        """Let deadlines fire and the consumer work up to ``until_ns``."""
        nonlocal free_ns
        while True:
            deadline_ns = sync.next_deadline_ns()
            now_ns = max(free_ns, deadline_ns) if deadline_ns is not None and not sync.is_ready else free_ns
            if now_ns > until_ns or (deadline_ns is None and not sync.is_ready):
                return
            found = sync.take(now_ns)
            if found is None:
                if deadline_ns is None or deadline_ns > now_ns:
                    return
                continue
            sets.append(found)
            free_ns = now_ns + round(busy_ms * MS)

    for arrival_ns, stamp_ns, name in frames:
        drain(arrival_ns)
        free_ns = max(free_ns, arrival_ns)
        sync.add(name, stamp_ns, stamp_ns, arrival_ns)
        drain(arrival_ns)
    sync.flush(frames[-1][0])
    while (found := sync.take(frames[-1][0])) is not None:
        sets.append(found)
    return Outcome(sets, [(stamp, name) for _, stamp, name in frames], sync)


def used_share(outcome: Outcome, skip_s: float = 1.0) -> float:
    """Share of the frames sent after ``skip_s`` that are in a set."""
    used = {(stamp, name) for s in outcome.sets for name, stamp in s.stamps_ns.items()}
    sent = [frame for frame in outcome.sent if frame[0] > skip_s * 1e9]
    return sum(frame in used for frame in sent) / len(sent)


RATES = pytest.mark.parametrize(
    'rates_hz', [[15.0], [30.0], [60.0], [60.0, 30.0, 15.0]], ids=['15', '30', '60', 'mixed']
)
PHASES = pytest.mark.parametrize('phase', ['trigger', 'half', 'random'])


@pytest.mark.parametrize('loss', [0.0, 0.1])
@PHASES
@RATES
@pytest.mark.parametrize('cameras', [1, 3, 6])
def test_no_delivered_frame_is_thrown_away(cameras, rates_hz, phase, loss, seconds=SECONDS):
    outcome = run(cameras, rates_hz, phase, loss, seed=cameras, seconds=seconds)
    assert used_share(outcome) >= 0.995, outcome.sync.counts.drops
    stamps = [s.stamp_ns for s in outcome.sets]
    assert all(a < b for a, b in pairwise(stamps))


@pytest.mark.slow
@pytest.mark.parametrize('loss', [0.0, 0.03, 0.1])
@PHASES
@RATES
def test_no_frame_of_twelve_cameras_is_thrown_away_in_twenty_seconds(rates_hz, phase, loss):
    test_no_delivered_frame_is_thrown_away(12, rates_hz, phase, loss, seconds=20.0)


@PHASES
@pytest.mark.parametrize('cameras', [2, 6])
def test_cameras_of_one_rate_are_in_one_set(cameras, phase):
    outcome = run(cameras, [30.0], phase, 0.0, seed=3)
    late = outcome.sets[30:]
    assert sum(len(s.payloads) for s in late) / len(late) >= 0.97 * cameras
    assert len(outcome.sets) <= 1.03 * 30.0 * SECONDS


def test_sets_lie_around_the_largest_gap_of_the_phases():
    rng = Random(1)
    names = ['a', 'b', 'c']
    sync: FrameSynchronizer[None] = FrameSynchronizer(names)
    spans = []
    # b is first heard of, so that sets begin with it: b 0.6, c 0.7, a 1.5 of a period; best is a, b, c.
    for arrival_ms, stamp_ms, name in sorted(
        (k * 33.0 + phase * 33.0 + 20.0 + rng.random(), k * 33.0 + phase * 33.0, name)
        for k in range(60)
        for name, phase in (('a', 0.5), ('b', 0.6), ('c', 0.7))
        if not (k == 0 and name == 'a')
    ):
        sync.add(name, round(stamp_ms * MS), None, round(arrival_ms * MS))
        while (found := sync.take(round(arrival_ms * MS))) is not None:
            spans.append((found.span_ns, len(found.payloads)))
    assert spans[-5:] == [(pytest.approx(0.2 * 33 * MS, abs=2), 3)] * 5


def test_a_slow_consumer_gets_the_newest_sets():
    outcome = run(4, [30.0], 'trigger', 0.0, busy_ms=100.0)
    taken = outcome.sync.counts.sets['taken']
    assert taken == pytest.approx(10 * SECONDS, rel=0.05)
    assert outcome.sync.counts.sets['superseded'] == pytest.approx(20 * SECONDS, rel=0.05)


def test_a_consumer_that_just_keeps_up_loses_nothing():
    outcome = run(4, [30.0], 'trigger', 0.1, busy_ms=20.0)
    assert used_share(outcome) >= 0.995


@pytest.mark.parametrize('error_ms', [-100.0, -50.0, 50.0, 100.0])
def test_a_camera_whose_clock_is_off_stays_in_the_sets(error_ms):
    sync: FrameSynchronizer[int] = FrameSynchronizer(['a', 'b', 'c'])
    sets = []
    for k in range(120):
        for name in 'abc':
            stamp_ns = round(k * 33.3 * MS + 1e12) + (round(error_ms * MS) if name == 'b' else 0)
            sync.add(name, stamp_ns, k, round((k * 33.3 + 20.0) * MS))
            while (found := sync.take(round((k * 33.3 + 20.0) * MS))) is not None:
                sets.append(found)
    assert [sorted(s.payloads) for s in sets[-60:]] == [['a', 'b', 'c']] * 60
    # They are of one exposure, though their stamps are not.
    assert all(len(set(s.payloads.values())) == 1 for s in sets[-60:])
    assert sets[-1].stamps_ns['b'] - sets[-1].stamps_ns['a'] == round(error_ms * MS)
    sync.use_clocks({'b': ClockModel(error_ms / 1e3)})
    assert sync.clock_error_ns('b') == pytest.approx(0, abs=MS)
    # Told the same with every set, but for noise, nothing changes; news that one clock has moved are for all.
    told = sync.clock_error_ns('b')
    sync.use_clocks({'b': ClockModel((error_ms + 0.15) / 1e3), 'c': ClockModel(-0.00015)})
    assert sync.clock_error_ns('b') == told and sync.clock_error_ns('c') == sync.clock_error_ns('a')
    sync.use_clocks({'b': ClockModel((error_ms + 0.15) / 1e3), 'c': ClockModel(-0.00025)})
    assert told - sync.clock_error_ns('b') == pytest.approx(0.15 * MS, abs=1)
    assert sync.clock_error_ns('c') - sync.clock_error_ns('a') == pytest.approx(0.25 * MS, abs=1)
