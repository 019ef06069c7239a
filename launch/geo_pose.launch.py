# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""pose_node, optionally with RViz and a bag played into it.

ros2 launch geo_pose_ros geo_pose.launch.py rig:=rig.yaml [params:=pose_node.yaml] [rviz:=true] [bag:=BAG]
ros2 launch geo_pose_ros geo_pose.launch.py cameras:="['left', 'right']" image_topic:=/{camera}/image_rect_color

Settings are in the parameter file; what is not in it keeps its default. Arguments override the file.
"""

import os

import yaml
from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from launch.actions import DeclareLaunchArgument, ExecuteProcess, OpaqueFunction, SetEnvironmentVariable
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackagePrefix, FindPackageShare

from geo_pose_ros.ros.io.middleware import large_data_environment
from launch import LaunchDescription

PACKAGE = 'geo_pose_ros'
# Parameters that are also launch arguments; '' leaves them to the parameter file.
PARAMETERS = {
    'cameras': "names of the cameras, as a list: \"['left', 'right']\"",
    'transport': 'raw, compressed or keypoints',
    'image_topic': 'image topic of a camera, with {camera} in it',
    'camera_info_topic': 'calibration topic of a camera, with {camera} in it',
    'world_frame': 'frame of the output where there is no rig file',
}


def share(*parts: str) -> PathJoinSubstitution:
    """Return a path below the package's share folder."""
    return PathJoinSubstitution([FindPackageShare(PACKAGE), *parts])


def rviz(context) -> list:
    """Return RViz, if it was asked for; fail before anything has been started if it is not installed."""
    if LaunchConfiguration('rviz').perform(context).lower() not in ('true', '1'):
        return []
    try:
        get_package_prefix('rviz2')
    except PackageNotFoundError as error:
        raise RuntimeError(
            'rviz:=true, but rviz2 is not installed. Run: sudo apt-get install -y ros-$ROS_DISTRO-rviz2'
        ) from error
    return [Node(package='rviz2', executable='rviz2', arguments=['-d', LaunchConfiguration('rviz_config')])]


def pose_node(context) -> list:
    """Return pose_node with the parameter file, and over it what was given as argument."""

    def given(name: str) -> str:
        return LaunchConfiguration(name).perform(context)

    overrides = {name: given(name) for name in PARAMETERS if given(name)}
    if 'cameras' in overrides:
        names = yaml.safe_load(overrides['cameras'])
        overrides['cameras'] = [str(name) for name in names] if isinstance(names, list) else str(names).split(',')
    if given('rig'):
        overrides['rig'] = os.path.abspath(os.path.expanduser(given('rig')))  # noqa: PTH100, PTH111 - no symlinks
    return [
        Node(
            package=PACKAGE, executable='pose_node', name='pose_node', namespace=given('namespace'), output='screen',
            parameters=[given('params'), *([overrides] if overrides else [])],
            arguments=['--ros-args', '--log-level', given('log_level')],
            respawn=given('respawn').lower() in ('true', '1'), respawn_delay=2.0,
        )
    ]


def player(context) -> list:
    """Return the player of the bag, if one was given."""
    bag = LaunchConfiguration('bag').perform(context)
    if not bag:
        return []
    geo_pose = PathJoinSubstitution([FindPackagePrefix(PACKAGE), 'lib', PACKAGE, 'geo_pose'])
    command = [geo_pose, 'play', bag, '--restamp', '--loop', '--wait', '30']
    return [ExecuteProcess(cmd=command, name='geo_pose_play', output='screen')]


def generate_launch_description() -> LaunchDescription:
    """Return what `ros2 launch` starts."""
    as_in_file = {name: ('', f'{what}; empty: as in the parameter file') for name, what in PARAMETERS.items()}
    # Launch argument -> its default, and what it is.
    declared = {
        'params': (share('config', 'pose_node.yaml'), 'parameter file of pose_node'),
        'rig': ('', 'rig file; empty: calibration from camera_info and /tf_static'),
        **as_in_file,
        'namespace': ('', 'namespace of pose_node'),
        'log_level': ('info', 'least severity that is logged'),
        'respawn': ('false', 'whether pose_node is started again'),
        'bag': ('', 'bag to play in a loop, as if it happened now'),
        'rviz': ('false', 'whether to start RViz'),
        'rviz_config': (share('config', 'rviz', 'geo_pose.rviz'), 'configuration of RViz'),
    }
    return LaunchDescription([
        *(DeclareLaunchArgument(name, default_value=value, description=what)
          for name, (value, what) in declared.items()),
        *(SetEnvironmentVariable(name, value) for name, value in large_data_environment(os.environ).items()),
        *(OpaqueFunction(function=function) for function in (rviz, pose_node, player)),
    ])
