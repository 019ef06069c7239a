# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""A chosen part of benchmarks/scenes.py live: simulated detectors send keypoints to a pose_node over rclpy."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest
from sensor_msgs.msg import PointCloud2

from geo_pose_ros.messages.clouds.keypoints import keypoints_to_cloud
from geo_pose_ros.rigs.rig_file import dump_rig
from geo_pose_ros.ros.io.qos import profile
from geo_pose_ros.simulation.detector import CLEAN
from geo_pose_ros.simulation.metrics import measure
from geo_pose_ros.simulation.scenario import EPOCH_NS, Scenario, World, build
from geo_pose_ros.simulation.simulate import SetRecord, SimulatedRun, arrivals
from test.ros.harness import MAKE, Cameras, until, world

PLAIN = Scenario(cameras=4, people=2, duration_s=2.0, recorded=False, noise=CLEAN)


def live(scene: World, folder: Path) -> SimulatedRun:
    """Return what a pose_node publishes while the scene plays in real time."""
    rig = folder / 'rig.yaml'
    rig.write_text(dump_rig(scene.given_rig), encoding='utf-8')
    defaults = {'pipeline.lifter.enabled': True, 'stale_after_s': 2.0}
    with world('keypoints', rig_path=str(rig), before_start=Cameras.silence_all, **defaults) as w:
        senders = {n: w.tester.create_publisher(PointCloud2, f'{n}/keypoints', profile(5)) for n in scene.rig.names}
        until(
            lambda: all(s.get_subscription_count() for s in senders.values())
            and w.tester.count_publishers('/pose_node/bodies'),
            'the node and the detectors have found each other',
        )
        shift_ns, began_ns = time.time_ns() - EPOCH_NS, time.monotonic_ns() - EPOCH_NS
        for arrival_ns, keypoints in arrivals(scene):
            time.sleep(max(0.0, (arrival_ns + began_ns - time.monotonic_ns()) / 1e9))
            seen = replace(keypoints, stamp_ns=keypoints.stamp_ns + shift_ns)
            senders[seen.camera].publish(keypoints_to_cloud(MAKE, seen, scene.rig[seen.camera].frame_id))
        last_ns = max(int(r.stamp_ns[-1]) for r in scene.cameras) + shift_ns
        until(lambda: w.bodies and w.bodies[-1].stamp_ns > last_ns - 100_000_000, 'the last sets are published')
    published = [replace(b, stamp_ns=b.stamp_ns - shift_ns) for b in w.bodies]
    return SimulatedRun(scene, tuple(SetRecord(b.stamp_ns, b.stamp_ns, {}, b, 0.0, 0, {}) for b in published), {})


@pytest.mark.parametrize(
    'scenario', [replace(PLAIN, loss=0.1), replace(PLAIN, cameras=2, phase='half')],
    ids=['one trigger, frames lost', 'two cameras, half a period apart'],
)
def test_everybody_is_found_once(scenario: Scenario, tmp_path: Path) -> None:
    found = measure(live(build(scenario), tmp_path))
    # However few sets a busy machine manages, each shows both people, once, under their own ids.
    assert found.sets >= 10
    assert found.recall >= 0.9
    assert found.ids == found.ids_all == 1.0
    assert found.ghosts <= 0.02
    assert found.mpjpe_m < 0.05
