# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Clock offsets from motion: exact where the motion is, nothing without it."""

from dataclasses import replace

import numpy as np
import pytest

from geo_pose_ros.scene.cameras.clocks import ClockOffsets

from ...fusion.people import crowd, ring
from ..reference import views_of

DT_S = 0.1


def moving(time_s: float, body: np.ndarray) -> np.ndarray:
    """A body that sways and turns, its joints each at their own pace."""
    pace = np.linspace(1.0, 4.0, len(body))[:, None] * (1.0, 1.3, 0.7)
    return body + 0.25 * np.sin(pace * time_s + np.arange(3.0))


def speed(time_s: float, body: np.ndarray) -> np.ndarray:
    step = 1e-5
    return (moving(time_s + step, body) - moving(time_s - step, body)) / (2.0 * step)


def learned(offset_s, seconds=10.0, moves=1.0, noise_px=0.0, calibration_px=0.0) -> ClockOffsets:
    """What is learned of cameras whose stamps are ahead by ``offset_s``, of one body."""
    offset_s = np.asarray(offset_s)
    rng, body = np.random.default_rng(0), crowd(1)[0]
    cameras, clocks = ring(len(offset_s)), ClockOffsets(len(offset_s))
    bias = rng.normal(0.0, calibration_px / 1000.0, (len(offset_s), 1, 1, 2))
    for k in range(round(seconds / DT_S)):
        now = k * DT_S * moves
        exposed = np.stack([moving(now - moves * o, body)[None] for o in offset_s])
        local = np.stack([cameras.see(x)[c] for c, x in enumerate(exposed)])
        xn = local[..., :2] / local[..., 2:] + bias + rng.normal(0.0, noise_px / 1000.0, (*local.shape[:-1], 2))
        given = replace(cameras, dt_s=-clocks.offset_s)
        clocks.learn(views_of(given, xn, moving(now, body)[None], moves * speed(now, body)[None]), DT_S)
    return clocks


@pytest.mark.parametrize(
    'offsets_ms', [(50.0, -50.0), (-50.0, 10.0, 10.0, 30.0, 40.0, -40.0), (0.0, 0.0, 0.0, 0.0), (30.0, 10.0, 20.0)]
)
def test_offsets_are_found_but_for_what_all_cameras_share(offsets_ms):
    offset_s = np.array(offsets_ms) / 1e3
    clocks = learned(offset_s, noise_px=4.0, calibration_px=6.0)
    np.testing.assert_allclose(clocks.offset_s, offset_s - offset_s.mean(), atol=0.003)
    assert clocks.offset_s.sum() == pytest.approx(0.0, abs=1e-12)
    assert clocks.sigma_s.max() < 0.05 / np.sqrt(len(offset_s)) + 0.002


START_NS = 1_700_000_000_000_000_000


def one_way(late_s, known_s=(0.0, 0.0, 0.0, 0.0), seconds=10.0) -> ClockOffsets:
    """Somebody goes one way before cameras that agree, one of which is turned a little along that way."""
    body, velocity = crowd(1)[0], np.array([1.2, 0.0, 0.0])
    cameras, clocks = ring(4), ClockOffsets(4)
    for k in range(round(seconds / DT_S)):
        xyz = (body + velocity * (k * DT_S - 0.5 * seconds) / seconds)[None]
        local = cameras.see(xyz)
        xn = local[..., :2] / local[..., 2:]
        # What a clock that is late by 20 ms does.
        late = cameras.see(xyz - 0.02 * velocity)[2]
        xn[2] += np.median(late[..., :2] / late[..., 2:] - xn[2], (0, 1))
        late_ns = np.round((k * DT_S + 0.0001 * (k % 3) + np.asarray(late_s)) * 1e9).astype(np.int64)
        clocks.note_stamps(START_NS + late_ns, np.asarray(known_s), np.ones(4, bool))
        given = replace(cameras, dt_s=-clocks.offset_s)
        clocks.learn(views_of(given, xn, xyz, velocity + 0.0 * xyz), DT_S)
    return clocks


def test_stamps_that_are_always_the_same_are_of_one_clock():
    apart = one_way((0.0, 0.005, 0.013, 0.021))
    assert np.ptp(apart.offset_s) > 0.003
    same = one_way((0.0, 0.0, 0.0, 0.0))
    assert np.ptp(same.offset_s) < 0.001
    # One that has a clock of its own may be wrong.
    other = one_way((0.0, 0.0, 0.013, 0.0))
    assert np.ptp(other.offset_s) > 0.003
    assert np.ptp(other.offset_s[[0, 1, 3]]) < 0.001
    # Offsets of a rig are taken off, or are delays behind one trigger, even where they put other frames into a set.
    assert np.ptp(one_way((0.0, 0.0, 0.25, 0.25), (0.0, 0.0, 0.25, 0.25)).offset_s) < 0.001
    assert np.ptp(one_way((0.0, 0.0, 0.0, 0.0), (0.0, -0.003, 0.012, 0.0)).offset_s) < 0.001
    assert np.ptp(one_way((0.0, 0.0, DT_S, 0.0), (0.0, -0.004, 0.06, 0.0)).offset_s) < 0.001
    assert np.ptp(one_way((0.0, 0.013, DT_S, 0.021), (0.0, 0.0, 0.06, 0.0)).offset_s) > 0.003
    # Two of four that agree may be a period apart.
    assert np.ptp(one_way((0.005, 0.0, 0.0, -0.005)).offset_s) > 0.003


def test_the_stamp_of_a_camera_that_did_not_deliver_does_not_count():
    clocks = ClockOffsets(3)
    clocks.note_stamps(np.full(3, START_NS), np.zeros(3), np.array([True, True, False]))
    clocks.note_stamps(np.full(3, START_NS + 10**8), np.zeros(3), np.array([True, False, False]))
    np.testing.assert_array_equal(clocks._stamps.triggered, [1.0, 1.0, np.nan])


def test_nothing_is_learned_without_motion():
    clocks = learned(np.array([0.05, -0.05]), moves=0.0, calibration_px=6.0)
    np.testing.assert_array_equal(clocks.offset_s, 0.0)
    np.testing.assert_allclose(clocks.sigma_s, 0.05 * np.sqrt(0.5))
