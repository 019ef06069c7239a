# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Two pose_nodes of four cameras each, as processes of one host, both after REP-155."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter, defaultdict
from contextlib import ExitStack
from functools import partial
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from sensor_msgs.msg import PointCloud2

from geo_pose_ros.messages.clouds.bodies import bodies_from_cloud
from geo_pose_ros.ros.io.qos import profile
from geo_pose_ros.ros.tools.standalone import spinning
from geo_pose_ros.types import Bodies3D
from test.ros import harness
from test.ros.harness import PERSON, RIG, Cameras, until

SIDES = ('left', 'right')
RATE_HZ, SETS = 15, 150
# A pose_node whose detector reads keypoints from pixels.
PROGRAM = """
import sys
from geo_pose_ros.detection import base
base._PLUGINS['blazepose'] = 'test.ros.harness:PixelDetector'
from geo_pose_ros.ros.start import pose_node
sys.exit(pose_node())
"""


def started(side: str, rig_path: str) -> subprocess.Popen[str]:
    """Start the node of one side; what it says is no more than a pipe holds."""
    values = {
        'rig': rig_path, 'publish_humans': 'true', 'humans.id_prefix': f'{side}_', 'pipeline.lifter.enabled': 'false',
        'pipeline.detector.max_side_px': '0', 'diagnostics_period_s': '0.2',
        # Best effort loses a first frame that is sent while the node discovers the camera.
        'reliability': 'reliable', 'queue_depth': '10',
    }
    words = [word for name, value in values.items() for word in ('-p', f'{name}:={value}')]
    return subprocess.Popen(
        [sys.executable, '-c', PROGRAM, '--ros-args', '-r', f'__ns:=/{side}', *words], env=os.environ.copy(),
        stderr=subprocess.PIPE, text=True,
    )


@pytest.mark.slow
def test_two_nodes_of_one_host_are_told_apart_and_lose_no_message(
    node: Node, rig_path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hri, tf2 = pytest.importorskip('hri_msgs.msg'), pytest.importorskip('tf2_msgs.msg')
    monkeypatch.setattr(harness, 'PERIOD_S', 1.0 / RATE_HZ)
    statuses: dict[str, Any] = {}
    bodies: dict[str, list[Bodies3D]] = defaultdict(list)
    ids, frames = set[str](), set[str]()

    def values(status: str) -> dict[str, str]:
        return {pair.key: pair.value for pair in statuses[status].values} if status in statuses else {}

    listen = node.create_subscription
    listen(DiagnosticArray, '/diagnostics', lambda m: statuses.update({s.name: s for s in m.status}), profile(50))
    listen(hri.IdsList, '/humans/bodies/tracked', lambda m: ids.update(m.ids), profile(50))
    listen(tf2.TFMessage, '/tf', lambda m: frames.update(t.child_frame_id for t in m.transforms), profile(50))
    for side in SIDES:
        listen(PointCloud2, f'/{side}/pose_node/bodies', lambda m, side=side: bodies[side].append(bodies_from_cloud(m)),
               profile(SETS))

    def some(status: str, cameras: Cameras, name: str, stamp_ns: int) -> Any:
        """Return a frame; 5 % of those of the right side are lost before they are sent."""
        if status.startswith('right') and lost.random() < 0.05:
            return None
        sent[status] += 1
        return cameras.compressed(name, stamp_ns)

    lost, sent = np.random.default_rng(0), Counter[str]()
    with ExitStack() as opened:
        nodes = [opened.enter_context(started(side, rig_path)) for side in SIDES]
        opened.callback(lambda: [each.kill() for each in nodes])
        opened.enter_context(spinning(node))
        cameras = [Cameras(Node('cameras', namespace=side), 'compressed', profile(10)) for side in SIDES]
        for side, each in zip(SIDES, cameras, strict=True):
            each.behaviour = {name: partial(some, f'{side}/pose_node: camera {name}', each, name) for name in RIG.names}
        topics = [publisher for each in cameras for publisher in each._publishers.values()]
        until(lambda: all(topic.get_subscription_count() for topic in topics), 'both listen', 120.0)
        for each in cameras:
            each.start()
        until(lambda: all(len(each.sent_ns) >= SETS for each in cameras), 'ten seconds', 120.0)
        for each in cameras:
            each.stop()
        until(lambda: all(values(status).get('frames_received') == str(n) for status, n in sent.items()), f'{sent}')
        for status in sent:
            assert values(status)['frames_lost_by_middleware'] == '0'
            assert statuses[status].hardware_id == status.partition(':')[0]
        for side, each in zip(SIDES, cameras, strict=True):
            def settled(side: str = side, sent: int = len(each.sent_ns)) -> bool:
                of_sets = values(f'{side}/pose_node: pipeline')
                fates = [int(of_sets.get(f'sets {fate}', 0)) for fate in ('taken', 'superseded')]
                return sum(fates) == sent and len(bodies[side]) == int(of_sets['sets_published'])

            until(settled, f'{side}: a set of each instant, in spite of lost frames, taken or passed over')
            np.testing.assert_allclose(bodies[side][-1].xyz[0], PERSON, atol=0.005)
        assert ids == {f'{side}_b0' for side in SIDES} and frames == {f'body_{name}' for name in ids}
        for each in nodes:
            each.send_signal(signal.SIGINT)
        for each in nodes:
            said = each.communicate(timeout=60)[1]
            assert each.returncode == 0 and 'more publish' not in said, said
