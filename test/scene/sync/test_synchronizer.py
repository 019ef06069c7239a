# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""FrameSynchronizer: sets, deadlines, clocks, and that every frame is accounted for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geo_pose_ros.errors import ConfigError
from geo_pose_ros.scene.settings import SyncConfig
from geo_pose_ros.scene.sync import DROP_CAUSES, DropCause, FrameSynchronizer, StampedSet
from geo_pose_ros.types import ClockModel

MS = 1_000_000
PERIOD_MS = 20
CAMERAS = ('a', 'b', 'c', 'd')
EPOCH_MS = 1_700_000_000_000


@dataclass
class Feed:
    """Cameras that send every PERIOD_MS; frames arrive 5 ms after their stamp."""

    sync: FrameSynchronizer[str]
    before: Mapping[str, Mapping[DropCause, int]] = field(default_factory=dict)

    def tick(self, k: int, cameras: str = 'abcd', shift_ms: dict[str, float] | None = None) -> list[StampedSet[str]]:
        """Send frame ``k`` of ``cameras``, their clocks shifted; take after each frame."""
        taken = []
        for i, camera in enumerate(cameras):
            stamp_ms = EPOCH_MS + k * PERIOD_MS
            now_ns = (k * PERIOD_MS + 5) * MS + i
            shifted = stamp_ms * MS + round((shift_ms or {}).get(camera, 0.0) * MS)
            self.sync.add(camera, shifted, f'{camera}{k}', now_ns)
            while (found := self.sync.take(now_ns)) is not None:
                taken.append(found)
        return taken

    def run(self, first: int, last: int, cameras: str = 'abcd', **kw: dict[str, float]) -> list[StampedSet[str]]:
        return [s for k in range(first, last) for s in self.tick(k, cameras, **kw)]


def feed(**config: float) -> Feed:
    return Feed(FrameSynchronizer(CAMERAS, SyncConfig(**config)))


def names(found: StampedSet[str]) -> str:
    return ''.join(sorted(found.payloads))


def drops(f: Feed, camera: str) -> dict[str, int]:
    """Frames of ``camera`` dropped since the feed was settled."""
    before = f.before.get(camera, {})
    since = {cause.value: n - before.get(cause, 0) for cause, n in f.sync.counts.drops[camera].items()}
    return {cause: n for cause, n in since.items() if n}


def settled(f: Feed) -> Feed:
    """The cameras have been seen; what they did at first is not the test's subject."""
    f.run(0, 10)
    f.before = f.sync.counts.drops
    return f


def test_a_set_is_closed_with_the_last_camera() -> None:
    f = settled(feed())
    sets = f.run(10, 13)
    assert [names(s) for s in sets] == ['abcd'] * 3
    assert [s.stamp_ns for s in sets] == [(EPOCH_MS + k * PERIOD_MS) * MS for k in (10, 11, 12)]
    assert dict(sets[0].payloads) == {'a': 'a10', 'b': 'b10', 'c': 'c10', 'd': 'd10'}
    assert sets[0].span_ns == 0
    assert sets[0].opened_ns == 205 * MS


def test_stamp_and_span_are_of_the_members() -> None:
    f = settled(feed())
    (found,) = f.run(10, 11, shift_ms={'a': 1.0, 'b': 4.0, 'c': -2.0, 'd': 3.0})
    assert found.span_ns == 6 * MS
    assert found.stamp_ns == (EPOCH_MS + 10 * PERIOD_MS + 1) * MS


def test_frames_farther_apart_than_the_tolerance_are_not_joined() -> None:
    f = settled(feed(tolerance_ms=5.0))
    sets = f.run(10, 40, shift_ms={'d': 6.0})
    assert {names(s) for s in sets} == {'abc', 'd'}
    assert abs(sum(names(s) == 'abc' for s in sets) - sum(names(s) == 'd' for s in sets)) <= 1
    assert drops(f, 'd') == {}


def test_a_missing_frame_is_waited_for_until_the_deadline() -> None:
    f = settled(feed(deadline_ms=40.0))
    assert f.tick(10, 'abc') == []
    opened_ns = 205 * MS
    assert f.sync.next_deadline_ns() == opened_ns + 40 * MS
    assert f.sync.take(opened_ns + 40 * MS - 1) is None
    found = f.sync.take(opened_ns + 40 * MS)
    assert found is not None and names(found) == 'abc'
    assert f.sync.next_deadline_ns() is None
    # What comes now is late, and said to be so.
    f.sync.add('d', found.stamp_ns, 'd10', opened_ns + 41 * MS)
    assert drops(f, 'd') == {'late': 1}
    assert f.sync.take(opened_ns + 100 * MS) is None


