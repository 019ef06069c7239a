# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The live table: its rows, its silence, its exit status; and what doctor sees of the graph."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
from types import SimpleNamespace

from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, CompressedImage

from geo_pose_ros.findings import Finding, Severity, Verdict
from geo_pose_ros.messages.camera_info import camera_info_from_intrinsics
from geo_pose_ros.messages.diagnostics import Level, Status, diagnostics_to_message, verdict_to_status
from geo_pose_ros.ros.io.qos import profile
from geo_pose_ros.ros.tools.check_topics import check_graph
from geo_pose_ros.ros.tools.monitor import Board, show
from test.ros.harness import MAKE, RIG, world

PIPELINE = Status('pipeline', Level.OK, '8 sets/s', {
    'rate_hz': '8.31', 'latency_ms p50': '120.5', 'latency_ms p95': '180.0', 'bodies': '2', 'sets_published': '77',
    'stage_ms detect': '40.1'})
CAMERAS = [
    Status('camera left', Level.OK, 'ok', {'rate_hz': '30.0', 'age_s': '0.012', 'clock_error_ms': ''}),
    Status('camera right', Level.ERROR, 'silent for 4.0 s; check its driver', {'rate_hz': '0.0', 'age_s': '4.0'}),
]
RIG_STATUS = Status('rig', Level.OK, 'ok', {'reprojection_px left': '14.2'})
OFF = Finding(Severity.WARNING, 'is off by 14 px', 'Calibrate.', 'camera left')
VERDICT = verdict_to_status(Verdict('2 people', (OFF,)))


def board(*statuses, node='pose_node'):
    made = Board('pose_node')
    made.take(diagnostics_to_message(MAKE, node, statuses, 0), 100.0)
    return made


def test_the_table():
    lines = board(PIPELINE, *CAMERAS, RIG_STATUS, VERDICT).lines(100.5, 200, colour=False)
    assert lines[0].startswith('pose_node: 8.31 sets/s   latency 120.5 ms, p95 180.0 ms   people 2')
    [left] = [line for line in lines if line.startswith('left')]
    assert left.split() == ['left', 'ok', '30.0', '0.012', '-', '14.2', 'ok']
    [right] = [line for line in lines if line.startswith('right')]
    assert right.split()[1] == 'ERROR' and right.endswith('silent for 4.0 s; check its driver')
    start = lines.index('fair: 2 people')
    assert lines[start + 1 : start + 3] == ['  warn  camera left: is off by 14 px', '        Calibrate.']
    assert lines[-1] == 'ms per stage: detect 40.1'
    assert all(len(line) <= 60 for line in board(PIPELINE, *CAMERAS).lines(100.5, 60, colour=False))
    coloured = board(PIPELINE, *CAMERAS).lines(100.5, 200, colour=True)
    assert any('\033[31mERROR' in line for line in coloured)


def test_silence_and_other_nodes():
    assert 'nothing on /diagnostics yet' in board(PIPELINE, node='other').lines(100.0, 200, colour=False)[0]
    assert board(PIPELINE).lines(110.0, 200, colour=False)[0].startswith('pose_node: silent for 10 s.')
    assert (board(PIPELINE).worst, board(PIPELINE, VERDICT).worst, board(*CAMERAS).worst) == (0, 1, 2)
    assert Board('nobody').worst == 2
    # A camera that the node no longer has is gone.
    made = board(PIPELINE, *CAMERAS)
    made.take(diagnostics_to_message(MAKE, 'pose_node', [Status('pipeline', Level.OK, 'not active', {})], 0), 101.0)
    assert set(made.statuses) == {'pipeline'}
    made.take(diagnostics_to_message(MAKE, 'another', [Status('pipeline', Level.OK, 'ok', {})], 0), 102.0)
    assert made.statuses['pipeline'].message == 'not active'


def test_a_terminal_is_drawn_over_and_a_file_is_not():
    out = io.StringIO()
    show(board(PIPELINE), out, 100.0)
    assert '\033' not in out.getvalue() and out.getvalue().endswith('\n\n')
    terminal = SimpleNamespace(isatty=lambda: True, write=out.write, flush=lambda: None)
    show(board(PIPELINE), terminal, 100.0)
    assert '\033[H' in out.getvalue()


def once(*arguments):
    command = [sys.executable, '-m', 'geo_pose_ros.cli', 'monitor', '--once', *arguments]
    return subprocess.run(command, env=os.environ, capture_output=True, text=True, timeout=60, check=False)


def test_the_command_reads_a_running_node(rig_path):
    with world('keypoints', rig_path=rig_path) as running:
        running.new_bodies(3)
        done = once()
    assert 'sets/s' in done.stdout and 'cam0' in done.stdout, done.stderr
    assert done.returncode in (0, 1)


def test_the_command_says_when_nothing_runs():
    done = once('--node', 'nobody', '--wait', '0.5')
    assert done.returncode == 2 and 'nobody: nothing on /diagnostics yet' in done.stdout


def said(node):
    return {d.what: d.severity for d in check_graph(node, 0.5)}


def test_cameras_that_are_well(node, rig_path):
    with world('compressed', rig_path=rig_path, camera_qos=profile(5)) as running:
        info = running.tester.create_publisher(CameraInfo, '/cam0/camera_info', 5)
        message = camera_info_from_intrinsics(MAKE, RIG['cam0'].intrinsics, 0, 'cam0')
        timer = running.tester.create_timer(0.05, lambda: info.publish(message))
        found = said(node)
        running.tester.destroy_timer(timer)
    assert found['/cam0/camera_info: 320x240 px, plumb_bob'] == Severity.OK
    assert found['/cam0/image_raw/compressed: reliable, from /tester'] == Severity.OK
    assert set(found.values()) == {Severity.OK}


def test_nobody_two_at_once_and_deaf_ones(node):
    assert said(node) == {'no camera publishes images': Severity.WARNING}
    soft = QoSProfile(depth=1, reliability=profile(1, reliable=False).reliability)
    publishers = [node.create_publisher(CompressedImage, '/a/image_raw/compressed', soft)]
    info = node.create_publisher(CameraInfo, '/a/camera_info', 1)
    node.create_subscription(CompressedImage, '/a/image_raw/compressed', lambda _: None, profile(1))
    found = said(node)
    [deaf] = [what for what, health in found.items() if 'image_raw' in what and health == Severity.ERROR]
    assert 'tool asks for more and receives nothing' in deaf
    assert found['/a/camera_info: nothing came'] == Severity.WARNING
    publishers.append(node.create_publisher(CompressedImage, '/a/image_raw/compressed', soft))
    ended = threading.Event()

    def publish():
        while not ended.wait(0.05):
            info.publish(CameraInfo())

    thread = threading.Thread(target=publish)
    thread.start()
    found = said(node)
    ended.set()
    thread.join()
    assert any('has 2 publishers' in what and health == Severity.ERROR for what, health in found.items())
    assert any('K = 0' in what and health == Severity.ERROR for what, health in found.items())
