# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The same finding at every entrance: 30 recordings through process, report, viewer, node, monitor and doctor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from geo_pose_ros.bags.process import process_bag
from geo_pose_ros.bags.recording import BODIES, DIAGNOSTICS, KEYPOINTS, Recording
from geo_pose_ros.evaluation.findings import COMPUTED
from geo_pose_ros.evaluation.quality import ObservedSet
from geo_pose_ros.evaluation.verdict import RecentVerdict
from geo_pose_ros.findings import Severity, Verdict, as_lines
from geo_pose_ros.messages.diagnostics import (
    Level,
    Status,
    diagnostics_from_message,
    diagnostics_to_message,
    verdict_from_statuses,
    verdict_to_status,
)
from geo_pose_ros.ros.tools.check_topics import Verdicts
from geo_pose_ros.ros.tools.monitor import Board
from geo_pose_ros.simulation.recordings import write_keypoints_bag
from geo_pose_ros.types import CameraRig
from geo_pose_ros.view.instant import Instant
from geo_pose_ros.view.panel import camera_table, verdict_words
from geo_pose_ros.view.report import judge_recording
from test.evaluation.recordings import FAULTY, GOOD, Simulated
from test.ros.harness import MAKE


def keys(verdict: Verdict) -> set[tuple[str, str]]:
    return {(found.where, found.kind) for found in verdict.findings if found.severity}


def entrances(one: Simulated, folder: Path) -> dict[str, Verdict]:
    """Return the verdict of a recording by every entrance that makes one."""
    rig, recorded = one.made()
    write_keypoints_bag(folder / 'bag', rig, recorded)
    summary = process_bag(folder / 'bag', folder / 'result', rig=rig)
    with Recording([folder / 'result']) as result:
        [offline] = [verdict_from_statuses(r.statuses()) for r in result.stream((DIAGNOSTICS,))]
        # What the node notes of frames that cannot be used, process notes too.
        noted = [found for found in summary.verdict.findings if found.kind not in COMPUTED]
        node = live(rig, result, noted)
    assert offline is not None
    report = judge_recording([folder / 'result'])
    return {'process': summary.verdict, '/diagnostics of its result': offline, 'report, viewer': report, 'node': node}


def live(rig: CameraRig, result: Recording, noted: list[Any]) -> Verdict:
    """Return what a node says that gets the sets of a result."""
    recent, sets = RecentVerdict(), {}
    for r in result.stream((BODIES, KEYPOINTS)):
        seen = r.bodies() if r.source.kind == BODIES else r.keypoints()
        sets.setdefault(r.time_ns, {})[r.source.camera] = seen
    for seen in sets.values():
        bodies = seen.pop('')
        recent.add(ObservedSet(bodies.stamp_ns, seen, bodies), rig)
        # As often as the node asks, or oftener: a warning needs two looks.
        verdict = recent.verdict(noted)
    return verdict


def check_readers(verdict: Verdict, cameras: tuple[str, ...]) -> None:
    """Check that everything that listens to a node says its verdict."""
    pipeline = Status('pipeline', Level.OK, 'ok', {})
    message = diagnostics_to_message(MAKE, 'pose_node', [pipeline, verdict_to_status(verdict)], 0)
    board, doctor = Board('pose_node'), Verdicts()
    board.take(message, 0.0)
    doctor.take(message)
    statuses = {status.name: status for status in diagnostics_from_message(message, 'pose_node')}
    viewer = Instant(0, 0, statuses=statuses)
    assert board.verdict == viewer.verdict == verdict
    assert board.worst == verdict.severity == max(found.severity for found in doctor.findings())
    shown, page = board.lines(0.0, 10_000, colour=False), verdict_words(viewer.verdict)
    for found in verdict.findings:
        if found.severity:
            assert found in doctor.findings() and found.in_words in page
            assert next(as_lines([found])) in shown
    marks = camera_table(cameras, viewer, viewer.verdict).split('\n\n')
    for name, row in zip(cameras, marks, strict=True):
        worst = max((found.severity for found in verdict.about(f'camera {name}')), default=Severity.OK)
        assert row[0] == '\N{CHECK MARK}\N{WARNING SIGN}\N{MULTIPLICATION X}'[worst]


@pytest.mark.slow
@pytest.mark.parametrize('one', [*GOOD, *FAULTY], ids=lambda one: one.name)
def test_every_entrance_names_the_same_and_the_right_cause(one: Simulated, tmp_path: Path) -> None:
    said = entrances(one, tmp_path)
    if 'silent' in {kind for _, kind in keys(said['process'])}:
        # A node names silence where frames arrive, before there is a set: test/ros/health.
        said['node'] = said['process']
    assert len({frozenset(keys(verdict)) for verdict in said.values()}) == 1, {n: keys(v) for n, v in said.items()}
    assert {verdict.severity for verdict in said.values()} == {said['node'].severity}
    check_readers(said['node'], ('cam00', 'cam01', 'cam02'))
    if not one.causes:
        assert keys(said['process']) == set()
    else:
        assert keys(said['process']) & set(one.causes), said['process']