def test_a_camera_that_is_expected_is_waited_for_before_its_first_frame() -> None:
    for expected, first in ((False, ['a']), (True, ['a', 'b'])):
        synchronizer: FrameSynchronizer[str] = FrameSynchronizer(['a', 'b', 'c'], SyncConfig())
        if expected:
            synchronizer.wait_for('b', 0)
        synchronizer.add('a', 0, 'a', 0)
        found = synchronizer.take(0)
        assert (found is None) is expected
        synchronizer.add('b', 0, 'b', 1)
        found = found or synchronizer.take(1)
        assert found is not None and sorted(found.payloads) == first
    with pytest.raises(ConfigError, match="unknown camera 'd'"):
        synchronizer.wait_for('d', 0)


def test_a_dead_camera_is_not_waited_for() -> None:
    f = settled(feed())
    f.run(10, 20, 'abc')
    for k in range(20, 40):
        # Complete with the third camera: no deadline is spent.
        assert [names(s) for s in f.tick(k, 'abc')] == ['abc'], k


def test_the_newest_set_wins_and_the_others_are_counted() -> None:
    f = settled(feed())
    for k in range(10, 15):
        for i, camera in enumerate(CAMERAS):
            f.sync.add(camera, (EPOCH_MS + k * PERIOD_MS) * MS, f'{camera}{k}', (k * PERIOD_MS + 5) * MS + i)
    assert f.sync.pending == 16
    found = f.sync.take(15 * PERIOD_MS * MS)
    assert found is not None and found.payloads['a'] == 'a14'
    assert [drops(f, name) for name in CAMERAS] == [{'superseded': 4}] * 4
    assert f.sync.counts.sets == {'taken': 11, 'superseded': 4}
    assert f.sync.pending == 0


def test_sets_are_handed_out_in_order_while_the_consumer_keeps_up() -> None:
    f = settled(feed())
    f.tick(10, 'abc')
    # Set 11 tells that d's frame 10 is lost: both are closed with its last camera.
    assert [(names(s), s.payloads['a']) for s in f.tick(11)] == [('abc', 'a10'), ('abcd', 'a11')]
    assert [drops(f, name) for name in CAMERAS] == [{}] * 4


def test_memory_is_bounded_while_nobody_takes() -> None:
    f = settled(feed())
    most = 0
    for k in range(10, 500):
        for i, camera in enumerate('abc'):
            f.sync.add(camera, (EPOCH_MS + k * PERIOD_MS) * MS, '', (k * PERIOD_MS + 5) * MS + i)
        most = max(most, f.sync.pending)
    assert most <= 5 * 4


def test_too_few_cameras_are_incomplete() -> None:
    f = feed(min_cameras=3)
    assert f.run(0, 20, 'ab') == []
    f.sync.take(10_000 * MS)
    assert drops(f, 'a') == {'incomplete': 20}
    assert f.sync.counts.sets == {'incomplete': 20}


def test_old_and_repeated_stamps_cost_their_frames_only() -> None:
    f = settled(feed())
    now_ns = 205 * MS
    f.sync.add('a', (EPOCH_MS + 9 * PERIOD_MS) * MS, 'again', now_ns)
    f.sync.add('a', (EPOCH_MS + 8 * PERIOD_MS) * MS, 'old', now_ns)
    assert drops(f, 'a') == {'duplicate': 1, 'old': 1}
    assert [names(s) for s in f.run(10, 15)] == ['abcd'] * 5


@pytest.mark.parametrize('shift_ms', [3_600_000.0, 400.0, -3_600_000.0, -EPOCH_MS])
def test_a_camera_whose_clock_jumped_costs_only_itself(shift_ms: float) -> None:
    f = settled(feed())
    sets = f.run(10, 60, shift_ms={'b': shift_ms})
    assert [names(s) for s in sets] == ['acd'] * 50
    error_ns = f.sync.clock_error_ns('b')
    assert error_ns is not None and error_ns == pytest.approx(shift_ms * MS, abs=25 * MS)
    assert drops(f, 'b') == {'clock': 50}
    # Its clock is put right: it is back within the clock window.
    assert [names(s) for s in f.run(60, 100)[-20:]] == ['abcd'] * 20


