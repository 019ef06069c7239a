# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""What a node says of itself: statistics, parts of /diagnostics, and faults on the console."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from geo_pose_ros.findings import Finding, Severity
from geo_pose_ros.messages.diagnostics import Level
from geo_pose_ros.pipeline import PipelineResult
from geo_pose_ros.ros.health.diagnostics import (
    CountsHistory,
    blame_few,
    camera_part,
    pipeline_part,
    synchronised_part,
)
from geo_pose_ros.ros.health.faults import FaultLog, Part
from geo_pose_ros.ros.health.statistics import CameraHistory, NodeStatistics
from geo_pose_ros.scene.cameras.states import CameraState
from geo_pose_ros.scene.scene import SceneResult
from geo_pose_ros.scene.sync import DropCause, FrameCounts
from geo_pose_ros.skeleton import BODY17
from geo_pose_ros.types import Bodies3D

S = 1_000_000_000
STALE_S, CLOCK_LIMIT_MS = 2.0, 500.0


def result(
    residuals: dict[str, list[float]], cameras: dict[str, CameraState] | None = None, **stages: float
) -> PipelineResult:
    px = {name: np.array(values) for name, values in residuals.items()}
    nobody = Bodies3D.empty(0, 'world', BODY17)
    return PipelineResult(SceneResult(nobody, residuals_px=px, cameras=cameras or {}, stage_ms=stages))


