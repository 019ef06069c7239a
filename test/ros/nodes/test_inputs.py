# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The worker and the polled inputs, without cameras."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
from rclpy.subscription import Subscription

from geo_pose_ros.ros.nodes import inputs
from geo_pose_ros.ros.nodes.worker import NewestFrames, NewestWorker
from geo_pose_ros.scene.settings import SyncConfig
from geo_pose_ros.scene.sync import FrameSynchronizer, StampedSet
from test.ros.harness import until

MS = 1_000_000


def test_the_executor_sees_events_seldom_and_subscriptions_never(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(inputs, 'time', SimpleNamespace(monotonic=lambda: now[0]))
    group = inputs._SeldomByExecutor()
    event, subscription = object(), Subscription.__new__(Subscription)
    seen = []
    for step in range(200):
        now[0] = 100.0 + step * 0.01
        seen.append(group.can_execute(event))
        assert not group.can_execute(subscription)
    # Two seconds, twice per second, 20 ms each.
    assert sum(seen) == 8
    assert seen[:3] == [True, True, False]


def test_polls_that_come_late_are_counted() -> None:
    polled, s = inputs.PolledInputs(Mock(), pytest.fail), 1000 * MS
    polled._last_ns = 10 * s
    polled._late.extend([(3 * s, s), (8 * s, s // 2), (10 * s, s // 2)])
    assert polled.late_share(10 * s) == pytest.approx(0.2)
    # Also one that has not come yet.
    assert polled.late_share(11 * s + 50 * MS) == pytest.approx(0.4)
    assert polled.late_share(30 * s) == 1.0


def test_what_rests_between_polls_is_due_by_time_however_slow_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    polled, now_ns, taken = inputs.PolledInputs(Mock(), pytest.fail), [0], []
    monkeypatch.setattr(inputs, 'time', SimpleNamespace(sleep=lambda s: None, monotonic_ns=lambda: now_ns[0]))
    monkeypatch.setattr(inputs, 'waiting_messages', lambda subscription, raw: [(subscription, 0)])

    def take(topic: bytes, lag_ns: int) -> None:
        taken.append((topic, now_ns[0] // MS))
        if topic == b'image':
            # 60 ms a poll.
            now_ns[0] += 60 * MS
            polled._stopped = now_ns[0] >= 300 * MS

    for topic, rests_ns in ((b'info', 100 * MS), (b'image', 0)):
        polled._polled[topic.decode()] = [inputs._Polled(topic, take, rests_ns)]
    polled._run()
    assert taken == [
        (b'info', 0), (b'image', 0), (b'image', 60), (b'info', 120), (b'image', 120), (b'image', 180), (b'info', 240),
        (b'image', 240),
    ]
    assert polled.looked_ns == 240 * MS


def worker(
    process: Callable[[StampedSet[str]], None], deadline_ms: float = 1000.0
) -> tuple[NewestWorker[StampedSet[str]], FrameSynchronizer[str]]:
    config = SyncConfig(min_cameras=1, deadline_ms=deadline_ms)
    synchronizer: FrameSynchronizer[str] = FrameSynchronizer(['a', 'b'], config)
    return NewestWorker(synchronizer, process, pytest.fail), synchronizer


def test_sets_that_get_ready_during_work_supersede_each_other() -> None:
    taken: list[str] = []
    go_on, busy = threading.Event(), threading.Event()

    def process(found: StampedSet[str]) -> None:
        taken.append(found.payloads['a'])
        busy.set()
        assert go_on.wait(10.0)

    w, synchronizer = worker(process)
    w.start()
    for k in range(12):
        for camera in 'ab':
            w.add(camera, k * 20 * MS, f'{camera}{k}')
        assert busy.wait(10.0)
    go_on.set()
    # Four wait for who does not keep up, the newest ones.
    until(lambda: taken == ['a0', 'a8', 'a9', 'a10', 'a11'], 'the newest sets')
    assert w.locked(lambda: synchronizer.counts.sets) == {'taken': 5, 'superseded': 7}
    w.add('a', 240 * MS, '')
    w.stop()
    assert synchronizer.pending == 0


def test_a_set_is_closed_at_its_deadline_without_further_frames() -> None:
    taken: list[list[str]] = []
    w, _ = worker(lambda found: taken.append(sorted(found.payloads)), deadline_ms=50.0)
    w.start()
    stamp_ns = time.time_ns()
    for k in range(3):
        for camera in 'ab':
            w.add(camera, stamp_ns + k * 20 * MS, '')
    until(lambda: taken, 'both are alive')
    w.add('a', stamp_ns + 100 * MS, '')
    until(lambda: taken[-1] == ['a'], 'the set of one')
    w.stop()


def test_the_newest_frame_of_each_camera_is_taken() -> None:
    dropped: list[str] = []
    queue = NewestFrames(dropped.append)
    assert queue.take(0) is None and not queue.is_ready and queue.next_deadline_ns() is None
    for camera, payload in (('a', b'1'), ('b', b'1'), ('a', b'2')):
        queue.add(camera, 0, payload, 0)
    assert queue.is_ready and dropped == ['a']
    assert queue.take(0) == {'a': b'2', 'b': b'1'} and not queue.is_ready
    queue.add('a', 0, b'3', 0)
    queue.clear()
    assert queue.take(0) is None and dropped == ['a']
