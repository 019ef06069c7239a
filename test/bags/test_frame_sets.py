"""Recorded frames become sets by their stamps; none is lost."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo_pose_ros.bags.frame_sets import Stamped, group_by_stamp, median_ns
from geo_pose_ros.types import Frame, FrameSet

MS = 1_000_000


def sets(frames, tolerance_ms=12.0, late=None):
    stream = [Stamped(round(ms * MS), camera, (camera, ms)) for camera, ms in frames]
    grouped = group_by_stamp(stream, round(tolerance_ms * MS), late=Counter() if late is None else late)
    return [(stamp / MS, sorted(items)) for stamp, items in grouped]


def test_synchronous_cameras():
    frames = [(camera, ms) for ms in (0, 20, 40) for camera in 'abc']
    assert sets(frames) == [(0, ['a', 'b', 'c']), (20, ['a', 'b', 'c']), (40, ['a', 'b', 'c'])]


def test_jitter_and_a_missing_frame():
    frames = [('a', 0), ('b', 3), ('c', 5), ('a', 20), ('c', 27), ('b', 41), ('a', 40), ('c', 38)]
    assert sets(frames) == [(3, ['a', 'b', 'c']), (20, ['a', 'c']), (40, ['a', 'b', 'c'])]


def test_free_running_cameras_settle():
    """60 Hz cameras of constant phase: after the first instant every set is complete."""
    period = 1000 / 60
    phases = {'a': 0, 'b': 4, 'c': 8, 'd': 15}
    frames = [(camera, i * period + phase) for i in range(10) for camera, phase in phases.items()]
    assert [len(cameras) for _, cameras in sets(frames)] == [3, *[4] * 9, 1]


def test_a_frame_too_far_from_the_first_starts_a_set():
    assert sets([('a', 0), ('b', 1), ('c', 2), ('d', 20)]) == [(1, ['a', 'b', 'c']), (20, ['d'])]


def test_arrival_order_does_not_matter():
    frames = [(camera, ms + shift) for ms in range(0, 400, 20) for camera, shift in zip('abc', (0, 2, 4), strict=True)]
    late = sorted(frames, key=lambda frame: frame[1] + (300 if frame[0] == 'b' else 0))
    assert sets(late) == sets(frames)


def test_a_clock_that_is_set_back_starts_anew():
    frames = [(camera, ms) for ms in (5000, 5020, 0, 20) for camera in 'ab']
    late = Counter()
    assert sets(frames, late=late) == [(5000, ['a', 'b']), (5020, ['a', 'b']), (0, ['a', 'b']), (20, ['a', 'b'])]
    assert not late


def test_a_camera_that_lags_costs_only_itself():
    frames = [(camera, ms - (3000 if camera == 'b' else 0)) for ms in range(4000, 4100, 20) for camera in 'abc']
    late = Counter()
    assert sets(frames, late=late) == [(ms, ['a', 'c']) for ms in range(4000, 4100, 20)]
    assert late == {'b': 5}


def test_nothing():
    assert sets([]) == []


@pytest.mark.parametrize('stamps', [[5], [5, 9], [9, 1, 5], [4, 3, 2, 1]])
def test_median_is_that_of_a_frame_set(stamps):
    image = np.zeros((1, 1, 3), np.uint8)
    frames = FrameSet({str(i): Frame(str(i), stamp, image) for i, stamp in enumerate(stamps)})
    assert median_ns(stamps) == frames.stamp_ns


@given(st.lists(st.tuples(st.sampled_from('abcd'), st.integers(0, 300)), max_size=40), st.integers(1, 50))
def test_every_frame_is_in_one_narrow_set(frames, tolerance):
    stream = [Stamped(ms, camera, (camera, ms)) for camera, ms in sorted(frames, key=lambda frame: frame[1])]
    late = Counter()
    grouped = list(group_by_stamp(stream, tolerance, late=late))
    assert not late
    assert sorted(item for _, items in grouped for item in items.values()) == sorted(frames)
    for stamp, items in grouped:
        times = [ms for _, ms in items.values()]
        assert min(times) <= stamp <= max(times) <= min(times) + tolerance
    assert [stamp for stamp, _ in grouped] == sorted(stamp for stamp, _ in grouped)