def test_rates_count_the_silence_since() -> None:
    camera = CameraHistory()
    assert camera.rate_hz(0) == 0.0
    assert camera.age_s(0) is None
    camera.arrivals_ns.extend(k * S // 10 for k in range(11))
    assert camera.rate_hz(S) == pytest.approx(10.0)
    assert camera.rate_hz(11 * S) == pytest.approx(1.0)
    assert camera.age_s(4 * S) == 3.0


def test_latency_stages_and_reprojection() -> None:
    statistics = NodeStatistics(['a', 'b'])
    assert statistics.times_ms() == {}
    for k in range(5):
        statistics.processed(result({'a': [k, k, 100.0], 'b': []}, solve=2.0 * k), 3_000_000, k * 10_000_000, k * S)
    assert statistics.published == 5
    assert statistics.times_ms() == {
        'latency_ms p50': 20.0, 'latency_ms p95': pytest.approx(38.0), 'latency_ms max': 40.0, 'spread_ms p50': 3.0,
        'spread_ms p95': 3.0, 'spread_ms max': 3.0, 'stage_ms solve': 4.0,
    }
    assert statistics.rate_hz(4 * S) == pytest.approx(1.0)
    assert statistics.reprojection_px() == {'a': 2.0}


def test_what_people_showed_of_a_camera_is_told() -> None:
    statistics = NodeStatistics(['cam01', 'cam02'])
    state = CameraState(0.0123, 0.0004, 1.25, 0.6, (3.0, -4.0), 0.01, False)
    statistics.processed(result({}, {'cam02': state}), 0, 0, S)
    values = camera_part('cam02', '/cam02/image_raw', {}, statistics, STALE_S, S).values
    assert values.items() >= {
        'clock_offset_ms': '12.3', 'clock_sigma_ms': '0.4', 'noise_scale': '1.25', 'calibration_error_px': '3.0 -4.0',
        'calibration_error_deg': '0.57',
    }.items()
    # Nothing is invented of a camera that nothing is known of.
    assert 'clock_offset_ms' not in camera_part('cam01', '/t', {}, statistics, STALE_S, S).values


def counted(
    received: int = 0, used: int = 0, drops: dict[DropCause, int] | None = None, camera: str = 'left'
) -> FrameCounts:
    """Return the synchroniser's counters of one camera."""
    counts = FrameCounts([camera])
    counts.received[camera], counts.used[camera] = received, used
    counts.drops[camera].update(drops or {})
    return counts


def left(*arrivals_s: int) -> NodeStatistics:
    """Return the statistics of one camera whose frames arrived then."""
    statistics = NodeStatistics(['left'])
    for at_s in arrivals_s:
        statistics.arrived('left', at_s * S)
    return statistics


def camera_status(
    statistics: NodeStatistics, now_s: int = 10, *, counts: FrameCounts | None = None,
    before: FrameCounts | None = None, clock_ns: int | None = None, **notes: str,
) -> Any:
    part = camera_part('left', '/left/image_raw', notes, statistics, STALE_S, now_s * S)
    return synchronised_part(
        part, 'left', before or counted(), counts or counted(), clock_ns, CLOCK_LIMIT_MS
    ).status()


def test_a_healthy_camera_is_ok() -> None:
    status = camera_status(left(9, 10), counts=counted(7, 5, {DropCause.LATE: 2}), clock_ns=1_000_000)
    assert (status.name, status.level, status.message) == ('camera left', Level.OK, 'ok')
    assert status.values == {
        'topic': '/left/image_raw', 'rate_hz': '1.0', 'age_s': '0.000', 'clock_error_ms': '1.0', 'frames_received': '7',
        'frames_used': '5', 'frames_lost_by_middleware': '0', 'dropped: its set was already closed': '2',
    }


def test_the_worst_comes_first() -> None:
    statistics = left()
    statistics.problem('left', 'unreadable', 'truncated', 9 * S)
    status = camera_status(statistics, qos='QoS is wrong')
    assert status.level == Level.ERROR
    assert status.message == "no frame on '/left/image_raw' yet; QoS is wrong; truncated"
    assert status.values['unusable: unreadable'] == '1'
    statistics.arrived('left', 10 * S)
    assert camera_status(statistics).level == Level.WARN
    # An old problem is history.
    statistics.arrived('left', 14 * S)
    assert camera_status(statistics, now_s=14).level == Level.OK
    # Why it is not calibrated says more than that its frames cannot be used.
    statistics.problem('left', 'not calibrated', 'not calibrated yet', 14 * S)
    status = camera_status(statistics, now_s=14, **{'not calibrated': 'no camera_info came yet'})
    assert (status.level, status.message) == (Level.ERROR, 'no camera_info came yet')
    # What was noted of a camera goes with it.
    statistics.remove('left')
    statistics.add('left')
    assert statistics.recent('camera left', 10 * S) == [] and statistics.away(STALE_S, 14 * S) == {'left'}


def test_losses_of_the_middleware_count() -> None:
    statistics = left(10)
    statistics.lost('left', 23, 9 * S)
    status = camera_status(statistics)
    assert (status.level, status.values['frames_lost_by_middleware']) == (Level.WARN, '23')
    assert 'the middleware loses its frames, 23 so far. Give its driver the large-data profile' in status.message
    # The same total again is no new loss.
    statistics.lost('left', 23, 14 * S)
    statistics.arrived('left', 14 * S)
    assert camera_status(statistics, now_s=14).level == Level.OK


def test_clock_errors_in_words() -> None:
    for error_ns, words in ((3 * S, 'its clock is 3.000 s ahead of'), (-S, 'its clock is 1.000 s behind')):
        status = camera_status(left(10), clock_ns=error_ns)
        assert status.level == Level.ERROR
        assert words in status.message
    # Where frames of it are used, those of the others were late for a moment: the machine is busy.
    busy = camera_status(left(10), clock_ns=3 * S, before=counted(9, 5), counts=counted(12, 6))
    assert busy.message == 'ok'


@pytest.mark.parametrize(
    ('received', 'used', 'drops', 'words'),
    [
        (20, 0, {DropCause.DUPLICATE: 20}, 'none of its last 20 frames was used: its stamp is the last one of'),
        (20, 1, {DropCause.DUPLICATE: 19}, 'ok'),
        (4, 0, {DropCause.DUPLICATE: 4}, 'ok'),
        # A slow machine is nobody's fault.
        (20, 0, {DropCause.SUPERSEDED: 20}, 'ok'),
        (20, 0, {DropCause.SUPERSEDED: 1, DropCause.LATE: 19}, 'ok'),
    ],
    ids=['none', 'one', 'few', 'slow', 'slow and late'],
)
def test_frames_that_come_and_are_never_used(
    received: int, used: int, drops: dict[DropCause, int], words: str
) -> None:
    before = counted(100, 50, {DropCause.LATE: 50})
    now = counted(100 + received, 50 + used, {DropCause.LATE: 50, **drops})
    status = camera_status(left(10), counts=now, before=before)
    assert status.message.startswith(words) and status.level == (Level.OK if words == 'ok' else Level.ERROR)
    # Those of about two seconds ago, or the oldest there are.
    history = CountsHistory()
    assert [history.add(one, k * S) for k, one in enumerate((before, now, now, now))] == [before, before, before, now]
    # What is known to be wrong with it says more.
    assert 'none of its last' not in camera_status(left(10), counts=now, before=before, qos='wrong').message


@pytest.mark.parametrize(('unused', 'silent', 'late', 'blamed'), [
    ('a', 'd', 0.0, 'aD'), ('ab', '', 0.0, 'ab'), ('abc', 'abcd', 0.0, 'ABCD'), ('abcd', '', 0.0, ''),
    ('a', 'd', 0.5, 'D'), ('', 'abd', 0.5, ''),
], ids=['one', 'half', 'most', 'all', 'one of a busy node', 'most of a busy node'])
def test_cameras_are_not_blamed_for_the_machine(unused: str, silent: str, late: float, blamed: str) -> None:
    def faults(name: str) -> list[Finding]:
        kinds = {'unused': name in unused, 'silent': name in silent, 'lost': late > 0.0}
        return [Finding(Severity.ERROR, kind, '', f'camera {name}', kind) for kind, is_so in kinds.items() if is_so]

    cameras = [Part(f'camera {name}', faults(name), {}) for name in 'abcd']
    own, *parts = blame_few([Part('pipeline', (), {}), *cameras], late)
    found = [fault for part in parts for fault in part.faults]
    names = [fault.where[-1].upper() if fault.kind == 'silent' else fault.where[-1] for fault in found]
    assert ''.join(names) == blamed
    assert [fault.text[:36] for fault in own.faults] == ['this machine is busy: of the last se'] * (late > 0.0)


def test_the_pipeline_says_why_nothing_comes() -> None:
    statistics = NodeStatistics(['a'])

    def status(counts: FrameCounts, now_s: int) -> Any:
        return pipeline_part(statistics, counts, STALE_S, now_s * S).status()

    assert status(counted(), 0).message == 'no set published yet: no camera has sent a frame'
    statistics.arrived('a', S)
    some = counted(9, 9, camera='a')
    some.sets['taken'] = 2
    statistics.processed(result({}, triangulate=1.0), 0, 20_000_000, 0)
    statistics.processed(result({}, triangulate=3.0), 0, 20_000_000, S)
    found = status(some, 1)
    assert (found.level, found.message) == (Level.OK, '1.0 sets/s, latency 20 ms')
    assert found.values['stage_ms triangulate'] == '2.00'
    assert found.values['sets taken'] == '2'
    crowd = result({})
    statistics.processed(replace(crowd, scene=replace(crowd.scene, is_full=True)), 0, 20_000_000, S)
    assert 'more people are seen than tracking.max_bodies' in status(some, 1).message
    # What failed long ago is not blamed.
    statistics.set_failed('DetectorError', 'old', S)
    statistics.arrived('a', 100 * S)
    found = status(some, 100)
    assert (found.level, found.message) == (
        Level.ERROR, 'no set published for 99.0 s: frames come, but make no set; see the cameras'
    )
    some.sets['superseded'] = 40
    assert pipeline_part(statistics, some, STALE_S, 100 * S).faults[0].kind == 'busy'
    assert status(some, 100).message.endswith('the machine is too slow: 40 of 42 sets were passed over for newer ones')
    statistics.set_failed('DetectorError', 'set at 7 ns: it broke', 100 * S)
    assert status(some, 100).message.endswith(': set at 7 ns: it broke')
    assert status(some, 110).message == 'no set published for 109.0 s: no camera sends'


def test_a_fault_is_one_line_when_it_begins_and_one_when_it_is_over() -> None:
    lines: list[tuple[str, str]] = []
    logger = SimpleNamespace(**{
        severity: lambda text, severity=severity: lines.append((severity, text))
        for severity in ('error', 'warning', 'info')
    })
    log = FaultLog(logger)
    silent = [Finding(Severity.ERROR, f'silent for {n} s', '', 'camera left', 'silent') for n in (2, 3)]
    lost = Finding(Severity.WARNING, "Camera 'left': frames are lost", '', 'camera left', 'lost')
    log.update([], 0)
    log.update(silent[:1], S)
    log.update([silent[1], lost], 2 * S)
    log.update([lost], 3 * S)
    log.update([], 4 * S)
    log.update(silent[:1], 5 * S)
    assert lines == [
        ('error', 'camera left: silent for 2 s'),
        ('warning', "Camera 'left': frames are lost"),
        ('info', 'over after 2.0 s: camera left: silent for 2 s'),
        ('info', "over after 2.0 s: Camera 'left': frames are lost"),
        ('error', 'camera left: silent for 2 s'),
    ]
    # What flickers is one fault; how long it lasted is told when it stays away.
    for second, faults in ((6, []), (7, silent), (8, []), (9, []), (10, [])):
        log.update(faults, second * S, 2 * S)
    assert lines[5:] == [('info', 'over after 3.0 s: camera left: silent for 2 s')]
    # A machine is busy now and then, and for moments too slow for any set: one fault, told anew where it is worse.
    words = {'is busy': Severity.WARNING, 'no set published': Severity.ERROR}
    busy = [Finding(severity, text, '', 'pipeline', 'busy') for text, severity in words.items()]
    for second, faults in ((20, busy[:1]), (25, busy), (26, []), (40, busy[1:]), (41, []), (61, [])):
        log.update(faults, second * S, 2 * S)
    assert lines[6:] == [
        ('warning', 'pipeline: is busy'), ('error', 'pipeline: no set published'),
        ('info', 'over after 21.0 s: pipeline: no set published'),
    ]
