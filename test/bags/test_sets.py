# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Recorded frames become sets as in the node; none is lost uncounted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo_pose_ros.bags.sets import Stamped, synchronised
from geo_pose_ros.errors import ConfigError
from geo_pose_ros.scene.settings import SyncConfig
from geo_pose_ros.scene.sync import FrameSynchronizer

MS = 1_000_000


def recorded(frames):
    """Frames of (camera, stamp ms) that arrive at once, or (camera, stamp ms, arrival ms)."""
    return [Stamped(c, round(t * MS), round((rest[0] if rest else t) * MS), (c, t)) for c, t, *rest in frames]


def sets(frames, cameras='abc', **config):
    synchronizer = FrameSynchronizer(list(cameras), SyncConfig(**config), newest_wins=False)
    found = [(s.stamp_ns / MS, sorted(s.payloads)) for s in synchronised(recorded(frames), synchronizer, cameras)]
    assert synchronizer.pending == 0
    return found, {name: causes for name, causes in synchronizer.counts.drops.items() if causes}


def test_a_lost_frame_costs_itself():
    frames = [(camera, ms) for ms in range(0, 200, 20) for camera in 'abc' if (camera, ms) != ('b', 100)]
    found, drops = sets(frames)
    assert found == [(ms, ['a', 'c'] if ms == 100 else ['a', 'b', 'c']) for ms in range(0, 200, 20)] and not drops


def test_sets_on_both_sides_of_a_gap_are_all_taken():
    """Many sets that are overdue when the next frame comes: a recording's reader is not too slow for them."""
    frames = [('a', ms, 0) for ms in range(0, 200, 20)] + [('b', ms, 5000) for ms in range(5000, 5200, 20)]
    found, drops = sets(frames, 'ab')
    assert [ms for ms, _ in found] == [ms for _, ms, _ in frames] and not drops


def test_nothing_and_an_unknown_camera():
    assert sets([]) == ([], {})
    with pytest.raises(ConfigError, match="unknown camera 'd'"):
        sets([('d', 0)])


@given(st.lists(st.tuples(st.sampled_from('abcd'), st.integers(0, 300)), max_size=40, unique=True))
def test_every_frame_is_in_one_set_or_counted(frames):
    frames = sorted(frames, key=lambda frame: frame[1])
    synchronizer = FrameSynchronizer(list('abcd'), SyncConfig(), newest_wins=False)
    found = list(synchronised(recorded(frames), synchronizer, sorted({camera for camera, _ in frames})))
    used = [item for s in found for item in s.payloads.values()]
    assert len(set(used)) == len(used) and set(used) <= set(frames)
    assert len(used) + sum(sum(causes.values()) for causes in synchronizer.counts.drops.values()) == len(frames)
    assert [s.stamp_ns for s in found] == sorted(s.stamp_ns for s in found)
