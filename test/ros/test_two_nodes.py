# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Two pose_nodes of four cameras each, as processes of one host, both after REP-155.

The left one asks its cameras for reliable frames, the right one for best effort: of those sent before its subscription
has found the camera it gets nothing. A camera knows who listens before the listener knows of the camera, so that
waiting for a subscriber does not help; from its first frame on nothing is lost.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter, defaultdict
from contextlib import ExitStack
from functools import partial
from time import time_ns
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

RELIABILITY = {'left': 'reliable', 'right': 'best_effort'}
SIDES = tuple(RELIABILITY)
FATES = ('sets taken', 'sets superseded')
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
        'pipeline.detector.max_side_px': '0', 'diagnostics_period_s': '0.2', 'reliability': RELIABILITY[side],
        'queue_depth': '10',
    }
    words = [word for name, value in values.items() for word in ('-p', f'{name}:={value}')]
    return subprocess.Popen(
        [sys.executable, '-c', PROGRAM, '--ros-args', '-r', f'__ns:=/{side}', *words], env=os.environ.copy(),
        stderr=subprocess.PIPE, text=True,
    )


class Both:
    """What is sent to both nodes, and what they say of it."""

    def __init__(self) -> None:
        self.statuses: dict[str, Any] = {}
        self.sent, self.instants = Counter[str](), defaultdict[str, set[int]](set)
        self.pause_ns = [2**63, 2**63]
        self._lost = np.random.default_rng(0)

    def some(self, status: str, cameras: Cameras, name: str, stamp_ns: int) -> Any:
        """Return a frame, none in the pause; 5 % of those of the right side are lost before they are sent."""
        paused = self.pause_ns[0] <= stamp_ns < self.pause_ns[1]
        if paused or (status.startswith('right') and self._lost.random() < 0.05):
            return None
        self.sent[status] += 1
        self.instants[status.partition('/')[0]].add(stamp_ns)
        return cameras.compressed(name, stamp_ns)

    def counted(self, status: str, *keys: str) -> int:
        pairs = self.statuses[status].values if status in self.statuses else ()
        return sum(int(pair.value) for pair in pairs if pair.key in keys)

    def totals(self) -> tuple[Counter[str], Counter[str]]:
        """Return the frames received by camera, and the sets by side."""
        sets = {side: self.counted(f'{side}/pose_node: pipeline', *FATES) for side in SIDES}
        return Counter({status: self.counted(status, 'frames_received') for status in self.sent}), Counter(sets)

    def is_at_rest(self) -> bool:
        """Wait for another look at everything; return whether it says the same."""
        looked, before = dict(self.statuses), self.totals()
        until(lambda: all(self.statuses[status] is not looked[status] for status in looked), 'another look')
        return before == self.totals()


@pytest.mark.slow
def test_two_nodes_of_one_host_are_told_apart_and_lose_no_message(
    node: Node, rig_path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hri, tf2 = pytest.importorskip('hri_msgs.msg'), pytest.importorskip('tf2_msgs.msg')
    monkeypatch.setattr(harness, 'PERIOD_S', 1.0 / RATE_HZ)
    both, bodies, ids, frames = Both(), defaultdict[str, list[Bodies3D]](list), set[str](), set[str]()
    listen, statuses = node.create_subscription, both.statuses
    listen(DiagnosticArray, '/diagnostics', lambda m: statuses.update({s.name: s for s in m.status}), profile(50))
    listen(hri.IdsList, '/humans/bodies/tracked', lambda m: ids.update(m.ids), profile(50))
    listen(tf2.TFMessage, '/tf', lambda m: frames.update(t.child_frame_id for t in m.transforms), profile(50))
    for side in SIDES:
        listen(PointCloud2, f'/{side}/pose_node/bodies', lambda m, side=side: bodies[side].append(bodies_from_cloud(m)),
               profile(SETS))
    with ExitStack() as opened:
        nodes = [opened.enter_context(started(side, rig_path)) for side in SIDES]
        opened.callback(lambda: [each.kill() for each in nodes])
        opened.enter_context(spinning(node))
        cameras = [Cameras(Node('cameras', namespace=side), 'compressed', profile(10)) for side in SIDES]
        for side, each in zip(SIDES, cameras, strict=True):
            status = f'{side}/pose_node: camera '
            each.behaviour = {name: partial(both.some, status + name, each, name) for name in RIG.names}
        topics = [publisher for each in cameras for publisher in each._publishers.values()]
        until(lambda: all(topic.get_subscription_count() for topic in topics), 'both listen', 120.0)
        for each in cameras:
            each.start()
        until(lambda: len(both.sent) == 8 and all(both.totals()[0].values()), 'every camera is heard', 120.0)
        both.pause_ns[0] = time_ns()
        until(both.is_at_rest, 'all that was sent is taken')
        (first, first_sets), first_sent = both.totals(), both.sent.copy()
        assert all(first[status] == n for status, n in first_sent.items() if status.startswith('left'))
        both.instants.clear()
        both.pause_ns[1] = time_ns()
        until(lambda: all(len(both.instants[side]) >= SETS for side in SIDES), 'ten seconds', 120.0)
        for each in cameras:
            each.stop()
        until(lambda: both.totals()[0] - first == both.sent - first_sent, f'{both.sent - first_sent}')
        for status in both.sent:
            assert not both.counted(status, 'frames_lost_by_middleware')
            assert statuses[status].hardware_id == status.partition(':')[0]
        sets = Counter({side: len(both.instants[side]) for side in SIDES})
        until(lambda: both.totals()[1] - first_sets == sets, 'a set of each instant, in spite of lost frames')
        for side in SIDES:
            published = partial(both.counted, f'{side}/pose_node: pipeline', 'sets_published')
            until(lambda: len(bodies[side]) == published(), f'{side}: each set that was taken')  # noqa: B023
            np.testing.assert_allclose(bodies[side][-1].xyz[0], PERSON, atol=0.005)
        assert ids == {f'{side}_b0' for side in SIDES} and frames == {f'body_{name}' for name in ids}
        for each in nodes:
            each.send_signal(signal.SIGINT)
        for each in nodes:
            said = each.communicate(timeout=60)[1]
            assert each.returncode == 0 and 'more publish' not in said, said
