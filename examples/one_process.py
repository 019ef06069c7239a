# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""pose_node and a node of one's own in one process, on one executor: one_process.py --ros-args -p rig:=rig.yaml ..."""

import sys

import numpy as np
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import PointCloud2

from geo_pose_ros.messages.clouds.bodies import bodies_from_cloud
from geo_pose_ros.ros.nodes.pose_node import PoseNode


class Nearest(Node):
    """Says how far away from the frame's origin the nearest person is, on the ground."""

    def __init__(self) -> None:
        super().__init__('nearest')
        self.distance_m = float('nan')
        self.create_subscription(PointCloud2, '/pose_node/bodies', self.on_bodies, 10)

    def on_bodies(self, message: PointCloud2) -> None:
        """Take a set's bodies."""
        pelvis = bodies_from_cloud(message).xyz[:, 0, :2]
        if len(pelvis):
            self.distance_m = float(np.linalg.norm(pelvis, axis=-1).min())
            self.get_logger().info(f'{self.distance_m:.2f} m', throttle_duration_sec=1.0)


def main(arguments: list[str]) -> None:
    """Run both until Ctrl-C."""
    rclpy.init(args=arguments)
    pose, nearest = PoseNode(), Nearest()
    executor = SingleThreadedExecutor()
    for node in (pose, nearest):
        executor.add_node(node)
    try:
        # Raises what is wrong with the set-up; without it, a lifecycle manager configures and activates.
        pose.autostart()
        while rclpy.ok() and not pose.crashed:
            executor.spin_once(timeout_sec=0.5)
    finally:
        pose.close()
        rclpy.try_shutdown()


if __name__ == '__main__':
    main(sys.argv)