@pytest.mark.parametrize('shift_ms', [-5_000.0, -400.0, 5_000.0])
def test_when_all_clocks_jump_it_starts_anew(shift_ms: float) -> None:
    """A bag that loops: the stamps go back while the arrival clock goes on."""
    f = settled(feed())
    sets = f.run(10, 40, shift_ms=dict.fromkeys(CAMERAS, shift_ms))
    assert [names(s) for s in sets[-25:]] == ['abcd'] * 25
    assert sum(n for name in CAMERAS for n in drops(f, name).values()) <= 8


def test_a_bag_played_slowly_or_fast_is_no_clock_error() -> None:
    for rate in (0.1, 4.0):
        sync: FrameSynchronizer[str] = FrameSynchronizer(CAMERAS)
        for k in range(200):
            for i, camera in enumerate(CAMERAS):
                sync.add(camera, (EPOCH_MS + k * PERIOD_MS) * MS, '', round(k * PERIOD_MS * MS / rate) + i)
            sync.take(round(k * PERIOD_MS * MS / rate) + 9)
        assert not any(DropCause.CLOCK in d for d in sync.counts.drops.values())
        assert sync.counts.sets['taken'] >= 195


@pytest.mark.parametrize(('late', 'lag'), [
    pytest.param('bcd', False, id='three of four'), pytest.param('abcd', False, id='all'),
    pytest.param('b', False, id='one'), pytest.param('bcd', True, id='three that this process reads late'),
])
def test_frames_that_are_late_for_long_are_no_clock_error(late: str, lag: bool) -> None:
    """A busy machine: for 10 s frames of some cameras come 500 ms after their stamps, in order; then all is well."""
    f = feed()

    def delay_ms(k: int, camera: str) -> int:
        return min(500, (600 - k) * PERIOD_MS) if camera in late and 100 <= k < 600 else 0

    arrivals = sorted(
        ((k * PERIOD_MS + 5 + delay_ms(k, camera)) * MS + i, k, camera)
        for k in range(900) for i, camera in enumerate('abcd')
    )
    worst_ns = 0
    for now_ns, k, camera in arrivals:
        known_ns = delay_ms(k, camera) * MS if lag else 0
        f.sync.add(camera, (EPOCH_MS + k * PERIOD_MS) * MS, '', now_ns, known_ns)
        f.sync.take(now_ns)
        if k > 20:
            worst_ns = max(worst_ns, *(abs(f.sync.clock_error_ns(name) or 0) for name in CAMERAS))
    assert [f.sync.counts.drops[name][DropCause.CLOCK] for name in CAMERAS] == [0, 0, 0, 0]
    assert worst_ns < (0.1 if lag else 50) * MS
    f.before = f.sync.counts.drops
    assert [names(s) for s in f.run(900, 930)] == ['abcd'] * 30 and drops(f, 'b') == {}


def test_a_clock_that_is_set_while_the_machine_is_busy_is_named() -> None:
    f = feed()
    f.run(0, 100)
    for k in range(100, 200):
        for i, camera in enumerate('abcd'):
            stamp_ns = (EPOCH_MS + k * PERIOD_MS + (500 if camera == 'b' else 0)) * MS
            f.sync.add(camera, stamp_ns, '', (k * PERIOD_MS + (305 if k < 180 else 5)) * MS + i)
    assert abs((f.sync.clock_error_ns('b') or 0) - 500 * MS) < 10 * MS
    assert [f.sync.counts.drops[name][DropCause.CLOCK] > 10 for name in CAMERAS] == [False, True, False, False]


def test_clear_counts_what_was_pending() -> None:
    f = settled(feed())
    f.tick(10, 'ab')
    f.sync.clear()
    assert f.sync.pending == 0
    assert [drops(f, name) for name in CAMERAS] == [{'shutdown': 1}, {'shutdown': 1}, {}, {}]


def test_wrong_cameras_are_refused() -> None:
    for wrong in ([], ['a', 'a']):
        with pytest.raises(ConfigError, match='expected one or more unique ones'):
            FrameSynchronizer(wrong)
    with pytest.raises(ConfigError, match="unknown camera 'x'; known: a, b, c, d"):
        feed().sync.add('x', 0, '', 0)


def test_every_cause_is_explained() -> None:
    assert set(DROP_CAUSES) == set(DropCause)


frames = st.lists(
    st.tuples(
        st.sampled_from(CAMERAS), st.integers(-200, 200), st.integers(0, 60),
        st.sampled_from(['add', 'add', 'add', 'take', 'jump', 'clear']),
    ),
    max_size=120,
)


