"""A chosen part of benchmarks/scenes.py live: simulated detectors send keypoints to a pose_node over rclpy."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import PointCloud2

from geo_pose_ros.messages.clouds.bodies import bodies_from_cloud
from geo_pose_ros.messages.clouds.keypoints import keypoints_to_cloud
from geo_pose_ros.rigs.rig_file import dump_rig
from geo_pose_ros.ros.io.message_factory import RclpyFactory
from geo_pose_ros.ros.io.qos import profile
from geo_pose_ros.ros.nodes.pose_node import PoseNode
from geo_pose_ros.simulation.detector import CLEAN
from geo_pose_ros.simulation.metrics import measure
from geo_pose_ros.simulation.scenario import EPOCH_NS, Scenario, World, build
from geo_pose_ros.simulation.simulate import SetRecord, SimulatedRun, arrivals
from geo_pose_ros.types import Bodies3D, Keypoints2D
from test.ros.harness import until

MAKE = RclpyFactory()
PLAIN = Scenario(cameras=4, people=2, duration_s=2.5, recorded=False, noise=CLEAN)


def live(world: World, folder: Path) -> SimulatedRun:
    """Return what a pose_node with default settings publishes while the scene plays in real time."""
    rig = folder / 'rig.yaml'
    rig.write_text(dump_rig(world.given_rig), encoding='utf-8')
    node = PoseNode(
        parameter_overrides=[Parameter(n, value=v) for n, v in (('transport', 'keypoints'), ('rig', str(rig)))]
    )
    tester = Node('detectors')
    executor = SingleThreadedExecutor()
    thread = threading.Thread(target=executor.spin, daemon=True)
    published: list[Bodies3D] = []
    try:
        senders = {n: tester.create_publisher(PointCloud2, f'{n}/keypoints', profile(5)) for n in world.rig.names}
        heard = tester.create_subscription(
            PointCloud2, '/pose_node/bodies', lambda m: published.append(bodies_from_cloud(m)), profile(50)
        )
        node.autostart()
        executor.add_node(node)
        executor.add_node(tester)
        thread.start()
        until(
            lambda: all(s.get_subscription_count() for s in senders.values()) and heard.get_publisher_count(),
            'the node and the detectors have found each other',
        )
        shift_ns, began_ns = time.time_ns() - EPOCH_NS, time.monotonic_ns() - EPOCH_NS
        for event in arrivals(world):
            time.sleep(max(0.0, (event.arrival_ns + began_ns - time.monotonic_ns()) / 1e9))
            k = event.keypoints
            shifted = Keypoints2D(k.camera, k.stamp_ns + shift_ns, k.skeleton, k.xy, k.confidence)
            senders[k.camera].publish(keypoints_to_cloud(MAKE, shifted, world.rig[k.camera].frame_id))
        last_ns = max(int(r.stamp_ns[-1]) for r in world.cameras) + shift_ns
        until(lambda: published and published[-1].stamp_ns > last_ns - 100_000_000, 'the last sets are published')
    finally:
        executor.shutdown()
        thread.join()
        node.close()
        node.destroy_node()
        tester.destroy_node()
    sets = []
    for b in published:
        stamp_ns = b.stamp_ns - shift_ns
        moved = Bodies3D(
            stamp_ns, b.frame_id, b.skeleton, b.xyz, b.covariance, b.confidence, b.num_views, b.reprojection_error,
            b.body_ids,
        )
        sets.append(SetRecord(stamp_ns, stamp_ns, {}, moved, 0.0, 0, {}))
    return SimulatedRun(world, tuple(sets), {})


@pytest.mark.parametrize(
    'scenario',
    [
        pytest.param(replace(PLAIN, **changed), id=name)
        for name, changed in (
            ('one trigger, frames lost', {'loss': 0.1}),
            ('two cameras, half a period apart', {'cameras': 2, 'phase': 'half'}),
        )
    ],
)
def test_everybody_is_found_once(scenario: Scenario, tmp_path: Path) -> None:
    found = measure(live(build(scenario), tmp_path))
    # However few sets a busy machine manages, each shows both people, once, under their own ids.
    assert found.sets >= 10
    assert found.recall >= 0.9
    assert found.ids == found.ids_all == 1.0
    assert found.ghosts <= 0.02
    assert found.mpjpe_m < 0.05
