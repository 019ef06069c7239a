# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""DiagnosticArray."""

from geo_pose_ros.findings import Finding, Severity, Verdict
from geo_pose_ros.messages.diagnostics import (
    VERDICT,
    Level,
    Status,
    diagnostics_from_message,
    diagnostics_to_message,
    verdict_from_statuses,
    verdict_to_status,
)
from geo_pose_ros.messages.stamps import stamp_of


def test_diagnostics(library):
    left = Status('camera left', Level.ERROR, 'silent: 3 s', {'rate_hz': '0.0', 'age_s': '3'})
    rig, odd = Status('rig', Level.OK, 'ok', {}), Status('motor', Level.STALE, '', {})
    message = diagnostics_to_message(library.make, 'pose_node', [left, rig], 1_500_000_000)
    message.status += diagnostics_to_message(library.make, 'base', [odd], 0).status
    message = library.wire(message, 'diagnostic_msgs/msg/DiagnosticArray')
    assert stamp_of(message) == 1_500_000_000
    camera = message.status[0]
    levels = [s.level if isinstance(s.level, int) else s.level[0] for s in message.status]
    assert levels == [2, 0, 3]
    assert (camera.name, camera.hardware_id, camera.message) == ('pose_node: camera left', 'pose_node', 'silent: 3 s')
    assert {pair.key: pair.value for pair in camera.values} == {'rate_hz': '0.0', 'age_s': '3'}
    assert diagnostics_from_message(message) == [left, rig, odd]
    assert diagnostics_from_message(message, 'pose_node') == [left, rig]


def test_a_verdict_comes_back_as_it_was(library):
    cap = Finding(Severity.ERROR, 'found nobody', 'Take its cap off.', 'camera cam0', 'sees nobody')
    few = Finding(Severity.WARNING, 'fewer than two cameras see "feet" ö', '', 'rig', 'few views')
    verdict = Verdict('2 people, joints +-2 cm', (cap, few))
    status = verdict_to_status(verdict)
    assert (status.name, status.level, status.message) == (
        VERDICT, Level.ERROR, 'camera cam0: found nobody. Take its cap off.')
    array = diagnostics_to_message(library.make, 'n', [status], 0)
    message = library.wire(array, 'diagnostic_msgs/msg/DiagnosticArray')
    assert verdict_from_statuses(diagnostics_from_message(message)) == verdict
    assert verdict.severity == Severity.ERROR and verdict.about('rig') == (few,)


def test_a_damaged_finding_is_left_out_and_no_verdict_is_none():
    damaged = {'headline': 'nobody', 'finding 1': '{', 'finding 2': '[]', 'finding 3': '{"severity": 9}'}
    assert verdict_from_statuses([Status(VERDICT, Level.OK, '', damaged)]) == Verdict('nobody')
    assert verdict_from_statuses([Status('rig', Level.OK, 'ok', {})]) is None
    assert verdict_to_status(Verdict('nobody')).message == 'nobody'