@settings(max_examples=100, deadline=None)
@given(frames, st.integers(1, 4), st.sampled_from([1.0, 12.0, 60.0]))
def test_every_frame_is_in_a_set_or_counted(
    events: list[tuple[str, int, int, str]], min_cameras: int, tolerance_ms: float
) -> None:
    sync: FrameSynchronizer[int] = FrameSynchronizer(
        CAMERAS, SyncConfig(min_cameras=min_cameras, tolerance_ms=tolerance_ms)
    )
    now_ms, jump_ms, sent = 0, 0, 0
    got: list[int] = []
    for camera, wobble_ms, step_ms, kind in events:
        now_ms += step_ms
        jump_ms += 10 * wobble_ms if kind == 'jump' else 0
        if kind == 'clear':
            sync.clear()
        elif kind == 'take':
            while (found := sync.take(now_ms * MS)) is not None:
                got += found.payloads.values()
                assert len(found.payloads) >= min_cameras
                assert found.span_ns <= tolerance_ms * MS
        else:
            sync.add(camera, (EPOCH_MS + now_ms + wobble_ms + jump_ms) * MS, sent, now_ms * MS)
            sent += 1
        dropped = sum(n for causes in sync.counts.drops.values() for n in causes.values())
        assert sum(sync.counts.received.values()) == sent == sum(sync.counts.used.values()) + dropped + sync.pending
    assert len(got) == len(set(got)) == sum(sync.counts.used.values())
    sync.clear()
    assert sync.pending == 0


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 40), st.integers(1, 30), st.randoms(use_true_random=False))
def test_healthy_cameras_never_lose_a_set_to_one_that_comes_and_goes(dead: int, for_sets: int, order: Random) -> None:
    """Whenever a camera stops and restarts, each instant of the other three still gives a set of at least them."""
    f = feed()
    f.run(0, 5)
    sets = []
    for k in range(5, 80):
        there = 'abc' if dead <= k - 5 < dead + for_sets else 'abcd'
        shuffled = list(there)
        order.shuffle(shuffled)
        # Nobody takes in between: every instant must be closed in time, none lost.
        sets += f.tick(k, ''.join(shuffled))
    stamps = {s.stamp_ns for s in sets}
    wanted = {(EPOCH_MS + k * PERIOD_MS) * MS for k in range(5, 76)}
    # When patience ends two instants are closed at once, and the newer wins.
    assert len(wanted - stamps) <= 3


def test_other_cameras_while_those_that_stay_go_on() -> None:
    feed = Feed(FrameSynchronizer('abc'))
    for k in range(10):
        feed.tick(k, 'abc')
    # A set that waits for c.
    feed.tick(10, 'ab')
    feed.sync.use_clocks({'a': ClockModel(), 'b': ClockModel(0.002), 'c': ClockModel()})
    feed.sync.use_cameras('abd')
    assert feed.sync.pending == 0
    assert feed.sync.counts.received == {'a': 11, 'b': 11}
    assert feed.sync.counts.drops['a'] == {DropCause.SHUTDOWN: 1} and feed.sync.counts.drops['d'] == {}
    with pytest.raises(ConfigError, match="unknown camera 'c'; known: a, b, d"):
        feed.tick(11, 'c')
    # Nobody waits for a camera of which nothing has come yet.
    feed.tick(11, 'abd', {'b': 2.0})
    (found,) = feed.tick(12, 'abd', {'b': 2.0})
    assert set(found.payloads) == set('abd') and found.span_ns == 0
    assert abs(feed.sync.clock_error_ns('b') or 0) < 10
    for wrong in ('', 'aa'):
        with pytest.raises(ConfigError, match='expected one or more unique ones'):
            feed.sync.use_cameras(wrong)


def test_as_many_cameras_as_a_set_needs_are_as_many_as_there_are() -> None:
    feed = Feed(FrameSynchronizer('abc', SyncConfig(min_cameras=3)))
    feed.sync.use_cameras('ab')
    assert [set(found.payloads) for found in feed.tick(0, 'ab')] == [{'a', 'b'}]
    feed.sync.use_cameras('abcd')
    feed.tick(1, 'ab')
    assert feed.sync.take(10**12) is None
    feed.tick(2, 'abcd')
    assert [set(found.payloads) for found in feed.tick(3, 'abcd')] == [set('abcd')]
