# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""pose_node and n detector processes on one machine.

ros2 launch geo_pose_ros detectors.launch.py rig:=rig.yaml [processes:=3] [params_file:=pose_node.yaml]
    [detector_params_file:=F] [namespace:=robot1]

Each process detects its share of the rig's cameras and sends keypoints; pose_node fuses them and sends back where it
predicts people. A process that ends is started again.
"""

import os
from pathlib import Path

from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable
from launch.substitutions import PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackageShare

from geo_pose_ros.rigs.files import read_calibration
from geo_pose_ros.ros.io.launch_arguments import refuse_renamed, ros_parameters
from geo_pose_ros.ros.io.middleware import large_data_environment
from launch import LaunchDescription

PACKAGE = 'geo_pose_ros'
# Short against the two seconds after which a camera without keypoints is an error.
RESPAWN_S = 0.5
# Old name of an argument -> its name.
RENAMED = {'params': 'params_file', 'detector_params': 'detector_params_file'}


def nodes(context) -> list:
    """Return pose_node and the detectors of the cameras of the rig file."""
    given = context.launch_configurations
    refuse_renamed(given, RENAMED)
    rig = Path(given['rig']).expanduser()
    cameras = list(read_calibration(rig).names)
    count = min(max(int(given['processes']), 1), len(cameras))
    extra, namespace = given['detector_params_file'], given['namespace']
    time = ros_parameters({'use_sim_time': given['use_sim_time']})
    pose_node = Node(
        package=PACKAGE, executable='pose_node', name='pose_node', namespace=namespace, output='screen',
        parameters=[given['params_file'], {'rig': str(rig.absolute()), 'transport': 'keypoints', **time}],
    )
    detectors = [
        Node(
            package=PACKAGE, executable='detector_node', name=f'detector_node_{index}', namespace=namespace,
            output='screen', respawn=True, respawn_delay=RESPAWN_S,
            parameters=[*([extra] if extra else []), {'cameras': cameras[index::count], **time}],
        )
        for index in range(count)
    ]
    return [pose_node, *detectors]


def generate_launch_description() -> LaunchDescription:
    """Return what `ros2 launch` starts."""
    return LaunchDescription([
        DeclareLaunchArgument('rig', description='rig file'),
        DeclareLaunchArgument('namespace', default_value='', description='namespace of the nodes and their topics'),
        DeclareLaunchArgument('processes', default_value='2', description='detector processes'),
        DeclareLaunchArgument(
            'params_file', default_value=PathJoinSubstitution([FindPackageShare(PACKAGE), 'config', 'pose_node.yaml']),
            description='parameter file of pose_node',
        ),
        DeclareLaunchArgument('detector_params_file', default_value='', description='parameter file of the detectors'),
        DeclareLaunchArgument('use_sim_time', default_value='', description='true: time comes from /clock'),
        *(SetEnvironmentVariable(name, value) for name, value in large_data_environment(os.environ).items()),
        OpaqueFunction(function=nodes),
    ])
